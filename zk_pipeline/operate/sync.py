"""Requesting syncs, their status, cancelling runs, and what happens to the days of cancelled runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from zk_pipeline.audit import trail
from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, days_between, local_day
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.operate import overview
from zk_pipeline.operate.overview import OpenWork
from zk_pipeline.operate.runs import RunDetails, StartedRun, launch, runs_by_id
from zk_pipeline.runtime.dagster_server import DagsterServerError, dagster_server, run_url
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import PushMode, Settings
from zk_pipeline.stages.push.pusher import objection_to
from zk_pipeline.store import audit, cancellations, day_requests, runs
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.day_requests import AskedRange

JOB = "sync"

LONGEST_REQUEST = 366
"""Days in one request; runs take a month at a time."""


class RequestState(StrEnum):
    """The state of a request for a range of days."""

    WAITING = "waiting"
    """No run has started yet, or a failed one is retried."""
    RUNNING = "running"
    HELD = "held"
    """Its run was cancelled; it waits for a decision whether to sync again."""
    DONE = "done"
    LEFT = "left"
    """Its run was cancelled, and somebody decided to leave the remaining days."""


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A request for a range of days; times are in UTC.

    `due_at` is when the remaining days may run next; a failed run postpones it.
    """

    id: int
    first: date
    last: date
    state: RequestState
    days: int
    days_done: int
    tries: int
    asked_at: datetime
    due_at: datetime | None
    runs: tuple[RunDetails, ...]


@dataclass(frozen=True, slots=True)
class SyncSummary:
    """The state of synchronization; times are in UTC.

    `lag_seconds` counts from the last sync that included its own day, `None` if there was none recently. `conflicts`
    wait for a person, `parked` rows were refused by Kimai.
    """

    last_synced_at: datetime | None
    lag_seconds: int | None
    days_asked_for: int
    conflicts: int
    parked: int


def check_days(
    settings: Settings,
    first: date,
    last: date,
    *,
    names: tuple[str, str] = ("first", "last"),
    longest: int | None = None,
) -> tuple[date, date]:
    """The range, if it can be run. `names` are the names of its ends in messages.

    Raises `OperationError` for days in the wrong order, before ZK_START_DATE, in the future, or too many.
    """
    today = local_day(datetime.now(UTC), settings.zone)
    if last < first:
        raise OperationError(f"{names[1]} {last} is before {names[0]} {first}. Swap them.", "to")
    if first < settings.start_date:
        raise OperationError(
            f"{names[0]} {first} is before ZK_START_DATE={settings.start_date}. Choose a later day, or set it earlier.",
            "from",
        )
    if last > today:
        raise OperationError(
            f"{names[1]} {last} is in the future. Choose {today} (today in {settings.timezone}) or an earlier day.",
            "to",
        )
    number = (last - first).days + 1
    if longest is not None and number > longest:
        raise OperationError(
            f"{names[0]} {first} to {names[1]} {last} are {number} days. Request at most {longest} at once.",
            "to",
        )
    return first, last


def request_days(runtime: Runtime, actor: Actor, first: date, last: date) -> SyncRequest:
    """Request a range of days, once while the same range is waiting. Releases held days. Raises `OperationError`."""
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    with runtime.database.transaction() as connection:
        asked, is_new = day_requests.ask_once(connection, first, last)
        # Only a person, as here, may overrule whoever cancelled a run of these days.
        cancellations.release(connection, first, last)
        if is_new:
            event = actor.audit_event(
                "days.requested", f"days:{first}..{last}", {"first": str(first), "last": str(last)}
            )
            audit.append(connection, [event])
    return _to_request(asked, ())


def limit_violations(runtime: Runtime, first: date, last: date) -> tuple[str, ...]:
    """Why the write limits would stop runs over these days, by their current plans: a sentence for each run.

    Limits apply only if plans are not approved by people. Raises `OperationError`.
    """
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    if runtime.settings.push_mode is not PushMode.AUTO:
        return ()
    with runtime.database.transaction() as connection:
        target = active_connectors(connection).target
        found = [
            objection_to(connection, target, runtime.settings, list(days_between(begin, end)))
            for begin, end in day_ranges(first, last, LONGEST_RANGE)
        ]
    return tuple(why for why in found if why is not None)


def launch_overriding_limits(runtime: Runtime, actor: Actor, first: date, last: date) -> tuple[StartedRun, ...]:
    """Run these days now regardless of the write limits, in runs of at most a month.

    Raises `OperationError`, and `DagsterServerError` if Dagster does not answer.
    """
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    record_limit_override(runtime, actor, first, last)
    return tuple(launch(runtime, actor, JOB, first, last, override_limits=True))


def record_limit_override(runtime: Runtime, actor: Actor, first: date, last: date) -> None:
    """Record who overrides the write limits for these days, before the first run begins."""
    with runtime.database.transaction() as connection:
        event = actor.audit_event(
            "limits.overridden", f"days:{first}..{last}", {"first": str(first), "last": str(last)}
        )
        audit.append(connection, [event])


