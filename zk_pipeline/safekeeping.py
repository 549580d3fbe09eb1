"""Safekeeping: backing up both databases, restoring them, and rehearsing that the newest backup can be restored."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zk_pipeline.runtime import Runtime
from zk_pipeline.store import adjustments, audit, backups, inventory, restorations
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.backups import BackupError
from zk_pipeline.store.database import Database
from zk_pipeline.store.whole_databases import rehearsal_database

_TURN = "zk:rehearsal"


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made: where, how large in bytes, and which older ones were removed for it."""

    path: Path
    size: int
    facts: Mapping[str, Any]
    expired: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A backup that was restored and verified: its file, when it was made, how long it took, the rows of each table."""

    path: Path
    made_at: datetime
    seconds: float
    audit_rows: int
    rows: Mapping[str, int]


def back_up(ready: Runtime, directory: Path, actor: str, now: datetime) -> Backup:
    """Make a backup in this directory and remove those that were kept long enough; audited.

    Raises `BackupError`.
    """
    databases = _databases(ready)
    with ready.database.transaction() as connection:
        # The dump shows the very moment of the facts, whatever is written meanwhile.
        snapshot = inventory.export_snapshot(connection)
        facts = {"version": version("zk-pipeline"), **inventory.facts(connection)}
        path = backups.back_up(databases, directory, _keys(ready)[0], facts, {"zk": snapshot})
    # A backup that cannot be read is none: it is examined before an older one is removed.
    backups.examine(path, _keys(ready))
    expired = backups.expire(directory, ready.settings.keep_backups_days, now)
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
    backups.restore(path, keys, databases, _finish, replace=replace)


def _finish(manifest: backups.Manifest, databases: Mapping[str, str]) -> None:
    """Have the database that came back know so, before anybody can use it."""
    database = Database(databases["zk"])
    try:
        with database.transaction() as connection:
            adjustments.take_unused_ids(connection)
            restorations.remember(connection, manifest.created_at, datetime.now(UTC))
    finally:
        database.close()


def rehearse(ready: Runtime, directory: Path, actor: str) -> Rehearsal:
    """Restore the newest backup into a scratch database, walk along its audit chain, and count its rows; audited.

    A rehearsal that is under way is waited for. Raises `BackupError`, also when what came back is not what was there,
    and `SealBrokenError`.
    """
    found = backups.stored(directory)
    if not found:
        raise BackupError(f"There is no backup in {directory}. Make one: zk backup")
    path = found[-1]
    with ready.database.lock(_TURN), rehearsal_database(_databases(ready)["zk"]) as scratch:
        began = time.monotonic()
        manifest = backups.load(path, _keys(ready), {"zk": scratch})
        rehearsal = _verified(path, manifest, scratch, began)
    with ready.database.transaction() as connection:
        audit.append(
            connection, [AuditEvent("backup.rehearsed", actor, f"backup:{path.name}", {"rows": rehearsal.audit_rows})]
        )
    return rehearsal


def _verified(path: Path, manifest: backups.Manifest, url: str, began: float) -> Rehearsal:
    database = Database(url)
    try:
        with database.transaction() as connection:
            chain, facts = audit.verify(connection), inventory.facts(connection)
    finally:
        database.close()
    if chain.broken_at is not None:
        raise BackupError(f"{path.name}: {audit.broken_sentence(chain)}")
    different = [name for name, value in facts.items() if manifest.facts.get(name) != value]
    if different:
        raise BackupError(
            f"{path.name} came back with other {', '.join(different)} than its manifest names. Make a new backup."
        )
    return Rehearsal(path, manifest.created_at, time.monotonic() - began, chain.rows, facts["rows"])


def _databases(ready: Runtime) -> dict[str, str]:
    """Dagster's database first: what it remembers of runs is never newer than what they did."""
    settings = ready.settings
    if settings.database_url is None or settings.dagster_url is None:
        raise BackupError("ZK_DAGSTER_URL is not set: a backup holds both databases. Set it beside ZK_DATABASE_URL.")
    return {"dagster": settings.dagster_url.get_secret_value(), "zk": settings.database_url.get_secret_value()}


def _keys(ready: Runtime) -> tuple[bytes, ...]:
    return ready.cipher.derived(backups.PURPOSE)
