"""The web app behind a real socket, on a real database that every test finds empty."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from pydantic import SecretStr
from sqlalchemy import select, text

from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings
from zk_pipeline.store import connections, tables
from zk_pipeline.store.connections import StoredConnector
from zk_pipeline.store.database import Database
from zk_pipeline.store.embedded import Endpoint, embedded_server
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.store.schema import migrate
from zk_pipeline.web.app import create_app
from zk_pipeline.web.signature import signature

SECRET = "zammad-test-key"
PATH = "/api/v1/webhooks/zammad"
PAYLOAD = b'{"ticket":{"id":1}}'


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@dataclass
class Web:
    """A running web app: how Zammad calls it, and what it has stored."""

    url: str
    runtime: Runtime
    client: httpx.Client = field(repr=False)

    def post(self, body: bytes, headers: dict[str, str] | None = None, *, path: str = PATH) -> httpx.Response:
        """Send these bytes, signed and declared as Zammad does unless other headers are given."""
        usual = {"content-type": "application/json; charset=utf-8", "x-hub-signature": signature(SECRET, body)}
        return self.client.post(path, content=body, headers={**usual, **(headers or {})})

    def stored(self) -> list[tuple[str, str, int, bytes]]:
        """Connector, delivery id, ticket and body of what is in the database."""
        table = tables.webhook_deliveries.c
        query = select(table.connector, table.delivery_id, table.ticket_id, table.body).order_by(table.id)
        with self.runtime.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.runtime.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


@contextmanager
def serving(runtime: Runtime) -> Iterator[Web]:
    """The web app of this runtime on a free port; on leaving it is stopped as by a signal."""
    config = uvicorn.Config(
        create_app(runtime), log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=5
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        assert server.listening.wait(20)
        try:
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                yield Web(url, runtime, client)
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    home: Path = tmp_path_factory.mktemp("web")
    with embedded_server(home) as running:
        with psycopg.connect(**running.parameters(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # No test pulls the plug of the machine.
            connection.execute("SELECT pg_reload_conf()")
        yield running


@pytest.fixture(scope="session")
def migrated(endpoint: Endpoint) -> Iterator[Database]:
    database = Database(endpoint.url())
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def database(migrated: Database) -> Database:
    """Empty but for two sources of which one is active, and a target."""
    names = ", ".join(f"{table.schema}.{table.name}" for table in tables.metadata.sorted_tables)
    cipher = TokenCipher(generate_key())
    with migrated.transaction() as connection:
        connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        for name, role in (("retired", "source"), ("zammad", "source"), ("kimai", "target")):
            stored = StoredConnector(name, role, name, f"http://{name}.invalid", "token")
            connections.save(connection, stored, cipher)
    return migrated


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """The settings; a test gives its own with `@pytest.mark.parametrize(..., indirect=True)`."""
    given: dict[str, Any] = getattr(request, "param", {})
    return Settings(_env_file=None, **{"webhook_secret": SecretStr(SECRET), **given})


@pytest.fixture
def web(database: Database, settings: Settings) -> Iterator[Web]:
    with serving(Runtime(settings, database, TokenCipher(generate_key()))) as running:
        yield running
