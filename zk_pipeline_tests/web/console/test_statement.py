"""The statement in the console: what it says of a month, and what it offers while there is none."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from zk_pipeline.operations.actors import Role
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import FIRST, PHONE, Site, examined, zk

MONTH = FIRST[:7]
HIDDEN = "ALTER TABLE IF EXISTS marts.statement_lines RENAME TO statement_lines_put_aside"
BACK = "ALTER TABLE IF EXISTS marts.statement_lines_put_aside RENAME TO statement_lines"


@pytest.fixture(scope="module")
def made(site: Site) -> None:
    """The month's statement is made, by the command."""
    zk(Path(site.variables["ZK_HOME"]), site.variables, "statement", MONTH)


@pytest.fixture
def unmade(site: Site) -> Iterator[None]:
    """No statement was ever made."""
    with site.database.transaction() as connection:
        connection.execute(text(HIDDEN))
    yield
    with site.database.transaction() as connection:
        connection.execute(text(BACK))


@pytest.mark.usefixtures("unmade")
def test_without_a_statement_an_operator_is_told_why_it_cannot_be_made(visit: Visit):
    page = visit(Role.OPERATOR).open("/statement")
    expect(page.get_by_text("There is no statement yet.")).to_be_visible()
    page.get_by_role("button", name="Bring up to date").click()
    expect(page.get_by_role("alert").filter(has_text="Dagster").first).to_be_visible()


@pytest.mark.usefixtures("unmade")
def test_without_a_statement_a_viewer_learns_who_can_have_it_made(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    expect(page.get_by_text("An operator can have it made now.")).to_be_visible()
    assert page.get_by_role("button", name="Bring up to date").count() == 0


@pytest.mark.usefixtures("made")
def test_the_last_booked_month_is_shown_with_its_equation(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    expect(page.get_by_role("combobox", name="Month")).to_have_value(MONTH)
    expect(page.locator(".zk-chip").first).to_have_text("Balanced, time waits")
    expect(page.locator(".zk-equation")).to_have_text(
        re.compile(r"^[\d,.]+\smin booked in Zammad = [\d,.]+\smin in Kimai \+ [\d,.]+\smin waiting")
    )
    expect(page.get_by_role("columnheader", name="To be billed")).to_be_visible()


@pytest.mark.usefixtures("made")
def test_one_customer_is_picked_and_the_files_are_of_that_customer(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    whole = page.locator(".zk-equation").inner_text()
    first = page.get_by_role("cell").first.inner_text()
    page.get_by_role("combobox", name="Customer").click()
    page.get_by_role("option", name=first).click()
    expect(page.locator(".zk-equation")).not_to_have_text(whole)
    link = page.get_by_role("link", name="Save as CSV").get_attribute("href", timeout=5000)
    answer = page.request.get(f"{page.url.removesuffix('/statement')}{link}")
    assert answer.ok
    assert first.partition(" (")[0] in answer.text()


@pytest.mark.usefixtures("made")
def test_a_changed_day_offers_to_bring_the_statement_up_to_date(visit: Visit, site: Site):
    change = text("UPDATE sync.normalized_entries SET time_minutes = time_minutes + :more WHERE source_id = :id")
    with site.database.transaction() as connection:
        entry = connection.execute(text("SELECT min(source_id) FROM sync.normalized_entries")).scalar_one()
        connection.execute(change, {"more": 1, "id": entry})
    page = visit(Role.OPERATOR).open("/statement")
    expect(page.get_by_text("1 day changed since.")).to_be_visible()
    expect(page.get_by_role("button", name="Bring up to date")).to_be_visible()
    with site.database.transaction() as connection:
        connection.execute(change, {"more": -1, "id": entry})


@pytest.mark.usefixtures("made")
def test_numbers_and_parts_are_in_the_language_of_the_visitor(visit: Visit):
    page = visit(Role.VIEWER, locale="de-DE").open("/statement")
    expect(page.locator(".zk-equation")).to_contain_text("in Zammad gebucht =")
    expect(page.get_by_role("columnheader", name="Abzurechnen")).to_be_visible()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_a_made_statement_fits_the_screen_and_is_readable(visit: Visit, width: int):
    page = visit(Role.OPERATOR, width=width).open("/statement")
    expect(page.locator(".zk-equation")).to_be_visible()
    assert examined(page, "overflow") <= 0
    assert examined(page, "unnamedControls") == []
    assert examined(page, "faintTexts") == []
