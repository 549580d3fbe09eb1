"""Dagster's event log, which Dagster itself never shortens: deleting what tells how a run went, not what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import Connection, make_url, text

from zk_pipeline.store.database import Database

CHATTER = (
    None,  # What code wrote to the log.
    "ENGINE_EVENT",
    "HANDLED_OUTPUT",
    "HOOK_COMPLETED",
    "HOOK_SKIPPED",
    "LOADED_INPUT",
    "LOGS_CAPTURED",
    "OBJECT_STORE_OPERATION",
    "RESOURCE_INIT_STARTED",
    "RESOURCE_INIT_SUCCESS",
    "STEP_INPUT",
    "STEP_WORKER_STARTED",
    "STEP_WORKER_STARTING",
)
"""Kinds of events that nothing is derived from. All others stay, those of a later Dagster too: assets and their checks
get their state from events, runs and steps their beginning, end and outcome."""


def connected(url: str) -> Database:
    """Dagster's database, by the driver of ours. Whoever asks for it closes it."""
    return Database(make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False))


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Dagster's database for the length of the block."""
    database = connected(url)
    try:
        yield database
    finally:
        database.close()


def chatter(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many events of those kinds that are older than the instant; returns how many."""
    moment = before.astimezone(UTC).replace(tzinfo=None)  # Dagster stores UTC without saying so.
    removed = 0
    for kind in CHATTER:
        if removed == limit:
            break
        statement = _DELETE if kind is not None else _DELETE_LINES
        values = {"before": moment, "limit": limit - removed, **({"kind": kind} if kind is not None else {})}
        removed += connection.execute(statement, values).rowcount
    return removed


# Events come in the order of their ids, so the oldest of a kind are the first by the index on kind and id: no night has
# to walk past everything that stays.
_TEMPLATE = """
    DELETE FROM event_logs WHERE id IN (
        SELECT id FROM (
            SELECT id, "timestamp" FROM event_logs WHERE dagster_event_type {kind} ORDER BY id LIMIT :limit
        ) AS oldest WHERE "timestamp" < :before
    )
"""
_DELETE = text(_TEMPLATE.format(kind="= :kind"))
_DELETE_LINES = text(_TEMPLATE.format(kind="IS NULL"))
