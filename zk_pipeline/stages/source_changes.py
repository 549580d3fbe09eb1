"""Finds the days that changed in the source: webhook hints and new changes become day requests.

The results of a read are committed together with its position and the hints that it answered, so a tick that dies is
simply repeated. A tick is short: after a long outage, the next ticks continue.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from zk_pipeline.connectors.answer import run_concurrently
from zk_pipeline.connectors.contract import ChangedRows, ChangedTicket, RemainingChanges, SourceConnector
from zk_pipeline.domain.changed_days import BookingChange, FeedState, UnknownCount, absences, edits
from zk_pipeline.domain.instants import days_window, local_day
from zk_pipeline.domain.records import Ticket, TimeAccounting
from zk_pipeline.domain.vanished import BudgetedListing, ListPosition, differences
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.read_source import SUBJECT as SWEPT
from zk_pipeline.stages.read_source import one_booking_per_ticket, save_tickets
from zk_pipeline.store import day_requests, deliveries, request_log, source, sweeps, tickets

SUBJECT = "changes"
SEARCH = "vanished"
TICKETS = "tickets"
OVERLAP = timedelta(minutes=10)
"""A booking becomes visible at its commit but has the time of its save (docs/zammad.md §8)."""

TICKETS_PAUSE = timedelta(minutes=1)
"""Between two reads of the changed tickets."""

LONGEST_COMPARISON = 5000
"""A list of up to this many bookings is read completely if some are gone; a longer one is searched."""

REQUESTS_OF_A_SEARCH = 100
HINTS_AT_ONCE = 2000
TICKETS_AT_ONCE = 50

AT_ONCE = {"http_attempts": 1, "http_timeout": 10.0}
"""A tick must end within a minute; the next one tries again."""


@dataclass(frozen=True, slots=True)
class UnreadChanges:
    """Changes of a long outage that were not read yet, and the state of the feed once they are."""

    rest: RemainingChanges
    then: FeedState


@dataclass(frozen=True, slots=True)
class Cursor:
    """The feed's state, when it was last read, and the changes within the overlap that were already requested.

    `shown` are the new bookings that are not stored yet. `unknown` is `None` until the first look after a gap.
    """

    state: FeedState
    read_at: datetime
    asked: frozenset[str]
    unread: UnreadChanges | None = None
    shown: frozenset[str] = frozenset()
    unknown: UnknownCount | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON for the store."""
        value = {**_state_json(self.state), "read_at": self.read_at.isoformat(), "asked": sorted(self.asked)}
        value["shown"] = sorted(self.shown)
        if self.unknown:
            value["unknown"] = asdict(self.unknown)
        if self.unread:
            rest = self.unread.rest
            value["unread"] = {
                "until": rest.until.isoformat(),
                "position": rest.position,
                "page_size": rest.page_size,
                "total": rest.total,
                "then": _state_json(self.unread.then),
            }
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Cursor":
        """From the store's JSON."""
        unread = None
        if left := value.get("unread"):
            until = datetime.fromisoformat(left["until"])
            rest = RemainingChanges(until, left["position"], left["page_size"], left["total"])
            unread = UnreadChanges(rest, _state(left["then"]))
        read_at = datetime.fromisoformat(value["read_at"])
        unknown = UnknownCount(**value["unknown"]) if "unknown" in value else None
        return cls(
            _state(value),
            read_at,
            frozenset(value["asked"]),
            unread,
            frozenset(map(str, value.get("shown", ()))),
            unknown,
        )


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """The result of a poll; no request is sent before `wait_until`, if it is set."""

    hints: int = 0
    tickets: int = 0
    days: tuple[date, ...] = ()
    polled: bool = False
    wait_until: datetime | None = None


