"""A PostgreSQL server for tests, the product's database on it, and how that is emptied."""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from zk_pipeline.runtime.embedded import DAGSTER_DATABASE, DATABASE, DatabaseEndpoint, embedded_server
from zk_pipeline.store import tables
from zk_pipeline.store.database import Database
from zk_pipeline.store.schema import migrate

TEMPLATES = (DATABASE, DAGSTER_DATABASE)
TRAIL_KEYS = (bytes(32),)
"""Of the audit trail in tests of the queries."""


@contextmanager
def careless_server(home: Path) -> Iterator[DatabaseEndpoint]:
    """A server that does not wait for the disk, as no test that uses it pulls the plug of the machine.

    Nor does it clean up: with hundreds of databases it would look into one of them several times a second.
    """
    with embedded_server(home) as server:
        with psycopg.connect(**server.parameters("postgres"), autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield server


def copy(server: DatabaseEndpoint, templates: Mapping[str, str]) -> None:
    """Make each of these databases as a copy of its template, to which nobody may be connected.

    File by file, which is quicker than through the log as long as there are no fsyncs.
    """
    with psycopg.connect(**server.parameters("postgres"), autocommit=True) as connection:
        for name, template in templates.items():
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


@contextmanager
def migrated(server: DatabaseEndpoint) -> Iterator[Database]:
    """The product's database with all its tables."""
    database = Database(server.url(), TRAIL_KEYS)
    migrate(database)
    yield database
    database.close()


SMALL = 65536
"""Bytes of a table whose rows are deleted one by one: quicker than truncating it, but its pages stay."""

SECONDS_TO_LEAVE = 2.0
"""For whoever was just told to end."""

_FILLED = """
    SELECT oid::regclass::text, pg_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND oid >= 16384 AND relpersistence <> 't' AND pg_relation_size(oid) > 0
"""
_BEGUN = """
    SELECT format('%I.%I', schemaname, sequencename), start_value FROM pg_sequences WHERE last_value IS NOT NULL
"""
# A change of a catalog's row leaves the number of its transaction there. Those of relations change when rows are
# written, too, so that of them counts what statements define.
_DEFINED = """
    SELECT string_agg(part, ' ') FROM (
        SELECT md5(string_agg(concat_ws(' ', oid, relname, relnamespace, relowner, relkind, relnatts, relchecks,
            relhasrules, relhastriggers, relrowsecurity, relacl, reloptions), ',' ORDER BY oid)) AS part
        FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't'
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_attribute WHERE attrelid >= 16384
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_constraint
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_trigger
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_proc
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_namespace
        UNION ALL SELECT concat_ws('/', count(*), max(xmin::text::bigint)) FROM pg_rewrite
    ) AS parts
"""
# Dagster keeps connections for as long as its process lives; they are idle.
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity a
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND (state IS DISTINCT FROM 'idle' OR EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = a.pid))
"""


@dataclass(frozen=True)
class Start:
    """What a template holds: how its tables are defined, the rows of those that have some, and sequences in use."""

    defined: str
    rows: Mapping[str, bytes]
    begun: Collection[str]

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> "Start":
        """As it is now."""
        filled = [table for table, _ in connection.execute(_FILLED)]
        rows = {table: _copied(connection, table) for table in filled}
        begun = [name for name, _ in connection.execute(_BEGUN)]
        return cls(_first(connection, _DEFINED), {table: copy for table, copy in rows.items() if copy}, begun)

    def restore(self, connection: psycopg.Connection[Any]) -> bool:
        """Have all tables hold this again; says no when somebody is at work or tables are defined otherwise."""
        last = time.monotonic() + SECONDS_TO_LEAVE
        while _first(connection, _OTHERS):
            if time.monotonic() > last:
                return False
            time.sleep(0.02)
        if _first(connection, _DEFINED) != self.defined:
            return False
        changed = [table for table, copy in self.rows.items() if _copied(connection, table) != copy]
        _empty(connection, lambda table: table not in self.rows or table in changed, self.begun)
        for table in changed:
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                copy.write(self.rows[table])
        return True


class Pairs:
    """Pairs of databases, the product's and Dagster's, that are as their templates, to which nobody is connected.

    Making a pair takes PostgreSQL a quarter of a second. So one that is given back is emptied and used again, unless a
    test changed more than rows or left somebody at work in it.
    """

    def __init__(self, server: DatabaseEndpoint) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._starts: dict[str, Start] = {}
        self._free: list[tuple[str, str]] = []

    def take(self) -> tuple[str, str]:
        """The names of a pair."""
        while self._free:
            pair = self._free.pop()
            if all(self._restored(name, template) for name, template in zip(pair, TEMPLATES, strict=True)):
                return pair
        if not self._starts:
            for template in TEMPLATES:
                with self._connected(template) as connection:
                    self._starts[template] = Start.of(connection)
        return self.copy(*TEMPLATES)

    def copy(self, *templates: str) -> tuple[str, str]:
        """A pair of copies of these."""
        number = next(self._numbers)
        zk, dagster = (f"{name}_{number}" for name in TEMPLATES)
        copy(self._server, dict(zip((zk, dagster), templates, strict=True)))
        return zk, dagster

    def give_back(self, pair: tuple[str, str]) -> None:
        """Let a pair from `take` be used again."""
        self._free.append(pair)

    def _restored(self, name: str, template: str) -> bool:
        try:
            with self._connected(name) as connection:
                return self._starts[template].restore(connection)
        except psycopg.Error:
            return False

    def _connected(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(**self._server.parameters(name))


def empty(database: Database) -> None:
    """Remove all rows of all tables."""
    ours = {f"{table.schema}.{table.name}" for table in tables.metadata.sorted_tables}
    with database.transaction() as connection:
        driver: Any = connection.connection.driver_connection
        _empty(driver, ours.__contains__, ())


def _empty(connection: psycopg.Connection[Any], is_to_be: Callable[[str], bool], begun: Collection[str]) -> None:
    """Remove the rows of these tables, and let sequences begin again but for those that had begun.

    Truncating all takes PostgreSQL a tenth of a second; most tests write to few.
    """
    statements = ["SET LOCAL session_replication_role = replica", "SET LOCAL lock_timeout = '20s'"]
    for table, size in connection.execute(_FILLED).fetchall():
        if is_to_be(table):
            statements.append(f"TRUNCATE {table} CASCADE" if size > SMALL else f"DELETE FROM {table}")
    for sequence, start in connection.execute(_BEGUN).fetchall():
        if sequence not in begun:
            statements.append(f"SELECT setval('{sequence}', {start}, false)")
    connection.execute("; ".join(statements).encode())


def _copied(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
        return b"".join(bytes(part) for part in copy)


def _first(connection: psycopg.Connection[Any], query: str) -> Any:
    (value,) = connection.execute(query.encode()).fetchall()[0]
    return value


def without_guards(connection: Connection) -> None:
    """Let this transaction do what triggers refuse, as whoever administrates the server can."""
    connection.execute(text("SET LOCAL session_replication_role = replica"))
