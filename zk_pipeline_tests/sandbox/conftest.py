"""A simulated Zammad behind a real socket: one server, a fresh desk for each test."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from zk_sandbox.control import with_control
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

READER_TOKEN = "reader-token"
NOON = datetime(2025, 8, 16, 12, 0, tzinfo=UTC)


class ZammadApi(httpx.Client):
    """An HTTP client of the simulated Zammad under /api/v1."""

    def as_token(self, value: str) -> "ZammadApi":
        """The same client with another token."""
        return ZammadApi(base_url=self.base_url, headers=headers(value), timeout=120, trust_env=False)

    def rows(self, path: str, **params: Any) -> Any:
        """The JSON of a successful GET."""
        answer = self.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, path: str, **params: Any) -> list[int]:
        """The ids of the rows that a list answers."""
        return [row["id"] for row in self.rows(path, **params)]


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Token token={token}"}


@pytest.fixture(scope="session")
def zammad_service() -> Iterator[tuple[ZammadServer, str]]:
    zammad = ZammadServer()
    with ServerThread(with_control(zammad)) as server:
        yield zammad, server.url


@pytest.fixture
def zammad(zammad_service: tuple[ZammadServer, str]) -> ZammadServer:
    """A desk with one group, a frozen clock and the service user; agents and tickets are the test's."""
    server, _ = zammad_service
    server.restore(ZammadServer().snapshot())
    server.configure({"now": NOON.isoformat()})
    server.add_reader(READER_TOKEN)
    return server


@pytest.fixture
def api(zammad: ZammadServer, zammad_service: tuple[ZammadServer, str]) -> Iterator[ZammadApi]:
    """The API with the service user's token."""
    _, url = zammad_service
    with ZammadApi(base_url=f"{url}/api/v1", headers=headers(READER_TOKEN), timeout=120, trust_env=False) as client:
        yield client
