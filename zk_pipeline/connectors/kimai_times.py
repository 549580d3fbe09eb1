"""Instants as Kimai reads them: wall-clock times, in the zone it will read them in (docs/kimai.md §2, §3)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from zk_pipeline.domain.records import Window

NAIVE = "%Y-%m-%dT%H:%M:%S"
MISREAD = timedelta(minutes=30)
"""No two zones differ by less, and hardly any rounding moves a time by as much."""


def zone_named(name: str) -> ZoneInfo | None:
    """The zone of an IANA name, or `None` when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return None


def overlap(local: datetime) -> timedelta:
    """How much time passes until this wall-clock time comes again; zero on all but one night a year."""
    earlier, later = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    return (earlier or timedelta(0)) - (later or timedelta(0))


def wall_clock(instant: datetime, zone: ZoneInfo) -> str:
    """The local time that Kimai reads as this instant in that zone; with offset where the clock shows it twice."""
    local = instant.astimezone(zone)
    return local.isoformat(timespec="seconds") if overlap(local) else local.strftime(NAIVE)


def with_offset(instant: datetime) -> str:
    """The instant in the form that no zone can change."""
    return instant.astimezone(UTC).isoformat(timespec="seconds")


def query_span(window: Window, zone: ZoneInfo) -> tuple[str, str]:
    """Local times that span the window, for the filters `begin` and `end`, which take no offset.

    Where the clock shows such a time twice, they span more.
    """
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    first = (window.start - overlap(start)).astimezone(zone)
    last = (window.end + overlap(end)).astimezone(zone)
    return first.strftime(NAIVE), last.strftime(NAIVE)


def misread(sent: datetime, shown: str, zone: ZoneInfo) -> bool:
    """True when a time was read in another zone than the one it was sent in.

    `shown` is the time in the reply, with the offset of the zone that it was read in. A shift with the right offset is
    the server's rounding.
    """
    moment = datetime.fromisoformat(shown)
    return abs(moment - sent) >= MISREAD and moment.utcoffset() != moment.astimezone(zone).utcoffset()
