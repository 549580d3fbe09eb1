"""Backing up both databases, restoring them, and verifying that the newest backup can be restored."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from zk_pipeline.domain.periods import fingerprint, month_name, month_of
from zk_pipeline.domain.statement import Statement, plain, statement_of
from zk_pipeline.recovery import dumps
from zk_pipeline.recovery.databases import verification_database
from zk_pipeline.recovery.dumps import BackupError
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE, Runtime
from zk_pipeline.store import adjustments, audit, ledger, periods, statements
from zk_pipeline.store.audit import Anchor, AuditEvent
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.database import Database
from zk_pipeline.store.raw_tables import time_accountings, timesheets
from zk_pipeline.store.tables import audit_logs, conflicts, normalized_entries, pushes

# What is in the database, as a backup's manifest tells it.

_COUNTED = (time_accountings, timesheets, normalized_entries, pushes, conflicts, audit_logs)


def export_snapshot(connection: Connection) -> str:
    """Freeze what this transaction sees, and name it for others; to be called before anything else in it."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    return connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()


def database_facts(connection: Connection) -> dict[str, Any]:
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


# Safekeeping: backing up both databases, restoring them, and rehearsing that the newest backup can be restored.

_LOCK = "zk:rehearsal"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: where, how large in bytes, and which older ones were removed for it."""

    path: Path
    size: int
    facts: Mapping[str, Any]
    expired: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class VerifiedRestore:
    """A backup that was restored and verified: its file, when it was made, how long it took, the rows of each table.

    `statement` is that of the last booked month; none while nothing is booked or stated.
    """

    path: Path
    made_at: datetime
    seconds: float
    audit_rows: int
    rows: Mapping[str, int]
    statement: Statement | None


def back_up(ready: Runtime, directory: Path, actor: str, now: datetime) -> Backup:
    """Make a backup in this directory and remove those that were kept long enough; audited.

    Raises `BackupError`.
    """
    databases = _databases(ready)
    with ready.database.transaction() as connection:
        # The dump shows the very moment of the facts, whatever is written meanwhile.
        snapshot = export_snapshot(connection)
        facts = {"version": version("zk-pipeline"), **database_facts(connection)}
        path = dumps.back_up(databases, directory, _keys(ready)[0], facts, {"zk": snapshot})
    # A backup that cannot be read is none: it is examined before an older one is removed.
    dumps.examine(path, _keys(ready))
    expired = dumps.expire(directory, ready.settings.keep_backups_days, now)
    size = path.stat().st_size
    with ready.database.transaction() as connection:
        detail = {"bytes": size, "expired": [old.name for old in expired]}
        audit.append(connection, [AuditEvent("backup.made", actor, f"backup:{path.name}", detail)])
    return Backup(path, size, facts, tuple(expired))


def restore(path: Path, keys: Sequence[bytes], databases: Mapping[str, str], *, replace: bool = False) -> None:
    """Restore a backup into both databases (name to URL). Raises as `backups.restore` does.

    Adjustments that were made after the backup are forgotten, but their time sheets are in Kimai: the marker of another
    one would be taken for theirs, so no id is given again. Time sheets that were written after the backup are in Kimai
    too: pushes look for them by their marker, however far they were moved there (docs/operations.md).
    """
    dumps.restore(path, keys, databases, _finish, replace=replace)


def _finish(manifest: dumps.BackupManifest, databases: Mapping[str, str]) -> None:
    """Have the database that came back know so, before anybody can use it."""
    database = Database(databases["zk"])
    try:
        with database.transaction() as connection:
            adjustments.take_unused_ids(connection)
            ledger.remember(connection, manifest.created_at, datetime.now(UTC))
    finally:
        database.close()


def verify_restore(ready: Runtime, directory: Path, actor: str) -> VerifiedRestore:
    """Restore the newest backup into scratch databases, and verify ours: its audit chain, rows and statements; audited.

    A rehearsal that is under way is waited for. Raises `BackupError`, also when what came back is not what was there,
    and `SealBrokenError`.
    """
    found = dumps.list_backups(directory)
    if not found:
        raise BackupError(f"There is no backup in {directory}. Make one: zk backup")
    path = found[-1]
    with ready.database.lock(_LOCK), ExitStack() as stack:
        began = time.monotonic()
        beside = {name: stack.enter_context(verification_database(url)) for name, url in _databases(ready).items()}
        manifest = dumps.load(path, _keys(ready), beside)
        with closing(Database(beside["zk"], ready.cipher.derived(AUDIT_KEY_PURPOSE))) as database:
            rehearsal = _verified(path, manifest, database, began, ready.settings.zone)
    with ready.database.transaction() as connection:
        audit.append(
            connection, [AuditEvent("backup.rehearsed", actor, f"backup:{path.name}", {"rows": rehearsal.audit_rows})]
        )
    return rehearsal


def _verified(
    path: Path, manifest: dumps.BackupManifest, database: Database, began: float, zone: ZoneInfo
) -> VerifiedRestore:
    kept = Anchor.parsed(manifest.facts.get("audit_anchor", ""))
    with database.transaction() as connection:
        chain, facts = audit.verify(connection, [kept] if kept else ()), database_facts(connection)
        _require_intact_statements(connection, path.name)
        statement = _last_statement(connection, path.name, zone)
    if chain.broken_at is not None:
        raise BackupError(f"{path.name}: {audit.broken_sentence(chain)}")
    different = [name for name, value in facts.items() if manifest.facts.get(name) != value]
    if different:
        raise BackupError(
            f"{path.name} came back with other {', '.join(different)} than its manifest names. Make a new backup."
        )
    return VerifiedRestore(path, manifest.created_at, time.monotonic() - began, chain.rows, facts["rows"], statement)


def _require_intact_statements(connection: Connection, name: str) -> None:
    """Raises `BackupError` where the statement of a closed month is no longer what its closing kept."""
    for row in periods.kept_statements(connection):
        if fingerprint(row.content) != row.hash:
            raise BackupError(
                f"{name}: the statement that the closing of {month_name(row.month)} kept has another hash than "
                f"{row.hash}. Restore an older backup beside and compare, and find out who can write to the database."
            )


def _last_statement(connection: Connection, name: str, zone: ZoneInfo) -> Statement | None:
    """The statement of the last booked month, made of what came back. Raises `BackupError` if it is not whole."""
    days = statements.booked_days(connection)
    if days is None or not statements.is_made(connection):
        return None
    month = month_of(days[1])
    try:
        rows = statements.rows(connection, active_connectors(connection), month, zone)
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise BackupError(
            f"{name}: the statement of {month_name(month)} cannot be read from what came back ({reason}). Build the "
            "marts again (the job marts), and make a new backup."
        ) from error
    statement = statement_of(month, rows.lines, rows.days, rows.gaps, rows.conflicts)
    if not statement.balanced:
        raise BackupError(
            f"{name}: the statement of {month_name(month)} does not balance, {plain(statement.total.unexplained)} "
            f"minutes are unexplained. Look at zk statement {month_name(month)}; if that one balances, make a new "
            "backup."
        )
    return statement


def _databases(ready: Runtime) -> dict[str, str]:
    """Dagster's database first: what it remembers of runs is never newer than what they did."""
    settings = ready.settings
    if settings.database_url is None or settings.dagster_url is None:
        raise BackupError("ZK_DAGSTER_URL is not set: a backup holds both databases. Set it beside ZK_DATABASE_URL.")
    return {"dagster": settings.dagster_url.get_secret_value(), "zk": settings.database_url.get_secret_value()}


def _keys(ready: Runtime) -> tuple[bytes, ...]:
    return ready.cipher.derived(dumps.PURPOSE)
