"""Where reads that go on from each other left off; small JSON values by connector and subject."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.tables import cursors


def load(connection: Connection, connector: str, subject: str) -> dict[str, Any] | None:
    """The cursor, or `None` before the first read."""
    query = select(cursors.c.value).where(cursors.c.connector == connector, cursors.c.subject == subject)
    return connection.execute(query).scalar()


def save(connection: Connection, connector: str, subject: str, value: Mapping[str, Any]) -> None:
    """Set the cursor."""
    statement = insert(cursors).values(connector=connector, subject=subject, value=dict(value))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(cursors.primary_key),
            set_={"value": statement.excluded.value, "updated_at": func.now()},
        )
    )
