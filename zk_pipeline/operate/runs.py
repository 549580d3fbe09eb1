"""Runs of the pipeline: their counts and status, starting them, and idempotent requests."""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.instants import day_ranges
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.dagster_server import DagsterServerError, dagster_server, run_url
from zk_pipeline.runtime.run_tags import (
    ACTOR_TAG,
    NO_RETRY,
    OVERRIDE_TAG,
    REQUEST_TAG,
    RUN_KEY_TAG,
    range_subject,
    range_tags,
)
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, cancellations, day_requests, runs
from zk_pipeline.store.runs import StoredRun

# Idempotent requests: the first request with a key is carried out, and the others get its answer.
#
# A double click, a resent request and a retrying proxy send the same key, which the client makes when the dialog opens
# or the request is built. Keys are kept for a day. A failed act changed nothing and is forgotten: its key may be used
# again. If the process of an act died, a person has to check what happened.

ACT_KEPT_FOR = timedelta(days=1)
ABANDONED_AFTER = timedelta(minutes=2)
"""No act takes longer: its process has died."""

_current_act: ContextVar[str] = ContextVar("zk_act", default="")


class KeyReusedError(OperationError):
    """A key was used for another request before."""


class AbandonedActError(StaleError):
    """The first request with a key was never answered."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with a key: actor, key, operation and parameters."""

    actor: Actor
    key: str
    route: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer: HTTP status and content."""

    status: int
    content: str


@dataclass(frozen=True, slots=True)
class ActState:
    """What to do: carry the act out (`id`), return the first answer (`answer`), or, with neither, wait for it."""

    id: int | None = None
    answer: StoredAnswer | None = None


def begin_act(runtime: Runtime, asked: KeyedRequest) -> ActState:
    """Begin an act, or find out what became of it; with an id, call `finish_act` or `forget_act` afterwards.

    Raises `KeyReusedError` and `AbandonedActError`.
    """
    now, marks = datetime.now(UTC), _body_hashes(runtime, asked.body)
    with runtime.database.transaction() as connection:
        runs.forget_old(connection, asked.actor.name, asked.key, now - ACT_KEPT_FOR)
        taken_on = runs.begin_act(connection, asked.actor.name, asked.key, asked.route, marks[0])
        if taken_on is not None:
            return ActState(taken_on)
        before = runs.find(connection, asked.actor.name, asked.key)
    if before is None:  # It failed just now.
        return ActState()
    if before.route != asked.route or before.body_hash not in marks:
        raise KeyReusedError(
            f"Send this request with another key: {asked.key[:40]!r} was used for a different request before."
        )
    if before.status is not None and before.answer is not None:
        return ActState(answer=StoredAnswer(before.status, runtime.cipher.decrypt(before.answer)))
    if before.asked_at < now - ABANDONED_AFTER:
        raise AbandonedActError(
            f"Check whether the first request with the key {asked.key[:40]!r} was carried out: it was cut off before "
            "it was answered. If not, send it with a new key."
        )
    return ActState()


def finish_act(runtime: Runtime, act_id: int, answer: StoredAnswer) -> None:
    """Store the answer, for repeated requests."""
    with runtime.database.transaction() as connection:
        runs.finish(connection, act_id, answer.status, runtime.cipher.encrypt(answer.content))


def forget_act(runtime: Runtime, act_id: int) -> None:
    """Release the key: nothing was changed."""
    with runtime.database.transaction() as connection:
        runs.forget(connection, act_id)


@contextmanager
def act_context(asked: KeyedRequest) -> Iterator[None]:
    """Runs started within the block belong to this act."""
    token = _current_act.set(f"{asked.actor.name}:{asked.key}")
    try:
        yield
    finally:
        _current_act.reset(token)


def current_act() -> str:
    """The id of the act being carried out; empty without a key."""
    return _current_act.get()


def _body_hashes(runtime: Runtime, body: bytes) -> tuple[str, ...]:
    """HMACs of the body under each key, newest first; a plain hash of a password could be guessed."""
    return tuple(hmac.digest(key, body, "sha256").hex() for key in runtime.cipher.derived("zk acts"))


# Runs: what our tables counted, and their status in Dagster.

UNKNOWN = "unknown"
"""The status of a run if Dagster does not answer, or does not know it any more."""

NOT_WRITTEN = ("unapproved", "left", "withheld")
"""Counts of what a run planned but did not write."""

DAGSTER_ACTION = "dagster.asked"
"""The event for what people do in Dagster's UI, recorded before Dagster does it."""

