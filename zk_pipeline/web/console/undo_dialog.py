"""Undo: what taking a run's writes back would do, and having it done."""

from collections import Counter
from collections.abc import Sequence

from zk_pipeline.operations import runs, undo
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.runs import Run
from zk_pipeline.operations.undo import UndoLine, UndoPlan, UndoRun
from zk_pipeline.web.console import parts, run_table
from zk_pipeline.web.console.feedback import working
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.watching import Watch
from zk_pipeline.web.console.words import Words

LINES_SHOWN = 10

_SUCCESS = "success"


class UndoDialog:
    """The dialog of one run and what is under way in it; closing it stops nothing but the looking on."""

    def __init__(self, visit: Visit, run: Run) -> None:
        self._visit, self._words, self._run = visit, visit.words, run
        self._key = new_key()

    async def show(self) -> None:
        """Open it with what would be done now."""
        words, run = self._words, self._run
        with parts.dialog(words("undo.title", run=run.run_id[:8]), words("close"), wide=True):
            parts.text("p", words("undo.about"), "zk-muted")
            parts.text("p", words("undo.again"), "zk-note")
            self._watch = Watch(self._visit)
            with parts.actions():
                carry_out = self._visit.act(Role.OPERATOR, self._carry_out)
                self._button = parts.button(words("undo.run"), carry_out, kind="danger", icon="undo")
                self._button.disable()
        with self._watch.drawn():
            parts.skeleton(words("loading"))
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
        label = words("undo.title", run=self._run.run_id[:8])
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
            visit.tell(words("undo.done", number=number))
        return True

    def _draw(self, plan: UndoPlan) -> None:
        words = self._words
        with self._watch.drawn():
            if not (plan.wanted or plan.left):
                parts.empty(words("undo.nothing"), words("undo.nothing.hint"))
                return
            sums = Counter(line.undo for line in (*plan.wanted, *plan.left))
            parts.facts([(_kind(words, kind), words.number(number)) for kind, number in sums.items()])
            self._lines(words("undo.wanted"), plan.wanted)
            self._lines(words("undo.left"), plan.left)

    def _lines(self, title: str, lines: Sequence[UndoLine]) -> None:
        words = self._words
        if not lines:
            return
        parts.text("h3", title, "zk-card-title")
        columns = [Column(words(f"undo.column.{name}")) for name in ("day", "sheet", "undo", "why")]
        parts.table(title, columns, [self._line(line) for line in lines[:LINES_SHOWN]])
        if len(lines) > LINES_SHOWN:
            parts.text("p", words("sync.more", number=words.number(len(lines) - LINES_SHOWN)), "zk-muted")

    def _line(self, line: UndoLine) -> list[Cell]:
        words = self._words
        return [words.day(line.day) if line.day else "", str(line.kimai_id), _kind(words, line.undo), line.text]


def _kind(words: Words, reversal: str) -> str:
    return words(f"undo.kind.{reversal}")
