"""A statement as a file: each format opens again, with the same minutes, whatever the customers are called."""

import csv
import io
import json
import re
import time
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fpdf import FPDF
from openpyxl import load_workbook
from PIL import Image

from zk_pipeline.billing.files import FileFormat, file_name, pdf_pages, render
from zk_pipeline.billing.files.closed_statement import closing_content, statement_from_closing, statement_hash
from zk_pipeline.billing.files.pdf_pages import drawable
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.periods import Closing, fingerprint
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Invoice
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    Amounts,
    DayMinutes,
    Statement,
    StatementCustomer,
    StatementLine,
    statement_of,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, Money, OpenConflicts, Origin, StatementItem
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.languages import Language

MONTH = date(2025, 8, 1)
OF_ALL = ("Summary", "Time sheets", "Adjustments and credits", "Invoices")
ACME = StatementCustomer("Acme", 1)
NOBODY = Path("/nowhere/no.ttf")
LOOK = DocumentStyle(ZoneInfo("Europe/Berlin"))
FORMULA = '=HYPERLINK("https://evil.example","x")'
NAMES = (
    FORMULA,
    "<script>alert(1)</script> & Söhne",
    "Pixelwerk \N{ROCKET} Studio",
    "Żółć 株式会社 \u202e\x07",
    "History",
    "a/b:c*d?[e]" * 9,
    "A/B:C*D?[E]" * 9,
)


def made_of(names: Iterable[str], **amounts: str) -> Statement:
    exact = {name: Decimal(value) for name, value in amounts.items()}
    rows = [
        StatementLine(StatementCustomer(name, number), f"{name} agent", "", activity, replace(Amounts(1), **exact))
        for number, name in enumerate(names, 1)
        for activity in ("(no type)", "**Support**")
    ]
    days = [DayMinutes(row.customer, MONTH, row.amounts.zammad, row.amounts.kimai) for row in rows]
    made = statement_of(MONTH, rows, days)
    return Statement(made.month, made.accounts, datetime(2025, 9, 1, tzinfo=UTC))


def item(number: int = 1, **changed: Any) -> StatementItem:
    """The time sheet of a booking of Acme's, but for what is changed."""
    day = date(2025, 8, 1 + number % 28)
    values: dict[str, Any] = {"customer": ACME, "day": day, "ticket": str(50_000 + number), "title": "VPN is slow"}
    values |= {"agent": "Anna", "agent_email": "anna@example.com", "activity": "Support", "minutes": Decimal(30)}
    values |= {"billable": True, "amount": Decimal("33.3333"), "currency": "EUR", "booking": str(number)}
    return StatementItem(**{**values, "timesheet": number, **changed})


def credit(customer: StatementCustomer, **changed: Any) -> AdjustmentLine:
    """An open credit for a booking of July, but for what is changed."""
    values: dict[str, Any] = {"customer": customer, "id": 1, "day": date(2025, 7, 9), "booked_on": date(2025, 8, 4)}
    values |= {"elsewhere": False, "state": AdjustmentState.OPEN, "ticket": "50007", "title": "Printer", "agent": "Ben"}
    values |= {"agent_email": "", "activity": "Support", "minutes": Decimal("-22.5"), "amount": Decimal(-25)}
    return AdjustmentLine(**{**values, "currency": "EUR", "booking": "7", **changed})


