"""The settings in a real browser: my account, users, alerts, privacy and health, each for those who may."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from zk_pipeline import __version__
from zk_pipeline.identity.actors import Role
from zk_pipeline.languages import Language
from zk_pipeline.web.console.settings import PARTS
from zk_pipeline.web.console.words import Words
from zk_pipeline_tests.observe.alerts.receiver import TOKEN, open_receiver
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import (
    PHONE,
    Site,
    accessible,
    below,
    overflow,
    serving,
    sign_in,
    violations,
    window,
)

TITLES = {
    "connectors": "Connectors",
    "schedule": "Schedule",
    "letterhead": "Letterhead",
    "account": "My account",
    "users": "Users",
    "alerts": "Alerts",
    "privacy": "Privacy",
    "health": "Health & version",
}


def part(page: Page, name: str) -> Locator:
    """The visible part of the settings with this title, once it has been filled."""
    expect(page.get_by_role("link", name=TITLES[name], exact=True)).to_have_attribute("aria-current", "true")
    return page.locator("#settings .zk-section-body").filter(visible=True).last


def row_of(page: Page, name: str) -> Locator:
    return page.locator("#settings tbody").get_by_role("row").filter(has_text=name)


def confirmed(page: Page, label: str) -> None:
    """Press the button of the question that is asked."""
    page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()


def shown_once(page: Page) -> str:
    """The password or token that is shown this once."""
    expect(page.locator(".zk-secret")).to_be_visible()
    return page.locator(".zk-secret").inner_text()


def signed_in(site: Site, email: str, password: str) -> int:
    """The status of a sign-in."""
    given = {"email": email, "password": password}
    return httpx.post(f"{site.url}/api/v1/auth/login", json=given, timeout=120, trust_env=False).status_code


def events(site: Site, event: str) -> int:
    return site.value(f"SELECT count(*) FROM sync.audit_logs WHERE event = '{event}'")


@pytest.mark.parametrize(
    ("role", "names"),
    [(Role.VIEWER, {"connectors", "account", "health"}), (Role.ADMIN, set(TITLES))],
)
def test_each_role_is_offered_its_own_parts(visit: Visit, role: Role, names: set[str]):
    page = visit(role).open("/settings")
    offered = {name for name, title in TITLES.items() if page.get_by_role("link", name=title, exact=True).count()}
    assert offered - {"schedule"} == names - {"schedule"}


WITHOUT_HELP = """all => all.filter(one => one.checkVisibility() && one.querySelector(".q-field"))
    .filter(one => ![...one.querySelectorAll(".zk-muted, .q-field__messages")].some(text => text.textContent.trim()))
    .map(one => one.textContent)"""


@pytest.mark.parametrize("language", [Language.ENGLISH, Language.GERMAN])
def test_each_part_says_what_it_is_for_and_each_form_explains_itself(visit: Visit, language: Language):
    words = Words(language, ZoneInfo("Europe/Berlin"))
    visitor = visit(Role.ADMIN, locale={"en": "en-GB", "de": "de-DE"}[language])
    for tab in PARTS:
        page = visitor.open(f"/{tab.name}")
        body = page.locator("#settings .zk-section-body").filter(visible=True).last
        expect(body.locator("> p.zk-muted").first).to_have_text(words(f"{tab.name}.about"))
        expect(body.locator("[aria-busy=true]")).to_have_count(0)
        assert body.locator(".zk-card").evaluate_all(WITHOUT_HELP) == []


def test_an_admin_sets_the_letterhead_after_a_preview_and_service_records_have_it(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/letterhead")
    form = part(page, "letterhead")
    form.get_by_label("At the top of each page").fill("Nordlicht IT GmbH\nHafenstraße 1")
    form.get_by_label("At the foot of each page").fill("HRB 4711")
    assert violations(page) == []
    assert overflow(page) <= 0
    with page.expect_download() as saved:
        form.get_by_role("button", name="Preview as PDF").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF")
    assert events(site, "letterhead.set") == 0
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The letterhead is saved.")).to_be_visible()
    assert site.value("SELECT value FROM sync.settings WHERE name = 'statement.footer'") == "HRB 4711"
    page = visit(Role.ADMIN).open("/letterhead")
    expect(part(page, "letterhead").get_by_label("At the foot of each page")).to_have_value("HRB 4711")
    for name in ("At the top of each page", "At the foot of each page"):
        part(page, "letterhead").get_by_label(name).fill("")
    part(page, "letterhead").get_by_role("button", name="Save").click()
    expect(page.get_by_text("The letterhead is saved.")).to_be_visible()
    assert site.value("SELECT count(*) FROM sync.settings WHERE name LIKE 'statement.%'") == 0
    assert events(site, "letterhead.set") == 2


def test_a_user_is_invited_changed_and_deactivated(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/users")
    page.get_by_role("button", name="Invite").click()
    dialog = accessible(page, "Invite")
    dialog.get_by_label("E-mail").fill("not an address")
    dialog.get_by_role("button", name="Invite").click()
    wrong = "E-mail 'not an address' is invalid. Write it as name@example.com."
    expect(below(dialog, "E-mail")).to_contain_text(wrong)
    expect(dialog.get_by_label("E-mail")).to_be_focused()
    accessible(page, "Invite")
    dialog.get_by_label("E-mail").fill("Nina@example.com")
    expect(below(dialog, "E-mail")).not_to_contain_text(wrong)
    dialog.get_by_label("Name").fill("Nina Nord")
    dialog.get_by_role("button", name="Invite").click()
    password = shown_once(page)
    expect(row_of(page, "Nina Nord")).to_contain_text("Viewer")
    assert signed_in(site, "nina@example.com", password) == 200
    page.get_by_role("button", name="Change name or role: nina@example.com").click()
    accessible(page, "Change name or role: nina@example.com")
    dialog = page.get_by_role("dialog", name="Change name or role")
    dialog.get_by_label("Role").click()
    page.get_by_role("option", name="operator").click()
    dialog.get_by_role("button", name="Save").click()
    expect(row_of(page, "Nina Nord")).to_contain_text("Operator")
    page.get_by_role("button", name="Deactivate: nina@example.com").click()
    question = accessible(page, "Deactivate: nina@example.com")
    expect(question).to_contain_text("sessions and API tokens end for good")
    confirmed(page, "Deactivate")
    expect(row_of(page, "Nina Nord")).to_contain_text("deactivated")
    assert signed_in(site, "nina@example.com", password) == 401
    page.get_by_role("button", name="Activate again: nina@example.com").click()
    expect(row_of(page, "Nina Nord")).to_contain_text("allowed")
    assert (events(site, "user.created") > 0, events(site, "user.changed")) == (True, 3)


def test_a_forgotten_password_is_reset(visit: Visit, site: Site):
    site.add_user("forgot@example.com", Role.VIEWER)
    other = visit(Role.VIEWER, email="forgot@example.com")
    page = visit(Role.ADMIN).open("/users")
    page.get_by_role("button", name="Reset the password: forgot@example.com").click()
    confirmed(page, "Reset the password")
    assert signed_in(site, "forgot@example.com", shown_once(page)) == 200
    other.page.goto(f"{site.url}/audit")
    expect(other.page).to_have_url(re.compile("/sign-in"))


def test_the_last_admin_is_not_locked_out(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/users")
    page.get_by_role("button", name="Deactivate: admin@example.com").click()
    confirmed(page, "Deactivate")
    expect(page.get_by_text("admin@example.com is the last active admin")).to_be_visible()
    assert site.value("SELECT active FROM sync.users WHERE email = 'admin@example.com'") is True


def test_a_token_is_made_shown_once_used_and_revoked(visit: Visit, site: Site):
    site.add_user("script@example.com", Role.OPERATOR)
    page = visit(Role.OPERATOR, email="script@example.com").open("/account")
    expect(part(page, "account")).to_contain_text("You have no tokens.")
    page.get_by_role("button", name="Create a token").click()
    dialog = accessible(page, "Create a token")
    dialog.get_by_role("button", name="Create a token").click()
    expect(below(dialog, "What it is for")).to_contain_text("Give the token a name of 1 to 100 printable characters")
    dialog.get_by_label("What it is for").fill("Month-end script")
    dialog.get_by_label("Role").click()
    expect(page.get_by_role("option")).to_have_count(2)
    page.get_by_role("option", name="viewer").click()
    dialog.get_by_role("button", name="Create a token").click()
    token = shown_once(page)
    expect(row_of(page, "Month-end script")).to_contain_text("Viewer")

    def status() -> int:
        bearer = {"authorization": f"Bearer {token}"}
        return httpx.get(f"{site.url}/api/v1/auth/me", headers=bearer, timeout=120, trust_env=False).status_code

    assert status() == 200
    page.get_by_role("button", name="Revoke: Month-end script").click()
    confirmed(page, "Revoke")
    expect(part(page, "account")).to_contain_text("You have no tokens.")
    assert status() == 401


@contextmanager
def alerting(site: Site, home: Path) -> Iterator[Site]:
    """The same site with two addresses for alerts, of which one takes them."""
    with open_receiver() as receiver:
        urls = f"{receiver.url},json://127.0.0.1:9/{TOKEN}"
        with serving({**site.variables, "ZK_ALERT_URLS": urls}, home / "alerting.log") as url:
            yield replace(site, url=url)


def test_alerts_say_where_they_go_and_are_tried(site: Site, browser: Browser, tmp_path: Path):
    with alerting(site, tmp_path) as told, window(browser, told, name="alerts") as visitor:
        sign_in(visitor, told.email(Role.ADMIN))
        page = visitor.open("/alerts")
        expect(page.locator("#settings tbody").get_by_role("row")).to_have_count(2)
        page.get_by_role("button", name="Send a test alert").click()
        lines = page.locator("#settings").get_by_role("listitem")
        expect(lines).to_have_count(2, timeout=60_000)
        expect(lines.first).to_contain_text("accepted")
        expect(lines.last).to_contain_text("not sent")
        assert TOKEN not in page.locator("#settings").inner_text()


def test_without_an_address_it_says_what_to_set(visit: Visit):
    page = visit(Role.ADMIN).open("/alerts")
    expect(part(page, "alerts")).to_contain_text("Set ZK_ALERT_URLS")
    assert page.get_by_role("button", name="Send a test alert").count() == 0


def test_a_person_is_exported_and_erased_after_seeing_what_will_happen(visit: Visit, site: Site):
    site.add_user("leaving@example.com", Role.VIEWER)
    page = visit(Role.ADMIN).page
    page.goto(f"{site.url}/privacy")
    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_role("button", name="What erasing would do").click()
    expect(below(page, "E-mail")).to_contain_text("othing is stored about nobody@example.com")
    page.get_by_label("E-mail").fill("leaving@example.com")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as a file").click()
    content = Path(download.value.path()).read_bytes()
    assert any("users" in name for name in ZipFile(BytesIO(content)).namelist())
    page.get_by_role("button", name="What erasing would do").click()
    expect(row_of(page, "Users of this console")).to_contain_text("removed")
    assert site.value("SELECT count(*) FROM sync.users WHERE email = 'leaving@example.com'") == 1
    page.get_by_role("button", name="Erase this person").click()
    expect(page.get_by_role("dialog")).to_contain_text("This cannot be undone.")
    confirmed(page, "Erase this person")
    expect(page.get_by_text("Erased. The person is now called")).to_be_visible(timeout=120_000)
    assert site.value("SELECT count(*) FROM sync.users WHERE email = 'leaving@example.com'") == 0


def test_health_has_the_doctors_sentences_the_version_and_the_licences(visit: Visit):
    page = visit(Role.ADMIN).open("/health")
    section = part(page, "health")
    expect(section).to_contain_text(f"zk_pipeline {__version__}")
    section.get_by_text("components with their licences").click()
    expect(row_of(page, "nicegui")).to_contain_text("MIT")
    section.get_by_role("button", name="Examine everything").click()
    expect(section.get_by_text(re.compile(r"Nothing fails|Something fails"))).to_be_visible(timeout=90_000)
    section.get_by_text("What is well").click()
    expect(section.get_by_role("listitem").filter(has_text="Zammad · ").first).to_be_visible()


def test_viewers_see_the_version_and_examine_nothing(visit: Visit):
    page = visit(Role.VIEWER).open("/health")
    expect(part(page, "health")).to_contain_text(f"zk_pipeline {__version__}")
    assert page.get_by_role("button", name="Examine everything").count() == 0


@pytest.mark.parametrize("name", ["account", "users", "alerts", "health"])
def test_the_parts_fit_a_phone_in_german_and_name_their_controls(visit: Visit, name: str):
    page = visit(Role.ADMIN, width=PHONE, locale="de-DE").open(f"/{name}")
    assert overflow(page) <= 0
    assert violations(page) == []
