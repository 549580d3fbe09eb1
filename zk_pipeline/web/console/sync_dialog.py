"""Sync now: choose days, have their plan made, look at it, approve it where that is asked for, and carry it out."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

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
from zk_pipeline.web.console.watching import Watch

DAYS = 7

_SUCCESS, _FAILURE = "success", "failure"

Days = tuple[date, date]


class SyncDialog:
    """The dialog and what is under way in it; closing it stops nothing but the looking on."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._words = visit, visit.words
        self._mode = visit.runtime.settings.push_mode
        self._planned: Days | None = None
        self._unapproved: list[PlannedDay] = []
        self._objections: tuple[str, ...] = ()

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
            self._watch = Watch(self._visit)
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
        await self._watch.until(lambda: self._look_at_plan(started, days))

    async def _look_at_plan(self, started: Sequence[StartedRun], days: Days) -> bool:
        states = await self._watch.started(self._labelled("sync.planning", started))
        if set(states) == {_SUCCESS}:
            await self._show_plan(days)
            return True
        return all(state in run_table.ENDED for state in states)

    async def _show_plan(self, days: Days) -> None:
        """What would be written. The hashes are read first, so that nothing is approved that was not shown."""
        visit, words = self._visit, self._words
        planned = await self._planned_days(days) if self._mode is PushMode.REVIEW else []
        self._objections = await visit.ask(sync.objections, visit.runtime, *days)
        plan = await visit.ask(plans.stored, visit.runtime, *days, plan_view.LINES_SHOWN, 0)
        self._unapproved = [day for day in planned if not day.approved]
        with self._watch.drawn():
            plan_view.show(words, plan)
            if planned:
                plan_view.show_approvals(words, planned)
            if self._objections:
                plan_view.show_objections(words, self._objections, may_pass=visit.may(Role.ADMIN))
        self._offer(days)

    def _offer(self, days: Days) -> None:
        """Let the plan be carried out in the way that it takes, by whom it may be."""
        way = "let_pass" if self._objections else "approve" if self._unapproved else "run"
        self._run_button.text = self._words(f"sync.{way}")
        self._planned = days
        is_stopped = bool(self._objections) and not self._visit.may(Role.ADMIN)
        self._run_button.set_enabled(self._mode is not PushMode.OFF and not is_stopped)

    async def _planned_days(self, days: Days) -> list[PlannedDay]:
        visit, found = self._visit, list[PlannedDay]()
        for first, last in day_ranges(*days, LONGEST_RANGE):
            found += await visit.ask(plans.days, visit.runtime, first, last)
        return found

    async def _run(self) -> None:
        if self._planned is None:
            return
        days = self._planned
        if self._objections:
            await self._visit.act(Role.ADMIN, lambda: self._let_pass(days))()
        else:
            await self._request(days)

    async def _request(self, days: Days) -> None:
        visit = self._visit
        if self._unapproved:
            seen = {day.day: day.plan_hash for day in self._unapproved}
            approved = await visit.ask(plans.approve, visit.runtime, visit.actor, seen)
            for refused in approved.refused:
                visit.warn(refused.why)
        asked = await visit.ask(sync.request, visit.runtime, visit.actor, *days)
        self._busy()
        await self._watch.until(lambda: self._look_at_request(asked.id, days))

    async def _let_pass(self, days: Days) -> None:
        visit = self._visit
        started = await visit.ask(sync.launch_past_limits, visit.runtime, visit.actor, *days)
        self._busy()
        await self._watch.until(lambda: self._look_at_passing(started))

    async def _look_at_passing(self, started: Sequence[StartedRun]) -> bool:
        visit = self._visit
        states = await self._watch.started(self._labelled("sync.passing", started))
        if any(state not in run_table.ENDED for state in states):
            return False
        done = await visit.ask(runs.of_ids, visit.runtime, [run.run_id for run in started])
        with self._watch.drawn():
            for run in done:
                self._watch.run(run)
        if set(states) == {_SUCCESS}:
            self._tell_outcome(done)
        else:
            visit.warn(self._words("sync.failed"))
        self._plan_button.enable()
        return True

    async def _look_at_request(self, request_id: int, days: Days) -> bool:
        visit = self._visit
        asked = await visit.ask(sync.request_state, visit.runtime, request_id)
        with self._watch.drawn():
            self._progress(asked)
        if asked.state is RequestState.DONE:
            self._tell_outcome(asked.runs)
        elif asked.state in {RequestState.HELD, RequestState.LEFT}:
            self._visit.warn(self._words(f"sync.state.{asked.state}"))
        elif not await self._was_stopped(asked, days):
            return False
        self._plan_button.enable()
        return True

    async def _was_stopped(self, asked: SyncRequest, days: Days) -> bool:
        """Whether a run met the limits, since more is to be written than was planned; then the plan is shown anew."""
        visit = self._visit
        if all(run.status != _FAILURE for run in asked.runs):
            return False
        if not await visit.ask(sync.objections, visit.runtime, *days):
            return False
        await self._show_plan(days)
        return True

    def _busy(self) -> None:
        self._run_button.disable()
        self._plan_button.disable()

    def _tell_outcome(self, done: Sequence[Run]) -> None:
        """That it is done, and what is not: a sync that wrote less than its plan is no success."""
        shortfalls = run_table.shortfalls(self._words, done)
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
            self._watch.run(run)

    def _labelled(self, key: str, started: Sequence[StartedRun]) -> list[tuple[str, str, str]]:
        words = self._words
        return [(words(key, days=words.days(run.first, run.last)), run.run_id, run.url) for run in started]
