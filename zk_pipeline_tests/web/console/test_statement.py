"""The statement in the console: what it says of a month, and what it offers while there is none."""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import (
    CUSTOMER,
    CUSTOMER_ID,
    FIRST,
    PHONE,
    Site,
    accessible,
    below,
    overflow,
    violations,
    zk,
)

MONTH = FIRST[:7]
HIDDEN = "ALTER TABLE IF EXISTS marts.statement_lines RENAME TO statement_lines_put_aside"
COPIES = """
    INSERT INTO marts.statement_lines
    SELECT copied.* FROM marts.statement_lines line, generate_series(1, 30) number,
        jsonb_populate_record(line, jsonb_build_object('agent', 'A', 'activity', to_char(number, '"Copy "FM00'))) copied
    WHERE line.ctid = (SELECT min(ctid) FROM marts.statement_lines WHERE customer = :name)
"""
NAMESAKE = """
    INSERT INTO marts.statement_lines
    SELECT copied.* FROM marts.statement_lines line,
        jsonb_populate_record(line, jsonb_build_object('customer_id', 9999)) copied
    WHERE line.ctid = (SELECT min(ctid) FROM marts.statement_lines WHERE customer = :name)
"""
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


@pytest.fixture
def long(made: None, site: Site) -> Iterator[None]:
    """One customer has thirty lines more, as a large one would have, and the others have what they had."""
    del made
    with site.database.transaction() as connection:
        connection.execute(text(COPIES), {"name": CUSTOMER})
    yield
    with site.database.transaction() as connection:
        connection.execute(text("DELETE FROM marts.statement_lines WHERE activity LIKE 'Copy __'"))


@pytest.fixture
def namesake(made: None, site: Site) -> Iterator[None]:
    """Another customer of Kimai with the name of one of the month, and a line of its own."""
    del made
    with site.database.transaction() as connection:
        connection.execute(text(NAMESAKE), {"name": CUSTOMER})
    yield
    with site.database.transaction() as connection:
        connection.execute(text("DELETE FROM marts.statement_lines WHERE customer_id = 9999"))


@pytest.mark.usefixtures("namesake")
def test_customers_of_one_name_are_told_apart_by_their_numbers(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    expect(page.get_by_role("button", name=f"{CUSTOMER} (9999)")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(rf"{re.escape(CUSTOMER)} \(\d+\)"))).to_have_count(2)
    page.get_by_role("combobox", name="Customer").click()
    expect(page.get_by_role("option", name=f"{CUSTOMER} (9999)", exact=True)).to_be_visible()


def pick(page: Page, customer: str) -> None:
    page.get_by_role("combobox", name="Customer").click()
    page.get_by_role("option", name=customer, exact=True).click()


def number(told: str) -> Decimal:
    return Decimal(re.sub(r"[^\d.-]", "", told))


def column(table: Locator, title: str) -> list[Decimal]:
    """The cells of a column, each of which carries its title; those in hours have the exact minutes as a tooltip."""
    cells = table.locator(f"td[data-label={title!r}]").evaluate_all(
        "cells => cells.map(cell => cell.querySelector('[title]')?.title ?? cell.innerText)"
    )
    return [number(cell) for cell in cells]


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
    expect(page.get_by_role("combobox", name="Month")).to_have_value("October 2025")
    expect(page.locator(".zk-chip").first).to_have_text("Balanced, time waits")
    expect(page.locator(".zk-equation")).to_have_text(
        re.compile(r"^\d+\sh\s\d\d booked in Zammad = \d+\sh\s\d\d in Kimai \+ \d+\sh\s\d\d waiting")
    )
    exact = re.compile(r"^[\d.]+ min booked in Zammad = [\d.]+ min in Kimai \+ [\d.]+ min waiting")
    expect(page.locator(".zk-equation")).to_have_attribute("title", exact)
    expect(page.get_by_role("columnheader", name="To be billed")).to_be_visible()


