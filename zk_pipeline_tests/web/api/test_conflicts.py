"""`/api/v1/conflicts`: what waits, told from both sides, and decisions by one person and by two."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.domain.entries import SyncStatus
from zk_pipeline.domain.resolutions import MEANT, Choice
from zk_pipeline.store.database import Database
from zk_pipeline_tests.domain.builders import DAY, entry, excluded
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.api.planned import (
    SCRIPT,
    SHEET_SYNCED,
    SHEET_TYPED,
    SYNCED,
    TYPED,
    UNMAPPED,
    planned_day,
    store_plan,
)
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/conflicts"


@pytest.fixture(autouse=True)
def _planned(database: Database) -> None:
    store_plan(database, planned_day())


def conflict_of(client: httpx.Client, source_id: str) -> dict[str, Any]:
    return next(row for row in client.get(PATH).json()["items"] if row["source_id"] == source_id)


def decide(client: httpx.Client, row: dict[str, Any], choice: str, **more: Any) -> httpx.Response:
    body = {"choice": choice, "facts_hash": row["facts_hash"], **more}
    return client.post(f"{PATH}/{row['id']}/decision", json=body)


def test_a_page_has_the_total_the_counts_by_reason_and_exact_minutes(viewer: httpx.Client) -> None:
    page = viewer.get(PATH, params={"size": 1}).json()
    assert (page["total"], page["page"], page["pages"], len(page["items"])) == (2, 1, 2, 1)
    assert page["counts"] == {"duplicate": 1, "unmapped_activity": 1}
    following = viewer.get(PATH, params={"size": 1, "page": 2}).json()["items"]
    minutes = {row["source_id"]: row["minutes"] for row in (*page["items"], *following)}
    assert minutes == {UNMAPPED: "45.0000", TYPED: "30.0000"}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"reason": "duplicate"}, [TYPED]),
        ({"customer_name": "GLOBEX"}, [TYPED]),
        ({"user_name": "Anna Agent"}, [UNMAPPED, TYPED]),
        ({"user_name": "nobody@example.org"}, []),
        ({"search": "#50"}, [UNMAPPED, TYPED]),
        ({"search": "script>"}, [TYPED]),
        ({"search": "%"}, []),
        ({"first": "2025-08-17"}, []),
        ({"last": str(DAY)}, [UNMAPPED, TYPED]),
        ({"resolution_status": "decided"}, []),
    ],
)
def test_a_filter_narrows_the_list(viewer: httpx.Client, parameters: dict[str, str], expected: list[str]) -> None:
    page = viewer.get(PATH, params=parameters).json()
    assert [row["source_id"] for row in page["items"]] == expected
    assert page["total"] == len(expected)


def test_a_filter_of_a_decision_is_named_as_that_of_a_list_and_takes_the_former_names(operator: httpx.Client) -> None:
    for names in (
        {"user_name": "Anna Agent", "customer_name": "globex"},
        {"agent": "Anna Agent", "customer": "globex"},
    ):
        preview = operator.post(f"{PATH}/decisions/preview", json={"choice": "ignore", "filter": names})
        assert preview.json()["conflicts"] == 1


def test_a_page_of_a_search_is_in_order_and_counts_what_was_found_for_every_reason(viewer: httpx.Client) -> None:
    pages = [viewer.get(PATH, params={"search": "#50", "size": 1, "page": number}).json() for number in (1, 2, 3)]
    assert [[row["source_id"] for row in page["items"]] for page in pages] == [[UNMAPPED], [TYPED], []]
    assert {page["total"] for page in pages} == {2}
    narrowed = viewer.get(PATH, params={"search": "#50", "reason": "duplicate"}).json()
    assert [row["source_id"] for row in narrowed["items"]] == [TYPED]
    assert (narrowed["total"], narrowed["counts"]) == (1, {"duplicate": 1, "unmapped_activity": 1})


def test_more_than_an_hour_is_left_out_with_a_reason_and_listed_until_it_is_brought_back(
    operator: httpx.Client, database: Database
) -> None:
    with database.transaction() as connection:
        connection.execute(text("UPDATE sync.reconciliation_results SET minutes = 90"))
    row = conflict_of(operator, UNMAPPED)
    refused(decide(operator, row, "ignore"), 409, "Say why: 1 h 30 would not be billed.")
    assert decide(operator, row, "ignore", why="Goodwill").status_code == 200
    (left,) = operator.get(PATH, params={"resolution_status": "left_out"}).json()["items"]
    assert (left["source_id"], left["decision_why"]) == (UNMAPPED, "Goodwill")
    assert left["decided_by"].startswith("user:")
    assert left["decided_by_name"] not in {"", left["decided_by"]}
    assert operator.post(f"{PATH}/{row['id']}/reopening").status_code == 200
    assert operator.get(PATH, params={"resolution_status": "left_out"}).json()["items"] == []
    assert conflict_of(operator, UNMAPPED)["resolution_status"] == "open"


def test_causes_are_listed_with_their_hours_and_narrow_the_list(viewer: httpx.Client, operator: httpx.Client) -> None:
    page = viewer.get(f"{PATH}/causes").json()
    assert [(row["key"], row["conflicts"], row["minutes"]) for row in page["items"]] == [
        ("unmapped_activity:99", 1, "45.0000"),
        ("duplicate", 1, "30.0000"),
    ]
    assert page["items"][0]["title"] == "Juggling has no Kimai activity"
    assert (page["items"][0]["maps"], page["items"][0]["zammad"]) == ("activity", "id:99")
    second = viewer.get(f"{PATH}/causes", params={"size": 1, "page": 2}).json()
    assert ([row["key"] for row in second["items"]], second["total"]) == (["duplicate"], 2)
    rows = viewer.get(PATH, params={"cause": "unmapped_activity:99"}).json()["items"]
    assert [row["source_id"] for row in rows] == [UNMAPPED]
    refused(viewer.get(PATH, params={"cause": "nothing"}), 404, "No conflict has the cause 'nothing'.")
    body = {"choice": "ignore", "filter": {"cause": "duplicate"}}
    assert operator.post(f"{PATH}/decisions/preview", json=body).json()["conflicts"] == 1


def test_a_conflict_is_told_from_both_sides_with_candidates_choices_and_history(viewer: httpx.Client) -> None:
    row = conflict_of(viewer, TYPED)
    told = viewer.get(f"{PATH}/{row['id']}").json()
    assert told["conflict"] == row
    sides = {side["field"]: side for side in told["sides"]}
    assert sides["user"]["wanted"] == sides["user"]["found"] == "anna (10)"
    assert [candidate["timesheet_id"] for candidate in told["candidates"]] == [SHEET_TYPED]
    assert told["candidates"][0]["fields"]["duration"] == "30 min"
    assert [option["choice"] for option in told["choices"]] == ["link", "create", "ignore"]
    assert [past["id"] for past in told["history"]] == [row["id"]]


def test_links_lead_to_ticket_time_sheet_and_day(viewer: httpx.Client) -> None:
    row = conflict_of(viewer, TYPED)
    assert row["ticket_url"] == "http://zammad.invalid/#ticket/zoom/50"
    assert row["timesheet_url"] == f"http://kimai.invalid/en/team/timesheet/{SHEET_TYPED}/edit"
    assert row["day_url"].endswith("/assets/sync/reconciliation_results?view=partitions&partition=2025-08-16")


def test_markup_in_a_title_comes_back_as_text_of_json(viewer: httpx.Client) -> None:
    answer = viewer.get(PATH)
    assert answer.headers["content-type"] == "application/json"
    assert conflict_of(viewer, TYPED)["ticket_title"] == SCRIPT


def test_a_decision_names_its_author_and_asks_for_the_day(operator: httpx.Client, web: Web) -> None:
    row = conflict_of(operator, TYPED)
    assert decide(operator, row, "link").json() == {"id": row["id"], "choice": "link", "day": str(DAY)}
    assert web.rows("SELECT day, reason FROM sync.day_requests") == [(DAY, "decision")]
    (decided,) = operator.get(PATH, params={"resolution_status": "decided"}).json()["items"]
    assert decided["decision"] == "link"
    assert decided["decided_by"].startswith("user:")
    events = web.rows("SELECT actor, subject FROM sync.audit_logs WHERE event = 'conflict.decided'")
    assert events == [(decided["decided_by"], f"conflict:{row['id']}")]


CORRECTION, BOOKED, LATER = "12", "13", "14"


def store_correction(database: Database) -> None:
    """A correction of 30 minutes that is open, and two bookings of its ticket by another agent."""
    open_one = excluded(CORRECTION, booked="-30", open_minutes=Decimal(30))
    rows = (
        replace(open_one, sync_status=SyncStatus.CORRECTION_OPEN),
        entry(BOOKED, minutes="30", begin="2025-08-16T13:00"),
        entry(LATER, minutes="45", begin="2025-08-16T14:00"),
    )
    with database.transaction() as connection:
        for row in rows:
            connection.execute(
                text(
                    "INSERT INTO zammad.time_accountings (connector, id, ticket_id, units, agent_id, created_at, "
                    "updated_at, work_day, raw, sweep_id) VALUES ('zammad', :id, 50, :units, :agent, :at, :at, "
                    ":day, '{}', 1)"
                ),
                {
                    "id": int(row.source_id),
                    "units": row.booked_minutes,
                    "agent": 1 if row.source_id == CORRECTION else 2,
                    "at": row.created_at,
                    "day": DAY,
                },
            )
    day = planned_day()
    store_plan(database, replace(day, entries=[*day.entries, *rows], reducible={CORRECTION: [BOOKED, LATER]}))


def test_a_correction_is_offered_the_bookings_that_it_may_be_about(
    operator: httpx.Client, web: Web, database: Database
) -> None:
    store_correction(database)
    row = conflict_of(operator, CORRECTION)
    assert row["suggested_action"] == "reduce"
    told = operator.get(f"{PATH}/{row['id']}").json()
    assert [(found["booking_id"], found["minutes"], found["note"]) for found in told["bookings"]] == [
        (BOOKED, "30.0000", ""),
        (LATER, "45.0000", ""),
    ]
    assert [option["choice"] for option in told["choices"]] == ["reduce", "ignore"]
    refused(decide(operator, row, "reduce"), 409, "several candidates: name the booking that is meant.")
    refused(decide(operator, row, "reduce", booking_id=6), 409, "booking 6 is not a candidate; candidates: 13, 14")
    assert decide(operator, row, "reduce", booking_id=int(LATER)).status_code == 200
    pairs = "SELECT correction_id, reduced_id FROM sync.corrections"
    assert web.rows(pairs) == [(CORRECTION, LATER)]

    back = operator.post(f"{PATH}/{row['id']}/reopening")
    assert back.json() == {"id": row["id"], "choice": "reduce", "day": str(DAY)}
    assert web.rows(pairs) == []
    refused(operator.post(f"{PATH}/{row['id']}/reopening"), 409, "cannot be asked again")


def test_a_closed_day_says_what_reducing_means(operator: httpx.Client, web: Web, database: Database) -> None:
    store_correction(database)
    with database.transaction() as connection:
        connection.execute(text("UPDATE kimai.timesheets SET exported = true WHERE id = :id"), {"id": SHEET_SYNCED})
        connection.execute(
            text("UPDATE sync.pushes SET source_id = :id WHERE source_id = :old"), {"id": BOOKED, "old": SYNCED}
        )
    told = operator.get(f"{PATH}/{conflict_of(operator, CORRECTION)['id']}").json()
    assert [found["note"] for found in told["bookings"]] == [
        "It is exported, and so billed. The change becomes a conflict, to be adjusted in the open period.",
        "",
    ]


def test_a_viewer_takes_nothing_back(viewer: httpx.Client) -> None:
    assert viewer.post(f"{PATH}/{conflict_of(viewer, TYPED)['id']}/reopening").status_code == 403


def test_of_two_operators_the_first_holds_and_the_second_is_told_whose_decision_it_is(
    as_role: AsRole, web: Web
) -> None:
    clients = [as_role("operator"), as_role("admin")]
    row = conflict_of(clients[0], TYPED)
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda pair: decide(pair[0], row, pair[1]), zip(clients, ("link", "ignore"), strict=True))
        )
    first, second = sorted(answers, key=lambda answer: answer.status_code)
    assert first.status_code == 200
    decided = MEANT[Choice(first.json()["choice"])]
    refused(second, 409, f"decided to {decided}.")
    assert "user:" not in second.json()["detail"], "it says the name"
    assert web.rows("SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'decided'") == [(1,)]


def test_what_changed_since_it_was_seen_is_not_decided(operator: httpx.Client) -> None:
    row = conflict_of(operator, TYPED)
    refused(decide(operator, {**row, "facts_hash": "before"}, "link"), 409, "changed meanwhile: look at it again")
    assert conflict_of(operator, TYPED) == row


@pytest.mark.parametrize(
    ("choice", "more", "status", "sentence"),
    [
        (
            "update",
            {},
            409,
            "update the time sheet; possible: link the time sheet, create the time sheet, leave it out.",
        ),
        ("link", {"timesheet_id": 999}, 409, "time sheet 999 is not a candidate"),
        ("marry", {}, 422, "body.choice"),
        ("link", {"resolution_status": "open"}, 422, "body.resolution_status: Extra inputs are not permitted"),
        ("link", {"timesheet_id": 2**63}, 422, "body.timesheet_id"),
    ],
)
def test_what_cannot_be_decided_gets_a_sentence(
    operator: httpx.Client, choice: str, more: dict[str, Any], status: int, sentence: str
) -> None:
    refused(decide(operator, conflict_of(operator, TYPED), choice, **more), status, sentence)


def test_an_unknown_conflict_is_not_found(operator: httpx.Client) -> None:
    refused(operator.get(f"{PATH}/999"), 404, "There is no conflict 999")
    refused(decide(operator, {"id": 999, "facts_hash": ""}, "link"), 404, "There is no conflict 999")


def test_a_viewer_looks_and_decides_nothing(viewer: httpx.Client) -> None:
    row = conflict_of(viewer, TYPED)
    refused(decide(viewer, row, "link"), 403, "role operator")


def test_many_are_decided_each_on_its_own_and_those_left_say_why(operator: httpx.Client) -> None:
    rows = operator.get(PATH).json()["items"]
    seen = [{"id": row["id"], "facts_hash": row["facts_hash"]} for row in rows]
    answer = operator.post(f"{PATH}/decisions", json={"choice": "link", "conflicts": seen}).json()
    assert [row["id"] for row in answer["decided"]] == [conflict["id"] for conflict in rows if conflict["kimai_id"]]
    (left,) = answer["left"]
    assert "It is not possible to link the time sheet; possible: leave it out." in left["why"]


def test_a_preview_says_what_would_be_written_and_changes_nothing(operator: httpx.Client) -> None:
    before = operator.get(PATH).json()
    preview = operator.post(f"{PATH}/decisions/preview", json={"choice": "create", "filter": {}}).json()
    told = {name: preview[name] for name in ("conflicts", "left", "creates", "updates", "links", "deletes", "minutes")}
    assert told == {
        "conflicts": 2, "left": 1, "creates": 1, "updates": 0, "links": 0, "deletes": 0, "minutes": "30.0000"
    }  # fmt: skip
    link = {"choice": "link", "ids": [row["id"] for row in before["items"]]}
    assert operator.post(f"{PATH}/decisions/preview", json=link).json()["links"] == 1
    assert operator.get(PATH).json() == before


def test_a_filter_is_decided_by_the_digest_of_its_preview(operator: httpx.Client) -> None:
    wanted = {"choice": "ignore", "filter": {"search": "#50"}}
    preview = operator.post(f"{PATH}/decisions/preview", json=wanted).json()
    assert preview["left_out"] == "75.0000"
    asked = {**wanted, "digest": preview["digest"]}
    refused(operator.post(f"{PATH}/decisions", json=asked), 409, "1 h 15 would not be billed.")
    answer = operator.post(f"{PATH}/decisions", json={**asked, "why": "Goodwill"}).json()
    assert (len(answer["decided"]), answer["left"]) == (2, [])


def test_a_filter_whose_conflicts_changed_since_the_preview_is_not_decided(operator: httpx.Client, web: Web) -> None:
    wanted = {"choice": "ignore", "filter": {"search": "#50"}}
    digest = operator.post(f"{PATH}/decisions/preview", json=wanted).json()["digest"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.conflicts SET facts_hash = 'other' WHERE source_id = :id"), {"id": TYPED})
    answer = operator.post(f"{PATH}/decisions", json={**wanted, "digest": digest})
    refused(answer, 409, "Look at the preview again")
    assert operator.get(PATH).json()["total"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {"choice": "ignore"},
        {"choice": "ignore", "filter": {}},
        {"choice": "ignore", "filter": {}, "digest": "x", "conflicts": []},
        {"choice": "ignore", "filter": {"status": "decided"}, "digest": "x"},
        {"choice": "ignore", "filter": {"search": "\x00"}, "digest": "x"},
    ],
)
def test_many_are_named_in_one_way_only(operator: httpx.Client, body: dict[str, Any]) -> None:
    refused(operator.post(f"{PATH}/decisions", json=body), 422, "body")
