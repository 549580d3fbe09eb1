"""Queries for the overview and the dashboard, and whether anything changed."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    Subquery,
    exists,
    func,
    or_,
    select,
    union,
)

from zk_pipeline.domain.adjustments import PREFIX
from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import periods
from zk_pipeline.store.connectors import ActiveConnectors
from zk_pipeline.store.raw_tables import customers, projects, timesheets
from zk_pipeline.store.tables import (
    audit_logs,
    conflicts,
    connectors,
    day_requests,
    normalized_entries,
    pushes,
    reconciliation_results,
    sync_runs,
)

RUNS_SHOWN = 5


def overview(connection: Connection) -> dict[str, Any]:
    """Connectors without tokens, counts by state and reason, the last runs, requested days."""
    known = select(connectors.c.name, connectors.c.role, connectors.c.kind, connectors.c.base_url, connectors.c.active)
    last_runs = select(sync_runs).order_by(sync_runs.c.started_at.desc()).limit(RUNS_SHOWN)
    by_state = select(pushes.c.state, func.count()).group_by(pushes.c.state).order_by(pushes.c.state)
    by_reason = (
        select(conflicts.c.reason, func.count())
        .where(conflicts.c.resolution_status == "open")
        .group_by(conflicts.c.reason)
        .order_by(func.count().desc(), conflicts.c.reason)
    )
    unclaimed = select(func.count(day_requests.c.day.distinct())).where(day_requests.c.claimed_by_run.is_(None))
    return {
        "connectors": [dict(row) for row in connection.execute(known.order_by(connectors.c.id)).mappings()],
        "entries": connection.execute(select(func.count()).select_from(normalized_entries)).scalar_one(),
        "pushes": {row[0]: row[1] for row in connection.execute(by_state)},
        "conflicts": {row[0]: row[1] for row in connection.execute(by_reason)},
        "runs": [dict(row) for row in connection.execute(last_runs).mappings()],
        "closed_months": [month_name(month) for month in sorted(periods.closed_months(connection))],
        "requested_days": connection.execute(unclaimed).scalar_one(),
    }


# Queries for the dashboard, each answered from an index.

ZERO = Decimal(0)
_SECONDS_OF_MINUTE = 60


@dataclass(frozen=True, slots=True)
class SyncedMinutes:
    """Minutes of a work day: booked in the source, and of these, in the target without an open conflict."""

    day: date
    booked: Decimal
    synced: Decimal


@dataclass(frozen=True, slots=True)
class OpenWork:
    """Open work: conflicts for a person, parked rows that the target refuses, requested days."""

    conflicts: int
    parked: int
    days: int


def active_connectors(connection: Connection) -> int:
    """The number of connectors in use."""
    return connection.execute(select(func.count()).where(connectors.c.active)).scalar_one()


def open_work(connection: Connection) -> OpenWork:
    """The open work, counted now."""
    refused = conflicts.c.reason == Reason.REFUSED_BY_KIMAI
    open_ones = select(func.count(), func.count().filter(refused)).where(conflicts.c.resolution_status == "open")
    total, parked = connection.execute(open_ones).one()
    asked = select(func.count(day_requests.c.day.distinct())).where(day_requests.c.claimed_by_run.is_(None))
    return OpenWork(total - parked, parked, connection.execute(asked).scalar_one())


def open_elsewhere(connection: Connection, names: ActiveConnectors, first: date, last: date) -> int:
    """The number of open questions that are not about a booking of these days, such as a copied time sheet."""
    entry, row = normalized_entries.c, conflicts.c
    booked = select(entry.source_id).where(entry.source == names.source, entry.entry_date.between(first, last))
    is_of_days = row.entry_date.between(first, last) & row.key.in_(booked)
    query = select(func.count()).select_from(conflicts).where(row.resolution_status == "open", ~is_of_days)
    return connection.execute(query).scalar_one()


@dataclass(frozen=True, slots=True)
class TimeShares:
    """Where the minutes of bookings are: in the target, waiting, or left out; and how many bookings wait.

    `in_target` is what was booked; `minutes_in_target` says what the target made of it.
    """

    in_target: Decimal
    waiting: Decimal
    left_out: Decimal
    bookings: int
    bookings_waiting: int


def minutes_by_day(connection: Connection, names: ActiveConnectors, first: date, last: date) -> list[SyncedMinutes]:
    """The work days of the range with bookings, oldest first."""
    rows, row = _bookings(names, first, last)
    synced = func.sum(row.minutes).filter(row.there)
    query = select(row.entry_date, func.sum(row.minutes), func.coalesce(synced, ZERO))
    query = query.select_from(rows).group_by(row.entry_date).order_by(row.entry_date)
    return [SyncedMinutes(*found) for found in connection.execute(query)]


def time_shares(connection: Connection, names: ActiveConnectors, first: date, last: date) -> TimeShares:
    """Where the time of these work days is. What is neither in the target nor left out waits."""
    rows, row = _bookings(names, first, last)
    line = reconciliation_results.c
    of_days = (line.connector == names.target) & line.entry_date.between(first, last) & line.source_id.is_not(None)
    is_out = or_(line.decided == Choice.IGNORE, line.status == Status.EXCLUDED)
    planned_out = select(line.source_id).where(of_days, is_out)
    # A decision counts at once, not only when the next plan knows it.
    waits = (conflicts.c.connector == names.target) & conflicts.c.entry_date.between(first, last)
    decided = (conflicts.c.decision == Choice.IGNORE) & (conflicts.c.resolution_status == "decided")
    decided_out = select(conflicts.c.key.label("source_id")).where(waits, decided)
    out = _materialized(union(planned_out, decided_out), "left_out")
    left_out = ~row.there & ~row.asked & out.c.source_id.is_not(None)
    waiting = ~row.there & (row.asked | out.c.source_id.is_(None))
    parts = [func.coalesce(func.sum(row.wanted).filter(part), ZERO) for part in (row.there, waiting, left_out)]
    query = select(*parts, func.count(), func.count().filter(waiting))
    joined = rows.outerjoin(out, out.c.source_id == row.source_id)
    return TimeShares(*connection.execute(query.select_from(joined)).one())


def minutes_in_target(connection: Connection, names: ActiveConnectors, first: date, last: date) -> dict[date, Decimal]:
    """What the target itself adds up to for our time sheets, by work day: after its rounding, and with open questions.

    The target's side of a statement is the same sum.
    """
    ours = _sheets(names, first, last)
    query = (
        select(ours.c.entry_date, func.sum(timesheets.c.duration_seconds))
        .select_from(ours)
        .join(timesheets, _is_sheet(names, ours))
        .group_by(ours.c.entry_date)
    )
    return {day: Decimal(seconds) / _SECONDS_OF_MINUTE for day, seconds in connection.execute(query)}


def amounts_in_target(
    connection: Connection, names: ActiveConnectors, first: date, last: date
) -> tuple[tuple[str, Decimal], ...]:
    """What our time sheets of these work days cost, by currency; none where the target tells no rates."""
    ours, sheet = _sheets(names, first, last), timesheets.c
    currency = func.coalesce(customers.c.currency, "").label("currency")
    query = (
        select(currency, func.sum(sheet.rate))
        .select_from(ours)
        .join(timesheets, _is_sheet(names, ours))
        .join(projects, (projects.c.connector == sheet.connector) & (projects.c.id == sheet.project_id))
        .join(customers, (customers.c.connector == sheet.connector) & (customers.c.id == projects.c.customer_id))
        .where(sheet.billable & (sheet.rate != 0))
        .group_by(currency)
        .order_by(currency)
    )
    return tuple((row.currency, row[1]) for row in connection.execute(query))


def _sheets(names: ActiveConnectors, first: date, last: date) -> CTE:
    """Our time sheets of these work days: those of the ledger, and those that only their marker makes ours."""
    push, line = pushes.c, reconciliation_results.c
    of_days = (push.connector == names.target) & push.entry_date.between(first, last) & push.kimai_id.is_not(None)
    planned = (line.connector == names.target) & line.entry_date.between(first, last)
    is_stray = line.source_id.is_(None) & line.kimai_id.is_not(None)
    is_known = exists().where((push.connector == names.target) & (push.kimai_id == line.kimai_id))
    strays = select(line.entry_date, line.kimai_id).where(planned, is_stray, ~is_known)
    return _materialized(union(select(push.entry_date, push.kimai_id).where(of_days), strays), "ours")


def _is_sheet(names: ActiveConnectors, ours: CTE) -> ColumnElement[bool]:
    sheet = timesheets.c
    return (sheet.connector == names.target) & (sheet.id == ours.c.kimai_id) & sheet.gone_at.is_(None)


def _bookings(names: ActiveConnectors, first: date, last: date) -> tuple[Subquery, Any]:
    """The bookings of these days with their minutes, and whether they are `asked` about.

    They are `there` if they are in the target without a question. `wanted` is what is left of them by corrections.
    Entries of adjustments are left out: their minutes were booked with the adjusted bookings.
    """
    entry, push = normalized_entries.c, pushes.c
    is_booked = entry.source_id.not_like(f"{PREFIX}%")
    of_days = (entry.source == names.source) & entry.entry_date.between(first, last) & is_booked
    minutes = (entry.time_minutes - entry.open_minutes).label("minutes")  # As booked, corrections included.
    wanted = entry.time_minutes.label("wanted")
    booked = _materialized(select(entry.entry_date, entry.source_id, minutes, wanted).where(of_days), "booked")
    is_there = (push.connector == names.target) & push.entry_date.between(first, last) & (push.state == "confirmed")
    there = _materialized(select(push.source_id).where(is_there), "there")
    waits = (conflicts.c.connector == names.target) & conflicts.c.entry_date.between(first, last)
    asked = _materialized(
        select(conflicts.c.key).distinct().where(waits, conflicts.c.resolution_status == "open"), "asked"
    )
    is_asked = asked.c.key.is_not(None)
    in_sync = there.c.source_id.is_not(None) & ~is_asked
    joined = booked.outerjoin(there, there.c.source_id == booked.c.source_id)
    joined = joined.outerjoin(asked, asked.c.key == booked.c.source_id)
    rows = select(*booked.c, in_sync.label("there"), is_asked.label("asked")).select_from(joined).subquery()
    return rows, rows.c


def days_with_bookings(connection: Connection, source: str) -> tuple[date, date] | None:
    """The first and the last work day with bookings."""
    entry = normalized_entries.c
    ends = select(func.min(entry.entry_date), func.max(entry.entry_date)).where(entry.source == source)
    first, last = connection.execute(ends).one()
    return None if first is None else (first, last)


def _materialized(query: Select[Any] | CompoundSelect[Any], name: str) -> CTE:
    """A CTE that PostgreSQL reads once and joins as a whole: joined row by row, a month takes a second."""
    return query.cte(name).prefix_with("MATERIALIZED", dialect="postgresql")


# A value that changes whenever anything changes that people see.

_RUNS_AT_WORK = 10
"""How many of the newest runs may still be running."""


class ChangeMark(NamedTuple):
    """The newest ids and times, read from indexes; equal marks mean that nothing changed.

    `failures` counts the newest runs with a stored failure, which is stored some seconds after the run ended.
    """

    audit_id: int | None
    conflict_id: int | None
    request_id: int | None
    run_at: datetime | None
    failures: int


def change_mark(connection: Connection) -> ChangeMark:
    """The current mark."""
    newest = select(sync_runs.c.updated_at, sync_runs.c.failure)
    newest = newest.order_by(sync_runs.c.started_at.desc()).limit(_RUNS_AT_WORK).subquery()
    ids = (select(func.max(table.c.id)).scalar_subquery() for table in (audit_logs, conflicts, day_requests))
    run_at = select(func.max(newest.c.updated_at)).scalar_subquery()
    failures = select(func.count()).where(newest.c.failure != "").scalar_subquery()
    return ChangeMark(*connection.execute(select(*ids, run_at, failures)).one())
