"""A simulated Freshdesk behind a real socket, fresh for each test, and connectors to it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.freshdesk.connector import FreshdeskConnector
from zk_pipeline.domain.records import TimeAccounting, Window
from zk_pipeline_tests.connectors.conftest import Pauses, controlled
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.freshdesk import FreshdeskServer
from zk_sandbox.server import ServerThread

KEY = "zk-test-key"
NOW = datetime(2026, 7, 15, 12, tzinfo=UTC)
JUNE = Window(datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))

ConnectFreshdesk = Callable[..., FreshdeskConnector]


@pytest.fixture(scope="module")
def freshdesk_service() -> Iterator[tuple[FreshdeskServer, str]]:
    server = FreshdeskServer()
    with ServerThread(with_control(server)) as thread:
        yield server, thread.url


@pytest.fixture
def freshdesk(freshdesk_service: tuple[FreshdeskServer, str]) -> FreshdeskServer:
    """A Freshdesk with the account whose key is `KEY`; its clock stands."""
    server, _ = freshdesk_service
    server.restore(FreshdeskServer({"now": NOW.isoformat()}).snapshot())
    server.add_agent("Sync", "sync@example.net", key=KEY)
    return server


@pytest.fixture
def control(freshdesk: FreshdeskServer, freshdesk_service: tuple[FreshdeskServer, str]) -> Iterator[SandboxControl]:
    yield from controlled(freshdesk_service[1])


@pytest.fixture
def connect(
    freshdesk: FreshdeskServer, freshdesk_service: tuple[FreshdeskServer, str], pauses: Pauses
) -> Iterator[ConnectFreshdesk]:
    """Makes connectors to the simulated Freshdesk; each is a new run."""
    made: list[FreshdeskConnector] = []

    def new(token: str = KEY, **settings: object) -> FreshdeskConnector:
        endpoint = Endpoint(**({"name": "freshdesk", "base_url": freshdesk_service[1], "token": token} | settings))
        made.append(FreshdeskConnector(endpoint, sleep=pauses))
        return made[-1]

    yield new
    for connector in made:
        connector.close()


@pytest.fixture
def anna(freshdesk: FreshdeskServer) -> int:
    return freshdesk.add_agent("Anna Berg", "anna@example.net")


@pytest.fixture
def ticket(freshdesk: FreshdeskServer) -> int:
    company = freshdesk.add_company("Acme")
    return freshdesk.add_ticket("Printer on fire", company_id=company, type="Incident", at=JUNE.start)


def read(source: FreshdeskConnector, window: Window = JUNE) -> list[TimeAccounting]:
    return [row for page in source.fetch(window).pages() for row in page]
