"""Sync now: choose days, have their plan made, look at it, approve it where that is asked for, and carry it out."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from nicegui import ui

from zk_pipeline.domain.demand import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, local_day
from zk_pipeline.operations import plans, runs, sync
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.plans import PlannedDay
from zk_pipeline.operations.runs import Run, StartedRun
from zk_pipeline.operations.sync import RequestState, SyncRequest
from zk_pipeline.settings import PushMode
from zk_pipeline.web.console import parts, plan_view, run_table
from zk_pipeline.web.console.visit import Visit

DAYS = 7
SECONDS = 1.5
"""Between two looks at a run that is at work."""

_SUCCESS = "success"

Days = tuple[date, date]


class SyncDialog:
    """The dialog and what is under way in it; closing it stops nothing but the looking on."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._words = visit, visit.words
        self._mode = visit.runtime.settings.push_mode
        self._planned: Days | None = None
        self._unapproved: list[PlannedDay] = []

    def show(self) -> None:
        """Open it with the last days."""
        today = local_day(datetime.now(UTC), self._words.zone)
        self._open((today - timedelta(days=DAYS - 1), today))

    async def show_plan(self, days: Days) -> None:
        """Open it with the plan of these days as a run left it."""
        self._open(days)
        await self._show_plan(days)

    def _open(self, days: Days) -> None:
        words = self._words
        with parts.dialog(words("sync.now"), words("close"), wide=True):
            parts.text("p", words("sync.about"), "zk-muted")
            if self._mode is not PushMode.AUTO:
                parts.text("p", words(f"sync.mode.{self._mode}"), "zk-note zk-warn")
            with parts.box("zk-filters"):
                self._first = parts.day_field(words("from"), days[0], self._changed)
                self._last = parts.day_field(words("to"), days[1], self._changed)
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

    def _days(self) -> Days | None:
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

    async def _look_at_plan(self, started: Sequence[StartedRun], days: Days) -> bool:
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

    async def _show_plan(self, days: Days) -> None:
        """What would be written. The hashes are read first, so that nothing is approved that was not shown."""
        visit, words = self._visit, self._words
        in_review = self._mode is PushMode.REVIEW
        planned = await self._planned_days(days) if in_review else []
        plan = await visit.ask(plans.stored, visit.runtime, *days, plan_view.LINES_SHOWN, 0)
        self._unapproved = [day for day in planned if not day.approved]
        with self._drawn():
            plan_view.show(words, plan)
            if planned:
                plan_view.show_approvals(words, planned)
        self._run_button.text = words("sync.approve" if self._unapproved else "sync.run")
        if self._mode is not PushMode.OFF:
            self._planned = days
            self._run_button.enable()

    async def _planned_days(self, days: Days) -> list[PlannedDay]:
        visit, found = self._visit, list[PlannedDay]()
        for first, last in day_ranges(*days, LONGEST_RANGE):
            found += await visit.ask(plans.days, visit.runtime, first, last)
        return found

    async def _run(self) -> None:
        if self._planned is None:
            return
        visit, days = self._visit, self._planned
        if self._unapproved:
            seen = {day.day: day.plan_hash for day in self._unapproved}
            approved = await visit.ask(plans.approve, visit.runtime, visit.actor, seen)
            for refused in approved.refused:
                visit.warn(refused.why)
        asked = await visit.ask(sync.request, visit.runtime, visit.actor, *days)
        self._run_button.disable()
        self._plan_button.disable()
        await self._watch(lambda: self._look_at_request(asked.id))

    async def _look_at_request(self, request_id: int) -> bool:
        visit = self._visit
        asked = await visit.ask(sync.request_state, visit.runtime, request_id)
        with self._drawn():
            self._progress(asked)
        if asked.state is RequestState.DONE:
            self._tell_outcome(asked)
            self._plan_button.enable()
            return True
        return False

    def _tell_outcome(self, asked: SyncRequest) -> None:
        """That it is done, and what is not: a sync that wrote less than its plan is no success."""
        shortfalls = run_table.shortfalls(self._words, asked.runs)
        if not shortfalls:
            self._visit.tell(self._words("sync.done"))
        for sentence in shortfalls:
            self._visit.warn(sentence)

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
