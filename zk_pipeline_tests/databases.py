"""A PostgreSQL server for tests, the product's database on it, and how that is emptied."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from zk_pipeline.store import tables
from zk_pipeline.store.database import Database
from zk_pipeline.store.embedded import Endpoint, embedded_server
from zk_pipeline.store.schema import migrate

TRAIL_KEYS = (bytes(32),)
"""Of the audit trail in tests of the queries."""


@contextmanager
def careless_server(home: Path) -> Iterator[Endpoint]:
    """A server that does not wait for the disk, as no test that uses it pulls the plug of the machine.

    Nor does it clean up: with hundreds of databases it would look into one of them several times a second.
    """
    with embedded_server(home) as server:
        with psycopg.connect(**server.parameters("postgres"), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield server


def copy(server: Endpoint, templates: Mapping[str, str]) -> None:
    """Make each of these databases as a copy of its template, to which nobody may be connected.

    File by file, which is quicker than through the log as long as there are no fsyncs.
    """
    with psycopg.connect(**server.parameters("postgres"), autocommit=True) as connection:
        for name, template in templates.items():
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def migrated(server: Endpoint) -> Iterator[Database]:
    """The product's database with all its tables."""
    database = Database(server.url(), TRAIL_KEYS)
    migrate(database)
    yield database
    database.close()


def empty(database: Database) -> None:
    """Remove all rows of all tables."""
    names = ", ".join(f"{table.schema}.{table.name}" for table in tables.metadata.sorted_tables)
    with database.transaction() as connection:
        without_guards(connection)
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


def without_guards(connection: Connection) -> None:
    """Let this transaction do what triggers refuse, as whoever administrates the server can."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
