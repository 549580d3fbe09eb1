"""The answer to a write is lost: what rounding did is taken over, what a person edited meanwhile is asked about."""

from collections.abc import Callable
from typing import Any

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline_tests.defs.crashing import KILLED, Child
from zk_pipeline_tests.defs.deciding import decide, stretch, writes
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_sandbox.kimai.model import Timesheet

EDITS: dict[str, Callable[[World, Timesheet], dict[str, Any]]] = {
    "shortened": lambda _, row: {"end": row.begin + 1800, "duration": 1800},
    "moved": lambda _, row: {"begin": row.begin + 7200, "end": (row.end or 0) + 7200},
    "given to another user": lambda world, _: {"user": world.office.users["ben"]},
    "given to another project": lambda world, _: {"project": world.office.other_project},
    "given another activity": lambda world, _: {"activity": world.office.server.add_activity("Training")},
}


def round_to(world: World, minutes: int, mode: str = "default") -> None:
    """Have Kimai round begin and end to so many minutes."""
    rule = "timesheet.rounding.default"
    world.office.server.configure({f"{rule}.mode": mode, f"{rule}.begin": minutes, f"{rule}.end": minutes})


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_after_a_lost_create_is_neither_absorbed_nor_overwritten(world: World, edit: str) -> None:
    booking = world.desk.book(60)
    assert Child(MONDAY, killed="after the answer").ended() == KILLED
    world.office.change(world.office.sheet(booking), **EDITS[edit](world, world.office.sheet(booking)))
    edited = world.office.sheet(booking)
    for _ in range(2):
        assert writes(world.sync()) == 0
        assert world.reasons() == ["kimai_edited"]
        assert world.office.sheet(booking) == edited


@pytest.mark.parametrize(("choice", "minutes"), [(Choice.UPDATE, 60), (Choice.KEEP, 30)])
def test_the_version_chosen_after_a_lost_create_holds(world: World, choice: Choice, minutes: int) -> None:
    booking = world.desk.book(60)
    assert Child(MONDAY, killed="after the answer").ended() == KILLED
    stretch(world, world.office.sheet(booking), 30)
    world.sync()
    decide(world, choice)
    world.sync()
    assert world.office.minutes() == {booking: [minutes]}
    assert writes(world.sync()) == 0
    assert world.reasons() == []


def test_an_edit_of_a_lost_create_that_was_moved_to_another_day_is_asked_about(world: World) -> None:
    booking = world.desk.book(60)
    assert Child(MONDAY, killed="after the answer").ended() == KILLED
    row, week = world.office.sheet(booking), 7 * 86_400
    world.office.change(row, begin=row.begin + week, end=row.begin + week + 1800, duration=1800)
    world.sync()
    assert writes(world.sync()) == 0
    assert world.reasons() == ["kimai_edited"]
    assert world.office.minutes() == {booking: [30]}


def test_an_edit_of_a_lost_create_is_no_rounding_where_kimai_is_seen_not_to_round(world: World) -> None:
    world.desk.book(17, at("11:00"), agent="anna")
    world.sync()
    booking = world.desk.book(20)
    assert Child(MONDAY, killed="after the answer").ended() == KILLED
    stretch(world, world.office.sheet(booking), 30)
    assert writes(world.sync()) == 0
    assert world.reasons() == ["kimai_edited"]


@pytest.mark.parametrize(("mode", "minutes"), [("default", 45), ("floor", 30)])
@pytest.mark.parametrize("lost", [(), ("POST", "PATCH")], ids=["answered", "lost"])
def test_rounding_is_never_taken_for_an_edit(world: World, lost: tuple[str, ...], mode: str, minutes: int) -> None:
    round_to(world, 15, mode)
    booking = world.desk.book(20)
    for method in lost:
        world.office.control.add_fault("drop_after", method=method, path="/api/timesheets", times=1)
    world.sync()
    assert writes(world.sync()) == 0
    assert world.reasons() == []
    world.desk.server.edit(booking, units=40)
    if lost:
        with pytest.raises(SyncFailedError):
            world.sync()
    world.sync()
    assert writes(world.sync()) == 0
    assert world.reasons() == []
    assert world.office.minutes() == {booking: [minutes]}
    assert world.ledger() == {booking: "confirmed"}


def test_an_edit_after_a_lost_update_is_asked_about_where_kimai_rounds(world: World) -> None:
    round_to(world, 15)
    booking = world.desk.book(15)
    world.sync()
    world.desk.server.edit(booking, units=20)
    assert Child(MONDAY, killed="when the PATCH was answered").ended() == KILLED
    stretch(world, world.office.sheet(booking), 60)
    assert writes(world.sync()) == 0
    assert world.reasons() == ["both_changed"]


def test_minutes_that_only_rounding_added_after_a_lost_answer_are_told_as_rounding(world: World) -> None:
    round_to(world, 15)
    world.desk.book(20)
    assert Child(MONDAY, killed="after the answer").ended() == KILLED
    world.sync()
    assert world.value("SELECT operation FROM sync.pushes") == "create"
    assert world.value("SELECT count(*) FROM sync.writes WHERE operation = 'create'") == 1
