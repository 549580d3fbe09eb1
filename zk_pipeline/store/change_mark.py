"""One value that is another whenever anything changed that people look at."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from zk_pipeline.store.tables import audit_logs, conflicts, day_requests, sync_runs

_RUNS_AT_WORK = 10
"""So many of the newest runs may still be at work."""


class ChangeMark(NamedTuple):
    """The newest of each kind, found at the end of an index; two marks that are equal mean that nothing changed.

    `failures` are those of the newest runs that say why they failed, which they do some seconds after their end.
    """

    audit_id: int | None
    conflict_id: int | None
    request_id: int | None
    run_at: datetime | None
    failures: int


def change_mark(connection: Connection) -> ChangeMark:
    """The mark of now."""
    newest = select(sync_runs.c.updated_at, sync_runs.c.failure)
    newest = newest.order_by(sync_runs.c.started_at.desc()).limit(_RUNS_AT_WORK).subquery()
    ids = (select(func.max(table.c.id)).scalar_subquery() for table in (audit_logs, conflicts, day_requests))
    run_at = select(func.max(newest.c.updated_at)).scalar_subquery()
    told = select(func.count()).where(newest.c.failure != "").scalar_subquery()
    return ChangeMark(*connection.execute(select(*ids, run_at, told)).one())
