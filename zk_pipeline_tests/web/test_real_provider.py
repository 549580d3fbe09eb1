"""Signing in through a real OpenID Connect provider: django-oauth-toolkit, as a process."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from zk_pipeline.identity import users
from zk_pipeline.runtime.settings import SecondFactor, Settings
from zk_pipeline.store.database import Database
from zk_pipeline_tests.deploy.network import free_ports
from zk_pipeline_tests.web import real_provider
from zk_pipeline_tests.web.conftest import TESTER, Web, refused, web_app
from zk_pipeline_tests.web.provider_site import CLIENT, SECRET
from zk_pipeline_tests.web.real_provider import RealProvider
from zk_pipeline_tests.web.signing_in import ME, events, own_origin, user


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProvider]:
    with real_provider.running(tmp_path_factory.mktemp("provider"), free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def provider(standing: RealProvider) -> RealProvider:
    """The provider, at which nobody is signed in."""
    standing.browser.cookies.clear()
    return standing


def settings_of(provider: RealProvider, secret: str = SECRET) -> Settings:
    given = {"oidc_issuer": provider.url, "oidc_client_id": CLIENT, "oidc_client_secret": SecretStr(secret)}
    return Settings(_env_file=None, second_factor=SecondFactor.ALL, **given)


@pytest.fixture
def web(database: Database, provider: RealProvider) -> Iterator[Web]:
    with web_app(database, settings_of(provider)) as running:
        provider.sends_back_to(f"{str(running.client.base_url).rstrip('/')}/sign-in/oidc/callback")
        yield running


def came_back(
    web: Web, provider: RealProvider, name: str = "ada", *, again: bool = False
) -> tuple[httpx.Response, bool]:
    """Sign in as this person: the answer of our callback, and whether the provider asked for the password."""
    there = web.client.get("/sign-in/oidc", params={"next": "/audit", "again": again}).headers["location"]
    address, asked = provider.way_back(there, name)
    return web.client.get(address), asked


def test_somebody_new_comes_in_with_the_role_of_the_group_and_without_a_second_factor_of_ours(
    web: Web, provider: RealProvider
):
    answer, asked = came_back(web, provider)
    assert (asked, 'content="0;url=/audit"' in answer.text) == (True, True)
    ada = web.client.get(ME).json()
    assert (ada["email"], ada["name"], ada["role"], ada["has_password"]) == (
        "ada@example.com",
        "Ada",
        "operator",
        False,
    )
    assert [event for event, _, _ in events(web)] == ["user.signed_in"]


def test_a_local_user_is_linked_and_known_again_by_the_subject(web: Web, provider: RealProvider, database: Database):
    ada = user(database)
    came_back(web, provider)
    with database.transaction() as connection:
        users.change(connection, TESTER, ada.id, name="Somebody else")
    web.client.cookies.clear()
    came_back(web, provider)
    assert web.client.get(ME).json()["id"] == ada.id
    assert [event for event, _, _ in events(web)].count("user.linked") == 1


def test_without_a_group_that_names_a_role_nobody_comes_in(web: Web, provider: RealProvider):
    answer, _ = came_back(web, provider, "eve")
    assert (answer.status_code, "gives you no role here" in answer.text) == (403, True)
    assert web.client.get(ME).status_code == 401


def test_a_code_of_the_provider_counts_once(web: Web, provider: RealProvider):
    there = web.client.get("/sign-in/oidc").headers["location"]
    kept = web.client.cookies["zk_oidc"]
    address, _ = provider.way_back(there, "ada")
    assert web.client.get(address).status_code == 200
    web.client.cookies.clear()
    web.client.cookies.set("zk_oidc", kept)
    assert "answers 400" in web.client.get(address).text
    assert web.client.get(ME).status_code == 401


def test_another_secret_than_ours_lets_nobody_in(web: Web, provider: RealProvider, database: Database):
    with web_app(database, settings_of(provider, "another secret")) as other:
        provider.sends_back_to(f"{str(other.client.base_url).rstrip('/')}/sign-in/oidc/callback")
        answer, _ = came_back(other, provider)
        assert (answer.status_code, "answers 401" in answer.text) == (403, True)


def test_what_needs_the_password_again_needs_a_fresh_sign_in_at_the_provider(web: Web, provider: RealProvider):
    token = {"name": "export", "role": "viewer", "expires_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}

    def made() -> httpx.Response:
        return web.client.post("/api/v1/tokens", json=token, headers=own_origin(web))

    came_back(web, provider)
    assert made().status_code == 201
    provider.last_sign_in_was("-10 minutes")
    _, asked = came_back(web, provider)
    assert not asked
    refused(made(), 403, "Confirm with your password first")
    _, asked = came_back(web, provider, again=True)
    assert asked
    assert made().status_code == 201
