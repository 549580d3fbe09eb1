"""Cancelling a run, and what becomes of the days of cancelled ones: synced again, or left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from zk_pipeline.dagster_server import DagsterServerError, dagster_server, run_url
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import StaleError, UnknownError
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import audit, cancellations, requests, trail

IN_DAGSTER = cancellations.IN_DAGSTER
"""Who cancelled a run in Dagster's UI, which does not say who sits there."""

_STOPPING = frozenset({"CANCELING", "CANCELED"})


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A run that Dagster was asked to stop; `url` is its page there."""

    run_id: str
    url: str


@dataclass(frozen=True, slots=True)
class HeldDays:
    """Days of a cancelled run that wait for a word. `cancelled_at` is in UTC.

    `cancelled_by` is a name, or `IN_DAGSTER`. `changes` is how
    many requests for these days wait along with them.
    """

    run_id: str
    cancelled_at: datetime
    cancelled_by: str
    days: tuple[date, ...]
    changes: int
    url: str

    @property
    def first(self) -> date:
        """The first of the days."""
        return self.days[0]

    @property
    def last(self) -> date:
        """The last of the days."""
        return self.days[-1]


def cancel(runtime: Runtime, actor: Actor, run_id: str) -> CancelledRun:
    """Have Dagster stop a run; its days are held within seconds.

    Raises `StaleError` when it has ended or cannot be stopped, and `DagsterServerError` when Dagster does not answer.
    """
    with runtime.database.transaction() as connection:
        # First, so that the days are held in this name whoever sees Dagster's record of it.
        cancellations.ask(connection, run_id, actor.name)
        audit.append(connection, [actor.did("cancel.requested", f"run:{run_id}", {"run": run_id})])
    server = dagster_server(runtime)
    try:
        objection = server.cancel(run_id)
        # Where the process cannot be reached, Dagster gives the run up after some time.
        is_stopping = objection is None or server.run_statuses([run_id]).get(run_id) in _STOPPING
    except DagsterServerError:
        _forget(runtime, run_id)
        raise
    if not is_stopping:
        _forget(runtime, run_id)
        raise StaleError(f"Run {run_id} cannot be cancelled. {objection}")
    return CancelledRun(run_id, run_url(runtime.settings.dagster_link, run_id))


def held(runtime: Runtime) -> tuple[HeldDays, ...]:
    """The days that wait for a word, by the run that was cancelled, the oldest first."""
    with runtime.database.transaction() as connection:
        rows = cancellations.held(connection)
        names = trail.names_of(connection, {row.asked_by for row in rows})
    link = runtime.settings.dagster_link
    return tuple(
        HeldDays(
            run_id=row.run_id,
            cancelled_at=row.cancelled_at.astimezone(UTC),
            cancelled_by=names.get(row.asked_by, row.asked_by),
            days=row.days,
            changes=row.changes,
            url=run_url(link, row.run_id),
        )
        for row in rows
    )


def sync_again(runtime: Runtime, actor: Actor, run_id: str) -> Sequence[date]:
    """Ask for the held days of a cancelled run; returns them. Raises `UnknownError` when none wait."""
    with runtime.database.transaction() as connection:
        days = cancellations.take(connection, run_id)
        requests.ask(connection, days, requests.PERSON)
        audit.append(connection, [_spoken(actor, "days.requested", run_id, days)])
    return days


def leave(runtime: Runtime, actor: Actor, run_id: str) -> Sequence[date]:
    """Settle what is asked for on the held days of a cancelled run, without writing; returns the days.

    The next change of such a day, and the catch-up within its days, carry out all of it. Raises `UnknownError` when
    none wait.
    """
    with runtime.database.transaction() as connection:
        days = cancellations.take(connection, run_id)
        cancellations.leave(connection, run_id, days, actor.name)
        audit.append(connection, [_spoken(actor, "days.left", run_id, days)])
    return days


def _spoken(actor: Actor, event: str, run_id: str, days: Sequence[date]) -> audit.AuditEvent:
    if not days:
        raise UnknownError(f"No days of run {run_id} wait. Somebody has decided already, or it was not cancelled.")
    first, last = str(days[0]), str(days[-1])
    detail = {"run": run_id, "first": first, "last": last, "days": len(days)}
    return actor.did(event, f"days:{first}..{last}", detail)


def _forget(runtime: Runtime, run_id: str) -> None:
    with runtime.database.transaction() as connection:
        cancellations.forget(connection, run_id)
