"""Runs: their counts, lists of runs, requests that authorize a run, and requests that act only once."""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, delete, func, or_, select, text, update
from sqlalchemy import false as sql_false
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.approval import WRITING
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import audit, plans
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import acts, launched_runs, reconciliation_results, run_requests, sync_runs, writes

# The counts of runs: what each run read, wrote and left to people, by stage; and why a run failed.


def add(connection: Connection, run_id: str, first: date | None, last: date | None, counts: Mapping[str, int]) -> None:
    """Add a stage's counts to its run."""
    connection.execute(_ADD, {"run_id": run_id, "first": first, "last": last, "counts": to_json(counts)})


def note_failure(connection: Connection, run_id: str, sentence: str) -> None:
    """Store the sentence of a failed run for the operator; a run that failed before its first stage is unknown here."""
    connection.execute(update(sync_runs).where(sync_runs.c.run_id == run_id).values(failure=sentence))


def counts_of(connection: Connection, run_id: str) -> dict[str, int]:
    """The counts of a run so far; empty for an unknown run."""
    return connection.execute(select(sync_runs.c.counts).where(sync_runs.c.run_id == run_id)).scalar() or {}


_ADD = text(
    """
    INSERT INTO sync.sync_runs AS r (run_id, first_day, last_day, counts)
    VALUES (:run_id, :first, :last, CAST(:counts AS jsonb))
    ON CONFLICT (run_id) DO UPDATE SET
        counts = (
            SELECT COALESCE(jsonb_object_agg(name, number), '{}') FROM (
                SELECT key AS name, sum(value::bigint) AS number
                FROM (
                    SELECT * FROM jsonb_each_text(r.counts) UNION ALL SELECT * FROM jsonb_each_text(excluded.counts)
                ) AS parts
                GROUP BY key
            ) AS sums
        ),
        first_day = LEAST(r.first_day, excluded.first_day),
        last_day = GREATEST(r.last_day, excluded.last_day),
        updated_at = now()
    """
)

# Lists of runs: the days, counts and results of each.

LOOKED_BACK = 500
"""The last run that carried out its own day is searched among this many; there are some dozens a day."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The record of a run in our tables; instants are in UTC. `updated_at` is when its last stage ended.

    `carried_out_until` is the newest day that it carried out; a plan, or a failed run, has none. `failure` is the
    message of a failed run for the operator. `taken_back`: all its writes were undone.
    """

    run_id: str
    first: date | None
    last: date | None
    counts: dict[str, int]
    started_at: datetime
    updated_at: datetime
    carried_out_until: date | None
    failure: str
    taken_back: bool


def page(connection: Connection, limit: int, offset: int) -> list[StoredRun]:
    """The runs of one page, newest first."""
    query = _runs().order_by(sync_runs.c.started_at.desc(), sync_runs.c.run_id).limit(limit).offset(offset)
    return [StoredRun(*row) for row in connection.execute(query)]


def of_ids(connection: Connection, run_ids: Collection[str]) -> list[StoredRun]:
    """The known runs among these, oldest first."""
    query = _runs().where(sync_runs.c.run_id.in_(run_ids)).order_by(sync_runs.c.started_at)
    return [StoredRun(*row) for row in connection.execute(query)]


def count(connection: Connection) -> int:
    """How many runs there are."""
    return connection.execute(select(func.count()).select_from(sync_runs)).scalar_one()


def ahead(connection: Connection, run_ids: Collection[str], first: date, last: date) -> dict[str, int]:
    """The number of lines not carried out yet, of the plans by these runs that are still current."""
    plan = reconciliation_results.c
    of_runs = plan.run_id.in_(run_ids) & plan.entry_date.between(first, last)
    lines = plan.action.in_(WRITING) | ((plan.action == Action.LINK) & (plan.decided == Choice.LINK))
    query = select(plan.run_id, func.count()).where(of_runs, lines, plans.is_ahead())
    return {row.run_id: row[1] for row in connection.execute(query.group_by(plan.run_id))}


def last_carried_out(connection: Connection, timezone: str) -> datetime | None:
    """When a run last carried out the current day of the business zone; `None` if none did recently."""
    recent = select(sync_runs.c.carried_out_at, sync_runs.c.carried_out_until)
    recent = recent.order_by(sync_runs.c.started_at.desc()).limit(LOOKED_BACK).subquery()
    its_day = func.date(func.timezone(timezone, recent.c.carried_out_at))
    return connection.execute(
        select(func.max(recent.c.carried_out_at)).where(recent.c.carried_out_until >= its_day)
    ).scalar()


def last_sync(connection: Connection) -> datetime | None:
    """When a run last carried out a day, whichever; `None` if none did recently."""
    recent = select(sync_runs.c.carried_out_at).order_by(sync_runs.c.started_at.desc()).limit(LOOKED_BACK).subquery()
    return connection.execute(select(func.max(recent.c.carried_out_at))).scalar()


