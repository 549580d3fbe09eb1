"""The simulated Freshdesk: its lists and their traps, timers, tickets out of sight, limits, and every switch."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.freshdesk.automations import Automation, is_json
from zk_sandbox.freshdesk.settings import SWITCHES
from zk_sandbox.server import ServerThread

KEY = "zk-test-key"
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Api(httpx.Client):
    """An HTTP client of the simulated Freshdesk under /api/v2."""

    def rows(self, path: str, **params: Any) -> Any:
        answer = self.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, path: str, **params: Any) -> list[int]:
        return [row["id"] for row in self.rows(path, **params)]


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[FreshdeskServer, str]]:
    server = FreshdeskServer()
    with ServerThread(with_control(server)) as thread:
        yield server, thread.url


@pytest.fixture
def desk(service: tuple[FreshdeskServer, str]) -> FreshdeskServer:
    server, _ = service
    server.restore(FreshdeskServer({"now": NOON.isoformat()}).snapshot())
    server.add_agent("Sync", "sync@example.net", key=KEY)
    return server


@pytest.fixture
def api(desk: FreshdeskServer, service: tuple[FreshdeskServer, str]) -> Iterator[Api]:
    with Api(base_url=f"{service[1]}/api/v2", auth=(KEY, "X"), trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def anna(desk: FreshdeskServer) -> int:
    return desk.add_agent("Anna", "anna@example.net")


@pytest.fixture
def ticket(desk: FreshdeskServer) -> int:
    return desk.add_ticket("Printer on fire", company_id=desk.add_company("Acme"), at=NOON - timedelta(days=1))


def book_many(desk: FreshdeskServer, ticket: int, anna: int, number: int) -> list[int]:
    return [desk.book(ticket, anna, 5, NOON - timedelta(minutes=each)) for each in range(number)]


def test_the_key_is_the_name_of_basic_authentication(service: tuple[FreshdeskServer, str], desk) -> None:
    assert b64encode(f"{KEY}:X".encode()).decode() == "emstdGVzdC1rZXk6WA=="
    headers = {"Authorization": "Basic emstdGVzdC1rZXk6WA=="}
    answer = httpx.get(f"{service[1]}/api/v2/agents/me", headers=headers, trust_env=False)
    assert answer.json()["ticket_scope"] == 1
    assert answer.headers["X-RateLimit-Used-CurrentRequest"] == "1"


def test_three_wrong_keys_lock_everybody_out(service: tuple[FreshdeskServer, str], api: Api) -> None:
    wrong = [httpx.get(f"{service[1]}/api/v2/agents/me", auth=("nobody", "X"), trust_env=False) for _ in range(3)]
    assert [answer.json()["code"] for answer in wrong] == ["invalid_credentials"] * 3
    locked = api.get("/agents/me")
    assert (locked.status_code, locked.json()["code"]) == (403, "password_lockout")


def test_a_row_is_as_a_real_one(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    entry = desk.book(ticket, anna, 90, NOON, note="Replaced the fuser")
    assert api.rows("/time_entries") == [
        {
            "id": entry,
            "ticket_id": ticket,
            "agent_id": anna,
            "company_id": desk.state.tickets[ticket].company_id,
            "billable": True,
            "note": "Replaced the fuser",
            "timer_running": False,
            "time_spent": "01:30",
            "time_spent_in_seconds": 5400,
            "executed_at": "2026-07-01T12:00:00Z",
            "start_time": "2026-07-01T12:00:00Z",
            "created_at": "2026-07-01T12:00:00Z",
            "updated_at": "2026-07-01T12:00:00Z",
        }
    ]


def test_older_answers_lack_two_fields(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    desk.book(ticket, anna, 90)
    desk.configure({"company_of_row": "absent", "sends_seconds": False})
    assert not {"company_id", "time_spent_in_seconds"} & set(api.rows("/time_entries")[0])
    desk.configure({"company_of_row": "null"})
    assert api.rows("/time_entries")[0]["company_id"] is None


@pytest.mark.parametrize(("rounding", "text"), [("down", "100:30"), ("up", "100:31")])
def test_hours_may_be_more_than_a_day_has(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, rounding: str, text: str
) -> None:
    desk.book(ticket, anna, 100 * 60 + 30.5)
    desk.configure({"rounding": rounding})
    assert api.rows("/time_entries")[0]["time_spent"] == text


def test_pages_have_30_rows_or_up_to_100_and_name_the_next_one(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int
) -> None:
    ids = book_many(desk, ticket, anna, 130)
    assert api.ids("/time_entries") == ids[:30]
    answer = api.get("/time_entries", params={"per_page": 100})
    assert answer.links["next"]["url"].endswith("per_page=100&page=2")
    assert "total" not in " ".join(answer.headers).lower().replace("x-ratelimit-total", "")
    last = api.get("/time_entries", params={"per_page": 100, "page": 2})
    assert [row["id"] for row in last.json()] == ids[100:]
    assert not last.links
    assert api.get("/time_entries", params={"per_page": 101}).status_code == 400


@pytest.mark.parametrize("link", ["foreign", "loop"])
def test_a_link_may_lead_astray(desk: FreshdeskServer, api: Api, ticket: int, anna: int, link: str) -> None:
    book_many(desk, ticket, anna, 40)
    desk.configure({"link": link})
    url = api.get("/time_entries").links["next"]["url"]
    assert url.startswith("https://elsewhere.example") if link == "foreign" else url.endswith("page=1")


def test_rows_change_between_two_pages(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    ids = book_many(desk, ticket, anna, 40)

    def delete_the_first(_path: str, query: str) -> None:
        if "page=2" in query:
            desk.delete(ids[0])

    desk.meanwhile = delete_the_first
    seen = api.ids("/time_entries") + api.ids("/time_entries", page=2)
    assert set(ids[1:]) - set(seen) == {ids[30]}


@pytest.mark.parametrize(("bounds", "number"), [("inclusive", 3), ("exclusive", 1)])
def test_bounds_include_their_instants_or_not(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, bounds: str, number: int
) -> None:
    book_many(desk, ticket, anna, 3)
    desk.configure({"bounds": bounds})
    after, before = (NOON - timedelta(minutes=2)).isoformat(), NOON.isoformat()
    assert len(api.ids("/time_entries", executed_after=after, executed_before=before)) == number


def test_the_list_can_be_filtered_by_agent_company_and_billable(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int
) -> None:
    entry = desk.book(ticket, anna, 5, billable=False)
    other = desk.book(desk.add_ticket("Mail"), desk.add_agent("Bob", "bob@example.net"), 5)
    company = desk.state.tickets[ticket].company_id
    assert api.ids("/time_entries", agent_id=anna) == api.ids("/time_entries", company_id=company) == [entry]
    assert api.ids("/time_entries", billable="true") == [other]


@pytest.mark.parametrize("order", SWITCHES["order"])
def test_the_order_is_a_switch(desk: FreshdeskServer, api: Api, ticket: int, anna: int, order: str) -> None:
    ids = book_many(desk, ticket, anna, 30)
    desk.configure({"order": order})
    found = api.ids("/time_entries")
    assert sorted(found) == ids
    assert (found == ids) == (order != "shuffled")


def test_without_bounds_there_may_be_a_hidden_range(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    entry = desk.book(ticket, anna, 5, NOON - timedelta(days=40))
    desk.configure({"hidden_days": 30})
    assert api.ids("/time_entries") == []
    assert api.ids("/time_entries", executed_after="2026-01-01T00:00:00Z") == [entry]


def test_one_timer_stops_the_agents_other(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    first, second = desk.book(ticket, anna, 0), desk.book(desk.add_ticket("Mail"), anna, 0)
    desk.start_timer(first, NOON)
    desk.start_timer(second, NOON + timedelta(minutes=25))
    rows = {row["id"]: row for row in api.rows("/time_entries")}
    assert (rows[first]["timer_running"], rows[first]["time_spent"]) == (False, "00:25")
    assert (rows[second]["timer_running"], rows[second]["time_spent"]) == (True, "00:00")
    assert api.put(f"/time_entries/{second}", json={"timer_running": True}).status_code == 409


def test_entries_are_written_over_the_api(desk: FreshdeskServer, api: Api, ticket: int) -> None:
    body = {"time_spent": "00:25", "timer_running": False, "executed_at": "2026-06-30T22:00:00Z"}
    made = api.post(f"/tickets/{ticket}/time_entries", json=body)
    assert (made.status_code, made.json()["executed_at"]) == (201, "2026-06-30T22:00:00Z")
    entry = made.json()["id"]
    assert api.put(f"/time_entries/{entry}", json={"time_spent": "1.5"}).status_code == 400
    assert api.put(f"/time_entries/{entry}", json={"time_spent": "01:00"}).json()["time_spent"] == "01:00"
    assert api.put(f"/time_entries/{entry}/toggle_timer").json()["timer_running"] is True
    assert api.delete(f"/time_entries/{entry}").status_code == 204
    assert api.ids(f"/tickets/{ticket}/time_entries") == []


@pytest.mark.parametrize("status", [404, 405, 200])
def test_one_entry_by_id_is_a_switch(desk: FreshdeskServer, api: Api, ticket: int, anna: int, status: int) -> None:
    entry = desk.book(ticket, anna, 5)
    desk.configure({"entry_by_id": str(status)})
    assert api.get(f"/time_entries/{entry}").status_code == status


@pytest.mark.parametrize("state", ["deleted", "spam"])
@pytest.mark.parametrize("rows", SWITCHES["trashed_rows"])
def test_a_ticket_in_the_trash_has_no_entries_but_may_be_listed(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, rows: str, state: str
) -> None:
    entry = desk.book(ticket, anna, 5)
    desk.change_ticket(ticket, state=state)
    desk.configure({"trashed_rows": rows})
    answer = api.get(f"/tickets/{ticket}/time_entries")
    assert (answer.status_code, answer.content) == (404, b"")
    assert api.ids("/time_entries") == ([entry] if rows == "shown" else [])
    assert api.ids("/tickets") == []
    assert api.ids("/tickets", filter=state) == [ticket]


def test_a_ticket_comes_back_from_the_trash(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    entry = desk.book(ticket, anna, 5)
    assert api.delete(f"/tickets/{ticket}").status_code == 204
    assert api.rows(f"/tickets/{ticket}")["deleted"] is True
    desk.configure({"trashed_ticket": "unflagged"})
    assert "deleted" not in api.rows(f"/tickets/{ticket}")
    desk.configure({"trashed_ticket": "404"})
    assert api.get(f"/tickets/{ticket}").status_code == 404
    assert api.put(f"/tickets/{ticket}/restore").status_code == 204
    assert api.ids(f"/tickets/{ticket}/time_entries") == [entry]


@pytest.mark.parametrize("answer", ["404", "301", "200"])
def test_an_archived_ticket_is_on_another_route(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, answer: str
) -> None:
    entry = desk.book(ticket, anna, 5)
    desk.change_ticket(ticket, state="archived")
    desk.configure({"archived_ticket": answer})
    assert api.get(f"/tickets/{ticket}").status_code == int(answer)
    assert api.get(f"/tickets/{ticket}/time_entries").status_code == int(answer)
    assert api.rows(f"/tickets/archived/{ticket}")["id"] == ticket
    assert api.ids("/time_entries") == []
    desk.configure({"archived_rows": "shown"})
    assert api.ids("/time_entries") == [entry]


@pytest.mark.parametrize("merge", SWITCHES["merge"])
def test_a_merge_leaves_moves_or_copies_entries(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, merge: str
) -> None:
    other = desk.add_ticket("The same printer")
    entry = desk.book(other, anna, 5)
    desk.configure({"merge": merge})
    assert api.put("/tickets/merge", json={"primary_id": ticket, "ticket_ids": [other]}).status_code == 204
    assert api.ids(f"/tickets/{other}/time_entries") == ([] if merge == "move" else [entry])
    assert len(api.ids(f"/tickets/{ticket}/time_entries")) == (0 if merge == "stay" else 1)


@pytest.mark.parametrize("touches", [True, False])
def test_booking_moves_the_ticket_or_not(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, *, touches: bool
) -> None:
    desk.configure({"touches_ticket": touches})
    desk.book(ticket, anna, 5, NOON - timedelta(days=90), booked_at=NOON)
    found = api.ids("/tickets", updated_since=(NOON - timedelta(hours=1)).isoformat())
    assert found == ([ticket] if touches else [])


def test_the_list_of_tickets_hides_what_is_older_than_30_days(desk: FreshdeskServer, api: Api) -> None:
    old = desk.add_ticket("Old", at=NOON - timedelta(days=31))
    assert api.ids("/tickets") == []
    assert api.ids("/tickets", updated_since="2026-01-01T00:00:00Z") == [old]


def test_the_list_of_tickets_ends_at_page_300(api: Api) -> None:
    assert api.get("/tickets", params={"page": 300}).status_code == 200
    answer = api.get("/tickets", params={"page": 301})
    assert answer.status_code == 400
    assert "300th page" in answer.text
    assert api.get("/tickets", params={"include": "requester,stats"}).headers["X-RateLimit-Used-CurrentRequest"] == "5"


def test_a_restricted_key_sees_less_without_a_word(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    mine = desk.add_group("Mine")
    entry = desk.book(desk.add_ticket("Mine", group_id=mine), anna, 5)
    desk.book(ticket, anna, 5)
    account = next(agent for agent in desk.state.agents.values() if agent.key)
    account.ticket_scope, account.group_ids = 2, [mine]
    assert api.ids("/time_entries") == [entry]
    assert api.get(f"/tickets/{ticket}").status_code == 403


def test_a_deleted_agent_is_a_contact(desk: FreshdeskServer, api: Api, anna: int) -> None:
    desk.delete_agent(anna)
    assert api.get(f"/agents/{anna}").status_code == 404
    assert api.rows(f"/contacts/{anna}")["name"] == "Anna"


def test_a_plan_without_time_tracking_says_so(desk: FreshdeskServer, api: Api) -> None:
    desk.configure({"timesheets": False})
    answer = api.get("/time_entries")
    assert (answer.status_code, answer.json()["code"]) == (403, "require_feature")


@pytest.mark.parametrize(("span", "wait"), [("minute", "60"), ("hour", "3600")])
def test_the_limit_is_shared_with_other_apps(desk: FreshdeskServer, api: Api, span: str, wait: str) -> None:
    desk.configure({"limit": 10, "limit_span": span, "others_use": 4})
    assert [api.get("/agents/me").headers["X-RateLimit-Remaining"] for _ in range(2)] == ["5", "0"]
    refused = api.get("/agents/me")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, wait)


def test_broken_values_are_sent_as_they_are(desk: FreshdeskServer, api: Api, ticket: int, anna: int) -> None:
    desk.book(ticket, anna, 5, overrides={"time_spent": "1.5", "executed_at": None})
    row = api.rows("/time_entries")[0]
    assert (row["time_spent"], row["executed_at"]) == ("1.5", None)


def test_the_state_can_be_saved_and_restored(
    desk: FreshdeskServer, api: Api, ticket: int, anna: int, service: tuple[FreshdeskServer, str]
) -> None:
    entry = desk.book(ticket, anna, 5)
    with SandboxControl(service[1]) as control:
        before = control.state()
        desk.delete(entry)
        control.restore(json.loads(json.dumps(before)))
        assert api.ids("/time_entries") == [entry]
        assert desk.book(ticket, anna, 5) == entry + 1
        with pytest.raises(httpx.HTTPStatusError):
            control.configure(order="by name")


def test_a_webhook_is_what_was_composed_and_placeholders_may_break_it() -> None:
    rule = Automation("http://127.0.0.1:9/", body='{"ticket_id": {{ticket.id}}, "subject": "{{ticket.subject}}"}')
    assert is_json(rule.composed(11, "Printer"))
    assert not is_json(rule.composed(11, "Printer\non fire"))
    rule.put_off(11)
    rule.put_off(12)
    assert rule.send_waiting(dropped=2) == []
