"""Sync now: choose days, look at their plan, approve it where that is asked for, and have it carried out."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from nicegui import ui

from zk_pipeline.decisions import plans
from zk_pipeline.decisions.plans import PlanLineView, PlannedDay, StoredPlan
from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, local_day
from zk_pipeline.identity.actors import OperationError, Role, StaleError
from zk_pipeline.operate import runs, sync
from zk_pipeline.operate.runs import RunDetails, StartedRun
from zk_pipeline.operate.sync import RequestState, SyncRequest
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.web.console import feedback, marks, widgets
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console.runs import Watch
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column
from zk_pipeline.web.console.words import Words

# What the plan of some days would write, as a dialog shows it: sums, all lines page by page, and who approved what.

LINES_SHOWN = 10

_SUMS = ("creates", "updates", "deletes", "links", "customers", "projects")


@dataclass(slots=True)
class Selection:
    """The lines that are selected for approval, as they were shown: hashes by day and key, on whatever page."""

    changed: Callable[[], None]
    lines: dict[tuple[date, str], str] = field(default_factory=dict[tuple[date, str], str])

    def take(self, lines: Iterable[PlanLineView]) -> None:
        """Select these lines too, unless they are approved already."""
        self.lines |= {(line.day, line.key): line.hash for line in lines if not line.approved}

    def box(self, words: Words, line: PlanLineView) -> None:
        """The box that selects a line; one that is approved says so."""
        if line.approved:
            widgets.chip(words("sync.line.approved"), "good")
            return

        def change() -> None:
            if made.value:
                self.lines[line.day, line.key] = line.hash
            else:
                self.lines.pop((line.day, line.key), None)
            self.changed()

        made = ui.checkbox(value=(line.day, line.key) in self.lines, on_change=change).props("dense")
        made.props["aria-label"] = words("sync.select", what=line.ticket or line.key)


def show(words: Words, plan: StoredPlan, page: int, go: Callable[[int], object], selection: Selection | None) -> None:
    """The sums and one page of the lines, or that there is nothing to write; pages count from 1."""
    if plan.outdated_days:
        days = ", ".join(words.day(day) for day in plan.outdated_days)
        widgets.text("p", words("sync.outdated", days=days), "zk-note zk-warn")
    if not plan.sums.lines:
        if not plan.outdated_days:
            widgets.empty(words("sync.nothing"), words("sync.nothing.hint"))
        return
    widgets.facts(_sums(words, plan))
    columns = [Column(words("sync.selection"))] if selection else []
    columns += [Column(words(f"sync.{name}")) for name in ("day", "action", "what")]
    columns += [Column(words(f"reconcile.{name}")) for name in ("agent", "customer")]
    columns += [Column(words("field.project")), Column(words("sync.hours"), number=True)]
    widgets.table(words("sync.lines"), columns, [_line(words, line, selection) for line in plan.lines])
    if plan.sums.lines > LINES_SHOWN:
        widgets.pager(words, page, LINES_SHOWN, plan.sums.lines, go)


def show_approvals(words: Words, days: Sequence[PlannedDay], approve: Callable[[PlannedDay], Awaitable[None]]) -> None:
    """Of each day that writes: whether its plan is approved, by whom and when, what changed since, and its button."""
    columns = [Column(words("sync.day")), Column(words("sync.writes"), number=True)]
    columns += [Column(words("sync.hours"), number=True), Column(words("sync.approval")), Column("")]
    rows: list[list[Cell]] = [
        [
            words.day(day.day),
            words.number(day.lines),
            lambda day=day: widgets.hours(words, day.minutes),
            lambda day=day: _approval(words, day),
            lambda day=day: _approve_button(words, day, approve),
        ]
        for day in days
    ]
    widgets.table(words("sync.approvals"), columns, rows)


def _approve_button(words: Words, day: PlannedDay, approve: Callable[[PlannedDay], Awaitable[None]]) -> None:
    if not day.approved:
        button = widgets.button(words("sync.approve.day"), partial(approve, day), kind="quiet")
        button.props["aria-label"] = words("sync.approve.day.of", day=words.day(day.day))


def show_objections(words: Words, objections: Sequence[str], *, may_pass: bool) -> None:
    """Why the run would stop before the first write, and who can override the limits."""
    with widgets.box("zk-note zk-warn").props("role=alert"):
        for sentence in objections:
            widgets.text("p", words.said(sentence))
        widgets.text("p", words("sync.stopped.admin" if may_pass else "sync.stopped.operator"))


def _approval(words: Words, day: PlannedDay) -> None:
    with widgets.box("zk-row"):
        if day.approved_at is None:
            widgets.chip(words("approval.none"), "warn")
            return
        if day.approved:
            widgets.chip(words("approval.given"), "good")
        elif day.changed:
            widgets.chip(words("approval.outdated"), "warn")
        else:
            widgets.chip(words("approval.partly", number=words.number(day.waiting)), "warn")
        name = marks.actor(words, day.approved_by)
        widgets.text("span", words("approval.by", name=name, at=words.instant(day.approved_at)), "zk-muted")
        if day.changed:
            widgets.text("span", words("approval.changed", number=words.number(day.changed)), "zk-muted")


def _sums(words: Words, plan: StoredPlan) -> list[tuple[str, Cell]]:
    facts: list[tuple[str, Cell]] = [
        (words(f"sync.{name}"), words.number(number)) for name in _SUMS if (number := getattr(plan.sums, name))
    ]
    return [*facts, (words("sync.time"), lambda: widgets.hours(words, plan.sums.minutes))]


def _line(words: Words, line: PlanLineView, selection: Selection | None) -> list[Cell]:
    changed = ", ".join(words.known(f"field.{name}", name) for name in line.changes)
    said = line.description or changed
    what = said if line.ticket in said else f"{line.ticket} {said}".strip()
    return [
        *([lambda: selection.box(words, line)] if selection else []),
        words.day(line.day),
        words.known(f"value.{line.action}", line.action),
        what,
        line.agent,
        line.customer,
        line.project,
        lambda: widgets.hours(words, line.minutes),
    ]


# Sync now: choose days, have their plan made, look at it, approve it where that is asked for, and carry it out.
#
# Approving and carrying out are two acts. Each has a key, made when what it is about was shown: pressed twice, it is
# done once.

DAYS = 7

_SUCCESS, _FAILURE = "success", "failure"
_ENDS = ("from", "to")
_SEVERAL = 2

Days = tuple[date, date]


class SyncDialog:
    """The dialog; closing it stops nothing."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._words = visit, visit.words
        self._mode = visit.runtime.settings.push_mode
        self._planned: Days | None = None
        self._unapproved: list[PlannedDay] = []
        self._selection = Selection(self._selected)
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
        with widgets.dialog(words("sync.now"), words("close"), wide=True):
            widgets.text("p", words("sync.about"), "zk-muted")
            if self._mode is not PushMode.AUTO:
                widgets.text("p", words(f"sync.mode.{self._mode}"), "zk-note zk-warn")
            with widgets.box("zk-filters"):
                self._first = widgets.day_field(words("from"), days[0], self._changed)
                self._last = widgets.day_field(words("to"), days[1], self._changed)
                plan = self._visit.act(Role.OPERATOR, self._plan)
                self._plan_button = widgets.button(words("sync.plan"), plan, kind="primary", icon="fact_check")
            self._watch = Watch(self._visit)
            with widgets.actions():
                approve = self._visit.act(Role.OPERATOR, self._approve)
                self._approve_button = widgets.button(words("sync.approval"), approve, kind="primary", icon="approval")
                self._approve_button.set_visibility(False)
                run = self._visit.act(Role.OPERATOR, self._run)
                self._run_button = widgets.button(words("sync.run"), run, kind="primary", icon="play_arrow")
                self._run_button.set_visibility(False)

    def _changed(self) -> None:
        """The plan of other days is dropped, and so is what was wrong with them."""
        self._first.error = self._last.error = None
        self._planned = None
        self._selection.lines.clear()
        self._approve_button.set_visibility(False)
        self._run_button.set_visibility(False)

    def _days(self) -> Days | None:
        first, last = widgets.day_of(self._first), widgets.day_of(self._last)
        if first is None or last is None:
            feedback.refuse(self._first if first is None else self._last, self._words("sync.days"))
            return None
        return first, last

    async def _plan(self) -> None:
        days = self._days()
        if days is None:
            return
        visit, self._key = self._visit, new_key()
        try:
            started = await visit.once(self._key, plans.launch, visit.runtime, visit.actor, *days)
        except OperationError as error:
            if error.field not in _ENDS:
                raise
            feedback.refuse(self._first if error.field == "from" else self._last, self._words.said(error))
            return
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
        self._objections = await visit.ask(sync.limit_violations, visit.runtime, *days)
        offset = (page - 1) * LINES_SHOWN
        shown = (None, 0) if in_review else (LINES_SHOWN, offset)
        whole = await visit.ask(plans.stored_plan, visit.runtime, *days, *shown)
        plan = replace(whole, lines=whole.lines[offset : offset + LINES_SHOWN]) if in_review else whole
        self._unapproved = [day for day in planned if not day.approved]
        self._key = new_key()
        turn = visit.act(Role.OPERATOR, lambda wanted: self._show_plan(days, wanted))
        with self._watch.drawn():
            if in_review:
                self._offer_customers(days, whole.lines)
            show(words, plan, page, turn, self._selection if in_review else None)
            if planned:
                show_approvals(words, planned, visit.act(Role.OPERATOR, self._approve_day))
            if self._objections:
                show_objections(words, self._objections, may_pass=visit.may(Role.ADMIN))
        self._run_button.set_visibility(bool(plan.sums.lines))
        self._offer(days, has_approved=any(day.waiting < day.lines for day in planned) or not planned)

    def _offer_customers(self, days: Days, lines: Sequence[PlanLineView]) -> None:
        """Let all lines of a customer be selected at once, on whatever page they stand."""
        words, visit = self._words, self._visit
        waiting = Counter(line.customer for line in lines if line.customer and not line.approved)
        if len(waiting) < _SEVERAL:
            return

        async def select() -> None:
            self._selection.take(line for line in lines if line.customer == made.value)
            await self._show_plan(days)

        options = {name: f"{name} ({words.number(number)})" for name, number in sorted(waiting.items())}
        made = widgets.choice(words("sync.select.customer"), options, None, visit.act(Role.OPERATOR, select))

    def _offer(self, days: Days, *, has_approved: bool) -> None:
        """Offer approval and carrying out, as the push mode and the role allow."""
        self._run_button.text = self._words("sync.override" if self._objections else "sync.run")
        self._planned = days
        is_stopped = bool(self._objections) and not self._visit.may(Role.ADMIN)
        self._run_button.set_enabled(self._mode is not PushMode.OFF and not is_stopped and has_approved)
        self._selected()

    def _selected(self) -> None:
        """Show what would be approved: the selected lines, or all that wait."""
        words, chosen = self._words, len(self._selection.lines)
        number = words.number(chosen or sum(day.waiting for day in self._unapproved))
        self._approve_button.text = words("sync.approve.selected" if chosen else "sync.approve", number=number)
        self._approve_button.set_visibility(bool(self._unapproved))

    async def _approve_day(self, day: PlannedDay) -> None:
        await self._approve_shown({day.day: day.plan_hash}, {})

    async def _approve(self) -> None:
        lines = dict(self._selection.lines)
        await self._approve_shown({} if lines else {day.day: day.plan_hash for day in self._unapproved}, lines)

    async def _approve_shown(self, seen: Mapping[date, str], lines: Mapping[tuple[date, str], str]) -> None:
        """Approve what was shown; what changed since is said, and the plan is shown as it is now."""
        if self._planned is None:
            return
        visit, days = self._visit, self._planned
        try:
            approved = await visit.once(self._key, plans.approve, visit.runtime, visit.actor, seen, lines)
        except StaleError as error:
            visit.warn(self._words.said(error))
        else:
            for refused in approved.refused:
                visit.warn(self._words.said(refused.why))
            number = self._words.number(sum(approved.days.values()))
            visit.notify(self._words("sync.approved", number=number))
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
            await self._visit.act(Role.ADMIN, lambda: self._override(days))()
        else:
            await self._request(days)

    async def _request(self, days: Days) -> None:
        visit = self._visit
        asked = await visit.once(self._key, sync.request_days, visit.runtime, visit.actor, *days)
        self._busy()
        await self._watch.until(lambda: self._look_at_request(asked.id, days))

    async def _override(self, days: Days) -> None:
        visit = self._visit
        started = await visit.once(self._key, sync.launch_overriding_limits, visit.runtime, visit.actor, *days)
        self._busy()
        await self._watch.until(lambda: self._look_at_passing(started))

    async def _look_at_passing(self, started: Sequence[StartedRun]) -> bool:
        visit = self._visit
        states = await self._watch.started(self._labelled("sync.passing", started))
        if any(state not in run_table.ENDED for state in states):
            return False
        done = await visit.ask(runs.runs_by_id, visit.runtime, [run.run_id for run in started])
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
        if not await visit.ask(sync.limit_violations, visit.runtime, *days):
            return False
        await self._show_plan(days)
        return True

    def _busy(self) -> None:
        self._approve_button.set_visibility(False)
        self._run_button.disable()
        self._plan_button.disable()

    def _tell_outcome(self, done: Sequence[RunDetails]) -> None:
        """Show that it is done, and what is not: a sync that wrote less than its plan is no success."""
        shortfalls = run_table.shortfalls(self._words, done)
        if not shortfalls:
            self._visit.notify(self._words("sync.done"))
        for sentence in shortfalls:
            self._visit.warn(sentence)

    def _progress(self, asked: SyncRequest) -> None:
        words = self._words
        done = words("sync.progress", done=words.number(asked.days_done), days=words.number(asked.days))
        widgets.text("p", f"{words(f'sync.state.{asked.state}')} {done}", "zk-lead")
        if not asked.runs:
            widgets.text("p", words("sync.soon"), "zk-muted")
        for run in asked.runs:
            self._watch.run(run)

    def _labelled(self, key: str, started: Sequence[StartedRun]) -> list[tuple[str, str, str]]:
        words = self._words
        return [(words(key, days=words.days(run.first, run.last)), run.run_id, run.url) for run in started]