@pytest.fixture
def statement() -> Statement:
    return made_of(NAMES, zammad="7.5", kimai="8", rounding="-0.5", billable="8")


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents whose text can be read in their bytes: not compressed, and in a font that every reader has."""
    monkeypatch.setattr(pdf_pages, "MACHINE_FONTS", ())
    begin = FPDF.__init__

    def plainly(self: FPDF, *args: object, **given: object) -> None:
        begin(self, *args, **given)  # pyright: ignore[reportArgumentType]
        self.set_compression(False)

    monkeypatch.setattr(FPDF, "__init__", plainly)


def test_a_workbook_has_a_sheet_for_all_and_one_for_each_with_numbers_as_numbers(statement: Statement) -> None:
    book = load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, LOOK)))
    assert tuple(book.sheetnames[:4]) == OF_ALL
    assert len(book.sheetnames) == len(OF_ALL) + len(NAMES)
    assert len({name.casefold() for name in book.sheetnames}) == len(book.sheetnames)
    for sheet in (book["Summary"], *book.worksheets[len(OF_ALL) :]):
        heads = [cell.value for cell in sheet[2]]
        sums = dict(zip(heads, [cell.value for cell in sheet[sheet.max_row]], strict=True))
        rows = list(sheet.iter_rows(min_row=3, max_row=sheet.max_row - 1, values_only=True))
        for name in ("zammad", "kimai", "rounding"):
            assert sums[name] == sum(row[heads.index(name)] for row in rows)
        assert sheet.freeze_panes is not None
        assert sheet.print_title_rows == "$1:$2"


def test_no_cell_of_a_workbook_is_a_formula(statement: Statement) -> None:
    book = load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, LOOK)))
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert "f" not in {cell.data_type for cell in cells}
    assert any(str(cell.value).startswith(FORMULA) for cell in cells)


def test_the_workbook_speaks_the_language_of_its_reader(statement: Statement) -> None:
    look = replace(LOOK, language=Language.GERMAN)
    book = load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, look)))
    assert tuple(book.sheetnames[:4]) == ("Übersicht", "Zeiteinträge", "Nachträge und Gutschriften", "Rechnungen")
    assert [cell.value for cell in book["Übersicht"][2]][:4] == ["Kunde", "Buchungen", "Zammad", "Kimai"]
    assert book["Übersicht"].cell(book["Übersicht"].max_row, 1).value == "Gesamt"
    made = stated([item(billable=False), item(2, adjusts=date(2025, 7, 9))])
    rows = load_workbook(io.BytesIO(render(made, FileFormat.XLSX, look)))["Zeiteinträge"]
    heads, first, second = ([cell.value for cell in row] for row in rows.iter_rows(min_row=2, max_row=4))
    assert (first[heads.index("abrechenbar")], second[heads.index("abrechenbar")]) == ("nein", "ja")
    assert (first[heads.index("Art")], second[heads.index("Art")]) == ("Buchung", "Nachtrag")


def test_what_has_no_type_and_invoices_are_named_in_the_language_of_the_reader(readable: None) -> None:
    look, nothing = replace(LOOK, language=Language.GERMAN), NO_ACTIVITY
    line = StatementLine(ACME, "Anna", "", nothing, Amounts(1, zammad=Decimal(30), kimai=Decimal(30)))
    rows = {"items": [item(activity=nothing)], "adjustments": [credit(ACME, activity=nothing)]}
    made = statement_of(MONTH, [line], **rows, money=[invoiced("paid")])
    book = load_workbook(io.BytesIO(render(made, FileFormat.XLSX, look)))
    for name in ("Zeiteinträge", "Nachträge und Gutschriften", "Acme"):
        heads, row = ([cell.value for cell in cells] for cells in book[name].iter_rows(min_row=2, max_row=3))
        assert row[heads.index("Tätigkeit")] == "(ohne Art)"
    told = "Rechnungen, ohne Steuer: 2025-0107 (100,00 EUR, bezahlt)."
    assert told in str(book["Acme"]["A1"].value)
    assert told in read_aloud(pages(made, look))
    unknown = replace(made, accounts=(replace(made.accounts[0], money=(invoiced("disputed"),)),))
    assert "(100,00 EUR, disputed)" in read_aloud(pages(unknown, look))


def test_documents_name_the_reasons_of_open_conflicts_in_the_language_of_their_reader(readable: None) -> None:
    made = stated([item()], conflicts=[OpenConflicts(ACME, 1, 1, reason, Decimal(30)) for reason in Reason])
    look = replace(LOOK, language=Language.GERMAN, internal=True)
    told = "1 \N{MULTIPLICATION SIGN} Agent nicht zugeordnet (30 min)"
    book = load_workbook(io.BytesIO(render(made, FileFormat.XLSX, look)))
    for text in (*(str(book[name]["A1"].value) for name in ("Übersicht", "Acme")), read_aloud(pages(made, look))):
        assert told in text
        assert not [reason for reason in Reason if "_" in reason and reason in text]


def test_csv_keeps_negative_amounts_as_numbers_and_formulas_as_text(statement: Statement) -> None:
    rows = list(csv.DictReader(io.StringIO(render(statement, FileFormat.CSV, LOOK).decode())))
    assert sum(Decimal(row["minutes_zammad"]) for row in rows) == statement.total.zammad
    assert {row["minutes_rounding"] for row in rows} == {"-0.5"}
    assert f"'{FORMULA}" in {row["customer"] for row in rows}


def test_csv_for_a_german_spreadsheet_has_its_delimiter_and_decimal_comma(statement: Statement) -> None:
    content = render(statement, FileFormat.CSV, DocumentStyle(LOOK.zone, csv=CsvFormat.EXCEL))
    assert content.startswith(b"\xef\xbb\xbfmonth;")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig")), delimiter=";"))
    assert {row["minutes_rounding"] for row in rows} == {"-0,5"}
    assert sum(Decimal(row["minutes_zammad"].replace(",", ".")) for row in rows) == statement.total.zammad


def test_json_has_exact_amounts_and_the_verdict(statement: Statement) -> None:
    told = json.loads(render(statement, FileFormat.JSON, LOOK))
    assert (told["month"], told["verdict"], told["unexplained"]) == ("2025-08", "balanced", "0.0")
    assert sum(Decimal(one["minutes"]["zammad"]) for one in told["customers"]) == Decimal(told["minutes"]["zammad"])


def test_a_pdf_tells_customer_period_minutes_and_pages_and_nothing_internal(readable: None) -> None:
    statement = made_of(["Bäckerei Sonne"], zammad="90", kimai="60", waiting="30", billable="60")
    content = render(statement, FileFormat.PDF, DocumentStyle(LOOK.zone, letterhead="Nordlicht IT")).decode("latin-1")
    for told in (
        "Bäckerei Sonne",
        "2025-08-01 to 2025-08-31",
        "(2:00)",
        "Page 1 of ",
        "Nordlicht IT",
        "Draft",
    ):
        assert told in content, told
    assert "Zammad" not in content
    assert "waiting" not in content


def test_each_page_of_a_long_table_says_whose_it_is_and_repeats_the_head(readable: None) -> None:
    rows = [
        StatementLine(StatementCustomer("Acme"), f"Agent {number:02}", "", activity, Amounts(1, kimai=Decimal(5)))
        for number in range(40)
        for activity in ("Support", "Travel")
    ]
    content = render(statement_of(MONTH, rows), FileFormat.PDF, LOOK).decode("latin-1")
    pages = len(re.findall(r"/Type /Page\b", content))
    assert pages > 2
    assert content.count("2025-08 \N{MIDDLE DOT} Acme") == content.count("(Billable)") == pages
    assert content.count("(Total)") == 1


def test_the_pages_of_a_customer_are_drawn_alike_whoever_comes_before(readable: None) -> None:
    def filled(*names: str) -> int:
        made = made_of(names, zammad="90", kimai="90")
        return render(made, FileFormat.PDF, LOOK).decode("latin-1").count(" re f")

    assert filled("Acme", "Globex") == filled("Acme") + filled("Globex") > 0


def test_a_person_with_one_activity_has_no_sum_even_with_two_addresses(readable: None) -> None:
    rows = [
        StatementLine(StatementCustomer("Acme"), "Anna", address, "Support", Amounts(1, kimai=Decimal(5)))
        for address in ("anna@example.com", "anna@example.net")
    ]
    content = render(statement_of(MONTH, rows), FileFormat.PDF, LOOK).decode("latin-1")
    assert "(Anna)" in content
    assert "(Sum)" not in content


def test_a_pdf_counts_the_time_sheets_that_are_billed_and_nothing_that_came_to_nothing(readable: None) -> None:
    corrected = Amounts(73, zammad=Decimal(50), kimai=Decimal(50), timesheets=61)
    line = StatementLine(StatementCustomer("Acme"), "Anna", "", "Support", corrected)
    content = render(statement_of(MONTH, [line]), FileFormat.PDF, LOOK).decode("latin-1")
    assert ("(61)" in content, "(73)" in content) == (True, False)


def test_every_format_tells_of_a_customers_open_credits(readable: None) -> None:
    acme = StatementCustomer("Acme", 1)
    line = StatementLine(acme, "Anna", "", "Support", Amounts(1, zammad=Decimal(50), kimai=Decimal(50), timesheets=1))
    made = statement_of(MONTH, [line], adjustments=[credit(acme)])
    assert "Open credits: 0:22:30 h." in render(made, FileFormat.PDF, LOOK).decode("latin-1")
    book = load_workbook(io.BytesIO(render(made, FileFormat.XLSX, LOOK)))
    assert all("Open credits: 22.5 min." in str(book[name]["A1"].value) for name in ("Summary", "Acme"))
    told = json.loads(render(made, FileFormat.JSON, LOOK))
    assert (told["credits_open"], told["customers"][0]["credits_open"]) == ("22.5", "22.5")
    rows = list(csv.DictReader(io.StringIO(render(made, FileFormat.CSV, LOOK).decode())))
    assert [(row["minutes_zammad"], row["minutes_credits_open"]) for row in rows] == [("50", "0"), ("0", "22.5")]


def test_a_pdf_as_closed_is_no_draft_and_names_who_closed_it_to_the_house_alone(readable: None) -> None:
    closing = Closing(datetime(2025, 9, 1, 22, 30, tzinfo=UTC), "Ben", "", shown=True)
    statement = replace(made_of(["Acme"], zammad="90", kimai="60", waiting="30"), closing=closing)
    content = render(statement, FileFormat.PDF, LOOK).decode("latin-1")
    assert ("As closed on 2025-09-02." in content, "Draft" in content) == (True, False)
    assert b"As closed on 2025-09-02 by Ben." in render(statement, FileFormat.PDF, replace(LOOK, internal=True))


def test_a_pdf_for_the_house_spells_the_equation(readable: None) -> None:
    statement = made_of(["Acme"], zammad="90", kimai="60", waiting="30")
    content = render(statement, FileFormat.PDF, DocumentStyle(LOOK.zone, internal=True)).decode("latin-1")
    assert "180 booked in Zammad = 120 in Kimai + 60 waiting" in content


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("machine_fonts", [pdf_pages.MACHINE_FONTS, ()], ids=["with its fonts", "without fonts"])
def test_any_name_makes_a_pdf(
    statement: Statement, language: Language, machine_fonts: tuple[()], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_pages, "MACHINE_FONTS", machine_fonts)
    assert render(statement, FileFormat.PDF, DocumentStyle(LOOK.zone, language=language, internal=True)).startswith(
        b"%PDF"
    )


def test_a_month_without_bookings_is_a_file_in_every_format() -> None:
    empty = statement_of(MONTH, [])
    assert all(render(empty, kind, LOOK) for kind in FileFormat)


def test_names_lose_their_accents_where_the_font_has_none() -> None:
    letters = frozenset(range(0x20, 0x7F))
    assert drawable("Żółć \N{EN DASH} Y\N{LATIN SMALL LETTER DOTLESS I}ld \N{ROCKET} 株", letters) == "Zolc - Yild ?"
    assert drawable("Caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}", frozenset({*letters, 0xE9})) == "Café"


@pytest.mark.parametrize("font", [NOBODY, Path(__file__)])
def test_a_font_that_is_none_is_named(statement: Statement, font: Path) -> None:
    with pytest.raises(OperationError, match="ZK_STATEMENT_FONT"):
        render(statement, FileFormat.PDF, DocumentStyle(LOOK.zone, font=font))


def test_a_file_is_named_by_month_and_customer_in_letters_that_every_system_takes(statement: Statement) -> None:
    assert file_name(statement, FileFormat.PDF) == "statement-2025-08.pdf"
    assert file_name(statement, FileFormat.PDF, StatementCustomer("Hartmann", 3)) == "2025-08_Hartmann.pdf"
    assert file_name(statement, FileFormat.PDF, StatementCustomer("Weiß & Söhne", 4)) == "2025-08_Weiß-Söhne.pdf"
    assert file_name(statement, FileFormat.CSV, StatementCustomer("../..", 5)) == "2025-08_5.csv"
    for customer in (account.customer for account in statement.accounts):
        assert re.fullmatch(r"2025-08_[\w-][\w.-]{0,79}\.pdf", file_name(statement, FileFormat.PDF, customer))


def test_a_zip_has_the_pdf_of_each_customer_and_none_twice(readable: None) -> None:
    made = made_of(["Hartmann", "hartmann!", "Globex"], zammad="90", kimai="90")
    content = render(made, FileFormat.ZIP, LOOK)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    assert set(found) == {"2025-08_Hartmann.pdf", "2025-08_hartmann-2.pdf", "2025-08_Globex.pdf"}
    assert all(b"(Service record)" in pdf for pdf in found.values())
    assert (b"(Globex)" in found["2025-08_Globex.pdf"], b"(Hartmann)" in found["2025-08_Globex.pdf"]) == (True, False)
    assert content == render(made, FileFormat.ZIP, LOOK)


def test_the_house_stands_on_each_page_with_logo_letterhead_and_footer_and_its_text_once(
    readable: None, tmp_path: Path
) -> None:
    logo = tmp_path / "logo.png"
    Image.new("RGB", (400, 120), "navy").save(logo)
    house = replace(
        LOOK, letterhead="Nordlicht IT\nHafen 7", logo=logo, text="Thank you.\n\nPaid in 14 days.", footer="HRB 4711"
    )
    content = render(stated([item(number) for number in range(80)]), FileFormat.PDF, house).decode("latin-1")
    number = len(re.findall(r"/Type /Page\b", content))
    assert number > 1
    for told in ("(Nordlicht IT)", "(Hafen 7)", "(HRB 4711)", "/I1 Do"):
        assert content.count(told) == number, told
    assert (content.count("(Thank you.)"), content.count("(Paid in 14 days.)")) == (1, 1)


@pytest.mark.parametrize("logo", [NOBODY, Path(__file__)])
def test_a_logo_that_is_none_is_named(statement: Statement, logo: Path) -> None:
    with pytest.raises(OperationError, match="ZK_STATEMENT_LOGO"):
        render(statement, FileFormat.PDF, replace(LOOK, logo=logo))


def test_each_customer_has_page_numbers_of_its_own(readable: None) -> None:
    globex = StatementCustomer("Globex", 2)
    lines = [
        StatementLine(each, "Anna", "", "Support", Amounts(1, kimai=Decimal(30), zammad=Decimal(30)))
        for each in (ACME, globex)
    ]
    made = statement_of(MONTH, lines, items=[item(number) for number in range(60)])
    found = [re.findall(r"\((Page \d+ of )\).*?\((\d+)\)", page, re.DOTALL)[0] for page in pages(made)]
    assert found == [("Page 1 of ", "2"), ("Page 2 of ", "2"), ("Page 1 of ", "1")]


@pytest.mark.parametrize("waits", ["waiting", "corrections_open", "a conflict"])
def test_a_customer_whose_time_waits_is_never_told_that_nothing_was_booked(readable: None, waits: str) -> None:
    amounts = Amounts(1) if waits == "a conflict" else replace(Amounts(2), **{waits: Decimal(30)}, netted=Decimal(-30))
    conflicts = [OpenConflicts(ACME, 1, 1, "billed", Decimal(30))] if waits == "a conflict" else []
    made = statement_of(MONTH, [StatementLine(ACME, "Anna", "", "Support", amounts)], conflicts=conflicts)
    (text,) = pages(made)
    assert ("No time" in text, "The time of this period is not settled yet." in text) == (False, True)
    only_a_question = statement_of(MONTH, [], conflicts=[OpenConflicts(ACME, 1, 1, "billed", Decimal(30))])
    assert "No time" not in pages(only_a_question)[0]
    left_out = statement_of(MONTH, [StatementLine(ACME, "Anna", "", "Support", Amounts(1, excluded=Decimal(30)))])
    assert "No time of this period is billed." in pages(left_out)[0]


def test_without_rates_there_is_no_column_of_amounts(readable: None) -> None:
    (text,) = pages(stated([item(amount=None), item(2, amount=None)]))
    assert ("Amount" in text, "(1:00)" in text, "(Support)" in text) == (False, True, True)


def invoiced(status: str) -> Money:
    """Acme's money: one invoice with this status."""
    made_on, tax = datetime(2025, 9, 1, tzinfo=UTC), Decimal(19)
    invoice = Invoice(1, "2025-0107", 1, "EUR", Decimal(119), tax, tax, status, made_on, 14, None)
    return Money(ACME, "EUR", (), None, (invoice,))


