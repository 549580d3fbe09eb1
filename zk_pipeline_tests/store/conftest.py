"""A migrated database of its own for each test of the queries."""

from collections.abc import Iterator

import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.store import raw_tables, tables
from zk_pipeline.store.database import Database
from zk_pipeline_tests import databases
from zk_pipeline_tests.databases import careless_server


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with careless_server(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="session")
def migrated(endpoint: DatabaseEndpoint) -> Iterator[Database]:
    with databases.migrated(endpoint) as database:
        yield database


@pytest.fixture
def database(migrated: Database) -> Database:
    """The migrated database, emptied."""
    assert raw_tables.metadata is tables.metadata
    databases.empty(migrated)
    return migrated
