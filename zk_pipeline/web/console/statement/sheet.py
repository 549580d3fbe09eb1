"""The statement as it is read: the verdict, the equation, the customers, the days, and the files to save."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import Amounts, Customer, Statement, Verdict, minutes_per_day, spelled
from zk_pipeline.operations.statement_files import FileFormat
from zk_pipeline.operations.statement_files.look import Language, look_of
from zk_pipeline.store.kpi import DayMinutes
from zk_pipeline.web.console import day_chart, parts
from zk_pipeline.web.console.parts import Cell, Column, Tone
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.words import Words

SIZE = 25
GAPS_SHOWN = 20
FILES = "/api/v1/statements"

_TONES: Mapping[Verdict, Tone] = {Verdict.BALANCED: "good", Verdict.WAITING: "warn", Verdict.UNBALANCED: "bad"}
_SAVED = (FileFormat.CSV, FileFormat.XLSX, FileFormat.PDF)
_ALWAYS = ("zammad", "kimai", "waiting", "excluded", "rounding", "corrections_open")
_IF_ANY = ("netted", "agreed", "adjusted", "unexplained")
_TITLES = {"waiting": "waits"}
"""Amounts whose column is not called as they are, since a verdict is."""


def show(visit: Visit, statement: Statement, customer: Customer | None, page: int, go: Callable[[int], Any]) -> None:
    """Draw it; `customer` is the one whom it is about, if it is about one."""
    words = visit.words
    if not statement.accounts:
        parts.empty(words("statement.nothing"), words("statement.nothing.hint"))
        return
    with parts.card(classes="zk-stack"):
        _verdict(visit, statement)
        _downloads(visit, statement, customer)
    if statement.gaps:
        with parts.card(words("statement.gaps")):
            _gaps(words, statement)
    with parts.card(words("statement.customers")):
        _accounts(words, statement, page, go)
    with parts.card(words("dashboard.minutes")):
        day_chart.show(visit, [DayMinutes(row.day, row.zammad, row.kimai) for row in minutes_per_day(statement)])


def name(words: Words, customer: Customer) -> str:
    """What a customer is called, with the number in Kimai where there is one."""
    return str(customer) if customer.name else words("statement.nobody")


def _verdict(visit: Visit, statement: Statement) -> None:
    words, verdict = visit.words, statement.verdict
    with parts.box("zk-row"):
        parts.chip(words(f"statement.verdict.{verdict}"), _TONES[verdict])
        parts.text("span", words(f"statement.{verdict}"))
        if verdict is Verdict.WAITING:
            parts.link(words("statement.decide"), "/reconcile?view=conflicts")
    look = look_of(visit.runtime.settings, Language(words.language.value))
    parts.text("p", spelled(statement.total, look.word, words.minutes), "zk-lead zk-equation")
    if statement.built_at:
        parts.text("p", words("statement.built", instant=words.instant(statement.built_at)), "zk-muted")


def _downloads(visit: Visit, statement: Statement, customer: Customer | None) -> None:
    words = visit.words
    about = {"customer": str(customer.id) if customer.id else customer.name} if customer else {}
    with parts.box("zk-row"):
        for kind in _SAVED:
            query = urlencode({"format": kind.value, "language": words.language.value, **about})
            title = words("statement.download", format=kind.value.upper())
            parts.link(title, f"{FILES}/{month_name(statement.month)}?{query}")


def _gaps(words: Words, statement: Statement) -> None:
    columns = [Column(words(f"statement.{part}")) for part in ("entry", "day", "customer")]
    columns.append(Column(words("statement.unexplained"), number=True))
    rows = [
        [gap.entry, words.day(gap.day), name(words, gap.customer), words.minutes(gap.minutes)]
        for gap in statement.gaps[:GAPS_SHOWN]
    ]
    parts.table(words("statement.gaps"), columns, rows)
    if len(statement.gaps) > GAPS_SHOWN:
        more = words.count("statement.gaps.more", len(statement.gaps) - GAPS_SHOWN)
        parts.text("p", more, "zk-muted")


def _accounts(words: Words, statement: Statement, page: int, go: Callable[[int], Any]) -> None:
    """The customers of a page; the amounts of a row add up, and the last row has all customers."""
    total, number = statement.total, len(statement.accounts)
    names = [*_ALWAYS, *_used(statement), "to_be_billed"]
    titles = [words(f"statement.{_TITLES.get(part, part)}") for part in names]
    columns = [Column(words("statement.customer")), *(Column(title, number=True) for title in titles)]
    shown = statement.accounts[(page - 1) * SIZE : page * SIZE]
    rows = [[name(words, account.customer), *_amounts(words, names, account.total)] for account in shown]
    if number > 1:
        rows.append([words("statement.total"), *_amounts(words, names, total)])
    parts.table(words("statement.customers"), columns, rows)
    if number > SIZE:
        parts.pager(words, page, SIZE, number, go)


def _used(statement: Statement) -> list[str]:
    """Those of the rarer parts of which somebody has minutes."""
    amounts = [account.total for account in statement.accounts]
    return [part for part in _IF_ANY if any(getattr(each, part) for each in amounts)]


def _amounts(words: Words, names: Sequence[str], amounts: Amounts) -> list[Cell]:
    return [words.number(getattr(amounts, part)) for part in names]
