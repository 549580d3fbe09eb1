"""The stored connectors: the URL of each system and, encrypted, its token."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.numbers import choose_space
from zk_pipeline.store.encryption import TokenCipher, UndecryptableError
from zk_pipeline.store.raw_tables import time_accountings, timesheets
from zk_pipeline.store.tables import activity_mappings, connectors, customer_mappings, pushes, user_mappings

_DEPENDENTS: dict[str, Table] = {"bookings": time_accountings, "time sheets": timesheets, "ledger rows": pushes}
_MAPPINGS = (activity_mappings, user_mappings, customer_mappings)


class SecondSourceError(Exception):
    """A source must not be used, because the ledger identifies bookings by number and has those of another source."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} cannot be used here: there are bookings of another system, and the ledger knows them by their "
            "numbers alone, so that the same number would be taken for the same booking. Give this system a database "
            "of its own (ZK_DATABASE_URL)."
        )


@dataclass(frozen=True, slots=True)
class StoredConnector:
    """One system that we talk to. `role` is `source` or `target`; `kind` is the plug-in's name."""

    name: str
    role: str
    kind: str
    base_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ConnectorRecord:
    """A stored connector without its token, which people may see."""

    id: int
    name: str
    role: str
    kind: str
    base_url: str
    active: bool
    has_token: bool
    created_at: datetime
    updated_at: datetime


def save(connection: Connection, connector: StoredConnector, cipher: TokenCipher) -> None:
    """Store or update the connector of this name; it becomes the only active one of its role.

    An unchanged row is left alone. Raises `SecondSourceError`.
    """
    current = connection.execute(select(connectors).where(connectors.c.name == connector.name)).first()
    if current is not None and current.active and _is_same(current, connector, cipher):
        return
    if current is None or not current.active:
        require_only_source(connection, connector)
    values = _values(connector, cipher, active=True)
    changed = {name: value for name, value in values.items() if name != "name"}
    if current is None:
        values |= _space(connection, connector)
    connection.execute(
        insert(connectors)
        .values(values)
        .on_conflict_do_update(index_elements=[connectors.c.name], set_={**changed, "updated_at": func.now()})
    )
    others = (connectors.c.role == connector.role) & (connectors.c.name != connector.name) & connectors.c.active
    connection.execute(update(connectors).where(others).values(active=False, updated_at=func.now()))


def active(connection: Connection, role: str, cipher: TokenCipher) -> StoredConnector | None:
    """The active connector of a role, or `None`. Raises the cipher's errors if its token cannot be decrypted."""
    query = select(connectors).where(connectors.c.role == role, connectors.c.active).order_by(connectors.c.id).limit(1)
    row = connection.execute(query).first()
    if row is None:
        return None
    return _stored(row, cipher)


def every(connection: Connection) -> list[ConnectorRecord]:
    """All connectors, active or not, in the order in which they were stored."""
    return [_shown(row) for row in connection.execute(select(connectors).order_by(connectors.c.id))]


