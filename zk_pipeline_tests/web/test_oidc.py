"""What an identity provider may say wrongly or change its mind about; a real one is in test_real_provider.py."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline_tests.web.conftest import TESTER, Web, refused, serving, web_app
from zk_pipeline_tests.web.provider import CLIENT, SECRET, OidcProvider
from zk_pipeline_tests.web.signing_in import ME, events, user

ADA = {"email": "Ada@example.com", "email_verified": True, "name": "Ada", "zk_role": "operator"}


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    made = OidcProvider(dict(ADA))
    with serving(made.app()) as client:
        made.url = str(client.base_url).rstrip("/")
        yield made


@pytest.fixture
def web(database: Database, provider: OidcProvider) -> Iterator[Web]:
    settings = Settings(
        _env_file=None, oidc_issuer=provider.url, oidc_client_id=CLIENT, oidc_client_secret=SecretStr(SECRET)
    )
    with web_app(database, settings) as running:
        yield running


def way_back(web: Web) -> httpx.URL:
    """Go to the provider and let it send us back: the address of the callback."""
    there = web.client.get("/sign-in/oidc", params={"next": "/audit"})
    return httpx.URL(httpx.get(there.headers["location"], timeout=120, trust_env=False).headers["location"])


def come_back(web: Web) -> httpx.Response:
    return web.client.get(way_back(web))


def turned_away(web: Web, answer: httpx.Response, told: str) -> None:
    """Check that nobody is signed in, and that the page says why."""
    assert answer.status_code == 403
    assert told in answer.text
    assert web.client.get(ME).status_code == 401
    assert web.rows("SELECT id FROM sync.sessions") == []


def test_the_sign_in_page_offers_the_provider(web: Web, provider: OidcProvider):
    name = provider.url.removeprefix("http://")
    assert f'href="/sign-in/oidc?next=/audit">Sign in with {name}' in web.client.get("/sign-in?next=/audit").text


def test_a_user_is_known_again_by_the_subject_whatever_the_email_says(web: Web, provider: OidcProvider):
    come_back(web)
    provider.claims |= {"email": "renamed@example.com", "email_verified": False}
    come_back(web)
    assert web.client.get(ME).json()["email"] == "ada@example.com"
    assert web.rows("SELECT count(*) FROM sync.users") == [(1,)]


def test_the_role_follows_the_claim_at_each_sign_in(web: Web, provider: OidcProvider):
    come_back(web)
    provider.claims["zk_role"] = ["something else", "viewer"]
    come_back(web)
    assert web.client.get(ME).json()["role"] == "viewer"


@pytest.mark.parametrize("role", [None, "", "root", ["root"], 1, {"admin": True}], ids=str)
def test_without_a_known_role_nobody_comes_in(web: Web, provider: OidcProvider, role: Any):
    provider.claims["zk_role"] = role
    turned_away(
        web, come_back(web), "gives you no role here. Its claim zk_role must be one of viewer, operator, admin."
    )
    assert events(web) == [("user.sign_in_failed", "nobody", "identity-provider")]


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_email_that_was_not_verified_lets_nobody_in(
    web: Web, provider: OidcProvider, database: Database, verified: Any
):
    user(database)
    provider.claims["email_verified"] = verified
    turned_away(web, come_back(web), "Have your e-mail verified")


def test_the_email_of_another_identity_lets_nobody_in(web: Web, provider: OidcProvider):
    come_back(web)
    web.client.cookies.clear()
    provider.changed["sub"] = "two"
    assert "belongs to another account" in come_back(web).text
    assert web.client.get(ME).status_code == 401


def test_a_deactivated_user_stays_out(web: Web, database: Database):
    with database.transaction() as connection:
        users.change(connection, TESTER, user(database).id, active=False)
    turned_away(web, come_back(web), "ada@example.com was deactivated")


def test_the_last_admin_is_not_demoted_by_a_claim(web: Web, provider: OidcProvider, database: Database):
    ada = user(database, role=Role.ADMIN)
    turned_away(web, come_back(web), "is the last active admin")
    with database.transaction() as connection:
        assert users.user_by_id(connection, ada.id).role == "admin"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nonce": "of another sign-in"}, "belongs to another sign-in (nonce)"),
        ({"nonce": None}, "belongs to another sign-in (nonce)"),
        ({"aud": "another application"}, "The identity token is not valid"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "made for another application (azp)"),
        ({"iss": "https://evil.example"}, "The identity token is not valid"),
        ({"exp": 1}, "The identity token is not valid"),
        ({"exp": None}, "The identity token is not valid"),
        ({"sub": None}, "The identity token is not valid"),
    ],
    ids=str,
)
def test_an_identity_token_with_a_wrong_claim_is_refused(
    web: Web, provider: OidcProvider, changed: dict[str, Any], told: str
):
    provider.changed = changed
    turned_away(web, come_back(web), told)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("none", None),
        ("HS256", SECRET * 2),
        ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
    ids=["none", "a shared secret", "another key"],
)
def test_an_identity_token_that_the_provider_did_not_sign_is_refused(
    web: Web, provider: OidcProvider, algorithm: str, key: Any
):
    provider.algorithm, provider.key = algorithm, key
    turned_away(web, come_back(web), "The identity token is not valid")


def test_a_state_counts_once(web: Web):
    address = way_back(web)
    flow = web.client.cookies["zk_oidc"]
    web.client.get(address)
    assert "zk_oidc" not in web.client.cookies
    web.client.cookies.clear()
    assert "did not begin the sign-in" in web.client.get(address).text
    web.client.cookies.set("zk_oidc", flow)
    assert "answers 400" in web.client.get(address).text
    assert web.client.get(ME).status_code == 401


def test_nobody_can_be_led_into_somebody_elses_sign_in(web: Web):
    address = way_back(web)
    web.client.get("/sign-in/oidc")
    turned_away(web, web.client.get(address), "belongs to another sign-in (state)")


def test_another_site_begins_no_sign_in(web: Web):
    answer = web.client.get("/sign-in/oidc?next=/audit", headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, 'href="/sign-in/oidc?next=/audit"' in answer.text) == (200, True)
    assert "zk_oidc" not in web.client.cookies


def test_what_the_provider_refuses_is_told(web: Web):
    state = way_back(web).params["state"]
    answer = web.client.get("/sign-in/oidc/callback", params={"state": state, "error": "access_denied"})
    turned_away(web, answer, "refused the sign-in")


def test_what_the_provider_refuses_is_told_in_the_browsers_language(web: Web):
    state = way_back(web).params["state"]
    given = {"state": state, "error": "access_denied"}
    answer = web.client.get("/sign-in/oidc/callback", params=given, headers={"accept-language": "de"})
    turned_away(web, answer, "Der Identitätsanbieter hat die Anmeldung abgelehnt.")


@pytest.mark.parametrize("settings", [{"oidc_issuer": "http://127.0.0.1:9", "oidc_client_id": CLIENT}], indirect=True)
def test_a_provider_that_does_not_answer_is_told(database: Database, settings: Settings):
    with web_app(database, settings) as web:
        answer = web.client.get("/sign-in/oidc")
    assert (answer.status_code, "does not answer at http://127.0.0.1:9" in answer.text) == (502, True)


def test_without_a_provider_there_is_no_such_page(database: Database, settings: Settings):
    with web_app(database, settings) as web:
        refused(web.client.get("/sign-in/oidc"), 404, "There is no identity provider")
