"""A statement as a PDF that is sent to customers: a service record by person, activity, day and ticket."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

from zk_pipeline.billing.files import money
from zk_pipeline.billing.files.pdf_pages import ACCENT, RULE, SOFT, PagedTable, StatementPages, TableColumn, TableRow
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import last_day, month_name
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    Amounts,
    CustomerStatement,
    Statement,
    StatementLine,
    equation_text,
    sum_of,
    total,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem

CHART_HEIGHT = 34
ITEM_WIDTHS = (22, 17, 47, 28, 25, 17, 18)
LINE_WIDTHS = (48, 50, 24, 24, 28)

_SINGLE = ("date", "ticket", "about", "agent", "activity", "time")
_SUBJECT = 2
"""The column of an item that holds its note."""
_LAST_TEXT = 4


def render(statement: Statement, style: DocumentStyle) -> bytes:
    """The PDF, with numbered pages for each customer. Raises `OperationError` if font or logo cannot be used."""
    paper = StatementPages(style, month_name(statement.month))
    closed_at = statement.closing.at if statement.closing is not None else None
    paper.set_creation_date(statement.built_at or closed_at or datetime.now(UTC))
    for account in statement.accounts:
        # Open work of one customer does not make the statements of others drafts.
        _account(paper, replace(statement, accounts=(account,)), account)
    if not statement.accounts:
        paper.begin("", draft=statement.is_draft)
        _heading(paper, statement, "")
        paper.line_of(style.word("nothing"))
    paper.finish()
    return bytes(paper.output())


def _account(paper: StatementPages, statement: Statement, account: CustomerStatement) -> None:
    paper.begin(account.customer.name, draft=statement.is_draft)
    paper.start_section(paper.drawable(account.customer.name))
    _heading(paper, statement, account.customer.name)
    lines = [line for line in account.lines if line.amounts.kimai or line.amounts.billable]
    if lines:
        _lines(paper, lines)
    elif not account.items and not account.adjustments:
        paper.line_of(paper.style.word(_why_nothing(account)))
    for row in account.money:
        # The billing state is internal.
        for text in (
            money.amount_sentences(paper.style, row)
            if paper.style.internal
            else money.customer_sentences(paper.style, row)
        ):
            paper.line_of(text)
    if account.credited:
        paper.line_of(paper.style.word("credits_time", time=paper.style.time(account.credited)), bold=True)
    if lines:
        paper.ln(3)
        _chart(paper, statement, account)
    if account.items:
        _items(paper, statement, account)
    _adjustments(paper, account)
    if paper.style.internal:
        _equation(paper, account)


def _why_nothing(account: CustomerStatement) -> str:
    """The word for a customer without a time sheet: never "nothing booked" where time waits."""
    open_lines = any(line.amounts.waiting or line.amounts.corrections_open for line in account.lines)
    if open_lines or account.conflicts or account.gaps:
        return "nothing_yet"
    return "nothing_billed" if account.lines else "nothing"


def _heading(paper: StatementPages, statement: Statement, customer: str) -> None:
    style = paper.style
    paper.line_of(style.word("title"), 18, bold=True)
    if customer:
        paper.line_of(customer, 13, bold=True, colour=ACCENT)
    first, last = style.day(statement.month), style.day(last_day(statement.month))
    paper.line_of(f"{style.word('period')}: {style.word('to', first=first, last=last)}", colour=SOFT)
    closing = statement.closing
    if closing is not None:
        # Who closed the month is internal.
        paper.line_of(style.closing_sentence(closing, named=style.internal), bold=closing.differs, colour=SOFT)
        paper.line_of(style.hash_sentence(closing), 8, colour=SOFT)
    if statement.readings and style.internal:
        paper.line_of(money.last_read_sentence(style, statement.readings), colour=SOFT)
    if statement.is_draft:
        paper.line_of(style.word("draft"), bold=True)
    if style.text and customer:
        paper.ln(3)
        for paragraph in style.text.splitlines():
            paper.line_of(paragraph) if paragraph.strip() else paper.ln(3)
    paper.ln(4)


def _lines(paper: StatementPages, lines: Sequence[StatementLine]) -> None:
    """The activities of each person with sums, and the total."""
    style = paper.style
    names = ("agent", "activity", "entries", "time", "billable")
    columns = [
        TableColumn(style.word(name), width, right=number > 1, lines=2)
        for number, (name, width) in enumerate(zip(names, LINE_WIDTHS, strict=True))
    ]
    rows: list[TableRow] = []
    for agent, group in groupby(lines, key=lambda line: line.agent):
        activities = _activities(group)
        for number, (activity, amounts) in enumerate(activities):
            rows.append(TableRow((agent, _shown(activity), *_numbers(style, amounts)), again=number > 0))
        if len(activities) > 1:
            whole = total(amounts for _, amounts in activities)
            rows.append(TableRow((agent, style.word("sum"), *_numbers(style, whole)), bold=True, kept=True))
    whole = total(line.amounts for line in lines)
    rows.append(TableRow((style.word("total"), "", *_numbers(style, whole)), bold=True, shaded=True, kept=True))
    PagedTable(paper, columns).draw(rows)


def _items(paper: StatementPages, statement: Statement, account: CustomerStatement) -> None:
    """The time sheets, and Kimai's own sum."""
    style, closing, priced = paper.style, statement.closing, _is_priced(account.items)
    own = [item for item in account.items if item.origin is None]
    others = [item for item in account.items if item.origin is not None]
    rows = [_row(style, item, item.day, style.item_note(item), priced=priced) for item in own]
    if own and others:
        rows.append(_sum(style, "items.own", own, priced=priced))
    rows += [_row(style, item, item.day, style.item_note(item), priced=priced) for item in others]
    rows.append(_sum(style, "items.all" if others else "total", account.items, priced=priced))
    about = style.word("items.as_closed") if closing is not None and closing.shown and priced else ""
    _table(paper, account.items).draw(rows, style.word("items"), about)


