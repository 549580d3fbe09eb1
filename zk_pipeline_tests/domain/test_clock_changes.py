"""On every night on which clocks change, in every zone, days have no gap and bookings keep their day and length."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from zk_pipeline.domain.instants import days_window, floor_to_grid, local_day
from zk_pipeline.domain.normalize import PlacementRequest, place
from zk_pipeline.domain.policy import Placement, Policy
from zk_pipeline_tests.clock_changes import clock_changes, instants_around

GRIDS = (5, 15, 60)
LENGTH = timedelta(minutes=20)


def bookings_around(change: datetime) -> list[PlacementRequest]:
    """Two people who book now and then around a change."""
    return [
        PlacementRequest(str(number), str(number % 2), moment, LENGTH)
        for number, moment in enumerate(instants_around(change)[::2])
    ]


def test_the_world_changes_its_clocks_often_enough_to_tell():
    assert len({zone.key for zone, _ in clock_changes()}) > 150
    assert len(clock_changes()) > 500


def test_each_instant_lies_in_the_window_of_its_day_and_days_have_no_gap():
    for zone, change in clock_changes():
        day = local_day(change, zone)
        windows = [days_window(day + timedelta(days=n), day + timedelta(days=n), zone) for n in range(-2, 3)]
        assert all(one.end == next_.start for one, next_ in pairwise(windows)), (zone, change)
        for instant in instants_around(change):
            window = days_window(local_day(instant, zone), local_day(instant, zone), zone)
            assert window.start <= instant < window.end, (zone, instant)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_grid_is_reached_within_the_day_and_not_in_the_future(grid: int):
    for zone, change in clock_changes():
        for instant in instants_around(change):
            found = floor_to_grid(instant, grid, zone)
            assert found <= instant, (zone, instant)
            assert local_day(found, zone) == local_day(instant, zone), (zone, instant)


@pytest.mark.parametrize("placement", Placement)
def test_every_booking_begins_on_its_work_day_and_keeps_its_length(placement: Placement):
    for zone, change in clock_changes():
        bookings = bookings_around(change)
        spans = place(bookings, Policy(zone=zone, placement=placement))
        for booking in bookings:
            begin, end = spans[booking.id]
            assert end - begin == LENGTH, (zone, booking)
            assert local_day(begin, zone) == local_day(booking.counts_at, zone), (zone, booking)
