"""Queries on what people asked for with a key of their own, and on the runs that were started for it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.request_tables import acts, launched_runs


@dataclass(frozen=True, slots=True)
class Act:
    """An act as it was asked for first (UTC). `status` and the encrypted `answer` are known once it is done."""

    route: str
    body_hash: str
    status: int | None
    answer: str | None
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Launched:
    """A run that was to be started; `run_id` is `None` while Dagster's answer is not known."""

    run_id: str | None


def take_on(connection: Connection, actor: str, key: str, route: str, body_hash: str) -> int | None:
    """Be the first who asks: the act's id, or `None` where somebody is or was faster."""
    statement = insert(acts).values(actor=actor, key=key, route=route, body_hash=body_hash)
    first = statement.on_conflict_do_nothing(index_elements=[acts.c.actor, acts.c.key]).returning(acts.c.id)
    return connection.execute(first).scalar()


def find(connection: Connection, actor: str, key: str) -> Act | None:
    """The act of this key."""
    columns = (acts.c.route, acts.c.body_hash, acts.c.status, acts.c.answer, acts.c.asked_at)
    row = connection.execute(select(*columns).where(acts.c.actor == actor, acts.c.key == key)).first()
    return Act(row.route, row.body_hash, row.status, row.answer, row.asked_at.astimezone(UTC)) if row else None


def finish(connection: Connection, act_id: int, status: int, answer: str) -> None:
    """Keep what was answered."""
    connection.execute(update(acts).where(acts.c.id == act_id).values(status=status, answer=answer))


def forget(connection: Connection, act_id: int) -> None:
    """Let the key be used again."""
    connection.execute(delete(acts).where(acts.c.id == act_id))


def forget_old(connection: Connection, actor: str, key: str, before: datetime) -> None:
    """Let a key be used again that was used long ago."""
    connection.execute(delete(acts).where(acts.c.actor == actor, acts.c.key == key, acts.c.asked_at < before))


def launched(connection: Connection, run_key: str) -> Launched | None:
    """The run that was to be started for a key."""
    row = connection.execute(select(launched_runs.c.run_id).where(launched_runs.c.run_key == run_key)).first()
    return Launched(row.run_id) if row else None


def intend_launch(connection: Connection, run_key: str) -> None:
    """Note that a run is about to be started for a key; committed before Dagster is asked."""
    statement = insert(launched_runs).values(run_key=run_key)
    renewed = {"run_id": None, "launched_at": func.now()}
    connection.execute(statement.on_conflict_do_update(index_elements=[launched_runs.c.run_key], set_=renewed))


def note_launch(connection: Connection, run_key: str, run_id: str) -> None:
    """Note the run that was started for a key."""
    connection.execute(update(launched_runs).where(launched_runs.c.run_key == run_key).values(run_id=run_id))
