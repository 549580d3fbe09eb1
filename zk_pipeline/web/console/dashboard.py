"""The section Dashboard: what was cancelled, the figures, the minutes of each day, and the latest runs."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from nicegui import ui

from zk_pipeline.domain.instants import local_day
from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import kpi, runs, sync
from zk_pipeline.operate.kpi import DAYS_SHOWN, Kpi
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.operate.sync import IN_DAGSTER, HeldDays
from zk_pipeline.web.console import charts, widgets
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console.run_actions import RunActions
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Panel

RUNS_SHOWN = 6
SECONDS_AT_WORK = 3.0
"""Seconds between two looks at a run under way."""

_BOTH_SIDES = 2


class Dashboard:
    """The section's parts. The chart has days of its own; one question answers it and the figures."""

    def __init__(self, visit: Visit) -> None:
        self._visit, words = visit, visit.words
        self._held = Panel(visit, lambda: sync.held_days(visit.runtime), self._show_held)
        self._figures = Panel(visit, self._load, self._show)
        with widgets.card(words("dashboard.minutes")):
            with widgets.box("zk-filters"):
                today = local_day(datetime.now(visit.words.zone), visit.words.zone)
                since = today - timedelta(days=DAYS_SHOWN - 1)
                self._first = widgets.day_field(words("from"), since, self._figures.refresh)
                self._last = widgets.day_field(words("to"), today, self._figures.refresh)
            self._chart = widgets.box("zk-chart-box")
        with widgets.card(words("runs.title")):
            self._runs = Panel(visit, lambda: runs.page(visit.runtime, RUNS_SHOWN, 0)[0], self._show_runs)
        self._again = ui.timer(SECONDS_AT_WORK, self._runs.refresh, active=False)
        visit.live(self._held.refresh)
        visit.live(self._figures.refresh)
        visit.live(self._runs.refresh)

    async def refresh(self) -> None:
        """Load everything."""
        await self._held.refresh()
        await self._figures.refresh()
        await self._runs.refresh()

    def _show_held(self, held: Sequence[HeldDays]) -> None:
        words = self._visit.words
        if not held:
            return
        with widgets.box("zk-note zk-warn zk-stack"):
            widgets.text("h3", words("held.title"), "zk-card-title")
            for row in held:
                self._show_question(row)

    def _show_question(self, row: HeldDays) -> None:
        words, known = self._visit.words, {"at": self._visit.words.instant(row.cancelled_at)}
        known["days"] = words.days(row.first, row.last)
        in_dagster = row.cancelled_by == IN_DAGSTER
        sentence = words("held.in_dagster", **known) if in_dagster else words("held.by", name=row.cancelled_by, **known)
        with widgets.box("zk-row"):
            widgets.text("span", sentence)
            widgets.link(words("dagster"), row.url, outside=True)
        widgets.text("p", words("held.changes", number=words.number(row.changes)))
        if self._visit.may(Role.OPERATOR):
            with widgets.box("zk-row"):
                self._answer("held.again", "sync", sync.sync_again, row)
                self._answer("held.leave", "block", sync.leave, row)

    def _answer(self, label: str, icon: str, operation: Callable[..., Any], row: HeldDays) -> None:
        visit = self._visit

        async def say() -> None:
            await visit.ask(operation, visit.runtime, visit.actor, row.run_id)
            visit.notify(visit.words(f"{label}.done"))
            await self._held.refresh()

        widgets.button(visit.words(label), visit.act(Role.OPERATOR, say), icon=icon)

    def _load(self) -> Kpi:
        return kpi.figures(self._visit.runtime, widgets.day_of(self._first), widgets.day_of(self._last))

    def _show(self, figures: Kpi) -> None:
        if figures.active_connectors < _BOTH_SIDES:
            self._first_steps()
        with widgets.box("zk-cards"):
            for name, value in self._values(figures).items():
                with widgets.card(classes="zk-kpi"):
                    widgets.text("div", self._visit.words(f"kpi.{name}"), "zk-kpi-name")
                    _value(value)
        self._chart.clear()
        with self._chart:
            charts.show_days(self._visit, figures.series)

    def _values(self, figures: Kpi) -> dict[str, Cell]:
        words, status = self._visit.words, figures.status
        lag = status.lag_seconds
        return {
            "conflicts": lambda: widgets.link(words.number(status.conflicts), "/reconcile?view=conflicts"),
            "parked": words.number(status.parked),
            "today": words.minutes(figures.minutes_today),
            "month": words.minutes(figures.minutes_this_month),
            "last_run": lambda: self._last_run(figures.last_run),
            "lag": words("kpi.not_today") if lag is None else words.span(lag),
            "waiting": words.number(status.days_asked_for),
            "connectors": words.number(figures.active_connectors),
        }

    def _last_run(self, run: RunDetails | None) -> None:
        words = self._visit.words
        if run is None:
            widgets.text("div", words("kpi.never"), "zk-kpi-value")
            return
        with widgets.box("zk-row"):
            run_table.status(words, run)
            widgets.link(words("dagster"), run.url, outside=True)
        widgets.text("div", words.instant(run.started_at), "zk-muted")
        if run.failure:
            widgets.text("div", run.failure)

    def _first_steps(self) -> None:
        words = self._visit.words
        with widgets.box("zk-note"):
            widgets.text("p", words("dashboard.first_steps"))
            widgets.link(words("dashboard.connect"), "/connectors")

    def _show_runs(self, shown: Sequence[RunDetails]) -> None:
        run_table.show(self._visit.words, shown, RunActions(self._visit).show)
        self._again.active = any(run.is_under_way for run in shown)


def _value(value: Cell) -> None:
    if isinstance(value, str):
        widgets.text("div", value, "zk-kpi-value")
        return
    with widgets.box("zk-kpi-value"):
        value()


async def _show(visit: Visit) -> None:
    await Dashboard(visit).refresh()


SECTION = Section("dashboard", "dashboard", _show)
