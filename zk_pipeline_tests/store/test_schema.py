"""The migrations lead to the tables that the queries know, once, forward and back."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import text

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.store import booking_decisions, raw_tables, schema, tables
from zk_pipeline.store.database import Database
from zk_pipeline.store.tables import SCHEMAS

SEED_INDEXES = {
    ("sync", "normalized_entries", "normalized_entries_pkey"),
    ("sync", "normalized_entries", "normalized_entries_entry_date_idx"),
    ("sync", "normalized_entries", "normalized_entries_sync_status_idx"),
    ("sync", "conflicts", "conflicts_resolution_status_idx"),
    ("sync", "audit_logs", "audit_logs_created_at_idx"),
}


@pytest.fixture
def empty(endpoint: DatabaseEndpoint) -> Database:
    """A database without any table."""
    name = "empty"
    with psycopg.connect(**endpoint.parameters(), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return Database(endpoint.url(name))


def test_the_migrations_make_exactly_the_tables_that_the_queries_know(migrated: Database) -> None:
    assert raw_tables.metadata is booking_decisions.corrections.metadata is tables.metadata

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "schema" or name in SCHEMAS

    with migrated.transaction() as connection:
        context = MigrationContext.configure(connection, opts={"include_schemas": True, "include_name": ours})
        assert compare_metadata(context, tables.metadata) == []


def test_the_queries_of_every_day_have_their_indexes(migrated: Database) -> None:
    with migrated.transaction() as connection:
        found = connection.execute(text("SELECT schemaname, tablename, indexname FROM pg_indexes"))
        assert {tuple(row) for row in found} >= SEED_INDEXES


def test_two_processes_may_migrate_at_once(empty: Database) -> None:
    with ThreadPoolExecutor(2) as pool:
        revisions = list(pool.map(lambda _: schema.migrate(empty), range(2)))
    assert len(set(revisions)) == 1
    with empty.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM sync.pushes")).scalar_one() == 0


def test_a_schema_of_a_newer_version_is_refused_with_the_remedy(empty: Database) -> None:
    schema.migrate(empty)
    with empty.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(schema.SchemaError, match=r"revision 9999.*Install the version that wrote it"):
        schema.migrate(empty)


def test_the_migrations_lead_back_to_nothing(empty: Database) -> None:
    schema.migrate(empty)
    with empty.transaction() as connection:
        command.downgrade(schema._config(connection), "base")
    with empty.transaction() as connection:
        left = connection.execute(
            text("SELECT count(*) FROM pg_namespace WHERE nspname = ANY(:names)"), {"names": list(SCHEMAS)}
        )
        assert left.scalar_one() == 0
