"""Every change of the clocks within two years, in every zone that Python knows."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def clock_changes() -> Iterator[tuple[ZoneInfo, datetime]]:
    """Each zone with the first instant after each of its changes."""
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        instant = FIRST
        while instant < LAST:
            if offset(instant, zone) != offset(instant + DAY, zone):
                yield zone, _between(instant, instant + DAY, zone)
            instant += DAY


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
