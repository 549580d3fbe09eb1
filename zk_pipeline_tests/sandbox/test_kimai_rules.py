"""The simulated Kimai's own arithmetic: rounding, zones, terms, durations, lockdown, settings."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_sandbox.kimai.datetimes import parse_html5, parse_query, written
from zk_sandbox.kimai.forms import parse_duration
from zk_sandbox.kimai.lockdown import Lockdown
from zk_sandbox.kimai.rounding import MODES, WEEKDAYS, RoundingRule, rounded_times
from zk_sandbox.kimai.search import fold, parse_term
from zk_sandbox.kimai.settings import Settings

BERLIN, NEW_YORK, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
MINUTE = 60


def _rule(
    mode: str, begin: int = 15, end: int = 15, duration: int = 0, days: tuple[str, ...] = WEEKDAYS
) -> RoundingRule:
    return RoundingRule(mode, begin, end, duration, days)


@pytest.mark.parametrize(
    ("mode", "begin", "end", "duration"),
    [("default", 0, 30, 15), ("floor", 0, 15, 0), ("ceil", 15, 30, 15), ("closest", 15, 15, 0)],
)
def test_each_mode_rounds_begin_end_and_duration_its_own_way(mode: str, begin: int, end: int, duration: int) -> None:
    rule = _rule(mode, duration=15)
    assert rule.begin_of(8 * MINUTE) == begin * MINUTE
    assert rule.end_of(22 * MINUTE) == end * MINUTE
    assert rule.duration_of(7 * MINUTE) == duration * MINUTE


def test_the_exact_half_goes_down_in_mode_closest() -> None:
    assert _rule("closest", begin=10).begin_of(5 * MINUTE) == 0


@pytest.mark.parametrize("mode", MODES)
@given(value=st.integers(-(10**9), 10**10), minutes=st.integers(0, 120))
def test_rounding_twice_changes_nothing(mode: str, value: int, minutes: int) -> None:
    rule = _rule(mode, begin=minutes)
    once = rule.begin_of(value)
    assert rule.begin_of(once) == once
    assert abs(once - value) <= minutes * MINUTE


def test_the_duration_is_rounded_without_moving_begin_and_end() -> None:
    rule = _rule("default", begin=0, end=0, duration=15)
    times = rounded_times(rule, begin=0, end=20 * MINUTE, pause=0, where=BERLIN)
    assert times == (0, 20 * MINUTE, 30 * MINUTE)


def test_the_weekday_of_the_end_decides_whether_anything_is_rounded() -> None:
    rule = _rule("default", days=("monday",))
    sunday_night = parse_html5("2026-11-01T23:07:00", BERLIN)
    monday = parse_html5("2026-11-02T00:52:00", BERLIN)
    begin, end, _ = rounded_times(rule, begin=sunday_night, end=monday, pause=0, where=BERLIN)
    assert (written(begin, BERLIN), written(end, BERLIN)) == ("2026-11-01T23:00:00+0100", "2026-11-02T01:00:00+0100")
    assert rounded_times(rule, begin=sunday_night, end=monday, pause=0, where=NEW_YORK)[0] == sunday_night


def test_hours_are_rounded_on_the_utc_clock_also_in_a_half_hour_zone() -> None:
    instant = parse_html5("2026-11-02T09:10:00", KOLKATA)
    assert written(_rule("floor", begin=60).begin_of(instant), KOLKATA) == "2026-11-02T08:30:00+0530"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-07-01T09:00:00", "2026-07-01T09:00:00+0200"),
        ("2026-07-01 09:00", "2026-07-01T09:00:00+0200"),
        ("2026-07-01T09:00:00Z", "2026-07-01T11:00:00+0200"),
        ("2026-07-01T09:00:00.123+0500", "2026-07-01T06:00:00+0200"),
        ("2026-07-01T24:00:00", "2026-07-02T00:00:00+0200"),
        ("2026-03-29T02:30:00", "2026-03-29T03:30:00+0200"),
        ("2026-10-25T02:30:00", "2026-10-25T02:30:00+0100"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+0200"),
    ],
)
def test_a_form_time_is_read_in_the_zone_unless_it_carries_an_offset(text: str, instant: str) -> None:
    assert written(parse_html5(text, BERLIN), BERLIN) == instant


@pytest.mark.parametrize("text", ["2026-07-01", "01.07.2026 09:00", "2026-02-30T09:00", "now", "1793600000"])
def test_other_forms_of_time_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"date|time|day"):
        parse_html5(text, BERLIN)


@pytest.mark.parametrize("text", ["2026-07-01", "2026-07-01T09:00", "2026-07-01T09:00:00Z", "2026-07-01 09:00:00"])
def test_a_query_takes_one_form_of_time_alone(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        parse_query(text, BERLIN)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:15", 900), ("15m", 900), ("1h30m", 5400), ("0.25", 900), ("15", 54_000)]
)
def test_a_bare_number_is_a_duration_in_hours(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


def _found(term: str, text: str) -> bool:
    return bool(parse_term(term).keep([fold(text)], lambda row: row, lambda _: {}))


@pytest.mark.parametrize(
    ("term", "text", "found"),
    [
        ("fix ticket", "Ticket fix", True),
        ("fix nothing", "Ticket fix", False),
        ("zammad-77", "ref ZAMMAD-7770", True),
        ("zammad_888", "zammadX888", True),
        ("100%", "100% done", True),
        ("%", "", False),
        ("cafe", "naïve Café", True),
        ("!ticket", "Ticket fix", False),
        ("!ticket", "", True),
        ("zammad:123", "zammad:123", False),
        ("zammad: 123", "zammad:123", True),
        ("[zk:1]", "[zk:1]", False),
        ("[zk-1]", "Work [zk-1]", True),
        ("field:~", "anything", True),
        ("field:*", "anything", False),
        ('"two words"', "two words", False),
    ],
)
def test_a_term_is_words_with_wildcards_and_custom_fields(term: str, text: str, found: bool) -> None:
    assert _found(term, text) is found


@pytest.mark.parametrize(
    ("term", "fields", "found"),
    [
        ("ticket:77", {"ticket": "1770"}, True),
        ("!ticket:77", {"ticket": "1770"}, False),
        ("ticket:*", {"ticket": "1"}, True),
        ("ticket:~", {"ticket": "1"}, False),
        ('ticket:""', {}, True),
    ],
)
def test_a_word_with_a_colon_tests_a_custom_field(term: str, fields: dict[str, str], found: bool) -> None:
    assert bool(parse_term(term).keep(["text"], lambda row: row, lambda _: fields)) is found


@pytest.mark.parametrize(
    ("begin", "now", "permissions", "allowed"),
    [
        ("2026-02-20T09:00:00Z", "2026-03-12T00:00:00Z", set(), False),
        ("2026-02-20T09:00:00Z", "2026-03-03T00:00:00Z", set(), True),
        ("2026-02-20T09:00:00Z", "2026-03-12T00:00:00Z", {"lockdown_grace_timesheet"}, True),
        ("2026-01-20T09:00:00Z", "2026-03-03T00:00:00Z", {"lockdown_grace_timesheet"}, False),
        ("2026-01-20T09:00:00Z", "2026-03-03T00:00:00Z", {"lockdown_override_timesheet"}, True),
        ("2026-03-01T00:00:00Z", "2026-03-12T00:00:00Z", set(), True),
    ],
)
def test_last_month_is_locked_after_its_days_of_grace(
    begin: str, now: str, permissions: set[str], allowed: bool
) -> None:
    lockdown = Lockdown("first day of last month 00:00:00", "last day of last month 23:59:59", "+5 days", "UTC")
    utc = ZoneInfo("UTC")
    answer = lockdown.allows(
        parse_html5(begin, utc), entry_zone=BERLIN, now=parse_html5(now, utc), permissions=frozenset(permissions)
    )
    assert answer is allowed


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"timesheet.rounding.begin": 5}, "timesheet.rounding.begin"),
        ({"timesheet.rounding.default.mode": "up"}, "closest"),
        ({"timesheet.rounding.default.begin": -1}, "whole number"),
        ({"now": "2026-01-01T00:00:00"}, "offset"),
        ({"permissions": {"ROLE_ADMIN": {"view_users": True}}}, "view_user"),
        ({"timesheet.rules.lockdown_period_end": "some day"}, "lockdown_period_end"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings().changed(settings)
