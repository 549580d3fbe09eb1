"""One customer's part of the statement: lines, time sheets and adjustments, page by page, and the same in a dialog."""

from collections.abc import Sequence
from datetime import date

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import NO_ACTIVITY, Account, Line, Statement, sum_of
from zk_pipeline.domain.statement_rows import AdjustmentLine, Item
from zk_pipeline.operations.statement_files.look import Look
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.statement import charts, figures, summary
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words

_ALWAYS = ("zammad", "kimai", "waiting")
_IF_ANY = ("excluded", "rounding", "corrections_open")


class Lines:
    """What each agent did in each activity: one page of it, drawn again when another is asked for."""

    def __init__(self, words: Words, account: Account) -> None:
        self._words, self._account = words, account
        self._names = figures.used((line.amounts for line in account.lines), _ALWAYS, _IF_ANY)
        with parts.card(words("statement.lines")):
            self._box = parts.box("zk-panel")
        self._show(1)

    def _show(self, page: int) -> None:
        words, lines, size = self._words, self._account.lines, figures.SIZE
        titles = [Column(words(f"statement.{part}")) for part in ("agent", "activity")]
        columns = [*titles, Column(words("statement.entries"), number=True), *figures.columns(words, self._names)]
        self._box.clear()
        with self._box:
            parts.table(words("statement.lines"), columns, self._rows(lines[(page - 1) * size : page * size]))
            if len(lines) > size:
                parts.pager(words, page, size, len(lines), self._show)

    def _rows(self, lines: Sequence[Line]) -> list[list[Cell]]:
        """The lines; below those of every page stands the sum of all."""
        words, total = self._words, self._account.total
        rows: list[list[Cell]] = [
            [
                lambda line=line: _agent(line),
                words("statement.no_type") if line.activity == NO_ACTIVITY else line.activity,
                words.number(line.amounts.entries),
                *figures.cells(words, self._names, line.amounts),
            ]
            for line in lines
        ]
        if len(self._account.lines) > 1:
            sums = figures.cells(words, self._names, total)
            rows.append([words("statement.total"), "", words.number(total.entries), *sums])
        return rows


class Items:
    """Each time sheet with its ticket: one page of them, drawn again when another is asked for."""

    def __init__(self, visit: Visit, account: Account) -> None:
        self._words, self._account, self._look = visit.words, account, summary.look_for(visit)
        with parts.card(self._words("statement.items")):
            self._box = parts.box("zk-panel")
        self._show(1)

    def _show(self, page: int) -> None:
        words, items, size = self._words, self._account.items, figures.SIZE
        self._box.clear()
        with self._box:
            rows = [
                _single(self._look, words, item.day, item, self._look.of_item(item))
                for item in items[(page - 1) * size : page * size]
            ]
            rows.append(_sum(self._look, words, items))
            parts.table(words("statement.items"), _columns(words, items), rows)
            if len(items) > size:
                parts.pager(words, page, size, len(items), self._show)


def _adjustments(visit: Visit, account: Account) -> None:
    """What was adjusted and credited, here or elsewhere."""
    words, look, rows = visit.words, summary.look_for(visit), account.adjustments
    with parts.card(words("statement.adjustments")):
        cells = [_single(look, words, row.day, row, look.of_adjustment(row)) for row in rows]
        parts.table(words("statement.adjustments"), _columns(words, rows), cells)


def show(visit: Visit, statement: Statement, account: Account) -> None:
    """The lines, time sheets and charts of a statement that is about this customer alone."""
    Lines(visit.words, account)
    if account.items:
        Items(visit, account)
    if account.adjustments:
        _adjustments(visit, account)
    charts.pair(visit, statement)


def open_dialog(visit: Visit, statement: Statement, account: Account) -> None:
    """The same in a dialog, from the list of all customers; `statement` is about this one alone."""
    words = visit.words
    title = f"{figures.name(words, account.customer)} · {month_name(statement.month)}"
    with parts.dialog(title, words("close"), wide=True):
        summary.equation(visit, statement)
        summary.money_of(visit, statement)
        summary.downloads(words, statement, account.customer)
        show(visit, statement, account)


def _agent(line: Line) -> None:
    _two_lines(line.agent, line.agent_email if line.agent_email != line.agent else "")


def _columns(words: Words, rows: Sequence[Item | AdjustmentLine]) -> list[Column]:
    currency = next((row.currency for row in rows if row.currency), "")
    cost = words("statement.amount") + (f" ({currency})" if currency else "")
    titles = [words(f"statement.{part}") for part in ("day", "ticket", "subject", "agent", "minutes")]
    return [Column(title, number=place > 3) for place, title in enumerate((*titles, cost))]


def _single(look: Look, words: Words, day: date, row: Item | AdjustmentLine, note: str) -> list[Cell]:
    return [
        words.day(day),
        row.ticket,
        lambda: _two_lines(row.title, note),
        row.agent,
        words.number(row.minutes),
        look.amount(row.amount),
    ]


def _sum(look: Look, words: Words, rows: Sequence[Item]) -> list[Cell]:
    minutes, amount = sum_of(rows)
    return [words("statement.total"), "", "", "", words.number(minutes), look.amount(amount)]


def _two_lines(text: str, note: str) -> None:
    with parts.box("zk-two-lines"):
        parts.text("span", text)
        if note:
            parts.text("span", note, "zk-muted")
