"""What a statement says about money: amounts, invoices, what does not match or was accepted, and how fresh it is."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
from openpyxl import load_workbook
from sqlalchemy import text

from zk_pipeline.billing import invoices, periods, statements
from zk_pipeline.billing.files import FileFormat, money, render
from zk_pipeline.billing.files.closed_statement import closing_content, statement_hash
from zk_pipeline.billing.files.style import document_style
from zk_pipeline.domain.invoicing import BillingState
from zk_pipeline.domain.statement import Statement
from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Actor, OperationError, Role, StaleError, UnknownError
from zk_pipeline.identity.users import NewUser
from zk_pipeline.languages import Language
from zk_pipeline.operate import home
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.defs.billing import ADMIN
from zk_pipeline_tests.defs.world import MONDAY, World, at

MONTH = date(2025, 10, 1)
AMOUNT = ["customers", "0", "items", "0", "amount"]


def customer(world: World, name: str, hourly: str | None = "100.00") -> tuple[int, int]:
    """A customer with three hours on three days, and a line in the month's statement; returns it and its project."""
    server, office = world.office.server, world.office
    owner = server.add_customer(name)
    if hourly is not None:
        server.add_rate("customers", owner, hourly)
    project = server.add_project("Desk", owner)
    for day in range(3):
        begin = at("09:00", MONDAY + timedelta(days=day))
        sheet = server.add_timesheet(office.users["anna"], project, office.activity, begin, begin + timedelta(hours=1))
        server.edit_timesheet(sheet)
    with world.environment.runtime.database.transaction() as connection:
        empty_marts.make(connection)
        connection.execute(
            text(
                "INSERT INTO marts.statement_lines (month, customer, customer_id, entries, minutes_zammad, "
                "minutes_kimai, minutes_billable, minutes_to_be_billed) "
                "VALUES (:month, :name, :id, 3, 180, 180, 180, 180)"
            ),
            {"month": MONTH, "name": name, "id": owner},
        )
    return owner, project


def read(world: World, *, compared: bool = True) -> Statement:
    runtime = world.environment.runtime
    world.sync(MONDAY, MONDAY + timedelta(days=2))
    if compared:
        invoices.compare(runtime)
    return statements.statement(runtime, "2025-10", refresh=False)


def told(world: World, found: Statement) -> str:
    style = document_style(world.environment.runtime.settings)
    return " ".join(money.sentences_by_customer(style, [row for account in found.accounts for row in account.money]))


def test_amounts_figures_and_invoices_stand_per_customer_and_currency(world: World) -> None:
    owner, _ = customer(world, "Paid")
    assert world.office.server.invoice(world.office.users["sync"], owner, MONDAY, MONDAY + timedelta(days=1))
    found = read(world)
    (row,) = found.accounts[0].money
    assert (row.currency, row.amount) == ("EUR", Decimal("300.0000"))
    assert {each.state: str(each.rates) for each in row.figures} == {
        BillingState.INVOICED: "200.0000",
        BillingState.TO_BE_BILLED: "100.0000",
    }
    (invoice,) = row.invoices
    sentences = told(world, found)
    assert "Paid (" in sentences
    assert "To be paid for the month: 300.00 EUR without tax." in sentences
    assert "Invoiced: 200.00 EUR (120 min); To be billed: 100.00 EUR (60 min)." in sentences
    assert f"Invoices, without tax: {invoice.number} (200.00 EUR, new)." in sentences
    assert "lost" not in sentences
    (account,) = json.loads(render(found, FileFormat.JSON, document_style(world.environment.runtime.settings)))[
        "customers"
    ]
    (row,) = account["money"]
    assert (row["amount"], row["difference"], row["questions"]) == ("300.0000", "0", [])
    assert [(each["number"], each["status"]) for each in row["invoices"]] == [(invoice.number, "new")]


def test_a_cancelled_invoice_is_a_question_with_its_way_out_in_every_format(world: World) -> None:
    owner, _ = customer(world, "Cancelled")
    number = world.office.server.invoice(world.office.users["sync"], owner, MONDAY, MONDAY + timedelta(days=1))
    assert number
    world.office.server.change_invoice(1, "canceled")
    found = read(world)
    question = "200.00 EUR are exported and 0.00 EUR invoiced: is 200.00 EUR lost?"
    assert question in told(world, found)
    assert "off in Kimai and invoice again" in told(world, found)
    style = replace(document_style(world.environment.runtime.settings), internal=True)
    sheet = load_workbook(BytesIO(render(found, FileFormat.XLSX, style)))["Summary"]
    assert question in str(sheet["A1"].value)
    assert render(found, FileFormat.PDF, style).startswith(b"%PDF")
    (account,) = json.loads(render(found, FileFormat.JSON, style))["customers"]
    assert question in account["money"][0]["questions"][0]


