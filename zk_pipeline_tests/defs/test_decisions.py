"""Decisions about edits, deletions, refusals and bills: each does what it says, and the next run writes nothing."""

from datetime import date, timedelta

import pytest

from zk_pipeline.decisions import conflicts
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.mapping_lines import ActivityMapping, UserMapping
from zk_pipeline.domain.people import Address
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import mappings
from zk_pipeline.store.conflicts import DecisionError
from zk_pipeline_tests.defs.deciding import (
    assert_settled,
    booked,
    decide,
    refuse,
    states,
    stretch,
    typed,
    writes,
)
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_sandbox.kimai.model import Timesheet

LATER = at("15:00")


# Edits


def test_update_writes_zammads_version_over_an_edit(world: World) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.sync()
    decide(world, Choice.UPDATE)
    report = world.sync()
    assert (report.counts["updated"], writes(report), world.office.minutes()) == (1, 1, {booking: [30]})
    assert_settled(world)


def test_the_same_edit_made_again_after_it_was_written_over_is_a_new_question(world: World) -> None:
    booking = booked(world)
    for _ in range(2):
        stretch(world, world.office.sheet(booking), 20)
        assert writes(world.sync()) == 0
        assert world.reasons() == ["kimai_edited"]
        decide(world, Choice.UPDATE)
        world.sync()
    assert states(world) == ["carried_out", "carried_out"]


def test_keep_leaves_kimais_version_for_good(world: World) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.sync()
    decide(world, Choice.KEEP)
    assert writes(world.sync()) == 0
    assert (world.office.minutes(), states(world)) == ({booking: [20]}, ["carried_out"])
    assert_settled(world)


@pytest.mark.parametrize("minutes", [25, 30])
def test_a_later_edit_in_kimai_opens_what_was_kept(world: World, minutes: int) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.sync()
    decide(world, Choice.KEEP)
    world.sync()
    stretch(world, world.office.sheet(booking), minutes)
    world.sync()
    assert (world.reasons(), world.office.minutes()) == (["kimai_edited"], {booking: [minutes]})


def test_a_later_edit_in_zammad_updates_its_field_and_leaves_the_others_as_kept(world: World) -> None:
    booking = booked(world)
    world.office.change(world.office.sheet(booking), project=world.office.other_project)
    world.sync()
    decide(world, Choice.KEEP)
    world.sync()
    world.desk.server.edit(booking, units=50)
    world.sync()
    sheet = world.office.sheet(booking)
    assert (sheet.duration, sheet.project) == (50 * 60, world.office.other_project)
    assert_settled(world)


@pytest.mark.parametrize(("choice", "minutes"), [(Choice.UPDATE, 50), (Choice.KEEP, 20)])
def test_of_two_different_edits_the_chosen_one_holds(world: World, choice: Choice, minutes: int) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.desk.server.edit(booking, units=50)
    world.sync()
    assert world.reasons() == ["both_changed"]
    decide(world, choice)
    world.sync()
    assert world.office.minutes() == {booking: [minutes]}
    assert_settled(world)


def test_an_edit_made_after_the_decision_is_not_written_over(world: World) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.sync()
    decide(world, Choice.UPDATE)
    stretch(world, world.office.sheet(booking), 10)
    assert writes(world.sync()) == 0
    assert (world.reasons(), world.office.minutes()) == (["kimai_edited"], {booking: [10]})


# Deletions


def test_create_after_a_deletion_in_kimai_makes_exactly_one(world: World) -> None:
    booking = booked(world)
    world.office.server.kimai.timesheets.remove(world.office.sheet(booking).id)
    world.sync()
    decide(world, Choice.CREATE)
    assert world.sync().counts["created"] == 1
    assert world.office.minutes() == {booking: [30]}
    assert_settled(world)


