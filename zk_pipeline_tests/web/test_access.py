"""Every route and every role: what needs a role refuses strangers and lower roles, and what is public is named here."""

import re
from collections.abc import Callable, Iterable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.app import create_app
from zk_pipeline.web.authentication import Needs
from zk_pipeline_tests.web.conftest import Web

PUBLIC = {
    "GET /api/health": "supervisors and proxies ask it",
    "HEAD /api/health": "monitors ask it",
    "POST /api/v1/webhooks/{connector}": "Zammad signs what it sends",
    "POST /api/v1/auth/login": "this is how one signs in",
    "POST /api/v1/auth/refresh": "refresh token or cookie is the proof",
    "POST /api/v1/auth/logout": "nobody is kept from leaving",
    "GET /sign-in": "this is how one signs in",
    "POST /sign-in": "this is how one signs in",
    "GET /sign-in/code": "the password before is the proof",
    "POST /sign-in/code": "the password before is the proof",
    "POST /sign-out": "nobody is kept from leaving",
    "GET /renew": "the cookie is the proof",
    "GET /sign-in/oidc": "this is how one signs in",
    "GET /sign-in/oidc/callback": "this is how one signs in",
    "GET /metrics": "this machine may always ask",
    "GET /api/docs": "sends strangers to the sign-in",
    "GET /api/redoc": "sends strangers to the sign-in",
}
"""Routes that declare no role, and why."""

ASKING_DAGSTER = {"POST /api/v1/statements/refresh", "POST /api/v1/sync/runs/{run_id}/cancel"}
"""Routes that need no more than the role to ask Dagster, which does not run here."""

ANY = "999999"
"""Stands for what a path names: there is none of this number or name."""


def routes_of(app: FastAPI) -> Iterator[APIRoute]:
    """The routes of the app and of the routers that it includes."""
    for route in app.routes:
        inside: Iterable[object] = getattr(getattr(route, "original_router", None), "routes", [route])
        yield from (each for each in inside if isinstance(each, APIRoute))


def needed(dependant: Dependant) -> Role | None:
    """The role that a route declares."""
    for dependency in dependant.dependencies:
        role = dependency.call.role if isinstance(dependency.call, Needs) else needed(dependency)
        if role is not None:
            return role
    return None


@pytest.fixture
def declared(database: Database, settings: Settings) -> dict[str, Role | None]:
    """Method and path of every route, and the role that it declares."""
    app = create_app(Runtime(settings, database, TokenCipher(generate_key())))
    return {
        f"{method} {route.path}": needed(route.dependant) for route in routes_of(app) for method in route.methods or ()
    }


def answered(client: httpx.Client, route: str) -> int:
    method, _, path = route.partition(" ")
    return client.request(method, re.sub(r"\{[^}]+\}", ANY, path)).status_code


def test_there_are_routes_for_every_role(declared: dict[str, Role | None]):
    assert set(Role) <= set(declared.values())


def test_what_declares_no_role_is_public_on_purpose(declared: dict[str, Role | None]):
    assert sorted(route for route, role in declared.items() if role is None and route not in PUBLIC) == []


def test_a_stranger_gets_401_from_every_route_that_needs_a_role(web: Web, declared: dict[str, Role | None]):
    asked = {route: answered(web.client, route) for route, role in declared.items() if role}
    assert {route: status for route, status in asked.items() if status != 401} == {}


def test_a_stranger_learns_nothing_of_a_body(web: Web, declared: dict[str, Role | None]):
    for route, role in declared.items():
        method, _, path = route.partition(" ")
        if role is not None and method not in {"GET", "HEAD"}:
            headers = {"content-type": "application/json"}
            answer = web.client.request(method, re.sub(r"{.*?}", ANY, path), content='{"', headers=headers)
            assert answer.status_code == 401, f"{route}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("own", list(Role))
def test_every_route_answers_403_to_lower_roles_and_to_no_other(
    in_session: Callable[[str], httpx.Client], declared: dict[str, Role | None], own: Role
):
    client = in_session(own)
    asked = {route: answered(client, route) for route, role in declared.items() if role}
    failed = {route: status for route, status in asked.items() if status >= 500}
    assert failed == dict.fromkeys(ASKING_DAGSTER & failed.keys(), 502)
    refused = {route: status for route, status in asked.items() if status in {401, 403}}
    assert refused == {route: 403 for route, role in declared.items() if role and not own.covers(role)}
