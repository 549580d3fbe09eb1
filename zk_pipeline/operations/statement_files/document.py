"""A statement as a PDF that a customer may see: what was done, by whom, in which activity, and on which day."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, VAlign, XPos, YPos

from zk_pipeline.domain.closing import last_day, month_name
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    Account,
    Amounts,
    Line,
    Statement,
    hours,
    spelled,
    total,
)
from zk_pipeline.operations.statement_files import fonts, money
from zk_pipeline.operations.statement_files.look import Look

INK, SOFT, RULE, ACCENT = (28, 36, 43), (96, 108, 118), (214, 220, 225), (24, 100, 140)
SHADE = (236, 241, 244)
CHART_HEIGHT = 34
COLUMN_WIDTHS = (42, 50, 26, 24, 24, 30)

_NUMBERS = 4


def render(statement: Statement, look: Look) -> bytes:
    """The document: pages for each customer, numbered in all. Raises `OperationError` when the font cannot be used."""
    paper = _Paper(look, month_name(statement.month))
    paper.set_creation_date(statement.built_at or datetime.now(UTC))
    for account in statement.accounts:
        _account(paper, statement, account)
    if not statement.accounts:
        paper.begin("")
        _heading(paper, statement, "")
        paper.line_of(look.word("nothing"))
    return bytes(paper.output())


class _Paper(FPDF):
    """A4 with letterhead, page numbers and what a page is about, on which only letters of the font are written."""

    def __init__(self, look: Look, month: str) -> None:
        super().__init__(format="A4")
        self.look, self._month, self._customer = look, month, ""
        self._family, self._letters = fonts.choose(self, look.font)
        self.set_margins(18, 16, 18)
        self.c_margin = 0
        self.set_auto_page_break(auto=True, margin=20)
        self.set_title(self.drawable(f"{look.word('title')} {month}"))
        self.set_lang(look.language)

    def begin(self, customer: str) -> None:
        """A page that is about this customer, as are those that it runs over to."""
        self.add_page()  # Its first act is the foot of the page before, which is about somebody else.
        self._customer = customer

    def drawable(self, text: str) -> str:
        """The text as the font can write it."""
        return fonts.drawable(text, self._letters)

    def pen(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """What is written with from here on."""
        self.set_font(self._family, "B" if bold else "", size)
        self.set_text_color(*colour)

    def line_of(self, text: str, size: float = 10, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """A paragraph."""
        self.pen(size, bold=bold, colour=colour)
        self.multi_cell(0, size * 0.52, self.drawable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def header(self) -> None:
        """The letterhead, on the right of each page."""
        for line in self.look.letterhead.splitlines():
            self.pen(8.5, colour=SOFT)
            self.cell(0, 4.2, self.drawable(line), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_y(max(self.get_y() + 4, 24))

    def footer(self) -> None:
        """The number of each page, and what it is about, so that a page that got loose finds back."""
        self.set_y(-14)
        self.pen(8, colour=SOFT)
        # On the left, since the number of pages is not known yet, nor how much room it takes.
        self.cell(40, 5, self.look.word("page", page=self.page_no(), pages="{nb}"))
        about = " \N{MIDDLE DOT} ".join(filter(None, (self._month, self.drawable(self._customer))))
        self.cell(0, 5, fonts.shortened(self, about, self.epw - 40), align="R")


def _account(paper: _Paper, statement: Statement, account: Account) -> None:
    paper.begin(account.customer.name)
    paper.start_section(paper.drawable(account.customer.name))
    _heading(paper, statement, account.customer.name)
    lines = [line for line in account.lines if line.amounts.kimai or line.amounts.billable]
    if lines:
        _lines(paper, lines)
        _chart(paper, statement, account)
    else:
        paper.line_of(paper.look.word("nothing_yet" if account.total.zammad else "nothing"))
    for row in account.money:
        # What became of it is the house's business; the customer pays for it.
        for text in money.amounts(paper.look, row) if paper.look.internal else money.for_customer(paper.look, row):
            paper.line_of(text)
    if account.credited:
        paper.line_of(paper.look.of_credits(account.credited), bold=True)
    if paper.look.internal:
        _equation(paper, account)


def _heading(paper: _Paper, statement: Statement, customer: str) -> None:
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
    if statement.readings and look.internal:
        paper.line_of(money.read_on(look, statement.readings), colour=SOFT)
    if statement.is_draft:
        paper.line_of(look.word("draft"), bold=True)
    paper.ln(4)


def _lines(paper: _Paper, lines: Sequence[Line]) -> None:
    """The table: the activities of each person, a sum where there are several, and the total."""
    look = paper.look
    paper.pen(9)
    paper.set_draw_color(*RULE)
    with paper.table(
        col_widths=COLUMN_WIDTHS,
        text_align=("LEFT", "LEFT", *["RIGHT"] * _NUMBERS),
        v_align=VAlign.T,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", color=INK, fill_color=SHADE),
        line_height=5.4,
        padding=(0.6, 1.2),
    ) as table:

        def put(names: tuple[str, str], amounts: Amounts, style: FontFace, *, again: bool = False) -> None:
            row = table.row(style=style)
            row.cell(paper.drawable(names[0]), style=FontFace(color=SOFT) if again else None)
            for text in (paper.drawable(names[1]), *_numbers(look, amounts)):
                row.cell(text)

        table.row([look.word(name) for name in ("agent", "activity", "entries", "minutes", "hours", "billable")])
        for agent, group in groupby(lines, key=lambda line: line.agent):
            activities = _activities(group)
            for number, (activity, amounts) in enumerate(activities):
                put((agent, _shown(activity)), amounts, FontFace(), again=number > 0)
            if len(activities) > 1:
                put((agent, look.word("sum")), total(amounts for _, amounts in activities), FontFace("", "BOLD"))
        put((look.word("total"), ""), total(line.amounts for line in lines), FontFace("", "BOLD", fill_color=SHADE))
    paper.ln(5)


def _activities(lines: Iterable[Line]) -> list[tuple[str, Amounts]]:
    """The amounts by activity: a person with two addresses is one person to the customer."""
    ordered = sorted(lines, key=lambda line: line.activity)
    return [
        (activity, total(line.amounts for line in group))
        for activity, group in groupby(ordered, key=lambda line: line.activity)
    ]


def _shown(activity: str) -> str:
    return "\N{EN DASH}" if activity == NO_ACTIVITY else activity


def _numbers(look: Look, amounts: Amounts) -> list[str]:
    minutes = look.minutes(amounts.kimai)
    return [str(amounts.timesheets), minutes, look.number(hours(amounts.kimai)), look.minutes(amounts.billable)]


def _chart(paper: _Paper, statement: Statement, account: Account) -> None:
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


def _equation(paper: _Paper, account: Account) -> None:
    """Where every minute went, what is in question, and what else is in Kimai."""
    look = paper.look
    paper.ln(2)
    paper.line_of(look.word("internal"), bold=True)
    equation = spelled(account.total, look.word, look.minutes)
    open_questions = (text for row in account.money for text in money.questions(row, look))
    for text in filter(None, (equation, look.of_questions([account]), look.of_beside([account]), *open_questions)):
        paper.line_of(text, 9)
