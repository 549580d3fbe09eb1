"""The chain between real servers: PostgreSQL, Dagster's instance, and both simulated systems behind sockets."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.runtime.environment import PROJECT, prepare
from zk_pipeline.runtime.runtime import open_runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.encryption import generate_key
from zk_pipeline.store.schema import migrate
from zk_pipeline_tests.dagster_economy import economize
from zk_pipeline_tests.databases import Pairs, careless_server
from zk_pipeline_tests.defs.gate import Gate
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, ZAMMAD_TOKEN, Desk, Office, World
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

ENCRYPTION_KEY = generate_key()
PREPARED = ("ZK_DATABASE_URL", "ZK_DAGSTER_URL", "ZK_ENCRYPTION_KEY", "ZK_HOME", "DAGSTER_HOME")
"""Variables that preparing an environment sets."""


@dataclass
class Databases:
    """A PostgreSQL server with migrated pairs of databases."""

    endpoint: DatabaseEndpoint
    pairs: Pairs

    @contextmanager
    def fresh(self) -> Iterator[dict[str, str]]:
        """A pair of databases as after the first migration; the variables that name it."""
        pair = self.pairs.take()
        yield self.named(*pair)
        self.pairs.give_back(pair)

    def named(self, zk: str, dagster: str) -> dict[str, str]:
        """The variables that name these databases."""
        return {"ZK_DATABASE_URL": self.endpoint.url(zk), "ZK_DAGSTER_URL": self.endpoint.dagster_url(dagster)}


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One server for the session, with the tables of the product and of Dagster in its templates."""
    economize()
    home = tmp_path_factory.mktemp("postgres")
    with careless_server(home) as endpoint, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ZK_")]:
            patch.delenv(name)
        patch.setenv("ZK_ENCRYPTION_KEY", ENCRYPTION_KEY)
        patch.setenv("DAGSTER_HOME", str(home))
        for name, value in endpoint.environment().items():
            patch.setenv(name, value)
        (home / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
        with open_runtime() as runtime:
            migrate(runtime.database)
        with dg.DagsterInstance.get():
            pass
        yield Databases(endpoint, Pairs(endpoint))


def set_surroundings(pair: Mapping[str, str], home: Path, patch: pytest.MonkeyPatch) -> None:
    """An environment that names a pair of databases and nothing else."""
    for name in [name for name in os.environ if name.startswith(("ZK_", "DAGSTER_"))]:
        patch.delenv(name)
    for name in PREPARED:
        patch.setenv(name, "")
    values = {
        **pair,
        "ZK_ENCRYPTION_KEY": ENCRYPTION_KEY,
        "ZK_HOME": str(home),
        "ZK_TIMEZONE": "Europe/Berlin",
        "ZK_HTTP_ATTEMPTS": "1",
        "ZK_HTTP_TIMEOUT": "5",
        "ZK_KIMAI_TIME_LIMIT": "1",
    }
    for name, value in values.items():
        patch.setenv(name, value)
    patch.chdir(home)


@contextmanager
def open_desk(patch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A Zammad that the environment points to."""
    server = ZammadServer({"zone": "Europe/Berlin"})
    server.add_reader(ZAMMAD_TOKEN)
    with ServerThread(with_control(server)) as thread, SandboxControl(thread.url) as control:
        patch.setenv("ZK_ZAMMAD_URL", thread.url)
        patch.setenv("ZK_ZAMMAD_TOKEN", ZAMMAD_TOKEN)
        desk = Desk(server, control)
        desk.furnish()
        yield desk


@contextmanager
def open_office(patch: pytest.MonkeyPatch) -> Iterator[Office]:
    """A Kimai that the environment points to."""
    server = KimaiServer()
    gate = Gate(with_control(server))
    with ServerThread(gate) as thread, SandboxControl(thread.url) as control:
        patch.setenv("ZK_KIMAI_URL", thread.url)
        patch.setenv("ZK_KIMAI_TOKEN", KIMAI_TOKEN)
        office = Office(server, control, gate)
        office.furnish()
        yield office


@contextmanager
def open_world(desk: Desk, office: Office, *, on_dagster: bool = True) -> Iterator[World]:
    """The product between both systems, its activity types mapped."""
    with prepare(load_settings()) as environment:
        world = World(desk, office, environment, on_dagster)
        world.map_types()
        yield world


@pytest.fixture
def surroundings(databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment of its own for each test; the way to set more."""
    with databases.fresh() as pair:
        set_surroundings(pair, tmp_path, monkeypatch)
        yield monkeypatch


@pytest.fixture
def desk(surroundings: pytest.MonkeyPatch) -> Iterator[Desk]:
    with open_desk(surroundings) as desk:
        yield desk


@pytest.fixture
def office(surroundings: pytest.MonkeyPatch) -> Iterator[Office]:
    with open_office(surroundings) as office:
        yield office


@pytest.fixture
def settings(request: pytest.FixtureRequest, surroundings: pytest.MonkeyPatch) -> dict[str, Any]:
    """Further settings; a test gives its own with `@pytest.mark.parametrize(..., indirect=True)`."""
    given: dict[str, Any] = getattr(request, "param", {})
    for name, value in given.items():
        surroundings.setenv(name, str(value))
    return given


@pytest.fixture
def world(request: pytest.FixtureRequest, desk: Desk, office: Office, settings: dict[str, Any]) -> Iterator[World]:
    """Both systems and the product between them."""
    on_dagster = request.node.get_closest_marker("dagster") is not None
    with open_world(desk, office, on_dagster=on_dagster) as world:
        yield world
