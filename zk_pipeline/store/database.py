"""The connection to PostgreSQL: engine, transactions, locks between processes, and bulk writes."""

import json
import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
from sqlalchemy import ARRAY, ColumnElement, Connection, Engine, Table, all_, any_, create_engine, func, literal, text
from sqlalchemy.exc import DBAPIError, OperationalError

Row = Mapping[str, Any]

SECONDS_BETWEEN_SIGNS = 1.0
"""Pause before a kept lock is taken again after its connection ended."""

SECONDS_OF_SILENCE = 20
"""The server ends the connection of a kept lock after this time without a response."""

SECONDS_TO_LET_GO = 5.0
"""For a thread that a hanging database blocks; its lock ends with the process."""

_TRAIL_KEYS = "zk_trail_keys"

_log = logging.getLogger(__name__)


class DatabaseUnavailableError(Exception):
    """The database is unreachable; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock, by its own name for itself, and since when it is connected (UTC)."""

    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock within its block. It ends with its connection, which a restart of PostgreSQL can end unnoticed."""

    connection: Connection

    def require(self) -> None:
        """Raise `DatabaseUnavailableError` if the lock was lost, so that somebody else may hold it now."""
        try:
            self.connection.execute(text("SELECT 1"))
        except OperationalError as error:
            raise DatabaseUnavailableError(
                "PostgreSQL ended the connection that kept others from doing the same at once. Run it again."
            ) from error


@dataclass(frozen=True, slots=True)
class Listener:
    """A connection that receives notifications."""

    connection: Connection

    def wait(self, seconds: float) -> str | None:
        """The payload of the next notification; `None` if there is none for so long.

        Raises `DatabaseUnavailableError`.
        """
        driver = self.connection.connection.dbapi_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"{type(driver).__name__} is not a connection of psycopg.")
        try:
            return next((found.payload for found in driver.notifies(timeout=seconds, stop_after=1)), None)
        except psycopg.OperationalError as error:
            raise DatabaseUnavailableError("PostgreSQL ended the connection that waited for changes.") from error


class Database:
    """One pool of connections to the `zk` database. Thread-safe; dispose of it with `close`.

    `keys` are those of the audit trail, newest first; without one, nothing can be written into it.
    """

    def __init__(self, url: str, keys: Sequence[bytes] = ()) -> None:
        self.engine: Engine = create_engine(
            url,
            pool_size=5,
            max_overflow=10,
            pool_pre_ping=True,
            json_serializer=to_json,
            hide_parameters=True,  # Errors are logged, and rows contain names and addresses.
            execution_options={_TRAIL_KEYS: tuple(keys)},
        )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error.

        Raises `DatabaseUnavailableError` if there is no connection.
        """
        with self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def lock(self, *names: str) -> Iterator[HeldLock]:
        """Hold session advisory locks with these names, waiting for other holders; a dying process releases its own.

        Names are locked in sorted order, so that callers with overlapping sets cannot deadlock.
        """
        with self._connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            for name in sorted(names):
                connection.execute(text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"), {"name": name})
            try:
                yield HeldLock(connection)
            finally:
                if not connection.invalidated:
                    connection.execute(text("SELECT pg_advisory_unlock_all()"))

    @contextmanager
    def kept_lock(self, name: str, holder: str) -> Iterator[threading.Event]:
        """Hold a lock during the block as a sign of life, even through failures of the database.

        A thread takes it, and takes it again whenever its connection ends. The block does not wait for it; its argument
        says when the lock was first held. `holder` (at most 63 bytes) is the name that `holder_of` returns.
        """
        done, taken = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._keep, args=(name, holder, done, taken), name="kept lock", daemon=True)
        thread.start()
        try:
            yield taken
        finally:
            done.set()
            thread.join(SECONDS_TO_LET_GO)

    def _keep(self, name: str, holder: str, done: threading.Event, taken: threading.Event) -> None:
        while not done.is_set():
            try:
                with self._connect() as connection:
                    connection.execution_options(isolation_level="AUTOCOMMIT")
                    connection.detach()  # Its name must not go back to the pool.
                    connection.execute(_SIGN, {"holder": holder, "seconds": f"{SECONDS_OF_SILENCE}s"})
                    while not connection.execute(_TRY_LOCK, {"name": name}).scalar_one():
                        if done.wait(SECONDS_BETWEEN_SIGNS):
                            return
                    taken.set()
                    while not done.wait(SECONDS_BETWEEN_SIGNS):
                        connection.execute(text("SELECT 1"))
            except (DatabaseUnavailableError, DBAPIError) as error:
                _log.debug("The lock %s is taken again: %s", name, error)
                done.wait(SECONDS_BETWEEN_SIGNS)

    @contextmanager
    def listening(self, channel: str) -> Iterator[Listener]:
        """Listen for the notifications that others send on this channel. Raises as `transaction`."""
        with self._connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()  # It listens until it is closed.
            connection.execute(text(f"LISTEN {channel}"))
            yield Listener(connection)

    def holder_of(self, name: str) -> Holder | None:
        """The process that holds this lock; `None` if none does."""
        with self.transaction() as connection:
            row = connection.execute(_HOLDER, {"name": name}).first()
        return None if row is None else Holder(row.application_name, row.backend_start.astimezone(UTC))

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except OperationalError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnavailableError(
                f"PostgreSQL at {where} does not answer ({reason}). Start it, or correct ZK_DATABASE_URL."
            ) from error
        with connection:
            yield connection


