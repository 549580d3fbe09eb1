"""Every change of the clocks within two years, in every zone that Python knows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAYS = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


@cache
def clock_changes() -> Sequence[tuple[ZoneInfo, datetime]]:
    """Each zone with the first instant after each of its changes."""
    return [
        (zone, _between(before, after, zone))
        for zone in map(ZoneInfo, sorted(available_timezones()))
        for before, after in pairwise(DAYS)
        if offset(before, zone) != offset(after, zone)
    ]


def instants_around(change: datetime) -> list[datetime]:
    """The seconds on both sides of a change, and each quarter of an hour for some hours before and after it."""
    quarters = [change + timedelta(minutes=15 * number) for number in range(-14, 15)]
    return [*quarters, change - SECOND, change + SECOND]


def offset(instant: datetime, zone: ZoneInfo) -> timedelta | None:
    """How far the zone's clocks are ahead of UTC."""
    return instant.astimezone(zone).utcoffset()


def _between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with another offset than `before`."""
    while after - before > SECOND:
        middle = before + (after - before) // SECOND // 2 * SECOND
        before, after = (middle, after) if offset(middle, zone) == offset(before, zone) else (before, middle)
    return after
