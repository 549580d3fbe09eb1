"""Days and instants: the only place where local dates and UTC are converted."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from zk_pipeline.domain.records import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_day(instant: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an instant in a zone; of a booking's `created_at`, its work day."""
    return instant.astimezone(zone).date()


def microseconds(instant: datetime) -> int:
    """The instant as whole microseconds since the epoch, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC, even if a clock change skips midnight."""
    midnight = datetime.combine(day, time(), tzinfo=zone)
    return midnight.astimezone(UTC)


def days_window(first: date, last: date, zone: ZoneInfo) -> Window:
    """From the start of local day `first` to the end of `last`; a day with a clock change has 23 or 25 hours."""
    return Window(day_start(first, zone), day_start(last + timedelta(days=1), zone))


def days_between(first: date, last: date) -> list[date]:
    """The days from `first` to `last`, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def day_ranges(first: date, last: date, longest: int) -> list[tuple[date, date]]:
    """The days from `first` to `last` as ranges of at most `longest` days, oldest first."""
    begins = days_between(first, last)[::longest]
    return [(begin, min(last, begin + timedelta(days=longest - 1))) for begin in begins]


def floor_to_grid(instant: datetime, grid_minutes: int, zone: ZoneInfo) -> datetime:
    """The instant rounded down to the grid of local wall-clock time, in UTC, never before its local day."""
    local = instant.astimezone(zone)
    past_grid = (local.hour * 60 + local.minute) % grid_minutes
    moved_by = timedelta(minutes=past_grid, seconds=local.second, microseconds=local.microsecond)
    return max(instant.astimezone(UTC) - moved_by, day_start(local.date(), zone))


def whole_seconds(minutes: Decimal) -> int:
    """Minutes as whole seconds, half a second rounded up: the target stores no fractions of a second."""
    return int((minutes * 60).to_integral_value(rounding=ROUND_HALF_UP))


def duration(minutes: Decimal) -> timedelta:
    """Minutes as a duration of whole seconds."""
    return timedelta(seconds=whole_seconds(minutes))