def _runs() -> Select[Any]:
    run = sync_runs.c
    days = (run.first_day, run.last_day)
    carried_out = (run.started_at, run.updated_at, run.carried_out_until)
    of_run = writes.c.run_id == run.run_id
    taken_back = select(func.bool_and(writes.c.undone_by.is_not(None))).where(of_run).scalar_subquery()
    return select(run.run_id, *days, run.counts, *carried_out, run.failure, func.coalesce(taken_back, sql_false()))


# Requests of ours by which a run may pass limits, take back, tag, delete history or restore: each is spent once.
#
# Whoever has such a run started adds a request here and gives its token to the run in a tag. The run spends it before
# it does anything; without one that is for its job and for what it is about, it does nothing, whoever launched it.

LIFE = timedelta(hours=24)
"""A run may wait this long in the queue with its request unspent."""

SCHEDULE = "schedule"
"""The actor of a schedule."""

EVENT = "run.authorized"

_row = run_requests.c


def ask(connection: Connection, actor: str, job: str, about: str) -> str:
    """Create a request for one run of a job, on somebody's behalf; returns its token. Only a hash is stored."""
    token = secrets.token_urlsafe(32)
    row = {"token_hash": _hash(token), "actor": actor, "job": job, "about": about}
    connection.execute(insert(run_requests).values(row))
    return token


def spend(connection: Connection, token: str, job: str, about: str, run_id: str) -> str | None:
    """Who requested this run; `None` without a request for exactly this job and subject, or if another run spent it.

    The same run may ask again. The first time, the audit trail names the person and the run.
    """
    mine = (_row.token_hash == _hash(token), _row.job == job, _row.about == about)
    unspent = or_(_row.run_id.is_(None), _row.run_id == run_id)
    fresh = _row.asked_at > func.now() - LIFE
    statement = update(run_requests).where(*mine, unspent, fresh).values(run_id=run_id)
    found = connection.execute(statement.returning(_row.actor, _row.spent_at)).first()
    if found is None:
        return None
    if found.spent_at is None:
        spent = update(run_requests).where(_row.token_hash == _hash(token)).values(spent_at=func.now())
        connection.execute(spent)
        if found.actor != SCHEDULE:
            detail = {"job": job, "about": about}
            audit.append(connection, [AuditEvent(EVENT, found.actor, f"run:{run_id}", detail, run_id)])
    return found.actor


def _hash(token: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(token.encode()).hexdigest()


# Requests with an idempotency key, and the runs that were started for them.


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request as it was first received (UTC). `status` and the encrypted `answer` are known once it is done."""

    route: str
    body_hash: str
    status: int | None
    answer: str | None
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Launched:
    """A run to be started; `run_id` is `None` until Dagster's answer is known."""

    run_id: str | None


def begin_act(connection: Connection, actor: str, key: str, route: str, body_hash: str) -> int | None:
    """Register the first request of a key; returns its id, or `None` if another one exists."""
    statement = insert(acts).values(actor=actor, key=key, route=route, body_hash=body_hash)
    first = statement.on_conflict_do_nothing(index_elements=[acts.c.actor, acts.c.key]).returning(acts.c.id)
    return connection.execute(first).scalar()


def find(connection: Connection, actor: str, key: str) -> RecordedRequest | None:
    """The request with this key."""
    columns = (acts.c.route, acts.c.body_hash, acts.c.status, acts.c.answer, acts.c.asked_at)
    row = connection.execute(select(*columns).where(acts.c.actor == actor, acts.c.key == key)).first()
    return (
        RecordedRequest(row.route, row.body_hash, row.status, row.answer, row.asked_at.astimezone(UTC)) if row else None
    )


def finish(connection: Connection, act_id: int, status: int, answer: str) -> None:
    """Store the response."""
    connection.execute(update(acts).where(acts.c.id == act_id).values(status=status, answer=answer))


def forget(connection: Connection, act_id: int) -> None:
    """Allow the key to be used again."""
    connection.execute(delete(acts).where(acts.c.id == act_id))


def forget_old(connection: Connection, actor: str, key: str, before: datetime) -> None:
    """Allow keys to be used again that were used long ago."""
    connection.execute(delete(acts).where(acts.c.actor == actor, acts.c.key == key, acts.c.asked_at < before))


def launched(connection: Connection, run_key: str) -> Launched | None:
    """The run to be started for a key."""
    row = connection.execute(select(launched_runs.c.run_id).where(launched_runs.c.run_key == run_key)).first()
    return Launched(row.run_id) if row else None


def intend_launch(connection: Connection, run_key: str) -> None:
    """Record that a run is about to be started for a key; committed before Dagster is asked."""
    statement = insert(launched_runs).values(run_key=run_key)
    renewed = {"run_id": None, "launched_at": func.now()}
    connection.execute(statement.on_conflict_do_update(index_elements=[launched_runs.c.run_key], set_=renewed))


def note_launch(connection: Connection, run_key: str, run_id: str) -> None:
    """Record the run that was started for a key."""
    connection.execute(update(launched_runs).where(launched_runs.c.run_key == run_key).values(run_id=run_id))
