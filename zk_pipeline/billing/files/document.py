"""A statement as a PDF that a customer may see: what was done, by whom, in which activity, and on which day."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import groupby

from zk_pipeline.billing.files import money
from zk_pipeline.billing.files.look import DocumentStyle
from zk_pipeline.billing.files.paper import ACCENT, RULE, SOFT, Column, Paper, Row, Table
from zk_pipeline.domain.periods import last_day, month_name
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    Amounts,
    CustomerStatement,
    Statement,
    StatementLine,
    equation_text,
    hours,
    sum_of,
    total,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem

CHART_HEIGHT = 34
ITEM_WIDTHS = (20, 20, 59, 34, 19, 22)
LINE_WIDTHS = (42, 43, 23, 20, 20, 26)

_SUBJECT = 2
"""The column of an item under which its note stands."""


def render(statement: Statement, look: DocumentStyle) -> bytes:
    """The document: pages for each customer, numbered in all. Raises `OperationError` when the font cannot be used."""
    paper = Paper(look, month_name(statement.month))
    closed_at = statement.closing.at if statement.closing is not None else None
    paper.set_creation_date(statement.built_at or closed_at or datetime.now(UTC))
    for account in statement.accounts:
        # What is open about one customer makes nobody else's statement a draft.
        _account(paper, replace(statement, accounts=(account,)), account)
    if not statement.accounts:
        paper.begin("", draft=statement.is_draft)
        _heading(paper, statement, "")
        paper.line_of(look.word("nothing"))
    return bytes(paper.output())


def _account(paper: Paper, statement: Statement, account: CustomerStatement) -> None:
    paper.begin(account.customer.name, draft=statement.is_draft)
    paper.start_section(paper.drawable(account.customer.name))
    _heading(paper, statement, account.customer.name)
    lines = [line for line in account.lines if line.amounts.kimai or line.amounts.billable]
    if lines:
        _lines(paper, lines)
    elif not account.items and not account.adjustments:
        paper.line_of(paper.look.word("nothing_yet" if account.total.zammad else "nothing"))
    for row in account.money:
        # What became of it is the house's business; the customer pays for it.
        for text in money.amounts(paper.look, row) if paper.look.internal else money.for_customer(paper.look, row):
            paper.line_of(text)
    if account.credited:
        paper.line_of(paper.look.of_credits(account.credited), bold=True)
    if lines:
        paper.ln(3)
        _chart(paper, statement, account)
    if account.items:
        _items(paper, statement, account)
    _adjustments(paper, account)
    if paper.look.internal:
        _equation(paper, account)


def _heading(paper: Paper, statement: Statement, customer: str) -> None:
    look = paper.look
    paper.line_of(look.word("title"), 18, bold=True)
    if customer:
        paper.line_of(customer, 13, bold=True, colour=ACCENT)
    first, last = look.day(statement.month), look.day(last_day(statement.month))
    paper.line_of(f"{look.word('period')}: {look.word('to', first=first, last=last)}", colour=SOFT)
    closing = statement.closing
    if closing is not None:
        # Who closed it is no business of the customer's.
        paper.line_of(look.of_closing(closing, named=look.internal), bold=closing.differs, colour=SOFT)
        paper.line_of(look.of_hash(closing), 8, colour=SOFT)
    if statement.readings and look.internal:
        paper.line_of(money.read_on(look, statement.readings), colour=SOFT)
    if statement.is_draft:
        paper.line_of(look.word("draft"), bold=True)
    paper.ln(4)


def _lines(paper: Paper, lines: Sequence[StatementLine]) -> None:
    """The activities of each person, a sum where there are several, and the total."""
    look = paper.look
    names = ("agent", "activity", "entries", "minutes", "hours", "billable")
    columns = [
        Column(look.word(name), width, right=number > 1, lines=2)
        for number, (name, width) in enumerate(zip(names, LINE_WIDTHS, strict=True))
    ]
    rows: list[Row] = []
    for agent, group in groupby(lines, key=lambda line: line.agent):
        activities = _activities(group)
        for number, (activity, amounts) in enumerate(activities):
            rows.append(Row((agent, _shown(activity), *_numbers(look, amounts)), again=number > 0))
        if len(activities) > 1:
            whole = total(amounts for _, amounts in activities)
            rows.append(Row((agent, look.word("sum"), *_numbers(look, whole)), bold=True, kept=True))
    whole = total(line.amounts for line in lines)
    rows.append(Row((look.word("total"), "", *_numbers(look, whole)), bold=True, shaded=True, kept=True))
    Table(paper, columns).draw(rows)


def _items(paper: Paper, statement: Statement, account: CustomerStatement) -> None:
    """Each time sheet, and the sum: what the target itself adds up to."""
    look, closing = paper.look, statement.closing
    own = [item for item in account.items if item.origin is None]
    others = [item for item in account.items if item.origin is not None]
    rows = [_row(look, item, item.day, look.of_item(item)) for item in own]
    if own and others:
        rows.append(_sum(look, "items.own", own))
    rows += [_row(look, item, item.day, look.of_item(item)) for item in others]
    rows.append(_sum(look, "items.all" if others else "total", account.items))
    about = look.word("items.as_closed") if closing is not None and closing.shown else ""
    _table(paper, account.items).draw(rows, look.word("items"), about)


def _adjustments(paper: Paper, account: CustomerStatement) -> None:
    """The credits of the month, and what was adjusted or credited of its bookings in other months."""
    look = paper.look
    for key, elsewhere in (("credits", False), ("adjusted_later", True)):
        found = [row for row in account.adjustments if row.elsewhere is elsewhere]
        if found:
            rows = [_row(look, row, row.day if elsewhere else row.booked_on, look.of_adjustment(row)) for row in found]
            rows.append(_sum(look, "sum", found))
            _table(paper, found).draw(rows, look.word(key), look.word(f"{key}.about"))


def _table(paper: Paper, rows: Sequence[StatementItem | AdjustmentLine]) -> Table:
    look, currency = paper.look, next((row.currency for row in rows if row.currency), "")
    cost = f"{look.word('cost')} ({currency})" if currency else look.word("cost")
    titles = (*(look.word(name) for name in ("date", "ticket", "about", "agent", "minutes")), cost)
    columns = [
        Column(title, width, right=number > _SUBJECT + 1, lines=2)
        for number, (title, width) in enumerate(zip(titles, ITEM_WIDTHS, strict=True))
    ]
    return Table(paper, columns, noted=_SUBJECT)


def _row(look: DocumentStyle, row: StatementItem | AdjustmentLine, day: date, note: str) -> Row:
    return Row(
        (look.day(day), row.ticket, row.title, row.agent, look.minutes(row.minutes), look.amount(row.amount)), note
    )


def _sum(look: DocumentStyle, key: str, rows: Iterable[StatementItem | AdjustmentLine]) -> Row:
    minutes, amount = sum_of(rows)
    cells = (look.word(key), "", "", "", look.minutes(minutes), look.amount(amount))
    return Row(cells, bold=True, shaded=True, kept=True)


def _activities(lines: Iterable[StatementLine]) -> list[tuple[str, Amounts]]:
    """The amounts by activity: a person with two addresses is one person to the customer."""
    ordered = sorted(lines, key=lambda line: line.activity)
    return [
        (activity, total(line.amounts for line in group))
        for activity, group in groupby(ordered, key=lambda line: line.activity)
    ]


def _shown(activity: str) -> str:
    return "\N{EN DASH}" if activity == NO_ACTIVITY else activity


def _numbers(look: DocumentStyle, amounts: Amounts) -> list[str]:
    minutes = look.minutes(amounts.kimai)
    return [str(amounts.timesheets), minutes, look.number(hours(amounts.kimai)), look.minutes(amounts.billable)]


def _chart(paper: Paper, statement: Statement, account: CustomerStatement) -> None:
    """Bars of the minutes of each day of the month."""
    highest = max((row.kimai for row in account.days), default=Decimal(0))
    if highest <= 0:
        return
    if paper.will_page_break(CHART_HEIGHT + 16):
        paper.add_page()
    paper.line_of(paper.look.word("per_day"), bold=True)
    left, top = paper.l_margin + 12, paper.get_y() + 3
    days = last_day(statement.month).day
    step = (paper.epw - 12) / days
    bottom = top + CHART_HEIGHT
    paper.set_draw_color(*RULE)
    paper.line(left, bottom, left + step * days, bottom)
    paper.line(left, top, left + step * days, top)
    paper.pen(7, colour=SOFT)
    paper.set_xy(paper.l_margin, top - 2)
    paper.cell(11, 4, paper.look.minutes(highest), align="R")
    minutes = {row.day.day: row.kimai for row in account.days}
    for day in range(1, days + 1):
        begin = left + step * (day - 1)
        height = CHART_HEIGHT * float(max(minutes.get(day, Decimal(0)), Decimal(0)) / highest)
        if height:
            with paper.local_context(fill_color=ACCENT):  # A table would be filled with a colour that stays.
                paper.rect(begin + step * 0.15, bottom - height, step * 0.7, height, style="F")
        paper.set_xy(begin, bottom + 0.8)
        paper.cell(step, 3.5, str(day), align="C")
    paper.set_xy(paper.l_margin, bottom + 7)


def _equation(paper: Paper, account: CustomerStatement) -> None:
    """Where every minute went, what is in question, and what else is in Kimai."""
    look = paper.look
    paper.ln(2)
    paper.line_of(look.word("internal"), bold=True)
    equation = equation_text(account.total, look.word, look.minutes)
    open_questions = (text for row in account.money for text in money.questions(row, look))
    for text in filter(None, (equation, look.of_questions([account]), look.of_beside([account]), *open_questions)):
        paper.line_of(text, 9)