def test_who_accepted_a_difference_is_named_in_each_language(world: World) -> None:
    customer(world, "Cash")
    runtime = world.environment.runtime
    world.office.change(world.office.rows[0], exported=True)
    read(world)
    with runtime.database.transaction() as connection:
        user = users.create(connection, ADMIN, NewUser("ben@example.com", Role.ADMIN, "Ben Brandt"))
    row = invoices.accept(runtime, Actor(f"user:{user.id}", Role.ADMIN), "Cash", "paid in cash")
    assert (row.accepted_by, row.accepted) == ("Ben Brandt", "paid in cash")
    assert "accepted by Ben Brandt: paid in cash." in told(world, read(world))
    with runtime.database.transaction() as connection:
        connection.execute(text("DELETE FROM sync.users"))
    statement = read(world)
    for language, name in ((Language.GERMAN, "ein früherer Benutzer"), (Language.FRENCH, "un ancien utilisateur")):
        style = document_style(runtime.settings, language)
        sentences = money.sentences_by_customer(style, [row for each in statement.accounts for row in each.money])
        assert f"{name} ({user.id}): paid in cash." in " ".join(sentences)


def test_a_difference_is_accepted_for_a_reason_until_the_amount_changes(world: World) -> None:
    owner, _ = customer(world, "Cash")
    runtime, server = world.environment.runtime, world.office.server
    (first, second, _) = world.office.rows
    world.office.change(first, exported=True)
    assert "is 100.00 EUR lost?" in told(world, read(world))
    (row,) = invoices.list_comparisons(runtime)
    assert (row.customer, row.exported, row.invoiced, row.difference) == ("Cash", 100, 0, 100)
    with pytest.raises(StaleError, match=r"is now 100.00 EUR, not 90\."):
        invoices.accept(runtime, ADMIN, "Cash", "paid in cash", difference=Decimal(90))
    with pytest.raises(OperationError, match="the reason is missing"):
        invoices.accept(runtime, ADMIN, "Cash", " ")
    with pytest.raises(UnknownError, match="customer 'Card'"):
        invoices.accept(runtime, ADMIN, "Card", "paid in cash")
    assert invoices.accept(runtime, ADMIN, "Cash", "paid in cash", difference=Decimal("100.00")).accepted
    for _ in range(2):
        sentences = told(world, read(world))
        assert "lost?" not in sentences
        assert "100.00 EUR of difference accepted by anna (command line): paid in cash." in sentences
    world.office.change(second, exported=True)
    assert "is 200.00 EUR lost?" in told(world, read(world))
    assert server.invoice(world.office.users["sync"], owner, MONDAY, MONDAY + timedelta(days=2))
    assert "is 200.00 EUR lost?" in told(world, read(world))
    for row in (first, second):
        world.office.change(row, exported=False)
    assert server.invoice(world.office.users["sync"], owner, MONDAY, MONDAY + timedelta(days=2))
    assert "lost?" not in told(world, read(world))
    with pytest.raises(StaleError, match="is invoiced to the cent"):
        invoices.accept(runtime, ADMIN, str(owner), "paid in cash")


def test_what_has_no_rate_is_warned_of_before_the_month_is_invoiced(world: World) -> None:
    customer(world, "New", hourly=None)
    sentences = told(world, read(world))
    assert "To be paid for the month: 0.00 EUR" in sentences
    assert "Billable time sheets at 0.00, since nobody set a rate: 3. Set a rate in Kimai" in sentences


def test_a_statement_says_when_each_side_was_read_and_why_invoices_were_not(world: World) -> None:
    customer(world, "Acme")
    before = datetime.now(UTC)
    found = read(world, compared=False)
    style, readings = document_style(world.environment.runtime.settings), found.readings
    assert readings is not None
    for side in (readings.source, readings.target):
        assert side.latest is not None
        assert before <= side.latest
    assert "Not compared with invoices yet" in money.reading_sentences(style, readings)
    world.sync(MONDAY)
    later = statements.statement(world.environment.runtime, "2025-10", refresh=False).readings
    assert later is not None
    assert later.source.latest is not None
    assert later.source.oldest == readings.source.oldest
    assert later.source.latest > readings.source.latest  # pyright: ignore[reportOperatorIssue]
    since = replace(later, source=replace(later.source, oldest=before - timedelta(days=1)))
    assert "(some days " in money.reading_sentences(style, since)
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_invoice": False}}})
    invoices.compare(world.environment.runtime)
    refused = statements.statement(world.environment.runtime, "2025-10", refresh=False).readings
    assert refused is not None
    assert (
        "Not compared with invoices: The account may not read invoices: view_invoice is missing."
        in money.reading_sentences(style, refused)
    )
    german = replace(style, language=Language.GERMAN)
    assert "Das Konto darf keine Rechnungen lesen" in money.reading_sentences(german, refused)