_ENDED = frozenset({"success", "failure", "canceled", UNKNOWN})


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run; times are in UTC. `status` is Dagster's in lowercase, or `unknown`.

    `seconds` is the time from its first to its latest stage. `carried_out`: it wrote all its days; a plan never does.
    `failure` is the message for the operator, available some seconds after it failed. `ahead` lines of its plan were
    neither written nor replaced since. `taken_back`: an undo took back all its writes.
    """

    run_id: str
    first: date | None
    last: date | None
    status: str
    counts: Mapping[str, int]
    started_at: datetime
    seconds: int
    carried_out: bool
    failure: str
    url: str
    ahead: int = 0
    taken_back: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether it is queued or running."""
        return self.status not in _ENDED


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that was just started; `url` is its page in Dagster."""

    run_id: str
    first: date
    last: date
    url: str


def launch(
    runtime: Runtime, actor: Actor, job: str, first: date, last: date, *, override_limits: bool = False
) -> Iterator[StartedRun]:
    """Start runs of a job over a range, one for each month at most. Raises `DagsterServerError`."""
    for begin, end in day_ranges(first, last, LONGEST_RANGE):
        tags = range_tags(begin, end, day_requests.PERSON)
        if override_limits:
            asked = {**tags, OVERRIDE_TAG: "yes"}
            run_id = launch_once(runtime, actor, job, asked, about=range_subject(begin, end))
        else:
            run_id = launch_once(runtime, actor, job, tags)
        yield StartedRun(run_id, begin, end, run_url(runtime.settings.dagster_link, run_id))


def launch_once(
    runtime: Runtime,
    actor: Actor,
    job: str,
    tags: Mapping[str, str],
    config: Mapping[str, Any] | None = None,
    *,
    key: str = "",
    about: str | None = None,
) -> str:
    """Start a run of a job in the actor's name; returns its id. Raises `DagsterServerError`.

    With `about` the run gets a request for just this subject (`store/runs.py`).

    A run with the same key is started once, even if two ask at once or the first answer was lost. By default the key is
    that of the current act (`current_act`) with job and tags; a given `key` may be used again after its run has ended.
    """
    server = dagster_server(runtime)
    asked = "/".join([job, *(f"{name}={value}" for name, value in sorted(tags.items()))])
    run_key = key or (f"{current_act()}/{asked}" if current_act() else "")
    tags = {**tags, ACTOR_TAG: actor.name}
    if not run_key:
        return server.launch(job, {**tags, **_requested(runtime, actor, job, about)}, config)
    with runtime.database.lock(f"zk:launch:{run_key}"):
        run_id = unfinished_run(runtime, key) if key else _launched(runtime, run_key)
        if run_id is None:
            with runtime.database.transaction() as connection:
                runs.intend_launch(connection, run_key)
            keyed = {**tags, RUN_KEY_TAG: stable_hash(run_key), **_requested(runtime, actor, job, about)}
            run_id = server.launch(job, keyed, config)
        with runtime.database.transaction() as connection:
            runs.note_launch(connection, run_key, run_id)
    return run_id


def _requested(runtime: Runtime, actor: Actor, job: str, about: str | None) -> dict[str, str]:
    if about is None:
        return {}
    with runtime.database.transaction() as connection:
        return {REQUEST_TAG: runs.ask(connection, actor.name, job, about), **NO_RETRY}


def unfinished_run(runtime: Runtime, key: str) -> str | None:
    """The run that was started for a key, if it has not ended. Raises `DagsterServerError`."""
    run_id = _launched(runtime, key)
    if run_id is None:
        return None
    status = dagster_server(runtime).run_statuses([run_id]).get(run_id, UNKNOWN)
    return None if status.lower() in _ENDED else run_id


def _launched(runtime: Runtime, run_key: str) -> str | None:
    """The last run that was started for a key; if its id was lost, Dagster is asked for it."""
    with runtime.database.transaction() as connection:
        found = runs.launched(connection, run_key)
    if found is None or found.run_id is not None:
        return found.run_id if found else None
    return dagster_server(runtime).run_with_tag(RUN_KEY_TAG, stable_hash(run_key))


def page(runtime: Runtime, limit: int, offset: int) -> tuple[tuple[RunDetails, ...], int]:
    """The runs of one page, newest first, and how many there are in all."""
    with runtime.database.transaction() as connection:
        rows = runs.page(connection, limit, offset)
        total = runs.count(connection)
    return to_runs(runtime, rows), total


def one(runtime: Runtime, run_id: str) -> RunDetails:
    """One run. Raises `UnknownError`."""
    found = runs_by_id(runtime, [run_id])
    if not found:
        raise UnknownError(f"Run {run_id} does not exist. A run is known here once its first stage has begun.")
    return found[0]


def record_undo_request(runtime: Runtime, actor: Actor, run_id: str) -> None:
    """Record who requests the undo of a run, before the first write is undone."""
    with runtime.database.transaction() as connection:
        audit.append(connection, [actor.audit_event("undo.requested", f"run:{run_id}", {"run": run_id})])


def runs_by_id(runtime: Runtime, run_ids: Sequence[str]) -> tuple[RunDetails, ...]:
    """The runs with these ids that our tables know, oldest first."""
    with runtime.database.transaction() as connection:
        rows = runs.of_ids(connection, run_ids)
    return to_runs(runtime, rows)


def statuses(runtime: Runtime, run_ids: Sequence[str]) -> dict[str, str]:
    """The status of each run, `unknown` if Dagster does not answer or does not know it."""
    try:
        known = dagster_server(runtime).run_statuses(run_ids)
    except DagsterServerError:
        known = {}
    return {run_id: known.get(run_id, UNKNOWN).lower() for run_id in run_ids}


def to_runs(runtime: Runtime, rows: Sequence[StoredRun]) -> tuple[RunDetails, ...]:
    """Stored runs with their status in Dagster."""
    status = statuses(runtime, [row.run_id for row in rows])
    left = [row for row in rows if any(row.counts.get(name) for name in NOT_WRITTEN)]
    days = [day for row in left for day in (row.first, row.last) if day is not None]
    ahead: Mapping[str, int] = {}
    if days:
        with runtime.database.transaction() as connection:
            ahead = runs.ahead(connection, [row.run_id for row in left], min(days), max(days))
    return tuple(
        RunDetails(
            run_id=row.run_id,
            first=row.first,
            last=row.last,
            status=status[row.run_id],
            counts=row.counts,
            started_at=row.started_at,
            seconds=int((row.updated_at - row.started_at).total_seconds()),
            carried_out=row.carried_out_until is not None and row.carried_out_until == row.last,
            failure=row.failure,
            url=run_url(runtime.settings.dagster_link, row.run_id),
            ahead=ahead.get(row.run_id, 0),
            taken_back=row.taken_back,
        )
        for row in rows
    )


def record_dagster_actions(
    runtime: Runtime, actor: Actor, acts: Sequence[tuple[str, str]], cancelled: Sequence[str] = ()
) -> None:
    """Record actions in Dagster's UI with their subjects, such as `launchRun` and `sync`.

    The days of `cancelled` runs are held in the actor's name.
    """
    with runtime.database.transaction() as connection:
        for run_id in cancelled:
            cancellations.ask(connection, run_id, actor.name)
        events = [
            actor.audit_event(DAGSTER_ACTION, f"dagster:{name}", {"operation": name, "about": about})
            for name, about in acts
        ]
        audit.append(connection, events)


def request_tags(runtime: Runtime, actor: Actor, job: str, about: str) -> dict[str, str]:
    """The tags of a run that an admin launches in Dagster's UI and that needs a request."""
    with runtime.database.transaction() as connection:
        return {REQUEST_TAG: runs.ask(connection, actor.name, job, about), **NO_RETRY}
