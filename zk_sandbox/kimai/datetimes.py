"""Instants as UTC epoch seconds; zones only where text is read or written (docs/kimai.md §3, §6)."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HTML5 = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})[T ](?P<hour>\d{2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?"
    r"(?:\.\d+)? ?(?P<zone>Z|UTC|[+-]\d{2}:?\d{2}|[A-Za-z_]+/[A-Za-z_/]+)?"
)
_QUERY = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@cache
def zone_names() -> frozenset[str]:
    """Names of the zones a user or customer may have."""
    return frozenset(available_timezones())


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of that name; ValueError if there is none."""
    if name not in zone_names():
        raise ValueError(f"There is no time zone named {name!r}; use an IANA name such as Europe/Berlin.")
    return ZoneInfo(name)


def to_epoch(moment: datetime) -> int:
    """The UTC epoch second of an aware date-time."""
    return (moment - _EPOCH) // timedelta(seconds=1)


def local_to_epoch(naive: datetime, where: ZoneInfo) -> int:
    """The instant of a wall-clock time, as PHP reads it.

    A time in the gap of spring moves forward, a time in the repeated hour of autumn is the later, winter one
    (docs/kimai.md §3); both are the later of the two readings.
    """
    return max(to_epoch(naive.replace(tzinfo=where, fold=fold)) for fold in (0, 1))


def local(instant: int, where: ZoneInfo) -> datetime:
    """The instant as an aware date-time of a zone."""
    return (_EPOCH + timedelta(seconds=instant)).astimezone(where)


def written(instant: int, where: ZoneInfo) -> str:
    """The instant as in every answer: `2025-08-16T08:00:00+0200`, no colon in the offset."""
    return local(instant, where).strftime("%Y-%m-%dT%H:%M:%S%z")


def parse_html5(text: str, where: ZoneInfo) -> int:
    """An instant from a form: `YYYY-MM-DD[T ]HH:MM[:SS]`, read in `where` unless an offset follows.

    ValueError for anything else; hour 24 is the next midnight (docs/kimai.md §3).
    """
    match = _HTML5.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no HTML5 date-time.")
    hours, minutes, seconds = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    if hours > 24 or minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} has no valid time of day.")
    midnight = datetime.combine(date.fromisoformat(match["day"]), datetime.min.time())
    try:
        naive = midnight + timedelta(hours=hours, minutes=minutes, seconds=seconds)
        return _read(naive, match["zone"], where)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond the calendar.") from error


def _read(naive: datetime, suffix: str | None, where: ZoneInfo) -> int:
    if suffix is None:
        return local_to_epoch(naive, where)
    if suffix in {"Z", "UTC"}:
        return to_epoch(naive.replace(tzinfo=UTC))
    offset = _OFFSET.fullmatch(suffix)
    if offset is None:
        return local_to_epoch(naive, zone(suffix))
    shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return to_epoch(naive.replace(tzinfo=UTC) + (shift if offset[1] == "-" else -shift))


def parse_query(text: str, where: ZoneInfo) -> int:
    """An instant from a query parameter: exactly `Y-m-dTH:i:s`; ValueError otherwise (docs/kimai.md §2)."""
    if _QUERY.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not of the form Y-m-dTH:i:s.")
    return local_to_epoch(datetime.fromisoformat(text), where)


def parse_date(text: str) -> date:
    """A calendar day; ValueError unless the text is `Y-m-d` (docs/kimai.md §7)."""
    if len(text) != len("2026-01-31"):
        raise ValueError(f"{text!r} is not of the form Y-m-d.")
    return date.fromisoformat(text)


def start_of(day: date, where: ZoneInfo) -> int:
    """The first second of a day."""
    return local_to_epoch(datetime.combine(day, datetime.min.time()), where)


def end_of(day: date, where: ZoneInfo) -> int:
    """The last second of a day."""
    return start_of(day + timedelta(days=1), where) - 1
