"""One customer's part of the statement: its lines by agent and activity, page by page, and the same in a dialog."""

from collections.abc import Sequence

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import NO_ACTIVITY, Account, Line, Statement
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


def show(visit: Visit, statement: Statement, account: Account) -> None:
    """The lines and charts of a statement that is about this customer alone."""
    Lines(visit.words, account)
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
    with parts.box("zk-two-lines"):
        parts.text("span", line.agent)
        if line.agent_email and line.agent_email != line.agent:
            parts.text("span", line.agent_email, "zk-muted")
