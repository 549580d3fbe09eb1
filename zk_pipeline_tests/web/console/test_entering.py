"""Who gets in: nothing of the console answers without a session, and a session that ends ends the page."""

import json
import re
from typing import Literal
from urllib.parse import urlsplit

import httpx
import pytest
from nicegui import core
from playwright.sync_api import Locator, Page, expect
from pyotp.totp import TOTP
from sqlalchemy import text
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from zk_pipeline.connectors.zammad.signature import signature
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import access
from zk_pipeline.web.console.shell import SECTIONS
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import PASSWORD, PHONE, SECRET, Site, Visitor, accessible, overflow, violations


def get(site: Site, path: str, **headers: str) -> httpx.Response:
    return httpx.get(site.url + path, headers=headers, timeout=120, trust_env=False)


def session_cookie(site: Site) -> str:
    answer = httpx.post(
        f"{site.url}/api/v1/auth/login",
        json={"email": site.email(Role.VIEWER), "password": PASSWORD, "cookies": True},
        headers={"origin": site.url},
        timeout=120,
        trust_env=False,
    )
    return f"zk_session={answer.cookies['zk_session']}"


@pytest.mark.parametrize("path", ["/", "/reconcile?view=all", *(f"/{section.name}" for section in SECTIONS)])
def test_a_page_without_session_leads_to_the_sign_in_and_back(site: Site, path: str):
    answer = get(site, path)
    assert answer.status_code == 303
    target = urlsplit(answer.headers["location"])
    assert target.path == "/sign-in"
    assert httpx.QueryParams(target.query)["next"] == path


def test_a_page_whose_cookie_is_due_exchanges_it(site: Site):
    cookie = session_cookie(site)
    assert get(site, "/audit?page=2", cookie=cookie).status_code == 200
    let_cookies_be_due(site)
    assert get(site, "/audit?page=2", cookie=cookie).headers["location"] == "/renew?next=/audit%3Fpage%3D2"
    assert get(site, "/audit", cookie="zk_session=anything").headers["location"] == "/sign-in?next=/audit"


def let_cookies_be_due(site: Site) -> None:
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET refreshed_at = now() - interval '11 minutes'"))


@pytest.mark.parametrize(
    "path", ["/nothing", "/_nicegui/client/1/upload/2", "/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/_nicegui"]
)
def test_what_is_no_page_is_answered_as_an_error_of_the_api(site: Site, path: str):
    answer = get(site, path)
    assert answer.status_code in {401, 404}
    assert set(answer.json()) == {"detail", "status_code", "timestamp", "request_id"}


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/health"), ("DELETE", "/api/v1/kpi")])
def test_a_method_that_a_route_does_not_have_is_answered_with_those_it_has(site: Site, method: str, path: str):
    answer = httpx.request(method, f"{site.url}{path}")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_monitors_may_ask_for_the_head_of_the_health(site: Site):
    assert httpx.head(f"{site.url}/api/health").status_code == 200


