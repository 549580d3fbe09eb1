"""Tagging a closed month's time sheets as billed: which get the tag, once, and how it is taken off again."""

from datetime import date, timedelta

import pytest

from zk_pipeline.billing import periods
from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.defs.jobs import TagReport
from zk_pipeline.domain.undo import UndoReport
from zk_pipeline.stages.push.tagging import BilledTagger, MonthOpenError, TagResult
from zk_pipeline.store import periods as store
from zk_pipeline.store.ledger import BoundTimesheet
from zk_pipeline_tests.defs.asking import tag, undo
from zk_pipeline_tests.defs.billing import ADMIN, Books
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at
from zk_sandbox.kimai.model import Timesheet

OCTOBER = "2025-10"
LAST, FIRST = date(2025, 10, 31), date(2025, 11, 1)
DAY = 86_400


@pytest.fixture
def books(world: World) -> Books:
    return Books(world)


def tag_october() -> TagReport:
    """Tag October as `zk close 2025-10 --tag` does."""
    return tag(OCTOBER)


def take_back(report: TagReport) -> UndoReport:
    """Undo the tagging as `zk undo` does."""
    return undo(report.run_id)


def move(world: World, booking: int, seconds: int) -> None:
    """Move the time sheet of a booking to another day, as a person in Kimai would."""
    row = world.office.sheet(booking)
    world.office.change(row, begin=row.begin + seconds, end=row.begin + row.duration + seconds)


def tags_of(world: World, row: Timesheet) -> set[str]:
    """The names of a time sheet's tags."""
    return {world.office.server.kimai.tags.rows[id_].name for id_ in row.tags}


def test_the_tag_is_set_on_what_is_not_exported_keeps_other_tags_and_is_taken_back(books: Books) -> None:
    world = books.world
    first, second = world.desk.book(60), world.desk.book(30, agent="ben")
    world.office.type_by_hand(at("15:00"), 15, "Own work")
    world.sync()
    world.office.change(world.office.sheet(second), exported=True)
    books.close()
    report = tag_october()
    assert (report.tagged, report.left) == (1, [])
    assert {row.id for row in world.office.rows if "billed:2025-10" in tags_of(world, row)} == {
        world.office.sheet(first).id
    }
    assert tags_of(world, world.office.sheet(first)) == {"zammad", "synced", "billed:2025-10"}
    assert tag_october().tagged == 0
    (left,) = take_back(report).left
    assert "2025-10 was closed for billing" in left["text"]
    periods.reopen(world.environment.runtime, ADMIN, OCTOBER, "a mistake")
    assert take_back(report).undone == {"untag": 1}
    assert tags_of(world, world.office.sheet(first)) == {"zammad", "synced"}


def test_a_month_that_is_opened_while_it_is_tagged_is_tagged_no_further(books: Books) -> None:
    world, runtime, tuesday = books.world, books.world.environment.runtime, MONDAY + timedelta(days=1)
    first, second = world.desk.book(60), world.desk.book(30, at("10:00", tuesday))
    world.sync(MONDAY, tuesday)
    books.close()

    class Interrupted(BilledTagger):
        def _tag(self, sheet: BoundTimesheet, tag: str, done: TagResult) -> None:
            super()._tag(sheet, tag, done)
            with runtime.database.transaction() as connection:
                store.reopen(connection, MONDAY.replace(day=1), actor=ADMIN.name, reason="a mistake")

    with runtime.target() as target, pytest.raises(MonthOpenError, match="2025-10 is not closed"):
        Interrupted(runtime.database, target, ZONE, "run").carry_out(MONDAY.replace(day=1))
    assert "billed:2025-10" in tags_of(world, world.office.sheet(first))
    assert "billed:2025-10" not in tags_of(world, world.office.sheet(second))


def test_a_time_sheet_on_which_kimai_always_fails_is_left_and_the_others_are_tagged(books: Books) -> None:
    world, runtime = books.world, books.world.environment.runtime
    broken, good = world.desk.book(60), world.desk.book(30, agent="ben")
    world.sync()
    books.close()
    path = f"/api/timesheets/{world.office.sheet(broken).id}$"
    world.office.control.add_fault("respond", method="PATCH", path=path, status=500)
    with runtime.target() as target:
        tagged = BilledTagger(runtime.database, target, ZONE, "run").carry_out(MONDAY.replace(day=1))
    assert (tagged.tagged, len(tagged.left)) == (1, 1)
    assert "answered 500" in tagged.left[0]
    assert "billed:2025-10" in tags_of(world, world.office.sheet(good))


def test_no_tag_is_written_in_the_mode_that_never_writes(books: Books, surroundings: pytest.MonkeyPatch) -> None:
    books.world.desk.book(60)
    books.world.sync()
    books.close()
    before = books.world.office.rows
    surroundings.setenv("ZK_PUSH_MODE", "off")
    with pytest.raises(SyncFailedError, match="ZK_PUSH_MODE is off, so nothing is written to Kimai"):
        tag_october()
    assert books.world.office.rows == before


def test_a_tag_whose_run_died_before_its_commit_is_in_the_journal_after_the_next_run(books: Books) -> None:
    world = books.world
    booking = world.desk.book(60)
    world.sync()
    books.close()
    sheet, billed = world.office.sheet(booking), world.office.server.add_tag("billed:2025-10")
    world.office.change(sheet, tags=(*sheet.tags, billed))
    world.sync()  # The day is read again, so that the mirror has the tag.
    before = world.office.rows
    report = tag_october()
    assert (world.office.rows, report.tagged, tag_october().tagged) == (before, 1, 0)
    periods.reopen(world.environment.runtime, ADMIN, OCTOBER, "a mistake")
    assert take_back(report).undone == {"untag": 1}
    assert tags_of(world, world.office.sheet(booking)) == {"zammad", "synced"}


def test_a_time_sheet_is_tagged_with_the_month_of_its_booking_wherever_it_was_moved(books: Books) -> None:
    world = books.world
    of_october, of_november = world.desk.book(60, at("09:00", LAST)), world.desk.book(30, at("09:00", FIRST))
    world.sync(LAST, FIRST)
    move(world, of_october, DAY)
    move(world, of_november, -DAY)
    books.close(LAST)
    report = tag_october()
    assert (report.tagged, tag_october().tagged) == (1, 0)
    assert "billed:2025-10" in tags_of(world, world.office.sheet(of_october))
    assert "billed:2025-10" not in tags_of(world, world.office.sheet(of_november))
    (left,) = take_back(report).left
    assert "2025-10 was closed for billing" in left["text"]
    books.close(FIRST)
    assert tag("2025-11").tagged == 1
    assert tags_of(world, world.office.sheet(of_october)) == {"zammad", "synced", "billed:2025-10"}
    assert tags_of(world, world.office.sheet(of_november)) == {"zammad", "synced", "billed:2025-11"}
