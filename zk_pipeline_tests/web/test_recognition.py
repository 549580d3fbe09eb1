"""What is not believed: forged tokens, tokens in addresses, and cookies that another site made the browser send."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import text

from zk_pipeline.identity.sign_in import Claim, Purpose, SessionTokens
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.web.conftest import Web, refused, web_app
from zk_pipeline_tests.web.signing_in import (
    LOGIN,
    LOGOUT,
    ME,
    PASSWORD,
    REFRESH,
    bearer,
    content,
    login,
    me,
    own_origin,
    signed_in,
    user,
)

KEY = generate_key()
SIGNING = TokenCipher(KEY).derived("zk_pipeline session tokens")[0]


@pytest.fixture
def web(database: Database, settings: Settings):
    """The web app with a key that the tests know."""
    user(database)
    with web_app(database, settings, KEY) as running:
        yield running


def forged(web: Web, key: bytes | str | None = SIGNING, algorithm: str = "HS256", **changed: Any) -> str:
    """A token like the one of a real session, but for this."""
    claims = {**content(signed_in(web)["access_token"]), **changed}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm)


def test_the_forgery_without_a_change_would_be_believed(web: Web):
    assert me(web, forged(web)).status_code == 200


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    "made",
    [
        {"key": None, "algorithm": "none"},
        {"key": b"a key of somebody else, as long!!"},
        {"algorithm": "HS512"},
        {"exp": 1},
        {"aud": "somebody else"},
        {"aud": Purpose.REFRESH},
        {"iss": "somebody else"},
        {"sid": "another-session"},
        {"exp": None},
        {"jti": None},
        {"sid": None},
    ],
    ids=str,
)
def test_a_forged_token_is_refused(web: Web, made: dict[str, Any]):
    refused(me(web, forged(web, **made)), 401, "the session is over")


@pytest.mark.parametrize("token", ["x", "a.b.c", "zk_", "zk_" + "A" * 43, "é", "A" * 8000])
def test_what_is_no_token_is_refused(web: Web, token: str):
    answer = web.client.get(ME, headers={b"authorization": b"Bearer " + token.encode()})
    assert answer.status_code == 401


def test_a_token_says_nothing_about_the_role(web: Web):
    assert set(content(signed_in(web)["access_token"])) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp"}


def test_a_token_of_an_older_key_counts_until_the_key_is_dropped():
    old, new = generate_key(), generate_key()
    claim, until = Claim("session", 7), datetime.now(UTC) + timedelta(minutes=1)
    token = SessionTokens(TokenCipher(old)).sign(Purpose.ACCESS, claim, until)
    assert SessionTokens(TokenCipher(f"{new},{old}")).read(Purpose.ACCESS, token) == claim
    assert SessionTokens(TokenCipher(new)).read(Purpose.ACCESS, token) is None


def test_a_session_that_is_over_does_not_count_even_with_a_token_that_does(web: Web):
    token = signed_in(web)["access_token"]
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET expires_at = now()"))
    refused(me(web, token), 401, "the session is over")


@pytest.mark.parametrize("name", ["token", "access_token", "Access_Token", "refresh_token", "api_key"])
def test_a_token_in_the_address_is_refused_whatever_else_is_sent(web: Web, name: str):
    token = signed_in(web)["access_token"]
    refused(web.client.get(ME, params={name: token}), 400, "where logs keep it")
    refused(web.client.get(ME, params={name: token}, headers=bearer(token)), 400, "where logs keep it")


@pytest.fixture
def browser(web: Web) -> httpx.Client:
    """A client with the cookies of a session."""
    assert login(web, cookies=True).status_code == 403
    answer = web.client.post(
        LOGIN, json={"email": "ada@example.com", "password": PASSWORD, "cookies": True}, headers=own_origin(web)
    )
    assert (answer.json()["access_token"], answer.json()["refresh_token"]) == (None, None)
    return web.client


def test_a_browser_gets_cookies_that_no_script_reads_and_no_other_site_sends(browser: httpx.Client, web: Web):
    (cookie,) = browser.post(REFRESH, headers=own_origin(web)).headers.get_list("set-cookie")
    assert cookie.startswith("zk_session=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= set(cookie.split("; "))


@pytest.mark.parametrize("settings", [{"public_url": "https://zk.example.com"}], indirect=True)
def test_over_tls_the_cookies_are_bound_to_the_host(web: Web):
    origin = {"origin": "https://zk.example.com"}
    answer = web.client.post(
        LOGIN, json={"email": "ada@example.com", "password": PASSWORD, "cookies": True}, headers=origin
    )
    for cookie in answer.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-zk_")
        assert "Secure" in cookie.split("; ")
        assert "domain" not in cookie.lower()


def test_a_browser_is_recognized_by_its_cookie(browser: httpx.Client):
    assert browser.get(ME).json()["email"] == "ada@example.com"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "none"},
        {"referer": "http://127.0.0.1/"},
    ],
    ids=str,
)
@pytest.mark.parametrize(("method", "path"), [("PATCH", ME), ("POST", REFRESH), ("POST", LOGOUT)])
def test_another_site_cannot_act_with_the_cookies(
    browser: httpx.Client, headers: dict[str, str], method: str, path: str
):
    answer = browser.request(method, path, json={"name": "Eve"} if path == ME else {}, headers=headers)
    refused(answer, 403, "does not come from a page of this host")
    assert browser.get(ME).json()["name"] == "Ada"


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, None])
def test_our_own_pages_can(browser: httpx.Client, web: Web, headers: dict[str, str] | None):
    answer = browser.patch(ME, json={"name": "Ada L."}, headers=headers or own_origin(web))
    assert answer.json()["name"] == "Ada L."


def test_a_bearer_needs_no_origin(web: Web):
    token = signed_in(web)["access_token"]
    assert web.client.patch(ME, json={"name": "Ada L."}, headers=bearer(token)).json()["name"] == "Ada L."


def test_signing_out_takes_the_cookies_away_but_that_of_the_device(browser: httpx.Client, web: Web):
    assert browser.post(LOGOUT, headers=own_origin(web)).status_code == 204
    assert set(browser.cookies) == {"zk_device"}
    assert browser.get(ME).status_code == 401
