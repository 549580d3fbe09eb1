"""Every route of the web app with every role: generated from the routes, so that a new one cannot be forgotten."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts

from zk_pipeline.operations.actors import Role
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.access import Needs
from zk_pipeline.web.app import create_app
from zk_pipeline_tests.web.api.conftest import AsRole
from zk_pipeline_tests.web.conftest import Web, refused

PUBLIC = {
    "GET /api/health",
    "GET /metrics",  # Asks for a viewer by itself, but for callers on this machine.
    "POST /api/v1/webhooks/{connector}",
    "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh",
    "POST /api/v1/auth/logout",
    # These two send strangers to the sign-in.
    "GET /api/docs",
    "GET /api/redoc",
    "GET /sign-in",
    "POST /sign-in",
    "POST /sign-out",
    "GET /renew",
    "GET /sign-in/oidc",
    "GET /sign-in/oidc/callback",
}
"""What needs no role, each on purpose."""

NEUTRAL = {"day": "2025-10-08", "month": "2025-10", "collection": "users", "name": "catch_up", "connector": "zammad"}
"""Values of path parameters; all others are numbers of what does not exist."""


@dataclass(frozen=True)
class Guarded:
    """A route and the role that it needs."""

    method: str
    path: str
    role: Role

    def url(self) -> str:
        return re.sub(r"\{(\w+)[^}]*\}", lambda found: NEUTRAL.get(found[1], "987654"), self.path)


def needed(dependant: Dependant) -> Role | None:
    if isinstance(dependant.call, Needs):
        return dependant.call.role
    roles = [role for inner in dependant.dependencies if (role := needed(inner)) is not None]
    return max(roles, key=list(Role).index, default=None)


def routes() -> Iterator[tuple[str, str, Role | None]]:
    """Method, path and needed role of every route that the app has."""
    database = Database("postgresql+psycopg://nobody@/nowhere")  # Never connected to.
    app = create_app(Runtime(Settings(_env_file=None), database, TokenCipher(generate_key())))
    for context in iter_route_contexts(app.routes):
        route = context.route
        if isinstance(route, APIRoute):
            for method in sorted(route.methods):
                yield method, context.path, needed(route.dependant)


ROUTES = list(routes())
GUARDED = [Guarded(method, path, role) for method, path, role in ROUTES if role is not None]


def test_what_needs_no_role_is_public_on_purpose():
    assert {f"{method} {path}" for method, path, role in ROUTES if role is None} <= PUBLIC


def test_there_are_routes_for_each_role():
    assert {route.role for route in GUARDED} == set(Role)


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_strangers_are_answered_with_401(web: Web, route: Guarded):
    refused(web.client.request(route.method, route.url()), 401, "")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_passes_where_it_may_and_is_answered_with_403_elsewhere(web: Web, as_role: AsRole, role: Role):
    client = as_role(role)
    wrong = [told for route in GUARDED if (told := mistaken(client, route, role))]
    assert wrong == []


def mistaken(client: httpx.Client, route: Guarded, role: Role) -> str:
    """What is wrong with how a route answers a role; a request that is let in may well be refused for its content."""
    status = client.request(route.method, route.url()).status_code
    right = status not in {401, 403} and status < 500 if role.covers(route.role) else status == 403
    return "" if right else f"{route.method} {route.path} answers {role} with {status}"
