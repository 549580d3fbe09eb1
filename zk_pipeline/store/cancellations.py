"""Cancelled runs, whose days are held: no automatic run carries them out until somebody decides.

A day is held by at most one run, the one cancelled last.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ARRAY, Connection, Date, any_, bindparam, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.tables import cancelled_runs, day_requests, sync_runs

IN_DAGSTER = "dagster"
"""The actor of a cancellation in Dagster's own UI, which does not say who uses it."""

_run = cancelled_runs.c


@dataclass(frozen=True, slots=True)
class RunCancellation:
    """A cancelled run with the range of its days (UTC); `None` if none of them is held."""

    run_id: str
    at: datetime
    days: tuple[date, date] | None


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A cancelled run whose days wait for a decision. `asked_by` cancelled it; `changes` are requested for them."""

    run_id: str
    cancelled_at: datetime
    asked_by: str
    days: tuple[date, ...]
    changes: int


def ask(connection: Connection, run_id: str, actor: str) -> None:
    """Record who is about to cancel a run, before Dagster is asked; the first one counts."""
    connection.execute(insert(cancelled_runs).values(run_id=run_id, asked_by=actor).on_conflict_do_nothing())


def forget(connection: Connection, run_id: str) -> None:
    """Record that Dagster did not cancel the run."""
    connection.execute(delete(cancelled_runs).where(_run.run_id == run_id, _run.cancelled_at.is_(None)))


def known(connection: Connection, run_ids: Collection[str]) -> set[str]:
    """Those of these runs that are recorded as cancelled."""
    query = select(_run.run_id).where(_run.run_id.in_(run_ids), _run.cancelled_at.is_not(None))
    return set(connection.execute(query).scalars())


def note(connection: Connection, run: RunCancellation) -> HeldRun:
    """Hold the days that neither the cancelled run nor another one since carried out; once per run."""
    first, last = run.days or (None, None)
    values = {"run_id": run.run_id, "first": first, "last": last, "at": run.at}
    held = list(connection.execute(_UNDONE, values).scalars()) if run.days else []
    _release(connection, held)
    if run.days:
        # One that was cancelled while it was queued is not in the list of runs yet.
        listed = insert(sync_runs).values(run_id=run.run_id, first_day=first, last_day=last, counts={})
        connection.execute(listed.on_conflict_do_nothing())
    row = insert(cancelled_runs).values(run_id=run.run_id, cancelled_at=run.at, held_days=held)
    excluded = {name: row.excluded[name] for name in ("cancelled_at", "held_days")}
    statement = row.on_conflict_do_update(
        index_elements=[_run.run_id], set_=excluded, where=_run.cancelled_at.is_(None)
    ).returning(_run.asked_by)
    asked_by = connection.execute(statement).scalar()
    return HeldRun(run.run_id, run.at, asked_by or IN_DAGSTER, tuple(held), 0)


def held(connection: Connection) -> list[HeldRun]:
    """The cancelled runs whose days wait for a decision, oldest first."""
    changes = select(func.count()).where(
        day_requests.c.claimed_by_run.is_(None), any_(_run.held_days) == day_requests.c.day
    )
    query = select(_run.run_id, _run.cancelled_at, _run.asked_by, _run.held_days, changes.scalar_subquery())
    rows = connection.execute(
        query.where(func.cardinality(_run.held_days) > 0).order_by(_run.cancelled_at, _run.run_id)
    )
    return [HeldRun(id_, at, by or IN_DAGSTER, tuple(sorted(days)), number) for id_, at, by, days, number in rows]


def holder(connection: Connection, day: date) -> str | None:
    """The cancelled run that holds a day, or `None`."""
    query = select(_run.run_id).where(any_(_run.held_days) == day)
    return connection.execute(query).scalar()


def release(connection: Connection, first: date, last: date) -> list[date]:
    """Release the held days of a range, because somebody wants them run; returns them."""
    query = select(func.unnest(_run.held_days).label("day")).subquery()
    days = sorted(connection.execute(select(query.c.day).where(query.c.day.between(first, last))).scalars())
    _release(connection, days)
    return days


def take(connection: Connection, run_id: str) -> list[date]:
    """Release the days that a run holds and return them. Of two concurrent calls the second gets none."""
    row = select(_run.held_days).where(_run.run_id == run_id).with_for_update()
    days = sorted(connection.execute(row).scalar() or [])
    _release(connection, days)
    return days


def leave(connection: Connection, run_id: str, days: Collection[date], actor: str) -> int:
    """Complete the requests of these days without a run, as somebody decided; returns how many."""
    row = day_requests.c
    settled = update(day_requests).where(row.day.in_(days), row.claimed_by_run.is_(None))
    return connection.execute(settled.values(claimed_by_run=run_id, claimed_at=func.now(), left_by=actor)).rowcount


def _release(connection: Connection, days: Collection[date]) -> None:
    if days:
        connection.execute(_LET_GO, {"days": list(days)})


_LET_GO = text(
    """
    UPDATE sync.cancelled_runs
    SET held_days = COALESCE((SELECT array_agg(day) FROM unnest(held_days) AS day WHERE day <> ALL(:days)), '{}')
    WHERE held_days && :days
    """
).bindparams(bindparam("days", type_=ARRAY(Date)))
_UNDONE = text(
    """
    WITH own AS (
        SELECT carried_out_until, request_ids FROM sync.sync_runs WHERE run_id = :run_id
    )
    SELECT days.day::date AS day
    FROM generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS days (day)
    WHERE (
        -- Days are carried out in their order; one that failed is told by its request, which is open.
        days.day > COALESCE((SELECT carried_out_until FROM own), DATE '-infinity')
        OR EXISTS (
            SELECT FROM sync.day_requests r
            WHERE r.day = days.day AND r.claimed_by_run IS NULL AND r.id = ANY((SELECT request_ids FROM own)::bigint [])
        )
    ) AND NOT EXISTS (
        SELECT FROM sync.sync_runs s
        WHERE s.run_id <> :run_id AND s.started_at >= CAST(:at AS timestamptz) - interval '1 hour'
            AND s.carried_out_at > :at AND days.day BETWEEN s.first_day AND s.carried_out_until
    )
    ORDER BY days.day
    """
)
