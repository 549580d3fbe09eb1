"""One month, four views: the tables of `zk sync`, the dashboard, Dagster's metadata and the statement agree."""

from datetime import timedelta
from decimal import Decimal

import pytest

from zk_pipeline.billing.statements import statement
from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.domain.statement import Statement, minutes_per_day
from zk_pipeline.operate import home, overview
from zk_pipeline.store import summaries
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.summaries import DaySpan, Summary
from zk_pipeline_tests.defs.marts.conftest import Marts
from zk_pipeline_tests.defs.world import MONDAY, at

pytestmark = pytest.mark.dagster

TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture(scope="module")
def second(marts: Marts) -> SyncReport:
    """Two days with all that may become of a booking, synced twice; what the second run says."""
    world = marts.world
    kept, edited, deleted = (world.desk.book(minutes) for minutes in (60, 45, 30))
    world.desk.book(20, type_id=world.desk.server.add_type("Travel"))
    world.desk.book(-15, at("10:00"), agent="ben", ticket="globex")
    world.desk.book(90, at("11:00", TUESDAY), agent="ben", ticket="globex")
    world.desk.book(-30, at("12:00", TUESDAY), agent="ben", ticket="globex")
    world.sync(MONDAY, TUESDAY)
    row = world.office.sheet(edited)
    world.office.change(row, end=row.end + 600, duration=row.duration + 600)
    world.office.server.kimai.timesheets.remove(world.office.sheet(deleted).id)
    original = world.office.sheet(kept)
    world.office.server.add_timesheet(
        original.user,
        original.project,
        original.activity,
        at("15:00", TUESDAY),
        at("16:00", TUESDAY),
        original.description or "",
    )
    return world.sync(MONDAY, TUESDAY)


@pytest.fixture(scope="module")
def tables(marts: Marts, second: SyncReport) -> tuple[list[Summary], list[Summary]]:
    """By agent and by customer, as `zk sync` prints them."""
    span = DaySpan(MONDAY, TUESDAY)
    with marts.runtime.database.transaction() as connection:
        return (
            summaries.by_agent(connection, "kimai", span, second.run_ids),
            summaries.by_customer(connection, "kimai", span, second.run_ids),
        )


@pytest.fixture(scope="module")
def month(marts: Marts, second: SyncReport) -> Statement:
    assert second.entries
    return statement(marts.runtime, "2025-10")


def test_what_was_booked_is_the_same_in_each(
    marts: Marts, tables: tuple[list[Summary], list[Summary]], month: Statement
) -> None:
    with marts.runtime.database.transaction() as connection:
        days = overview.minutes_by_day(connection, active_connectors(connection), MONDAY, TUESDAY)
    shown = [marts.world.metadata(("sync", "normalized_entries"), day)["hours_booked"] for day in (MONDAY, TUESDAY)]
    booked = [*(sum(row.minutes for row in table) for table in tables), sum(day.booked for day in days)]
    assert booked == [Decimal(200)] * 3
    assert (month.total.zammad, sum(shown)) == (200, pytest.approx(200 / 60, abs=0.01))


def test_home_says_of_kimai_what_the_statement_says(marts: Marts, month: Statement) -> None:
    shown = home.home(marts.runtime, month.month)
    assert shown.in_target == sum(day.synced for day in shown.days) == month.total.kimai
    assert shown.in_target != shown.shares.in_target, "among them is a time sheet that somebody edited"
    of_day = {row.day: row.kimai for row in minutes_per_day(month)}
    assert {day.day: day.synced for day in shown.days if day.day in of_day} == of_day


def test_what_waits_is_in_sync_in_none(
    marts: Marts, tables: tuple[list[Summary], list[Summary]], month: Statement, second: SyncReport
) -> None:
    with marts.runtime.database.transaction() as connection:
        days = overview.minutes_by_day(connection, active_connectors(connection), MONDAY, TUESDAY)
        waiting = summaries.waiting_by_reason(connection, "kimai", DaySpan(MONDAY, TUESDAY))
    statuses = [marts.world.metadata(("sync", "reconciliation_results"), day) for day in (MONDAY, TUESDAY)]
    in_sync = [*(sum(row.in_sync for row in table) for table in tables), second.outcomes["in_sync"]]
    assert [*in_sync, sum(status["status/in_sync"] for status in statuses)] == [2] * 4
    assert sum(day.synced for day in days) == 120
    reasons = {"kimai_edited": 45, "deleted_in_kimai": 30, "unmapped_activity": 20, "unmatched_correction": -15}
    assert {row.reason: row.minutes for row in waiting} == {**reasons, "marker_cloned": 0}
    # The statement counts what Kimai lacks: of the edited one, in which Kimai has 10 minutes more, that is less than 0.
    assert (month.total.waiting, month.total.corrections_open) == (45 - 55 + 30 + 20, reasons["unmatched_correction"])
    waits = [sum(sum(row.waiting.values()) for row in table) for table in tables]
    assert waits == [4, 4]
    assert second.conflicts + second.parked == 5
    assert sum(status["action/review"] for status in statuses) == 5
    assert second.entries == sum(row.entries for row in tables[0]) == 7
