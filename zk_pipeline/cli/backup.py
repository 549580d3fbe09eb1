"""`zk backup` and `zk restore`: both databases to and from one encrypted file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from zk_pipeline.audit import anchors
from zk_pipeline.cli.output import AsJson, actor, confirm, environment, explained, out, show_json
from zk_pipeline.recovery import backup as operation
from zk_pipeline.recovery import dumps
from zk_pipeline.recovery.dumps import BackupError
from zk_pipeline.runtime.environment import locate
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.encryption import TokenCipher


def backup(
    *,
    to: Annotated[Path | None, typer.Option("--to", help="The directory; default: ZK_BACKUP_DIR.")] = None,
    as_json: AsJson = False,
) -> None:
    """Back up both databases into one encrypted file, with checksums and a manifest, while everything runs.

    The key is derived from ZK_ENCRYPTION_KEY: keep that key apart from the backups.
    """
    with environment(decided=False) as ready, explained(BackupError):
        made = operation.back_up(ready.runtime, to or ready.runtime.settings.backups, actor(), datetime.now(UTC))
    if as_json:
        show_json(
            {"file": made.path, "bytes": made.size, "expired": [path.name for path in made.expired], **made.facts}
        )
        return
    out.print(f"[bold]{made.path}[/]: {made.size:,} bytes, verified.", soft_wrap=True)
    if made.expired:
        out.print(f"Removed older backups: {', '.join(path.name for path in made.expired)}.")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup made by zk backup.")],
    *,
    replace: Annotated[bool, typer.Option("--replace", help="Replace what the databases hold now.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Restore a backup into both databases. Stop everything that uses them first; the file is verified before that.

    Time sheets written after the backup are found by their markers when their days are synced again.
    """
    with explained(BackupError), locate(load_settings()) as place:
        keys = TokenCipher(place.encryption_key).derived(dumps.PURPOSE)
        manifest = dumps.examine(file, keys)
        out.print(f"{file.name}: made {manifest.created_at:%Y-%m-%d %H:%M} UTC by version {manifest.facts['version']}.")
        if replace and not yes:
            confirm("Replace everything in both databases?")
        databases = {"dagster": place.dagster_url, "zk": place.owner_url}
        operation.restore(file, keys, databases, replace=replace)
        anchors.archive(place.home)
    first = "" if place.owner_url == place.database_url else "Run zk migrate, to let the application in again. "
    out.print(
        f"Restored. {first}Start with zk up, then sync the days since the backup: zk sync --from … --to …",
        soft_wrap=True,
    )
