"""Finds the time sheets of ours that people edited or deleted in the target: their days become day requests.

The target lists edits by its own time of change. Deletions are not listed: a smaller count than expected shows that
some are gone, and then ours are searched in its list. The count does not show those that were created and deleted
between two looks: of what we created since the last one, each that is not listed is asked for by its id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import NewestRow, TargetConnector
from zk_pipeline.domain.decision import owned
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import beginning_of_markers, marked_ids
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.vanished import BudgetedListing, ListPosition, SortedListing, differences
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.source_changes import AT_ONCE
from zk_pipeline.store import day_requests, ledger, request_log, sweeps
from zk_pipeline.store import target as rows

SUBJECT = "changes"
NEWEST = "newest"
SEARCH = "vanished"
FIRST_LOOK_BACK = timedelta(days=62)
OVERLAP = timedelta(minutes=10)
"""Read again each time: both clocks differ, and a change is only visible after its commit."""

LONG_STOP = timedelta(days=1)
"""After an outage this long, the changes are read in turns."""

PAGES_OF_A_TURN = 20
"""At least two: a turn begins on the page where the last one ended."""

SAFETY = 100
"""Time sheets that are read again between two turns."""

REQUESTS_OF_A_SEARCH = 60
LOOKED_FOR_AT_ONCE = 40


@dataclass(frozen=True, slots=True)
class TargetChanges:
    """The result of one poll: changed time sheets, those of ours among them, and the requested days."""

    changed: int = 0
    ours: int = 0
    days: tuple[date, ...] = ()
    polled: bool = False
    wait_until: datetime | None = None


class TargetFeed:
    """Looks for people's changes in the target; usually two requests per poll."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = replace(runtime, settings=runtime.settings.model_copy(update=AT_ONCE))
        self._name = runtime.stored("target").name
        self._source = runtime.stored("source").name

    def poll(self, now: datetime) -> TargetChanges:
        """Poll if it is time, or to see whether the target answers again. Raises the connector's errors."""
        with self._runtime.database.transaction() as connection:
            stored = sweeps.load(connection, self._name, NEWEST) or {}
            cursor = sweeps.load(connection, self._name, SUBJECT) or {"until": now.isoformat()}
            search = sweeps.load(connection, self._name, SEARCH) or {}
            known = request_log.load(connection, self._name)
        if (wait_until := known.wait_until(now)) is not None:
            return TargetChanges(wait_until=wait_until)
        pause = timedelta(seconds=self._runtime.settings.kimai_poll_seconds)
        read_at = datetime.fromisoformat(stored["read_at"]) if stored else None
        due = read_at is None or not timedelta(0) <= now - read_at < pause or known.failing_since is not None
        if not (due or search or "turn" in cursor):
            return TargetChanges()
        with replace(self._runtime, clock=lambda: now).target() as target:
            listing = None
            if "turn" in cursor or now - datetime.fromisoformat(cursor["until"]) > LONG_STOP:
                listing = target.changes(_since(cursor, now))
            if listing is not None:
                look = self._take_turn(listing, cursor, now)
            elif due:
                look, lost_some = self._poll(target, cursor, stored, now)
                search = {"begun": True} if lost_some else search
            else:
                look = TargetChanges()
            days = self._search(target, search, now) if search else ()
        return replace(look, days=tuple(sorted({*look.days, *days})), polled=True)

    def _poll(
        self, target: TargetConnector, cursor: Mapping[str, Any], stored: Mapping[str, Any], now: datetime
    ) -> tuple[TargetChanges, bool]:
        """Request what changed since the last poll; returns whether time sheets are gone since."""
        created: list[int] = []  # Ours that are newer than the last look, and were there before this one.
        if stored:
            with self._runtime.database.transaction() as connection:
                beginning = beginning_of_markers(self._source)
                created = rows.marked_timesheets(connection, self._name, beginning, after=stored["id"])
        newest = target.newest()
        since = _since(cursor, now)
        if stored:
            since = min(since, datetime.fromisoformat(stored["read_at"]) - OVERLAP)
        if "there" in cursor:  # While our clock was ahead, its cursor covers a time that was not read.
            since = min(since, datetime.fromisoformat(cursor["there"]) - OVERLAP)
        seen = target.fetch_changes(since)
        lost_some = False
        if newest and stored:
            # Both numbers are of one moment; later changes count next time.
            came = sum(stored["id"] < row.id <= newest.id for row in seen)
            lost_some = newest.total < stored["total"] + came
        unlisted = sorted(set(created).difference(row.id for row in seen))
        lost_some = lost_some or len(unlisted) > LOOKED_FOR_AT_ONCE
        gone = [] if lost_some else [id_ for id_ in unlisted if target.get(id_) is None]
        with self._runtime.database.transaction() as connection:
            look, asked = _ask_for_changed(connection, self._runtime, self._name, self._source, now, seen)
            look = replace(look, days=tuple(sorted({*look.days, *self._ask_for_gone(connection, gone, (), now)})))
            until = {"until": now.isoformat(), "asked": asked}
            if newest and newest.at:
                until["there"] = newest.at.isoformat()
            sweeps.save(connection, self._name, SUBJECT, until)
            sweeps.save(connection, self._name, NEWEST, _newest_json(newest, now))
            if lost_some:
                sweeps.save(connection, self._name, SEARCH, {"begun": True})
        return look, lost_some

    def _take_turn(self, listing: SortedListing[Timesheet], cursor: Mapping[str, Any], now: datetime) -> TargetChanges:
        """Read a part of what changed during a long outage; the next tick continues. Then search for deletions."""
        begin = {"since": _since(cursor, now).isoformat(), "began": now.isoformat(), "position": 0}
        turn: dict[str, Any] = dict(cursor.get("turn") or begin)
        position: int = turn["position"]
        seen: list[Timesheet] = []
        done = False
        for _ in range(PAGES_OF_A_TURN):
            first, rows_ = listing.rows_from(position)
            seen += rows_[position - first :]
            done = not rows_[position - first :]
            if done:
                break
            position = first + len(rows_)
        with self._runtime.database.transaction() as connection:
            look, asked = _ask_for_changed(connection, self._runtime, self._name, self._source, now, seen)
            memory = sorted({*asked, *cursor.get("asked", ())})
            # If one is deleted meanwhile, all behind it move up.
            value = {"until": cursor["until"], "turn": {**turn, "position": max(0, position - SAFETY)}}
            value = {"until": turn["began"], "asked": memory} if done else {**value, "asked": memory}
            sweeps.save(connection, self._name, SUBJECT, value)
            if done:
                sweeps.save(connection, self._name, NEWEST, {})
                sweeps.save(connection, self._name, SEARCH, {"begun": True})
        return look

    def _search(self, target: TargetConnector, stored: dict[str, Any], now: datetime) -> tuple[date, ...]:
        """Find those of ours that are gone, within the requests of one tick, and request their days."""
        beginning = beginning_of_markers(self._source)
        listing = target.listing(beginning)
        if listing is None:
            self._note(SEARCH, {})
            return ()
        with self._runtime.database.transaction() as connection:
            known = [(id_, id_) for id_ in rows.marked_timesheets(connection, self._name, beginning)]
        place = ListPosition((stored["after"], stored["after"]), stored["position"]) if "after" in stored else None
        # In the order of ids, what we know begins where the list begins.
        place = place or ListPosition((0, 0), 0)
        found = differences(known, BudgetedListing(listing, REQUESTS_OF_A_SEARCH), total=0, start=place)
        missing = [id_ for id_, _ in found.missing]
        there = {id_: target.get(id_) for id_ in missing[:LOOKED_FOR_AT_ONCE]}
        gone = [id_ for id_, row in there.items() if row is None]
        rest: dict[str, Any] = {}
        if len(missing) > LOOKED_FOR_AT_ONCE:
            rest = {"begun": True}  # Those that were looked up are known to be gone by then.
        elif found.rest:
            rest = {"after": found.rest.after[0], "position": found.rest.position}
        with self._runtime.database.transaction() as connection:
            # Store what the list showed differently, so that the next search need not find it.
            asked = self._ask_for_gone(connection, gone, found.unknown, now)
            rows.save_timesheets(
                connection, self._name, [row for row in (*found.unknown, *there.values()) if row is not None]
            )
            sweeps.save(connection, self._name, SEARCH, rest)
        return tuple(asked)

    def _ask_for_gone(
        self, connection: Connection, gone: Sequence[int], differing: Sequence[Timesheet], now: datetime
    ) -> list[date]:
        """Request the days of those that are gone, and of those that the target shows otherwise than stored."""
        days = set(rows.of_timesheets(connection, self._name, gone).values())
        days = days.union(*rows.of_questions(connection, self._name, gone).values())
        shown = _days_of_ours(connection, self._runtime, self._name, self._source, differing)
        span = (self._runtime.settings.start_date, local_day(now, self._runtime.settings.zone))
        asked = sorted(day for day in days.union(*shown.values()) if _within(day, span))
        rows.mark_timesheets_gone(connection, self._name, gone)
        day_requests.ask(connection, asked, day_requests.TARGET_CHANGED)
        return asked

    def _note(self, subject: str, value: dict[str, Any]) -> None:
        with self._runtime.database.transaction() as connection:
            sweeps.save(connection, self._name, subject, value)


