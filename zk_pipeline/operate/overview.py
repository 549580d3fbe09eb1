"""Queries for the overview and the dashboard, and whether anything changed."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import CTE, Connection, Select, func, select

from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store import periods
from zk_pipeline.store.connectors import ActiveConnectors
from zk_pipeline.store.tables import (
    audit_logs,
    conflicts,
    connectors,
    day_requests,
    normalized_entries,
    pushes,
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


def minutes_by_day(connection: Connection, names: ActiveConnectors, first: date, last: date) -> list[SyncedMinutes]:
    """The work days of the range with bookings, oldest first."""
    entry, push = normalized_entries.c, pushes.c
    of_days = (entry.source == names.source) & entry.entry_date.between(first, last)
    minutes = (entry.time_minutes - entry.open_minutes).label("minutes")  # As booked, corrections included.
    booked = _materialized(select(entry.entry_date, entry.source_id, minutes).where(of_days), "booked")
    is_there = (push.connector == names.target) & push.entry_date.between(first, last) & (push.state == "confirmed")
    there = _materialized(select(push.source_id).where(is_there), "there")
    waits = (conflicts.c.connector == names.target) & conflicts.c.entry_date.between(first, last)
    asked = _materialized(
        select(conflicts.c.key).distinct().where(waits, conflicts.c.resolution_status == "open"), "asked"
    )
    in_sync = there.c.source_id.is_not(None) & asked.c.key.is_(None)
    synced = func.sum(booked.c.minutes).filter(in_sync)
    query = (
        select(booked.c.entry_date, func.sum(booked.c.minutes), func.coalesce(synced, ZERO))
        .select_from(
            booked.outerjoin(there, there.c.source_id == booked.c.source_id).outerjoin(
                asked, asked.c.key == booked.c.source_id
            )
        )
        .group_by(booked.c.entry_date)
        .order_by(booked.c.entry_date)
    )
    return [SyncedMinutes(*row) for row in connection.execute(query)]


def _materialized(query: Select[Any], name: str) -> CTE:
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
