"""Settings that people change while everything runs; they win over the environment."""

from typing import Any

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.tables import stored_settings


def load(connection: Connection) -> dict[str, Any]:
    """All stored settings by name."""
    rows = connection.execute(select(stored_settings.c.name, stored_settings.c.value))
    return {row.name: row.value for row in rows}


def lock(connection: Connection) -> None:
    """Wait until nobody else changes settings, and let nobody until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:settings', 0))"))


def save(connection: Connection, name: str, value: Any, actor: str) -> None:
    """Set one setting; `None` returns it to the environment's value."""
    if value is None:
        connection.execute(delete(stored_settings).where(stored_settings.c.name == name))
        return
    statement = insert(stored_settings).values(name=name, value=value, updated_by=actor)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[stored_settings.c.name],
            set_={"value": statement.excluded.value, "updated_by": actor, "updated_at": func.now()},
        )
    )