def test_a_closed_month_that_is_invoiced_later_is_unchanged_and_keeps_its_hash(world: World) -> None:
    owner, _ = customer(world, "Paid")
    read(world)
    runtime = world.environment.runtime
    hashed = periods.close(runtime, ADMIN, "2025-10").statement_hash
    assert world.office.server.invoice(world.office.users["sync"], owner, MONDAY, MONDAY + timedelta(days=1))
    with runtime.database.transaction() as connection:
        connection.execute(text("UPDATE marts.statement_lines SET minutes_billed = 120, minutes_to_be_billed = 60"))
    found = read(world)
    assert found.closing is not None
    assert not found.closing.differs
    assert statement_hash(closing_content(found)) == hashed
    assert found.accounts[0].money[0].invoices
    closed = statements.statement(runtime, "2025-10", closed=True)
    assert closed.total.to_be_billed == 180
    with runtime.database.transaction() as connection:
        connection.execute(text("UPDATE marts.statement_lines SET minutes_zammad = 181, minutes_rounding = 1"))
    changed = statements.statement(runtime, "2025-10", refresh=False)
    assert changed.closing is not None
    assert changed.closing.differs
    assert statement_hash(closing_content(changed)) != hashed


def test_a_kept_statement_is_the_same_file_later_and_differs_when_time_is_moved(world: World) -> None:
    customer(world, "Paid")
    read(world)
    runtime = world.environment.runtime
    style = document_style(runtime.settings)
    closed = periods.close(runtime, ADMIN, "2025-10")
    kept = statements.statement(runtime, "2025-10", closed=True)
    files = [render(kept, kind, style) for kind in (FileFormat.JSON, FileFormat.PDF)]
    (account,) = kept.accounts
    assert [(item.minutes, item.amount) for item in account.items] == [(60, 100)] * 3
    assert kept.closing is not None
    assert kept.closing.hash == closed.statement_hash
    sheet = world.office.rows[-1]
    world.office.server.edit_timesheet(sheet.id, hourly_rate=Decimal(250))
    dearer = read(world)
    assert [item.amount for item in dearer.accounts[0].items] == [100, 100, 250]
    assert dearer.closing is not None
    assert not dearer.closing.differs
    again = statements.statement(runtime, "2025-10", closed=True)
    assert [render(again, kind, style) for kind in (FileFormat.JSON, FileFormat.PDF)] == files
    world.office.change(sheet, begin=sheet.begin + 86_400, end=(sheet.end or 0) + 86_400)
    world.sync(MONDAY, MONDAY + timedelta(days=3))
    moved = statements.statement(runtime, "2025-10", refresh=False)
    assert moved.closing is not None
    assert moved.closing.differs


def test_amounts_that_somebody_changed_in_a_kept_statement_are_not_shown(world: World) -> None:
    customer(world, "Paid")
    read(world)
    runtime = world.environment.runtime
    periods.close(runtime, ADMIN, "2025-10")
    world.execute("UPDATE sync.closed_statements SET content = jsonb_set(content, :path, '\"1\"')", path=AMOUNT)
    with pytest.raises(StaleError, match="its hash is no longer"):
        statements.statement(runtime, "2025-10", closed=True)


def test_where_kimai_is_away_the_comparison_fails_with_a_sentence(world: World) -> None:
    customer(world, "Acme")
    world.office.control.add_fault("respond", path="customers", status=403, text="")
    with pytest.raises(OperationError, match="The invoices could not be compared"):
        invoices.compare(world.environment.runtime)


def test_home_says_what_the_time_in_kimai_costs_by_currency_and_nothing_where_it_tells_no_rates(world: World) -> None:
    bookings = [world.desk.book(30), world.desk.book(90, at("13:00"), ticket="globex")]
    world.sync()
    assert home.home(world.environment.runtime, MONTH).amounts == ()
    kimai = world.office.server
    for booking, currency, hourly in zip(bookings, ("EUR", "CHF"), ("80", "120.50"), strict=True):
        sheet = world.office.sheet(booking)
        owner = kimai.kimai.projects.rows[sheet.project].customer
        kimai.kimai.customers.put(replace(kimai.kimai.customers.rows[owner], currency=currency))
        kimai.add_rate("customers", owner, hourly)
        kimai.edit_timesheet(sheet.id)
    world.sync()
    assert dict(home.home(world.environment.runtime, MONTH).amounts) == {"EUR": Decimal(40), "CHF": Decimal("180.75")}
