"""Queries on day requests: the one table that asks for days to be run again."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, any_, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.demand import DayRequest
from zk_pipeline.store.request_tables import cancelled_runs
from zk_pipeline.store.tables import day_requests, sync_runs

CORRECTION = "correction"
"""A booking or correction of another day is netted otherwise now."""

ADJUSTMENT = "adjustment"
"""Somebody decided to book the difference of a billed booking on this day."""

MOVED = "moved"
"""A time sheet lies on this day in the target that is a copy, or whose booking is gone."""

FORMER_DAY = "former_day"
"""A booking of this day changed that was read with another day's: it counts by a zone that was set formerly."""

REDERIVED = "rederived"
"""What is derived of this day's bookings changed together with a setting."""

TARGET_CHANGED = "kimai_changed"
"""A person edited or deleted a time sheet of ours."""

TICKET = "ticket"
"""A ticket went to another customer, organization or group."""

PERSON = "person"
"""Somebody wants the day to be run."""


def ask(
    connection: Connection, days: Iterable[date], reason: str, ticket_ids: Mapping[date, Collection[int]] | None = None
) -> None:
    """Ask for these days, each once; `ticket_ids` says for a day which tickets it is about."""
    tickets = ticket_ids or {}
    values = [{"day": day, "reason": reason, "ticket_ids": sorted(tickets.get(day, ()))} for day in sorted(set(days))]
    if values:
        connection.execute(insert(day_requests), values)


def unclaimed(connection: Connection, reason: str | None = None) -> list[DayRequest]:
    """The requests, of one reason or of any, that no successful run has claimed yet, oldest day first.

    Those of held days are not among them: they wait until somebody says whether to sync again (`cancellations`).
    """
    columns = (day_requests.c.id, day_requests.c.day, day_requests.c.tries, day_requests.c.not_before)
    query = select(*columns).where(day_requests.c.claimed_by_run.is_(None), ~is_held())
    if reason is not None:
        query = query.where(day_requests.c.reason == reason)
    rows = connection.execute(query.order_by(day_requests.c.day, day_requests.c.id))
    return [DayRequest(*row) for row in rows]


def is_held() -> ColumnElement[bool]:
    """Whether the day of a request is held after its run was cancelled."""
    return exists().where(any_(cancelled_runs.c.held_days) == day_requests.c.day)


def postpone(connection: Connection, ids: Collection[int], until: datetime) -> None:
    """Record that a run was asked for; if it fails, the requests are due again at `until`."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.id.in_(ids))
        .values(tries=day_requests.c.tries + 1, not_before=until, waits_for=None)
    )


def wait_for(connection: Connection, connector: str, first: date, last: date) -> None:
    """Record that the run over these days failed because a system was away: their pause is not the days' own."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.day.between(first, last), day_requests.c.claimed_by_run.is_(None))
        .values(waits_for=connector)
    )


def resume(connection: Connection, connector: str, now: datetime) -> None:
    """Make due at once what waited for this system."""
    connection.execute(
        update(day_requests)
        .where(day_requests.c.waits_for == connector, day_requests.c.claimed_by_run.is_(None))
        .values(waits_for=None, not_before=func.least(day_requests.c.not_before, now))
    )


def take_on(connection: Connection, run_id: str, first: date, last: date) -> None:
    """Note which requests a run answers: those that stand open for its days before it reads anything."""
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


def claim(connection: Connection, day: date, run_id: str) -> None:
    """Note that a run carried out a day: the requests that it took on for it are done; later ones stay open.

    A held day is no longer held: the run was allowed to carry it out, so somebody wanted it.
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