def test_ignore_after_a_deletion_in_kimai_holds_until_the_booking_changes(world: World) -> None:
    booking = booked(world)
    world.office.server.kimai.timesheets.remove(world.office.sheet(booking).id)
    world.sync()
    decide(world, Choice.IGNORE)
    for _ in range(2):
        assert writes(world.sync()) == 0
        assert (world.office.rows, world.reasons(), states(world)) == ([], [], ["carried_out"])
    world.desk.server.edit(booking, units=50)
    world.sync()
    assert (world.reasons(), states(world)) == (["deleted_in_kimai"], ["expired", "open"])


@pytest.fixture
def orphan(world: World) -> Timesheet:
    """A time sheet whose booking was deleted in Zammad, beside a booking that stays."""
    booking = world.desk.book(45, LATER, agent="ben")
    gone = booked(world)
    sheet = world.office.sheet(gone)
    world.desk.server.delete(gone)
    world.sync()
    assert (world.reasons(), world.office.minutes()) == (["deleted_in_zammad"], {booking: [45], gone: [30]})
    return sheet


def test_delete_removes_the_time_sheet_of_a_deleted_booking(world: World, orphan: Timesheet) -> None:
    decide(world, Choice.DELETE)
    report = world.sync()
    assert (report.counts["deleted"], writes(report)) == (1, 1)
    assert orphan.id not in {row.id for row in world.office.rows}
    assert states(world) == ["carried_out"]
    assert_settled(world)


def test_keep_leaves_the_time_sheet_of_a_deleted_booking_until_it_is_edited(world: World, orphan: Timesheet) -> None:
    decide(world, Choice.KEEP)
    for _ in range(2):
        assert writes(world.sync()) == 0
        assert (world.reasons(), orphan in world.office.rows) == ([], True)
    stretch(world, orphan, 20)
    world.sync()
    assert world.reasons() == ["both_changed"]


def test_a_time_sheet_edited_or_billed_since_its_deletion_was_decided_stays(world: World, orphan: Timesheet) -> None:
    decide(world, Choice.DELETE)
    world.office.change(orphan, exported=True)
    assert writes(world.sync()) == 0
    assert (world.reasons(), len(world.office.rows)) == (["billed"], 2)


def test_delete_removes_the_copy_and_keeps_the_original(world: World) -> None:
    booking = booked(world)
    original = world.office.sheet(booking)
    world.office.type_by_hand(LATER, 30, original.description or "")
    world.sync()
    assert world.reasons() == ["marker_cloned"]
    decide(world, Choice.DELETE)
    assert writes(world.sync()) == 1
    assert world.office.rows == [original]
    assert_settled(world)


def test_a_copy_that_was_billed_since_its_deletion_was_decided_stays_and_asks_again(world: World) -> None:
    booking = booked(world)
    copy = world.office.type_by_hand(LATER, 30, world.office.sheet(booking).description or "")
    world.sync()
    decide(world, Choice.DELETE)
    world.office.change(next(row for row in world.office.rows if row.id == copy), exported=True)
    assert writes(world.sync()) == 0
    assert world.reasons() == ["billed_copy"]
    decide(world, Choice.KEEP)
    assert writes(world.sync()) == 0
    assert (world.reasons(), len(world.office.rows)) == ([], 2)


# Refusals, bills and mappings


def test_what_was_refused_is_tried_once_in_each_run_and_stays_one_question(world: World) -> None:
    booking = world.desk.book(30)
    refuse(world, "POST", times=3)
    world.sync()
    (asked,) = world.conflicts()
    assert (world.sync().parked, world.office.creates_sent()) == (1, 2)
    assert world.conflicts() == [asked], "the same question, told once"
    decide(world, Choice.CREATE)
    assert world.sync().parked == 1
    assert states(world) == ["carried_out", "open"]
    assert world.sync().counts["created"] == 1
    assert world.office.creates_sent() == 4
    assert world.office.minutes() == {booking: [30]}
    assert_settled(world)


