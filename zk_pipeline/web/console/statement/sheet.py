"""The statement as it is read: what it says, what does not add up, the customers or the lines of one, the charts."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zk_pipeline.domain.statement import Account, Customer, Statement
from zk_pipeline.operations.actors import Role
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.statement import account as accounts
from zk_pipeline.web.console.statement import charts, figures, summary
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words

GAPS_SHOWN = 20

_ALWAYS = ("zammad", "kimai", "waiting", "excluded", "rounding", "corrections_open")


def show(visit: Visit, statement: Statement, customer: Customer | None, page: int, go: Callable[[int], Any]) -> None:
    """Draw it; `customer` is the one whom it is about, if it is about one."""
    words = visit.words
    if not statement.accounts:
        parts.empty(words("statement.nothing"), words("statement.nothing.hint"))
        return
    with parts.card(classes="zk-stack"):
        summary.verdict(visit, statement)
        summary.downloads(words, statement, customer)
    if statement.gaps:
        with parts.card(words("statement.gaps")):
            _gaps(words, statement)
    if customer:
        accounts.show(visit, statement, statement.accounts[0])
        return
    with parts.card(words("statement.customers")):
        _customers(visit, statement, page, go)
    charts.customers(words, statement)
    charts.pair(visit, statement)


def _gaps(words: Words, statement: Statement) -> None:
    columns = [Column(words(f"statement.{part}")) for part in ("entry", "day", "customer")]
    columns.append(Column(words("statement.unexplained"), number=True))
    rows = [
        [gap.entry, words.day(gap.day), figures.name(words, gap.customer), words.minutes(gap.minutes)]
        for gap in statement.gaps[:GAPS_SHOWN]
    ]
    parts.table(words("statement.gaps"), columns, rows)
    if len(statement.gaps) > GAPS_SHOWN:
        more = words.count("statement.gaps.more", len(statement.gaps) - GAPS_SHOWN)
        parts.text("p", more, "zk-muted")


def _customers(visit: Visit, statement: Statement, page: int, go: Callable[[int], Any]) -> None:
    """The customers of a page, each of which opens; the amounts of a row add up, and the last row has all."""
    words, number, size = visit.words, len(statement.accounts), figures.SIZE
    names = figures.used((account.total for account in statement.accounts), _ALWAYS)
    columns = [Column(words("statement.customer")), *figures.columns(words, names)]
    rows: list[list[Cell]] = [
        [
            lambda account=account: _open_button(visit, statement, account),
            *figures.cells(words, names, account.total),
        ]
        for account in statement.accounts[(page - 1) * size : page * size]
    ]
    if number > 1:
        rows.append([words("statement.total"), *figures.cells(words, names, statement.total)])
    parts.table(words("statement.customers"), columns, rows)
    if number > size:
        parts.pager(words, page, size, number, go)


def _open_button(visit: Visit, statement: Statement, account: Account) -> None:
    alone = replace(statement, accounts=(account,))
    show_it = visit.act(Role.VIEWER, lambda: accounts.open_dialog(visit, alone, account))
    parts.open_button(figures.name(visit.words, account.customer), show_it)
