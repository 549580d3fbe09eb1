"""Queries for the figures of the dashboard, each answered from an index."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import CTE, Connection, Select, func, select

from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store.addresses import Addresses
from zk_pipeline.store.tables import conflicts, connectors, day_requests, normalized_entries, pushes

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DayMinutes:
    """Minutes of one work day: booked in the source, and those of them that are in the target and in no question."""

    day: date
    booked: Decimal
    synced: Decimal


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: conflicts for a person, parked rows that the target refuses, days that are asked for."""

    conflicts: int
    parked: int
    days: int


def active_connectors(connection: Connection) -> int:
    """How many connectors are in use."""
    return connection.execute(select(func.count()).where(connectors.c.active)).scalar_one()


def waiting(connection: Connection) -> Waiting:
    """What is open now."""
    refused = conflicts.c.reason == Reason.REFUSED_BY_KIMAI
    open_ones = select(func.count(), func.count().filter(refused)).where(conflicts.c.resolution_status == "open")
    total, parked = connection.execute(open_ones).one()
    asked = select(func.count(day_requests.c.day.distinct())).where(day_requests.c.claimed_by_run.is_(None))
    return Waiting(total - parked, parked, connection.execute(asked).scalar_one())


def minutes_by_day(connection: Connection, names: Addresses, first: date, last: date) -> list[DayMinutes]:
    """The work days of the range on which something was booked, oldest first."""
    entry, push = normalized_entries.c, pushes.c
    of_days = (entry.source == names.source) & entry.entry_date.between(first, last)
    minutes = (entry.time_minutes - entry.open_minutes).label("minutes")  # As booked, corrections included.
    booked = _set(select(entry.entry_date, entry.source_id, minutes).where(of_days), "booked")
    is_there = (push.connector == names.target) & push.entry_date.between(first, last) & (push.state == "confirmed")
    there = _set(select(push.source_id).where(is_there), "there")
    waits = (conflicts.c.connector == names.target) & conflicts.c.entry_date.between(first, last)
    asked = _set(select(conflicts.c.key).distinct().where(waits, conflicts.c.resolution_status == "open"), "asked")
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
    return [DayMinutes(*row) for row in connection.execute(query)]


def _set(query: Select[Any], name: str) -> CTE:
    """Rows that are read once and then joined as a whole.

    A prepared statement does not know how many days it will be about; joined row by row, a month takes a second.
    """
    return query.cte(name).prefix_with("MATERIALIZED", dialect="postgresql")
