"""Where source and target are and what they are stored as, for those who need no token."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from zk_pipeline.store.tables import connectors


@dataclass(frozen=True, slots=True)
class Addresses:
    """The names under which rows are stored, and the addresses of the web pages; empty where none is active."""

    source: str = ""
    target: str = ""
    source_url: str = ""
    target_url: str = ""


def addresses(connection: Connection) -> Addresses:
    """The active connectors."""
    query = select(connectors.c.role, connectors.c.name, connectors.c.base_url).where(connectors.c.active)
    found = {row.role: (row.name, row.base_url) for row in connection.execute(query.order_by(connectors.c.id.desc()))}
    source, target = found.get("source", ("", "")), found.get("target", ("", ""))
    return Addresses(source[0], target[0], source[1], target[1])
