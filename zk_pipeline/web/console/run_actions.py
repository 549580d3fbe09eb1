"""The section Runs, and what can be done with a run: cancel it, approve what it left waiting, undo what it wrote."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

from zk_pipeline.decisions import undo
from zk_pipeline.decisions.undo import UndoLine, UndoPlan, UndoRun
from zk_pipeline.identity.actors import Role
from zk_pipeline.operate import runs, sync
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.operate.sync import IN_DAGSTER, HeldDays
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.web.console import causes, feedback, marks, widgets
from zk_pipeline.web.console import runs as run_table
from zk_pipeline.web.console.causes import Cause, causes_of
from zk_pipeline.web.console.feedback import working
from zk_pipeline.web.console.runs import Watch
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.sync_dialog import SyncDialog
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column, Panel
from zk_pipeline.web.console.words import Words

# Undo: a preview of taking back a run's writes, and the act.

LINES_SHOWN = 10

_SUCCESS = "success"


class UndoDialog:
    """The dialog of one run; closing it stops nothing."""

    def __init__(self, visit: Visit, run: RunDetails) -> None:
        self._visit, self._words, self._run = visit, visit.words, run
        self._key = new_key()
        self._pages: dict[str, int] = {}

    async def show(self) -> None:
        """Open it with what would be done now."""
        words, run = self._words, self._run
        with widgets.dialog(words("undo.title", run=words.instant(run.started_at)), words("close"), wide=True):
            widgets.text("p", words("undo.about"), "zk-muted")
            widgets.text("p", words("undo.again"), "zk-note")
            if self._visit.runtime.settings.push_mode is PushMode.OFF:
                widgets.text("p", words("undo.off"), "zk-note zk-warn")
            self._watch = Watch(self._visit)
            with widgets.actions():
                carry_out = self._visit.act(Role.OPERATOR, self._carry_out)
                self._button = widgets.button(words("undo.run"), carry_out, kind="danger", icon="undo")
                self._button.disable()
        with self._watch.drawn():
            widgets.skeleton(words("loading"))
        self._key = new_key()
        plan = await self._visit.ask(undo.plan, self._visit.runtime, run.run_id)
        self._draw(plan)
        self._button.set_enabled(bool(plan.wanted))

    async def _carry_out(self) -> None:
        visit = self._visit
        with working(self._button):
            started = await visit.once(self._key, undo.launch, visit.runtime, visit.actor, self._run.run_id)
        self._button.disable()
        await self._watch.until(lambda: self._look(started))

    async def _look(self, started: UndoRun) -> bool:
        visit, words = self._visit, self._words
        label = words("undo.title", run=words.instant(self._run.started_at))
        (state,) = await self._watch.started([(label, started.run_id, started.url)])
        if state not in run_table.ENDED:
            return False
        plan = await visit.ask(undo.plan, visit.runtime, self._run.run_id)
        self._draw(plan)
        if state != _SUCCESS:
            visit.warn(words("undo.failed"))
            return True
        done = await visit.ask(runs.one, visit.runtime, started.run_id)
        number = words.number(done.counts.get("undone", 0))
        if plan.left:
            visit.warn(words("undo.done.left", number=number, left=words.number(len(plan.left))))
        else:
            visit.notify(words("undo.done", number=number))
        return True

    def _draw(self, plan: UndoPlan) -> None:
        words = self._words
        with self._watch.drawn():
            if not (plan.wanted or plan.left):
                widgets.empty(words("undo.nothing"), words("undo.nothing.hint"))
                return
            sums = Counter(line.undo for line in (*plan.wanted, *plan.left))
            facts: list[tuple[str, Cell]] = [
                (_kind(words, kind), words.number(number)) for kind, number in sums.items()
            ]
            time = sum((line.minutes for line in plan.wanted if line.minutes), Decimal(0))
            widgets.facts([*facts, (words("undo.time"), lambda: widgets.hours(words, time))])
            self._lines("undo.wanted", plan, plan.wanted)
            self._lines("undo.left", plan, plan.left)

    def _lines(self, key: str, plan: UndoPlan, lines: Sequence[UndoLine]) -> None:
        words, title, page = self._words, self._words(key), self._pages.get(key, 1)
        if not lines:
            return

        def turn(wanted: int) -> None:
            self._pages[key] = wanted
            self._draw(plan)

        first = (page - 1) * LINES_SHOWN
        widgets.text("h3", title, "zk-card-title")
        names = ["day", "ticket", "customer", "sheet", "undo"]
        names += ["why"] if any(line.text for line in lines) else []
        columns = [Column(words(f"undo.column.{name}")) for name in names]
        columns.insert(3, Column(words("undo.column.time"), number=True))
        rows = [self._line(line)[: len(columns)] for line in lines[first : first + LINES_SHOWN]]
        widgets.table(title, columns, rows)
        if len(lines) > LINES_SHOWN:
            widgets.pager(words, page, LINES_SHOWN, len(lines), turn)

    def _line(self, line: UndoLine) -> list[Cell]:
        words = self._words
        minutes = line.minutes
        return [
            lambda: widgets.text("span", words.day(line.day) if line.day else "", "zk-when"),
            line.ticket,
            line.customer,
            "" if minutes is None else lambda: widgets.hours(words, minutes),
            str(line.kimai_id),
            _kind(words, line.undo),
            words.said(line.text),
        ]


def _kind(words: Words, reversal: str) -> str:
    return words(f"undo.kind.{reversal}")


# What can be done with a run from its row: cancel it, approve what it left waiting, and take back what it wrote.

_STOPPING = "canceling"


class RunActions:
    """The buttons of a run; those that the role may not use, or that would do nothing, are left out."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def show(self, run: RunDetails) -> None:
        """Draw the buttons of one run."""
        if not self._visit.may(Role.OPERATOR):
            return
        with widgets.box("zk-row zk-row-actions"):
            if run.is_under_way and run.status != _STOPPING:
                self._button("runs.cancel", "cancel", lambda: self._confirm_cancel(run))
            is_short = run.failure or any(run.counts.get(name) for name in run_table.REFUSALS)
            if is_short and not run.is_under_way and run.first:
                self._button("runs.again", "sync", lambda: self._again(run))
            in_review = self._visit.runtime.settings.push_mode is PushMode.REVIEW
            if in_review and run.ahead:
                self._button("runs.approve", "approval", lambda: self._show_plan(run))
            elif run_table.only_planned(run):
                self._button("runs.plan", "fact_check", lambda: self._show_plan(run))
            has_written = any(run.counts.get(name) for name in run_table.WRITTEN)
            if has_written and not run.is_under_way and not run.taken_back:
                self._button("runs.undo", "undo", UndoDialog(self._visit, run).show)

    def _button(self, label: str, icon: str, handler: widgets.Handler) -> None:
        widgets.button(self._visit.words(label), self._visit.act(Role.OPERATOR, handler), kind="quiet", icon=icon)

    def _confirm_cancel(self, run: RunDetails) -> None:
        visit, words = self._visit, self._visit.words

        async def cancel() -> None:
            await visit.ask(sync.cancel, visit.runtime, visit.actor, run.run_id)
            visit.notify(words("runs.cancel.done"))

        title = words("runs.cancel.title", run=words.instant(run.started_at))
        effect, label = words("runs.cancel.effect"), words("runs.cancel.go")
        feedback.confirm(visit, Role.OPERATOR, title, effect, label, cancel, "danger")

    async def _again(self, run: RunDetails) -> None:
        visit = self._visit
        if run.first and run.last:
            await visit.ask(sync.request_days, visit.runtime, visit.actor, run.first, run.last)
            visit.notify(visit.words("held.again.done"))

    async def _show_plan(self, run: RunDetails) -> None:
        if run.first and run.last:
            await SyncDialog(self._visit).show_plan((run.first, run.last))


