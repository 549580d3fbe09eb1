"""Backing up both databases, restoring them, and verifying that the newest backup can be restored."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from zk_pipeline import __version__
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

# The facts about the database in a backup's manifest.

_COUNTED = (time_accountings, timesheets, normalized_entries, pushes, conflicts, audit_logs)


def export_snapshot(connection: Connection) -> str:
    """Export the snapshot of this transaction; to be called first in it."""
    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    return connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()


def database_facts(connection: Connection) -> dict[str, Any]:
    """The schema revision, an anchor of the audit trail, and the row counts of the main tables."""
    end = audit.anchor(connection)
    return {
        "revision": connection.execute(text("SELECT version_num FROM alembic_version")).scalar(),
        "audit_anchor": str(end) if end else "",
        "rows": {
            table.fullname: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in _COUNTED
        },
    }


# Backup, restore and verification.

_LOCK = "zk:rehearsal"


@dataclass(frozen=True, slots=True)
class Backup:
    """A new backup, its size in bytes, and the older ones that were removed."""

    path: Path
    size: int
    facts: Mapping[str, Any]
    expired: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class VerifiedRestore:
    """A backup that was restored and verified: its file, when it was made, the duration, row counts by table.

    `statement` is that of the last month with bookings, if there are any and the marts were built.
    """

    path: Path
    made_at: datetime
    seconds: float
    audit_rows: int
    rows: Mapping[str, int]
    statement: Statement | None


def back_up(ready: Runtime, directory: Path, actor: str, now: datetime) -> Backup:
    """Make a backup in this directory, verify it, and remove old ones; audited. Raises `BackupError`."""
    databases = _databases(ready)
    with ready.database.transaction() as connection:
        # The dump and the facts are of the same moment.
        snapshot = export_snapshot(connection)
        facts = {"version": __version__, **database_facts(connection)}
        path = dumps.back_up(databases, directory, _keys(ready)[0], facts, {"zk": snapshot})
    # Verified before older ones are removed.
    dumps.examine(path, _keys(ready))
    expired = dumps.expire(directory, ready.settings.keep_backups_days, now)
    size = path.stat().st_size
    with ready.database.transaction() as connection:
        detail = {"bytes": size, "expired": [old.name for old in expired]}
        audit.append(connection, [AuditEvent("backup.made", actor, f"backup:{path.name}", detail)])
    return Backup(path, size, facts, tuple(expired))


def restore(path: Path, keys: Sequence[bytes], databases: Mapping[str, str], *, replace: bool = False) -> None:
    """Restore a backup into both databases (name to URL). Raises as `dumps.restore` does.

    Adjustments made after the backup are lost, but their time sheets are still in Kimai, so their ids are not used
    again. Other time sheets written after the backup are found by their markers (docs/operations.md).
    """
    dumps.restore(path, keys, databases, _finish, replace=replace)


def _finish(manifest: dumps.BackupManifest, databases: Mapping[str, str]) -> None:
    """Record the restore in the restored database, before it is used."""
    database = Database(databases["zk"])
    try:
        with database.transaction() as connection:
            adjustments.take_unused_ids(connection)
            ledger.remember(connection, manifest.created_at, datetime.now(UTC))
    finally:
        database.close()


def verify_restore(ready: Runtime, directory: Path, actor: str) -> VerifiedRestore:
    """Restore the newest backup into scratch databases, and verify audit chain, row counts and statements; audited.

    Waits for another verification to end. Raises `BackupError`, also if the restored data differs, and
    `BrokenFileError`.
    """
    found = dumps.list_backups(directory)
    if not found:
        raise BackupError(f"Make a backup first: there is none in {directory}. Run zk backup")
    path = found[-1]
    with ready.database.lock(_LOCK), ExitStack() as stack:
        began = time.monotonic()
        beside = {name: stack.enter_context(verification_database(url)) for name, url in _databases(ready).items()}
        manifest = dumps.load(path, _keys(ready), beside)
        with closing(Database(beside["zk"], ready.cipher.derived(AUDIT_KEY_PURPOSE))) as database:
            verified = _verified(path, manifest, database, began, ready.settings.zone)
    with ready.database.transaction() as connection:
        audit.append(
            connection, [AuditEvent("backup.rehearsed", actor, f"backup:{path.name}", {"rows": verified.audit_rows})]
        )
    return verified


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
            f"Make a new backup: the restored {path.name} differs from its manifest in {', '.join(different)}."
        )
    return VerifiedRestore(path, manifest.created_at, time.monotonic() - began, chain.rows, facts["rows"], statement)


def _require_intact_statements(connection: Connection, name: str) -> None:
    """Raise `BackupError` if the statement of a closed month was changed."""
    for row in periods.kept_statements(connection):
        if fingerprint(row.content) != row.hash:
            raise BackupError(
                f"{name}: the statement of the closed month {month_name(row.month)} was changed: its hash is not "
                f"{row.hash}. Compare it with an older backup, and find out who can write to the database."
            )


def _last_statement(connection: Connection, name: str, zone: ZoneInfo) -> Statement | None:
    """The statement of the last month with bookings, from the restored data. Raises `BackupError` if it is broken."""
    days = statements.booked_days(connection)
    if days is None or not statements.is_made(connection):
        return None
    month = month_of(days[1])
    try:
        rows = statements.rows(connection, active_connectors(connection), month, zone)
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise BackupError(
            f"{name}: the statement of {month_name(month)} cannot be read from the restored data ({reason}). Build "
            "the marts again (the job marts), and make a new backup."
        ) from error
    statement = statement_of(month, rows.lines, rows.days, rows.gaps, rows.conflicts)
    if not statement.balanced:
        raise BackupError(
            f"{name}: the statement of {month_name(month)} does not balance: {plain(statement.total.unexplained)} "
            f"minutes are unexplained. Check zk statement {month_name(month)}; if that balances, make a new backup."
        )
    return statement


def _databases(ready: Runtime) -> dict[str, str]:
    """Dagster's database first, so that its runs are never newer than their results in ours."""
    settings = ready.settings
    if settings.database_url is None or settings.dagster_url is None:
        raise BackupError("Set ZK_DAGSTER_URL beside ZK_DATABASE_URL: a backup holds both databases.")
    return {"dagster": settings.dagster_url.get_secret_value(), "zk": settings.database_url.get_secret_value()}


def _keys(ready: Runtime) -> tuple[bytes, ...]:
    return ready.cipher.derived(dumps.PURPOSE)