def _newest_json(newest: NewestRow | None, now: datetime) -> dict[str, Any]:
    return {
        "read_at": now.isoformat(),
        "id": newest.id if newest else 0,
        "total": newest.total if newest else 0,
    }


def look_for_changes(
    runtime: Runtime, target: TargetConnector, source: str, now: datetime, checked: tuple[date, date] | None
) -> TargetChanges:
    """Request the days of changed time sheets of ours, except those being `checked`.

    A failed read leaves the cursor unchanged.
    """
    name = target.endpoint.name
    with runtime.database.transaction() as connection:
        cursor = sweeps.load(connection, name, SUBJECT) or {"until": (now - FIRST_LOOK_BACK + OVERLAP).isoformat()}
    seen = target.fetch_changes(_since(cursor, now))
    with runtime.database.transaction() as connection:
        look, asked = _ask_for_changed(connection, runtime, name, source, now, seen, checked)
        sweeps.save(connection, name, SUBJECT, {**cursor, "until": now.isoformat(), "asked": asked})
    return look


def _since(cursor: Mapping[str, Any], now: datetime) -> datetime:
    """Where to continue: after the last poll, or where the turns of a longer one began."""
    if "turn" in cursor:
        return datetime.fromisoformat(cursor["turn"]["since"])
    return min(datetime.fromisoformat(cursor["until"]), now) - OVERLAP


