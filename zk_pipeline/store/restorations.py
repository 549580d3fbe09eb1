"""When this database was restored from a backup: the ledger does not know what was written between the two instants."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from zk_pipeline.store import cursors

LAPSES_AFTER = timedelta(days=62)
"""As far as the nightly deep check looks back: by then every day of before was synced again."""

_CONNECTOR, _SUBJECT = "zk", "restoration"


def remember(connection: Connection, made_at: datetime, restored_at: datetime) -> None:
    """Record that what the database holds is of `made_at`, and was restored at `restored_at`."""
    value = {"backup_made_at": made_at.isoformat(), "restored_at": restored_at.isoformat()}
    cursors.save(connection, _CONNECTOR, _SUBJECT, value)


def last(connection: Connection, now: datetime) -> datetime | None:
    """When the database was restored last, unless that was long enough ago, or never happened."""
    value = cursors.load(connection, _CONNECTOR, _SUBJECT)
    if value is None:
        return None
    restored_at = datetime.fromisoformat(value["restored_at"])
    return restored_at if now < restored_at + LAPSES_AFTER else None
