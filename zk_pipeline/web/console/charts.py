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


_MINUTES_OF_HOUR = 60

_AS_HOURS = """value => {
    const minutes = Math.round((value || 0) * 60), whole = Math.floor(minutes / 60);
    return whole ? `${whole} h ${String(minutes % 60).padStart(2, "0")}` : `${minutes} min`;
}"""
"""Hours of a chart as the rest of the page writes them."""

_TEXT_SIZE = {":fontSize": "0.75 * parseFloat(getComputedStyle(document.documentElement).fontSize)"}
"""Texts of a chart grow with those of the page."""


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


def show_bars(
    words: Words,
    places: Sequence[str],
    stack: Sequence[Bars],
    table: Table,
    *,
    lying: bool = False,
    hours: bool = False,
) -> None:
    """The chart, its legend where there are several colours, and the table, which opens on demand.

    Bars are `lying` where the places have long names. With `hours`, amounts are minutes and the axis is in hours.
    """
    shown = [_series(bars, hours=hours) for bars in stack]
    _show(words, stack, _options(places, shown, lying=lying, hours=hours), table)


def _show(words: Words, stack: Sequence[Bars], options: dict[str, Any], table: Table) -> None:
    with widgets.box("zk-figure").props("aria-hidden=true"):
        if len(stack) > 1:
            _legend(stack)
        ui.echart(options, renderer="svg").classes("zk-chart")
    with widgets.box("zk-details", "details"):
        widgets.text("summary", words("dashboard.as_table"))
        widgets.table(table.caption, table.columns, table.rows)


def _legend(stack: Sequence[Bars]) -> None:
    with widgets.box("zk-legend"):
        for bars in stack:
            with widgets.box("zk-legend-name", "span"):
                widgets.box("zk-dot", "span").style(f"background: {_colour(bars)}")
                widgets.text("span", bars.name).props["title"] = bars.name


def _options(places: Sequence[str], series: Sequence[dict[str, Any]], *, lying: bool, hours: bool) -> dict[str, Any]:
    """The chart; amounts are drawn to a pixel, so here they may be inexact."""
    line, label = {"lineStyle": {"color": "var(--zk-line)"}}, {"color": "var(--zk-soft)", **_TEXT_SIZE}
    along = {
        "type": "category",
        "data": list(places),
        "inverse": lying,
        "axisLabel": label,
        "axisLine": line,
        "axisTick": {"show": False},
    }
    unit = {"formatter": "{value} h"} if hours else {}
    across = {"type": "value", "minInterval": 1, "axisLabel": {**label, **unit}, "splitLine": line}
    tooltip = {"trigger": "axis", "renderMode": "richText", "confine": True}
    if hours:
        tooltip[":valueFormatter"] = _AS_HOURS
    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 16, "right": 16, "top": 12, "bottom": 4, "containLabel": True},
        "tooltip": tooltip,
        "xAxis": across if lying else along,
        "yAxis": along if lying else across,
        "series": list(series),
    }


def _series(bars: Bars, *, hours: bool) -> dict[str, Any]:
    unit = _MINUTES_OF_HOUR if hours else 1
    return {
        "name": bars.name,
        "type": "bar",
        "stack": "all",
        "data": [float(amount) / unit if amount else None for amount in bars.amounts],
        "itemStyle": {"color": _colour(bars), "borderColor": "var(--zk-surface)", "borderWidth": 1, "borderRadius": 3},
        "barMaxWidth": 26,
    }


def _colour(bars: Bars) -> str:
    return f"var(--zk-{bars.colour})"


# The hours of each day: those in Kimai, and shaded above them what is not there.


def show_days(visit: Visit, series: Sequence[SyncedMinutes]) -> None:
    """The chart, or that there is nothing to draw; the table has the days on which there is something."""
    words = visit.words
    some = [row for row in series if row.booked or row.synced]
    if not some:
        widgets.empty(words("dashboard.no_minutes"), words("dashboard.no_minutes.hint"))
        return
    columns = [Column(words("dashboard.day"))]
    columns += [Column(words(f"dashboard.{name}"), number=True) for name in ("booked", "in_kimai")]
    rows: list[list[Cell]] = [
        [words.day(row.day), _hours(words, row.booked), _hours(words, row.synced)] for row in some
    ]
    missing = [max(row.booked - row.synced, Decimal(0)) for row in series]  # Kimai may have rounded up.
    stack = [
        Bars(words("dashboard.in_kimai"), [row.synced for row in series], "series-1"),
        Bars(words("dashboard.not_in_kimai"), missing, "gap"),
    ]
    days = [short(words, row.day) for row in series]
    shown = [_area(bars) for bars in stack]
    _show(
        words, stack, _options(days, shown, lying=False, hours=True), Table(words("dashboard.minutes"), columns, rows)
    )


def _area(bars: Bars) -> dict[str, Any]:
    """Days of one kind as an area; what is not in Kimai is only shaded."""
    return {
        "name": bars.name,
        "type": "line",
        "stack": "all",
        "step": "middle",
        "symbol": "none",
        "data": [float(amount) / _MINUTES_OF_HOUR for amount in bars.amounts],
        "lineStyle": {"color": _colour(bars), "width": 1.5},
        "itemStyle": {"color": _colour(bars)},
        "areaStyle": {"color": _colour(bars), "opacity": 0.35 if bars.colour == "gap" else 0.85},
    }


def _hours(words: Words, minutes: Decimal) -> Cell:
    return lambda: widgets.hours(words, minutes)


def short(words: Words, day: date) -> str:
    """A day without its year, for an axis."""
    return words.day(day).removesuffix(str(day.year)).rstrip(" /")
