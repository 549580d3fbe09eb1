"""`/api/v1/sync`: asking for days once, plans and approvals as they were seen, runs, and how everything stands."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.store import cancellations, day_requests, plans, runs
from zk_pipeline.store.cancellations import RunCancellation
from zk_pipeline.store.database import Database
from zk_pipeline_tests.domain.builders import DAY, entry, inputs
from zk_pipeline_tests.web.api.planned import MISSING, SHEET_SYNCED, SYNCED, planned_day, store_plan
from zk_pipeline_tests.web.conftest import Web, refused

PATH = "/api/v1/sync"
RANGE = {"first": "2025-08-15", "last": "2025-08-17"}
OF_DAY = {"first": str(DAY), "last": str(DAY)}
REVIEW = {"push_mode": "review"}
NOBODY = {"dagster_address": "http://127.0.0.1:9"}


def carry_out(database: Database, run_id: str, first: date, last: date) -> None:
    """What a successful run leaves of the days."""
    with database.transaction() as connection:
        day_requests.attach(connection, run_id, first, last)
        runs.add(connection, run_id, first, last, {"created": 2})
        for number in range((last - first).days + 1):
            day_requests.complete(connection, first + timedelta(days=number), run_id)


def test_a_range_is_asked_for_and_told_until_it_is_done(operator: httpx.Client, web: Web) -> None:
    answer = operator.post(f"{PATH}/requests", json=RANGE)
    assert answer.status_code == 202
    asked = answer.json()
    assert (asked["state"], asked["days"], asked["days_done"], asked["runs"]) == ("waiting", 3, 0, [])
    assert web.rows("SELECT day::text, reason FROM sync.day_requests ORDER BY day") == [
        (f"2025-08-{day}", "person") for day in (15, 16, 17)
    ]
    carry_out(web.database, "run-1", date(2025, 8, 15), date(2025, 8, 16))
    assert operator.get(f"{PATH}/requests/{asked['id']}").json()["days_done"] == 2
    carry_out(web.database, "run-2", date(2025, 8, 17), date(2025, 8, 17))
    done = operator.get(f"{PATH}/requests/{asked['id']}").json()
    assert (done["state"], done["days_done"], [run["run_id"] for run in done["runs"]]) == (
        "done",
        3,
        ["run-1", "run-2"],
    )


def test_who_asked_is_in_the_audit_trail(operator: httpx.Client, web: Web) -> None:
    operator.post(f"{PATH}/requests", json=RANGE)
    ((actor, subject),) = web.rows("SELECT actor, subject FROM sync.audit_logs WHERE event = 'days.requested'")
    assert actor.startswith("user:")
    assert subject == "days:2025-08-15..2025-08-17"


def test_a_double_click_asks_once(operator: httpx.Client, web: Web) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: operator.post(f"{PATH}/requests", json=RANGE).json(), range(4)))
    assert len({answer["id"] for answer in answers}) == 1
    assert web.rows("SELECT count(*) FROM sync.day_requests") == [(3,)]


def test_a_part_of_a_waiting_range_is_a_request_of_its_own(operator: httpx.Client) -> None:
    whole = operator.post(f"{PATH}/requests", json=RANGE).json()
    part = operator.post(f"{PATH}/requests", json={**RANGE, "first": "2025-08-16"}).json()
    assert part["id"] != whole["id"]
    assert part["days"] == 2


def test_what_a_run_was_asked_to_do_may_be_asked_for_again(operator: httpx.Client, web: Web) -> None:
    first = operator.post(f"{PATH}/requests", json=RANGE).json()
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.day_requests SET tries = 1"))
    assert operator.post(f"{PATH}/requests", json=RANGE).json()["id"] != first["id"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"first": "2025-08-17", "last": "2025-08-15"}, "last 2025-08-15 is before first 2025-08-17. Swap them."),
        ({"first": "2019-12-31", "last": "2020-01-01"}, "first 2019-12-31 is before ZK_START_DATE=2020-01-01."),
        ({"first": "2024-01-01", "last": "9999-01-01"}, "last 9999-01-01 is in the future"),
        ({"first": "2023-01-01", "last": "2024-12-31"}, "are 731 days. Request at most 366 at once."),
        ({"first": "2025-02-30", "last": "2025-03-01"}, "body.first"),
        ({**RANGE, "reason": "change"}, "body.reason: Extra inputs are not permitted"),
    ],
)
def test_days_that_cannot_be_run_are_refused_and_nothing_is_asked_for(
    operator: httpx.Client, web: Web, body: dict[str, Any], sentence: str
) -> None:
    for resource in ("requests", "plans"):
        refused(operator.post(f"{PATH}/{resource}", json=body), 422, sentence)
    assert web.rows("SELECT count(*) FROM sync.day_requests") == [(0,)]


@pytest.mark.parametrize("settings", [NOBODY], indirect=True)
def test_without_dagster_no_plan_is_made_and_runs_are_told_with_unknown_status(
    operator: httpx.Client, web: Web
) -> None:
    carry_out(web.database, "run-1", DAY, DAY)
    refused(operator.post(f"{PATH}/plans", json=RANGE), 502, "Dagster at http://127.0.0.1:9 does not answer")
    page = operator.get(f"{PATH}/runs").json()
    assert page["total"] == 1
    (run,) = page["items"]
    assert (run["status"], run["counts"], run["carried_out"]) == ("unknown", {"created": 2}, True)
    assert run["url"] == "http://127.0.0.1:9/runs/run-1"
    assert operator.get(f"{PATH}/runs/run-1").json() == run
    refused(operator.get(f"{PATH}/runs/run-9"), 404, "Run run-9 does not exist.")


def test_the_stored_plan_has_the_sums_and_a_page_of_lines(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    plan = viewer.get(f"{PATH}/plans", params=OF_DAY).json()
    with web.database.transaction() as connection:
        expected = plans.planned_writes(connection, "kimai", DAY, DAY)
    names = ("creates", "updates", "deletes", "links", "customers", "projects")
    assert {name: plan["sums"][name] for name in names} == {name: getattr(expected, name) for name in names}
    assert (plan["sums"]["lines"], plan["sums"]["minutes"], plan["planned_days"]) == (1, "15.0000", 1)
    (line,) = plan["items"]
    assert (line["key"], line["action"], line["minutes"]) == (MISSING, "create", "15.0000")
    assert line["description"].startswith("Ticket #50: Printer on fire")
    assert viewer.get(f"{PATH}/plans", params={**OF_DAY, "page": 2}).json()["items"] == []


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_plan_is_approved_as_it_was_seen_and_nothing_is_started_by_that(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (seen,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    assert (seen["lines"], seen["approved"]) == (1, False)
    body = {"days": [{"day": seen["day"], "plan_hash": seen["plan_hash"]}]}
    assert operator.post(f"{PATH}/approvals", json=body).json() == {"days": {str(DAY): 1}, "refused": []}
    (approved,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    assert datetime.fromisoformat(approved["approved_at"]).tzinfo is not None
    by_whom = {"approved_by": "operator@example.com", "approved_at": approved["approved_at"]}
    assert approved == {**seen, "approved": True, "waiting": 0, **by_whom}
    assert web.rows("SELECT day, reason FROM sync.day_requests") == [], "carrying out is another act"
    assert operator.post(f"{PATH}/approvals", json=body).json() == {"days": {str(DAY): 1}, "refused": []}
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event = 'plan.approved'") == [(1,)]


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_an_approved_plan_that_changed_tells_how_many_lines_are_left_out(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (seen,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    operator.post(f"{PATH}/approvals", json={"days": [{"day": seen["day"], "plan_hash": seen["plan_hash"]}]})
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.reconciliation_results SET decided = 'create' WHERE action = 'create'"))
    (changed,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    assert (changed["approved"], changed["approved_by"], changed["changed"]) == (False, "operator@example.com", 1)


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_single_lines_are_approved_as_they_were_seen_with_agent_customer_project_and_minutes(
    operator: httpx.Client, web: Web
) -> None:
    store_plan(web.database, inputs(entry("5", minutes="30", begin="2025-08-16T07:00"), entry(MISSING)))
    first, second = operator.get(f"{PATH}/plans", params=OF_DAY).json()["items"]
    told = [first[name] for name in ("key", "agent", "customer", "project", "ticket", "minutes", "approved")]
    assert told == ["5", "Anna Agent", "Acme", "Acme", "#50", "30.0000", False]
    seen = {name: first[name] for name in ("day", "key", "hash")}
    body = {"lines": [seen, {**seen, "key": MISSING}]}
    answer = operator.post(f"{PATH}/approvals", json=body).json()
    assert answer["days"] == {str(DAY): 1}
    why = f"Look at line {MISSING} of {DAY} again: it has changed since it was shown."
    assert answer["refused"] == [{"day": str(DAY), "key": MISSING, "why": why}]
    lines = operator.get(f"{PATH}/plans", params=OF_DAY).json()["items"]
    assert [line["approved"] for line in lines] == [True, False]
    (day,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    assert (day["approved"], day["lines"], day["waiting"], day["changed"]) == (False, 2, 1, 0)
    assert second["hash"] == lines[1]["hash"], "the approval of one line leaves the others as they were shown"


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_what_was_shown_is_what_is_approved_down_to_the_names(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (seen,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.normalized_entries SET user_name = 'Somebody Else'"))
    body = {"days": [{"day": seen["day"], "plan_hash": seen["plan_hash"]}]}
    refused(
        operator.post(f"{PATH}/approvals", json=body),
        409,
        "Look at the plan of 2025-08-16 again: it has changed since it was shown",
    )


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_the_plan_from_before_an_undo_is_nobodys_plan(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (seen,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    body = {"days": [{"day": seen["day"], "plan_hash": seen["plan_hash"]}]}
    operator.post(f"{PATH}/approvals", json=body)
    with web.database.transaction() as connection:
        plans.take_back(connection, "kimai", DAY, SYNCED, SHEET_SYNCED, "run-of-the-undo")
    stored = operator.get(f"{PATH}/plans", params=OF_DAY).json()
    assert (stored["items"], stored["sums"]["lines"], stored["outdated_days"]) == ([], 0, [str(DAY)])
    assert operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"] == []
    refused(
        operator.post(f"{PATH}/approvals", json=body),
        409,
        "Preview 2025-08-16 again: the plan is from before an undo",
    )
    lines = operator.get("/api/v1/reconciliation", params={"view": "matches"}).json()
    assert lines["items"] == [], "Kimai has no longer what the line says"
    told = operator.get(f"/api/v1/reconciliation/{DAY}/{SYNCED}").json()["line"]
    assert (told["status"], told["taken_back_by"]) == ("in_sync", "run-of-the-undo")
    store_plan(web.database, planned_day())
    assert operator.get(f"{PATH}/plans", params=OF_DAY).json()["outdated_days"] == []


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_plan_that_changed_since_it_was_seen_is_not_approved(operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    (seen,) = operator.get(f"{PATH}/plans/days", params=OF_DAY).json()["items"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.reconciliation_results SET decided = 'create' WHERE action = 'create'"))
    body = {"days": [{"day": seen["day"], "plan_hash": seen["plan_hash"]}]}
    refused(
        operator.post(f"{PATH}/approvals", json=body),
        409,
        "Look at the plan of 2025-08-16 again: it has changed since it was shown",
    )
    assert web.rows("SELECT count(*) FROM sync.approvals") == [(0,)]


def test_where_plans_need_no_approval_none_is_taken(operator: httpx.Client) -> None:
    body = {"days": [{"day": str(DAY), "plan_hash": "x"}]}
    refused(operator.post(f"{PATH}/approvals", json=body), 422, "Set ZK_PUSH_MODE=review first")


def test_the_lag_counts_from_the_last_sync_that_reached_its_own_day(viewer: httpx.Client, web: Web) -> None:
    assert viewer.get(f"{PATH}/status").json()["lag_seconds"] is None
    carry_out(web.database, "backfill", DAY, DAY)
    assert viewer.get(f"{PATH}/status").json()["lag_seconds"] is None, "a backfill of old days says nothing of today"
    today = datetime.now(UTC).date()
    carry_out(web.database, "catch-up", today - timedelta(days=1), today)
    assert viewer.get(f"{PATH}/status").json()["lag_seconds"] < 60


def test_the_status_counts_what_waits(viewer: httpx.Client, operator: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    operator.post(f"{PATH}/requests", json=RANGE)
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.conflicts SET reason = 'refused_by_kimai' WHERE source_id = '7'"))
    status = viewer.get(f"{PATH}/status").json()
    assert (status["conflicts"], status["parked"], status["days_asked_for"]) == (1, 1, 3)


@pytest.mark.parametrize("settings", [{"max_changes": 0}], indirect=True)
def test_what_exceeds_the_limits_is_told_before_it_is_run(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    told = viewer.get(f"{PATH}/plans/objections", params=OF_DAY).json()["items"]
    assert told == ["It would write 1 time sheets, more than ZK_MAX_CHANGES=0."]


@pytest.mark.parametrize("settings", [{**REVIEW, "max_changes": 0}], indirect=True)
def test_there_are_no_limits_where_plans_are_approved(viewer: httpx.Client, web: Web) -> None:
    store_plan(web.database, planned_day())
    assert viewer.get(f"{PATH}/plans/objections", params=OF_DAY).json()["items"] == []


@pytest.mark.parametrize("settings", [NOBODY], indirect=True)
def test_who_lets_days_pass_the_limits_is_in_the_audit_trail_before_a_run_begins(
    admin: httpx.Client, operator: httpx.Client, web: Web
) -> None:
    refused(operator.post(f"{PATH}/overrides", json=RANGE), 403, "role admin")
    refused(admin.post(f"{PATH}/overrides", json=RANGE), 502, "Dagster at http://127.0.0.1:9 does not answer")
    ((actor, subject),) = web.rows("SELECT actor, subject FROM sync.audit_logs WHERE event = 'limits.overridden'")
    assert actor.startswith("user:")
    assert subject == "days:2025-08-15..2025-08-17"


def test_only_a_run_that_is_known_can_be_undone(operator: httpx.Client, viewer: httpx.Client) -> None:
    for ask in (operator.get, operator.post):
        refused(
            ask(f"{PATH}/runs/run-of-nobody/undo"),
            404,
            "No run that wrote anything has an id beginning with 'run-of-nobody'",
        )
    refused(viewer.get(f"{PATH}/runs/run-of-nobody/undo"), 403, "role operator")


@pytest.mark.usefixtures("ids")
def test_a_run_that_wrote_nothing_is_not_undone(operator: httpx.Client, web: Web) -> None:
    carry_out(web.database, "run-1-idle", DAY, DAY)
    plan = operator.get(f"{PATH}/runs/run-1-idle/undo").json()
    assert plan == {"run_id": "run-1-idle", "wanted": [], "left": []}
    refused(operator.post(f"{PATH}/runs/run-1-idle/undo"), 422, "Run run-1-idle has nothing to undo.")
    assert web.rows("SELECT count(*) FROM sync.audit_logs WHERE event = 'undo.requested'") == [(0,)]


def hold(database: Database, run_id: str) -> None:
    """What the sensor notes of a run that is cancelled when it has done the first day of the range."""
    with database.transaction() as connection:
        day_requests.attach(connection, run_id, date(2025, 8, 15), date(2025, 8, 17))
        day_requests.complete(connection, date(2025, 8, 15), run_id)
        days = date(2025, 8, 15), date(2025, 8, 17)
        cancellations.note(connection, RunCancellation(run_id, datetime.now(UTC), days))


def test_a_cancelled_range_waits_for_a_word_and_is_synced_again(
    operator: httpx.Client, viewer: httpx.Client, web: Web
) -> None:
    asked = operator.post(f"{PATH}/requests", json=RANGE).json()["id"]
    hold(web.database, "run-1")
    (waiting,) = viewer.get(f"{PATH}/held").json()["items"]
    assert (waiting["run_id"], waiting["cancelled_by"], waiting["changes"]) == ("run-1", "dagster", 2)
    assert waiting["days"] == ["2025-08-16", "2025-08-17"]
    assert viewer.get(f"{PATH}/requests/{asked}").json()["state"] == "held"
    refused(viewer.post(f"{PATH}/held/run-1/again"), 403, "role operator")
    answer = operator.post(f"{PATH}/held/run-1/again")
    assert (answer.status_code, answer.json()) == (202, waiting["days"])
    assert viewer.get(f"{PATH}/held").json()["items"] == []
    assert viewer.get(f"{PATH}/requests/{asked}").json()["state"] == "waiting"
    with web.database.transaction() as connection:
        assert {request.day.day for request in day_requests.unclaimed(connection)} == {16, 17}
    refused(operator.post(f"{PATH}/held/run-1/again"), 404, "they were decided already")


def test_a_cancelled_range_is_left_and_what_comes_later_is_not(operator: httpx.Client, web: Web) -> None:
    asked = operator.post(f"{PATH}/requests", json=RANGE).json()["id"]
    hold(web.database, "run-1")
    assert operator.post(f"{PATH}/held/run-1/leave").json() == ["2025-08-16", "2025-08-17"]
    state = operator.get(f"{PATH}/requests/{asked}").json()
    assert (state["state"], state["days_done"]) == ("left", 1)
    ((actor, subject),) = web.rows("SELECT actor, subject FROM sync.audit_logs WHERE event = 'days.left'")
    assert (actor[:5], subject) == ("user:", "days:2025-08-16..2025-08-17")
    with web.database.transaction() as connection:
        assert day_requests.unclaimed(connection) == []
        day_requests.ask(connection, [date(2025, 8, 16)], "change")
        assert len(day_requests.unclaimed(connection)) == 1


def test_asking_for_the_days_is_a_word_for_those_alone(operator: httpx.Client, web: Web) -> None:
    operator.post(f"{PATH}/requests", json=RANGE)
    hold(web.database, "run-1")
    operator.post(f"{PATH}/requests", json={"first": "2025-08-16", "last": "2025-08-16"})
    (waiting,) = operator.get(f"{PATH}/held").json()["items"]
    assert waiting["days"] == ["2025-08-17"]
    with web.database.transaction() as connection:
        assert [request.day.day for request in day_requests.unclaimed(connection)] == [16, 16]


@pytest.mark.parametrize("settings", [NOBODY], indirect=True)
def test_a_run_is_not_noted_as_cancelled_where_dagster_did_not_do_it(
    operator: httpx.Client, viewer: httpx.Client, web: Web
) -> None:
    refused(viewer.post(f"{PATH}/runs/run-1/cancel"), 403, "role operator")
    refused(operator.post(f"{PATH}/runs/run-1/cancel"), 502, "Dagster at http://127.0.0.1:9 does not answer")
    assert web.rows("SELECT count(*) FROM sync.cancelled_runs") == [(0,)]


@pytest.mark.parametrize(
    ("resource", "body"),
    [("requests", RANGE), ("plans", RANGE), ("approvals", {"days": [{"day": "2025-08-16", "plan_hash": "x"}]})],
)
def test_a_viewer_asks_for_nothing(viewer: httpx.Client, resource: str, body: dict[str, Any]) -> None:
    refused(viewer.post(f"{PATH}/{resource}", json=body), 403, "role operator")
