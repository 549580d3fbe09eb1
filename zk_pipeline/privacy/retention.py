"""Deleting old rows, by kind, in batches that hold locks only briefly."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, delete, or_, select

from zk_pipeline.store import audit
from zk_pipeline.store.tables import (
    acts,
    audit_details,
    audit_logs,
    day_requests,
    failed_logins,
    launched_runs,
    request_log,
    run_requests,
    sessions,
    webhook_deliveries,
)

BATCH = 5000

Prune = Callable[[Connection, datetime, int], int]
"""Deletes at most `limit` rows from before an instant; returns the number."""


def requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests to the target with their answers, by when they were sent."""
    return _delete(connection, request_log, request_log.c.sent_at < before, limit)


def webhooks(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Webhook deliveries, by when they were processed; waiting ones stay."""
    return _delete(connection, webhook_deliveries, webhook_deliveries.c.processed_at < before, limit)


def carried_out_requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Day requests, by when a run carried them out; while a day of a range waits, its other days stay."""
    waiting = select(day_requests.c.requested_at).where(day_requests.c.claimed_by_run.is_(None))
    over = (day_requests.c.claimed_at < before) & day_requests.c.requested_at.not_in(waiting)
    return _delete(connection, day_requests, over, limit)


def ended_sessions(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Sessions, by when they ended or expired."""
    over = or_(sessions.c.ended_at < before, sessions.c.expires_at < before)
    return _delete(connection, sessions, over, limit)


def failed_sign_ins(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Failed sign-ins, by their time."""
    return _delete(connection, failed_logins, failed_logins.c.at < before, limit)


def keyed_acts(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests with a key, by when they were made."""
    return _delete(connection, acts, acts.c.asked_at < before, limit)


def keyed_runs(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """The keys of started runs, by when they started; the runs themselves are Dagster's."""
    return _delete(connection, launched_runs, launched_runs.c.launched_at < before, limit)


def old_run_requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests for runs, by when they were made; the audit trail has who made them."""
    return _delete(connection, run_requests, run_requests.c.asked_at < before, limit)


def details(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Details of the audit trail, by when they were written; the chain stays, and a new row records the removal."""
    old = select(audit_details.c.id).join(audit_logs, audit_logs.c.id == audit_details.c.id)
    chosen = old.where(audit_logs.c.created_at < before).order_by(audit_details.c.id).limit(limit)
    ids = connection.execute(chosen).scalars().all()
    return audit.remove_details(connection, ids, "pipeline", "retention")


def _delete(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    """Skips locked rows, which are left for the next time."""
    (key,) = table.primary_key
    chosen = select(key).where(condition).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(key.in_(chosen))).rowcount
