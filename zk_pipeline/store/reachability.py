"""Queries on which systems answer: written by whoever asks one, read by all who are about to."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.reachability import Reachability
from zk_pipeline.domain.vital_figures import System
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


def systems(connection: Connection) -> list[System]:
    """The systems that are used, by role: when each was last read with success, and since when it fails.

    A good read is a complete sweep or a look at the changes: a system may answer, and yet refuse each of them. What
    failed with another token or address says nothing of the present ones.
    """
    return [System(*row) for row in connection.execute(_SYSTEMS)]


def note_failure(
    connection: Connection,
    connector: str,
    at: datetime,
    problem: str,
    wait: timedelta | None,
    *,
    refused: bool = False,
) -> None:
    """Record that a system did not answer, asked to be left alone for a while, or refused our token."""
    _save(connection, _locked(connection, connector).failed(at, problem, wait, refused=refused), at)


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


_SYSTEMS = text(
    """
    SELECT c.role, c.name,
        GREATEST(
            (SELECT s.ended_at FROM sync.sweeps s WHERE s.connector = c.name AND s.complete ORDER BY s.id DESC LIMIT 1),
            (SELECT max(r.updated_at) FROM sync.cursors r WHERE r.connector = c.name)
        ) AS read_at,
        f.failing_since, f.updated_at AS failed_at, COALESCE(f.problem, '') AS problem, COALESCE(f.refused, false)
    FROM sync.connectors c
    LEFT JOIN sync.reachability f ON f.connector = c.name
        AND f.failing_since IS NOT NULL AND f.updated_at > c.updated_at
    WHERE c.active ORDER BY c.role, c.name
    """
)
