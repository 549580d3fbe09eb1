"""The section Connectors in a real browser, against simulated systems that really answer."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import PACKAGES, PHONE, Site, accessible, below, overflow, violations

NAME = "second-kimai"
WRONG = "wrong-token-of-nobody"


@pytest.fixture
def site(site: Site) -> Iterator[Site]:
    """The site with its two connectors; what a test adds is gone afterwards."""
    yield site
    with site.database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.connectors WHERE name NOT IN ('zammad', 'kimai')"))


@pytest.fixture
def installed_later(site: Site) -> Iterator[Path]:
    """A directory of packages of the running web app, empty before and afterwards."""
    directory = site.home / PACKAGES
    directory.mkdir()
    yield directory
    shutil.rmtree(directory)


def card(page: Page, name: str) -> Locator:
    return page.locator(".zk-connector").filter(has=page.get_by_role("heading", name=name, exact=True))


def add(page: Page, site: Site, token: str) -> Locator:
    """Set up another Kimai by the dialog, which tests it; its card."""
    page.get_by_role("button", name="Add a connector").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Kind").click()
    page.get_by_role("option", name="kimai").click()
    # While its list closes, the choice takes the focus back, and with it what is typed elsewhere.
    expect(page.get_by_role("option")).to_have_count(0)
    # The answer to the choice proposes a name, and would take the place of one that is typed before it comes.
    expect(dialog.get_by_label("Name")).to_have_value(re.compile("^kimai"))
    dialog.get_by_label("Name").fill(NAME)
    dialog.get_by_label("Address").fill(site.variables["ZK_KIMAI_URL"])
    dialog.get_by_label("API token").fill(token)
    dialog.get_by_role("button", name="Save and test").click()
    expect(dialog).to_have_count(0)
    return card(page, NAME)


def confirm(page: Page, action: str) -> Locator:
    page.get_by_role("button", name=f"{action}: {NAME}").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=action, exact=True).click()
    return dialog


def test_a_connector_is_set_up_and_tested_and_its_token_is_nowhere_on_the_page(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/connectors")
    token = site.variables["ZK_KIMAI_TOKEN"]
    added = add(page, site, token)
    expect(added).to_contain_text("It works")
    expect(added).to_contain_text("time sheets of others")
    expect(added).to_contain_text("Not in use")
    expect(added).to_contain_text("stored, encrypted")
    assert token not in page.content()
    page.get_by_role("button", name=f"Edit: {NAME}").click()
    expect(page.get_by_role("dialog").get_by_label("API token")).to_have_value("")


def test_a_wrong_token_is_a_line_with_level_and_remedy(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/connectors")
    added = add(page, site, WRONG)
    expect(added).to_contain_text("It does not work yet")
    problem = added.get_by_role("listitem").filter(has_text="Problem")
    expect(problem).to_have_count(1)
    expect(problem).to_contain_text("token")
    assert WRONG not in page.content()


def test_a_plug_in_that_waits_for_a_restart_is_told_above_the_cards(visit: Visit, installed_later: Path):
    info = installed_later / "zk_desk-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zk-desk\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zk_pipeline.sources]\ndesk = zk_desk:Desk\n")
    (info / "RECORD").write_text("zk_desk-1.0.dist-info/RECORD,,\n")
    page = visit(Role.VIEWER).open("/connectors")
    expect(card(page, "zammad")).to_be_visible()
    note = page.get_by_text("zk-desk 1.0 (desk) was installed or changed at")
    expect(note).to_contain_text("Restart the installation to use it")
    assert violations(page) == []


def test_the_cards_tell_role_address_and_when_each_was_read(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/connectors")
    for name, role in (("zammad", "source of bookings"), ("kimai", "target for time sheets")):
        shown = card(page, name)
        expect(shown).to_contain_text(role)
        expect(shown).to_contain_text("In use")
        expect(shown).not_to_contain_text("not read yet")
        address = site.variables[f"ZK_{name.upper()}_URL"]
        expect(shown.get_by_role("link", name=address)).to_have_attribute("rel", "noopener noreferrer")


def test_another_address_needs_the_token_again(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/connectors")
    page.get_by_role("button", name="Edit: kimai").click()
    dialog = accessible(page, "Edit kimai")
    dialog.get_by_label("Address").fill("https://kimai.example.com")
    expect(dialog).to_contain_text("The address changes. Give the token again")
    dialog.get_by_role("button", name="Save").click()
    expect(below(dialog, "API token")).to_contain_text("Give the token again")
    expect(card(page, "kimai")).to_contain_text(site.variables["ZK_KIMAI_URL"])


def test_an_address_of_a_metadata_service_is_refused(visit: Visit):
    page = visit(Role.ADMIN).open("/connectors")
    page.get_by_role("button", name="Add a connector").click()
    dialog = accessible(page, "Add a connector")
    dialog.get_by_label("Address").fill("http://169.254.169.254/latest")
    dialog.get_by_label("API token").fill(WRONG)
    dialog.get_by_role("button", name="Save and test").click()
    expect(below(dialog, "Address")).to_contain_text("169.254.169.254")


def test_a_connector_that_nothing_depends_on_is_deleted_and_the_focus_stays_in_the_section(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/connectors")
    added = add(page, site, WRONG)
    expect(added).to_contain_text("It does not work yet")
    expect(confirm(page, "Delete")).to_have_count(0)
    expect(added).to_have_count(0)
    page.wait_for_function("document.activeElement.closest('.zk-section')")


def test_why_a_connector_cannot_be_deleted_is_told_where_it_was_asked(visit: Visit):
    page = visit(Role.ADMIN).open("/connectors")
    page.get_by_role("button", name="Delete: zammad").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(dialog).to_contain_text("instead of deleting it: bookings and mappings depend on it")
    expect(dialog.get_by_role("button", name="Delete", exact=True)).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    expect(card(page, "zammad")).to_be_visible()


def test_activating_a_connector_ends_the_use_of_the_other(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/connectors")
    add(page, site, site.variables["ZK_KIMAI_TOKEN"])
    confirm(page, "Activate")
    expect(card(page, NAME).get_by_text("In use", exact=True)).to_be_visible()
    expect(card(page, "kimai").get_by_text("Not in use", exact=True)).to_be_visible()
    page.get_by_role("button", name="Activate: kimai").click()
    page.get_by_role("dialog").get_by_role("button", name="Activate", exact=True).click()
    expect(card(page, "kimai").get_by_text("In use", exact=True)).to_be_visible()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_change_connectors_sees_cards_without_buttons(visit: Visit, role: Role):
    page = visit(role).open("/connectors")
    expect(card(page, "zammad")).to_be_visible()
    assert page.locator("#connectors").get_by_role("button").count() == 0


def test_the_dialog_and_the_lines_of_a_test_fit_a_phone(visit: Visit):
    page = visit(Role.ADMIN, width=PHONE).open("/connectors")
    page.get_by_role("button", name="Test: zammad").click()
    expect(card(page, "zammad")).to_contain_text("It works")
    page.get_by_role("button", name="Add a connector").click()
    expect(page.get_by_role("dialog").get_by_label("API token")).to_be_visible()
    assert overflow(page) <= 0
    assert violations(page) == []