# The server ends the connection of an unresponsive process, for example if its machine or network is gone.
_SIGN = text(
    "SELECT set_config('application_name', :holder, false), set_config('idle_session_timeout', :seconds, false)"
)
_TRY_LOCK = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
# PostgreSQL shows the 64 bits of an advisory lock as two halves.
_HOLDER = text(
    """
    SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended(:name, 0)
    """
)


def trail_keys(connection: Connection) -> tuple[bytes, ...]:
    """The audit trail's keys of this connection's database, newest first."""
    return connection.get_execution_options().get(_TRAIL_KEYS, ())


def among(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of the values, as one parameter: the statement is the same for any number of them.

    With one parameter each, long lists would be compiled, parsed and planned anew every time.
    """
    return column == any_(literal(list(values), ARRAY(column.type)))


def by_source_id(column: ColumnElement[Any], *, nulls_first: bool = False) -> tuple[ColumnElement[Any], ...]:
    """The order of `source_id_order`: whole numbers by number, and text by length."""
    parts = (func.length(column), column.collate("C"))
    return tuple(part.nulls_first() for part in parts) if nulls_first else parts


def not_among(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has none of the values. The negation of `among` would be true for any other value."""
    return column != all_(literal(list(values), ARRAY(column.type)))


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    keep: Iterable[str] = (),
    add: Iterable[str] = (),
    stamped: Mapping[str, str] | None = None,
    only_if_changed: bool = False,
) -> int:
    """Insert rows, or update those with an existing primary key, in one statement; returns the number written.

    Columns in `keep` are only set on insert, those in `add` are added to the stored value, and those in `stamped` are
    not in the rows: they get the value of an SQL expression. `only_if_changed` leaves rows alone if all other columns
    are the same.
    """
    if not rows:
        return 0
    stamps = stamped or {}
    columns = [*rows[0], *stamps]
    keys = [column.name for column in table.primary_key]
    kept, added = set(keep), set(add)
    changing = [name for name in columns if name not in keys and name not in kept]
    target = f"{table.schema}.{table.name}"
    sets = ", ".join(
        f'"{name}" = {target}."{name}" + excluded."{name}"' if name in added else f'"{name}" = excluded."{name}"'
        for name in changing
    )
    where = _changed(target, changing) if only_if_changed else ""
    key_names = ", ".join(f'"{name}"' for name in keys)
    statement = text(
        f"{_insertion(target, list(rows[0]), stamps)} ON CONFLICT ({key_names}) DO UPDATE SET {sets} {where}"
    )
    return connection.execute(statement, {"rows": to_json(list(rows))}).rowcount


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows in one statement, in order; missing columns get their defaults."""
    if not rows:
        return
    statement = text(_insertion(f"{table.schema}.{table.name}", list(rows[0]), {}))
    connection.execute(statement, {"rows": to_json(list(rows))})


def to_json(value: object) -> str:
    """JSON text of rows: instants and dates as ISO text, amounts as exact text."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _insertion(target: str, given: Sequence[str], stamps: Mapping[str, str]) -> str:
    """The insertion of rows given as one JSON value; JSON null becomes NULL, also in JSON columns."""
    quoted = [f'"{name}"' for name in given]
    names = ", ".join([*quoted, *(f'"{name}"' for name in stamps)])
    values = ", ".join([*quoted, *stamps.values()])
    return (
        f"INSERT INTO {target} ({names}) SELECT {values} "  # noqa: S608 (names come from our own tables)
        f"FROM jsonb_populate_recordset(NULL::{target}, CAST(:rows AS jsonb))"
    )


def _changed(target: str, names: Sequence[str]) -> str:
    compared = [name for name in names if name not in {"seen_at", "last_seen_at", "sweep_id", "normalized_at"}]
    old = ", ".join(f'{target}."{name}"' for name in compared)
    new = ", ".join(f'excluded."{name}"' for name in compared)
    return f"WHERE ({old}) IS DISTINCT FROM ({new})"


def _plain(value: object) -> str | list[Any] | dict[Any, Any]:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Mapping():
            return dict(value)
        case tuple() | frozenset() | set():
            return list(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form here.")
