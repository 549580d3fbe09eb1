"""A migrated database of its own for each test of the queries."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline.store import raw_tables, tables
from zk_pipeline.store.database import Database
from zk_pipeline.store.embedded import Endpoint, embedded_server
from zk_pipeline.store.schema import migrate


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    home: Path = tmp_path_factory.mktemp("store")
    with embedded_server(home) as running:
        yield running


@pytest.fixture(scope="session")
def migrated(endpoint: Endpoint) -> Iterator[Database]:
    database = Database(endpoint.url())
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def database(migrated: Database) -> Database:
    """The migrated database, emptied."""
    assert raw_tables.metadata is tables.metadata
    names = ", ".join(f"{table.schema}.{table.name}" for table in tables.metadata.sorted_tables)
    with migrated.transaction() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
    return migrated
