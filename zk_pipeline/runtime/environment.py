"""The environment that Dagster and our processes run in: ZK_HOME, databases, keys, and the variables for children."""

import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from pydantic import SecretStr
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.installation import require_unused_database
from zk_pipeline.runtime.project import PROJECT
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE, Runtime, SetupError, open_runtime, store_connectors
from zk_pipeline.runtime.settings import Settings, SettingsError, load_settings
from zk_pipeline.store import audit
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import load_or_create_key
from zk_pipeline.store.files import close_directory
from zk_pipeline.store.schema import migrate

EVENT_BATCH = "100"
"""Materializations that Dagster stores at a time; if unset, it stores the days of a range one by one."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A prepared environment; `variables` are what a child process needs to share it."""

    runtime: Runtime
    home: Path
    variables: dict[str, str]


@dataclass(frozen=True, slots=True)
class Locations:
    """Where everything is, before it is opened."""

    home: Path
    database_url: str = field(repr=False)
    """By the role that works with it."""
    owner_url: str = field(repr=False)
    """As the role that migrates and restores it; the same if there is one role."""
    dagster_url: str = field(repr=False)
    encryption_key: str = field(repr=False)


@contextmanager
def prepare(settings: Settings, *, decided: bool = True, stores: bool = True) -> Iterator[Environment]:
    """Prepare what a command needs, and set the variables for this process and its children.

    Starts the embedded database if no other is configured, migrates ours, and stores the connectors of the
    environment, unless `stores` is false: read-only commands change no credentials. Raises the typed errors of
    settings, database, schema and encryption. Raises `SetupError`, before anything is stored, if another installation
    uses the database; and if a setting that stored facts depend on has changed, unless `decided` is false.
    """
    with locate(settings) as place:
        dagster_home = _dagster_home(place.home)
        variables = {
            "ZK_DATABASE_URL": place.database_url,
            "ZK_DAGSTER_URL": place.dagster_url,
            "ZK_HOME": str(place.home),
            "ZK_ENCRYPTION_KEY": place.encryption_key,
            "DAGSTER_HOME": str(dagster_home),
            "DAGSTER_EVENT_BATCH_SIZE": EVENT_BATCH,
        }
        os.environ.update(variables)
        complete = settings.model_copy(
            update={
                "home": place.home,
                "database_url": SecretStr(place.database_url),
                "dagster_url": SecretStr(place.dagster_url),
                "encryption_key": SecretStr(place.encryption_key),
            }
        )
        with open_runtime(complete) as runtime:
            if stores:
                require_unused_database(runtime)
            _migrate(runtime, place)
            with runtime.database.transaction() as connection:
                audit.bind(connection)
            if decided:
                runtime.require_decided()
            if stores:
                store_connectors(runtime)
            yield Environment(runtime, place.home, variables)


@cache
def shared_environment() -> Environment:
    """The environment of a Dagster process that was started without one, as by `dagster dev`; kept until it ends.

    DAGSTER_HOME stays as it is. Raises what `prepare` raises.
    """
    kept = ExitStack()
    atexit.register(kept.close)
    home = os.environ.get("DAGSTER_HOME")
    environment = kept.enter_context(prepare(load_settings()))
    if home is None:
        del os.environ["DAGSTER_HOME"]
    else:
        os.environ["DAGSTER_HOME"] = home
    return environment


@contextmanager
def locate(settings: Settings) -> Iterator[Locations]:
    """Locate home, databases and key; start the embedded database if no other is configured, without touching data.

    Raises the typed errors of settings, database and encryption.
    """
    home = _home(settings)
    with ExitStack() as stack:
        with _usable(home):
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            given = _given_databases(settings) or stack.enter_context(embedded_server(home)).environment()
            key = _encryption_key(settings, home)
        ours = given["ZK_DATABASE_URL"]
        yield Locations(home, ours, _owner_url(settings, ours), given["ZK_DAGSTER_URL"], key)


