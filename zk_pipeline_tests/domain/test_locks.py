"""The rule before which day nothing is written."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.domain.write_protection import LockRuleError, WriteProtection, first_open_day
from zk_pipeline_tests.domain.builders import timesheet

TODAY = date(2025, 3, 15)


@pytest.mark.parametrize(
    ("rule", "day"),
    [
        ("", None),
        ("  ", None),
        ("2025-02-01", date(2025, 2, 1)),
        (" 2025-02-01 ", date(2025, 2, 1)),
        ("first day of this month", date(2025, 3, 1)),
        ("First day of  LAST month", date(2025, 2, 1)),
        ("30 days ago", date(2025, 2, 13)),
        ("0 days ago", TODAY),
    ],
)
def test_a_rule_names_the_first_open_day(rule: str, day: date | None):
    assert first_open_day(rule, TODAY) == day


def test_the_month_before_january_is_december():
    assert first_open_day("first day of last month", date(2025, 1, 31)) == date(2024, 12, 1)


@pytest.mark.parametrize("rule", ["yesterday", "2025-13-01", "16.08.2025", "-1 days ago", "first day of next month"])
def test_an_unknown_rule_is_refused_with_the_ways_to_write_one(rule: str):
    with pytest.raises(LockRuleError, match="neither a date such as 2025-08-01 nor a rule"):
        first_open_day(rule, TODAY)


def test_the_days_of_closed_months_are_closed_whatever_their_order():
    locks = WriteProtection(
        ZoneInfo("Europe/Berlin"), date(2025, 3, 1), frozenset({date(2025, 5, 1), date(2025, 8, 1)})
    )
    days = (date(2025, 2, 28), date(2025, 3, 1), date(2025, 5, 31), date(2025, 6, 1), date(2025, 8, 1))
    assert [locks.is_closed(day) for day in days] == [True, False, True, False, True]
    assert locks.why_day(days[0]) == "2025-02-28 is closed: nothing is written before 2025-03-01."
    assert locks.why_day(days[2]) == "2025-05-31 is closed: 2025-05 was closed for billing."
    assert locks.why_day(days[1]) == ""


def test_the_business_zone_decides_in_which_month_a_time_sheet_lies():
    row = timesheet(begin="2025-08-31T22:30")
    august = frozenset({date(2025, 8, 1)})
    assert WriteProtection(ZoneInfo("UTC"), closed_months=august).why(row)
    assert not WriteProtection(ZoneInfo("Europe/Berlin"), closed_months=august).why(row)
