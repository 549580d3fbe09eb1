"""Users with passwords, and clients that sign in as them."""

import base64
import json
from typing import Any

import httpx

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline.identity.queries import User
from zk_pipeline.identity.users import NewUser
from zk_pipeline.store.database import Database
from zk_pipeline_tests.web.conftest import TESTER, Web

PASSWORD = "correct horse battery"
LOGIN, REFRESH, LOGOUT, ME = (f"/api/v1/auth/{name}" for name in ("login", "refresh", "logout", "me"))


def user(database: Database, email: str = "ada@example.com", role: Role = Role.OPERATOR) -> User:
    with database.transaction() as connection:
        return users.create(connection, TESTER, NewUser(email, role, "Ada", PASSWORD))


def login(web: Web, email: str = "ada@example.com", password: str = PASSWORD, **more: Any) -> httpx.Response:
    return web.client.post(LOGIN, json={"email": email, "password": password, **more})


def signed_in(web: Web) -> dict[str, Any]:
    """The tokens of a fresh session."""
    answer = login(web)
    assert answer.status_code == 200
    return answer.json()


def me(web: Web, token: str) -> httpx.Response:
    return web.client.get(ME, headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def own_origin(web: Web) -> dict[str, str]:
    return {"origin": str(web.client.base_url).rstrip("/")}


def content(token: str) -> dict[str, Any]:
    """What a signed token says."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def events(web: Web) -> list[tuple[str, str, str]]:
    """Event, actor and subject of the audit trail, without the making of users."""
    rows = web.rows("SELECT event, actor, subject FROM sync.audit_logs WHERE event <> 'user.created' ORDER BY id")
    return [(row[0], row[1], row[2]) for row in rows]