def _migrate(runtime: Runtime, place: Locations) -> None:
    """Migrate our database, as its owner if that is another role."""
    if place.owner_url == place.database_url:
        migrate(runtime.database)
        return
    database = Database(place.owner_url, runtime.cipher.derived(AUDIT_KEY_PURPOSE))
    try:
        migrate(database, str(make_url(place.database_url).username))
    finally:
        database.close()


def _home(settings: Settings) -> Path:
    try:
        return settings.home.expanduser().resolve()
    except RuntimeError as error:  # No such account, or a loop of links.
        raise _unusable(settings.home, str(error)) from error


@contextmanager
def _usable(home: Path) -> Iterator[None]:
    """Turn an `OSError` in the home into an error that names it."""
    try:
        yield
    except OSError as error:
        raise _unusable(home, error.strerror or str(error)) from error


def _unusable(home: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"ZK_HOME={str(home)!r} cannot be used: {reason.rstrip('.')}. Name a directory that you may write to."
    )


def _given_databases(settings: Settings) -> dict[str, str] | None:
    """The URLs of a configured server in the form each driver needs, or `None` for the embedded one."""
    if settings.database_url is None:
        if settings.dagster_url is not None:
            raise SettingsError("Set both ZK_DAGSTER_URL and ZK_DATABASE_URL, or neither: only the first is set.")
        return None
    ours = _url("ZK_DATABASE_URL", settings.database_url).set(drivername="postgresql+psycopg")
    if settings.dagster_url is not None:
        dagster = _url("ZK_DAGSTER_URL", settings.dagster_url).set(drivername="postgresql+psycopg2")
    else:
        dagster = ours.set(drivername="postgresql+psycopg2", database="dagster")
    if (dagster.host, dagster.port) == (ours.host, ours.port):
        _ensure_database(ours, str(dagster.database))
    return {
        "ZK_DATABASE_URL": ours.render_as_string(hide_password=False),
        "ZK_DAGSTER_URL": dagster.render_as_string(hide_password=False),
    }


def _owner_url(settings: Settings, ours: str) -> str:
    """The URL of the role that owns our database. Raises `SettingsError` if it names another database."""
    if settings.database_owner_url is None:
        return ours
    owner = _url("ZK_DATABASE_OWNER_URL", settings.database_owner_url).set(drivername="postgresql+psycopg")
    if settings.database_url is None or owner.database != make_url(ours).database:
        raise SettingsError(
            "Set ZK_DATABASE_OWNER_URL and ZK_DATABASE_URL to one database with two roles: they name different ones."
        )
    return owner.render_as_string(hide_password=False)


def _url(name: str, secret: SecretStr) -> URL:
    try:
        url = make_url(secret.get_secret_value())
    except (ArgumentError, ValueError):  # No URL, or a port that is no number; both errors may contain the password.
        url = None
    if url is None or url.get_backend_name() not in {"postgresql", "postgres"} or not url.database:
        raise SettingsError(f"{name} is no PostgreSQL URL. Write it as postgresql://user:password@host:5432/zk.")
    return url


def _ensure_database(server: URL, name: str) -> None:
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        with psycopg.connect(plain, autocommit=True, connect_timeout=10) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.DuplicateDatabase:
        return
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(
            f"Create the database {name!r}, or set another in ZK_DAGSTER_URL: the database user may not create it."
        ) from error
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise SetupError(
            f"PostgreSQL at {server.render_as_string(hide_password=True)} does not answer ({reason}). "
            "Start it, or correct ZK_DATABASE_URL."
        ) from error


def _encryption_key(settings: Settings, home: Path) -> str:
    if settings.encryption_key is not None:
        return settings.encryption_key.get_secret_value()
    if settings.database_url is not None:
        raise SetupError(
            "ZK_ENCRYPTION_KEY is missing. With your own database, set the key that encrypts its tokens; "
            "`zk keys generate` makes one."
        )
    return load_or_create_key(home)


def _dagster_home(home: Path) -> Path:
    """Dagster's directory, with the instance's settings in it."""
    directory = home / "dagster"
    close_directory(directory)
    shutil.copyfile(PROJECT / "dagster.yaml", directory / "dagster.yaml")
    return directory