class ChangeFeed:
    """Looks for changes in the source; days before ZK_START_DATE are never requested."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = replace(runtime, settings=runtime.settings.model_copy(update=AT_ONCE))
        self._name = runtime.stored("source").name
        self._zone = runtime.settings.zone

    def poll(self, now: datetime) -> SourceChanges:
        """Process the hints, and poll if it is time, if there are hints, or to see whether the source answers again.

        Raises the connector's errors; then no hint is marked as processed. Sends no request if nothing is due or the
        source is to be left alone.
        """
        with self._runtime.database.transaction() as connection:
            hints = deliveries.unprocessed(connection, self._name, HINTS_AT_ONCE)
            stored = sweeps.load(connection, self._name, SUBJECT)
            searching = sweeps.load(connection, self._name, SEARCH) or {}
            known = request_log.load(connection, self._name)
        if (wait_until := known.wait_until(now)) is not None:
            return SourceChanges(wait_until=wait_until)
        cursor = Cursor.from_json(stored) if stored else None
        pause = timedelta(seconds=self._runtime.settings.poll_seconds)
        # Read in the future: our clock was ahead, and waiting for that time would miss all changes until then.
        due = cursor is None or not timedelta(0) <= now - cursor.read_at < pause
        due = due or known.failing_since is not None or (cursor is not None and cursor.unread is not None)
        tickets = list(dict.fromkeys(hint.ticket_id for hint in hints))[:TICKETS_AT_ONCE]
        if not (due or tickets or searching):
            return SourceChanges()
        with replace(self._runtime, clock=lambda: now).source() as source:
            days: tuple[date, ...] = ()
            look = _PollRound(self._runtime, self._name, source, now)
            looked_into = [hint.id for hint in hints if hint.ticket_id in set(tickets)]
            if due or tickets:
                look.poll(cursor)
                look.into(tickets)
                days = look.record(looked_into)
            # Separately: a failure here must not discard what was found above.
            further = _PollRound(self._runtime, self._name, source, now)
            further.tickets()
            if searching or look.lost_some:
                further.search({} if look.lost_some else searching, look.total)
            days += further.record(())
        return SourceChanges(len(looked_into), len(tickets), tuple(sorted(set(days))), polled=due or bool(tickets))


class _PollRound:
    """One poll: what it reads, and its results, recorded in one transaction."""

    def __init__(self, runtime: Runtime, name: str, source: SourceConnector, now: datetime) -> None:
        self._runtime = runtime
        self._name = name
        self._source = source
        self._now = now
        self._zone = runtime.settings.zone
        self._changes: list[BookingChange] = []
        self._seen: dict[str, Ticket] = {}
        self._asked: frozenset[str] = frozenset()
        self._saved: dict[str, dict[str, Any]] = {}
        self._cursor: Cursor | None = None
        self.lost_some = False
        self.total: int | None = None

    def poll(self, cursor: Cursor | None) -> None:
        """Read what changed since the last time, or continue with what was left then."""
        now = self._now
        self._asked = cursor.asked if cursor else frozenset()
        if cursor and cursor.unread:
            self._go_on(cursor, cursor.unread)
            return
        since = (min(cursor.state.high_water, now) if cursor else now) - OVERLAP
        seen = self._source.fetch_changes(since)
        self._take(seen)
        before = cursor.state if cursor else FeedState(now - OVERLAP, since, frozenset(), 0)
        then = _state_after(before, seen, since, now)
        if seen.rest:
            self._cursor = Cursor(before, now, frozenset(), UnreadChanges(seen.rest, then))
            return
        if seen.total is None:
            self._cursor = Cursor(then, now, frozenset())
            return
        shown = before.new(seen.rows) | (cursor.shown if cursor else frozenset())
        with self._runtime.database.transaction() as connection:
            stored = source.stored_count(connection, self._name, SWEPT, shown)
        count = cursor.unknown if cursor and cursor.unknown else UnknownCount("", 0)
        if stored.covered != count.covered:
            # Forget those that were deleted before they were stored.
            stored = replace(stored, missing=stored.missing & then.seen)
        lost = before.lost(seen.rows, seen.total) if cursor else 0
        unknown, fewer = count.next(stored, seen.total, lost)
        self._cursor = Cursor(then, now, frozenset(), shown=stored.missing, unknown=unknown)
        self.lost_some = fewer or lost > 0

    def _go_on(self, cursor: Cursor, unread: UnreadChanges) -> None:
        seen = self._source.fetch_changes(cursor.state.high_water - OVERLAP, unread.rest)
        self._take(seen)
        if seen.rest:
            self._cursor = replace(cursor, read_at=self._now, unread=UnreadChanges(seen.rest, unread.then))
            return
        # Changes since then are due at once. Because they were read in turns, their exact number is unknown, so
        # deletions are searched.
        self._cursor = Cursor(unread.then, datetime.min.replace(tzinfo=UTC), frozenset())
        self.lost_some = seen.total is not None

    def _take(self, seen: ChangedRows) -> None:
        """Note what the feed shows: edits, what it says was deleted, and what a span that was read lacks.

        A booking that may be gone only asks for its day, whose run finds the proof or does not.
        """
        self._changes += self._edits(seen.rows)
        self.total = seen.total
        with self._runtime.database.transaction() as connection:
            named = source.stored_bookings(connection, self._name, ids=seen.gone) if seen.gone else []
            within = source.stored_within(connection, self._name, seen.whole) if seen.whole else []
        self._changes += absences((), named) + absences({row.id for row in seen.rows}, within)

    def into(self, tickets: Sequence[str]) -> None:
        """Compare all bookings of these tickets, and the tickets themselves, with what is stored."""
        if not tickets:
            return
        seen = [row for of_ticket in run_concurrently(self._source.fetch_of_ticket, tickets) for row in of_ticket]
        with self._runtime.database.transaction() as connection:
            expected = source.stored_bookings(connection, self._name, ticket_ids=tickets)
        stored = {row.ticket_id for row in expected}
        one_per_ticket = one_booking_per_ticket({}, (row for row in seen if row.ticket_id in stored))
        if one_per_ticket:
            found = self._source.fetch_tickets(one_per_ticket.values())
            self._seen |= {ticket.id: ticket for ticket in found}
        self._changes += self._edits(seen) + absences({row.id for row in seen}, expected)

    def tickets(self) -> None:
        """Read the changed tickets: for another customer, a merge, and sums that differ from the stored ones.

        This finds bookings that the list of changes misses because they have old times.
        """
        with self._runtime.database.transaction() as connection:
            stored = sweeps.load(connection, self._name, TICKETS) or {}
        read_at = datetime.fromisoformat(stored["read_at"]) if "read_at" in stored else None
        if read_at is not None and timedelta(0) <= self._now - read_at < TICKETS_PAUSE:
            return
        since = datetime.fromisoformat(stored["since"]) if "since" in stored else self._now - OVERLAP
        since = min(since, self._now)
        handled = set(stored.get("seen", ()))
        changed = self._source.fetch_changed_tickets(since)
        fresh = [row for row in changed.rows if _ticket_key(row) not in handled]
        differing = self._to_look_into(fresh)
        reached = max((_changed_at(row, since) for row in changed.rows), default=since)
        if len(differing) > TICKETS_AT_ONCE:
            reached = _changed_at(differing[TICKETS_AT_ONCE - 1], since)
        done = [row for row in changed.rows if _changed_at(row, since) <= reached]
        with self._runtime.database.transaction() as connection:
            ids = [row.ticket.id for row in done]
            known = source.sums_of_tickets(connection, self._name, ids).keys()
            known |= tickets.survivors_among(connection, self._name, ids)
        self._seen |= {row.ticket.id: row.ticket for row in done if row.ticket.id in known}
        self.into([row.ticket.id for row in differing[:TICKETS_AT_ONCE]])
        complete = changed.complete and len(differing) <= TICKETS_AT_ONCE
        # If there is more, the next tick continues at once, starting with the same time as the last.
        again = OVERLAP if complete else timedelta(milliseconds=1)
        self._saved[TICKETS] = {
            "since": max(since, min(reached, self._now) - again).isoformat(),
            "seen": sorted(map(_ticket_key, done)),
            **({"read_at": self._now.isoformat()} if complete else {}),
        }

    def _to_look_into(self, changed: Sequence[ChangedTicket]) -> list[ChangedTicket]:
        """Tickets whose sum differs from the stored one, and those with bookings that were merged into another."""
        with self._runtime.database.transaction() as connection:
            sums = source.sums_of_tickets(connection, self._name, [row.ticket.id for row in changed])
        return [
            row
            for row in changed
            if row.units != sums.get(row.ticket.id, Decimal(0)) or (row.ticket.merged and row.ticket.id in sums)
        ]

    def search(self, stored: dict[str, Any], total: int | None) -> None:
        """Find the stored bookings that are no longer in the list, on all days.

        A short list is read. A long one is searched, one completely read span after another, with the requests of one
        tick.
        """
        listing = self._source.listing()
        total = total or self._source.fetch_changes(self._now).total
        if total is None:  # Then the feed names deletions, or a comparison finds them.
            self._saved[SEARCH] = {}
            return
        if listing is None or (total <= LONGEST_COMPARISON and "window" not in stored):
            self._compare_all()
            return
        budget = BudgetedListing(listing, REQUESTS_OF_A_SEARCH)
        begin = datetime.fromisoformat(stored["window"]) if "window" in stored else None
        place = (
            ListPosition((stored["after"][0], stored["after"][1]), stored["position"]) if "after" in stored else None
        )
        missing: list[str] = []
        unknown: list[TimeAccounting] = []
        self._saved[SEARCH] = {}
        with self._runtime.database.transaction() as connection:
            windows = source.covered_windows(connection, self._name, SWEPT)
        for window in windows:
            if begin is not None and window.end <= begin:
                continue
            with self._runtime.database.transaction() as connection:
                known = source.booking_keys(connection, self._name, window)
            spent = budget.requests <= 0
            found = differences(known, budget, total=total, start=place)
            missing += [str(id_) for _, id_ in found.missing]
            unknown += found.unknown
            if spent or budget.requests <= 0:
                go_on = {"after": list(found.rest.after), "position": found.rest.position} if found.rest else {}
                begins_at = window.start if found.rest or spent else window.end
                self._saved[SEARCH] = {"window": begins_at.isoformat(), **go_on}
                break
            place = None
        with self._runtime.database.transaction() as connection:
            gone = source.stored_bookings(connection, self._name, ids=missing) if missing else []
        self._changes += absences((), gone) + self._edits(unknown)

    def _compare_all(self) -> None:
        self._saved[SEARCH] = {}
        today = local_day(self._now, self._zone)
        with self._runtime.database.transaction() as connection:
            first = source.earliest_day(connection, self._name) or today
        window = days_window(min(first, today), today, self._zone)
        seen = {row.id for page in self._source.fetch(window).pages() for row in page}
        with self._runtime.database.transaction() as connection:
            expected = source.stored_bookings(connection, self._name, since=first)
        self._changes += absences(seen, expected)

    def _edits(self, seen: Iterable[TimeAccounting]) -> list[BookingChange]:
        listed = list(seen)
        with self._runtime.database.transaction() as connection:
            known = source.stored_bookings(connection, self._name, ids=[row.id for row in listed])
        return edits(listed, {row.id: row for row in known}, self._zone)

    def record(self, hints: Collection[int]) -> tuple[date, ...]:
        """Commit the requests, the positions of the feed, and the answered hints."""
        found = {change.key: change for change in self._changes if change.day >= self._runtime.settings.start_date}
        tickets: dict[date, set[str]] = {}
        for key, change in found.items():
            if key not in self._asked:
                tickets.setdefault(change.day, set()).add(change.ticket_id)
        with self._runtime.database.transaction() as connection:
            day_requests.ask(connection, tickets, "change", tickets)
            days = {*tickets, *save_tickets(connection, self._runtime, self._name, list(self._seen.values()))}
            if self._cursor is not None:
                # The overlap shows these again, and they were requested; older ones can be forgotten.
                asked = frozenset() if self._cursor.read_at != self._now or self._cursor.unread else frozenset(found)
                sweeps.save(connection, self._name, SUBJECT, replace(self._cursor, asked=asked).to_json())
            if self.lost_some:
                sweeps.save(connection, self._name, SEARCH, {"begun": True})
            for subject, value in self._saved.items():
                sweeps.save(connection, self._name, subject, value)
            deliveries.mark_processed(connection, hints)
        return tuple(sorted(days))


def _state_after(before: FeedState, seen: ChangedRows, since: datetime, now: datetime) -> FeedState:
    """The state after all these changes, with only the ones that the next read will show again."""
    newest = before.after(seen.rows, seen.total, since, now, seen.until).high_water
    next_since = max(since, newest - OVERLAP)
    again = [row for row in seen.rows if row.updated_at >= next_since]
    return before.after(again, seen.total, next_since, now, seen.until)


def _changed_at(row: ChangedTicket, otherwise: datetime) -> datetime:
    return row.ticket.updated_at or otherwise


def _ticket_key(row: ChangedTicket) -> str:
    """What makes a change new. The sum too: a ticket last changed while its clock was ahead keeps that time."""
    changed_at = row.ticket.updated_at.isoformat() if row.ticket.updated_at else ""
    return f"{row.ticket.id}@{changed_at}/{row.units}"


def _state_json(state: FeedState) -> dict[str, Any]:
    return {
        "high_water": state.high_water.isoformat(),
        "since": state.since.isoformat(),
        "seen": sorted(state.seen),
        "total": state.total,
    }


def _state(value: dict[str, Any]) -> FeedState:
    high_water, since = (datetime.fromisoformat(value[name]) for name in ("high_water", "since"))
    return FeedState(high_water, since, frozenset(map(str, value["seen"])), value["total"])
