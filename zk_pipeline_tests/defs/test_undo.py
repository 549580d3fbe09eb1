"""Undoing a run through the real chain: each kind of write, what is left, and an undo that is killed half way."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.domain.undo import UndoReport
from zk_pipeline.store import audit, conflicts, ledger
from zk_pipeline_tests.defs.asking import undo
from zk_pipeline_tests.defs.world import World, at


def sync(world: World) -> str:
    """Sync the day; the id of the run."""
    return world.sync().run_ids[-1]


def reasons_left(report: UndoReport) -> list[str]:
    return [line["text"] for line in report.left]


def state(world: World) -> list[tuple[Any, ...]]:
    """All that Kimai holds, but for ids."""
    return [
        (row.user, row.begin, row.duration, row.activity, row.description, row.exported)
        for row in sorted(world.office.rows, key=lambda row: (row.begin, row.description or ""))
    ]


def names(world: World) -> tuple[set[str], set[str]]:
    """The customers and projects of Kimai."""
    tables = world.office.server.kimai
    return {row.name for row in tables.customers}, {row.name for row in tables.projects}


def deleted(world: World) -> tuple[int, str]:
    """A booking whose time sheet a run deleted, and that run; another booking stays."""
    booking, _ = world.desk.book(30), world.desk.book(45, agent="ben")
    sync(world)
    world.desk.server.delete(booking)
    run = sync(world)
    assert world.office.of(booking) == []
    return booking, run


def restore_to_before(world: World, booking: int, run: str) -> None:
    """Leave the database as a backup of before the run was undone has it, restored an hour ago."""
    now = datetime.now(UTC)
    with world.environment.runtime.database.transaction() as connection:
        ledger.release(connection, "kimai", str(booking), "It is gone from Zammad.", run)
        ledger.remember(connection, now - timedelta(days=1), now - timedelta(hours=1))
    world.execute("UPDATE sync.writes SET undone_by = NULL WHERE run_id = :run", run=run)


def decide(world: World, choice: Choice) -> None:
    """Decide about the one open conflict."""
    (conflict,) = world.conflicts()
    with world.environment.runtime.database.transaction() as connection:
        conflicts.decide(connection, conflict.id, choice, actor="tests")


def test_what_a_run_created_is_deleted_with_its_customers_and_projects(world: World) -> None:
    bookings = [world.desk.book(30), world.desk.book(45, agent="ben", ticket="globex")]
    before = names(world)
    run = sync(world)
    assert len(names(world)[1]) == len(before[1]) + 2
    report = undo(run)
    assert report.undone == {"delete": 2, "remove": 4}
    assert report.left == []
    assert world.office.rows == []
    assert names(world) == before
    assert world.ledger() == dict.fromkeys(bookings, "undone")


def test_sync_undo_and_sync_again_give_the_same_kimai(world: World) -> None:
    world.desk.book(30)
    world.desk.book(45, agent="ben", ticket="globex")
    run = sync(world)
    expected = state(world), names(world)
    undo(run)
    sync(world)
    assert (state(world), names(world)) == expected
    assert world.reasons() == []
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


def test_what_a_run_updated_gets_its_old_values_and_the_next_sync_the_new_ones(world: World) -> None:
    booking = world.desk.book(30)
    sync(world)
    world.desk.server.edit(booking, units=45)
    run = sync(world)
    report = undo(run)
    assert report.undone == {"restore": 1}
    assert world.office.minutes() == {booking: [30]}
    assert world.sync().counts["updated"] == 1
    assert world.office.minutes() == {booking: [45]}
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


def test_undone_updates_keep_what_people_wrote_meanwhile(world: World) -> None:
    booking = world.desk.book(30)
    sync(world)
    world.desk.server.edit(booking, units=45)
    run = sync(world)
    row = world.office.sheet(booking)
    world.office.change(row, description=f"{row.description} call back", billable=False)
    undo(run)
    restored = world.office.sheet(booking)
    assert (restored.duration, restored.description, restored.billable) == (1800, f"{row.description} call back", False)


def test_a_new_time_sheet_on_which_people_worked_is_left_and_listed(world: World) -> None:
    kept, gone = world.desk.book(30), world.desk.book(45)
    run = sync(world)
    world.office.change(world.office.sheet(kept), description=f"Called back. {world.office.sheet(kept).description}")
    worked_on = world.office.sheet(kept)
    report = undo(run)
    assert report.undone["delete"] == 1
    assert "People edited its description since." in reasons_left(report)
    assert (world.office.of(kept), world.office.of(gone)) == ([worked_on], [])


def test_a_linked_time_sheet_loses_the_marker_and_is_offered_again(world: World) -> None:
    booking = world.desk.book(30)
    typed = world.office.type_by_hand(at("09:00"), 30, f"{world.desk.number()} paper")
    sync(world)
    text = world.office.rows[0].description
    decide(world, Choice.LINK)
    run = sync(world)
    assert world.office.sheet(booking).id == typed
    report = undo(run)
    assert report.undone == {"unlink": 1}
    assert [row.description for row in world.office.rows] == [text]
    sync(world)
    assert world.reasons() == ["duplicate"]
    assert len(world.office.rows) == 1


def test_a_linked_time_sheet_whose_text_was_edited_keeps_it(world: World) -> None:
    booking = world.desk.book(30)
    world.office.type_by_hand(at("09:00"), 30, f"{world.desk.number()} paper")
    sync(world)
    decide(world, Choice.LINK)
    run = sync(world)
    row = world.office.sheet(booking)
    world.office.change(row, description=f"{row.description} and toner")
    report = undo(run)
    assert reasons_left(report) == ["Its description was edited since."]
    assert world.office.sheet(booking).description == f"{row.description} and toner"


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_what_a_run_deleted_is_created_again_with_its_marker(world: World) -> None:
    booking, run = deleted(world)
    expected = {"confirmed"}
    report = undo(run)
    assert report.undone == {"create": 1}
    assert world.office.minutes()[booking] == [30]
    assert set(world.ledger().values()) == expected
    assert world.sync().counts["deleted"] == 1
    assert world.office.of(booking) == []


def test_what_is_exported_is_left_and_told(world: World) -> None:
    billed, other = world.desk.book(30), world.desk.book(45, agent="ben")
    run = sync(world)
    world.office.change(world.office.sheet(billed), exported=True)
    report = undo(run)
    assert reasons_left(report)[0] == "It is exported, and so billed."
    assert world.office.minutes() == {billed: [30]}
    assert world.ledger() == {billed: "confirmed", other: "undone"}


def test_what_was_edited_since_is_left_and_told(world: World) -> None:
    booking = world.desk.book(30)
    run = sync(world)
    world.office.change(world.office.sheet(booking), duration=3000, end=world.office.sheet(booking).begin + 3000)
    report = undo(run)
    assert reasons_left(report)[0] == "It was edited since: duration 1800 → 3000."
    assert world.office.minutes() == {booking: [50]}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_time_sheet_on_which_kimai_always_fails_is_left_and_the_others_are_undone(world: World, method: str) -> None:
    broken, other = world.desk.book(30), world.desk.book(45, agent="ben")
    run = sync(world)
    path = f"/api/timesheets/{world.office.sheet(broken).id}$"
    world.office.control.add_fault("respond", method=method, path=path, status=500)
    assert f"Kimai: {method} {path[:-1]} answered 500" in reasons_left(undo(run))[0]
    assert world.office.minutes() == {broken: [30]}
    world.office.control.clear_faults()
    undo(run)
    assert world.office.minutes() == {}
    assert world.ledger() == {broken: "undone", other: "undone"}


@pytest.mark.parametrize("settings", [{}], indirect=True)
def test_what_lies_in_a_closed_period_is_left_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    booking = world.desk.book(30)
    run = sync(world)
    monkeypatch.setenv("ZK_LOCKED_BEFORE", "2025-10-07")
    report = undo(run)
    assert reasons_left(report)[0] == "2025-10-06 is closed: nothing is written before 2025-10-07."
    assert world.office.minutes() == {booking: [30]}


def test_customers_and_projects_that_somebody_uses_stay(world: World) -> None:
    world.desk.book(30)
    run = sync(world)
    project = world.office.rows[0].project
    hand = world.office.type_by_hand(at("12:00"), 15, "by hand", "ben")
    world.office.change(world.office.server.kimai.timesheets.rows[hand], project=project)
    report = undo(run)
    assert report.undone == {"delete": 1}
    assert [line["operation"] for line in report.left] == ["create_project", "create_customer"]
    assert "1 time sheets refer to it." in reasons_left(report)[0]
    assert "It has projects." in reasons_left(report)[1]
    assert [row.id for row in world.office.rows] == [hand]


def test_customers_and_projects_that_were_only_found_stay(world: World) -> None:
    world.desk.book(30)
    first = sync(world)
    undo_rows = names(world)
    second_booking = world.desk.book(45)
    second = sync(world)
    report = undo(second)
    assert report.undone == {"delete": 1}
    assert names(world) == undo_rows
    assert second_booking not in world.office.minutes()
    assert undo(first).undone == {"delete": 1, "remove": 2}


def test_a_run_that_wrote_nothing_has_nothing_to_undo(world: World) -> None:
    world.desk.book(30)
    sync(world)
    world.execute("DELETE FROM sync.pushes")
    run = sync(world)
    assert world.ledger() != {}
    report = undo(run)
    assert (report.undone, report.left) == ({}, [])
    assert len(world.office.rows) == 1


def test_undoing_twice_does_it_once(world: World) -> None:
    world.desk.book(30)
    run = sync(world)
    undo(run)
    writes = world.office.control.requests().writes
    report = undo(run)
    assert (report.undone, report.left) == ({}, [])
    assert world.office.control.requests().writes == writes


def test_an_undo_can_be_undone_itself(world: World) -> None:
    booking = world.desk.book(30)
    run = sync(world)
    undone = undo(run)
    report = undo(undone.run_id)
    assert report.undone == {}
    assert len(report.left) == 3
    sync(world)
    assert world.office.minutes() == {booking: [30]}


def test_an_undo_is_journalled_and_audited_and_asks_for_no_day(world: World) -> None:
    booking = world.desk.book(30)
    run = sync(world)
    report = undo(run)
    with world.environment.runtime.database.transaction() as connection:
        written = ledger.of_run(connection, "kimai", report.run_id)
        undone_by = {write.undone_by for write in ledger.of_run(connection, "kimai", run)}
        assert audit.verify(connection).broken_at is None
    assert [write.entry.operation for write in written] == ["delete_customer", "delete_project", "delete"]
    assert written[-1].entry.source_id == str(booking)
    assert undone_by == {report.run_id}
    assert world.value("SELECT count(*) FROM sync.audit_logs WHERE event = 'kimai.write.undone'") == 3
    assert world.value("SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL") == 0


PLACES = ("when a write was sent", "when a write was answered", "within a commit", "after a commit")
