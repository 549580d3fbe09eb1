"""The sign-in page as a browser without scripts uses it."""

import re
from hashlib import sha256
from html import unescape

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.web.sign_in import local_target
from zk_pipeline_tests.web.conftest import Web, refused
from zk_pipeline_tests.web.signing_in import ME, PASSWORD, REFRESH, content, events, me, own_origin, signed_in, user


@pytest.fixture(autouse=True)
def ada(web: Web) -> int:
    return user(web.database).id


def enter(web: Web, password: str = PASSWORD, **more: str) -> httpx.Response:
    typed = {"email": "ada@example.com", "password": password, **more}
    return web.client.post("/sign-in", data=typed, headers=own_origin(web))


def wait(web: Web, minutes: int) -> None:
    """So long ago the cookie of the session was exchanged."""
    with web.database.transaction() as connection:
        passed = text("UPDATE sync.sessions SET refreshed_at = now() - make_interval(mins => :minutes)")
        connection.execute(passed, {"minutes": minutes})


def shown(web: Web, cookie: str, path: str = ME) -> httpx.Response:
    """What another browser with this cookie is answered."""
    return httpx.get(web.client.base_url.join(path), cookies={"zk_session": cookie}, timeout=120, trust_env=False)


def test_the_form_leads_on_to_where_somebody_wanted_to_go(web: Web):
    page = web.client.get("/sign-in", params={"next": "/reconcile?day=2025-10-01"})
    assert re.search(r'name="next" value="/reconcile\?day=2025-10-01"', page.text)
    answer = enter(web, next="/reconcile?day=2025-10-01")
    assert (answer.status_code, answer.headers["location"]) == (303, "/reconcile?day=2025-10-01")
    assert web.client.get(ME).json()["email"] == "ada@example.com"


@pytest.mark.parametrize(
    ("accepted", "language", "label"),
    [("de-AT,de;q=0.9", "de", "Anmelden"), ("fr", "fr", "Mot de passe"), ("ja", "en", "Sign in")],
)
def test_the_form_speaks_the_browsers_language(web: Web, accepted: str, language: str, label: str):
    page = web.client.get("/sign-in", headers={"accept-language": accepted}).text
    assert f'<html lang="{language}">' in page
    assert label in page


def test_a_wrong_password_is_told_and_the_email_is_kept(web: Web):
    answer = enter(web, "a wrong password")
    assert answer.status_code == 401
    assert 'role="alert">E-mail or password is wrong' in answer.text
    assert 'value="ada@example.com"' in answer.text
    assert "set-cookie" not in answer.headers


def test_what_was_typed_is_shown_as_text_and_not_as_html(web: Web):
    answer = web.client.post("/sign-in", data={"email": '"><script>', "next": '/"><script>'}, headers=own_origin(web))
    assert "<script" not in answer.text


def test_the_page_runs_no_scripts_and_fits_in_no_frame(web: Web):
    policy = web.client.get("/sign-in").headers["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} <= set(policy.split("; "))


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}, {"origin": "null"}], ids=str)
def test_another_site_cannot_sign_somebody_in_or_out(web: Web, headers: dict[str, str]):
    typed = {"email": "ada@example.com", "password": PASSWORD}
    refused(web.client.post("/sign-in", data=typed, headers=headers), 403, "does not come from a page of this host")
    enter(web)
    refused(web.client.post("/sign-out", headers=headers), 403, "does not come from a page of this host")
    assert web.client.get(ME).status_code == 200


