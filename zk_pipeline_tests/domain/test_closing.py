"""What may close a month, what is billed, and where adjustments are booked."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.periods import (
    MonthError,
    StatementTotals,
    billed_tag,
    booking_day,
    closing_obstacles,
    in_hours,
    is_billed,
    last_day,
    month_name,
    month_of,
    next_month,
    parse_month,
)
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline_tests.domain.builders import BERLIN, timesheet

AUGUST = date(2025, 8, 1)
TODAY = date(2025, 9, 1)
EVEN = StatementTotals(12, 40, Decimal(0), Decimal(0))


def test_a_balanced_month_that_is_over_may_be_closed() -> None:
    assert closing_obstacles(AUGUST, EVEN, TODAY) == []


@pytest.mark.parametrize(
    ("totals", "today", "told"),
    [
        (EVEN, date(2025, 8, 31), "2025-08 is not over. Close it from 2025-09-01 on."),
        (replace(EVEN, lines=None), TODAY, "There is no statement yet."),
        (replace(EVEN, lines=0), TODAY, "The statement has no line of 2025-08."),
        (replace(EVEN, minutes_unexplained=Decimal("0.5000")), TODAY, "0.5 min of 2025-08 are unexplained"),
        (
            replace(EVEN, lost_in_netting=Decimal(1)),
            TODAY,
            "Corrections of 2025-08 and what they correct differ by 1 min. Sync its days again",
        ),
        (
            replace(EVEN, minutes_waiting=Decimal(15), waiting=2),
            TODAY,
            "15 min of 2025-08 wait for people (entries: 2, open conflicts: 0).",
        ),
        (replace(EVEN, waiting=2), TODAY, "0 min of 2025-08 wait for people (entries: 2, open conflicts: 0)."),
        (replace(EVEN, questions=1), TODAY, "0 min of 2025-08 wait for people (entries: 0, open conflicts: 1)."),
        (replace(EVEN, asked_days=[date(2025, 8, 3)]), TODAY, "Runs of 2025-08-03 are requested."),
        (replace(EVEN, not_read_since=date(2025, 8, 3)), TODAY, "2025-08 was last read on 2025-08-03, and its source"),
        (replace(EVEN, stale_days=[date(2025, 8, 3)]), TODAY, "The statement of 2025-08 is out of date: 2025-08-03"),
    ],
)
def test_what_stands_in_the_way_is_told_with_its_remedy(totals: StatementTotals, today: date, told: str) -> None:
    (objection,) = closing_obstacles(AUGUST, totals, today)
    assert objection.startswith(told)


def test_waiting_minutes_may_be_closed_with_the_month_and_unexplained_ones_never() -> None:
    waiting = replace(EVEN, minutes_waiting=Decimal(15), waiting=2, questions=2)
    assert closing_obstacles(AUGUST, waiting, TODAY, with_waiting=True) == []
    hidden = replace(waiting, minutes_unexplained=Decimal("0.0001"))
    assert len(closing_obstacles(AUGUST, hidden, TODAY, with_waiting=True)) == 1


def test_a_month_without_entries_needs_no_line() -> None:
    assert closing_obstacles(AUGUST, replace(EVEN, lines=0, entries=0), TODAY) == []


@pytest.mark.parametrize(
    "text", ["", "2025", "2025-13", "2025-00", "2025-8", "0000-01", "9999-12", "2025-08-01", "August"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(MonthError, match="such as 2025-08"):
        parse_month(text)


@given(st.dates(date(1970, 1, 1), date(9998, 12, 31)))
def test_months_are_named_begin_and_end_where_their_days_do(day: date) -> None:
    month = month_of(day)
    assert parse_month(month_name(month)) == month
    assert month <= day <= last_day(month)
    assert next_month(month) == last_day(month) + timedelta(days=1)


@pytest.mark.parametrize(
    ("row", "billed"),
    [
        (timesheet(), False),
        (timesheet(exported=True), True),
        (timesheet(tags=("zammad", billed_tag(AUGUST))), True),
        (timesheet(tags=("BILLED:2025-08",)), True),
        (timesheet(tags=("billed", "billed:soon", "not billed:2025-08")), False),
    ],
)
def test_billed_is_what_is_exported_or_has_the_tag_of_a_month(row, billed: bool) -> None:
    assert is_billed(row) is billed
    assert bool(WriteProtection(BERLIN).why(row)) is billed


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        (frozenset(), date(2025, 9, 15)),
        (frozenset({date(2025, 8, 1)}), date(2025, 9, 15)),
        (frozenset({date(2025, 9, 1)}), date(2025, 10, 1)),
        (frozenset({date(2025, 9, 1), date(2025, 10, 1)}), date(2025, 11, 1)),
    ],
)
def test_an_adjustment_is_booked_today_or_on_the_first_open_day_after_it(closed: frozenset[date], expected: date):
    assert booking_day(date(2025, 9, 15), WriteProtection(BERLIN, closed_months=closed).is_closed) == expected


def test_where_everything_is_closed_nothing_is_booked() -> None:
    with pytest.raises(MonthError, match="ZK_LOCKED_BEFORE"):
        booking_day(TODAY, lambda _: True)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        ("0", "0 min"),
        ("0.25", "0.25 min"),
        ("59.75", "59.75 min"),
        ("60", "1 h 00"),
        ("119.5", "2 h 00"),
        ("5463.25", "91 h 03"),
        ("-90", "-1 h 30"),
        ("-7.50", "-7.5 min"),
    ],
)
def test_an_amount_in_a_sentence_is_exact_below_an_hour_and_then_to_the_minute(minutes: str, text: str) -> None:
    assert in_hours(Decimal(minutes)) == text
