"""Deleting what was kept long enough, class by class, in batches that hold nobody up for long."""

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
"""Deletes at most so many rows from before the instant; returns how many."""


def requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests to the target and their answers, by when they were sent."""
    return _delete(connection, request_log, request_log.c.sent_at < before, limit)


def webhooks(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Webhook deliveries, by when they were dealt with; what waits stays, however old."""
    return _delete(connection, webhook_deliveries, webhook_deliveries.c.processed_at < before, limit)


def carried_out_requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests for days, by when a run carried them out; while a day of a range waits, its other days stay."""
    waiting = select(day_requests.c.requested_at).where(day_requests.c.claimed_by_run.is_(None))
    over = (day_requests.c.claimed_at < before) & day_requests.c.requested_at.not_in(waiting)
    return _delete(connection, day_requests, over, limit)


def ended_sessions(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Sessions, by when they were ended or ran out."""
    over = or_(sessions.c.ended_at < before, sessions.c.expires_at < before)
    return _delete(connection, sessions, over, limit)


def failed_sign_ins(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Failed sign-ins, by when they were tried."""
    return _delete(connection, failed_logins, failed_logins.c.at < before, limit)


def keyed_acts(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """What people asked for with a key, by when they did."""
    return _delete(connection, acts, acts.c.asked_at < before, limit)


def keyed_runs(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """The keys of runs that people had started, by when they were; the runs themselves are Dagster's."""
    return _delete(connection, launched_runs, launched_runs.c.launched_at < before, limit)


def old_run_requests(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Requests of runs, by when they were made; who asked stands in the audit trail."""
    return _delete(connection, run_requests, run_requests.c.asked_at < before, limit)


def details(connection: Connection, before: datetime, limit: int = BATCH) -> int:
    """Details of the audit trail, by when their row was written; the chain itself stays, and another row says so."""
    old = select(audit_details.c.id).join(audit_logs, audit_logs.c.id == audit_details.c.id)
    chosen = old.where(audit_logs.c.created_at < before).order_by(audit_details.c.id).limit(limit)
    ids = connection.execute(chosen).scalars().all()
    return audit.remove_details(connection, ids, "pipeline", "retention")


def _delete(connection: Connection, table: Table, condition: ColumnElement[bool], limit: int) -> int:
    """Rows that somebody is working on are left for the next time."""
    (key,) = table.primary_key
    chosen = select(key).where(condition).limit(limit).with_for_update(skip_locked=True)
    return connection.execute(delete(table).where(key.in_(chosen))).rowcount
