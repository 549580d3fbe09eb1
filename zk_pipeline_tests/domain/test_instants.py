"""Days, instants and zones: which day an instant is on, also where a night skips or repeats an hour."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.instants import (
    day_start,
    days_between,
    days_window,
    duration,
    floor_to_grid,
    local_day,
    whole_seconds,
)
from zk_pipeline_tests.domain.builders import BERLIN, ZONE_UTC, at

ZONES = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
DAYS = st.dates(date(2012, 1, 1), date(2035, 12, 31))
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=24 * 365)).map(lambda since: at("2012-01-02") + since)
WHOLE_HOURS = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns"]).map(
    ZoneInfo
)


@given(INSTANTS, ZONES)
def test_an_instant_lies_in_the_window_of_its_local_day_and_in_no_other(instant: datetime, zone: ZoneInfo):
    day = local_day(instant, zone)
    holding = [
        near
        for near in (day - timedelta(days=1), day, day + timedelta(days=1))
        if day_start(near, zone) <= instant < day_start(near + timedelta(days=1), zone)
    ]
    assert holding == [day]


@given(DAYS, st.integers(0, 40), ZONES)
def test_a_range_of_days_is_its_days_without_gap_or_overlap(first: date, more: int, zone: ZoneInfo):
    last = first + timedelta(days=more)
    windows = [days_window(day, day, zone) for day in days_between(first, last)]
    assert [window.end for window in windows[:-1]] == [window.start for window in windows[1:]]
    assert (windows[0].start, windows[-1].end) == (
        days_window(first, last, zone).start,
        days_window(first, last, zone).end,
    )


@given(DAYS, ZONES)
def test_the_moment_before_a_day_belongs_to_an_earlier_one(day: date, zone: ZoneInfo):
    assert local_day(day_start(day, zone) - timedelta(microseconds=1), zone) < day


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2025, 10, 26), 25), (date(2025, 3, 30), 23), (date(2025, 10, 27), 24)]
)
def test_a_berlin_day_has_its_true_length_at_the_clock_changes(day: date, hours: int):
    window = days_window(day, day, BERLIN)
    assert window.end - window.start == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("zone", "day", "start"),
    [
        ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00"),
        ("Asia/Beirut", date(2025, 3, 30), "2025-03-29T22:00"),
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00"),
        ("Asia/Kolkata", date(2025, 8, 16), "2025-08-15T18:30"),
        ("Asia/Kathmandu", date(2025, 8, 16), "2025-08-15T18:15"),
    ],
)
def test_a_day_starts_right_where_midnight_is_skipped_repeated_or_not_on_the_hour(zone: str, day: date, start: str):
    assert day_start(day, ZoneInfo(zone)) == at(start)


def test_a_booking_shortly_before_midnight_in_utc_is_the_next_day_in_berlin():
    assert local_day(at("2025-08-15T22:30"), BERLIN) == date(2025, 8, 16)
    assert local_day(at("2025-08-15T22:30"), ZONE_UTC) == date(2025, 8, 15)


@given(INSTANTS, WHOLE_HOURS, st.sampled_from([1, 5, 6, 10, 15, 30, 60]))
def test_the_grid_is_reached_going_back_within_the_local_day(instant: datetime, zone: ZoneInfo, grid: int):
    floored = floor_to_grid(instant, grid, zone)
    local = floored.astimezone(zone)
    assert timedelta(0) <= instant - floored < timedelta(minutes=grid)
    assert (local.hour * 60 + local.minute) % grid == 0
    assert local_day(floored, zone) == local_day(instant, zone)
    assert local.time().replace(minute=0, hour=0) == time()


@given(INSTANTS, ZONES, st.integers(1, 720))
def test_no_grid_leads_out_of_the_day_or_into_the_future(instant: datetime, zone: ZoneInfo, grid: int):
    floored = floor_to_grid(instant, grid, zone)
    assert floored <= instant
    assert local_day(floored, zone) == local_day(instant, zone)


def test_a_wide_grid_does_not_lead_out_of_a_day_whose_first_hour_is_skipped():
    assert floor_to_grid(at("2025-04-24T22:10"), 120, ZoneInfo("Africa/Cairo")) == at("2025-04-24T22:00")


def test_the_repeated_hour_keeps_its_own_instants():
    summer, winter = at("2025-10-26T00:40"), at("2025-10-26T01:40")
    assert floor_to_grid(summer, 15, BERLIN) == at("2025-10-26T00:30")
    assert floor_to_grid(winter, 15, BERLIN) == at("2025-10-26T01:30")


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [("15.0", 900), ("0.01", 1), ("0.0083", 0), ("0.025", 2), ("0.33", 20), ("599999.4", 35_999_964)],
)
def test_minutes_become_whole_seconds_with_the_half_rounded_up(minutes: str, seconds: int):
    assert whole_seconds(Decimal(minutes)) == seconds
    assert duration(Decimal(minutes)) == timedelta(seconds=seconds)


def test_days_between_counts_both_ends():
    assert days_between(date(2025, 2, 27), date(2025, 3, 1)) == [date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1)]