def by_id(connection: Connection, connector_id: int, *, lock: bool = False) -> ConnectorRecord | None:
    """One connector, or `None`; with `lock`, it is locked until the transaction ends."""
    query = select(connectors).where(connectors.c.id == connector_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return None if row is None else _shown(row)


def by_name(connection: Connection, name: str) -> ConnectorRecord | None:
    """The connector with this name, or `None`."""
    row = connection.execute(select(connectors).where(connectors.c.name == name)).first()
    return None if row is None else _shown(row)


def with_token(connection: Connection, connector_id: int, cipher: TokenCipher) -> StoredConnector | None:
    """A connector with its token, or `None`. Raises the cipher's errors."""
    row = connection.execute(select(connectors).where(connectors.c.id == connector_id)).first()
    return None if row is None else _stored(row, cipher)


def insert_new(connection: Connection, connector: StoredConnector, cipher: TokenCipher) -> int | None:
    """Store an inactive connector; returns its id, or `None` if the name exists."""
    values = _values(connector, cipher, active=False) | _space(connection, connector)
    statement = insert(connectors).values(values).on_conflict_do_nothing(index_elements=[connectors.c.name])
    return connection.scalar(statement.returning(connectors.c.id))


def change(connection: Connection, connector_id: int, cipher: TokenCipher, *, base_url: str, token: str | None) -> None:
    """Set the URL and, if given, the token of a connector."""
    secret = {} if token is None else {"token_encrypted": cipher.encrypt(token)}
    connection.execute(
        update(connectors)
        .where(connectors.c.id == connector_id)
        .values(base_url=base_url, updated_at=func.now(), **secret)
    )


def set_active(connection: Connection, connector_id: int, *, active: bool) -> None:
    """Activate a connector, which deactivates the others of its role, or deactivate it."""
    role = select(connectors.c.role).where(connectors.c.id == connector_id).scalar_subquery()
    if active:
        others = (connectors.c.role == role) & (connectors.c.id != connector_id) & connectors.c.active
        connection.execute(update(connectors).where(others).values(active=False, updated_at=func.now()))
    connection.execute(
        update(connectors).where(connectors.c.id == connector_id).values(active=active, updated_at=func.now())
    )


def dependents(connection: Connection, connector: ConnectorRecord) -> Iterator[str]:
    """What would lose this connector. Mappings belong to the active systems."""
    for name, table in _DEPENDENTS.items():
        if connection.scalar(select(exists().where(table.c.connector == connector.name))):
            yield name
    if connector.active and any(connection.scalar(select(exists().select_from(table))) for table in _MAPPINGS):
        yield "mappings"


def require_only_source(connection: Connection, connector: ConnectorRecord | StoredConnector) -> None:
    """Raise `SecondSourceError` if bookings of another source are stored."""
    if has_bookings_of_another(connection, connector):
        raise SecondSourceError(connector.name)


def has_bookings_of_another(connection: Connection, connector: ConnectorRecord | StoredConnector) -> bool:
    """Whether bookings of another source are stored: the ledger only has their numbers."""
    others = exists().where(time_accountings.c.connector != connector.name)
    return connector.role == "source" and bool(connection.scalar(select(others)))


def remove(connection: Connection, connector_id: int) -> None:
    """Delete a connector with its token."""
    connection.execute(delete(connectors).where(connectors.c.id == connector_id))


def source_names(connection: Connection) -> dict[str, str]:
    """The names of the active sources by what a sender may call them: the id as text, or the name."""
    query = select(connectors.c.id, connectors.c.name).where(connectors.c.role == "source", connectors.c.active)
    rows = connection.execute(query).all()
    return {str(row.id): row.name for row in rows} | {row.name: row.name for row in rows}


def source_kinds(connection: Connection) -> dict[str, str]:
    """The kinds of the active sources by what a sender may call them, as `source_names`."""
    query = select(connectors.c.id, connectors.c.name, connectors.c.kind)
    rows = connection.execute(query.where(connectors.c.role == "source", connectors.c.active)).all()
    return {str(row.id): row.kind for row in rows} | {row.name: row.kind for row in rows}


def number_space(connection: Connection, source: str) -> str:
    """The space of the numbers that are made for a source (`domain/numbers.py`); of one not yet stored, the next."""
    stored = connection.scalar(select(connectors.c.number_space).where(connectors.c.name == source))
    return stored or choose_space(source, source, number_spaces(connection))


def number_spaces(connection: Connection) -> list[str]:
    """The spaces of all sources, active or not."""
    query = select(connectors.c.number_space).where(connectors.c.number_space.is_not(None))
    return list(connection.scalars(query.order_by(connectors.c.id)))


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
    except UndecryptableError:  # Of a lost key; a new token replaces it.
        return False


def _space(connection: Connection, connector: StoredConnector) -> dict[str, str]:
    """The space of a source that is stored for the first time; it never changes."""
    if connector.role != "source":
        return {}
    return {"number_space": choose_space(connector.kind, connector.name, number_spaces(connection))}


def _values(connector: StoredConnector, cipher: TokenCipher, *, active: bool) -> dict[str, Any]:
    return {
        "name": connector.name,
        "role": connector.role,
        "kind": connector.kind,
        "base_url": connector.base_url,
        "token_encrypted": cipher.encrypt(connector.token),
        "active": active,
    }


def _stored(row: Row, cipher: TokenCipher) -> StoredConnector:
    return StoredConnector(row.name, row.role, row.kind, row.base_url, cipher.decrypt(row.token_encrypted))


def _shown(row: Row) -> ConnectorRecord:
    values = row._asdict()
    del values["number_space"]
    return ConnectorRecord(has_token=bool(values.pop("token_encrypted")), **values)


# Names and URLs of source and target, for callers that need no token.


@dataclass(frozen=True, slots=True)
class ActiveConnectors:
    """The names under which rows are stored, and the URLs of the web pages; empty if none is active."""

    source: str = ""
    target: str = ""
    source_url: str = ""
    target_url: str = ""


def active_connectors(connection: Connection) -> ActiveConnectors:
    """The active connectors."""
    query = select(connectors.c.role, connectors.c.name, connectors.c.base_url).where(connectors.c.active)
    found = {row.role: (row.name, row.base_url) for row in connection.execute(query.order_by(connectors.c.id.desc()))}
    source, target = found.get("source", ("", "")), found.get("target", ("", ""))
    return ActiveConnectors(source[0], target[0], source[1], target[1])
