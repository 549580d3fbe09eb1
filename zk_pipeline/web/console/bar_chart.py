"""Bars above an axis, stacked where there are several for a place, with the same as a table for who cannot see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from nicegui import ui

from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.words import Words


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


def show(words: Words, places: Sequence[str], stack: Sequence[Bars], table: Table, *, lying: bool = False) -> None:
    """The chart, its legend where there are several colours, and the table, which opens on demand.

    Bars are `lying` where the places have long names.
    """
    with parts.box("zk-figure").props("aria-hidden=true"):
        if len(stack) > 1:
            _legend(stack)
        ui.echart(_options(places, stack, lying=lying), renderer="svg").classes("zk-chart")
    with parts.box("zk-details", "details"):
        parts.text("summary", words("dashboard.as_table"))
        parts.table(table.caption, table.columns, table.rows)


def _legend(stack: Sequence[Bars]) -> None:
    with parts.box("zk-legend"):
        for bars in stack:
            with parts.box("zk-legend-name", "span"):
                parts.box("zk-dot", "span").style(f"background: {_colour(bars)}")
                parts.text("span", bars.name)


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
