"""Databases as a whole: whether somebody uses one, an empty one beside it, and one put into the place of another."""

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
    """A backup cannot be made, read or restored; the message says why and what to do."""


def require_free(url: str, *, replace: bool) -> None:
    """Raises `BackupError` where somebody is connected, and where something is that should not be replaced."""
    with _connected(url) as connection:
        name = connection.info.dbname
        if connection.execute(_OTHERS).fetchone():
            raise BackupError(_in_use(name))
        if not replace and connection.execute(_TABLES).fetchone():
            raise BackupError(
                f"The database {name} is not empty, and a restoration would replace it. To have that, add --replace; "
                "or name other databases in ZK_DATABASE_URL and ZK_DAGSTER_URL."
            )


@contextmanager
def scratch_database(url: str, name: str) -> Iterator[str]:
    """The URL of an empty database beside this one, which is dropped afterwards. Raises `BackupError`."""
    identifier = sql.Identifier(name)
    with _connected(url) as connection:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        except psycopg.errors.InsufficientPrivilege as error:
            raise BackupError(
                f"The database user may not create the scratch database {name}, in which a backup is restored first. "
                "Give the user CREATEDB."
            ) from error
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        _drop(url, name)


@contextmanager
def verification_database(url: str) -> Iterator[str]:
    """The URL of an empty database in which the restoration of this one is rehearsed; it is dropped afterwards.

    There is one for each database of a server, so rehearsals of one database take turns. Raises `BackupError`.
    """
    with scratch_database(url, _beside(_VERIFYING, str(make_url(url).database))) as scratch:
        yield scratch


@contextmanager
def restoring_database(url: str) -> Iterator[str]:
    """The URL of an empty database in which this one is restored; it is dropped unless it took the other's place.

    Raises `BackupError`.
    """
    name = str(make_url(url).database)
    before = _beside(_BEFORE, name)
    with _connected(url) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [before]).fetchone():
            raise BackupError(
                f"There is a database {before}: what was in {name} before a restoration that was cut off at its very "
                f"end. Drop it unless you need it (then give it another name), and restore again."
            )
    with scratch_database(url, _beside(_RESTORING, name)) as scratch:
        yield scratch


def swap_in(databases: Mapping[str, str]) -> None:
    """Give these databases the places of others (the other's URL to theirs), all or none, and drop the others.

    They are renamed in one transaction for each server, so that whoever dies on the way leaves all as it was, or all
    done; only between the commits of two servers there is a moment, which the databases moved aside tell of. Raises
    `BackupError` where somebody is connected or the user may not rename them; then all is as it was.
    """
    with ExitStack() as stack:
        ways: dict[tuple[str | None, int | None], psycopg.Connection] = {}
        # Ours first: its owner may rename Dagster's too, where that is another role's.
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
    """A transaction on this server in which databases are renamed: nobody may be connected to one that is."""
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
    """A name that is never the other's own, which PostgreSQL would make of a long one with something after it."""
    return f"{prefix}{name}".encode()[:_NAME_BYTES].decode(errors="ignore")


def _rename(connection: psycopg.Connection, old_url: str, new_url: str) -> None:
    old, new = (str(make_url(url).database) for url in (old_url, new_url))
    try:
        connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))
    except psycopg.errors.ObjectInUse as error:
        raise BackupError(_in_use(old)) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise BackupError(
            f"The database user may not rename the database {old}. Make the user its owner, with CREATEDB."
        ) from error


def _drop(url: str, name: str) -> None:
    with _connected(url) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _in_use(name: str) -> str:
    return f"Somebody works on the database {name}. Stop zk up and all else that uses it first."


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise BackupError(
            f"The database {make_url(url).database} does not answer ({reason}). Start it first."
        ) from error
