"""Decisions about time sheets typed by hand: linked, or left beside a new one, they keep what their author wrote."""

import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import conflicts
from zk_pipeline_tests.defs.deciding import as_typed, assert_settled, decide, refuse, states, stretch, typed, writes
from zk_pipeline_tests.defs.world import World, at


@pytest.mark.parametrize(("minutes", "reason"), [(45, "duplicate"), (48, "fuzzy_candidate")])
def test_link_writes_the_marker_and_nothing_else_and_makes_the_time_sheet_ours(
    world: World, minutes: int, reason: str
) -> None:
    booking, row = typed(world, minutes)
    before = world.office.rows
    assert world.reasons() == [reason]
    decide(world, Choice.LINK)
    report = world.sync()
    sheet = world.office.sheet(booking)
    assert (sheet.id, writes(report), report.counts["linked"]) == (row, 1, 1)
    assert sheet.description == f"Ticket {world.desk.number()} [zk-zammad-{booking}]"
    assert [as_typed(old) for old in before] == [as_typed(sheet)]
    assert states(world) == ["carried_out"]
    assert_settled(world)


def test_a_linked_time_sheet_follows_its_booking_and_keeps_its_author_s_project(world: World) -> None:
    booking, row = typed(world)
    decide(world, Choice.LINK)
    world.sync()
    world.desk.server.edit(booking, units=50)
    world.sync()
    sheet = world.office.sheet(booking)
    assert (sheet.id, sheet.duration, sheet.project) == (row, 50 * 60, world.office.other_project)
    assert_settled(world)


def test_a_billed_time_sheet_is_linked_without_a_write(world: World) -> None:
    booking = world.desk.book(45, at("12:10"))
    row = world.office.type_by_hand(at("11:25"), 45, f"Ticket {world.desk.number()}", exported=True)
    world.sync()
    before = world.office.rows
    decide(world, Choice.LINK)
    assert writes(world.sync()) == 0
    assert world.office.rows == before
    assert world.value(f"SELECT kimai_id FROM sync.pushes WHERE source_id = '{booking}'") == row
    assert_settled(world)


def test_a_billed_time_sheet_is_linked_to_one_booking_only(world: World) -> None:
    bookings = [world.desk.book(45, at(time)) for time in ("12:10", "12:20")]
    row = world.office.type_by_hand(at("11:25"), 45, f"Ticket {world.desk.number()}", exported=True)
    world.sync()
    assert world.reasons() == ["ambiguous", "ambiguous"]
    waiting = world.conflicts()
    with world.environment.runtime.database.transaction() as connection:
        for conflict in waiting:
            conflicts.decide(connection, conflict.id, Choice.LINK, actor="cli:anna", timesheet_id=row)
    assert world.sync().counts["linked"] == 1
    world.sync()
    first, second = bookings
    assert world.value(f"SELECT string_agg(source_id, ',') FROM sync.pushes WHERE kimai_id = {row}") == str(first)
    assert world.office.minutes() == {second: [45]}


@pytest.mark.parametrize("minutes", [45, 48])
def test_create_puts_a_time_sheet_beside_the_one_typed_by_hand(world: World, minutes: int) -> None:
    booking, row = typed(world, minutes)
    decide(world, Choice.CREATE)
    report = world.sync()
    assert (report.counts["created"], world.office.minutes()) == (1, {booking: [45]})
    assert world.office.sheet(booking).id != row
    assert_settled(world)


def test_a_refused_create_beside_it_does_not_take_the_one_typed_by_hand(world: World) -> None:
    booking, row = typed(world)
    decide(world, Choice.CREATE)
    refuse(world, "POST", times=1)
    assert world.sync().parked == 1
    assert world.sync().counts["created"] == 1
    assert (world.office.minutes(), world.office.sheet(booking).id != row) == ({booking: [45]}, True)
    assert_settled(world)


def test_create_beside_it_finds_a_free_place_where_kimai_forbids_overlaps(world: World) -> None:
    world.office.server.configure({"timesheet.rules.allow_overlapping_records": False})
    booking, row = typed(world, clock="12:10")
    decide(world, Choice.CREATE)
    world.sync()
    hand_written = next(sheet for sheet in world.office.rows if sheet.id == row)
    sheet = world.office.sheet(booking)
    assert sheet.begin >= (hand_written.end or 0) or (sheet.end or 0) <= hand_written.begin
    assert_settled(world)


def test_of_several_candidates_the_named_one_is_linked(world: World) -> None:
    world.office.type_by_hand(at("14:00"), 45, f"Ticket {world.desk.number()}")
    booking, row = typed(world)
    assert world.reasons() == ["ambiguous"]
    decide(world, Choice.LINK, timesheet=row)
    assert writes(world.sync()) == 1
    assert world.office.sheet(booking).id == row
    assert_settled(world)


def test_a_time_sheet_edited_since_it_was_offered_is_not_linked(world: World) -> None:
    _, row = typed(world)
    decide(world, Choice.LINK)
    stretch(world, next(sheet for sheet in world.office.rows if sheet.id == row), 48)
    assert writes(world.sync()) == 0
    assert (world.reasons(), states(world)) == (["fuzzy_candidate"], ["expired", "open"])
