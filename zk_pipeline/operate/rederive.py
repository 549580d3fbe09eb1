"""Deriving day, time and project of stored bookings again after a setting that decides them has changed.

Closed and billed bookings stay under the settings that they were recorded with. Nothing is written to Kimai here: the
changed days are requested, and their runs plan and write the difference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.write_protection import WriteProtection, first_open_day
from zk_pipeline.identity.actors import Actor
from zk_pipeline.runtime.runtime import Runtime, SettingChange, changed_settings
from zk_pipeline.stages.read_source import SUBJECT
from zk_pipeline.stages.reconcile import DerivedEntries
from zk_pipeline.store import audit, day_requests, entries, periods, stored_settings
from zk_pipeline.store.stored_settings import StoredBooking

_OF_PROJECTS = frozenset({"project_strategy", "fixed_project"})


@dataclass(frozen=True, slots=True)
class RederiveResult:
    """What was, or would be, derived again.

    `days` are requested. Of the bookings, `moved` change their day, `changed` their begin or minutes, and `timesheets`
    have a time sheet to update. `kept` bookings on `kept_days` are closed or billed, `unfollowed` ones are before
    ZK_START_DATE; both stay as they are.
    """

    changes: tuple[SettingChange, ...]
    days: tuple[date, ...] = ()
    moved: int = 0
    changed: int = 0
    timesheets: int = 0
    kept: int = 0
    kept_days: tuple[date, ...] = ()
    unfollowed: int = 0

    def to_json(self) -> dict[str, Any]:
        """The object that `zk rederive --json` prints."""
        return {
            "changes": [{"setting": row.variable, "from": row.before, "to": row.after} for row in self.changes],
            "days": [str(day) for day in self.days],
            "bookings_moved": self.moved,
            "bookings_changed": self.changed,
            "timesheets": self.timesheets,
            "kept": self.kept,
            "kept_days": [str(day) for day in self.kept_days],
            "unfollowed": self.unfollowed,
        }


def rederive(runtime: Runtime, actor: Actor, *, plan: bool = False) -> RederiveResult:
    """Derive everything again by the current settings and request the changed days, in one transaction.

    With `plan` the same is done and rolled back. Does nothing if no setting changed. Raises `SetupError` without
    connectors.
    """
    with runtime.database.transaction() as connection, connection.begin_nested() as tried:
        done = _rederive(connection, runtime, actor)
        if plan:
            tried.rollback()
    return done


def _rederive(connection: Connection, runtime: Runtime, actor: Actor) -> RederiveResult:
    stored_settings.hold(connection, alone=True)
    recorded, now = stored_settings.latest(connection), runtime.settings.decided
    if recorded is None or not stored_settings.decided_facts(connection):
        return RederiveResult(())  # The next start records the current settings.
    changes = tuple(changed_settings(recorded.value, now))
    if not changes:
        return RederiveResult(())
    source, target = runtime.stored("source").name, runtime.stored("target").name
    number = stored_settings.record(connection, now, actor.name)
    stored = list(stored_settings.bookings(connection, source))
    sorted_out = _SortedBookings(runtime, _ClosedDays(connection, runtime, source, target), stored)
    derived = _DerivedChanges()
    if any(change.name != "start_date" for change in changes):  # A new start date changes no other day.
        stored_settings.derive_under(connection, source, number, sorted_out.staying)
        stored_settings.move(connection, source, target, {id_: day for id_, (_, day) in sorted_out.moved.items()})
        derived = _derive(connection, runtime, sorted_out, projects=any(row.name in _OF_PROJECTS for row in changes))
    days = derived.days | _first_read_day(connection, runtime, source, changes)
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    asked = {day for day in days if runtime.settings.start_date <= day <= today}
    day_requests.ask(connection, asked, day_requests.REDERIVED)
    bound = stored_settings.bound(connection, target, derived.written)
    done = RederiveResult(
        changes,
        tuple(sorted(asked)),
        len(derived.moved),
        len(derived.changed),
        len(bound),
        len(sorted_out.kept),
        tuple(sorted({row.work_day for row in sorted_out.kept})),
        len(sorted_out.unfollowed),
    )
    detail = {**done.to_json(), "days": len(asked), "kept_days": len(done.kept_days)}
    audit.append(connection, [audit.AuditEvent("settings.rederived", actor.name, "settings", detail)])
    return done


class _ClosedDays:
    """The days on which nothing may change: closed or locked ones, and those with billed time sheets."""

    def __init__(self, connection: Connection, runtime: Runtime, source: str, target: str) -> None:
        settings = runtime.settings
        first_open = first_open_day(settings.locked_before, local_day(datetime.now(UTC), settings.zone))
        self._locks = WriteProtection(settings.zone, first_open, periods.closed_months(connection))
        self._billed = stored_settings.billed_days(connection, source, target)

    def __contains__(self, day: date) -> bool:
        return day in self._billed or self._locks.is_closed(day)


class _SortedBookings:
    """The stored bookings, by what happens to them."""

    def __init__(self, runtime: Runtime, closed: _ClosedDays, stored: Iterable[StoredBooking]) -> None:
        zone, start = runtime.settings.zone, runtime.settings.start_date
        self.kept: list[StoredBooking] = []
        self.unfollowed: list[StoredBooking] = []
        self.moved: dict[str, tuple[date, date]] = {}
        """Old and new day, by booking."""
        self.days: set[date] = set()
        """The old and new days of the bookings that are derived again."""
        for row in stored:
            day = local_day(row.counts_at, zone)
            if row.work_day in closed or day in closed:
                self.kept.append(row)
            elif min(row.work_day, day) < start:
                self.unfollowed.append(row)
            else:
                self.days |= {row.work_day, day}
                if day != row.work_day:
                    self.moved[row.id] = row.work_day, day

    @property
    def staying(self) -> set[str]:
        return {row.id for row in (*self.kept, *self.unfollowed)}


class _DerivedChanges:
    """The changed days, and the changed bookings by source id; `written` may change their time sheets."""

    def __init__(self) -> None:
        self.days: set[date] = set()
        self.moved: set[str] = set()
        self.changed: set[str] = set()
        self.written: set[str] = set()


def _derive(connection: Connection, runtime: Runtime, wanted: _SortedBookings, *, projects: bool) -> _DerivedChanges:
    """Replace the entries of these days, a month at a time."""
    source, found = runtime.stored("source").name, _DerivedChanges()
    staying = {str(id_) for id_ in wanted.staying}
    for chunk in _chunks(sorted(wanted.days)):
        derivation = DerivedEntries(connection, runtime, source, chunk[0], chunk[-1])
        for day in chunk:
            rows = derivation.of_day(connection, day)
            before = entries.entries_of(connection, source, [row.source_id for row in rows])
            entries.replace_day(connection, source, day, rows)
            changed = {row.source_id for row in rows if _differs(row, before)}
            found.changed |= changed
            written = {row.source_id for row in rows} - staying if projects else changed
            found.written |= written
            if changed or written:
                found.days.add(day)
    found.moved = {str(id_) for id_ in wanted.moved}
    found.days |= {day for days in wanted.moved.values() for day in days}
    return found


def _differs(row: Entry, before: Mapping[str, Entry]) -> bool:
    former = before.get(row.source_id)
    return former is None or (former.begin_at, former.time_minutes) != (row.begin_at, row.time_minutes)


def _chunks(days: list[date]) -> Iterable[list[date]]:
    """The days in groups that span at most a month."""
    chunk: list[date] = []
    for day in days:
        if chunk and (day - chunk[0]) >= timedelta(days=LONGEST_RANGE):
            yield chunk
            chunk = []
        chunk.append(day)
    if chunk:
        yield chunk


def _first_read_day(
    connection: Connection, runtime: Runtime, source: str, changes: Iterable[SettingChange]
) -> set[date]:
    """The first day that was read: in another zone it may include bookings that were not read."""
    first = stored_settings.first_read(connection, source, SUBJECT)
    if first is None or all(change.name != "timezone" for change in changes):
        return set()
    return {local_day(first, runtime.settings.zone)}
