"""The statement as it is read: verdict and equation, what does not add up, customers and their lines."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from zk_pipeline.billing.files import FileFormat, money
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain.periods import month_name
from zk_pipeline.domain.statement import (
    NO_ACTIVITY,
    CustomerStatement,
    Statement,
    StatementCustomer,
    StatementLine,
    Verdict,
    equation_text,
    sum_of,
)
from zk_pipeline.domain.statement_rows import AdjustmentLine, StatementItem
from zk_pipeline.web.console import marks, widgets
from zk_pipeline.web.console.statement import charts, customers, figures
from zk_pipeline.web.console.statement.customers import Listed
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Tone
from zk_pipeline.web.console.words import Words

# The head of a statement: the verdict, the equation, and the files to save.

FILES = "/api/v1/statements"

_TONES: Mapping[Verdict, Tone] = {Verdict.BALANCED: "good", Verdict.WAITING: "warn", Verdict.UNBALANCED: "bad"}
_SAVED = (FileFormat.CSV, FileFormat.XLSX, FileFormat.PDF)


def verdict(visit: Visit, statement: Statement) -> None:
    """Whether it balances, and the equation that says so."""
    words, found = visit.words, statement.verdict
    with widgets.box("zk-row"):
        nothing_waits = found is Verdict.WAITING and not any(line.amounts.waiting for line in statement.lines)
        key = "draft" if nothing_waits else found.value
        widgets.chip(words(f"statement.verdict.{key}"), _TONES[found])
        widgets.text("span", words(f"statement.{key}"))
        if found is Verdict.WAITING:
            widgets.link(words("statement.decide"), "/reconcile")
    equation(visit, statement)
    figures.sentence(visit, lambda style: style.questions_sentence(statement.accounts))
    figures.sentence(visit, lambda style: style.credits_sentence(statement.credited))
    figures.sentence(visit, lambda style: style.other_time_sentence(statement.accounts))
    if len(statement.accounts) == 1:
        money_of(visit, statement)
    if statement.closing:
        widgets.text("p", figures.style_for(visit).hash_sentence(statement.closing), "zk-muted zk-hash")
    if statement.built_at:
        widgets.text("p", words("statement.built", instant=words.instant(statement.built_at)), "zk-muted")


def equation(visit: Visit, statement: Statement) -> None:
    """Of what the booked time is the sum."""
    figures.sentence(
        visit, lambda style: equation_text(statement.total, style.word, style.length), "zk-lead zk-equation"
    )


def money_of(visit: Visit, statement: Statement) -> None:
    """Amounts and invoices of a customer, or of several only what was accepted; and how fresh all of it is."""
    style = figures.style_for(visit)
    alone = len(statement.accounts) == 1
    for account, row in [(one, row) for one in statement.accounts for row in one.money]:
        if alone:
            figures.sentence(visit, lambda style, row=row: " ".join(money.amount_sentences(style, row)))
        elif row.compared is not None and row.compared.accepted:
            widgets.text(
                "p",
                f"{figures.customer_name(visit.words, account)}: {money.accepted_sentence(style, row.compared)}",
            )
    if statement.readings:
        widgets.text("p", money.reading_sentences(style, statement.readings), "zk-muted")


def downloads(words: Words, statement: Statement, customer: StatementCustomer | None) -> None:
    """The files, of one customer or of all."""
    about = {"customer": str(customer.id) if customer.id else customer.name} if customer else {}
    if statement.closing and statement.closing.shown:
        about["closed"] = "true"
    saved = _SAVED if customer else (*_SAVED, FileFormat.ZIP)
    with widgets.box("zk-row"):
        for kind in saved:
            csv = words.csv if kind is FileFormat.CSV else {}
            query = urlencode({"format": kind.value, "language": words.language.value, **csv, **about})
            key = "statement.download.all" if kind is FileFormat.ZIP else "statement.download"
            title = words(key, format=kind.value.upper())
            widgets.link(title, f"{FILES}/{month_name(statement.month)}?{query}")


# One customer's part of the statement: lines, time sheets and adjustments, page by page, and the same in a dialog.


class Lines:
    """What each agent did in each activity: one page of it, drawn again when another is asked for."""

    def __init__(self, words: Words, account: CustomerStatement) -> None:
        self._words, self._account = words, account
        self._names = figures.used_columns(line.amounts for line in account.lines)
        with widgets.card(words("statement.lines")):
            self._box = widgets.box("zk-panel")
        self._show(1)

    def _show(self, page: int) -> None:
        words, lines, size = self._words, self._account.lines, figures.SIZE
        titles = [Column(words(f"statement.{part}")) for part in ("agent", "activity")]
        columns = [
            *titles,
            Column(words("statement.entries"), number=True),
            *figures.amount_columns(words, self._names),
        ]
        self._box.clear()
        with self._box:
            widgets.table(words("statement.lines"), columns, self._rows(lines[(page - 1) * size : page * size]))
            if len(lines) > size:
                widgets.pager(words, page, size, len(lines), self._show)

    def _rows(self, lines: Sequence[StatementLine]) -> list[list[Cell]]:
        """The lines; below those of every page stands the sum of all."""
        words, total = self._words, self._account.total
        rows: list[list[Cell]] = [
            [
                lambda line=line: _agent(line),
                words("statement.no_type") if line.activity == NO_ACTIVITY else line.activity,
                words.number(line.amounts.entries),
                *figures.amount_cells(words, self._names, line.amounts),
            ]
            for line in lines
        ]
        if len(self._account.lines) > 1:
            sums = figures.amount_cells(words, self._names, total)
            rows.append([words("statement.total"), "", words.number(total.entries), *sums])
        return rows


class Items:
    """Each time sheet with its ticket: one page of them, drawn again when another is asked for."""

    def __init__(self, visit: Visit, account: CustomerStatement) -> None:
        self._words, self._account, self._look = visit.words, account, figures.style_for(visit)
        with widgets.card(self._words("statement.items")):
            self._box = widgets.box("zk-panel")
        self._show(1)

    def _show(self, page: int) -> None:
        words, items, size = self._words, self._account.items, figures.SIZE
        self._box.clear()
        with self._box:
            places = range(len(items))[(page - 1) * size : page * size]
            rows = [_single(self._look, words, items, place) for place in places]
            rows.append(_sum(self._look, words, items))
            widgets.table(words("statement.items"), _columns(words, items), rows)
            if len(items) > size:
                widgets.pager(words, page, size, len(items), self._show)


def _adjustments(visit: Visit, account: CustomerStatement) -> None:
    """What was adjusted and credited, here or elsewhere."""
    words, style, rows = visit.words, figures.style_for(visit), account.adjustments
    with widgets.card(words("statement.adjustments")):
        cells = [_single(style, words, rows, place) for place in range(len(rows))]
        widgets.table(words("statement.adjustments"), _columns(words, rows), cells)


def show_account(visit: Visit, statement: Statement, account: CustomerStatement) -> None:
    """The lines, time sheets and charts of a statement that is about this customer alone."""
    Lines(visit.words, account)
    if account.items:
        Items(visit, account)
    if account.adjustments:
        _adjustments(visit, account)
    charts.pair(visit, statement)


def open_dialog(visit: Visit, statement: Statement, account: CustomerStatement, listed: Listed) -> None:
    """The same in a dialog, from the list of all customers; `statement` is about this one alone."""
    words = visit.words
    title = f"{figures.customer_name(words, account)} · {words.month(statement.month)}"
    with widgets.dialog(title, words("close"), wide=True):
        equation(visit, statement)
        money_of(visit, statement)
        listed.ask(account.customer)
        customers.show_review(visit, statement, account, listed)
        downloads(words, statement, account.customer)
        show_account(visit, statement, account)


def _agent(line: StatementLine) -> None:
    widgets.two_lines(line.agent, line.agent_email if line.agent_email != line.agent else "")


def _columns(words: Words, rows: Sequence[StatementItem | AdjustmentLine]) -> list[Column]:
    """The columns of single rows; one for amounts only where Kimai gives some."""
    names = ("day", "ticket", "subject", "agent", "activity", "time")
    columns = [Column(words(f"statement.{name}"), number=name == "time") for name in names]
    if _is_priced(rows):
        currency = next((row.currency for row in rows if row.currency), "")
        cost = words("statement.amount") + (f" ({currency})" if currency else "")
        columns.append(Column(cost, number=True))
    return columns


def _single(
    style: DocumentStyle, words: Words, rows: Sequence[StatementItem | AdjustmentLine], place: int
) -> list[Cell]:
    row = rows[place]
    note = style.item_note(row) if isinstance(row, StatementItem) else style.adjustment_note(row)
    cells: list[Cell] = [
        words.day(row.day),
        row.ticket,
        lambda: widgets.two_lines(row.title, note),
        row.agent,
        words("statement.no_type") if row.activity == NO_ACTIVITY else row.activity,
        figures.time_cell(words, row.minutes),
    ]
    return [*cells, style.amount(row.amount)] if _is_priced(rows) else cells


def _sum(style: DocumentStyle, words: Words, rows: Sequence[StatementItem]) -> list[Cell]:
    minutes, amount = sum_of(rows)
    cells: list[Cell] = [words("statement.total"), "", "", "", "", figures.time_cell(words, minutes)]
    return [*cells, style.amount(amount)] if _is_priced(rows) else cells


def _is_priced(rows: Sequence[StatementItem | AdjustmentLine]) -> bool:
    return any(row.amount for row in rows)


# The statement as it is read: what it says, what does not add up, the customers or the lines of one, the charts.

GAPS_SHOWN = 20


def show(visit: Visit, statement: Statement, customer: StatementCustomer | None, listed: Listed) -> None:
    """Draw it; `customer` is the one whom it is about, if it is about one."""
    words = visit.words
    if not statement.accounts:
        widgets.empty(words("statement.nothing"), words("statement.nothing.hint"))
        return
    with widgets.card(classes="zk-stack"):
        verdict(visit, statement)
        if customer:
            customers.show_review(visit, statement, statement.accounts[0], listed)
        downloads(words, statement, customer)
    if statement.gaps:
        with widgets.card(words("statement.gaps")):
            _gaps(words, statement)
    if customer:
        show_account(visit, statement, statement.accounts[0])
        return
    with widgets.card(words("statement.customers")):
        customers.show_list(visit, statement, listed, lambda alone, account: open_dialog(visit, alone, account, listed))
    if len(statement.accounts) > 1:
        with widgets.card(words("statement.money"), classes="zk-stack"):
            money_of(visit, statement)
    charts.customers(words, statement)
    charts.pair(visit, statement)


def _gaps(words: Words, statement: Statement) -> None:
    columns = [Column(words(f"statement.{part}")) for part in ("entry", "day", "customer")]
    columns.append(Column(words("statement.unexplained"), number=True))
    accounts = {account.customer: account for account in statement.accounts}
    rows: list[list[Cell]] = [
        [
            lambda gap=gap: _story_link(words, gap.entry),
            words.day(gap.day),
            figures.customer_name(words, accounts.get(gap.customer, gap.customer)),
            figures.time_cell(words, gap.minutes),
        ]
        for gap in statement.gaps[:GAPS_SHOWN]
    ]
    widgets.table(words("statement.gaps"), columns, rows)
    if len(statement.gaps) > GAPS_SHOWN:
        more = words.count("statement.gaps.more", len(statement.gaps) - GAPS_SHOWN)
        widgets.text("p", more, "zk-muted")


def _story_link(words: Words, entry: str) -> None:
    """What does not add up, by its key: a booking, an adjustment (`a5`) or a time sheet (`kimai:7`); with its story."""
    kind = "timesheet" if entry.startswith("kimai:") else "adjustment" if entry.startswith("a") else "booking"
    mark = f"{kind}:{entry.removeprefix('kimai:').removeprefix('a')}"
    widgets.link(marks.named(words, mark, {}), f"/audit?{urlencode({'trace': entry})}")
