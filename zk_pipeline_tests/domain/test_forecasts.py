"""What the target would make of other times by its answers, compared with the simulated Kimai's own rounding."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.rounding import DEFAULT, MODES, STEPS, Forecast, RoundingSample, TimesheetTimes
from zk_pipeline_tests.domain.builders import at
from zk_sandbox.kimai.rounding import WEEKDAYS, RoundingRule, rounded_times

EIGHT = int(at("2025-08-16T08:00").timestamp())
RULES = st.builds(
    RoundingRule,
    st.sampled_from(MODES),
    st.sampled_from((0, *STEPS)),
    st.sampled_from((0, *STEPS)),
    st.sampled_from((0, *STEPS)),
    st.just(WEEKDAYS),
)
BEGINS = st.integers(0, 239).map(lambda minutes: EIGHT + minutes * 60)
SECONDS = st.integers(1, 480).map(lambda minutes: minutes * 60)


def answer(rule: RoundingRule, begin: int, seconds: int) -> RoundingSample:
    made = rounded_times(rule, begin=begin, end=begin + seconds, pause=0, where=ZoneInfo("Europe/Berlin"))
    return RoundingSample(begin, seconds, TimesheetTimes(*made))


@given(RULES, st.lists(st.tuples(BEGINS, SECONDS), min_size=1, max_size=12))
def test_what_kimai_answered_is_foretold(rule: RoundingRule, sent: list[tuple[int, int]]) -> None:
    answers = [answer(rule, *each) for each in sent]
    forecast = Forecast.of([answers])
    assert forecast.rules
    for seen in answers:
        assert all(made.billed(seen.begin, seen.seconds) == seen.made.duration for made in forecast.rules)


@given(RULES, BEGINS, SECONDS)
def test_many_answers_leave_nothing_open(rule: RoundingRule, begin: int, seconds: int) -> None:
    answers = [answer(rule, EIGHT + 7 * 60 * each, (1 + each * each % 113) * 60) for each in range(200)]
    made = {rule.billed(begin, seconds) for rule in Forecast.of([answers]).rules}
    assert made == {answer(rule, begin, seconds).made.duration}


def test_without_answers_kimai_is_taken_to_be_as_it_is_delivered() -> None:
    assert Forecast.of([[], []]).rules == (DEFAULT,)


def test_answers_that_no_settings_explain_are_left_for_nearer_ones() -> None:
    rule = RoundingRule("default", 0, 0, 15, WEEKDAYS)
    old, near = RoundingSample(EIGHT, 600, TimesheetTimes(EIGHT, EIGHT + 600, 660)), answer(rule, EIGHT, 600)
    assert Forecast.of([[old, near], [near], [near]]).billed(at("2025-08-16T08:00"), 780)[0] == 900
    unexplained = Forecast.of(
        [[old, near], [old], [RoundingSample(EIGHT, 600, TimesheetTimes(EIGHT, EIGHT + 600, 661))]]
    )
    assert (unexplained.rules, unexplained.billed(at("2025-08-16T08:00"), 780)) == ((), (841,))


@pytest.mark.parametrize("hours", [1, 24])
def test_a_time_sheet_that_was_placed_elsewhere_says_nothing_of_begins(hours: int) -> None:
    begin = EIGHT + hours * 3600
    assert Forecast.of([[RoundingSample(EIGHT, 600, TimesheetTimes(begin, begin + 600, 600))]]).rules == (DEFAULT,)