def _ask_for_changed(
    connection: Connection,
    runtime: Runtime,
    name: str,
    source: str,
    now: datetime,
    changed: Sequence[Timesheet],
    checked: tuple[date, date] | None = None,
) -> tuple[TargetChanges, list[str]]:
    """Request the days of ours among these; returns what the next poll need not request again.

    The overlap shows some changes twice. A further edit has another time, and counts as new.
    """
    cursor = sweeps.load(connection, name, SUBJECT) or {}
    ours = _days_of_ours(connection, runtime, name, source, changed)
    as_seen = {row.id: f"{row.id}@{owned(row)}{row.exported}" for row in changed if row.id in ours}
    new = {day for id_, key in as_seen.items() if key not in cursor.get("asked", ()) for day in ours[id_]}
    span = (runtime.settings.start_date, local_day(now, runtime.settings.zone))
    asked = sorted(day for day in new if _within(day, span) and not _within(day, checked))
    day_requests.ask(connection, asked, day_requests.TARGET_CHANGED)
    return TargetChanges(len(changed), len(ours), tuple(asked)), sorted(as_seen.values())


def _days_of_ours(
    connection: Connection,
    runtime: Runtime,
    target: str,
    source: str,
    changed: Sequence[Timesheet],
) -> dict[int, set[date]]:
    """The days of time sheets that are ours and differ from what the target returned to us.

    That is the work day of the booking; of a copy, its own day and the day on which it is asked about. Writes of a run
    in progress are left to that run.
    """
    ids = [row.id for row in changed]
    under_way = ledger.under_way(connection, target)
    bases = {row.kimai_id: row.base for row in ledger.rows_of_timesheets(connection, target, ids).values()}
    bound = rows.of_timesheets(connection, target, ids)
    marked = {row.id: marked_ids(row.description, source) for row in changed}
    all_marked = {id_ for ids in marked.values() for id_ in ids}
    booked = rows.of_bookings(connection, source, all_marked)
    originals = ledger.originals(connection, target, all_marked)
    asked_about = rows.of_questions(connection, target, ids)
    questioned = rows.questioned(connection, target, ids)
    days: dict[int, set[date]] = {}
    for row in changed:
        base = bases.get(row.id)
        is_as_written = base is not None and owned(base) == owned(row) and base.exported == row.exported
        # What a person changed and then put back is as we wrote it, and answers the question about it.
        if is_as_written and row.id not in questioned:
            continue
        if not under_way.isdisjoint(marked[row.id]):
            continue
        if row.id in bound:
            days[row.id] = {bound[row.id]}
            continue
        questions = asked_about.get(row.id, set())
        if marked[row.id]:
            known = [booked[id_] for id_ in marked[row.id] if id_ in booked and id_ not in originals]
            questions.add(known[0] if known else local_day(row.begin, runtime.settings.zone))
        if questions:
            days[row.id] = questions
    return days


def _within(day: date, span: tuple[date, date] | None) -> bool:
    return span is not None and span[0] <= day <= span[1]
