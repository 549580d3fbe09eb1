"""A statement as an XLSX workbook: a sheet for all customers, and one for each."""

import io
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import ZERO, Account, Amounts, Statement
from zk_pipeline.operations.statement_files import money
from zk_pipeline.operations.statement_files.data import COLUMNS, amount
from zk_pipeline.operations.statement_files.look import Look

SUMMARY = "Summary"
NUMBER_FORMAT = "#,##0.######"
LONGEST_TITLE = 31

_NO_TITLE = re.compile(r"[\[\]:*?/\\]")
_BOLD, _HEADING = Font(bold=True), Font(bold=True, size=14)
_HEAD_FILL = PatternFill("solid", start_color="FFE6EDF2")
_TEXT_WIDTH, _NUMBER_WIDTH = 28, 13


def render(statement: Statement, look: Look) -> bytes:
    """The workbook. Amounts are numbers with all their digits, and nothing that people typed is a formula."""
    book = Workbook()
    del book["Sheet"]
    month = month_name(statement.month)
    rows = [([str(account.customer)], account.total) for account in statement.accounts]
    closing = look.of_closing(statement.closing) if statement.closing else ""
    fresh = money.read(look, statement.readings) if statement.readings else ""
    head = _head(look, statement.accounts, f"{month}: {statement.verdict}.", closing, fresh)
    _fill(book.create_sheet(SUMMARY), head, ["customer"], rows, statement.total)
    titles = {SUMMARY.casefold()}
    for account in statement.accounts:
        title = _title(account.customer.name, titles)
        titles.add(title.casefold())
        lines = [([line.agent, line.agent_email, line.activity], line.amounts) for line in account.lines]
        names = ["agent", "e-mail", "activity"]
        head = _head(look, [account], f"{account.customer}, {month}.", closing, fresh)
        _fill(book.create_sheet(title), head, names, lines, account.total)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _head(look: Look, accounts: Sequence[Account], *told: str) -> str:
    credited = sum((account.credited for account in accounts), ZERO)
    rows = [row for account in accounts for row in account.money]
    of_money = money.of_accounts(look, rows)
    more = (look.of_questions(accounts), look.of_credits(credited), look.of_beside(accounts), *of_money)
    return " ".join(filter(None, (*told, *more)))


def _fill(
    sheet: Worksheet, head: str, names: Sequence[str], rows: Iterable[tuple[list[str], Amounts]], total: Amounts
) -> None:
    """A sheet: its heading, the names of the columns, the rows and their total."""
    sheet.append([_styled(_cell(sheet, head), _HEADING)])
    heads = [_cell(sheet, name.replace("_", " ")) for name in (*names, "entries", *COLUMNS)]
    for number, cell in enumerate(heads):
        cell.fill = _HEAD_FILL
        cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="right" if number >= len(names) else None)
    sheet.append([_styled(cell, _BOLD) for cell in heads])
    for texts, amounts in rows:
        sheet.append([_cell(sheet, value) for value in (*texts, *_numbers(amounts))])
    sums = ("total", *[""] * (len(names) - 1), *_numbers(total))
    sheet.append([_styled(_cell(sheet, value), _BOLD) for value in sums])
    _set_up(sheet, len(names), 1 + len(COLUMNS))


def _numbers(amounts: Amounts) -> list[int | Decimal]:
    return [amounts.entries, *(amount(amounts, name) for name in COLUMNS)]


def _cell(sheet: Worksheet, value: str | int | Decimal) -> Cell:
    if isinstance(value, str):
        cell = Cell(sheet, 1, 1, ILLEGAL_CHARACTERS_RE.sub(" ", value))
        cell.data_type = "s"  # Also what begins with "=".
    else:
        cell = Cell(sheet, 1, 1, value)
        cell.number_format = NUMBER_FORMAT
    return cell


def _styled(cell: Cell, font: Font) -> Cell:
    cell.font = font
    return cell


def _set_up(sheet: Worksheet, texts: int, numbers: int) -> None:
    """Columns wide enough, the header always in view and on each printed page, which is as wide as the table."""
    for number in range(1, texts + numbers + 1):
        width = _TEXT_WIDTH if number <= texts else _NUMBER_WIDTH
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = f"{get_column_letter(texts + 1)}3"
    sheet.print_title_rows = "1:2"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _title(name: str, taken: set[str]) -> str:
    """A name that a sheet may have, and no other of the workbook has."""
    clean = ILLEGAL_CHARACTERS_RE.sub(" ", _NO_TITLE.sub(" ", name)).strip().strip("'")[:LONGEST_TITLE].strip("' ")
    title, number = clean or "customer", 1
    while title.casefold() in {*taken, "history"}:
        number += 1
        end = f" ({number})"
        title = f"{(clean or 'customer')[: LONGEST_TITLE - len(end)]}{end}"
    return title
