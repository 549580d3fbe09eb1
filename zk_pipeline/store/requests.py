"""Queries on day requests: the one table that asks for days to be run again."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, func, insert, select, update

from zk_pipeline.store.tables import day_requests

CORRECTION = "correction"
"""A correction changed a booking of another day."""


def ask(connection: Connection, days: Iterable[date], reason: str) -> None:
    """Ask for these days, each once."""
    values = [{"day": day, "reason": reason} for day in sorted(set(days))]
    if values:
        connection.execute(insert(day_requests), values)


def unclaimed(connection: Connection, reason: str | None = None) -> list[date]:
    """The days asked for, of one reason or of any, that no successful run has claimed yet."""
    query = select(day_requests.c.day).where(day_requests.c.claimed_by_run.is_(None)).distinct()
    if reason is not None:
        query = query.where(day_requests.c.reason == reason)
    return list(connection.execute(query.order_by(day_requests.c.day)).scalars())


def claim(connection: Connection, days: Iterable[date], run_id: str, up_to: int) -> None:
    """Mark the requests for these days as done by a run; `up_to` is the newest request that the run can have seen."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.day.in_(list(days)), day_requests.c.claimed_by_run.is_(None), day_requests.c.id <= up_to)
        .values(claimed_by_run=run_id, claimed_at=func.now())
    )


def newest(connection: Connection) -> int:
    """The id of the newest request, 0 without any."""
    return connection.execute(select(func.coalesce(func.max(day_requests.c.id), 0))).scalar_one()
