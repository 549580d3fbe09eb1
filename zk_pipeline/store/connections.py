"""Queries on the stored connectors: where each system is and, encrypted, the token for it."""

from dataclasses import dataclass, field

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.encryption import TokenCipher, UndecryptableError
from zk_pipeline.store.tables import connectors


@dataclass(frozen=True, slots=True)
class StoredConnector:
    """One system that we talk to. `role` is `source` or `target`; `kind` names the plug-in."""

    name: str
    role: str
    kind: str
    base_url: str
    token: str = field(repr=False)


def save(connection: Connection, connector: StoredConnector, cipher: TokenCipher) -> None:
    """Store a connector, or refresh the one of that name; it becomes the only active one of its role.

    The row is left alone when nothing changed.
    """
    current = connection.execute(select(connectors).where(connectors.c.name == connector.name)).first()
    if current is not None and current.active and _is_same(current, connector, cipher):
        return
    values = {
        "name": connector.name,
        "role": connector.role,
        "kind": connector.kind,
        "base_url": connector.base_url,
        "token_encrypted": cipher.encrypt(connector.token),
        "active": True,
    }
    changed = {name: value for name, value in values.items() if name != "name"}
    connection.execute(
        insert(connectors)
        .values(values)
        .on_conflict_do_update(index_elements=[connectors.c.name], set_={**changed, "updated_at": func.now()})
    )
    others = (connectors.c.role == connector.role) & (connectors.c.name != connector.name) & connectors.c.active
    connection.execute(update(connectors).where(others).values(active=False, updated_at=func.now()))


def active(connection: Connection, role: str, cipher: TokenCipher) -> StoredConnector | None:
    """The active connector of a role, or `None`. Raises the cipher's errors when its token cannot be decrypted."""
    query = select(connectors).where(connectors.c.role == role, connectors.c.active).order_by(connectors.c.id).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    return _stored(row, cipher)


def listed(connection: Connection) -> list[dict[str, str]]:
    """Name, role, kind and address of the active connectors."""
    columns = (connectors.c.name, connectors.c.role, connectors.c.kind, connectors.c.base_url)
    query = select(*columns).where(connectors.c.active).order_by(connectors.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def source_names(connection: Connection) -> dict[str, str]:
    """The names of the active sources by what a sender may call them: the id as text, or the name."""
    query = select(connectors.c.id, connectors.c.name).where(connectors.c.role == "source", connectors.c.active)
    rows = connection.execute(query).all()
    return {str(row.id): row.name for row in rows} | {row.name: row.name for row in rows}


def rotate(connection: Connection, cipher: TokenCipher) -> int:
    """Encrypt every token again with the newest key; returns how many."""
    rows = connection.execute(select(connectors.c.id, connectors.c.token_encrypted)).all()
    for row in rows:
        connection.execute(
            update(connectors)
            .where(connectors.c.id == row.id)
            .values(token_encrypted=cipher.rotate(row.token_encrypted))
        )
    return len(rows)


def _is_same(row: Row, connector: StoredConnector, cipher: TokenCipher) -> bool:
    try:
        return _stored(row, cipher) == connector
    except UndecryptableError:  # Of a lost key; a fresh token replaces it.
        return False


def _stored(row: Row, cipher: TokenCipher) -> StoredConnector:
    return StoredConnector(row.name, row.role, row.kind, row.base_url, cipher.decrypt(row.token_encrypted))