def stated(items: Sequence[StatementItem] = (), **more: Any) -> Statement:
    """Acme's month with these time sheets, and a line that has their minutes."""
    minutes = sum((each.minutes for each in items if each.origin is None), Decimal(0))
    line = StatementLine(ACME, "Anna", "", "Support", Amounts(1, zammad=minutes, kimai=minutes, timesheets=len(items)))
    return statement_of(MONTH, [line], items=items, **more)


def pages(statement: Statement, style: DocumentStyle = LOOK) -> list[str]:
    """What stands on each page of its PDF."""
    content = render(statement, FileFormat.PDF, style).decode("latin-1")
    return [page for page in re.findall(r"stream\n(.*?)\nendstream", content, re.DOTALL) if " Tj" in page]


def read_aloud(found: Sequence[str]) -> str:
    """The text of pages as it is read, where a sentence goes on in the next line."""
    told = " ".join(re.findall(r"\(((?:\\.|[^\\)])*)\) Tj", "\n".join(found)))
    return re.sub(r"\s+", " ", re.sub(r"\\(.)", r"\1", told))


def table(statement: Statement, name: str) -> tuple[list[str], list[list[Any]]]:
    """The heads and the rows of a sheet of its workbook."""
    sheet = load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, LOOK)))[name]
    heads, *rows = sheet.iter_rows(min_row=2, values_only=True)
    return [str(head) for head in heads], [list(row) for row in rows]


