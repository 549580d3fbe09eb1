"""Copies of our time sheets that people made in Kimai: noticed wherever they lie, whichever day is synced."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.stages.target_changes import TargetFeed, look_for_changes
from zk_pipeline_tests.defs.deciding import decide
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, MONDAY, World, at
from zk_sandbox.kimai.model import Timesheet

TUESDAY = MONDAY + timedelta(days=1)
NEXT_MONTH = MONDAY + timedelta(days=31)


def kimai(world: World, path: str, **fields: object) -> int:
    """PATCH as a person in Kimai does; returns the id of the answer."""
    base_url = world.environment.runtime.stored("target").base_url
    headers = {"Authorization": f"Bearer {KIMAI_TOKEN}"}
    answer = httpx.patch(f"{base_url}/api/timesheets/{path}", json=fields, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def duplicated(world: World, booking: int, day: date, **columns: object) -> Timesheet:
    """The time sheet of a booking, duplicated in Kimai and moved to a day."""
    copy_id = kimai(world, f"{world.office.sheet(booking).id}/duplicate")
    return moved(world, copy_id, day, **columns)


def moved(world: World, sheet_id: int, day: date, **columns: object) -> Timesheet:
    """A time sheet that somebody moved to nine o'clock of a day."""
    row = next(row for row in world.office.rows if row.id == sheet_id)
    begin = int(at("09:00", day).timestamp())
    changed = replace(row, begin=begin, end=begin + row.duration, modified_at=world.office.server.kimai.now())
    world.office.server.kimai.timesheets.put(replace(changed, **columns))
    return next(row for row in world.office.rows if row.id == sheet_id)


def questions(world: World) -> list[tuple[str, date, int]]:
    """What is asked, on which day, about which time sheet."""
    return [(row.reason, row.entry_date, row.kimai_id) for row in world.conflicts()]


def look(world: World) -> tuple[date, ...]:
    """The days for which the deep check asks."""
    runtime = world.environment.runtime
    with runtime.target() as target:
        return look_for_changes(runtime, target, "zammad", datetime.now(UTC), None).days


@pytest.fixture
def booking(world: World) -> int:
    """A booking of Monday that was carried over."""
    booking = world.desk.book(30)
    world.sync()
    return booking


@pytest.mark.parametrize("day", [TUESDAY, NEXT_MONTH, MONDAY - timedelta(days=1)])
def test_a_copy_is_asked_about_on_the_day_on_which_it_lies(world: World, booking: int, day: date) -> None:
    copy = duplicated(world, booking, day)
    world.sync(day)
    assert questions(world) == [("marker_cloned", day, copy.id)]
    (asked,) = world.conflicts()
    assert f"booking {booking} of {MONDAY}, which has time sheet {world.office.rows[0].id}" in asked.text
    decide(world, Choice.DELETE)
    assert world.sync(day).counts["deleted"] == 1
    assert [row.id for row in world.office.rows] != [copy.id]
    assert (questions(world), len(world.office.rows)) == ([], 1)


def test_a_copy_near_its_booking_is_found_whichever_of_the_days_is_synced(world: World, booking: int) -> None:
    copy = duplicated(world, booking, TUESDAY)
    world.sync(MONDAY)
    assert questions(world) == [("marker_cloned", TUESDAY, copy.id)]
    world.sync(MONDAY, TUESDAY)
    assert questions(world) == [("marker_cloned", TUESDAY, copy.id)], "once, and on the same day"


def test_a_billed_copy_elsewhere_may_only_be_kept(world: World, booking: int) -> None:
    copy = duplicated(world, booking, NEXT_MONTH, exported=True)
    world.sync(NEXT_MONTH)
    assert questions(world) == [("billed_copy", NEXT_MONTH, copy.id)]
    decide(world, Choice.KEEP)
    world.sync(NEXT_MONTH)
    assert (questions(world), len(world.office.rows)) == ([], 2)


def test_a_restarted_time_sheet_is_a_copy(world: World, booking: int) -> None:
    started = kimai(world, f"{world.office.sheet(booking).id}/restart", copy="all")
    kimai(world, f"{started}/stop")
    row = moved(world, started, NEXT_MONTH)
    world.sync(NEXT_MONTH)
    assert questions(world) == [("marker_cloned", NEXT_MONTH, row.id)]


def test_a_time_sheet_that_was_moved_is_no_copy(world: World, booking: int) -> None:
    moved(world, world.office.sheet(booking).id, NEXT_MONTH)
    world.sync(NEXT_MONTH)
    assert questions(world) == []


def test_a_copy_in_place_of_the_deleted_time_sheet_is_asked_about_beside_the_deletion(
    world: World, booking: int
) -> None:
    original = world.office.sheet(booking)
    copy = duplicated(world, booking, NEXT_MONTH)
    world.office.server.kimai.timesheets.remove(original.id)
    world.sync(MONDAY)
    world.sync(NEXT_MONTH)
    assert questions(world) == [
        ("deleted_in_kimai", MONDAY, original.id),
        ("marker_cloned", NEXT_MONTH, copy.id),
    ]


def test_a_copy_whose_marker_was_removed_is_nobodys(world: World, booking: int) -> None:
    copy = duplicated(world, booking, TUESDAY)
    world.sync(TUESDAY)
    kimai(world, str(copy.id), description="Typed by hand")
    assert look(world) == (TUESDAY,), "the next look asks for the day on which the question stands"
    world.sync(TUESDAY)
    assert questions(world) == []


def test_a_look_at_changes_asks_for_the_day_of_the_copy_alone(world: World, booking: int) -> None:
    copy = duplicated(world, booking, NEXT_MONTH)
    assert look(world) == (NEXT_MONTH,)
    world.sync(NEXT_MONTH)
    moved(world, copy.id, NEXT_MONTH + timedelta(days=7))
    assert look(world) == (NEXT_MONTH, NEXT_MONTH + timedelta(days=7)), "where it is asked about, and where it lies"


def test_the_deep_check_finds_the_copies_of_all_days_that_it_reads(world: World) -> None:
    bookings = [world.desk.book(30, at("09:00", MONDAY + timedelta(days=day))) for day in range(3)]
    world.sync(MONDAY, MONDAY + timedelta(days=2))
    days = [NEXT_MONTH, NEXT_MONTH + timedelta(days=3), NEXT_MONTH + timedelta(days=9)]
    copies = [duplicated(world, booking, day) for booking, day in zip(bookings, days, strict=True)]
    world.sync(NEXT_MONTH, NEXT_MONTH + timedelta(days=10), job="deep_check")
    assert questions(world) == [("marker_cloned", day, copy.id) for day, copy in zip(days, copies, strict=True)]


def test_the_search_for_what_vanished_asks_for_the_days_of_copies(world: World, booking: int) -> None:
    feed = TargetFeed(world.environment.runtime)
    copy = duplicated(world, booking, NEXT_MONTH)
    world.sync(NEXT_MONTH)
    feed.poll(datetime.now(UTC))
    world.office.server.kimai.timesheets.remove(copy.id)
    days = {day for minutes in (10, 20, 30) for day in feed.poll(datetime.now(UTC) + timedelta(minutes=minutes)).days}
    assert NEXT_MONTH in days
