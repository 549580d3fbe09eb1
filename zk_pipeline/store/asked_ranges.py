"""Queries on the ranges of days that people asked for: what stands behind their day requests, and what became of them.

A range is asked for at once, so its day requests have one instant in common; it is known by the id of its first.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Connection, Row, Select, cast, func, select, text

from zk_pipeline.domain.instants import days_between
from zk_pipeline.store import requests
from zk_pipeline.store.requests import PERSON
from zk_pipeline.store.tables import day_requests, sync_runs

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AskedRange:
    """A range of days that somebody asked for; instants are in UTC.

    `days_done` of its days were carried out since. Where a run was cancelled, `days_left` were left by somebody, and
    `days_held` wait for a word. `tries` is how often runs were asked to do the others, which are due from `due_at` on;
    it is `None` when nothing is left.
    """

    id: int
    first: date
    last: date
    days: int
    days_done: int
    days_left: int
    days_held: int
    tries: int
    asked_at: datetime
    due_at: datetime | None
    request_ids: tuple[int, ...]


def find(connection: Connection, request_id: int) -> AskedRange | None:
    """The range of this id, or `None`."""
    if not 0 < request_id <= LARGEST_ID:
        return None
    at = select(day_requests.c.requested_at).where(day_requests.c.id == request_id, day_requests.c.reason == PERSON)
    row = connection.execute(_ranges().where(day_requests.c.requested_at == at.scalar_subquery())).first()
    found = _range(row) if row else None
    return found if found and found.id == request_id else None


def ask_once(connection: Connection, first: date, last: date) -> tuple[AskedRange, bool]:
    """Ask for these days, unless just these wait already and no run was asked to do them; whether that was needed.

    Until the transaction ends nobody else gets an answer, so that two who ask at once ask for one range.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:asked_ranges', 0))"))
    waiting = _equal_waiting(first, last)
    row = connection.execute(waiting).first()
    if row is not None:
        return _range(row), False
    requests.ask(connection, days_between(first, last), PERSON)
    return _range(connection.execute(waiting).one()), True


def runs_of(connection: Connection, asked: AskedRange) -> list[str]:
    """The runs that took the range on, oldest first; the last one may still be at it."""
    ids = cast(list(asked.request_ids), ARRAY(BigInteger))
    query = select(sync_runs.c.run_id).where(
        sync_runs.c.started_at >= asked.asked_at, sync_runs.c.request_ids.op("&&")(ids)
    )
    return list(connection.execute(query.order_by(sync_runs.c.started_at)).scalars())


def _equal_waiting(first: date, last: date) -> Select[Any]:
    """The ranges of exactly these days that no run was asked to do yet."""
    day = day_requests.c.day
    untouched = _ranges().where(day_requests.c.claimed_by_run.is_(None), day_requests.c.tries == 0)
    equal = (func.min(day) == first) & (func.max(day) == last) & (func.count() == (last - first).days + 1)
    return untouched.having(equal).limit(1)


def _ranges() -> Select[Any]:
    request = day_requests.c
    is_open = request.claimed_by_run.is_(None)
    return (
        select(
            func.min(request.id),
            func.min(request.day),
            func.max(request.day),
            func.count(),
            func.count(request.claimed_by_run) - func.count(request.left_by),
            func.count(request.left_by),
            func.count().filter(is_open, requests.is_held()),
            func.coalesce(func.max(request.tries).filter(is_open), 0),
            request.requested_at,
            func.max(request.not_before).filter(is_open),
            func.array_agg(request.id),
        )
        .where(request.reason == PERSON)
        .group_by(request.requested_at)
    )


def _range(row: Row[Any]) -> AskedRange:
    *columns, ids = row
    return AskedRange(*columns, request_ids=tuple(sorted(ids)))
