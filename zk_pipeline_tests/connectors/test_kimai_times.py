"""Wall-clock times for Kimai: exact on every night of the year, in every zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.connectors.kimai.reading import misread, query_span, wall_clock, with_offset, zone_named
from zk_pipeline.domain.records import Window
from zk_pipeline_tests.clock_changes import clock_changes, instants_around

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe")]
ANY_SECOND = st.integers(1_577_836_800, 1_893_456_000).map(lambda second: datetime.fromtimestamp(second, UTC))
CHANGES = [
    datetime(2025, 10, 26, 1, tzinfo=UTC),  # Berlin, autumn
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin, spring
    datetime(2025, 11, 2, 6, tzinfo=UTC),  # New York, autumn
    datetime(2025, 4, 5, 15, tzinfo=UTC),  # Lord Howe, autumn: half an hour
]
AROUND_A_CHANGE = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-120, 120)
)
INSTANTS = ANY_SECOND | AROUND_A_CHANGE


def read_by_kimai(text: str, zone: ZoneInfo, *, later: bool) -> datetime:
    """The instant Kimai sees; which of the two it takes in a repeated hour is its own affair."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=int(later))).astimezone(UTC)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2025, 8, 16, 8, tzinfo=UTC), "2025-08-16T10:00:00"),
        (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), "2025-10-26T02:30:00+02:00"),
        (datetime(2025, 10, 26, 1, 30, tzinfo=UTC), "2025-10-26T02:30:00+01:00"),
        (datetime(2025, 10, 26, 2, 0, tzinfo=UTC), "2025-10-26T03:00:00"),
        (datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "2026-03-29T01:59:00"),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "2026-03-29T03:00:00"),
    ],
)
def test_times_are_naive_but_for_the_hour_that_comes_twice(instant: datetime, text: str) -> None:
    assert wall_clock(instant, BERLIN) == text


@given(instant=INSTANTS, zone=st.sampled_from(ZONES), later=st.booleans())
def test_every_instant_is_read_as_it_was_meant(instant: datetime, zone: ZoneInfo, later: bool) -> None:
    assert read_by_kimai(wall_clock(instant, zone), zone, later=later) == instant
    assert read_by_kimai(with_offset(instant), zone, later=later) == instant


def test_around_every_change_of_clocks_in_every_zone_an_instant_is_read_as_it_was_meant() -> None:
    for zone, change in clock_changes():
        for instant in instants_around(change):
            for later in (False, True):
                assert read_by_kimai(wall_clock(instant, zone), zone, later=later) == instant, (zone, instant)


@given(bounds=st.lists(INSTANTS, min_size=2, max_size=2), zone=st.sampled_from(ZONES), later=st.booleans())
def test_a_query_spans_its_window(bounds: list[datetime], zone: ZoneInfo, later: bool) -> None:
    window = Window(min(bounds), max(bounds))
    begin, end = query_span(window, zone)
    assert read_by_kimai(begin, zone, later=later) <= window.start
    assert read_by_kimai(end, zone, later=later) >= window.end


@pytest.mark.parametrize("later", [True, False])
@pytest.mark.parametrize("number", range(12))
def test_a_query_spans_each_quarter_of_the_night_on_which_clocks_go_back(number: int, later: bool) -> None:
    start = datetime(2025, 10, 26, tzinfo=UTC) + timedelta(minutes=15 * number)
    begin, end = query_span(Window(start, start + timedelta(minutes=15)), BERLIN)
    assert read_by_kimai(begin, BERLIN, later=later) <= start
    assert read_by_kimai(end, BERLIN, later=later) >= start + timedelta(minutes=15)


def test_a_query_is_as_wide_as_its_window_on_ordinary_days() -> None:
    window = Window(datetime(2025, 8, 15, 22, tzinfo=UTC), datetime(2025, 8, 16, 22, tzinfo=UTC))
    assert query_span(window, BERLIN) == ("2025-08-16T00:00:00", "2025-08-17T00:00:00")


@pytest.mark.parametrize(
    ("shown", "wrong"),
    [
        ("2025-08-16T10:00:00+0200", False),
        ("2025-08-16T09:45:00+0200", False),
        ("2025-08-16T11:00:00+0200", False),
        ("2025-08-16T08:00:00+0000", False),
        ("2025-08-16T10:00:00+0000", True),
        ("2025-08-16T10:00:00-0400", True),
    ],
)
def test_another_offset_with_another_instant_is_a_misreading_and_rounding_is_not(shown: str, wrong: bool) -> None:
    assert misread(datetime(2025, 8, 16, 8, tzinfo=UTC), shown, BERLIN) is wrong


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd"])
def test_a_zone_that_is_not_known_here_is_none(name: str) -> None:
    assert zone_named(name) is None
