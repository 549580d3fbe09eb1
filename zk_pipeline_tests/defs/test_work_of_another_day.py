"""Work that is said to be of another day: the entry and its time sheet move, and nothing is taken for deleted."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import count

import pytest

from zk_pipeline.connectors.contract import Sweep, SweepReport
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import TimeAccounting, Window
from zk_pipeline_tests.defs import people
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_sandbox.kimai.model import Timesheet

NUMBERS = count(1)
FRIDAY = MONDAY + timedelta(days=4)
EVER = Window(at("00:00", date(2000, 1, 1)), at("00:00", date(2100, 1, 1)))

Work = dict[int, datetime]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """When the work of each booking was done: the simulated source knows it, and is read by it."""
    known: Work = {}
    read = ZammadConnector.fetch
    of_ticket = ZammadConnector.fetch_of_ticket

    def dated(rows: list[TimeAccounting]) -> list[TimeAccounting]:
        return [replace(row, worked_at=known.get(int(row.id))) for row in rows]

    def fetch(source: ZammadConnector, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        del hint
        sweep = read(source, EVER)
        rows = dated([row for page in sweep.pages() for row in page])
        within = sorted(
            (row for row in rows if window.start <= row.counts_at < window.end), key=lambda row: row.counts_at
        )
        report: SweepReport = replace(sweep.report, window=window, rows=len(within), rows_before=None)
        return Sweep(lambda: iter([within, report]))

    def fetch_of_ticket(source: ZammadConnector, ticket_id: str) -> list[TimeAccounting]:
        return dated(of_ticket(source, ticket_id))

    monkeypatch.setattr(ZammadConnector, "fetch", fetch)
    monkeypatch.setattr(ZammadConnector, "fetch_of_ticket", fetch_of_ticket)
    return known


def sync(world: World, *days: date) -> None:
    """Run each of these days alone."""
    for day in days:
        people.sync(world, next(NUMBERS), day, day)


def began(sheet: Timesheet) -> datetime:
    """When a time sheet of Kimai begins."""
    return datetime.fromtimestamp(sheet.begin, UTC)


def counts_on(world: World, booking: int) -> set[date]:
    """The days of the booking, its entry and its ledger row."""
    return {
        world.value(f"SELECT work_day FROM zammad.time_accountings WHERE id = '{booking}'"),
        world.value(f"SELECT entry_date FROM sync.normalized_entries WHERE source_id = '{booking}'"),
        world.value(f"SELECT entry_date FROM sync.pushes WHERE source_id = '{booking}'"),
    }


@pytest.mark.parametrize("order", [(MONDAY, FRIDAY), (FRIDAY, MONDAY)], ids=["former first", "new first"])
def test_the_time_sheet_moves_whichever_day_is_run_first(world: World, work: Work, order: tuple[date, date]) -> None:
    booking = world.desk.book(60, at("18:00", FRIDAY))
    work[booking] = at("09:00")
    sync(world, MONDAY)
    sheet = world.office.sheet(booking)
    assert (began(sheet), counts_on(world, booking)) == (at("09:00"), {MONDAY})

    work[booking] = at("10:00", FRIDAY)
    world.desk.server.edit(booking, units=60)
    sync(world, *order, MONDAY, FRIDAY)
    moved = world.office.sheet(booking)
    assert (moved.id, began(moved)) == (sheet.id, at("10:00", FRIDAY))
    assert counts_on(world, booking) == {FRIDAY}
    assert world.office.minutes() == {booking: [60]}
    assert world.value(f"SELECT gone_at FROM zammad.time_accountings WHERE id = '{booking}'") is None
    assert world.reasons() == []


def test_the_new_day_alone_asks_for_the_former_one(world: World, work: Work) -> None:
    booking = world.desk.book(60, at("18:00", FRIDAY))
    work[booking] = at("09:00")
    sync(world, MONDAY)
    work[booking] = at("10:00", FRIDAY)
    world.desk.server.edit(booking, units=60)
    sync(world, FRIDAY)
    asked = "SELECT string_agg(day::text, ' ') FROM sync.day_requests WHERE reason = 'former_day'"
    assert world.value(asked) == str(MONDAY)


def test_billed_work_stays_on_its_day_and_is_asked_about(world: World, work: Work) -> None:
    booking = world.desk.book(60, at("18:00", FRIDAY))
    work[booking] = at("09:00")
    sync(world, MONDAY)
    world.office.change(world.office.sheet(booking), exported=True)
    sync(world, MONDAY)
    work[booking] = at("10:00", FRIDAY)
    world.desk.server.edit(booking, units=60)
    sync(world, FRIDAY, MONDAY)
    assert counts_on(world, booking) == {MONDAY}
    assert began(world.office.sheet(booking)) == at("09:00")
    assert world.office.minutes() == {booking: [60]}
    assert world.reasons() == ["billed"]
