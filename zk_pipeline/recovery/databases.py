"""Whole databases: checking that one is unused, creating scratch databases, and swapping databases."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

_RESTORING, _BEFORE, _RENAMING, _VERIFYING = "zk_restoring_", "zk_before_", "zk_renaming_", "zk_rehearsing_"
_NAME_BYTES = 63
_OTHERS = """
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_TABLES = """
    SELECT 1 FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema' LIMIT 1
"""


class BackupError(Exception):
    """A backup cannot be made, read or restored; the message names the cause and the remedy."""


def require_free(url: str, *, replace: bool) -> None:
    """Raise `BackupError` if somebody is connected, or if the database is not empty and not to be replaced."""
    with _connected(url) as connection:
        name = connection.info.dbname
        if connection.execute(_OTHERS).fetchone():
            raise BackupError(_in_use(name))
        if not replace and connection.execute(_TABLES).fetchone():
            raise BackupError(
                f"Add --replace to replace the database {name}, which is not empty, or set other databases in "
                "ZK_DATABASE_URL and ZK_DAGSTER_URL."
            )


@contextmanager
def scratch_database(url: str, name: str) -> Iterator[str]:
    """The URL of a new empty database on the same server, which is dropped afterwards. Raises `BackupError`."""
    identifier = sql.Identifier(name)
    with _connected(url) as connection:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        except psycopg.errors.InsufficientPrivilege as error:
            raise BackupError(
                f"Give the database user CREATEDB: it may not create the scratch database {name}, into which a backup "
                "is restored first."
            ) from error
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        _drop(url, name)


@contextmanager
def verification_database(url: str) -> Iterator[str]:
    """The URL of an empty database for verifying a backup of this one; it is dropped afterwards.

    Its name is fixed, so verifications of one database must not run at once. Raises `BackupError`.
    """
    with scratch_database(url, _beside(_VERIFYING, str(make_url(url).database))) as scratch:
        yield scratch


@contextmanager
def restoring_database(url: str) -> Iterator[str]:
    """The URL of an empty database into which this one is restored; it is dropped unless it is swapped in.

    Raises `BackupError`.
    """
    name = str(make_url(url).database)
    before = _beside(_BEFORE, name)
    with _connected(url) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [before]).fetchone():
            raise BackupError(
                f"Drop or rename the database {before}, and restore again: it holds what {name} held before a restore "
                "that was interrupted at its end."
            )
    with scratch_database(url, _beside(_RESTORING, name)) as scratch:
        yield scratch


def swap_in(databases: Mapping[str, str]) -> None:
    """Replace databases by others (URL of the old one to URL of the new one), all or none, and drop the old ones.

    They are renamed in one transaction per server, so a crash leaves all or nothing done, except between the commits of
    two servers. Raises `BackupError` if somebody is connected or the user may not rename them; then nothing is changed.
    """
    with ExitStack() as stack:
        ways: dict[tuple[str | None, int | None], psycopg.Connection] = {}
        # Ours first: its owner may also rename Dagster's, if that belongs to another role.
        for url, scratch in reversed(list(databases.items())):
            require_free(url, replace=True)
            server = (make_url(url).host, make_url(url).port)
            if server not in ways:
                ways[server] = stack.enter_context(_renaming(url))
            for old, new in ((url, _aside(url)), (scratch, url)):
                _rename(ways[server], old, new)
    for url in databases:
        _drop(url, str(make_url(_aside(url)).database))


@contextmanager
def _renaming(url: str) -> Iterator[psycopg.Connection]:
    """A transaction on this server, connected to a scratch database, since a renamed one must have no connections."""
    with (
        scratch_database(url, _beside(_RENAMING, str(make_url(url).database))) as way,
        _connected(way) as connection,
        connection.transaction(),
    ):
        yield connection


def _aside(url: str) -> str:
    name = _beside(_BEFORE, str(make_url(url).database))
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def _beside(prefix: str, name: str) -> str:
    """The prefixed name, cut to PostgreSQL's limit; with a suffix, a long name would be cut to itself."""
    return f"{prefix}{name}".encode()[:_NAME_BYTES].decode(errors="ignore")


def _rename(connection: psycopg.Connection, old_url: str, new_url: str) -> None:
    old, new = (str(make_url(url).database) for url in (old_url, new_url))
    try:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))
    except psycopg.errors.ObjectInUse as error:
        raise BackupError(_in_use(old)) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            f"Make the database user the owner of {old}, with CREATEDB: it may not rename the database."
        ) from error


def _drop(url: str, name: str) -> None:
    with _connected(url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _in_use(name: str) -> str:
    return f"Stop zk up and everything else that uses the database {name} first."


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise BackupError(
            f"Start the database {make_url(url).database} first: it does not answer ({reason})."
        ) from error