def test_a_pdf_lists_each_time_sheet_with_its_ticket_and_adds_them_up(readable: None) -> None:
    free = item(2, billable=False, amount=Decimal(0), title="Kasse")
    carried = item(3, adjusts=date(2025, 7, 9), minutes=Decimal("7.5"))
    (text,) = pages(stated([item(), free, carried]))
    for told in (
        *("(2025-08-02)", "(50001)", "(VPN is slow)", "(Anna)", "(0:30)", "(33.3333)", r"(\(EUR\))"),
        *("(Kasse)", "(not billable)", "(0.00)", "(adjustment for 2025-07-09)", "(1:07:30)", "(66.6666)"),
    ):
        assert told in text, told


def test_what_stands_beside_the_bookings_has_lines_of_its_own_and_is_in_the_last_sum(readable: None) -> None:
    meeting = item(5, origin=Origin.NOT_FROM_A_TICKET, ticket="", title="Meeting", amount=Decimal(75))
    away = item(6, origin=Origin.IN_OTHER_MONTHS, minutes=Decimal(-10), amount=Decimal(-5))
    (text,) = pages(stated([meeting, item(amount=Decimal(40)), away]))
    told = [text.index(each) for each in ("(50001)", "(Bookings of the month)", "(Meeting)", "(Total in Kimai)")]
    assert told == sorted(told)
    for each in (
        "(not from a ticket)",
        "(taken off: it lies in another month)",
        "(-0:10)",
        "(-5.00)",
        "(0:50)",
        "(110.00)",
    ):
        assert each in text, each


