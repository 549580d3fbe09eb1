"""What is in the database, as a backup's manifest tells it."""

from typing import Any

from sqlalchemy import Connection, func, select, text

from zk_pipeline.store import audit
from zk_pipeline.store.raw_tables import time_accountings, timesheets
from zk_pipeline.store.tables import audit_logs, conflicts, normalized_entries, pushes

_COUNTED = (time_accountings, timesheets, normalized_entries, pushes, conflicts, audit_logs)


def export_snapshot(connection: Connection) -> str:
    """Freeze what this transaction sees, and name it for others; to be called before anything else in it."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    return connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()


def facts(connection: Connection) -> dict[str, Any]:
    """The schema's revision, an anchor of the audit trail, and the rows of the main tables."""
    end = audit.anchor(connection)
    return {
        "revision": connection.execute(text("SELECT version_num FROM alembic_version")).scalar(),
        "audit_anchor": str(end) if end else "",
        "rows": {
            table.fullname: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in _COUNTED
        },
    }
