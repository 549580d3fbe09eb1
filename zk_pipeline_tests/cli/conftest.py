"""The real `zk` command on an embedded PostgreSQL and the demo's simulated systems.

`zk("mappings", "list")` runs a command in `zk_home`, whose databases are fresh for each test; `homes.new(like=...)`
makes further ones. `sandbox` gives the simulated systems, which are as at the start in every test.
"""

import itertools
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from click.testing import Result
from sqlalchemy import make_url
from typer.testing import CliRunner

from zk_pipeline.cli import output
from zk_pipeline.cli.app import app
from zk_pipeline.runtime.embedded import DAGSTER_DATABASE, DATABASE, DatabaseEndpoint
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE, open_runtime, store_connectors
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store import audit
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.dagster_economy import economize
from zk_pipeline_tests.databases import Pairs, careless_server, migrated
from zk_sandbox.client import SandboxControl
from zk_sandbox.server import SandboxProcess

ZONE = "Europe/Berlin"


@dataclass(frozen=True)
class Home:
    """A ZK_HOME with databases of its own, and the variables that a process needs to use it."""

    path: Path
    database_name: str
    variables: dict[str, str]

    @property
    def dagster_name(self) -> str:
        """The name of Dagster's database."""
        return str(make_url(self.variables["ZK_DAGSTER_URL"]).database)

    def start(self) -> None:
        """Begin the audit trail and store the connectors, as the first start does."""
        with patch.dict(os.environ, self.variables), open_runtime() as runtime:
            with runtime.database.transaction() as connection:
                audit.bind(connection)
            store_connectors(runtime)

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The product's database."""
        keys = TokenCipher(self.variables["ZK_ENCRYPTION_KEY"]).derived(AUDIT_KEY_PURPOSE)
        database = Database(self.variables["ZK_DATABASE_URL"], keys)
        try:
            yield database
        finally:
            database.close()


class Homes:
    """Makes homes on one database server, for the given simulated systems."""

    def __init__(self, server: DatabaseEndpoint, systems: SandboxProcess, directory: Path) -> None:
        self._server, self._systems, self._directory = server, systems, directory
        self._pairs = Pairs(server)
        self._numbers = itertools.count(1)
        self._key = generate_key()

    @contextmanager
    def lent(self) -> Iterator[Home]:
        """A fresh home, which nobody uses afterwards."""
        pair = self._pairs.take()
        yield self._on(pair)
        self._pairs.give_back(pair)

    def new(self, like: Home | None = None, *, history: bool = False, empty: bool = False) -> Home:
        """A fresh home, or one with the product's data of another, which no process may be using; or empty databases.

        Dagster's history is fresh unless asked for: Dagster keeps its connections for as long as its process lives.
        """
        templates = (like.database_name if like else DATABASE, DAGSTER_DATABASE)
        if empty:
            templates = ("template1", "template1")
        if like and history:
            templates = (like.database_name, like.dagster_name)
        return self._on(self._pairs.copy(*templates))

    def _on(self, names: tuple[str, str]) -> Home:
        path = self._directory / str(next(self._numbers))
        path.mkdir()
        variables = {
            ENV_FILE: os.devnull,
            "ZK_HOME": str(path),
            "ZK_DATABASE_URL": self._server.url(names[0]),
            "ZK_DAGSTER_URL": self._server.dagster_url(names[1]),
            "ZK_ENCRYPTION_KEY": self._key,
            "ZK_TIMEZONE": ZONE,
            "ZK_ZAMMAD_URL": self._systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": self._systems.zammad_token,
            "ZK_KIMAI_URL": self._systems.kimai_url,
            "ZK_KIMAI_TOKEN": self._systems.kimai_token,
        }
        return Home(path, names[0], variables)


@dataclass(frozen=True)
class Zk:
    """Runs `zk` within this process, with nothing of our own settings; `variables` win over the home's.

    `answer` is what is typed when it asks.
    """

    home: Home

    def __call__(self, *arguments: str, answer: str = "", **variables: str) -> Result:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with patch.dict(os.environ, {**others, **self.home.variables, **variables}, clear=True):
                return CliRunner().invoke(app, arguments, input=answer, catch_exceptions=False)
        finally:
            signal.signal(signal.SIGTERM, handler)


@dataclass(frozen=True)
class Sandbox:
    """The simulated systems, by their control planes."""

    zammad: SandboxControl
    kimai: SandboxControl


@contextmanager
def _controls(systems: SandboxProcess) -> Iterator[Sandbox]:
    with SandboxControl(systems.zammad_url) as zammad, SandboxControl(systems.kimai_url) as kimai:
        yield Sandbox(zammad, kimai)


@dataclass(frozen=True)
class Start:
    """What both systems hold before any test."""

    processes: SandboxProcess
    zammad: dict[str, Any]
    kimai: dict[str, Any]

    @contextmanager
    def systems(self) -> Iterator[Sandbox]:
        """Both systems, their requests counted again; afterwards they are as at the start again."""
        with _controls(self.processes) as systems:
            systems.zammad.reset_requests()
            systems.kimai.reset_requests()
            try:
                yield systems
            finally:
                for control, state in ((systems.zammad, self.zammad), (systems.kimai, self.kimai)):
                    control.clear_faults()
                    control.restore(state)


@pytest.fixture(scope="session")
def _systems() -> Iterator[SandboxProcess]:
    with SandboxProcess("demo") as systems:
        yield systems


@pytest.fixture(scope="session")
def start(_systems: SandboxProcess) -> Start:
    """The state of both systems before any test."""
    with _controls(_systems) as systems:
        return Start(_systems, systems.zammad.state(), systems.kimai.state())


@pytest.fixture(scope="session")
def homes(_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homes]:
    economize()
    with careless_server(tmp_path_factory.mktemp("server")) as server:
        with migrated(server):
            pass
        yield Homes(server, _systems, tmp_path_factory.mktemp("homes"))


@pytest.fixture
def sandbox(start: Start) -> Iterator[Sandbox]:
    with start.systems() as systems:
        yield systems


@pytest.fixture
def zk_home(homes: Homes) -> Iterator[Home]:
    with homes.lent() as home:
        yield home


@pytest.fixture
def zk(zk_home: Home, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Zk:
    for terminal in (output.out, output.err):
        monkeypatch.setattr(terminal, "_width", 200)
    zk_home.start()
    return Zk(zk_home)