def test_an_amount_that_is_not_known_is_a_dash_and_makes_no_sum(readable: None) -> None:
    (text,) = pages(stated([item(), item(2, amount=None)]))
    assert text.count("(-)") == 2
    assert text.count("(33.3333)") == 1
    _, rows = table(stated([item(), item(2, amount=None)]), "Time sheets")
    assert [row[-1] for row in rows] == [33.3333, None, None]


@pytest.mark.parametrize("rows", range(24, 48))
def test_a_total_is_never_alone_on_its_page(readable: None, rows: int) -> None:
    found = pages(stated([item(number) for number in range(1, rows + 1)]))
    assert sum(page.count("(VPN is slow)") for page in found) == rows
    for page in found:
        assert page.count("(Total)") <= page.count("(VPN is slow)") + page.count("(Support)")
        assert page.count("(Subject)") == bool(page.count("(VPN is slow)"))


def test_a_long_title_is_cut_and_a_word_without_end_is_divided(readable: None) -> None:
    (text,) = pages(stated([item(title="Why " * 90), item(2, title="x" * 400)]))
    assert text.count("...)") == 2
    assert len(re.findall(r"\((?:Why ?|x)+(?:\.\.\.)?\)", text)) == 4


def test_credits_and_adjustments_stand_named_in_both_months(readable: None) -> None:
    settled = {"state": AdjustmentState.SETTLED, "note": "credit note 2025-113"}
    here = [credit(ACME), credit(ACME, id=2, minutes=Decimal(-5), amount=None, **settled)]
    (text,) = pages(stated([item()], adjustments=here))
    for told in (
        *("Credits of this month", "(credit for 2025-07-09; open)", "(credit for 2025-07-09; settled:"),
        *("(2025-08-04)", "(-0:22:30)", "(-25.00)", "(-0:27:30)"),
    ):
        assert told in text, told
    assert "Adjusted and credited later" not in text
    original = {"day": date(2025, 8, 9), "booked_on": date(2025, 9, 3), "elsewhere": True}
    booked = credit(ACME, state=AdjustmentState.BOOKED, minutes=Decimal(15), amount=Decimal("12.5"), **original)
    (text,) = pages(stated([item()], adjustments=[credit(ACME, **original, **settled), booked]))
    for told in ("Adjusted and credited later", "(credit of 2025-09-03; settled:", "(adjustment of 2025-09-03)"):
        assert told in text, told
    assert ("Credits of this month" in text, "Open credits" in text, "(12.50)" in text) == (False, False, True)