def _adjustments(paper: StatementPages, account: CustomerStatement) -> None:
    """The credits of the month, and adjustments and credits for its bookings in other months."""
    style = paper.style
    for key, elsewhere in (("credits", False), ("adjusted_later", True)):
        found = [row for row in account.adjustments if row.elsewhere is elsewhere]
        if found:
            priced = _is_priced(found)
            rows = [
                _row(style, row, row.day if elsewhere else row.booked_on, style.adjustment_note(row), priced=priced)
                for row in found
            ]
            rows.append(_sum(style, "sum", found, priced=priced))
            _table(paper, found).draw(rows, style.word(key), style.word(f"{key}.about"))


def _table(paper: StatementPages, rows: Sequence[StatementItem | AdjustmentLine]) -> PagedTable:
    """A table of single rows; without amounts where Kimai gives none, which leaves their room to the subject."""
    style, currency = paper.style, next((row.currency for row in rows if row.currency), "")
    titles, widths = [style.word(name) for name in _SINGLE], list[float](ITEM_WIDTHS)
    if _is_priced(rows):
        titles.append(f"{style.word('cost')} ({currency})" if currency else style.word("cost"))
    else:
        widths[_SUBJECT] += widths.pop()
    columns = [
        TableColumn(title, width, right=number > _LAST_TEXT, lines=2)
        for number, (title, width) in enumerate(zip(titles, widths, strict=True))
    ]
    return PagedTable(paper, columns, noted=_SUBJECT)


def _is_priced(rows: Iterable[StatementItem | AdjustmentLine]) -> bool:
    return any(row.amount for row in rows)


def _row(style: DocumentStyle, row: StatementItem | AdjustmentLine, day: date, note: str, *, priced: bool) -> TableRow:
    cells = (style.day(day), row.ticket, row.title, row.agent, _shown(row.activity), style.time(row.minutes))
    return TableRow((*cells, style.amount(row.amount)) if priced else cells, note)


def _sum(style: DocumentStyle, key: str, rows: Iterable[StatementItem | AdjustmentLine], *, priced: bool) -> TableRow:
    minutes, amount = sum_of(rows)
    cells = (style.word(key), "", "", "", "", style.time(minutes))
    return TableRow((*cells, style.amount(amount)) if priced else cells, bold=True, shaded=True, kept=True)


def _activities(lines: Iterable[StatementLine]) -> list[tuple[str, Amounts]]:
    """The amounts by activity; a person with several addresses is shown once."""
    ordered = sorted(lines, key=lambda line: line.activity)
    return [
        (activity, total(line.amounts for line in group))
        for activity, group in groupby(ordered, key=lambda line: line.activity)
    ]


def _shown(activity: str) -> str:
    return "\N{EN DASH}" if activity == NO_ACTIVITY else activity


def _numbers(style: DocumentStyle, amounts: Amounts) -> list[str]:
    return [str(amounts.timesheets), style.time(amounts.kimai), style.time(amounts.billable)]


def _chart(paper: StatementPages, statement: Statement, account: CustomerStatement) -> None:
    """A bar chart of the time per day."""
    highest = max((row.kimai for row in account.days), default=Decimal(0))
    if highest <= 0:
        return
    if paper.will_page_break(CHART_HEIGHT + 16):
        paper.add_page()
    paper.line_of(paper.style.word("per_day"), bold=True)
    left, top = paper.l_margin + 12, paper.get_y() + 3
    days = last_day(statement.month).day
    step = (paper.epw - 12) / days
    bottom = top + CHART_HEIGHT
    paper.set_draw_color(*RULE)
    paper.line(left, bottom, left + step * days, bottom)
    paper.line(left, top, left + step * days, top)
    paper.pen(7, colour=SOFT)
    paper.set_xy(paper.l_margin, top - 2)
    paper.cell(11, 4, paper.style.time(highest), align="R")
    minutes = {row.day.day: row.kimai for row in account.days}
    for day in range(1, days + 1):
        begin = left + step * (day - 1)
        height = CHART_HEIGHT * float(max(minutes.get(day, Decimal(0)), Decimal(0)) / highest)
        if height:
            with paper.local_context(fill_color=ACCENT):  # Otherwise the colour would also fill tables.
                paper.rect(begin + step * 0.15, bottom - height, step * 0.7, height, style="F")
        paper.set_xy(begin, bottom + 0.8)
        paper.cell(step, 3.5, str(day), align="C")
    paper.set_xy(paper.l_margin, bottom + 7)


def _equation(paper: StatementPages, account: CustomerStatement) -> None:
    """Where every minute went, open questions, and other time in Kimai."""
    style = paper.style
    paper.ln(2)
    paper.line_of(style.word("internal"), bold=True)
    equation = equation_text(account.total, style.word, style.minutes)
    open_questions = (text for row in account.money for text in money.question_sentences(row, style))
    for text in filter(
        None, (equation, style.questions_sentence([account]), style.other_time_sentence([account]), *open_questions)
    ):
        paper.line_of(text, 9)