def request_state(runtime: Runtime, request_id: int) -> SyncRequest:
    """The state of a request. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        asked = day_requests.find(connection, request_id)
        if asked is None:
            raise UnknownError(
                f"Sync request {request_id} does not exist. Use the id that was returned when it was made."
            )
        runs = day_requests.runs_of(connection, asked)
    return _to_request(asked, runs_by_id(runtime, runs))


def status(runtime: Runtime) -> SyncSummary:
    """The current summary, from our own tables."""
    with runtime.database.transaction() as connection:
        synced_at = runs.last_carried_out(connection, runtime.settings.timezone)
        waiting = overview.open_work(connection)
    return summary_of(synced_at, waiting)


def summary_of(synced_at: datetime | None, waiting: OpenWork) -> SyncSummary:
    """The summary, given when the last sync included its own day, and the open work."""
    lag = None if synced_at is None else max(timedelta(0), datetime.now(UTC) - synced_at)
    seconds = None if lag is None else int(lag.total_seconds())
    return SyncSummary(synced_at, seconds, waiting.days, waiting.conflicts, waiting.parked)


def _to_request(asked: AskedRange, runs: tuple[RunDetails, ...]) -> SyncRequest:
    return SyncRequest(
        id=asked.id,
        first=asked.first,
        last=asked.last,
        state=_state(asked, runs),
        days=asked.days,
        days_done=asked.days_done,
        tries=asked.tries,
        asked_at=asked.asked_at.astimezone(UTC),
        due_at=asked.due_at,
        runs=runs,
    )


def _state(asked: AskedRange, runs: tuple[RunDetails, ...]) -> RequestState:
    if asked.days_done + asked.days_left == asked.days:
        return RequestState.LEFT if asked.days_left else RequestState.DONE
    if any(run.is_under_way for run in runs):
        return RequestState.RUNNING
    return RequestState.HELD if asked.days_held else RequestState.WAITING


# Cancelling runs, and the days of cancelled runs: synced again, or left.

IN_DAGSTER = cancellations.IN_DAGSTER
"""Who cancelled a run in Dagster's UI, if that is not known."""

_STOPPING = frozenset({"CANCELING", "CANCELED"})


@dataclass(frozen=True, slots=True)
class CancelledRun:
    """A run that is being cancelled; `url` is its page in Dagster."""

    run_id: str
    url: str


@dataclass(frozen=True, slots=True)
class HeldDays:
    """Days of a cancelled run that wait for a decision.

    `cancelled_at` is in UTC, `cancelled_by` a name or `IN_DAGSTER`; `changes` counts the requests for these days.
    """

    run_id: str
    cancelled_at: datetime
    cancelled_by: str
    days: tuple[date, ...]
    changes: int
    url: str

    @property
    def first(self) -> date:
        """The first day."""
        return self.days[0]

    @property
    def last(self) -> date:
        """The last day."""
        return self.days[-1]


def cancel(runtime: Runtime, actor: Actor, run_id: str) -> CancelledRun:
    """Have Dagster cancel a run; its days are held within seconds.

    Raises `StaleError` if it has ended or cannot be cancelled, and `DagsterServerError` if Dagster does not answer.
    """
    with runtime.database.transaction() as connection:
        # First, so that the days are held in this actor's name.
        cancellations.ask(connection, run_id, actor.name)
        audit.append(connection, [actor.audit_event("cancel.requested", f"run:{run_id}", {"run": run_id})])
    server = dagster_server(runtime)
    try:
        objection = server.cancel(run_id)
        # If the process cannot be reached, Dagster gives up after some time.
        is_stopping = objection is None or server.run_statuses([run_id]).get(run_id) in _STOPPING
    except DagsterServerError:
        _forget(runtime, run_id)
        raise
    if not is_stopping:
        _forget(runtime, run_id)
        raise StaleError(f"Run {run_id} cannot be cancelled. {objection}")
    return CancelledRun(run_id, run_url(runtime.settings.dagster_link, run_id))


def held_days(runtime: Runtime) -> tuple[HeldDays, ...]:
    """The days that wait for a decision, by cancelled run, oldest first."""
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
    """Request the held days of a cancelled run; returns them. Raises `UnknownError` if none wait."""
    with runtime.database.transaction() as connection:
        days = cancellations.take(connection, run_id)
        day_requests.ask(connection, days, day_requests.PERSON)
        audit.append(connection, [_decision_event(actor, "days.requested", run_id, days)])
    return days


def leave(runtime: Runtime, actor: Actor, run_id: str) -> Sequence[date]:
    """Drop the requests for the held days of a cancelled run; returns the days.

    The next change of such a day, or the next catch-up that includes it, syncs it completely. Raises `UnknownError` if
    none wait.
    """
    with runtime.database.transaction() as connection:
        days = cancellations.take(connection, run_id)
        cancellations.leave(connection, run_id, days, actor.name)
        audit.append(connection, [_decision_event(actor, "days.left", run_id, days)])
    return days


def _decision_event(actor: Actor, event: str, run_id: str, days: Sequence[date]) -> audit.AuditEvent:
    if not days:
        raise UnknownError(f"No days of run {run_id} wait: they were decided already, or it was not cancelled.")
    first, last = str(days[0]), str(days[-1])
    detail = {"run": run_id, "first": first, "last": last, "days": len(days)}
    return actor.audit_event(event, f"days:{first}..{last}", detail)


def _forget(runtime: Runtime, run_id: str) -> None:
    with runtime.database.transaction() as connection:
        cancellations.forget(connection, run_id)
