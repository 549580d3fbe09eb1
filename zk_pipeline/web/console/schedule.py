"""The part Schedule of the settings: when the regular sync and the nightly check run, and what is typed previewed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import schedules
from zk_pipeline.runtime.dagster_server import dagster_server
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.schedules import MOST_DAYS, PRESETS, ScheduleError, SchedulePlan
from zk_pipeline.runtime.settings import WhenBusy
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Panel

RUNS_SHOWN = 5


Previewed = tuple[SchedulePlan, list[datetime] | str]
"""A schedule with its next runs, or why there can be none."""


class Schedules:
    """A card for each schedule. What was typed stays when something changes elsewhere."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._panel: Panel[list[Previewed]] = Panel(visit, self._load, self._draw)

    async def show(self) -> None:
        """Load the schedules."""
        await self._panel.refresh()

    def _load(self) -> list[Previewed]:
        runtime = self._visit.runtime
        return [(plan, _preview(runtime, plan.cron)) for plan in schedules.list_plans(runtime)]

    def _draw(self, plans: Sequence[Previewed]) -> None:
        words = self._visit.words
        widgets.text("p", words("schedule.zone", zone=self._visit.runtime.settings.timezone), "zk-muted")
        for plan, runs in plans:
            with widgets.card(words(f"schedule.{plan.name}", days=words.number(plan.days))):
                widgets.text("p", words(f"schedule.{plan.name}.about"), "zk-muted")
                _Form(self._visit, plan).draw(runs)


class _Form:
    def __init__(self, visit: Visit, plan: SchedulePlan) -> None:
        self._visit, self._words, self._plan = visit, visit.words, plan
        words = visit.words
        presets = {"": words("schedule.own"), **{name: words(f"schedule.preset.{name}") for name in PRESETS}}
        busy = {when: words(f"schedule.busy.{when}") for when in WhenBusy}
        if plan.in_dagster:
            switched = "schedule.started_in_dagster" if plan.on else "schedule.stopped_in_dagster"
            widgets.text("p", words(switched), "zk-note zk-warn")
        with widgets.box("zk-filters zk-form"):
            self._on = ui.switch(words("schedule.on"), value=plan.on, on_change=self.preview)
            self._preset = widgets.choice(words("schedule.preset"), presets, "", self._take_preset)
            self._cron = widgets.field(words("schedule.cron"), plan.cron).on_value_change(self.preview)
            self._cron.props("debounce=350 maxlength=100 input-class=zk-mono")
            self._days = ui.number(words("schedule.days"), value=plan.days, min=1, max=MOST_DAYS, precision=0)
            self._days.props("outlined dense").classes("zk-field")
            self._busy = widgets.choice(words("schedule.busy"), busy, plan.when_busy).classes("zk-long")
        self._next = widgets.box("zk-next").props("aria-live=polite")
        form = feedback.Form(visit, Role.ADMIN, {"days": self._days, "cron": self._cron})
        self._save = form.button(words("save"), self._store)

    async def _take_preset(self) -> None:
        values = PRESETS.get(self._preset.value, {})
        self._on.value = values.get("on", self._on.value)
        self._cron.value = values.get("cron", self._cron.value)
        await self.preview()

    async def preview(self) -> None:
        """Show when it would run, or what is wrong with what was typed."""
        cron = (self._cron.value or "").strip()
        with self._visit.showing_errors():
            self.draw(await self._visit.ask(_preview, self._visit.runtime, cron))

    def draw(self, answer: list[datetime] | str) -> None:
        """Show the next runs, or what is wrong."""
        words = self._words
        self._next.clear()
        self._save.set_enabled(not isinstance(answer, str))
        self._cron.error = words.said(answer) if isinstance(answer, str) else None
        if isinstance(answer, str):
            return
        with self._next:
            if not self._on.value:
                widgets.text("p", words("schedule.off"), "zk-muted")
            else:
                widgets.text("span", words("schedule.next"), "zk-muted")
                for instant in answer:
                    widgets.chip(words.instant(instant))

    async def _store(self) -> None:
        visit, words = self._visit, self._words
        given = {name: value for name, value in self._given().items() if value != getattr(self._plan, name)}
        if not given:
            visit.notify(words("schedule.same"))
            return
        changed = await visit.ask(schedules.change, visit.runtime, visit.actor, self._plan.name, given)
        self._plan = changed.after
        effect = await visit.ask(schedules.apply_change, changed, dagster_server(visit.runtime))
        if effect.now:
            visit.notify(words("schedule.stored"))
        else:
            visit.warn(words.said(effect.text))

    def _given(self) -> dict[str, Any]:
        return {
            "on": bool(self._on.value),
            "cron": (self._cron.value or "").strip(),
            "days": int(self._days.value or 0),
            "when_busy": self._busy.value,
        }


def _preview(runtime: Runtime, cron: str) -> list[datetime] | str:
    """The next runs, or why there can be none."""
    try:
        return schedules.preview(runtime, cron, datetime.now(UTC), RUNS_SHOWN)
    except ScheduleError as error:
        return str(error)


async def _show(visit: Visit) -> None:
    await Schedules(visit).show()


SECTION = Section("schedule", "schedule", _show, needs=Role.ADMIN)
