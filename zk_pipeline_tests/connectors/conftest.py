"""Simulated Zammad and Kimai behind real sockets, fresh for each test, and connectors to them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.kimai.connector import KimaiConnector
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

TOKEN = "reader-token-7f3a"
DAY = datetime(2025, 8, 16, tzinfo=UTC)

Connect = Callable[..., ZammadConnector]
ConnectKimai = Callable[..., KimaiConnector]


@dataclass
class Pauses:
    """Stands in for `time.sleep` and remembers how long it was asked to wait."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture(scope="session")
def zammad_service() -> Iterator[tuple[ZammadServer, str]]:
    server = ZammadServer()
    with ServerThread(with_control(server)) as thread:
        yield server, thread.url


@pytest.fixture
def zammad(zammad_service: tuple[ZammadServer, str]) -> ZammadServer:
    """An empty Zammad with a service user whose token is `TOKEN`."""
    server, _ = zammad_service
    server.restore(ZammadServer().snapshot())
    server.add_reader(TOKEN)
    return server


@pytest.fixture
def zammad_control(zammad: ZammadServer, zammad_service: tuple[ZammadServer, str]) -> Iterator[SandboxControl]:
    yield from controlled(zammad_service[1])


@pytest.fixture
def connect_zammad(zammad: ZammadServer, zammad_service: tuple[ZammadServer, str], pauses: Pauses) -> Iterator[Connect]:
    """Makes connectors to the simulated Zammad."""
    made: list[ZammadConnector] = []

    def connect(token: str = TOKEN, **settings: object) -> ZammadConnector:
        endpoint = Endpoint(**({"name": "zammad", "base_url": zammad_service[1], "token": token} | settings))
        made.append(ZammadConnector(endpoint, sleep=pauses))
        return made[-1]

    yield connect
    for connector in made:
        connector.close()


@pytest.fixture
def source(connect_zammad: Connect) -> ZammadConnector:
    return connect_zammad()


@pytest.fixture(scope="session")
def kimai_service() -> Iterator[tuple[KimaiServer, str]]:
    server = KimaiServer()
    with ServerThread(with_control(server)) as thread:
        yield server, thread.url


@dataclass(frozen=True)
class Office:
    """Ids of what the simulated Kimai holds: the account in Berlin, Anna in New York, and somewhere to book."""

    account: int
    anna: int
    customer: int
    project: int
    activity: int


@pytest.fixture
def kimai(kimai_service: tuple[KimaiServer, str]) -> KimaiServer:
    """An empty Kimai."""
    server, _ = kimai_service
    server.restore(KimaiServer().snapshot())
    return server


@pytest.fixture
def office(kimai: KimaiServer) -> Office:
    """A Kimai in which the account, whose token is `TOKEN`, may do everything."""
    account = kimai.add_user("sync", "sync@example.com", ["ROLE_SUPER_ADMIN"], "Europe/Berlin", TOKEN)
    anna = kimai.add_user("anna", "anna@example.com", timezone="America/New_York")
    customer = kimai.add_customer("Acme", "C-1")
    project = kimai.add_project("Support", customer, "P-1")
    return Office(account, anna, customer, project, kimai.add_activity("Consulting"))


@pytest.fixture
def kimai_control(kimai: KimaiServer, kimai_service: tuple[KimaiServer, str]) -> Iterator[SandboxControl]:
    yield from controlled(kimai_service[1])


@pytest.fixture
def connect_kimai(office: Office, kimai_service: tuple[KimaiServer, str], pauses: Pauses) -> Iterator[ConnectKimai]:
    """Makes connectors to the simulated Kimai."""
    made: list[KimaiConnector] = []

    def connect(token: str = TOKEN, **settings: object) -> KimaiConnector:
        endpoint = Endpoint(**({"name": "kimai", "base_url": kimai_service[1], "token": token} | settings))
        made.append(KimaiConnector(endpoint, sleep=pauses))
        return made[-1]

    yield connect
    for connector in made:
        connector.close()


@pytest.fixture
def target(connect_kimai: ConnectKimai) -> KimaiConnector:
    return connect_kimai()


def controlled(url: str) -> Iterator[SandboxControl]:
    """The control plane of a server, with neither counts nor faults left over from other tests."""
    with SandboxControl(url) as control:
        control.reset_requests()
        yield control
        control.clear_faults()
