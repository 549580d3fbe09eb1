"""Day requests, which make days run again, and the ranges of days that people requested."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    any_,
    cast,
    exists,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.changed_days import DayRequest
from zk_pipeline.domain.instants import days_between
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.store.tables import cancelled_runs, day_requests, sync_runs

CORRECTION = "correction"
"""A booking or correction of another day is netted differently now."""

ADJUSTMENT = "adjustment"
"""Somebody decided to book the difference of a billed booking on this day."""

MOVED = "moved"
"""A time sheet on this day in the target is a copy, or its booking is gone."""

FORMER_DAY = "former_day"
"""A booking of this day changed that was read with another day's, because it counts in a former time zone."""

REDERIVED = "rederived"
"""What is derived from this day's bookings changed together with a setting."""

TARGET_CHANGED = "kimai_changed"
"""A person edited or deleted a time sheet of ours."""

TICKET = "ticket"
"""A ticket went to another customer, organization or group."""

PERSON = "person"
"""Somebody wants the day to be run."""

MAPPING = "mapping"
"""A mapping was set that the day's bookings waited for, or one was removed that they used."""


CHANNEL = "zk_demand"
"""The notifications for which the sensor `demand` waits within its tick."""

LOOK, END = "look", "end"
"""There is something to do; the tick that waits has to end."""


def wake(connection: Connection, what: str = LOOK) -> None:
    """Wake the tick that waits, once the transaction is committed."""
    connection.execute(text("SELECT pg_notify(:channel, :what)"), {"channel": CHANNEL, "what": what})


def ask(
    connection: Connection, days: Iterable[date], reason: str, ticket_ids: Mapping[date, Collection[str]] | None = None
) -> None:
    """Request these days, each once, and wake the sensor. `ticket_ids` are the tickets that a request is about."""
    tickets = ticket_ids or {}
    values = [
        {"day": day, "reason": reason, "ticket_ids": sorted(tickets.get(day, ()), key=source_id_order)}
        for day in sorted(set(days))
    ]
    if values:
        connection.execute(insert(day_requests), values)
        wake(connection)


def unclaimed(connection: Connection, reason: str | None = None) -> list[DayRequest]:
    """The requests, with one reason or any, that no successful run has answered yet, oldest day first.

    Those of held days are left out: they wait for a decision whether to sync again (`cancellations`).
    """
    columns = (day_requests.c.id, day_requests.c.day, day_requests.c.tries, day_requests.c.not_before)
    query = select(*columns).where(day_requests.c.claimed_by_run.is_(None), ~is_held())
    if reason is not None:
        query = query.where(day_requests.c.reason == reason)
    rows = connection.execute(query.order_by(day_requests.c.day, day_requests.c.id))
    return [DayRequest(*row) for row in rows]


def is_asked(connection: Connection, first: date, last: date) -> bool:
    """Whether a request for one of these days waits for its answer."""
    query = select(day_requests.c.id).where(
        day_requests.c.day.between(first, last), day_requests.c.claimed_by_run.is_(None)
    )
    return connection.execute(query.limit(1)).first() is not None


def is_held() -> ColumnElement[bool]:
    """Whether the requested day is held after its run was cancelled."""
    return exists().where(any_(cancelled_runs.c.held_days) == day_requests.c.day)


def postpone(connection: Connection, ids: Collection[int], until: datetime) -> None:
    """Record that a run was requested; if it fails, the requests are due again at `until`."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.id.in_(ids))
        .values(tries=day_requests.c.tries + 1, not_before=until, waits_for=None)
    )


def wait_for(connection: Connection, connector: str, first: date, last: date) -> None:
    """Record that the run over these days failed because a system was unreachable, so they wait for that system."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.day.between(first, last), day_requests.c.claimed_by_run.is_(None))
        .values(waits_for=connector)
    )


