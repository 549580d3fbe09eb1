"""The rule before which day nothing is written."""

from datetime import date

import pytest

from zk_pipeline.domain.locks import LockRuleError, first_open_day

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