def test_a_refused_update_is_tried_again_and_never_becomes_a_second_time_sheet(world: World) -> None:
    booking = booked(world)
    world.desk.server.edit(booking, units=50)
    refuse(world, "PATCH", times=1)
    assert world.sync().parked == 1
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.suggested_action) == ("refused_by_kimai", "update")
    world.sync()
    assert world.office.minutes() == {booking: [50]}
    assert_settled(world)


@pytest.mark.parametrize("choice", [Choice.KEEP, Choice.IGNORE])
def test_a_billed_time_sheet_is_never_written_whatever_was_decided(world: World, choice: Choice) -> None:
    booking = booked(world)
    world.office.change(world.office.sheet(booking), exported=True)
    world.desk.server.edit(booking, units=50)
    world.sync()
    assert world.reasons() == ["billed"]
    decide(world, choice)
    for _ in range(2):
        assert writes(world.sync()) == 0
    assert (world.office.minutes(), world.reasons()) == ({booking: [30]}, [])


def test_a_time_sheet_billed_after_the_decision_is_left_alone(world: World) -> None:
    booking = booked(world)
    stretch(world, world.office.sheet(booking), 20)
    world.sync()
    decide(world, Choice.UPDATE)
    world.office.change(world.office.sheet(booking), exported=True)
    assert writes(world.sync()) == 0
    assert world.office.minutes() == {booking: [20]}


@pytest.mark.parametrize("settings", [{"ZK_LOCKED_BEFORE": MONDAY + timedelta(days=1)}], indirect=True)
def test_in_a_closed_period_only_decisions_that_write_nothing_are_possible(world: World) -> None:
    typed(world)
    before = world.office.rows
    assert world.reasons() == ["locked_period"]
    for choice in (Choice.CREATE, Choice.LINK):
        with pytest.raises(DecisionError, match="possible: adjust the difference, leave it out"):
            decide(world, choice)
    decide(world, Choice.IGNORE)
    world.sync()
    assert (world.reasons(), world.office.rows) == ([], before)


def test_mapping_a_type_resolves_what_waited_for_it(world: World) -> None:
    travel = world.desk.server.add_type("Travel")
    booking = world.desk.book(30, type_id=travel)
    world.sync()
    assert world.reasons() == ["unmapped_activity"]
    assert set_mapping(world, ActivityMapping(str(travel), None, world.office.activity)) == [MONDAY]
    world.sync()
    assert (world.office.minutes(), states(world)) == ({booking: [30]}, ["expired"])
    assert_settled(world)


def test_mapping_a_user_resolves_even_what_was_ignored(world: World) -> None:
    world.desk.agents["carl"] = world.desk.server.add_agent("carl@example.com", firstname="Carl")
    booking = world.desk.book(30, agent="carl")
    world.sync()
    decide(world, Choice.IGNORE)
    world.sync()
    assert world.reasons() == []
    set_mapping(world, UserMapping(Address("carl@example.com"), world.office.users["ben"]))
    world.sync()
    assert (world.office.minutes(), states(world)) == ({booking: [30]}, ["expired"])


def set_mapping(world: World, mapping: ActivityMapping | UserMapping) -> list[date]:
    """Set a mapping as `zk mappings set` does; the days that are asked for."""
    runtime = world.environment.runtime
    with runtime.database.transaction() as connection:
        _, days = mappings.change(
            connection,
            [mapping],
            actor="cli:anna",
            source=runtime.stored("source").name,
            target=runtime.stored("target").name,
        )
    return days


def test_the_preview_of_an_adjustment_says_that_it_is_written(world: World) -> None:
    booking = booked(world)
    world.office.change(world.office.sheet(booking), exported=True)
    world.desk.server.edit(booking, units=45)
    world.sync()
    runtime = world.environment.runtime
    found = conflicts.preview(runtime, Choice.ADJUST, ConflictFilter())
    assert (found.conflicts, found.left, found.adjusts) == (1, 0, 1)
    assert conflicts.preview(runtime, Choice.KEEP, ConflictFilter()).adjusts == 0
