"""Queries on which systems answer: written by whoever asks one, read by all who are about to."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.reachability import Reachability
from zk_pipeline.store import requests
from zk_pipeline.store.request_tables import reachability
from zk_pipeline.store.tables import connectors

CONFIRMED = 2
"""Failures in a row from which on an outage is one, and not what a single run met."""

_COLUMNS = [column for column in reachability.c if column.name != "updated_at"]


def load(connection: Connection, connector: str) -> Reachability:
    """How a system answered last; it counts as answering before it was asked at all."""
    row = connection.execute(select(*_COLUMNS).where(reachability.c.connector == connector)).mappings().first()
    return Reachability(**row) if row else Reachability(connector)


def active(connection: Connection) -> list[Reachability]:
    """The systems that are used, by name."""
    names = connection.execute(select(connectors.c.name).where(connectors.c.active).order_by(connectors.c.name))
    return [load(connection, name) for name in names.scalars().all()]


def note_failure(connection: Connection, connector: str, at: datetime, problem: str, wait: timedelta | None) -> None:
    """Record that a system did not answer, or asked to be left alone for a while."""
    _save(connection, _locked(connection, connector).failed(at, problem, wait), at)


def note_success(connection: Connection, connector: str, at: datetime) -> None:
    """Record that a system answers. When that ends an outage, the days that waited for it are due at once."""
    before = _locked(connection, connector)
    _save(connection, Reachability(connector, at), at)
    if before.failures >= CONFIRMED:
        requests.resume(connection, connector, at)


def _locked(connection: Connection, connector: str) -> Reachability:
    connection.execute(insert(reachability).values(connector=connector).on_conflict_do_nothing())
    connection.execute(select(reachability.c.connector).where(reachability.c.connector == connector).with_for_update())
    return load(connection, connector)


def _save(connection: Connection, state: Reachability, at: datetime) -> None:
    statement = insert(reachability).values(**asdict(state), updated_at=at)
    values = {name: statement.excluded[name] for name in statement.excluded.keys() if name != "connector"}  # noqa: SIM118
    connection.execute(statement.on_conflict_do_update(index_elements=list(reachability.primary_key), set_=values))
