"""Finding out which days changed: webhook hints and the source's newest changes become day requests.

Whatever a read finds is committed together with the place where it left off and the hints that it answered, so that a
tick that dies is simply done again.
"""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from zk_pipeline.connectors.base import SourceConnector
from zk_pipeline.domain.demand import Change, FeedState, absences, edits
from zk_pipeline.domain.instants import days_window, local_day
from zk_pipeline.domain.records import TimeAccounting
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import cursors, deliveries, requests
from zk_pipeline.store import source as rows

SUBJECT = "changes"
OVERLAP = timedelta(minutes=10)
"""A booking becomes visible at its commit but carries the time of its save (docs/zammad.md §8)."""

DELETION_DAYS = 62
LONGEST_COMPARISON = 50_000
HINTS_AT_ONCE = 2000
TICKETS_AT_ONCE = 50
READERS = 4

AT_ONCE = {"http_attempts": 1, "http_timeout": 10.0}
"""A tick must end within a minute, and the next one tries again."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The feed's state, when it was last read, and the changes within the overlap that were asked for already."""

    state: FeedState
    read_at: datetime
    asked: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """The value for the store."""
        return {
            "high_water": self.state.high_water.isoformat(),
            "since": self.state.since.isoformat(),
            "seen": sorted(self.state.seen),
            "total": self.state.total,
            "read_at": self.read_at.isoformat(),
            "asked": sorted(self.asked),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Cursor":
        """The value out of the store."""
        high_water, since, read_at = (
            datetime.fromisoformat(value[name]) for name in ("high_water", "since", "read_at")
        )
        state = FeedState(high_water, since, frozenset(value["seen"]), value["total"])
        return cls(state, read_at, frozenset(value["asked"]))


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at the source led to."""

    hints: int = 0
    tickets: int = 0
    days: tuple[date, ...] = ()
    polled: bool = False


class ChangeFeed:
    """Looks for changes of the source; days before ZK_START_DATE are never asked for."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = replace(runtime, settings=runtime.settings.model_copy(update=AT_ONCE))
        self._name = runtime.stored("source").name
        self._zone = runtime.settings.zone

    def look(self, now: datetime) -> Found:
        """Look into the hints, and poll when it is time to or when there are hints.

        Raises the connector's errors; then nothing is marked as looked into. Sends no request when neither is due.
        """
        with self._runtime.database.transaction() as connection:
            hints = deliveries.unprocessed(connection, self._name, HINTS_AT_ONCE)
            stored = cursors.load(connection, self._name, SUBJECT)
        cursor = Cursor.from_json(stored) if stored else None
        pause = timedelta(seconds=self._runtime.settings.poll_seconds)
        # Read in the future: our own clock was ahead, and waiting for that moment would miss all changes until then.
        due = cursor is None or not timedelta(0) <= now - cursor.read_at < pause
        tickets = list(dict.fromkeys(hint.ticket_id for hint in hints))[:TICKETS_AT_ONCE]
        if not due and not tickets:
            return Found()
        with self._runtime.source() as source:
            changes, feed = self._poll(source, cursor, now)
            changes += self._look_into(source, tickets)
        looked_into = [hint.id for hint in hints if hint.ticket_id in set(tickets)]
        days = self._record(changes, cursor, feed, now, looked_into)
        return Found(len(looked_into), len(tickets), days, polled=True)

    def _poll(self, source: SourceConnector, cursor: Cursor | None, now: datetime) -> tuple[list[Change], FeedState]:
        since = (min(cursor.state.high_water, now) if cursor else now) - OVERLAP
        seen = source.fetch_changes(since)
        changes = self._edits(seen.rows)
        if cursor is None:
            before = FeedState(now - OVERLAP, since, frozenset(), 0)
        else:
            before = cursor.state
            if before.lost_some(seen.rows, seen.total):
                changes += self._deletions(source, seen.total, now)
        return changes, before.after(seen.rows, seen.total, since, now)

    def _deletions(self, source: SourceConnector, total: int, now: datetime) -> list[Change]:
        """Stored bookings that are no longer in the list.

        A long list is compared for the last weeks only, since a tick must be short; older days are found when they are
        run again.
        """
        today = local_day(now, self._zone)
        recent = today - timedelta(days=DELETION_DAYS)
        with self._runtime.database.transaction() as connection:
            earliest = rows.earliest_day(connection, self._name) or recent
        first = min(earliest, recent) if total <= LONGEST_COMPARISON else recent
        seen = {row.id for page in source.fetch(days_window(first, today, self._zone)).pages() for row in page}
        with self._runtime.database.transaction() as connection:
            expected = rows.stored_bookings(connection, self._name, since=first)
        return absences(seen, expected)

    def _look_into(self, source: SourceConnector, tickets: Sequence[int]) -> list[Change]:
        with ThreadPoolExecutor(READERS, thread_name_prefix="hints") as pool:
            seen = [row for of_ticket in pool.map(source.fetch_of_ticket, tickets) for row in of_ticket]
        with self._runtime.database.transaction() as connection:
            expected = rows.stored_bookings(connection, self._name, ticket_ids=tickets)
        return self._edits(seen) + absences({row.id for row in seen}, expected)

    def _edits(self, seen: Iterable[TimeAccounting]) -> list[Change]:
        listed = list(seen)
        with self._runtime.database.transaction() as connection:
            known = rows.stored_bookings(connection, self._name, ids=[row.id for row in listed])
        return edits(listed, {row.id: row for row in known}, self._zone)

    def _record(
        self, changes: Iterable[Change], cursor: Cursor | None, feed: FeedState, now: datetime, hints: Collection[int]
    ) -> tuple[date, ...]:
        """Commit the requests, the place where the feed left off, and the hints that were answered."""
        asked = cursor.asked if cursor else frozenset()
        found = {change.key: change for change in changes if change.day >= self._runtime.settings.start_date}
        new = [change for key, change in found.items() if key not in asked]
        tickets: dict[date, set[int]] = {}
        for change in new:
            tickets.setdefault(change.day, set()).add(change.ticket_id)
        # What the overlap still shows was asked for; the rest of the memory can go.
        after = Cursor(feed, now, frozenset(found))
        with self._runtime.database.transaction() as connection:
            requests.ask(connection, tickets, "change", tickets)
            cursors.save(connection, self._name, SUBJECT, after.to_json())
            deliveries.mark_processed(connection, hints)
        return tuple(sorted(tickets))