def test_each_page_of_what_is_open_is_marked_as_a_draft_and_nobody_elses(readable: None) -> None:
    globex = StatementCustomer("Globex", 2)
    amounts = Amounts(1, zammad=Decimal(30), kimai=Decimal(30))
    lines = [StatementLine(customer, "Anna", "", "Support", amounts) for customer in (ACME, globex)]
    items = [item(number, customer=customer) for customer in (ACME, globex) for number in range(60)]
    question = OpenConflicts(ACME, 1, 1, "billed", Decimal(30))
    made = statement_of(MONTH, lines, conflicts=[question], items=items)
    found = pages(made)
    marked = ["(DRAFT)" in page for page in found]
    whose = ["\N{MIDDLE DOT} Acme)" in page for page in found]
    assert marked == whose
    assert (marked.count(True), marked.count(False)) == (2, 2)
    assert "Draft: not all time" in found[0]
    heads = {sheet: table_head(made, sheet) for sheet in ("Summary", "Acme", "Globex")}
    assert ["Draft:" in heads[name] for name in ("Summary", "Acme", "Globex")] == [True, True, False]


def table_head(statement: Statement, name: str) -> str:
    return str(load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, LOOK)))[name]["A1"].value)


def test_a_closed_month_tells_date_and_hash_in_each_document(readable: None) -> None:
    closing = Closing(datetime(2025, 9, 1, 22, 30, tzinfo=UTC), "Ben", "c0ffee" * 10)
    closed = replace(stated([item()]), closing=closing)
    (text,) = pages(closed)
    assert "Closed on 2025-09-02, and unchanged since." in text
    assert f"Hash of the closed statement: {'c0ffee' * 10}" in text
    assert "Amounts are those" not in text
    assert "c0ffee" in table_head(closed, "Summary")
    (text,) = pages(replace(closed, closing=replace(closing, stale_days=3)))
    assert ("Days that changed since this statement" in text, "unchanged" in text) == (True, False)
    shown = replace(closed, closing=replace(closing, shown=True))
    (text,) = pages(shown)
    assert "Amounts are those of the day on which the month was closed." in text
    first, second = (render(shown, FileFormat.PDF, LOOK) for _ in range(2))
    assert first == second


