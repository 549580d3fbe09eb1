"""The sign-in page as a browser without scripts uses it."""

import re
from html import escape

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.web.sign_in import local_target
from zk_pipeline_tests.web.conftest import Web, refused
from zk_pipeline_tests.web.signing_in import ME, PASSWORD, own_origin, user


@pytest.fixture(autouse=True)
def ada(web: Web) -> int:
    return user(web.database).id


def enter(web: Web, password: str = PASSWORD, **more: str) -> httpx.Response:
    typed = {"email": "ada@example.com", "password": password, **more}
    return web.client.post("/sign-in", data=typed, headers=own_origin(web))


def forget_access(web: Web) -> None:
    """What the browser does when the access token's time is over."""
    web.client.cookies.delete("zk_access")


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


def test_a_session_is_renewed_when_a_page_is_loaded(web: Web):
    enter(web)
    before = web.client.cookies["zk_refresh"]
    forget_access(web)
    page = web.client.get("/renew", params={"next": "/audit?page=2"})
    assert '<meta http-equiv="refresh" content="0;url=/audit?page=2">' in page.text
    assert web.client.cookies["zk_refresh"] != before
    assert web.client.get(ME).status_code == 200


@pytest.mark.parametrize("target", ["/reconcile?reason=billed&page=2", "/a%26b?text=a%26b%2Fc"])
def test_the_address_after_the_renewal_comes_back_as_it_was(web: Web, target: str):
    enter(web)
    assert f'content="0;url={escape(target)}"' in web.client.get("/renew", params={"next": target}).text
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
    before = web.client.cookies["zk_refresh"]
    web.client.get("/renew")
    second = httpx.get(web.client.base_url.join("/renew"), cookies={"zk_refresh": before}, trust_env=False)
    assert second.status_code == 200
    assert "set-cookie" not in second.headers
    assert web.client.get(ME).status_code == 200


def test_an_older_refresh_cookie_ends_the_session(web: Web):
    enter(web)
    before = web.client.cookies["zk_refresh"]
    web.client.get("/renew")
    with web.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET refreshed_at = now() - interval '1 minute'"))
    late = httpx.get(web.client.base_url.join("/renew"), cookies={"zk_refresh": before}, trust_env=False)
    assert (late.status_code, late.headers["location"]) == (303, "/sign-in?next=/")
    assert web.client.get(ME).status_code == 401


def test_without_a_session_the_renewal_leads_to_the_form(web: Web):
    answer = web.client.get("/renew", params={"next": "/audit"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/audit")


def test_signing_out_ends_the_session(web: Web):
    enter(web)
    access = web.client.cookies["zk_access"]
    answer = web.client.post("/sign-out", headers=own_origin(web))
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert web.client.get(ME, headers={"authorization": f"Bearer {access}"}).status_code == 401


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
