"""The minutes of each day: those in Kimai, and above them those that are not there."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from zk_pipeline.store.kpi import DayMinutes
from zk_pipeline.web.console import bar_chart, parts
from zk_pipeline.web.console.bar_chart import Bars, Table
from zk_pipeline.web.console.parts import Column
from zk_pipeline.web.console.visit import Visit


def show(visit: Visit, series: Sequence[DayMinutes]) -> None:
    """The chart, or that there is nothing to draw; the table has the days on which there is something."""
    words = visit.words
    some = [row for row in series if row.booked or row.synced]
    if not some:
        parts.empty(words("dashboard.no_minutes"), words("dashboard.no_minutes.hint"))
        return
    columns = [Column(words("dashboard.day"))]
    columns += [Column(words(f"dashboard.{name}"), number=True) for name in ("booked", "in_kimai")]
    rows = [[words.day(row.day), words.minutes(row.booked), words.minutes(row.synced)] for row in some]
    missing = [max(row.booked - row.synced, Decimal(0)) for row in series]  # Kimai may have rounded up.
    stack = [
        Bars(words("dashboard.in_kimai"), [row.synced for row in series], "accent"),
        Bars(words("dashboard.not_in_kimai"), missing, "line-strong"),
    ]
    table = Table(words("dashboard.minutes"), columns, rows)
    bar_chart.show(words, [short(row.day) for row in series], stack, table)


def short(day: date) -> str:
    """A day as an axis has room for it."""
    return f"{day.day}.{day.month}."
