"""Demand: no change is overlooked, and no request is dropped, doubled or asked for with a key that was used."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.changed_days import (
    BRIDGED_GAP,
    LONGEST_PAUSE,
    LONGEST_RANGE,
    RANGES_AT_ONCE,
    BookingChange,
    DayRequest,
    FeedState,
    KnownBooking,
    RangeRun,
    StoredCount,
    UnknownCount,
    absences,
    edits,
    pause_after,
    runs_for,
)
from zk_pipeline.domain.records import TimeAccounting
from zk_pipeline_tests.domain.builders import BERLIN, DAY, ZONE_UTC, at, booking

NOW = at("2025-08-20T12:00")
FIRST, LAST = date(2020, 1, 1), date(2025, 8, 20)
SINCE = at("2025-08-16T07:00")
STATE = FeedState(at("2025-08-16T08:00"), SINCE, frozenset({"6"}), total=10)


def known(row: TimeAccounting, **changes: Any) -> KnownBooking:
    """The booking as the store would have it."""
    stored = KnownBooking(row.id, row.ticket_id, DAY, row.units, row.type_id, row.updated_at)
    return replace(stored, **changes)


# Edits and absences


def test_a_booking_that_the_store_has_is_no_change() -> None:
    assert edits([booking()], {"6": known(booking())}, ZONE_UTC) == []


@pytest.mark.parametrize(
    "difference",
    [
        {"units": Decimal("15.25")},
        {"type_id": None},
        {"ticket_id": "51"},
        {"updated_at": at("2025-08-16T08:11:49.314")},
    ],
    ids=lambda difference: next(iter(difference)),
)
def test_a_booking_that_the_store_has_otherwise_is_a_change_of_its_stored_day(difference: dict[str, Any]) -> None:
    stored = known(booking(), work_day=date(2025, 8, 1), **difference)
    (change,) = edits([booking()], {"6": stored}, ZONE_UTC)
    assert (change.day, change.ticket_id) == (date(2025, 8, 1), "50")


def test_a_number_of_equal_value_is_no_change() -> None:
    assert edits([booking(units="15.0")], {"6": known(booking(), units=Decimal("15.00"))}, ZONE_UTC) == []


@pytest.mark.parametrize(("zone", "day"), [(ZONE_UTC, date(2025, 8, 16)), (BERLIN, date(2025, 8, 17))])
def test_a_new_booking_is_a_change_of_its_day_in_the_business_zone(zone: Any, day: date) -> None:
    row = booking(created_at="2025-08-16T22:30")
    assert edits([row], {}, zone) == [BookingChange("6@2025-08-16T22:30:00+00:00", day, "50")]


def test_each_edit_of_a_booking_is_a_change_of_its_own() -> None:
    rows = [booking(updated_at=at(f"2025-08-16T09:00:00.{fraction}")) for fraction in ("001", "002")]
    assert len({change.key for change in edits(rows, {}, ZONE_UTC)}) == 2


def test_bookings_of_the_same_second_are_changes_of_their_own() -> None:
    assert [change.key.split("@")[0] for change in edits([booking(6), booking(7)], {}, ZONE_UTC)] == ["6", "7"]


def test_a_stored_booking_that_should_have_been_seen_asks_for_its_day() -> None:
    stored = [known(booking(6)), known(booking(7), work_day=date(2025, 8, 2), ticket_id="51")]
    assert absences({"6"}, stored) == [BookingChange("7@gone", date(2025, 8, 2), "51")]


def test_nothing_is_absent_when_all_were_seen() -> None:
    assert absences({"6", "7", "8"}, [known(booking(6)), known(booking(7))]) == []


# Where the feed left off


def test_the_state_goes_on_from_the_newest_change() -> None:
    rows = [booking(7, created_at="2025-08-16T08:30"), booking(6)]
    after = STATE.after(rows, 11, SINCE, NOW)
    assert after == FeedState(at("2025-08-16T08:30"), SINCE, frozenset({"6", "7"}), 11)


def test_a_read_without_changes_leaves_the_high_water_mark() -> None:
    assert STATE.after([], 10, SINCE, NOW).high_water == STATE.high_water


def test_a_change_from_the_future_does_not_hide_those_until_then() -> None:
    assert STATE.after([booking(7, created_at="2026-01-01")], 11, SINCE, NOW).high_water == NOW


@pytest.mark.parametrize(
    ("rows", "total", "lost"),
    [
        ([booking(6)], 10, 0),
        ([booking(6)], 9, 1),
        ([booking(6), booking(7)], 11, 0),
        ([booking(6), booking(7)], 10, 1),
        ([], 10, 0),
        ([], 9, 1),
        # An old booking that is edited has not come since.
        ([booking(3, created_at="2025-01-01", updated_at=at("2025-08-16T08:20"))], 10, 0),
        # A booking with a lower id that was committed late has.
        ([booking(5), booking(6)], 11, 0),
        ([booking(5), booking(6)], 10, 1),
        ([booking(6)], 12, 0),
    ],
)
def test_bookings_are_lost_when_fewer_are_left_than_were_there_and_came(
    rows: list[TimeAccounting], total: int, lost: int
) -> None:
    assert STATE.lost(rows, total) == lost


@pytest.mark.parametrize(("before", "total"), [(None, 9), (10, None), (None, None)])
def test_without_totals_nothing_counts_as_lost(before: int | None, total: int | None) -> None:
    assert replace(STATE, total=before).lost([], total) == 0


def test_a_feed_goes_on_from_where_it_could_be_read() -> None:
    until = at("2025-08-16T08:29")
    assert STATE.after([booking(7, created_at="2025-08-16T08:30")], None, SINCE, NOW, until).high_water == until
    assert STATE.after([], None, SINCE, NOW, NOW + timedelta(days=1)).high_water == NOW


@given(came=st.integers(0, 20), lost=st.integers(0, 10), seen_before=st.booleans())
def test_every_number_of_deletions_is_noticed_beside_any_number_of_new_bookings(
    came: int, lost: int, seen_before: bool
) -> None:
    rows = [booking(6)] * seen_before + [booking(100 + number) for number in range(came)]
    assert STATE.lost(rows, STATE.total + came - lost) == lost


# Runs


def request(id_: int, day: date, *, tries: int = 0, not_before: datetime = NOW) -> DayRequest:
    return DayRequest(id_, day, tries, not_before)


def on(*days: int, month: int = 7) -> list[DayRequest]:
    """Requests for these days of a month, with ids from 1."""
    return [request(number, date(2025, month, day)) for number, day in enumerate(days, start=1)]


def ranges(requests: Sequence[DayRequest]) -> list[tuple[int, int]]:
    return [(run.first.day, run.last.day) for run in runs_for(requests, NOW, FIRST, LAST)]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([5, 5, 5], [(5, 5)]),
        ([5, 6, 7], [(5, 7)]),
        ([7, 5, 6], [(5, 7)]),
        ([5, 8], [(5, 8)]),
        ([5, 9], [(5, 5), (9, 9)]),
        ([5, 8, 11, 20], [(5, 11), (20, 20)]),
        (list(range(1, 32)), [(1, 31)]),
    ],
)
def test_days_close_together_are_one_run(days: list[int], expected: list[tuple[int, int]]) -> None:
    assert ranges(on(*days)) == expected


def test_a_run_has_at_most_a_month() -> None:
    requests = [request(number, date(2025, 7, 1) + timedelta(days=number)) for number in range(40)]
    assert ranges(requests) == [(1, 31), (1, 9)]


def test_a_handful_of_runs_at_once_begins_with_the_earliest_days() -> None:
    requests = [request(number, date(2025, 1, 1) + timedelta(days=10 * number)) for number in range(20)]
    runs = runs_for(reversed(requests), NOW, FIRST, LAST)
    assert [run.request_ids for run in runs] == [(number,) for number in range(RANGES_AT_ONCE)]


@pytest.mark.parametrize("day", [FIRST - timedelta(days=1), LAST + timedelta(days=1)])
def test_days_without_a_partition_wait(day: date) -> None:
    assert runs_for([request(1, day)], NOW, FIRST, LAST) == []


def test_the_first_and_the_last_day_are_asked_for() -> None:
    assert len(runs_for([request(1, FIRST), request(2, LAST)], NOW, FIRST, LAST)) == 2


def test_a_request_that_is_not_due_yet_waits() -> None:
    early = request(1, DAY, tries=1, not_before=NOW + timedelta(microseconds=1))
    assert runs_for([early, request(2, DAY)], NOW, FIRST, LAST) == [RangeRun(DAY, DAY, (2,), 1)]


@pytest.mark.parametrize(
    "asked",
    [
        request(1, DAY, not_before=NOW + timedelta(hours=1)),
        request(1, DAY, tries=3, not_before=NOW + LONGEST_PAUSE + timedelta(seconds=1)),
        request(1, DAY, tries=3, not_before=NOW + timedelta(days=1)),
    ],
    ids=["asked for while the clock was ahead", "put off for longer than anything is", "put off by a day"],
)
def test_a_request_from_when_the_clock_was_ahead_does_not_wait_for_that_time(asked: DayRequest) -> None:
    assert len(runs_for([asked], NOW, FIRST, LAST)) == 1


def test_a_pause_from_when_the_clock_was_an_hour_ahead_is_over_at_once() -> None:
    asked = request(1, DAY, tries=1, not_before=NOW + timedelta(minutes=59))
    assert len(runs_for([asked], NOW, FIRST, LAST, timedelta(seconds=30))) == 1
    in_time = request(1, DAY, tries=2, not_before=NOW + timedelta(seconds=60))
    assert runs_for([in_time], NOW, FIRST, LAST, timedelta(seconds=30)) == []


def test_a_new_request_beside_an_old_failing_one_does_not_inherit_its_pause() -> None:
    (run,) = runs_for([request(1, DAY, tries=7), request(2, DAY)], NOW, FIRST, LAST)
    assert (run.request_ids, run.tries) == ((1, 2), 1)


days = st.dates(date(2025, 1, 1), date(2025, 3, 31))
instants = st.sampled_from([NOW - timedelta(days=1), NOW, NOW + timedelta(seconds=1)])
requests_ = st.lists(
    st.builds(DayRequest, st.integers(1, 10_000), days, st.integers(0, 5), instants),
    unique_by=lambda made: made.id,
    max_size=40,
)


@given(requests_)
def test_every_due_request_is_in_one_run_that_covers_its_day_and_no_other_is(requests: list[DayRequest]) -> None:
    waiting = [made for made in requests if made.tries and made.not_before > NOW]
    left = {made.id: made for made in requests if made not in waiting}
    while left:
        runs = runs_for([*left.values(), *waiting], NOW, FIRST, LAST)
        assert 0 < len(runs) <= RANGES_AT_ONCE
        for run in runs:
            for id_ in run.request_ids:
                assert run.first <= left.pop(id_).day <= run.last


@given(requests_)
def test_runs_are_short_apart_and_begin_and_end_on_days_that_were_asked_for(requests: list[DayRequest]) -> None:
    asked = {made.day for made in requests}
    runs = runs_for(requests, NOW, FIRST, LAST)
    for run in runs:
        assert 0 <= (run.last - run.first).days < LONGEST_RANGE
        assert {run.first, run.last} <= asked
        inside = sorted(day for day in asked if run.first <= day <= run.last)
        due = sorted({made.day for made in requests if made.id in run.request_ids})
        assert set(due) <= set(inside)
        assert all((later - day).days <= BRIDGED_GAP + 1 for day, later in pairwise(due))
    assert all(run.last < later.first for run, later in pairwise(runs))


@given(requests_, st.randoms())
def test_the_order_of_the_requests_does_not_matter(requests: list[DayRequest], random: Any) -> None:
    shuffled = list(requests)
    random.shuffle(shuffled)
    assert runs_for(shuffled, NOW, FIRST, LAST) == runs_for(requests, NOW, FIRST, LAST)


steps = st.lists(st.tuples(days, st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30))), min_size=1, max_size=25)


@given(steps)
def test_no_key_is_used_twice_whatever_is_claimed_postponed_or_added_between(
    steps: list[tuple[date, set[int], set[int]]],
) -> None:
    used: set[str] = set()
    requests: dict[int, DayRequest] = {}
    for number, (day, claimed, postponed) in enumerate(steps):
        requests[number] = request(number, day)
        due = [made for id_, made in requests.items() if id_ not in postponed]
        for run in runs_for(due, NOW, FIRST, LAST):
            assert run.key not in used
            used.add(run.key)
            for id_ in run.request_ids:
                requests[id_] = replace(requests[id_], tries=requests[id_].tries + 1)
        for id_ in claimed & set(requests):
            del requests[id_]


# Pauses


def test_the_pause_doubles_with_every_try_up_to_an_hour() -> None:
    pauses = [pause_after(tries, timedelta(seconds=30)).total_seconds() for tries in (0, 1, 2, 3, 7, 8, 100)]
    assert pauses == [30, 30, 60, 120, 1920, 3600, 3600]


@given(st.integers(0, 100_000), st.integers(1, 86_400))
def test_a_pause_is_never_longer_than_an_hour_nor_overflows(tries: int, seconds: int) -> None:
    assert timedelta(0) < pause_after(tries, timedelta(seconds=seconds)) <= timedelta(hours=1)


# Bookings that are neither stored nor shown

COUNT = UnknownCount("january", 5)


def counted(number: int, missing: Collection[int] = (), covered: str = "january") -> StoredCount:
    return StoredCount(covered, number, frozenset(missing))


def test_a_booking_counts_as_known_from_when_it_is_shown_until_it_is_stored() -> None:
    assert COUNT.next(counted(95), total=100) == (COUNT, False)
    assert COUNT.next(counted(95, {7}), total=101) == (COUNT, False)
    assert COUNT.next(counted(96), total=101) == (COUNT, False)


def test_fewer_unknown_bookings_twice_in_succession_are_a_deletion() -> None:
    once, lost = COUNT.next(counted(96), total=100)
    assert not lost
    assert once.next(counted(95), total=100) == (COUNT, False), "a run stored one during the look"
    assert once.next(counted(96), total=100) == (UnknownCount("january", 4), True)


def test_a_deletion_that_the_total_shows_counts_once() -> None:
    assert COUNT.next(counted(95), total=99, lost=1) == (UnknownCount("january", 4), False)


def test_an_old_booking_raises_the_number_until_it_is_stored() -> None:
    more, _ = COUNT.next(counted(95), total=101)
    assert more.next(counted(96), total=101) == (COUNT, False)


def test_newly_read_days_make_a_new_beginning() -> None:
    assert COUNT.next(counted(99, covered="february"), total=100) == (UnknownCount("february", 1), False)


def test_deletions_that_the_total_showed_hide_no_later_one() -> None:
    pending, _ = UnknownCount("january", 0).next(counted(100), total=97, lost=3)
    assert pending == UnknownCount("january", -3), "until a run has stored them as gone"
    settled, _ = pending.next(counted(97), total=97)
    assert settled == UnknownCount("january", 0)
    once, lost = settled.next(counted(98), total=97)
    assert not lost
    assert once.next(counted(98), total=97) == (UnknownCount("january", -1), True)


def test_more_stored_than_there_are_is_a_deletion_although_days_were_newly_read() -> None:
    begun, lost = UnknownCount("january", 0).next(counted(101, covered="february"), total=100)
    assert not lost
    once, _ = begun.next(counted(101, covered="february"), total=100)
    assert once.next(counted(101, covered="february"), total=100) == (UnknownCount("february", -1), True)


# The work is said to be of another day


def test_work_that_is_of_another_day_now_changes_the_former_and_the_new_day() -> None:
    before = booking(worked_at=at("2025-08-16T22:30"))
    after = replace(before, worked_at=at("2025-08-20T08:00"), updated_at=at("2025-08-20T09:00"))
    stored = known(before, worked_at=before.worked_at, work_day=date(2025, 8, 17))
    changed = edits([after], {"6": stored}, BERLIN)
    assert [change.day for change in changed] == [date(2025, 8, 17), date(2025, 8, 20)]
    assert len({change.key for change in changed}) == 2


def test_work_moved_without_a_new_time_of_change_is_a_change_too() -> None:
    row = booking(worked_at=at("2025-08-20T08:00"))
    stored = known(row, worked_at=at("2025-08-16T08:00"))
    assert {change.day for change in edits([row], {"6": stored}, BERLIN)} == {DAY, date(2025, 8, 20)}


def test_a_booking_stays_on_the_day_of_an_earlier_zone_if_the_work_is_the_same() -> None:
    row = booking(created_at="2025-08-16T22:30")
    stored = known(row, work_day=date(2025, 8, 16), units=Decimal(3))
    assert [change.day for change in edits([row], {"6": stored}, BERLIN)] == [date(2025, 8, 16)]
