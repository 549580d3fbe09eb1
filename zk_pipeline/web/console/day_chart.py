"""The minutes of each day as a chart, with the same as a table for who cannot see it."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from nicegui import ui

from zk_pipeline.store.kpi import DayMinutes
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Column
from zk_pipeline.web.console.visit import Visit


def show(visit: Visit, series: Sequence[DayMinutes]) -> None:
    """The chart, or that there is nothing to draw."""
    words = visit.words
    if not series:
        parts.empty(words("dashboard.no_minutes"), words("dashboard.no_minutes.hint"))
        return
    ui.echart(_options(visit, series), renderer="svg").classes("zk-chart").props("aria-hidden=true")
    with parts.box("zk-details", "details"):
        parts.text("summary", words("dashboard.as_table"))
        columns = [Column(words("dashboard.day"))]
        columns += [Column(words(f"dashboard.{name}"), number=True) for name in ("booked", "in_kimai")]
        rows = [[words.day(row.day), words.minutes(row.booked), words.minutes(row.synced)] for row in series]
        parts.table(words("dashboard.minutes"), columns, rows)


def _options(visit: Visit, series: Sequence[DayMinutes]) -> dict[str, Any]:
    """The chart; amounts are drawn to a pixel, so here they may be inexact."""
    words = visit.words
    line, ink = "var(--zk-line)", "var(--zk-soft)"

    def bars(name: str, amounts: Sequence[Decimal], colour: str) -> dict[str, Any]:
        data = [float(amount) for amount in amounts]
        style = {"color": colour, "borderRadius": 3}
        return {"name": name, "type": "bar", "stack": "minutes", "data": data, "itemStyle": style, "barMaxWidth": 26}

    return {
        "animation": False,
        "textStyle": {"fontFamily": "inherit"},
        "grid": {"left": 8, "right": 8, "top": 34, "bottom": 4, "containLabel": True},
        "legend": {"left": 0, "top": 0, "textStyle": {"color": ink}, "icon": "roundRect"},
        "tooltip": {"trigger": "axis", "renderMode": "richText", "confine": True},
        "xAxis": {
            "type": "category",
            "data": [_short(row.day) for row in series],
            "axisLabel": {"color": ink},
            "axisLine": {"lineStyle": {"color": line}},
            "axisTick": {"show": False},
        },
        "yAxis": {"type": "value", "axisLabel": {"color": ink}, "splitLine": {"lineStyle": {"color": line}}},
        "series": [
            bars(words("dashboard.in_kimai"), [row.synced for row in series], "var(--zk-accent)"),
            bars(words("dashboard.not_in_kimai"), [row.booked - row.synced for row in series], "var(--zk-line-strong)"),
        ],
    }


def _short(day: date) -> str:
    return f"{day.day}.{day.month}."