def resume(connection: Connection, connector: str, now: datetime) -> None:
    """Make requests due at once that waited for this system."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.waits_for == connector, day_requests.c.claimed_by_run.is_(None))
        .values(waits_for=None, not_before=func.least(day_requests.c.not_before, now))
    )


def attach(connection: Connection, run_id: str, first: date, last: date) -> None:
    """Record which requests a run answers: those that are open for its days before it reads anything."""
    open_ids = select(func.coalesce(func.array_agg(day_requests.c.id), literal([], ARRAY(BigInteger)))).where(
        day_requests.c.day.between(first, last), day_requests.c.claimed_by_run.is_(None)
    )
    statement = insert(sync_runs).values(
        run_id=run_id, first_day=first, last_day=last, counts={}, request_ids=open_ids.scalar_subquery()
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[sync_runs.c.run_id], set_={"request_ids": statement.excluded.request_ids}
        )
    )


def complete(connection: Connection, day: date, run_id: str) -> None:
    """Record that a run carried out a day: the requests attached to the run are done; later ones stay open.

    A held day is released: the run was allowed to carry it out, so somebody wanted it.
    """
    taken_on = select(func.unnest(sync_runs.c.request_ids)).where(sync_runs.c.run_id == run_id)
    connection.execute(
        update(day_requests)
        .where(day_requests.c.day == day, day_requests.c.claimed_by_run.is_(None), day_requests.c.id.in_(taken_on))
        .values(claimed_by_run=run_id, claimed_at=func.now())
    )
    until = func.greatest(sync_runs.c.carried_out_until, day)
    connection.execute(
        update(sync_runs).where(sync_runs.c.run_id == run_id).values(carried_out_until=until, carried_out_at=func.now())
    )
    connection.execute(
        update(cancelled_runs)
        .where(any_(cancelled_runs.c.held_days) == day)
        .values(held_days=func.array_remove(cancelled_runs.c.held_days, day))
    )


# The ranges of days that people requested: their day requests and progress.
#
# All day requests of a range have the same instant; the range has the id of the first one.

LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class AskedRange:
    """A range of days that somebody requested; instants are in UTC.

    `days_done` of its days were carried out since. After a cancelled run, `days_left` were given up by somebody, and
    `days_held` wait for a decision. `tries` is how often runs were requested for the others, which are due from
    `due_at` on; it is `None` if nothing is left.
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
    """The range with this id, or `None`."""
    if not 0 < request_id <= LARGEST_ID:
        return None
    at = select(day_requests.c.requested_at).where(day_requests.c.id == request_id, day_requests.c.reason == PERSON)
    row = connection.execute(_ranges().where(day_requests.c.requested_at == at.scalar_subquery())).first()
    found = _range(row) if row else None
    return found if found and found.id == request_id else None


def ask_once(connection: Connection, first: date, last: date) -> tuple[AskedRange, bool]:
    """Request these days, unless exactly these wait already without a run; returns whether that was needed.

    Concurrent callers wait until the transaction ends, so that two of them request one range.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:asked_ranges', 0))"))
    waiting = _equal_waiting(first, last)
    row = connection.execute(waiting).first()
    if row is not None:
        return _range(row), False
    ask(connection, days_between(first, last), PERSON)
    return _range(connection.execute(waiting).one()), True


def runs_of(connection: Connection, asked: AskedRange) -> list[str]:
    """The runs that took the range on, oldest first; the last one may still be running."""
    ids = cast(list(asked.request_ids), ARRAY(BigInteger))
    query = select(sync_runs.c.run_id).where(
        sync_runs.c.started_at >= asked.asked_at, sync_runs.c.request_ids.op("&&")(ids)
    )
    return list(connection.execute(query.order_by(sync_runs.c.started_at)).scalars())


def _equal_waiting(first: date, last: date) -> Select[Any]:
    """The ranges of exactly these days that no run was requested for yet."""
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
            func.count().filter(is_open, is_held()),
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