def test_who_closed_a_month_at_the_command_line_is_told_in_words() -> None:
    closing = Closing(datetime(2025, 9, 1, 22, 30, tzinfo=UTC), "cli:anna", "")
    german = replace(LOOK, language=Language.GERMAN)
    assert german.closing_sentence(closing).startswith("Am 02.09.2025 durch anna (Kommandozeile) abgeschlossen")


def test_every_month_has_the_same_sheets_and_columns_whatever_is_zero() -> None:
    full = stated([item()], adjustments=[credit(ACME)], money=[invoiced("new")])
    sparse = replace(stated(), month=date(2025, 2, 1))
    names = (*OF_ALL, "Acme")
    assert [table(full, name)[0] for name in names] == [table(sparse, name)[0] for name in names]
    assert {name: len(table(full, name)[1]) for name in names[1:4]} == dict(zip(OF_ALL[1:], (2, 2, 1), strict=True))
    assert {name: len(table(sparse, name)[1]) for name in names[1:4]} == dict(zip(OF_ALL[1:], (1, 1, 0), strict=True))
    heads, (row, total) = table(full, "Time sheets")
    told = dict(zip(heads, row, strict=True))
    assert (told["ticket"], told["subject"], told["what"], told["minutes"]) == ("50001", "VPN is slow", "booking", 30)
    assert (told["date"].date(), told["amount"], told["time sheet"]) == (date(2025, 8, 2), 33.3333, 1)
    assert dict(zip(heads, total, strict=True))["minutes"] == 30
    heads, (row,) = table(full, "Invoices")
    assert dict(zip(heads, row, strict=True))["total without tax"] == 100


