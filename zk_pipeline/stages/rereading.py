"""Which days are read again because nothing else would show an edit: those of a source whose changes do not tell all.

Its last days are compared by each poll, and those of the deep check every night. Older open months are read once a week
(docs/freshdesk.md), and a month is read before it is closed.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from zk_pipeline.connectors.plugins import source_kinds
from zk_pipeline.domain.instants import days_between, local_day
from zk_pipeline.domain.periods import last_day, month_of, next_month
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import connectors, periods, sweeps

EVERY = timedelta(days=7)
FURTHEST = timedelta(days=366)
"""How far back months that nobody closed are read again."""

BEFORE_CLOSING = timedelta(days=2)
"""How old the last read of a month may be when it is closed: the deep check of last night is enough."""


def former_months(connection: Connection, settings: Settings, before: date, now: datetime) -> list[tuple[date, date]]:
    """The open months up to the day `before`, oldest first, with a day that was not read again for a week.

    Days that were never read are left to a sync that somebody asks for.
    """
    source = _source_of_silent_edits(connection)
    if source is None:
        return []
    closed = periods.closed_months(connection)
    first = max(settings.start_date, local_day(now - FURTHEST, settings.zone))
    found: list[tuple[date, date]] = []
    while first < before:
        last = min(last_day(first), before - timedelta(days=1))
        if month_of(first) not in closed:
            oldest = sweeps.days_read(connection, source, first, last, settings.zone).oldest
            if oldest is not None and now - oldest >= EVERY:
                unread = sweeps.unread_days(connection, source, first, last, settings.zone)
                found += _spans(day for day in days_between(first, last) if day not in unread)
        first = next_month(first)
    return found


def not_read_since(connection: Connection, settings: Settings, month: date, now: datetime) -> date | None:
    """The day on which a part of the month was last read, if edits since then would not show; else `None`."""
    source = _source_of_silent_edits(connection)
    if source is None:
        return None
    oldest = sweeps.days_read(connection, source, month, last_day(month), settings.zone).oldest
    return local_day(oldest, settings.zone) if oldest is not None and now - oldest > BEFORE_CLOSING else None


def _spans(days: Iterable[date]) -> list[tuple[date, date]]:
    """Days in order as spans without a gap."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] == day - timedelta(days=1):
            found[-1] = found[-1][0], day
        else:
            found.append((day, day))
    return found


def _source_of_silent_edits(connection: Connection) -> str | None:
    """The name of the source, if it does not tell of every edit."""
    for row in connectors.every(connection):
        if row.role == "source" and row.active:
            kind = source_kinds().get(row.kind)
            return row.name if kind is not None and not kind.tells_edits else None
    return None
