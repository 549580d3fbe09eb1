"""The statement's charts: the time of each day, whose they are, and for how long conflicts have been open."""

from datetime import date, timedelta

from zk_pipeline.domain.periods import last_day
from zk_pipeline.domain.statement import AGE_NAMES, ZERO, Statement, conflict_ages, minutes_per_day, shares_per_day
from zk_pipeline.operate.overview import SyncedMinutes
from zk_pipeline.web.console import charts, widgets
from zk_pipeline.web.console.charts import Bars, Table
from zk_pipeline.web.console.statement import figures
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

MOST = 5
"""Customers with a colour of their own; the others share one."""


def pair(visit: Visit, statement: Statement) -> None:
    """The minutes of each day and the conflicts by age, beside each other where there is room."""
    with widgets.box("zk-columns"):
        _minutes(visit, statement)
        _ages(visit.words, statement)


def customers(words: Words, statement: Statement) -> None:
    """The booked minutes of each day of the month, by customer."""
    days, title = _days(statement), words("statement.per_customer")
    shares = shares_per_day(statement, days, MOST)
    stack = [
        Bars(share.name or words("statement.nobody"), share.minutes, f"series-{number}")
        if share.name is not None
        else Bars(words("statement.others"), share.minutes, "line-strong")
        for number, share in enumerate(shares, 1)
    ]
    columns = [Column(words("statement.day")), *(Column(bars.name, number=True) for bars in stack)]
    of_days = [(day, [share.minutes[number] for share in shares]) for number, day in enumerate(days)]
    rows: list[list[Cell]] = [
        [words.day(day), *(figures.time_cell(words, amount) for amount in minutes)]
        for day, minutes in of_days
        if any(minutes)
    ]
    with widgets.card(title):
        shown = [charts.short(words, day) for day in days]
        charts.show_bars(words, shown, stack, Table(title, columns, rows), hours=True)


def _minutes(visit: Visit, statement: Statement) -> None:
    """The minutes of each day of the month, in Kimai and not."""
    made = {row.day: SyncedMinutes(row.day, row.zammad, row.kimai) for row in minutes_per_day(statement)}
    with widgets.card(visit.words("dashboard.minutes")):
        charts.show_days(visit, [made.get(day, SyncedMinutes(day, ZERO, ZERO)) for day in _days(statement)])


def _ages(words: Words, statement: Statement) -> None:
    """How many conflicts are open, by how long they have been."""
    counts, title = conflict_ages(statement.accounts), words("statement.ages")
    names = [words(f"statement.age.{age}") for age in AGE_NAMES]
    with widgets.card(title):
        if not any(counts):
            widgets.text("p", words("statement.ages.none"), "zk-muted")
            return
        columns = [Column(words("statement.age")), Column(words("statement.conflicts"), number=True)]
        rows = [[age, words.number(number)] for age, number in zip(names, counts, strict=True)]
        stack = [Bars(words("statement.conflicts"), counts, "series-2")]
        charts.show_bars(words, names, stack, Table(title, columns, rows), lying=True)


def _days(statement: Statement) -> list[date]:
    return [statement.month + timedelta(days=number) for number in range(last_day(statement.month).day)]
