"""A statement as a file: each format opens again, with the same minutes, whatever the customers are called."""

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fpdf import FPDF
from openpyxl import load_workbook

from zk_pipeline.domain.closing import Closing
from zk_pipeline.domain.spreadsheets import Dialect
from zk_pipeline.domain.statement import (
    Amounts,
    Customer,
    DayMinutes,
    Line,
    OpenCredits,
    Statement,
    statement_of,
)
from zk_pipeline.operations.errors import OperationError
from zk_pipeline.operations.statement_files import FileFormat, file_name, fonts, render
from zk_pipeline.operations.statement_files.look import Language, Look

MONTH = date(2025, 8, 1)
NOBODY = Path("/nowhere/no.ttf")
LOOK = Look(ZoneInfo("Europe/Berlin"))
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
        Line(Customer(name, number), f"{name} agent", "", activity, replace(Amounts(1), **exact))
        for number, name in enumerate(names, 1)
        for activity in ("(no type)", "**Support**")
    ]
    days = [DayMinutes(row.customer, MONTH, row.amounts.zammad, row.amounts.kimai) for row in rows]
    made = statement_of(MONTH, rows, days)
    return Statement(made.month, made.accounts, datetime(2025, 9, 1, tzinfo=UTC))


@pytest.fixture
def statement() -> Statement:
    return made_of(NAMES, zammad="7.5", kimai="8", rounding="-0.5", billable="8")


@pytest.fixture
def readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents whose text can be read in their bytes: not compressed, and in a font that every reader has."""
    monkeypatch.setattr(fonts, "MACHINE_FONTS", ())
    begin = FPDF.__init__

    def plainly(self: FPDF, *args: object, **given: object) -> None:
        begin(self, *args, **given)  # pyright: ignore[reportArgumentType]
        self.set_compression(False)

    monkeypatch.setattr(FPDF, "__init__", plainly)


def test_a_workbook_has_a_sheet_for_all_and_one_for_each_with_numbers_as_numbers(statement: Statement) -> None:
    book = load_workbook(io.BytesIO(render(statement, FileFormat.XLSX, LOOK)))
    assert book.sheetnames[0] == "Summary"
    assert len(book.sheetnames) == 1 + len(NAMES)
    assert len({name.casefold() for name in book.sheetnames}) == len(book.sheetnames)
    for sheet in book.worksheets:
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


def test_csv_keeps_negative_amounts_as_numbers_and_formulas_as_text(statement: Statement) -> None:
    rows = list(csv.DictReader(io.StringIO(render(statement, FileFormat.CSV, LOOK).decode())))
    assert sum(Decimal(row["minutes_zammad"]) for row in rows) == statement.total.zammad
    assert {row["minutes_rounding"] for row in rows} == {"-0.5"}
    assert f"'{FORMULA}" in {row["customer"] for row in rows}


def test_csv_for_a_german_spreadsheet_has_its_delimiter_and_decimal_comma(statement: Statement) -> None:
    content = render(statement, FileFormat.CSV, Look(LOOK.zone, csv=Dialect.EXCEL))
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
    content = render(statement, FileFormat.PDF, Look(LOOK.zone, letterhead="Nordlicht IT")).decode("latin-1")
    for told in (
        "Bäckerei Sonne",
        "2025-08-01 to 2025-08-31",
        "(120)",
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
        Line(Customer("Acme"), f"Agent {number:02}", "", activity, Amounts(1, kimai=Decimal(5)))
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
        Line(Customer("Acme"), "Anna", address, "Support", Amounts(1, kimai=Decimal(5)))
        for address in ("anna@example.com", "anna@example.net")
    ]
    content = render(statement_of(MONTH, rows), FileFormat.PDF, LOOK).decode("latin-1")
    assert "(Anna)" in content
    assert "(Sum)" not in content


def test_a_pdf_counts_the_time_sheets_that_are_billed_and_nothing_that_came_to_nothing(readable: None) -> None:
    corrected = Amounts(73, zammad=Decimal(50), kimai=Decimal(50), timesheets=61)
    line = Line(Customer("Acme"), "Anna", "", "Support", corrected)
    content = render(statement_of(MONTH, [line]), FileFormat.PDF, LOOK).decode("latin-1")
    assert ("(61)" in content, "(73)" in content) == (True, False)


def test_every_format_tells_of_a_customers_open_credits(readable: None) -> None:
    acme = Customer("Acme", 1)
    line = Line(acme, "Anna", "", "Support", Amounts(1, zammad=Decimal(50), kimai=Decimal(50), timesheets=1))
    made = statement_of(MONTH, [line], credits=[OpenCredits(acme, 2, Decimal("22.5"))])
    assert "Open credits: 22.5 minutes." in render(made, FileFormat.PDF, LOOK).decode("latin-1")
    book = load_workbook(io.BytesIO(render(made, FileFormat.XLSX, LOOK)))
    assert all("Open credits: 22.5 minutes." in str(sheet["A1"].value) for sheet in book.worksheets)
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
    content = render(statement, FileFormat.PDF, Look(LOOK.zone, internal=True)).decode("latin-1")
    assert "180 booked in Zammad = 120 in Kimai + 60 waiting" in content


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("machine_fonts", [fonts.MACHINE_FONTS, ()], ids=["with its fonts", "without fonts"])
def test_any_name_makes_a_pdf(
    statement: Statement, language: Language, machine_fonts: tuple[()], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fonts, "MACHINE_FONTS", machine_fonts)
    assert render(statement, FileFormat.PDF, Look(LOOK.zone, language=language, internal=True)).startswith(b"%PDF")


def test_a_month_without_bookings_is_a_file_in_every_format() -> None:
    empty = statement_of(MONTH, [])
    assert all(render(empty, kind, LOOK) for kind in FileFormat)


def test_names_lose_their_accents_where_the_font_has_none() -> None:
    letters = frozenset(range(0x20, 0x7F))
    assert (
        fonts.drawable("Żółć \N{EN DASH} Y\N{LATIN SMALL LETTER DOTLESS I}ld \N{ROCKET} 株", letters) == "Zolc - Yild ?"
    )
    assert (
        fonts.drawable("Caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}", frozenset({*letters, 0xE9})) == "Café"
    )


@pytest.mark.parametrize("font", [NOBODY, Path(__file__)])
def test_a_font_that_is_none_is_named(statement: Statement, font: Path) -> None:
    with pytest.raises(OperationError, match="ZK_STATEMENT_FONT"):
        render(statement, FileFormat.PDF, Look(LOOK.zone, font=font))


def test_no_name_of_a_customer_gets_into_that_of_the_file(statement: Statement) -> None:
    assert file_name(statement, FileFormat.PDF) == "statement-2025-08.pdf"
