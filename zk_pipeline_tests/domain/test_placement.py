"""Where on its day a booking is put, and where it is moved when the target's rules demand it."""

from datetime import datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.instants import days_window, local_day
from zk_pipeline.domain.normalize import PlacementRequest, TimeSpan, free_span, place
from zk_pipeline.domain.policy import Placement, Policy
from zk_pipeline_tests.domain.builders import BERLIN, DAY, ZONE_UTC, at

MIDNIGHT = at("2025-08-16T00:00")
WITHIN = days_window(DAY, DAY, ZONE_UTC)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Santiago", "Australia/Lord_Howe"]).map(
    ZoneInfo
)


def unplaced(id_: int, created_at: str, minutes: int = 15, agent_id: int = 1) -> PlacementRequest:
    return PlacementRequest(str(id_), str(agent_id), at(created_at), timedelta(minutes=minutes))


def placed(placement: Placement, *bookings: PlacementRequest, zone: ZoneInfo = ZONE_UTC) -> list[TimeSpan]:
    spans = place(bookings, Policy(zone=zone, placement=placement))
    return [spans[booking.id] for booking in bookings]


def clock(hour_minute: str) -> datetime:
    return at(f"2025-08-16T{hour_minute}")


def span(begin: str, end: str) -> TimeSpan:
    return TimeSpan(clock(begin), clock(end))


BOOKINGS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4 * 86_400), st.integers(0, 20 * 60)), max_size=25).map(
    lambda rows: [
        PlacementRequest(
            str(id_), str(agent), at("2025-10-24T20:00") + timedelta(seconds=offset), timedelta(minutes=minutes)
        )
        for id_, (agent, offset, minutes) in enumerate(rows, start=1)
    ]
)
SPANS = st.lists(st.tuples(st.integers(-300, 1700), st.integers(1, 300)), max_size=12).map(
    lambda rows: [
        TimeSpan(MIDNIGHT + timedelta(minutes=begin), MIDNIGHT + timedelta(minutes=begin + length))
        for begin, length in rows
    ]
)


def test_start_goes_down_to_the_grid():
    [(begin, end)] = placed(Placement.START, unplaced(6, "2025-08-16T08:11:49.315+00:00"))
    assert (begin, end) == (clock("08:00"), clock("08:15"))


def test_start_uses_the_wall_clock_of_a_zone_with_half_hours():
    [(begin, _)] = placed(Placement.START, unplaced(1, "2025-08-16T08:11"), zone=ZoneInfo("Asia/Kathmandu"))
    assert begin.astimezone(ZoneInfo("Asia/Kathmandu")).time() == time(13, 45)


def test_end_is_the_minute_of_the_booking():
    assert placed(Placement.END, unplaced(1, "2025-08-16T08:11:49")) == [(clock("07:56"), clock("08:11"))]


def test_end_does_not_reach_back_into_the_day_before():
    assert placed(Placement.END, unplaced(1, "2025-08-16T00:05")) == [(clock("00:00"), clock("00:15"))]


def test_sequential_puts_an_agents_entries_one_after_another():
    later, earlier = unplaced(1, "2025-08-16T16:00", 30), unplaced(2, "2025-08-16T09:00", 45)
    assert placed(Placement.SEQUENTIAL, later, earlier) == [
        (clock("08:45"), clock("09:15")),
        (clock("08:00"), clock("08:45")),
    ]


def test_sequential_lets_agents_and_days_not_influence_each_other():
    bookings = [
        unplaced(1, "2025-08-16T09:00"),
        unplaced(2, "2025-08-16T09:00", agent_id="2"),
        unplaced(3, "2025-08-17T09:00"),
    ]
    assert [begin.time() for begin, _ in placed(Placement.SEQUENTIAL, *bookings)] == [time(8), time(8), time(8)]


def test_sequential_keeps_what_would_begin_after_midnight_on_its_work_day():
    bookings = [unplaced(id_, "2025-08-16T20:00", 6 * 60) for id_ in (1, 2, 3, 4)]
    begins = [begin for begin, _ in placed(Placement.SEQUENTIAL, *bookings)]
    assert begins == [clock("08:00"), clock("14:00"), clock("18:00"), clock("18:00")]


@pytest.mark.parametrize(
    ("created_at", "begin"),
    [
        ("2025-10-26T00:40", "2025-10-26T00:30"),
        ("2025-10-26T01:40", "2025-10-26T01:30"),
        ("2025-03-30T01:10", "2025-03-30T01:00"),
    ],
)
def test_start_on_a_night_of_a_clock_change_is_exact_in_utc(created_at: str, begin: str):
    [(found, end)] = placed(Placement.START, unplaced(1, created_at), zone=BERLIN)
    assert (found, end) == (at(begin), at(begin) + timedelta(minutes=15))


