"""The customers of a month: their amounts, how each differs from the month before, and the review of each."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from nicegui import ui

from zk_pipeline.billing.months import CustomerReview
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.domain.month_steps import MonthChange
from zk_pipeline.domain.periods import month_of
from zk_pipeline.domain.statement import ZERO, CustomerStatement, Statement, StatementCustomer
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import feedback, marks, widgets
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

Open = Callable[[Statement, CustomerStatement], Any]
"""Opens a customer, given the statement about it alone."""


@dataclass(frozen=True, slots=True)
class Listed:
    """How the customers are listed: the page, how another one is shown, and their reviews where there are any.

    `tick` records a review, where the visitor may; `ticked` is the customer who was ticked last. `ask` draws what is to
    be asked about a customer.
    """

    page: int
    go: Callable[[int], Any]
    reviews: Mapping[StatementCustomer, CustomerReview]
    tick: Callable[[CustomerReview, bool], Awaitable[None]] | None
    ticked: StatementCustomer | None
    ask: Callable[[StatementCustomer], None]


def show_list(visit: Visit, statement: Statement, listed: Listed, open_one: Open) -> None:
    """The customers of a page, each of which opens; the amounts of a row add up, and the last row has all."""
    words, number, size, page = visit.words, len(statement.accounts), figures.SIZE, listed.page
    names = figures.used_columns(account.total for account in statement.accounts)
    columns = [Column(words("statement.customer")), *figures.amount_columns(words, names)]
    priced = any(account.money for account in statement.accounts)
    if priced:
        columns.append(Column(words("statement.amount"), number=True))
    if listed.reviews:
        columns += [Column(_against(words, statement)), Column(words("month.reviewed"))]
    rows: list[list[Cell]] = [
        [
            lambda account=account: _open_button(visit, statement, account, open_one),
            *figures.amount_cells(words, names, account.total),
            *([_price(visit, [account])] if priced else []),
            *_review_cells(visit, account, listed),
        ]
        for account in statement.accounts[(page - 1) * size : page * size]
    ]
    if number > 1:
        sums = figures.amount_cells(words, names, statement.total)
        sums += [_price(visit, statement.accounts)] if priced else []
        rows.append([words("statement.total"), *sums, *([""] * (2 if listed.reviews else 0))])
    widgets.table(words("statement.customers"), columns, rows)
    if number > size:
        widgets.pager(words, page, size, number, listed.go)


def _price(visit: Visit, accounts: Sequence[CustomerStatement]) -> str:
    """What these customers' time sheets cost, in each currency."""
    prices: dict[str, Decimal] = {}
    for row in (row for account in accounts for row in account.money if row.figures):
        prices[row.currency] = prices.get(row.currency, ZERO) + row.amount
    return " \N{MIDDLE DOT} ".join(
        figures.style_for(visit).number(money(amount, currency)) for currency, amount in prices.items()
    )


def _against(words: Words, statement: Statement) -> str:
    """With which month changes compare."""
    return words("month.change", month=words.month(month_of(statement.month - timedelta(days=1))))


def show_review(visit: Visit, statement: Statement, account: CustomerStatement, listed: Listed) -> None:
    """The change and the review of one customer, where the month is not closed."""
    words, cells = visit.words, _review_cells(visit, account, listed)
    if any(cells):
        widgets.facts(list(zip((_against(words, statement), words("month.reviewed")), cells, strict=True)))


def _review_cells(visit: Visit, account: CustomerStatement, listed: Listed) -> list[Cell]:
    """How the customer's time changed, and whether somebody looked at it."""
    if not listed.reviews:
        return []
    found = listed.reviews.get(account.customer)
    if found is None:
        return ["", ""]
    return [lambda: _show_change(visit.words, found.change), lambda: _show_review(visit, found, listed, account)]


def _show_change(words: Words, change: MonthChange) -> None:
    if not change.minutes:
        widgets.text("span", words("month.change.none"), "zk-muted")
        return
    percent = "" if change.percent is None else f" ({signed(words.number(change.percent))}\N{NARROW NO-BREAK SPACE}%)"
    causes = filter(None, (change.person, change.activity, change.ticket))
    listed = " \N{MIDDLE DOT} ".join(
        f"{'#' if cause is change.ticket else ''}{cause.name} {signed(words.hours(cause.minutes))}" for cause in causes
    )
    with widgets.box("zk-two-lines"):
        amount = widgets.text("span", f"{signed(words.hours(change.minutes))}{percent}")
        amount.props["title"] = words.minutes(change.minutes)
        widgets.text("span", listed if change.before else words("month.change.new"), "zk-muted zk-causes")


def signed(text: str) -> str:
    """An amount that is a difference: with a plus where it has no minus, which is never a hyphen."""
    text = text.replace("-", "\N{MINUS SIGN}")
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _show_review(visit: Visit, found: CustomerReview, listed: Listed, account: CustomerStatement) -> None:
    """The tick of an operator, who looked at it, and whether its time changed since."""
    words = visit.words
    name = words("month.reviewed.of", customer=figures.customer_name(words, account))
    by = ""
    if found.reviewed_at is not None:
        key = "month.reviewed.by" if found.holds else "month.reviewed.lapsed"
        by = words(key, by=marks.actor(words, found.reviewed_by), instant=words.instant(found.reviewed_at))
    with widgets.box("zk-review"):
        if listed.tick is None:
            widgets.text("span", by or words("month.reviewed.not"), "" if found.holds else "zk-muted")
            return
        tick = listed.tick
        box = ui.checkbox(value=found.holds).props("dense")
        box.props["aria-label"] = name
        box.on_value_change(visit.act(Role.OPERATOR, lambda: tick(found, bool(box.value))))
        if by:
            widgets.text("span", by, "zk-muted")
        if listed.ticked == found.customer:
            feedback.keep_focus(visit, box)


def _open_button(visit: Visit, statement: Statement, account: CustomerStatement, open_one: Open) -> None:
    alone = replace(statement, accounts=(account,))
    show_it = visit.act(Role.VIEWER, lambda: open_one(alone, account))
    widgets.open_button(figures.customer_name(visit.words, account), show_it)
