"""The web app behind a real socket, on a real database that every test finds empty."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pydantic import SecretStr
from sqlalchemy import select, text

from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.identity import api_tokens, queries, users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.embedded import DatabaseEndpoint
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import connectors, tables
from zk_pipeline.store.connectors import StoredConnector
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.app import create_app
from zk_pipeline_tests import databases
from zk_pipeline_tests.databases import careless_server
from zk_sandbox.client import NO_CERTIFICATES

SECRET = "zammad-test-key"
PATH = "/api/v1/webhooks/zammad"
TESTER = Actor("cli:tests", Role.ADMIN)
PAYLOAD = b'{"ticket":{"id":1}}'
HASHING = users._hashing
"""What the product hashes passwords with."""


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

    database: Database
    client: httpx.Client

    def post(self, body: bytes, headers: dict[str, str] | None = None, *, path: str = PATH) -> httpx.Response:
        """Send these bytes, signed and declared as Zammad does unless other headers are given."""
        usual = {"content-type": "application/json; charset=utf-8", "x-hub-signature": signature(SECRET, body)}
        return self.client.post(path, content=body, headers={**usual, **(headers or {})})

    def stored(self) -> list[tuple[str, str, int, bytes]]:
        """Connector, delivery id, ticket and body of what is in the database."""
        table = tables.webhook_deliveries.c
        query = select(table.connector, table.delivery_id, table.ticket_id, table.body).order_by(table.id)
        with self.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(query)]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.transaction() as connection:
            return [tuple(row) for row in connection.execute(text(query))]


def client_of(url: httpx.URL | str, headers: dict[str, str] | None = None) -> httpx.Client:
    """A client of a web app without TLS; reading the machine's certificates takes longer than most of the tests."""
    return httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False, verify=NO_CERTIFICATES)


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """A client of this app on a free port; on leaving the app is stopped as by a signal."""
    config = uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=5)
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        assert server.listening.wait(90)
        try:
            with client_of(url) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


@contextmanager
def web_app(database: Database, settings: Settings, key: str = "") -> Iterator[Web]:
    """The web app on this database, with a key of its own unless one is given."""
    runtime = Runtime(settings, database, TokenCipher(key or generate_key()))
    with serving(create_app(runtime)) as client:
        yield Web(database, client)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseEndpoint]:
    with careless_server(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="session")
def migrated(endpoint: DatabaseEndpoint) -> Iterator[Database]:
    with databases.migrated(endpoint) as database:
        yield database


@pytest.fixture
def database(migrated: Database) -> Database:
    """Empty but for the connectors."""
    databases.empty(migrated)
    connect(migrated)
    return migrated


def connect(database: Database) -> None:
    """Store two sources, of which one is active, and a target."""
    cipher = TokenCipher(generate_key())
    with database.transaction() as connection:
        for name, role in (("retired", "source"), ("zammad", "source"), ("kimai", "target")):
            stored = StoredConnector(name, role, name, f"http://{name}.invalid", "token")
            connectors.save(connection, stored, cipher)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hashes that cost nothing; each says what it costs, also to processes. test_throttle.py has the product's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(users, "_hashing", PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),)))
        yield


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """The settings; a test gives its own with `@pytest.mark.parametrize(..., indirect=True)`."""
    given: dict[str, Any] = getattr(request, "param", {})
    # Tests of Dagster may have left theirs in the environment.
    usual: dict[str, Any] = {"_env_file": None, "webhook_secret": SecretStr(SECRET), "dagster_url": None}
    return Settings(**{**usual, **given})


def refused(answer: httpx.Response, status: int, part: str) -> None:
    """Check that an answer is an error of the one form, with this in its sentence."""
    assert answer.status_code == status
    error = answer.json()
    assert set(error) == {"detail", "status_code", "timestamp", "request_id"}
    assert part in error["detail"]
    assert error["detail"].endswith(".")
    assert error["status_code"] == status
    assert datetime.fromisoformat(error["timestamp"]).tzinfo is not None
    assert error["request_id"] == answer.headers["x-request-id"]


@pytest.fixture
def web(database: Database, settings: Settings) -> Iterator[Web]:
    with web_app(database, settings) as running:
        yield running


@pytest.fixture
def as_role(web: Web) -> Iterator[Callable[[str], httpx.Client]]:
    """`as_role("operator")` is a client of the web app who shows an API token of a user with this role."""
    with ExitStack() as stack:

        def client(role: str) -> httpx.Client:
            headers = {"authorization": f"Bearer {token_of(web.database, Role(role))}"}
            return stack.enter_context(client_of(web.client.base_url, headers))

        yield client


@pytest.fixture
def in_session(web: Web) -> Iterator[Callable[[str], httpx.Client]]:
    """As `as_role`, but signed in by password just now, so that accounts may be changed."""
    with ExitStack() as stack:

        def client(role: str) -> httpx.Client:
            email, password = f"{role}@example.com", "correct horse battery"
            with web.database.transaction() as connection:
                new = NewUser(email, Role(role))
                user = queries.user_of_email(connection, email) or users.create(connection, TESTER, new)
                queries.change_user(connection, user.id, password_hash=users.hash_password(password))
            answer = web.client.post("/api/v1/auth/login", json={"email": email, "password": password})
            headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
            return stack.enter_context(client_of(web.client.base_url, headers))

        yield client


def token_of(database: Database, role: Role) -> str:
    """An API token of a user with this role, who is created by the first call."""
    email = f"{role}@example.com"
    with database.transaction() as connection:
        user = queries.user_of_email(connection, email) or users.create(connection, TESTER, NewUser(email, role))
        owner = Actor(f"user:{user.id}", role)
        return api_tokens.issue(connection, owner, "tests", role, datetime.now(UTC) + timedelta(days=1)).token
