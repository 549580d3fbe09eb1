"""Sync now: choose days, have their plan made, look at it, approve it where that is asked for, and carry it out.

Approving and carrying out are two acts. Each has a key, made when what it is about was shown: pressed twice, it is done
once.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from zk_pipeline.domain.demand import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, local_day
from zk_pipeline.operations import plans, runs, sync
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.errors import StaleError
from zk_pipeline.operations.plans import PlannedDay
from zk_pipeline.operations.runs import Run, StartedRun
from zk_pipeline.operations.sync import RequestState, SyncRequest
from zk_pipeline.settings import PushMode
from zk_pipeline.web.console import parts, plan_view, run_table
from zk_pipeline.web.console.visit import Visit, new_key
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
        self._selection = plan_view.Selection(self._selected)
        self._key = new_key()
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
                approve = self._visit.act(Role.OPERATOR, self._approve)
                self._approve_button = parts.button(words("sync.approval"), approve, kind="primary", icon="approval")
                self._approve_button.set_visibility(False)
                run = self._visit.act(Role.OPERATOR, self._run)
                self._run_button = parts.button(words("sync.run"), run, kind="primary", icon="play_arrow")
                self._run_button.disable()

    def _changed(self) -> None:
        """A plan of other days is no plan of these."""
        self._planned = None
        self._selection.lines.clear()
        self._approve_button.set_visibility(False)
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
        visit, self._key = self._visit, new_key()
        started = await visit.once(self._key, plans.launch, visit.runtime, visit.actor, *days)
        self._changed()
        await self._watch.until(lambda: self._look_at_plan(started, days))

    async def _look_at_plan(self, started: Sequence[StartedRun], days: Days) -> bool:
        states = await self._watch.started(self._labelled("sync.planning", started))
        if set(states) == {_SUCCESS}:
            await self._show_plan(days)
            return True
        return all(state in run_table.ENDED for state in states)

    async def _show_plan(self, days: Days, page: int = 1) -> None:
        """What would be written. The hashes are read first, so that nothing is approved that was not shown."""
        visit, words, in_review = self._visit, self._words, self._mode is PushMode.REVIEW
        planned = await self._planned_days(days) if in_review else []
        self._objections = await visit.ask(sync.objections, visit.runtime, *days)
        offset = (page - 1) * plan_view.LINES_SHOWN
        plan = await visit.ask(plans.stored, visit.runtime, *days, plan_view.LINES_SHOWN, offset)
        self._unapproved = [day for day in planned if not day.approved]
        self._key = new_key()
        turn = visit.act(Role.OPERATOR, lambda wanted: self._show_plan(days, wanted))
        with self._watch.drawn():
            plan_view.show(words, plan, page, turn, self._selection if in_review else None)
            if planned:
                plan_view.show_approvals(words, planned)
            if self._objections:
                plan_view.show_objections(words, self._objections, may_pass=visit.may(Role.ADMIN))
        self._offer(days, has_approved=any(day.waiting < day.lines for day in planned) or not planned)

    def _offer(self, days: Days, *, has_approved: bool) -> None:
        """Let the plan be approved and carried out in the way that it takes, by whom it may be."""
        self._run_button.text = self._words("sync.let_pass" if self._objections else "sync.run")
        self._planned = days
        is_stopped = bool(self._objections) and not self._visit.may(Role.ADMIN)
        self._run_button.set_enabled(self._mode is not PushMode.OFF and not is_stopped and has_approved)
        self._selected()

    def _selected(self) -> None:
        """Say what would be approved: the selected lines, or all that wait."""
        words, chosen = self._words, len(self._selection.lines)
        number = words.number(chosen or sum(day.waiting for day in self._unapproved))
        self._approve_button.text = words("sync.approve.selected" if chosen else "sync.approve", number=number)
        self._approve_button.set_visibility(bool(self._unapproved))

    async def _approve(self) -> None:
        """Approve what was shown; what changed since is said, and the plan is shown as it is now."""
        if self._planned is None:
            return
        visit, days, lines = self._visit, self._planned, dict(self._selection.lines)
        seen = {} if lines else {day.day: day.plan_hash for day in self._unapproved}
        try:
            approved = await visit.once(self._key, plans.approve, visit.runtime, visit.actor, seen, lines)
        except StaleError as error:
            visit.warn(str(error))
        else:
            for refused in approved.refused:
                visit.warn(refused.why)
            number = self._words.number(sum(approved.days.values()))
            visit.tell(self._words("sync.approved", number=number))
        self._selection.lines.clear()
        await self._show_plan(days)

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
        asked = await visit.once(self._key, sync.request, visit.runtime, visit.actor, *days)
        self._busy()
        await self._watch.until(lambda: self._look_at_request(asked.id, days))

    async def _let_pass(self, days: Days) -> None:
        visit = self._visit
        started = await visit.once(self._key, sync.launch_past_limits, visit.runtime, visit.actor, *days)
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
        """Whether a run met the limits, since more is to be written than was planned; then today's plan is shown."""
        visit = self._visit
        if all(run.status != _FAILURE for run in asked.runs):
            return False
        if not await visit.ask(sync.objections, visit.runtime, *days):
            return False
        await self._show_plan(days)
        return True

    def _busy(self) -> None:
        self._approve_button.set_visibility(False)
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