def test_a_span_over_the_clock_change_keeps_its_length():
    [(begin, end)] = placed(Placement.END, unplaced(1, "2025-10-26T02:00", 120), zone=BERLIN)
    assert (begin, end) == (at("2025-10-26T00:00"), at("2025-10-26T02:00"))


@pytest.mark.parametrize(("day", "opening"), [("2025-03-30", "06:00"), ("2025-10-26", "07:00")])
def test_sequential_opens_at_the_local_hour_on_the_day_of_a_clock_change(day: str, opening: str):
    [(begin, _)] = placed(Placement.SEQUENTIAL, unplaced(1, f"{day}T12:00"), zone=BERLIN)
    assert begin == at(f"{day}T{opening}")


@given(BOOKINGS, st.sampled_from(Placement), ZONES)
def test_every_booking_begins_on_its_work_day_and_keeps_its_length(
    bookings: list[PlacementRequest], placement: Placement, zone: ZoneInfo
):
    spans = place(bookings, Policy(zone=zone, placement=placement))
    assert spans.keys() == {booking.id for booking in bookings}
    for booking in bookings:
        begin, end = spans[booking.id]
        assert end - begin == booking.length
        window = days_window(local_day(booking.counts_at, zone), local_day(booking.counts_at, zone), zone)
        assert window.start <= begin <= window.end
        assert local_day(begin, zone) == local_day(booking.counts_at, zone) or not booking.length


@given(BOOKINGS, st.sampled_from(Placement), st.randoms(use_true_random=False))
def test_the_order_of_the_bookings_does_not_matter(bookings: list[PlacementRequest], placement: Placement, random):
    policy = Policy(zone=BERLIN, placement=placement)
    shuffled = list(bookings)
    random.shuffle(shuffled)
    assert place(shuffled, policy) == place(bookings, policy)


def test_a_free_place_is_kept():
    assert free_span(span("08:00", "08:15"), [span("07:00", "08:00"), span("08:15", "09:00")], WITHIN, None) == span(
        "08:00", "08:15"
    )


def test_a_taken_place_moves_to_the_next_free_one():
    assert free_span(span("08:00", "08:15"), [span("07:30", "09:00")], WITHIN, None) == span("09:00", "09:15")


def test_a_gap_that_is_too_small_is_passed_over():
    taken = [span("08:00", "09:00"), span("09:10", "10:00")]
    assert free_span(span("08:30", "08:45"), taken, WITHIN, None) == span("10:00", "10:15")


def test_the_nearest_earlier_place_is_taken_when_the_rest_of_the_day_is_full():
    taken = [span("06:00", "07:00"), TimeSpan(clock("08:00"), WITHIN.end)]
    assert free_span(span("09:00", "09:30"), taken, WITHIN, None) == span("07:30", "08:00")


def test_nothing_ends_after_the_booking_was_made_and_seconds_are_not_invented():
    found = free_span(span("08:00", "08:15"), [], WITHIN, at("2025-08-16T08:11:49.315+00:00"))
    assert found == span("07:56", "08:11")


def test_a_full_day_has_no_place():
    assert free_span(span("08:00", "08:15"), [TimeSpan(WITHIN.start, WITHIN.end)], WITHIN, None) is None


def test_a_booking_longer_than_what_has_passed_of_the_day_has_no_place_yet():
    assert free_span(span("00:00", "01:00"), [], WITHIN, clock("00:30")) is None


def test_what_crosses_midnight_is_moved_into_its_day():
    wanted = TimeSpan(clock("23:45"), clock("23:45") + timedelta(minutes=30))
    assert free_span(wanted, [], WITHIN, None) == TimeSpan(clock("23:30"), WITHIN.end)


@given(SPANS, st.integers(0, 1439), st.integers(1, 400), st.none() | st.integers(0, 1440))
def test_a_place_overlaps_nothing_and_is_missing_only_when_there_is_none(
    taken: list[TimeSpan], begin: int, length: int, latest: int | None
):
    wanted = TimeSpan(MIDNIGHT + timedelta(minutes=begin), MIDNIGHT + timedelta(minutes=begin + length))
    latest_end = None if latest is None else MIDNIGHT + timedelta(minutes=latest)
    bound = WITHIN.end if latest_end is None else latest_end
    free = [
        start
        for start in (MIDNIGHT + timedelta(minutes=minute) for minute in range(1441))
        if start + timedelta(minutes=length) <= bound
        and not any(start < other.end and other.begin < start + timedelta(minutes=length) for other in taken)
    ]
    found = free_span(wanted, taken, WITHIN, latest_end)
    best = min(free, key=lambda start: (start < wanted.begin, abs(start - wanted.begin)), default=None)
    assert (found.begin if found else None) == best


def test_a_crowded_day_is_filled_in_order_without_overlap():
    taken: list[TimeSpan] = []
    for _ in range(90):
        found = free_span(span("08:00", "08:15"), taken, WITHIN, None)
        assert found is not None
        taken.append(found)
    assert all(one.end <= other.begin for one, other in pairwise(sorted(taken)))
