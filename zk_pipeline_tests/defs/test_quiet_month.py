"""A settled month in which nothing changed is confirmed with few requests; whatever changed is read as ever."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event

from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.stages import last_read
from zk_pipeline.store import day_requests
from zk_pipeline_tests.defs.world import World, at

FIRST, LAST = date(2025, 10, 1), date(2025, 10, 3)
"""A short span stands for the month: what is confirmed costs the same, however long it is."""

ENTRIES = 6
BOOKINGS = "GET /api/v1/time_accountings"
VERSION = "GET /api/version"
"""Asked only where not both systems confirm the month."""


@pytest.fixture
def settled(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A span that was carried over a day ago by Kimai's clock, and synced again since."""
    monkeypatch.setattr(last_read, "WORTHWHILE", 1)
    # The systems were set up a moment ago, which is no change since the last read.
    monkeypatch.setattr(last_read, "OVERLAP", timedelta(0))
    for day in (FIRST, FIRST + timedelta(days=1), LAST):
        for agent, ticket in (("anna", "acme"), ("ben", "globex")):
            world.desk.book(5 + day.day, at("09:10", day), agent=agent, ticket=ticket)
    world.office.control.configure(now=(datetime.now(UTC) - timedelta(days=1)).isoformat())
    world.sync(FIRST, LAST)
    world.office.control.configure(now=None)
    world.sync(FIRST, LAST)
    return world


def sync_again(world: World, *, job: str = "sync") -> tuple[SyncReport, dict[str, int]]:
    """Another sync of the month, and the requests to both systems by their route."""
    for control in (world.desk.control, world.office.control):
        control.reset_requests()
    report = world.sync(FIRST, LAST, job=job)
    return report, {**world.desk.control.requests().by_route, **world.office.control.requests().by_route}


def a_booking(world: World) -> int:
    return min(row.id for row in world.desk.server.state.accountings)


def test_a_quiet_month_takes_at_most_twelve_requests(settled: World) -> None:
    report, routes = sync_again(settled)
    assert report.counts["in_sync"] == ENTRIES
    assert sum(routes.values()) <= 12, routes
    counted = report.to_json()["requests"]
    assert counted["zammad"]["read"] + counted["kimai"]["read"] == sum(routes.values())

    again, routes = sync_again(settled)
    assert again.counts["in_sync"] == ENTRIES
    assert sum(routes.values()) <= 12, "What was confirmed is confirmed again"


def test_a_day_more_without_work_costs_few_statements(settled: World) -> None:
    sent: list[str] = []
    engine = settled.environment.runtime.database.engine
    event.listen(engine, "before_cursor_execute", lambda *passed: sent.append(passed[2]))
    of_sync: list[int] = []
    for days in (3, 13):
        sent.clear()
        settled.sync(FIRST, FIRST + timedelta(days=days - 1))
        of_sync.append(len(sent))
    short, long = of_sync
    assert (long - short) / 10 <= 24


def test_new_bookings_of_other_days_do_not_matter(settled: World) -> None:
    settled.desk.tickets["new"] = settled.desk.server.add_ticket("New")
    settled.desk.book(30, datetime.now(UTC), ticket="new")
    report, routes = sync_again(settled)
    assert report.counts["in_sync"] == ENTRIES
    assert routes[BOOKINGS] == 1


def test_an_edited_booking_is_carried_over(settled: World) -> None:
    settled.desk.server.edit(a_booking(settled), units="59")
    report, _ = sync_again(settled)
    assert report.counts["updated"] == 1
    assert settled.office.sheet(a_booking(settled)).duration == 59 * 60


def test_a_booking_of_an_old_time_is_carried_over(settled: World) -> None:
    """As an import makes it: nothing shows it but the total."""
    imported = settled.desk.book(25, at("15:00", FIRST))
    sync_again(settled)
    assert settled.office.minutes()[imported] == [25]


def test_a_deleted_booking_is_noticed(settled: World) -> None:
    settled.desk.server.delete(a_booking(settled))
    sync_again(settled)
    assert settled.reasons() == ["deleted_in_zammad"]


def test_a_ticket_of_another_organization_moves_its_time_sheets(settled: World) -> None:
    other = settled.desk.server.add_organization("Initech")
    settled.desk.server.reassign(settled.desk.tickets["acme"], organization_id=other)
    report, _ = sync_again(settled)
    assert report.counts["updated"] == ENTRIES / 2


def test_an_edited_time_sheet_is_noticed(settled: World) -> None:
    sheet = settled.office.sheet(a_booking(settled))
    settled.office.server.edit_timesheet(sheet.id, end=sheet.begin + sheet.duration + 600)
    sync_again(settled)
    assert settled.reasons() == ["kimai_edited"]


def test_a_deleted_time_sheet_is_noticed(settled: World) -> None:
    settled.office.server.kimai.timesheets.remove(settled.office.sheet(a_booking(settled)).id)
    sync_again(settled)
    assert settled.reasons() == ["deleted_in_kimai"]


def test_a_bulk_export_is_read_though_it_leaves_no_time_of_change(settled: World) -> None:
    settled.office.server.export(settled.office.users["sync"], FIRST, LAST)
    sync_again(settled)
    assert settled.value("SELECT count(*) FROM kimai.timesheets WHERE exported") == ENTRIES


def test_time_sheets_that_a_deleted_activity_left_to_another_are_read(settled: World) -> None:
    """Kimai moves them without a time of change."""
    other = settled.office.server.add_activity("Successor")
    for row in settled.office.rows:
        settled.office.change(row, activity=other)
    settled.office.server.kimai.tables["activities"].remove(settled.office.activity)
    sync_again(settled)
    assert settled.value("SELECT count(*) FROM kimai.timesheets WHERE activity_id = " + str(other)) == ENTRIES


def test_one_of_ours_outside_of_the_month_is_still_asked_for(settled: World) -> None:
    sheet = settled.office.sheet(a_booking(settled))
    shift = 90 * 86400
    settled.office.change(sheet, begin=sheet.begin + shift, end=sheet.begin + sheet.duration + shift)
    sync_again(settled)
    assert settled.reasons() == ["kimai_edited"]


def test_nothing_is_confirmed_while_a_question_is_open(settled: World) -> None:
    settled.desk.book(30, at("11:00", FIRST), type_id=settled.desk.server.add_type("Travel"))
    settled.sync(FIRST, LAST)
    assert settled.reasons() == ["unmapped_activity"]
    assert VERSION in sync_again(settled)[1]


def test_nothing_is_confirmed_while_a_day_is_requested(settled: World) -> None:
    with settled.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, [LAST], day_requests.PERSON)
    assert VERSION in sync_again(settled)[1]


def test_tickets_that_the_account_may_not_see_are_reported_anew(settled: World) -> None:
    settled.execute("UPDATE zammad.tickets SET complete = false WHERE id = :id", id=str(settled.desk.tickets["acme"]))
    assert VERSION in sync_again(settled)[1]


@pytest.mark.dagster
def test_the_nightly_check_reads_everything(settled: World) -> None:
    assert VERSION not in sync_again(replace(settled, on_dagster=True))[1]
    assert VERSION in sync_again(settled, job="deep_check")[1]
