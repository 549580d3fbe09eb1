"""Sync now: choose days, have their plan made, look at it, and have it carried out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from nicegui import ui

from zk_pipeline.domain.instants import local_day
from zk_pipeline.operations import plans, runs, sync
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.plans import PlanLine, PlanRun, StoredPlan
from zk_pipeline.operations.runs import Run
from zk_pipeline.operations.sync import RequestState, SyncRequest
from zk_pipeline.web.console import parts, run_table
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit

DAYS = 7
LINES_SHOWN = 10
SECONDS = 1.5
"""Between two looks at a run that is at work."""

_SUCCESS = "success"
_SUMS = ("creates", "updates", "deletes", "links", "customers", "projects")


class SyncDialog:
    """The dialog and what is under way in it; closing it stops nothing but the looking on."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._words = visit, visit.words
        self._planned: tuple[date, date] | None = None

    def show(self) -> None:
        """Open it with the last days."""
        words, today = self._words, local_day(datetime.now(UTC), self._words.zone)
        with parts.dialog(words("sync.now"), words("close"), wide=True):
            parts.text("p", words("sync.about"), "zk-muted")
            with parts.box("zk-filters"):
                self._first = parts.day_field(words("from"), today - timedelta(days=DAYS - 1), self._changed)
                self._last = parts.day_field(words("to"), today, self._changed)
                plan = self._visit.act(Role.OPERATOR, self._plan)
                self._plan_button = parts.button(words("sync.plan"), plan, kind="primary", icon="fact_check")
            self._box = parts.box("zk-stack").props("aria-live=polite")
            with parts.actions():
                run = self._visit.act(Role.OPERATOR, self._run)
                self._run_button = parts.button(words("sync.run"), run, kind="primary", icon="play_arrow")
                self._run_button.disable()

    def _changed(self) -> None:
        """A plan of other days is no plan of these."""
        self._planned = None
        self._run_button.disable()

    def _days(self) -> tuple[date, date] | None:
        first, last = parts.day_of(self._first), parts.day_of(self._last)
        if first is None or last is None:
            self._visit.warn(self._words("sync.days"))
            return None
        return first, last

    async def _plan(self) -> None:
        days = self._days()
        if days is None:
            return
        visit = self._visit
        started = await visit.ask(plans.launch, visit.runtime, visit.actor, *days)
        self._changed()
        await self._watch(lambda: self._look_at_plan(started, days))

    async def _look_at_plan(self, started: Sequence[PlanRun], days: tuple[date, date]) -> bool:
        visit, words = self._visit, self._words
        states = await visit.ask(runs.statuses, visit.runtime, [run.run_id for run in started])
        with self._drawn():
            for run in started:
                with parts.box("zk-row"):
                    parts.text("span", words("sync.planning", days=words.days(run.first, run.last)))
                    _state(visit, states[run.run_id], run.url)
        if set(states.values()) == {_SUCCESS}:
            await self._show_plan(days)
            return True
        return all(state in run_table.ENDED for state in states.values())

    async def _show_plan(self, days: tuple[date, date]) -> None:
        visit, words = self._visit, self._words
        plan = await visit.ask(plans.stored, visit.runtime, *days, LINES_SHOWN, 0)
        with self._drawn():
            if not plan.sums.lines:
                parts.empty(words("sync.nothing"), words("sync.nothing.hint"))
            else:
                parts.facts(self._sums(plan))
                columns = [Column(words(f"sync.{name}")) for name in ("day", "action", "what")]
                columns.append(Column(words("reconcile.minutes"), number=True))
                parts.table(words("sync.lines"), columns, [self._line(line) for line in plan.lines])
                if plan.sums.lines > len(plan.lines):
                    number = words.number(plan.sums.lines - len(plan.lines))
                    parts.text("p", words("sync.more", number=number), "zk-muted")
        self._planned = days
        self._run_button.enable()

    def _sums(self, plan: StoredPlan) -> list[tuple[str, Cell]]:
        words, sums = self._words, plan.sums
        told: list[tuple[str, Cell]] = [
            (words(f"sync.{name}"), words.number(getattr(sums, name))) for name in _SUMS if getattr(sums, name)
        ]
        return [*told, (words("bulk.minutes"), words.minutes(sums.minutes))]

    def _line(self, line: PlanLine) -> list[Cell]:
        words = self._words
        changed = ", ".join(words.known(f"field.{name}", name) for name in line.changes)
        what = line.description or changed or line.key
        return [words.day(line.day), words.known(f"value.{line.action}", line.action), what, words.number(line.minutes)]

    async def _run(self) -> None:
        if self._planned is None:
            return
        visit = self._visit
        asked = await visit.ask(sync.request, visit.runtime, visit.actor, *self._planned)
        self._run_button.disable()
        self._plan_button.disable()
        await self._watch(lambda: self._look_at_request(asked.id))

    async def _look_at_request(self, request_id: int) -> bool:
        visit = self._visit
        asked = await visit.ask(sync.request_state, visit.runtime, request_id)
        with self._drawn():
            self._progress(asked)
        if asked.state is RequestState.DONE:
            visit.tell(self._words("sync.done"))
            self._plan_button.enable()
            return True
        return False

    def _progress(self, asked: SyncRequest) -> None:
        words = self._words
        done = words("sync.progress", done=words.number(asked.days_done), days=words.number(asked.days))
        parts.text("p", f"{words(f'sync.state.{asked.state}')} {done}", "zk-lead")
        if not asked.runs:
            parts.text("p", words("sync.soon"), "zk-muted")
        for run in asked.runs:
            self._run_row(run)

    def _run_row(self, run: Run) -> None:
        with parts.box("zk-row"):
            _state(self._visit, run.status, run.url)
            parts.text("span", run_table.counts(self._words, run), "zk-muted")

    def _drawn(self) -> ui.element:
        self._box.clear()
        return self._box

    async def _watch(self, look: Callable[[], Awaitable[bool]]) -> None:
        """Look again and again until it is done, or the dialog is closed."""
        with self._drawn():
            parts.skeleton(self._words("loading"))
        while not await look() and not self._box.is_deleted:
            with self._box:
                await asyncio.sleep(SECONDS)


def _state(visit: Visit, status: str, url: str) -> None:
    words = visit.words
    parts.chip(words.known(f"run.{status}", status), run_table.TONES.get(status, "info"))
    parts.link(words("dagster"), url, outside=True)