def test_a_socket_without_session_is_refused(site: Site):
    with pytest.raises(InvalidStatus) as refused:
        connect(site.url.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket", origin=site.url)
    assert refused.value.response.status_code == 403


def test_a_socket_from_another_site_is_refused_even_with_a_session(site: Site):
    address = site.url.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    headers = {"cookie": session_cookie(site)}
    with connect(address, origin=site.url, additional_headers=headers) as socket:
        assert json.loads(str(socket.recv())[1:])["sid"]
    with pytest.raises(InvalidStatus):
        connect(address, origin="https://evil.example", additional_headers=headers)


def opened_page(site: Site, cookie: str) -> str:
    """The id of a page that this session opens."""
    page = get(site, "/audit", cookie=cookie).text
    found = re.search(r"client_id['\"]?\s*[:=]\s*['\"]([0-9a-f-]{36})", page)
    assert found, page[-3000:]
    return found[1]


def said(site: Site, cookie: str, page: str, *messages: str, at_once: bool = False) -> list[str]:
    """What the server answers on a socket of a session that names a page: to the connection, then to each message."""
    known = {"EIO": 4, "transport": "websocket"}
    named = {"client_id": page, "implicit_handshake": "true", "tab_id": "t", "document_id": "d"} if at_once else {}
    address = f"{site.url.replace('http', 'ws')}/_nicegui_ws/socket.io/?{httpx.QueryParams(known | named)}"
    headers = {"Cookie": cookie, "Origin": site.url}
    with connect(address, additional_headers=headers, proxy=None) as socket:
        socket.recv(5)
        answers: list[str] = []
        for message in ("40", *messages):
            socket.send(message)
            answers.append(
                next(text for text in iter(lambda: str(socket.recv(5)), "") if text[:2] in {"40", "43", "44"})
            )
    return answers


def test_a_socket_drives_pages_of_its_own_session_alone(site: Site):
    mine, theirs = session_cookie(site), session_cookie(site)
    page = opened_page(site, mine)
    about = {"client_id": page, "tab_id": "t", "document_id": "d", "next_message_id": 0}
    names = [name for name in core.sio.handlers["/"] if name not in {"connect", "disconnect"}]
    assert sorted(names) == sorted(access._MESSAGES)
    sent = [f"42{number}{json.dumps([name, about])}" for number, name in enumerate(names)]
    assert said(site, theirs, page, *sent)[1:] == [f"43{number}[false]" for number in range(len(names))]
    (refused,) = said(site, theirs, page, at_once=True)
    assert refused.startswith("44")
    assert "another session" in refused
    upload = f"/_nicegui/client/{page}/upload/1"
    answer = httpx.post(site.url + upload, headers={"cookie": theirs, "origin": site.url}, timeout=120, trust_env=False)
    assert answer.status_code == 401
    handshake = f"420{json.dumps(['handshake', about])}"
    assert said(site, mine, page, handshake)[1] == "430[true]"


def test_a_page_may_load_nothing_from_elsewhere_and_run_no_script_of_others(site: Site):
    answer = get(site, "/", cookie=session_cookie(site))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    scripts = policy.partition("script-src ")[2].partition(";")[0]
    assert "unsafe-inline" not in scripts
    assert answer.headers["cache-control"] == "no-store"
    assert "http" not in scripts


def test_behind_the_console_the_intake_stores_deliveries_before_it_answers(site: Site):
    body = b'{"ticket":{"id":1}}'
    headers = {"content-type": "application/json", "x-hub-signature": signature(SECRET, body)}
    answer = httpx.post(
        f"{site.url}/api/v1/webhooks/zammad", content=body, headers=headers, timeout=120, trust_env=False
    )
    assert answer.is_success
    with site.database.transaction() as connection:
        assert connection.execute(text("SELECT body FROM sync.webhook_deliveries")).scalar_one() == body


def test_people_sign_in_look_around_and_sign_out(visit: Visit, site: Site):
    page = visit().page
    page.goto(f"{site.url}/audit")
    page.get_by_label("E-mail").fill(site.email(Role.ADMIN))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Audit", exact=True)).to_be_visible()
    page.get_by_role("button", name="Your account").click()
    page.get_by_text("Sign out").click()
    page.wait_for_url("**/sign-in**")
    page.goto(f"{site.url}/audit")
    page.wait_for_url("**/sign-in?next=/audit")


def test_a_revoked_session_can_do_nothing_more_and_leads_to_the_sign_in(visit: Visit, site: Site):
    user = site.add_user("revoked@example.com", Role.OPERATOR)
    page = visit(Role.OPERATOR, email="revoked@example.com").open("/reconcile")
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET ended_at = now() WHERE user_id = :id"), {"id": user})
    page.locator(".zk-open").first.click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.wait_for_url("**/sign-in?next=%2Freconcile")


def test_a_page_whose_cookie_is_due_goes_on_and_exchanges_it(visit: Visit, site: Site):
    visitor = visit(Role.VIEWER)
    page = visitor.open("/audit")
    before = session_of(visitor)
    let_cookies_be_due(site)
    page.evaluate("window.socket.io.engine.close()")
    page.wait_for_function("!window.socket.connected")
    page.wait_for_function("window.socket.connected", timeout=40_000)
    with page.expect_response("**/api/v1/auth/refresh"):
        page.evaluate("zkConsole.renewedAt = 0; zkConsole.renew()")
    assert session_of(visitor) != before
    page.reload()
    assert urlsplit(page.url).path == "/audit"


def test_a_link_from_another_site_leads_to_the_page(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/audit")
    page.route(
        "http://elsewhere.example/",
        lambda route: route.fulfill(body=f'<a href="{site.url}/audit">on</a>', content_type="text/html"),
    )
    page.goto("http://elsewhere.example/")
    page.get_by_text("on").click()
    page.wait_for_url(f"{site.url}/audit")


def session_of(visitor: Visitor) -> str:
    (cookie,) = (cookie for cookie in visitor.context.cookies() if cookie.get("name") == "zk_session")
    return cookie.get("value", "")


def test_a_role_that_was_taken_away_counts_at_once(visit: Visit, site: Site):
    user = site.add_user("lowered@example.com", Role.OPERATOR)
    page = visit(Role.OPERATOR, email="lowered@example.com").open("/audit")
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.users SET role = 'viewer' WHERE id = :id"), {"id": user})
    page.get_by_role("button", name="Run sync now").click()
    expect(page.get_by_text("This needs the role operator; you have viewer.")).to_be_visible()


@pytest.mark.parametrize(("role", "offered"), [(Role.VIEWER, 0), (Role.OPERATOR, 1), (Role.ADMIN, 1)])
def test_what_the_role_may_not_do_is_not_offered(visit: Visit, site: Site, role: Role, offered: int):
    number = site.value("SELECT min(id) FROM sync.conflicts WHERE resolution_status = 'open'")
    page = visit(role).open(f"/reconcile?conflict={number}")
    assert page.get_by_role("button", name="Run sync now").count() == offered
    expect(page.locator(".zk-pane")).to_contain_text("Billed to")
    assert (page.locator(".zk-choice").count() > 0) == (offered > 0)
    assert (page.get_by_role("button", name="Try all again").count() > 0) == (offered > 0)


def account(page: Page, item: str) -> Locator:
    """The part of the settings that an item of the account's menu opens."""
    page.get_by_role("button", name="Your account").click()
    page.locator(".q-menu").get_by_text(item, exact=True).click()
    return page.locator("#settings")


def set_up(page: Page, site: Site) -> TOTP:
    """Set up one's second factor in the console, by keyboard from the code on: the app."""
    part = account(page, "Your account")
    part.get_by_role("button", name="Set it up").click()
    expect(part.get_by_role("img", name="QR code of the key").locator("svg")).to_be_visible()
    app = TOTP(part.get_by_text("Key: ").inner_text().removeprefix("Key: "))
    part.get_by_label("Code from the app").fill(app.now())
    page.keyboard.press("Enter")
    expect(part.get_by_role("listitem")).to_have_count(10)
    with site.database.transaction() as connection:  # As if half a minute went by.
        connection.execute(text("UPDATE sync.second_factors SET last_step = 0"))
    return app


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_the_sign_in_in_either_theme_nor_with_text_of_twice_the_size(
    visit: Visit, site: Site, scheme: Literal["light", "dark"]
):
    page = visit(width=PHONE, locale="de-DE").page
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{site.url}/sign-in")
    for size in ("100%", "200%"):
        page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
        assert overflow(page) <= 0
        assert violations(page) == []


def test_a_second_factor_is_set_up_asked_for_on_a_phone_and_removed(visit: Visit, site: Site):
    site.add_user("phone@example.com", Role.OPERATOR)
    app = set_up(visit(Role.OPERATOR, email="phone@example.com").open("/audit"), site)
    phone = visit(width=PHONE, locale="de-DE").page
    phone.goto(f"{site.url}/sign-in?next=/audit")
    expect(phone.get_by_label("E-Mail")).to_be_focused()
    phone.keyboard.type("phone@example.com")
    phone.keyboard.press("Tab")
    phone.keyboard.type(PASSWORD)
    phone.keyboard.press("Enter")
    expect(phone.get_by_label("Code Ihrer App")).to_be_focused()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    phone.keyboard.type(app.now())
    phone.keyboard.press("Enter")
    phone.wait_for_url(f"{site.url}/audit")
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.second_factors SET last_step = 0"))
    phone.get_by_role("button", name="Ihr Konto").click()
    phone.locator(".q-menu").get_by_text("Ihr Konto", exact=True).click()
    part = phone.locator("#settings")
    part.get_by_label("Jetziges Passwort").first.fill(PASSWORD)
    part.get_by_label("Code der App").fill(app.now())
    part.get_by_role("button", name="Entfernen").click()
    expect(part.get_by_text("Nicht eingerichtet")).to_be_visible()
    assert site.value("SELECT count(*) FROM sync.recovery_codes") == 0


def test_an_admin_gives_the_password_again_and_removes_the_second_factor_of_somebody(visit: Visit, site: Site):
    site.add_user("lost@example.com", Role.VIEWER)
    set_up(visit(Role.VIEWER, email="lost@example.com").open("/audit"), site)
    page = visit(Role.ADMIN).open("/audit")
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.sessions SET confirmed_at = NULL"))
    account(page, "Users").get_by_role("button", name="Remove the second factor: lost@example.com").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the second factor").click()
    again = accessible(page, "Your password again")
    again.get_by_label("Current password").fill("a wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_text("E-mail or password is wrong")).to_be_visible()
    again.get_by_label("Current password").fill(PASSWORD)
    again.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("The second factor of lost@example.com is removed")).to_be_visible()
    assert site.value("SELECT count(*) FROM sync.second_factors") == 0
