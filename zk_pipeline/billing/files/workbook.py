"""A statement as an XLSX workbook in the language of its style: sheets for all customers, and one each.

The order of the columns never changes.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from openpyxl import Workbook
from openpyxl.cell import Cell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from zk_pipeline.billing.files import money
from zk_pipeline.billing.files.data import COLUMNS, amount_of
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import ZERO, Amounts, Statement
from zk_pipeline.domain.statement_rows import StatementItem

ITEM_COLUMNS = (
    *("customer", "customer id", "date", "ticket", "subject", "agent", "e-mail", "activity", "what", "adjusted day"),
    *("billable", "booking", "time sheet", "currency", "minutes", "amount"),
)
ADJUSTMENT_COLUMNS = (
    *("customer", "customer id", "day of booking", "ticket", "subject", "agent", "e-mail", "activity", "what"),
    *("booked on", "state", "note", "booking", "currency", "minutes", "amount"),
)
INVOICE_COLUMNS = ("customer", "customer id", "number", "made on", "status", "currency", "total without tax", "tax")
MONEY_COLUMNS = frozenset({"amount", "total without tax", "tax"})
NUMBER_FORMAT = "#,##0.######"
MONEY_FORMAT = "#,##0.00##"
DAY_FORMAT = "yyyy-mm-dd"
LONGEST_TITLE = 31
LONGEST_TEXT = 32_767
"""Characters in a cell."""

_NO_TITLE = re.compile(r"[\[\]:*?/\\]")
_BOLD, _HEADING = Font(bold=True), Font(bold=True, size=14)
_HEAD_FILL = PatternFill("solid", start_color="FFE6EDF2")
_TEXT_WIDTH, _NUMBER_WIDTH = 28, 13

Value = str | int | Decimal | date | None


def render(statement: Statement, style: DocumentStyle) -> bytes:
    """The workbook. Amounts are exact numbers, and texts are never formulas."""
    book = Workbook()
    del book["Sheet"]
    month = month_name(statement.month)
    rows = [([str(account.customer)], account.total) for account in statement.accounts]
    closing = (
        f"{style.closing_sentence(statement.closing)} {style.hash_sentence(statement.closing)}."
        if statement.closing
        else ""
    )
    fresh = money.reading_sentences(style, statement.readings) if statement.readings else ""
    head = _head(style, statement, f"{month}: {style.word(f'verdict.{statement.verdict}')}.", closing, fresh)
    _fill(style, book.create_sheet(style.word("sheet.summary")), head, ["customer"], rows, statement.total)
    for name, columns, lines, summed in (
        ("items", ITEM_COLUMNS, _items(statement, style), 2),
        ("adjustments", ADJUSTMENT_COLUMNS, _adjustments(statement, style), 2),
        ("invoices", INVOICE_COLUMNS, _invoices(statement, style), 0),
    ):
        title = style.word(f"sheet.{name}")
        _list(style, book.create_sheet(title), f"{title}, {month}.", columns, lines, summed)
    titles = {title.casefold() for title in book.sheetnames}
    for account in statement.accounts:
        title = _title(account.customer.name, titles)
        titles.add(title.casefold())
        lines = [
            ([line.agent, line.agent_email, style.activity(line.activity)], line.amounts) for line in account.lines
        ]
        names = ["agent", "e-mail", "activity"]
        alone = replace(statement, accounts=(account,))
        head = _head(style, alone, f"{account.customer}, {month}.", closing, fresh)
        _fill(style, book.create_sheet(title), head, names, lines, account.total)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _head(style: DocumentStyle, statement: Statement, *parts: str) -> str:
    accounts = statement.accounts
    draft = style.word("draft") if statement.is_draft else ""
    of_money = money.sentences_by_customer(style, [row for account in accounts for row in account.money])
    more = (
        style.questions_sentence(accounts),
        style.credits_sentence(statement.credited),
        style.other_time_sentence(accounts),
        *of_money,
    )
    return " ".join(filter(None, (*parts, draft, *more)))


def _fill(
    style: DocumentStyle,
    sheet: Worksheet,
    head: str,
    names: Sequence[str],
    rows: Iterable[tuple[list[str], Amounts]],
    total: Amounts,
) -> None:
    """Fill a sheet with heading, column names, rows and total."""
    sheet.append([_styled(_cell(sheet, head), _HEADING)])
    heads = [_cell(sheet, style.word(f"column.{name}")) for name in (*names, "entries", *COLUMNS)]
    for number, cell in enumerate(heads):
        cell.fill = _HEAD_FILL
        cell.alignment = Alignment(wrap_text=True, vertical="top", horizontal="right" if number >= len(names) else None)
    sheet.append([_styled(cell, _BOLD) for cell in heads])
    for texts, amounts in rows:
        sheet.append([_cell(sheet, value) for value in (*texts, *_numbers(amounts))])
    sums = (style.word("column.total"), *[""] * (len(names) - 1), *_numbers(total))
    sheet.append([_styled(_cell(sheet, value), _BOLD) for value in sums])
    _set_up(sheet, len(names), 1 + len(COLUMNS))


def _items(statement: Statement, style: DocumentStyle) -> list[list[Value]]:
    """The time sheets of all customers."""
    return [
        [
            *(item.customer.name, item.customer.id or None, item.day, item.ticket, item.title, item.agent),
            *(item.agent_email, style.activity(item.activity), style.word(f"cell.{_what(item)}"), item.adjusts),
            style.word("cell.yes" if item.billable else "cell.no"),
            *(item.booking, item.timesheet or None, item.currency, item.minutes, item.amount),
        ]
        for account in statement.accounts
        for item in account.items
    ]


def _adjustments(statement: Statement, style: DocumentStyle) -> list[list[Value]]:
    """Adjustments and credits in this month, and for its bookings in others."""
    return [
        [
            *(row.customer.name, row.customer.id or None, row.day, row.ticket, row.title, row.agent),
            *(
                row.agent_email,
                style.activity(row.activity),
                style.word("cell.credit" if row.is_credit else "cell.adjustment"),
            ),
            *(row.booked_on, style.word(f"cell.{row.state}"), row.note, row.booking, row.currency),
            *(row.minutes, row.amount),
        ]
        for account in statement.accounts
        for row in account.adjustments
    ]


def _invoices(statement: Statement, style: DocumentStyle) -> list[list[Value]]:
    """The invoices since the month began, including cancelled ones."""
    return [
        [
            *(row.customer.name, row.customer.id or None, each.number, local_day(each.created_at, style.zone)),
            *(style.status(each.status), row.currency, each.total - each.tax, each.tax),
        ]
        for account in statement.accounts
        for row in account.money
        for each in row.invoices
    ]


def _what(item: StatementItem) -> str:
    if item.origin is not None:
        return item.origin.value
    return "adjustment" if item.adjusts else "booking"


def _list(
    style: DocumentStyle,
    sheet: Worksheet,
    head: str,
    names: Sequence[str],
    rows: Sequence[Sequence[Value]],
    summed: int,
) -> None:
    """Fill a sheet with filterable rows; the last `summed` columns are added up."""
    sheet.append([_styled(_cell(sheet, head), _HEADING)])
    heads = [_styled(_cell(sheet, style.word(f"column.{name}")), _BOLD) for name in names]
    for cell in heads:
        cell.fill = _HEAD_FILL
    sheet.append(heads)
    of_money = [name in MONEY_COLUMNS for name in names]
    lines = [*rows, [style.word("column.total"), *_sums(names, rows, summed)]] if summed else rows
    for values in lines:
        sheet.append([_cell(sheet, value, is_money=money) for value, money in zip(values, of_money, strict=True)])
    for cell in sheet[sheet.max_row] if summed else ():
        cell.font = _BOLD
    sheet.auto_filter.ref = f"A2:{get_column_letter(len(names))}{2 + len(rows)}"
    _set_up(sheet, len(names) - summed, summed)


def _sums(names: Sequence[str], rows: Sequence[Sequence[Value]], summed: int) -> list[Value]:
    """The total row behind its first cell; amounts in several currencies are not summed."""
    first, several = len(names) - summed, len({row[names.index("currency")] for row in rows}) > 1
    sums = [
        None if several and name in MONEY_COLUMNS else _total(row[number] for row in rows)
        for number, name in enumerate(names[first:], first)
    ]
    return [*[None] * (first - 1), *sums]


def _total(values: Iterable[Value]) -> Decimal | None:
    """The sum, `None` if a value is unknown."""
    found = list(values)
    numbers = [value for value in found if isinstance(value, Decimal)]
    return sum(numbers, ZERO) if len(numbers) == len(found) else None


def _numbers(amounts: Amounts) -> list[int | Decimal]:
    return [amounts.entries, *(amount_of(amounts, name) for name in COLUMNS)]


def _cell(sheet: Worksheet, value: Value, *, is_money: bool = False) -> Cell:
    if isinstance(value, str):
        cell = Cell(sheet, 1, 1, ILLEGAL_CHARACTERS_RE.sub(" ", value)[:LONGEST_TEXT])
        cell.data_type = "s"  # Even if it begins with "=".
        return cell
    cell = Cell(sheet, 1, 1, value)
    if isinstance(value, date):
        cell.number_format = DAY_FORMAT
    elif isinstance(value, Decimal) or is_money:
        cell.number_format = MONEY_FORMAT if is_money else NUMBER_FORMAT
    return cell


def _styled(cell: Cell, font: Font) -> Cell:
    cell.font = font
    return cell


def _set_up(sheet: Worksheet, texts: int, numbers: int) -> None:
    """Set column widths, freeze the header, and fit printed pages to the table's width."""
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
    """A valid and unique name for a sheet."""
    clean = ILLEGAL_CHARACTERS_RE.sub(" ", _NO_TITLE.sub(" ", name)).strip().strip("'")[:LONGEST_TITLE].strip("' ")
    title, number = clean or "customer", 1
    while title.casefold() in {*taken, "history"}:
        number += 1
        end = f" ({number})"
        title = f"{(clean or 'customer')[: LONGEST_TITLE - len(end)]}{end}"
    return title
