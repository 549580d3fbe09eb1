"""The accounting routes of the simulated Zammad: lists, paging, sorting, forms and writes (docs/zammad.md §2)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline_tests.sandbox.conftest import NOON

FLAT = "/time_accountings"


@pytest.fixture
def agent(zammad):
    return zammad.add_agent("anna@example.net", firstname="Anna", lastname="Berg")


@pytest.fixture
def ticket(zammad):
    return zammad.add_ticket("Printer on fire", at=NOON - timedelta(days=1))


@pytest.fixture
def admin(zammad, api):
    """A client that may write accountings."""
    boss = zammad.add_user("boss@example.net", permissions=["admin.time_accounting"])
    zammad.add_token(boss, "boss", permissions=["admin.time_accounting"])
    with api.as_token("boss") as client:
        yield client


def book_many(zammad, ticket, agent, count):
    return [zammad.book(ticket, agent, 5, at=NOON - timedelta(minutes=count - n)) for n in range(count)]


def test_a_row_has_the_documented_columns(zammad, api, agent):
    for name in ("Consulting", "Maintenance", "Support"):
        zammad.add_type(name)
    ticket = zammad.add_ticket("Printer", ticket_id=50, number="50")
    at = datetime(2025, 8, 16, 8, 11, 49, 315000, tzinfo=UTC)
    zammad.book(ticket, agent, "15", 3, at, accounting_id=6)
    assert api.rows(FLAT) == [
        {
            "id": 6,
            "ticket_id": 50,
            "ticket_article_id": None,
            "time_unit": "15.0",
            "type_id": 3,
            "created_by_id": agent,
            "created_at": "2025-08-16T08:11:49.315Z",
            "updated_at": "2025-08-16T08:11:49.315Z",
        }
    ]


@pytest.mark.parametrize(
    ("units", "text"),
    [("15", "15.0"), ("0.25", "0.25"), ("0.333", "0.33"), ("-120", "-120.0"), ("0", "0.0"), ("9999.99", "9999.99")],
)
def test_the_number_is_a_string_with_at_most_two_places(zammad, api, agent, ticket, units, text):
    zammad.book(ticket, agent, units)
    assert api.rows(FLAT)[0]["time_unit"] == text


def test_a_page_holds_500_rows_by_default_and_1000_at_most(zammad, api, agent, ticket):
    ids = book_many(zammad, ticket, agent, 1100)
    assert api.ids(FLAT) == ids[:500]
    assert api.ids(FLAT, per_page=5000) == ids[:1000]
    assert api.ids(FLAT, per_page=5000, page=2) == ids[1000:]
    assert api.ids(FLAT, limit=3, page=2) == ids[3:6]


def test_past_the_end_there_is_an_empty_list(zammad, api, agent, ticket):
    book_many(zammad, ticket, agent, 3)
    assert api.rows(FLAT, page=2, per_page=3) == []


def test_the_newest_change_comes_first_when_sorted_so(zammad, api, agent, ticket):
    first, second, third = book_many(zammad, ticket, agent, 3)
    zammad.edit(first, NOON + timedelta(hours=1), units=20)
    assert api.ids(FLAT, sort_by="updated_at,id", order_by="desc,desc") == [first, third, second]
    assert api.ids(FLAT, sort_by="updated_at,id", order_by="desc,desc", page=2, per_page=2) == [second]


def test_every_column_sorts_with_missing_values_as_postgresql_puts_them(zammad, api, agent, ticket):
    kind = zammad.add_type("Support")
    plain = zammad.book(ticket, agent, 30)
    typed = zammad.book(ticket, agent, 10, kind)
    assert api.ids(FLAT, sort_by="type_id") == [typed, plain]
    assert api.ids(FLAT, sort_by="type_id", order_by="desc") == [plain, typed]
    assert api.ids(FLAT, sort_by="time_unit", order_by="asc") == [typed, plain]


def test_a_sort_column_without_a_direction_of_its_own_is_dropped(zammad, api, agent, ticket):
    kind = zammad.add_type("Support")
    low, high = (zammad.book(ticket, agent, units, kind) for units in (10, 20))
    assert api.ids(FLAT, sort_by="type_id,time_unit", order_by="asc,desc") == [high, low]
    assert api.ids(FLAT, sort_by="type_id,time_unit", order_by="asc") == [low, high]


@pytest.mark.parametrize("params", [{"sort_by": "colour"}, {"sort_by": "id", "order_by": "up"}])
def test_an_unknown_sort_column_or_direction_is_a_server_error(api, params):
    answer = api.get(FLAT, params=params)
    assert answer.status_code == 500
    assert answer.json()["error"].endswith("Please contact your administrator.")


def test_the_list_narrows_to_one_ticket_or_several(zammad, api, agent, ticket):
    others = [zammad.add_ticket("Other") for _ in range(2)]
    ids = [zammad.book(number, agent, 5) for number in (ticket, *others)]
    assert api.ids(FLAT, ticket_id=ticket) == ids[:1]
    assert api.ids(FLAT, **{"ticket_id[]": [ticket, others[1]]}) == [ids[0], ids[2]]


def test_expanded_rows_carry_the_creators_login_and_the_types_name(zammad, api, agent, ticket):
    kind = zammad.add_type("Support")
    zammad.book(ticket, agent, 5, kind)
    zammad.book(ticket, agent, 5)
    typed, plain = api.rows(FLAT, expand="true", full="true")
    assert (typed["created_by"], typed["type"]) == ("anna@example.net", "Support")
    assert "type" not in plain


def test_the_full_form_counts_the_whole_scope_not_the_page(zammad, api, agent, ticket):
    ids = book_many(zammad, ticket, agent, 4)
    full = api.rows(FLAT, full="true", per_page=1)
    assert (full["record_ids"], full["total_count"]) == (ids[:1], 4)
    assert full["assets"]["TicketTimeAccounting"][str(ids[0])]["time_unit"] == "5.0"
    assert full["assets"]["User"][str(agent)]["email"] == "anna@example.net"
    assert api.rows(FLAT, full="true", ticket_id=404)["total_count"] == 0


def test_a_row_is_shown_until_it_is_deleted(zammad, api, agent, ticket):
    row = zammad.book(ticket, agent, 5)
    assert api.rows(f"{FLAT}/{row}")["id"] == row
    zammad.delete(row)
    assert api.get(f"{FLAT}/{row}").status_code == 404


def test_the_list_of_a_missing_ticket_is_empty_for_an_admin_and_not_found_for_an_agent(zammad, api, agent):
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    assert api.rows("/tickets/404/time_accountings") == []
    assert api.as_token("anna").get("/tickets/404/time_accountings").status_code == 404


def test_an_agent_reads_the_entries_of_tickets_they_may_change_only(zammad, api, agent, ticket):
    reader = zammad.add_user("eve@example.net", permissions=["ticket.agent"], group_rights={1: ["read"]})
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    zammad.add_token(reader, "eve", permissions=["ticket.agent"])
    row = zammad.book(ticket, agent, 5)
    path = f"/tickets/{ticket}/time_accountings"
    assert api.as_token("anna").ids(path) == [row]
    assert api.as_token("anna").ids(FLAT, ticket_id=ticket) == [row]
    refused = api.as_token("eve").get(path)
    assert (refused.status_code, refused.json()["error"]) == (403, "Not authorized")


def test_booking_ignores_back_dating_and_foreign_names(zammad, admin, agent, ticket):
    answer = admin.post(
        f"/tickets/{ticket}/time_accountings",
        json={"time_unit": "11", "created_at": "2020-01-01T00:00:00Z", "created_by_id": agent},
    )
    row = answer.json()
    assert (answer.status_code, row["time_unit"], row["created_at"]) == (201, "11.0", "2025-08-16T12:00:00.000Z")
    assert row["created_by_id"] != agent
    assert zammad.state.tickets[ticket].time_unit == 11


@pytest.mark.parametrize(
    ("sent", "stored"),
    [("1:30", "1.0"), (0.5, "0.5"), ("abc", "0.0"), (7, "7.0"), ("1.005", "1.01")],
)
def test_booking_takes_the_leading_number_of_what_is_sent(admin, ticket, sent, stored):
    answer = admin.post(FLAT, json={"ticket_id": ticket, "time_unit": sent})
    assert answer.json()["time_unit"] == stored


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Time unit can't be blank"),
        ({"time_unit": "5", "type_id": 99}, "Invalid value for param 'type_id': 99"),
        ({"time_unit": "5", "type": "Golf"}, "No lookup value found for 'type': \"Golf\""),
        ({"time_unit": "5", "ticket_article_id": 99}, "Invalid value for param 'ticket_article_id': 99"),
        ({"time_unit": "10000"}, "Error ID"),
        ({"time_unit": "9" * 40}, "Error ID"),
    ],
)
def test_booking_something_impossible_is_refused_and_books_nothing(zammad, admin, ticket, body, text):
    answer = admin.post(f"/tickets/{ticket}/time_accountings", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(text)
    assert len(zammad.state.accountings) == 0


def test_a_stored_nan_is_shown_as_null_and_spoils_the_tickets_sum_until_it_is_gone(zammad, api, admin, agent, ticket):
    zammad.book(ticket, agent, 5)
    row = admin.post(FLAT, json={"ticket_id": ticket, "time_unit": "NaN"}).json()
    assert row["time_unit"] is None
    assert api.rows(f"/tickets/{ticket}")["time_unit"] is None
    assert admin.ids(FLAT, sort_by="time_unit", order_by="desc", per_page=1) == [row["id"]]
    assert admin.rows("/time_accounting/log/by_ticket/2025/8")[0]["time_unit"] is None
    assert admin.delete(f"{FLAT}/{row['id']}").json() == {}
    assert api.rows(f"/tickets/{ticket}")["time_unit"] == "5.0"


@pytest.mark.parametrize("page", ["0", "-1", "", "abc"])
def test_a_page_before_the_first_is_a_fault_of_the_database(api, page):
    assert api.get(FLAT, params={"page": page}).status_code == 422


@pytest.mark.parametrize("size", ["0", "", "abc"])
def test_a_page_of_no_size_is_empty(zammad, api, agent, ticket, size):
    zammad.book(ticket, agent, 5)
    assert api.rows(FLAT, per_page=size) == []


def test_a_missing_row_is_422_when_it_is_deleted_and_404_otherwise(admin):
    texts = {"error": "Couldn't find Ticket::TimeAccounting with 'id'=\"7\""}
    texts["error_human"] = texts["error"]
    answers = [admin.request(method, f"{FLAT}/7", json={}) for method in ("GET", "PUT", "DELETE")]
    assert [answer.status_code for answer in answers] == [404, 404, 422]
    assert [answer.json() for answer in answers] == [texts] * 3


def test_one_article_carries_one_entry_of_its_own_ticket(zammad, admin, agent, ticket):
    article = zammad.add_article(ticket, agent, "Changed the toner")
    other = zammad.add_ticket("Other")
    body: dict[str, Any] = {"time_unit": "5", "ticket_article_id": article}
    assert admin.post(f"/tickets/{other}/time_accountings", json=body).status_code == 422
    assert admin.post(f"/tickets/{ticket}/time_accountings", json=body).status_code == 201
    assert admin.post(f"/tickets/{ticket}/time_accountings", json=body).status_code == 422
    assert len(zammad.state.accountings) == 1


def test_a_booking_that_takes_the_total_out_of_range_fails_as_a_whole(zammad, admin, agent, ticket):
    zammad.book(ticket, agent, "9999.99")
    answer = admin.post(FLAT, json={"ticket_id": ticket, "time_unit": "0.01"})
    assert (answer.status_code, len(zammad.state.accountings)) == (422, 1)


def test_a_row_cannot_be_put_onto_another_ticket(zammad, admin, agent, ticket):
    row = zammad.book(ticket, agent, 5)
    assert admin.put(f"{FLAT}/{row}", json={"ticket_id": zammad.add_ticket("Other")}).status_code == 404


def test_an_admin_changes_number_and_type(zammad, admin, agent, ticket):
    kind = zammad.add_type("Support")
    row = zammad.book(ticket, agent, 5, at=NOON - timedelta(hours=1))
    changed = admin.put(f"{FLAT}/{row}", json={"time_unit": "15", "type": "support"}).json()
    assert (changed["time_unit"], changed["type_id"], changed["ticket_id"]) == ("15.0", kind, ticket)
    assert changed["updated_at"] == "2025-08-16T12:00:00.000Z"


def test_an_admin_deletes_and_gets_an_empty_object(zammad, admin, agent, ticket):
    row = zammad.book(ticket, agent, 5)
    answer = admin.delete(f"/tickets/{ticket}/time_accountings/{row}")
    assert (answer.status_code, answer.json(), len(zammad.state.accountings)) == (200, {}, 0)


def test_an_agent_books_only_while_the_feature_is_on_and_changes_nothing(zammad, api, agent, ticket):
    zammad.add_token(agent, "anna", permissions=["ticket.agent"])
    anna = api.as_token("anna")
    path = f"/tickets/{ticket}/time_accountings"
    row = anna.post(path, json={"time_unit": 5}).json()["id"]
    assert anna.put(f"{path}/{row}", json={"time_unit": 6}).status_code == 403
    assert anna.delete(f"{path}/{row}").status_code == 403
    zammad.configure({"time_accounting": False})
    assert anna.post(path, json={"time_unit": 5}).status_code == 403
    assert anna.ids(path) == [row]


def test_before_version_6_1_neither_entries_nor_types_have_routes(zammad, api, ticket):
    zammad.configure({"version": "6.0.0"})
    for path in (FLAT, f"/tickets/{ticket}/time_accountings", "/time_accounting/types"):
        assert api.get(path).status_code == 404


def test_a_hundred_thousand_entries_are_paged_to_the_last(zammad, api, agent, ticket):
    state = zammad.snapshot()
    start = datetime(2020, 1, 1, tzinfo=UTC)
    state["state"]["accountings"] = [
        {
            "id": n,
            "ticket_id": ticket,
            "time_unit": "5.00",
            "created_by_id": agent,
            "created_at": (start + timedelta(minutes=n)).isoformat(),
            "updated_at": (start + timedelta(minutes=n)).isoformat(),
        }
        for n in range(1, 100_001)
    ]
    zammad.restore(state)
    params = {"sort_by": "created_at,id", "order_by": "asc,asc", "per_page": 1}
    probes = [api.ids(FLAT, page=page, **params) for page in (1, 50_000, 100_000, 100_001)]
    assert probes == [[1], [50_000], [100_000], []]