def test_somebody_who_is_signed_in_is_led_on(web: Web):
    enter(web)
    answer = web.client.get("/sign-in", params={"next": "/audit"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit")


def test_who_follows_a_link_from_another_site_comes_again_with_the_cookie(web: Web):
    sent = web.client.get("/sign-in", params={"next": "/audit?page=2"}, headers={"sec-fetch-site": "cross-site"})
    (again,) = re.findall('content="0;url=([^"]+)"', sent.text)
    assert unescape(again) == "/sign-in?next=/audit%3Fpage%3D2&again=true"
    form = web.client.get(unescape(again), headers={"sec-fetch-site": "cross-site"}).text
    assert 'name="next" value="/audit?page=2"' in form
    enter(web)
    assert web.client.get(unescape(again)).headers["location"] == "/audit?page=2"


def test_the_cookie_is_random_and_the_database_does_not_hold_it(web: Web):
    enter(web)
    name, proof = web.client.cookies["zk_session"].split(".")
    ((row,),) = web.rows("SELECT sessions::text FROM sync.sessions")
    assert name not in row
    assert proof not in row
    assert sha256(name.encode()).hexdigest() in row


@pytest.mark.parametrize("sent", ["", "x", "a.b", "é.ü", '"\\000"', f"{'A' * 32}.{'A' * 43}", "A" * 8000])
def test_what_is_no_cookie_of_ours_is_refused(web: Web, sent: str):
    cookie = {b"cookie": b"zk_session=" + sent.encode()}
    assert web.client.get(ME, headers=cookie).status_code == 401
    assert web.client.get("/renew", headers=cookie).headers["location"] == "/sign-in?next=/"


def test_tokens_are_no_cookies_and_cookies_are_no_tokens(web: Web):
    tokens = signed_in(web)
    assert {shown(web, tokens[name]).status_code for name in ("access_token", "refresh_token")} == {401}
    guess = f"{content(tokens['access_token'])['sid']}.{'A' * 43}"
    assert shown(web, guess).status_code == 401
    assert me(web, tokens["access_token"]).status_code == 200
    enter(web)
    cookie = web.client.cookies["zk_session"]
    assert me(web, cookie).status_code == 401
    assert web.client.post(REFRESH, json={"refresh_token": cookie}).status_code == 401
    assert web.client.get(ME).status_code == 200


def test_a_session_that_nobody_uses_is_over(web: Web):
    enter(web)
    wait(web, 119)
    assert web.client.get(ME).status_code == 200
    wait(web, 121)
    assert web.client.get(ME).status_code == 401
    assert web.client.get("/renew").headers["location"] == "/sign-in?next=/"


def test_the_cookie_is_exchanged_when_a_page_is_loaded(web: Web):
    enter(web)
    before = web.client.cookies["zk_session"]
    answer = web.client.get("/renew", params={"next": "/audit?page=2"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/audit?page=2")
    assert web.client.cookies["zk_session"] != before
    assert web.client.get(ME).status_code == 200


@pytest.mark.parametrize("target", ["/reconcile?reason=billed&page=2", "/a%26b?text=a%26b%2Fc"])
def test_the_address_after_the_renewal_comes_back_as_it_was(web: Web, target: str):
    enter(web)
    assert web.client.get("/renew", params={"next": target}).headers["location"] == target
    web.client.cookies.clear()
    form = web.client.get("/renew", params={"next": target}).headers["location"]
    assert httpx.URL(form).params["next"] == target


@pytest.mark.parametrize("path", ["//evil.example/", "/\t/evil.example", "/sign-in", "/"])
def test_the_address_after_the_renewal_leads_nowhere_else(web: Web, path: str):
    answer = web.client.get("/renew", params={"next": path})
    assert answer.headers["location"].startswith("/sign-in?next=/")
    assert httpx.URL(answer.headers["location"]).params["next"] in {"/", path}


def test_two_pages_that_are_loaded_at_once_do_not_end_the_session(web: Web):
    enter(web)
    before = web.client.cookies["zk_session"]
    web.client.get("/renew")
    second = shown(web, before, "/renew")
    assert (second.status_code, second.headers["location"]) == (303, "/")
    assert "set-cookie" not in second.headers
    assert shown(web, before).status_code == 200
    assert web.client.get(ME).status_code == 200


@pytest.mark.parametrize("path", [ME, "/renew"])
@pytest.mark.parametrize("exchanges", [1, 3])
def test_an_older_cookie_ends_the_session(web: Web, ada: int, path: str, exchanges: int):
    enter(web)
    before = web.client.cookies["zk_session"]
    for _ in range(exchanges):
        web.client.get("/renew")
    wait(web, 2)
    late = shown(web, before, path)
    assert late.headers.get("location") == "/sign-in?next=/" if path == "/renew" else late.status_code == 401
    assert web.client.get(ME).status_code == 401
    assert events(web)[-1] == ("session.token_reused", "nobody", f"user:{ada}")


def test_without_a_session_the_renewal_leads_to_the_form(web: Web):
    answer = web.client.get("/renew", params={"next": "/audit"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/audit")


def test_signing_out_ends_the_session(web: Web):
    enter(web)
    cookie = web.client.cookies["zk_session"]
    answer = web.client.post("/sign-out", headers=own_origin(web))
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert shown(web, cookie).status_code == 401


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "audit",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "/\n/evil.example",
        "/sign-in?next=/",
        "/renew",
        "/sign-out",
    ],
)
def test_what_is_no_address_of_ours_leads_to_the_start_page(wanted: str):
    assert local_target(wanted) == "/"