@pytest.mark.usefixtures("made")
def test_one_customer_is_picked_and_the_files_are_of_that_customer(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    whole = page.locator(".zk-equation").inner_text()
    first = page.get_by_role("cell").first.inner_text()
    pick(page, first)
    expect(page.locator(".zk-equation")).not_to_have_text(whole)
    link = page.get_by_role("link", name="Save as CSV").get_attribute("href", timeout=60_000)
    answer = page.request.get(f"{page.url.removesuffix('/statement')}{link}")
    assert answer.ok
    cells = {cell for row in csv.reader(answer.text().splitlines()) for cell in row}
    assert first.partition(" (")[0] in cells


@pytest.mark.usefixtures("made")
def test_a_customer_of_the_list_opens_with_lines_that_add_up_by_the_keyboard_alone(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    opener = page.get_by_role("button", name=CUSTOMER)
    booked = opener.locator("xpath=ancestor::tr").locator("td[data-label=Booked] [title]").get_attribute("title") or ""
    opener.focus()
    page.keyboard.press("Enter")
    dialog = accessible(page, CUSTOMER)
    lines = dialog.get_by_role("table", name="Agents and activities")
    expect(lines.get_by_role("row").last).to_contain_text("Total")
    assert number(booked) == sum(column(lines, "Booked")[:-1]) == column(lines, "Booked")[-1]
    assert lines.get_by_role("row").nth(1).inner_text().count("@") == 1
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(opener).to_be_focused()


@pytest.mark.usefixtures("made")
def test_a_customer_opens_with_its_time_sheets_which_add_up_to_what_is_in_kimai(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    page.get_by_role("button", name=CUSTOMER).click()
    dialog = page.get_by_role("dialog", name=CUSTOMER)
    items = dialog.get_by_role("table", name="Time by ticket")
    expect(items.get_by_role("row").last).to_contain_text("Total")
    *minutes, total = column(items, "Time")
    assert (
        sum(minutes) == total == column(dialog.get_by_role("table", name="Agents and activities"), "In Kimai")[-1] > 0
    )
    assert all(items.locator("td[data-label='Ticket']").all_inner_texts()[:-1])


@pytest.mark.usefixtures("made")
def test_a_picked_customer_is_shown_with_lines_and_charts_in_the_page(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    pick(page, CUSTOMER)
    lines = page.get_by_role("table", name="Agents and activities")
    expect(lines).to_be_visible()
    page.get_by_text("Show as a table").first.click()
    days = page.get_by_role("table", name="Hours of each day")
    expect(days).to_be_visible()
    assert sum(column(days, "Booked in Zammad")) == column(lines, "Booked")[-1]


@pytest.fixture
def differing(made: None, site: Site) -> Iterator[None]:
    """A customer of whom more was exported than invoiced; and a time sheet that came from no ticket."""
    del made
    put = f"""
        INSERT INTO kimai.invoice_checks (connector, customer_id, currency, sheets, rates, invoices, invoiced)
        VALUES ('kimai', {CUSTOMER_ID}, 'EUR', 3, 300, '{{2025-114}}', 100)
    """
    foreign = f"""
        INSERT INTO kimai.timesheets
        SELECT foreign_one.* FROM kimai.timesheets row, jsonb_populate_record(row, jsonb_build_object(
            'id', 900001, 'description', 'Workshop', 'duration_seconds', 5400)) foreign_one
        WHERE row.id = (
            SELECT min(kimai_id) FROM marts.int_entries_named WHERE customer_id = {CUSTOMER_ID} AND minutes_kimai > 0)
    """
    with site.database.transaction() as connection:
        connection.execute(text(put))
        connection.execute(text(foreign))
    yield
    with site.database.transaction() as connection:
        for statement in (
            "DELETE FROM kimai.invoice_checks",
            "DELETE FROM kimai.accepted_differences",
            "DELETE FROM kimai.timesheets WHERE id = 900001",
        ):
            connection.execute(text(statement))


@pytest.mark.usefixtures("differing")
def test_what_does_not_match_the_invoices_is_a_card_that_an_operator_answers(visit: Visit, site: Site):
    question = f"{CUSTOMER}: 200.00 EUR exported, but not invoiced"
    viewer = visit(Role.VIEWER).open("/statement")
    card = viewer.get_by_role("article").filter(has_text=question)
    expect(card).to_contain_text("300.00 EUR are exported and 100.00 EUR invoiced")
    address = card.get_by_role("link", name="Open in Kimai").get_attribute("href") or ""
    number = site.value(f"SELECT {CUSTOMER_ID}")
    assert address.endswith(f"/en/admin/customer/{number}/details")
    assert card.get_by_role("button").count() == 0
    credits_open = "SELECT count(*) FROM sync.adjustments WHERE state = 'open' AND minutes < 0"
    questions = viewer.get_by_role("article").count() + site.value(credits_open)
    counted = re.compile(rf"^{questions} questions? about money or invoices\.$")
    page = visit(Role.OPERATOR).open("/reconcile")
    expect(page.get_by_text(counted)).to_be_visible()
    page.get_by_role("link", name="Answer in Month").click()
    page.get_by_role("button", name="Accept the difference…").click()
    dialog = accessible(page, f"Accept the difference of {CUSTOMER}")
    dialog.get_by_role("button", name="Accept").click()
    expect(below(dialog, "Reason")).to_contain_text("Say why the difference is right")
    dialog.get_by_role("textbox", name="Reason").fill("paid in cash, receipt 114")
    dialog.get_by_role("button", name="Accept").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_text(question)).to_have_count(0)
    accepted = page.get_by_text("200.00 EUR of difference accepted by")
    expect(accepted).to_contain_text("accepted by Operator: paid in cash, receipt 114")
    assert page.get_by_role("button", name="Accept the difference…").count() == 0
    page.goto(page.url.replace("/statement", "/reconcile"))
    expect(page.locator(".zk-cause").first).to_be_visible()
    assert page.get_by_text(counted).count() == 0


@pytest.fixture
def named_alike(differing: None, site: Site) -> Iterator[None]:
    """Another customer in Kimai with the name of the one that invoices differ for."""
    del differing
    put = f"""
        INSERT INTO kimai.customers SELECT twin.* FROM kimai.customers row,
            jsonb_populate_record(row, jsonb_build_object('id', 9999)) twin
        WHERE row.id = {CUSTOMER_ID}
    """
    with site.database.transaction() as connection:
        connection.execute(text(put))
    yield
    with site.database.transaction() as connection:
        connection.execute(text("DELETE FROM kimai.customers WHERE id = 9999"))


@pytest.mark.usefixtures("named_alike")
def test_a_question_about_a_customer_names_its_number_where_another_has_its_name(visit: Visit, site: Site):
    number = site.value("SELECT customer_id FROM kimai.invoice_checks")
    name = f"{CUSTOMER} ({number})"
    page = visit(Role.OPERATOR).open("/statement")
    expect(page.get_by_role("article").filter(has_text=f"{name}: 200.00 EUR exported")).to_be_visible()
    page.get_by_role("button", name="Accept the difference…").click()
    accessible(page, f"Accept the difference of {name}")


@pytest.fixture
def unpriced(made: None, site: Site) -> Iterator[None]:
    """A customer's billable time sheet has no price, and the amount of another cannot be read."""
    del made
    ids = site.value(
        "SELECT array_agg(kimai_id) FROM (SELECT kimai_id FROM marts.int_entries_named"
        f" WHERE customer_id = {CUSTOMER_ID} AND minutes_kimai > 0 ORDER BY kimai_id LIMIT 2) AS two"
    )
    rates = {one: site.value(f"SELECT rate FROM kimai.timesheets WHERE id = {one}") for one in ids}
    put = text("UPDATE kimai.timesheets SET rate = :rate, billable = true WHERE id = :id")
    for row in (dict(zip(ids, (0, None), strict=True)), rates):
        with site.database.transaction() as connection:
            connection.execute(put, [{"id": one, "rate": rate} for one, rate in row.items()])
        if row is not rates:
            yield


@pytest.mark.usefixtures("unpriced")
@pytest.mark.parametrize(("width", "locale"), [(PHONE, "de-DE"), (1280, "fr-FR"), (1280, "en-GB")])
def test_time_without_an_amount_is_asked_about_beside_the_amounts_of_all(
    visit: Visit, site: Site, width: int, locale: str
):
    visitor = visit(Role.OPERATOR, width=width, locale=locale)
    page = visitor.open(f"/statement?customer={site.value(f'SELECT {CUSTOMER_ID}')}")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    for card in cards.all():
        expect(card).to_contain_text(f"{CUSTOMER}: ")
    assert (cards.last.get_by_role("link").get_attribute("href") or "").endswith("/en/admin/permissions")
    page = visitor.open("/statement")
    amount = {"de-DE": "Betrag", "fr-FR": "Montant", "en-GB": "Amount"}[locale]
    row = page.get_by_role("row").filter(has_text=CUSTOMER).first
    expect(row.locator(f"td[data-label={amount!r}]")).to_contain_text(re.compile(r"\d+[.,]\d\d EUR"))
    assert violations(page) == []
    assert overflow(page) <= 0


@pytest.mark.usefixtures("differing")
def test_time_that_did_not_come_from_a_ticket_is_named_and_stands_among_the_time_sheets(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    told = page.get_by_text("not from a ticket").first
    expect(told).to_contain_text("1 time sheet, 1\u202fh\u202f30, not from a ticket")
    expect(told).to_have_attribute("title", re.compile("1 time sheet, 90 min, not from a ticket"))
    page.get_by_role("button", name=CUSTOMER).click()
    items = page.get_by_role("dialog", name=CUSTOMER).get_by_role("table", name="Time by ticket")
    row = items.get_by_role("row").filter(has_text="Workshop")
    expect(row).to_contain_text("1\u202fh\u202f30")


@pytest.mark.usefixtures("long")
def test_many_lines_are_drawn_page_by_page(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    page.get_by_role("button", name=CUSTOMER).click()
    dialog = page.get_by_role("dialog", name=CUSTOMER)
    lines = dialog.get_by_role("table", name="Agents and activities")
    expect(lines.get_by_role("row")).to_have_count(1 + 25 + 1)
    expect(lines.get_by_text("Copy 05")).to_be_visible()
    assert lines.get_by_text("Copy 30").count() == 0
    total = lines.get_by_role("row").last.inner_text()
    dialog.get_by_role("button", name="Next page").click()
    expect(lines.get_by_text("Copy 30")).to_be_visible()
    assert lines.get_by_text("Copy 05").count() == 0
    assert lines.get_by_role("row").last.inner_text() == total


@pytest.mark.usefixtures("made")
def test_the_charts_of_customers_and_of_the_age_of_conflicts_can_be_read_as_tables(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/statement")
    for summary in page.get_by_text("Show as a table").all():
        summary.click()
    shares = page.get_by_role("table", name="Booked hours per day and customer")
    expect(shares.get_by_role("columnheader", name="All others")).to_be_visible()
    expect(shares.get_by_role("row").nth(1)).to_contain_text("1 Oct 2025")
    expect(shares.get_by_role("row").nth(1)).to_contain_text(re.compile(r"\d\u202fh\u202f\d\d"))
    titles = shares.get_by_role("columnheader").all_inner_texts()
    assert len(titles) == 1 + 5 + 1
    everything = column(page.get_by_role("table", name="Hours of each day", exact=True), "Booked in Zammad")
    assert sum(sum(column(shares, title)) for title in titles[1:]) == sum(everything)
    ages = page.get_by_role("table", name="Open conflicts by age")
    with site.database.transaction() as connection:
        open_ones = connection.execute(
            text("SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'open'")
        ).scalar_one()
    assert sum(column(ages, "Conflicts")) == column(ages, "Conflicts")[0] == open_ones > 0


@pytest.fixture
def lost(made: None, site: Site) -> Iterator[str]:
    """A booking of whom some minutes are nowhere."""
    del made
    booking = site.value("SELECT min(entry_key) FROM marts.fct_time_entries WHERE entry_key NOT LIKE 'kimai:%'")
    put = text("UPDATE marts.fct_time_entries SET minutes_unexplained = :minutes WHERE entry_key = :key")
    for minutes in (72.5, 0):
        with site.database.transaction() as connection:
            connection.execute(put, {"minutes": minutes, "key": booking})
        if minutes:
            yield booking


def test_what_does_not_add_up_is_told_in_hours_and_leads_to_its_story(visit: Visit, lost: str):
    page = visit(Role.VIEWER).open("/statement")
    gaps = page.get_by_role("table", name="What does not add up")
    expect(gaps.get_by_text("1\u202fh\u202f13")).to_have_attribute("title", "72.5\u202fmin")
    gaps.get_by_role("link", name=f"Booking {lost}").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"Booking {lost}")


@pytest.mark.usefixtures("made")
def test_what_is_drawn_is_hidden_from_screen_readers_which_have_the_tables(visit: Visit):
    page = visit(Role.VIEWER).open("/statement")
    expect(page.locator(".zk-chart svg")).to_have_count(3)
    page.locator(".zk-chart").first.evaluate("chart => chart.closest('.zk-card').scrollIntoView()")
    assert page.locator(".zk-chart").count() == page.locator("[aria-hidden=true] .zk-chart").count()
    assert page.locator(".zk-chart").count() == page.locator("details table").count()


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
@pytest.mark.parametrize(("width", "theme"), [(PHONE, "light"), (PHONE, "dark"), (1280, "light"), (1280, "dark")])
def test_an_open_customer_fits_the_screen_and_is_readable(visit: Visit, site: Site, width: int, theme: str):
    visitor = visit(Role.VIEWER, width=width)
    visitor.context.add_cookies([{"name": "zk_theme", "value": theme, "url": site.url}])
    page = visitor.open("/statement")
    page.get_by_role("button", name=CUSTOMER).click()
    dialog = page.get_by_role("dialog", name=CUSTOMER)
    expect(dialog.locator(".zk-chart svg").first).to_be_visible()
    box = dialog.locator(".zk-dialog").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    assert overflow(page) <= 0
    assert violations(page) == []


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_a_made_statement_fits_the_screen_and_is_readable(visit: Visit, width: int):
    page = visit(Role.OPERATOR, width=width).open("/statement")
    expect(page.locator(".zk-equation")).to_be_visible()
    assert overflow(page) <= 0
    assert violations(page) == []
