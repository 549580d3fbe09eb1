"""Charts of bars and days, each with its table for screen readers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from nicegui import ui

from zk_pipeline.operate.overview import SyncedMinutes
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

# Bars above an axis, stacked where a place has several, with a table for screen readers.


@dataclass(frozen=True, slots=True)
class Bars:
    """What has one name and one colour, which is a variable of the style sheet: an amount for each place."""

    name: str
    amounts: Sequence[Decimal | int]
    colour: str


@dataclass(frozen=True, slots=True)
class Table:
    """The same in cells."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def show_bars(words: Words, places: Sequence[str], stack: Sequence[Bars], table: Table, *, lying: bool = False) -> None:
    """The chart, its legend where there are several colours, and the table, which opens on demand.

    Bars are `lying` where the places have long names.
    """
    with widgets.box("zk-figure").props("aria-hidden=true"):
        if len(stack) > 1:
            _legend(stack)
        ui.echart(_options(places, stack, lying=lying), renderer="svg").classes("zk-chart")
    with widgets.box("zk-details", "details"):
        widgets.text("summary", words("dashboard.as_table"))
        widgets.table(table.caption, table.columns, table.rows)


def _legend(stack: Sequence[Bars]) -> None:
    with widgets.box("zk-legend"):
        for bars in stack:
            with widgets.box("zk-legend-name", "span"):
                widgets.box("zk-dot", "span").style(f"background: {_colour(bars)}")
                widgets.text("span", bars.name)


def _options(places: Sequence[str], stack: Sequence[Bars], *, lying: bool) -> dict[str, Any]:
    """The chart; amounts are drawn to a pixel, so here they may be inexact."""
    line, label = {"lineStyle": {"color": "var(--zk-line)"}}, {"color": "var(--zk-soft)"}
    along = {
        "type": "category",
        "data": list(places),
        "inverse": lying,
        "axisLabel": label,
        "axisLine": line,
        "axisTick": {"show": False},
    }
    across = {"type": "value", "minInterval": 1, "axisLabel": label, "splitLine": line}
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 16, "right": 16, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "xAxis": across if lying else along,
        "yAxis": along if lying else across,
        "series": [_series(bars) for bars in stack],
    }


def _series(bars: Bars) -> dict[str, Any]:
    return {
        "name": bars.name,
        "type": "bar",
        "stack": "all",
        "data": [float(amount) if amount else None for amount in bars.amounts],
        "itemStyle": {"color": _colour(bars), "borderColor": "var(--zk-surface)", "borderWidth": 1, "borderRadius": 3},
        "barMaxWidth": 26,
    }


def _colour(bars: Bars) -> str:
    return f"var(--zk-{bars.colour})"


# The minutes of each day: those in Kimai, and above them the others.


def show_days(visit: Visit, series: Sequence[SyncedMinutes]) -> None:
    """The chart, or that there is nothing to draw; the table has the days on which there is something."""
    words = visit.words
    some = [row for row in series if row.booked or row.synced]
    if not some:
        widgets.empty(words("dashboard.no_minutes"), words("dashboard.no_minutes.hint"))
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
    show_bars(words, [short(row.day) for row in series], stack, table)


def short(day: date) -> str:
    """A day in short, for an axis."""
    return f"{day.day}.{day.month}."
