"""Dagster's own web server behind the door, on a socket: its schema and its pages, and no code location."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from dagster import instance_for_test
from starlette.types import ASGIApp, Receive, Scope, Send

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.web.conftest import client_of, serving, token_of
from zk_pipeline_tests.web.signing_in import PASSWORD, user


@dataclass
class Watching:
    """Dagster's app, and what it was shown of each request."""

    app: ASGIApp
    seen: list[Scope]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope)
        await self.app(scope, receive, send)


@dataclass
class Ui:
    """Dagster's web server behind the door."""

    runtime: Runtime
    client: httpx.Client
    dagster: Watching

    @property
    def url(self) -> str:
        return str(self.client.base_url).rstrip("/")

    def bearer(self, role: Role) -> dict[str, str]:
        return {"authorization": f"Bearer {token_of(self.runtime.database, role)}"}

    @contextmanager
    def browser(self, role: Role) -> Iterator[httpx.Client]:
        """A browser that has signed in here, which sends with its own pages what browsers do."""
        user(self.runtime.database, f"{role}@browser.example", role)
        with client_of(self.url, {"origin": self.url, "sec-fetch-site": "same-origin"}) as client:
            answer = client.post("/sign-in", data={"email": f"{role}@browser.example", "password": PASSWORD})
            assert answer.status_code == 303
            yield client

    def ask(self, role: Role, query: str, **variables: Any) -> httpx.Response:
        asked = {"query": query, "variables": variables}
        return self.client.post("/graphql", json=asked, headers=self.bearer(role))


def guarded(runtime: Runtime, dagster: ASGIApp) -> ASGIApp:
    """Dagster's app behind the door."""
    from zk_pipeline.web.dagster_ui.server import create_app  # noqa: PLC0415 (it takes two seconds, see below)

    return create_app(runtime, dagster, "", {}.get)


@pytest.fixture(scope="module")
def dagster() -> Iterator[ASGIApp]:
    # They would take two seconds in each process that collects tests.
    from dagster_webserver.app import create_app_from_workspace_process_context  # noqa: PLC0415

    from zk_pipeline.web.dagster_ui.server import Workspace  # noqa: PLC0415

    with instance_for_test() as instance, Workspace(instance, None) as workspace:
        yield create_app_from_workspace_process_context(workspace)


@pytest.fixture
def ui(dagster: ASGIApp, database: Database, settings: Settings) -> Iterator[Ui]:
    runtime, watching = Runtime(settings, database, TokenCipher(generate_key())), Watching(dagster, [])
    with serving(guarded(runtime, watching)) as client:
        yield Ui(runtime, client, watching)
