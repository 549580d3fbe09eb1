"""The runs of the chain: what they counted, how Dagster says they are doing, and acts that are done once."""

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

# Doing once what is asked for twice: an act with a key is done by the first who asks, and all get its answer.
#
# A double click, a resent request and a proxy that tries again send the same key. It is the asker's own, made when the
# dialog opened or the request was built, and it is kept for a day. An act that failed changed nothing and is forgotten,
# so that the same key may try again. One whose process died is neither: what came of it is for a person to look at.

ACT_KEPT_FOR = timedelta(days=1)
ABANDONED_AFTER = timedelta(minutes=2)
"""No act takes so long: its process is gone."""

_current_act: ContextVar[str] = ContextVar("zk_act", default="")


class KeyReusedError(OperationError):
    """A key was used for something else before."""


class AbandonedActError(StaleError):
    """The first request with a key was never answered."""


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """What is asked for: the asker's key, which operation it is, and everything that was given to it."""

    actor: Actor
    key: str
    route: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered: a status of HTTP, and the content as text."""

    status: int
    content: str


@dataclass(frozen=True, slots=True)
class ActState:
    """What is to be done: to act (`id`), to give the first answer (`answer`), or, with neither, to wait for it."""

    id: int | None = None
    answer: StoredAnswer | None = None


def begin_act(runtime: Runtime, asked: KeyedRequest) -> ActState:
    """Take an act on, or find out what became of it; whoever gets an id must `finish_act` or `forget_act` it.

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
            f"The key {asked.key[:40]!r} was sent with another request before. Send this one with a key of its own."
        )
    if before.status is not None and before.answer is not None:
        return ActState(answer=StoredAnswer(before.status, runtime.cipher.decrypt(before.answer)))
    if before.asked_at < now - ABANDONED_AFTER:
        raise AbandonedActError(
            f"The first request with the key {asked.key[:40]!r} was cut off before it was answered. Look at what came "
            "of it, and if it was not done, send it with a new key."
        )
    return ActState()


def finish_act(runtime: Runtime, act_id: int, answer: StoredAnswer) -> None:
    """Keep the answer for whoever asks again."""
    with runtime.database.transaction() as connection:
        runs.finish(connection, act_id, answer.status, runtime.cipher.encrypt(answer.content))


def forget_act(runtime: Runtime, act_id: int) -> None:
    """Let the key be used again: nothing was done, or what was done is no act."""
    with runtime.database.transaction() as connection:
        runs.forget(connection, act_id)


@contextmanager
def act_context(asked: KeyedRequest) -> Iterator[None]:
    """What is started within the block is started for this act."""
    token = _current_act.set(f"{asked.actor.name}:{asked.key}")
    try:
        yield
    finally:
        _current_act.reset(token)


def current_act() -> str:
    """What the act that is being done is known by; empty for one without a key."""
    return _current_act.get()


def _body_hashes(runtime: Runtime, body: bytes) -> tuple[str, ...]:
    """Hashes of the body under each key, the newest first: a plain hash of a password could be guessed."""
    return tuple(hmac.digest(key, body, "sha256").hex() for key in runtime.cipher.derived("zk acts"))


# The runs of the chain: what our tables counted of each, and how Dagster says that it is doing.

UNKNOWN = "unknown"
"""The status of a run while Dagster does not answer, and of one that it does not know any more."""

NOT_WRITTEN = ("unapproved", "left", "withheld")
"""Counts of what a run planned and did not write."""

DAGSTER_ACTION = "dagster.asked"
"""The event of what people do in Dagster's own UI, recorded in their name before Dagster is asked to do it."""

_ENDED = frozenset({"success", "failure", "canceled", UNKNOWN})


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run; instants are in UTC. `status` is Dagster's in small letters, or `unknown`.

    `seconds` is the time from its first to its last stage so far. `carried_out` says that it wrote its days to the end;
    a plan never does. `failure` is what a failed run tells the operator, some seconds after it ended. `ahead` lines of
    its plan were neither written nor replaced by another plan since; `taken_back`: an undo took back all that it wrote.
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
        """Whether it waits for its turn or is at work."""
        return self.status not in _ENDED


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run over these days that was just started; `url` is its page in Dagster."""

    run_id: str
    first: date
    last: date
    url: str


def launch(
    runtime: Runtime, actor: Actor, job: str, first: date, last: date, *, override_limits: bool = False
) -> Iterator[StartedRun]:
    """Start runs of a job over a range, each over a month at most, one by one. Raises `DagsterServerError`."""
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
    """Start a run of a job in somebody's name; returns its id. Raises `DagsterServerError`.

    With `about` the run gets a request of ours for just this (`store/runs.py`).

    What is known by the same key is started once, be it that two ask at once or that the answer of the first start was
    lost. The key is the act's own (`acts.current`) with what the run is about; a given one may be used again after its
    run has ended. Without either, a run is started.
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
    """The run that was started for a key, while it has not ended. Raises `DagsterServerError`."""
    run_id = _launched(runtime, key)
    if run_id is None:
        return None
    status = dagster_server(runtime).run_statuses([run_id]).get(run_id, UNKNOWN)
    return None if status.lower() in _ENDED else run_id


def _launched(runtime: Runtime, run_key: str) -> str | None:
    """The last run that was started for a key; where its answer was lost, Dagster is asked for the key."""
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
        raise UnknownError(f"There is no run {run_id}. A run is known here once its first stage began.")
    return found[0]


def record_undo_request(runtime: Runtime, actor: Actor, run_id: str) -> None:
    """Record who has a run undone, before the first write is taken back; what comes of it is told by the undo's run."""
    with runtime.database.transaction() as connection:
        audit.append(connection, [actor.audit_event("undo.requested", f"run:{run_id}", {"run": run_id})])


def runs_by_id(runtime: Runtime, run_ids: Sequence[str]) -> tuple[RunDetails, ...]:
    """Those of the runs that our tables know, oldest first."""
    with runtime.database.transaction() as connection:
        rows = runs.of_ids(connection, run_ids)
    return to_runs(runtime, rows)


def statuses(runtime: Runtime, run_ids: Sequence[str]) -> dict[str, str]:
    """The status of each run; `unknown` where Dagster does not answer or does not know it."""
    try:
        known = dagster_server(runtime).run_statuses(run_ids)
    except DagsterServerError:
        known = {}
    return {run_id: known.get(run_id, UNKNOWN).lower() for run_id in run_ids}


def to_runs(runtime: Runtime, rows: Sequence[StoredRun]) -> tuple[RunDetails, ...]:
    """Stored runs with what Dagster says of them, and what can still be done about them."""
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
    """Record operations of Dagster's with what each is about, such as `launchRun` and `sync`.

    The days of the runs that are `cancelled` by it are held in this name.
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
    """The tags of a run that an admin launches there and that needs a request of ours."""
    with runtime.database.transaction() as connection:
        return {REQUEST_TAG: runs.ask(connection, actor.name, job, about), **NO_RETRY}