def test_amounts_of_several_currencies_have_no_sum_in_a_workbook() -> None:
    heads, rows = table(stated([item(), item(2, currency="USD")]), "Time sheets")
    assert (rows[-1][heads.index("minutes")], rows[-1][heads.index("amount")]) == (60, None)


def test_json_has_each_time_sheet_with_exact_amounts() -> None:
    told = json.loads(render(stated([item()], adjustments=[credit(ACME)]), FileFormat.JSON, LOOK))
    (account,) = told["customers"]
    ((found,), (credited,)) = account["items"], account["adjustments"]
    assert (found["ticket"], found["amount"], found["minutes"], found["origin"]) == ("50001", "33.3333", "30", None)
    assert (credited["day"], credited["state"], credited["minutes"]) == ("2025-07-09", "open", "-22.5")


def test_a_month_of_3000_time_sheets_is_a_file_within_seconds() -> None:
    made = stated([item(number, title=f"Printer {number} is out of paper again") for number in range(1, 3001)])
    began = time.process_time()
    content = render(made, FileFormat.PDF, LOOK)
    render(made, FileFormat.XLSX, LOOK)
    assert time.process_time() - began < 15
    assert len(re.findall(rb"/Type /Page\b", content)) > 60


def test_what_a_closing_kept_is_the_same_statement_again_and_its_hash_covers_minutes_alone() -> None:
    made = stated([item(), item(2, origin=Origin.COPIES)], adjustments=[credit(ACME)])
    content = json.loads(json.dumps(closing_content(made)))
    back = statement_from_closing(content)
    assert (back.accounts[0].items, back.accounts[0].adjustments) == (
        made.accounts[0].items,
        made.accounts[0].adjustments,
    )
    hashed = statement_hash(content)
    for account in content["customers"]:
        del account["adjustments"]
        account["items"] = [
            {name: value for name, value in each.items() if name != "amount"} for each in account["items"]
        ]
    assert fingerprint(content) == hashed
    assert statement_hash(closing_content(stated([item(amount=Decimal(99)), item(2, origin=Origin.COPIES)]))) == hashed
    assert statement_hash(closing_content(stated([item(title="Another"), item(2, origin=Origin.COPIES)]))) != hashed
    assert statement_hash(closing_content(stated([item(minutes=Decimal(31)), item(2, origin=Origin.COPIES)]))) != hashed


def test_what_an_older_version_kept_without_time_sheets_is_a_file_in_every_format() -> None:
    content = closing_content(stated([item()]))
    for account in content["customers"]:
        del account["items"], account["adjustments"]
    back = statement_from_closing(content)
    assert statement_hash(content) == fingerprint(content)
    assert back.total.kimai == 30
    assert all(render(back, kind, LOOK) for kind in FileFormat)