# The question that the days of a cancelled run wait with, as Home and To do ask it.

_ANSWERS = {"held.again": ("sync", sync.sync_again), "held.leave": ("block", sync.leave)}


def show_held(visit: Visit, row: HeldDays, answered: Callable[[], Awaitable[None]]) -> None:
    """Draw who cancelled the run and, for those who may give one, the answers; `answered` is called after one."""
    words, known = visit.words, {"at": visit.words.instant(row.cancelled_at)}
    known["days"] = words.days(row.first, row.last)
    in_dagster = row.cancelled_by == IN_DAGSTER
    name = marks.actor(words, row.cancelled_by)
    sentence = words("held.in_dagster", **known) if in_dagster else words("held.by", name=name, **known)
    with widgets.box("zk-row"):
        widgets.text("span", sentence)
        widgets.link(words("dagster"), row.url, outside=True)
    widgets.text("p", words("held.changes", number=words.number(row.changes)))
    if visit.may(Role.OPERATOR):
        with widgets.box("zk-row"):
            for label in _ANSWERS:
                _answer(visit, label, row, answered)


def _answer(visit: Visit, label: str, row: HeldDays, answered: Callable[[], Awaitable[None]]) -> None:
    icon, operation = _ANSWERS[label]

    async def say() -> None:
        await visit.ask(operation, visit.runtime, visit.actor, row.run_id)
        visit.notify(visit.words(f"{label}.done"))
        await answered()

    widgets.button(visit.words(label), visit.act(Role.OPERATOR, say), icon=icon)


# A run in full, and the table in which each opens.


def show_runs(visit: Visit, shown: Sequence[RunDetails]) -> None:
    """The table of runs with what can be done with each."""
    run_table.show(visit.words, shown, visit.act(Role.VIEWER, lambda run: _open(visit, run)), RunActions(visit).show)


async def _open(visit: Visit, run: RunDetails) -> None:
    """Open what a run read, planned, wrote and was refused, and what waits on its days by cause."""
    words, found = visit.words, tuple[Cause, ...]()
    if run.first and run.last:
        found = await visit.ask(causes_of, visit, run.first, run.last)
    days = words.days(run.first, run.last) if run.first and run.last else words.instant(run.started_at)
    with widgets.dialog(words("runs.of", days=days), words("close"), wide=True):
        with widgets.box("zk-row"):
            run_table.status(words, run)
            widgets.text("span", words("runs.from", at=words.instant(run.started_at)), "zk-muted")
            widgets.link(words("dagster"), run.url, outside=True)
        run_table.outcome(words, run)
        if run.first:
            widgets.text("h3", words("runs.causes"), "zk-card-title")
            causes.show(words, found)
        with widgets.actions():
            RunActions(visit).show(run)


# The section: all runs, page by page, newest first.

RUNS_OF_A_PAGE = 10


class History:
    """The list of runs, and the page that is shown."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        with widgets.card():
            self._panel: Panel[tuple[tuple[RunDetails, ...], int]] = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    def _load(self) -> tuple[tuple[RunDetails, ...], int]:
        return runs.page(self._visit.runtime, RUNS_OF_A_PAGE, (self._page - 1) * RUNS_OF_A_PAGE)

    def _show(self, loaded: tuple[tuple[RunDetails, ...], int]) -> None:
        shown, total = loaded
        show_runs(self._visit, shown)
        if total > RUNS_OF_A_PAGE:
            widgets.pager(self._visit.words, self._page, RUNS_OF_A_PAGE, total, self._go)

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()


async def _show(visit: Visit) -> None:
    await History(visit).refresh()


SECTION = Section("runs", "play_circle", _show)
