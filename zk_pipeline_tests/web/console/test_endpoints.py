"""Every address of the API that reads, asked about what there is: it answers whoever may ask, and nobody below."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.api.documentation import SCHEMA
from zk_pipeline.web.app import create_app
from zk_pipeline_tests.web.conftest import token_of
from zk_pipeline_tests.web.console.site import FIRST, LAST, Site
from zk_pipeline_tests.web.test_access import needed, routes_of

ELSEWHERE = {"/api/v1/statements/{month}": "needs the marts: test_statements.py asks for it in every form"}

ASKED = {"first": FIRST, "last": LAST, "cron": "0 * * * *", "format": "csv"}
"""Values for the query, of which each route gets those that it knows."""

NAMED = {
    "conflict_id": "SELECT id FROM sync.conflicts",
    "connector_id": "SELECT id FROM sync.connectors WHERE role = 'source'",
    "user_id": "SELECT id FROM sync.users",
    "run_id": "SELECT run_id FROM sync.writes",
    "source_id": "SELECT source_id FROM sync.pushes",
    "day": "SELECT entry_date FROM sync.reconciliation_results ORDER BY key",
    "key": "SELECT key FROM sync.reconciliation_results ORDER BY key",
}
"""What stands for each parameter of a path, taken from the database."""


@pytest.fixture(scope="module")
def clients(site: Site) -> Iterator[dict[Role, httpx.Client]]:
    def client(role: Role) -> httpx.Client:
        headers = {"authorization": f"Bearer {token_of(site.database, role)}"}
        return httpx.Client(base_url=site.url, headers=headers, timeout=120, trust_env=False)

    opened = {role: client(role) for role in Role}
    yield opened
    for each in opened.values():
        each.close()


@pytest.fixture(scope="module")
def reading(site: Site) -> dict[str, Role]:
    """The paths that are read with GET, and the role that each needs."""
    own = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    app = create_app(Runtime(own, site.database, TokenCipher(generate_key())))
    found = {route.path: needed(route.dependant) for route in routes_of(app) if "GET" in (route.methods or ())}
    return {path: role for path, role in found.items() if role and path not in ELSEWHERE}


@pytest.fixture(scope="module")
def addresses(site: Site, clients: dict[Role, httpx.Client], reading: dict[str, Role]) -> dict[str, str]:
    """Each path with real names in it, and values for its query."""
    with site.database.transaction() as connection:
        real: dict[str, Any] = {
            name: connection.execute(text(f"{query} LIMIT 1")).scalar_one() for name, query in NAMED.items()
        }
    asked = clients[Role.OPERATOR].post("/api/v1/sync/requests", json={"first": FIRST, "last": FIRST})
    mapping = clients[Role.VIEWER].get("/api/v1/mappings/users").json()["items"][0]["key"]
    real |= {"request_id": asked.json()["id"], "collection": "users", "month": FIRST[:7]}
    described = clients[Role.VIEWER].get(SCHEMA).json()["paths"]

    def address(path: str) -> str:
        known = {row["name"] for row in described.get(path, {}).get("get", {}).get("parameters", ())}
        query = urlencode({name: value for name, value in ASKED.items() if name in known})
        return f"{path.format_map({**real, 'key': mapping} if '/mappings/' in path else real)}?{query}".removesuffix(
            "?"
        )

    return {path: address(path) for path in reading}


def answered(client: httpx.Client, address: str) -> int:
    return client.get(address).status_code


def test_whoever_may_read_something_gets_it(
    clients: dict[Role, httpx.Client], reading: dict[str, Role], addresses: dict[str, str]
):
    answers = {addresses[path]: answered(clients[role], addresses[path]) for path, role in reading.items()}
    assert {address: status for address, status in answers.items() if status // 100 != 2} == {}
    assert len(answers) > 30


def test_a_real_name_does_not_open_what_a_role_may_not_read(
    clients: dict[Role, httpx.Client], reading: dict[str, Role], addresses: dict[str, str]
):
    above = {path: role for path, role in reading.items() if not Role.VIEWER.covers(role)}
    answers = {path: answered(clients[Role.VIEWER], addresses[path]) for path in above}
    assert answers == dict.fromkeys(above, 403)
    assert above
