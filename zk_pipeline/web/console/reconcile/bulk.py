"""Deciding about many: the selected rows, the bar above them, and the preview in the pane."""

from collections.abc import Collection, Sequence
from functools import partial

from nicegui import ui

from zk_pipeline.decisions import conflicts
from zk_pipeline.decisions.conflicts import BulkResult, Conflict, DecisionPreview
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.resolutions import Choice, needs_why
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.causes import subject_of
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell

LEFT_SHOWN = 20

_WRITES = ("creates", "updates", "links", "deletes", "adjusts")


class Bulk:
    """Which conflicts are selected, over all pages of a card."""

    def __init__(self, visit: Visit, pane: Pane) -> None:
        self._visit, self._words, self._pane = visit, visit.words, pane
        self._selected: set[int] = set()
        self._boxes: dict[int, ui.checkbox] = {}
        self._all: ui.checkbox | None = None

    def clear(self) -> None:
        """Select nothing."""
        self._selected.clear()

    def bar(self, every: Sequence[int], choices: Sequence[Choice]) -> None:
        """Select all, and the decisions about what is selected."""
        words, self._boxes = self._words, {}
        self._every = frozenset(every)
        self._selected &= self._every
        with widgets.box("zk-bulk") as bar:
            bar.props["role"] = "group"
            bar.props["aria-label"] = words("bulk.title")
            label = words("bulk.select_all", number=words.number(len(every)))
            self._all = ui.checkbox(label, value=self._selected == self._every, on_change=self._toggle_all)
            self._all.props("dense")
            self._label = widgets.text("span", "", "zk-bulk-label").props("aria-live=polite")
            with widgets.box("zk-row") as self._buttons:
                for choice in choices:
                    ask = partial(self._preview_selected, choice)
                    text = "todo.leave_out.many" if choice is Choice.IGNORE else f"choice.{choice}"
                    button = widgets.button(words(text), self._visit.act(Role.OPERATOR, ask))
                    button.props["data-zk-key"] = detail.LETTERS[choice].lower()
        self._count()

    def box(self, row: Conflict) -> None:
        """The box that selects a row."""

        def change() -> None:
            if made.value:
                self._selected.add(row.id)
            else:
                self._selected.discard(row.id)
            self._count()

        made = ui.checkbox(value=row.id in self._selected, on_change=change).props("dense")
        about = subject_of(self._words, row.ticket_number, row.kimai_id, row.key)
        made.props["aria-label"] = self._words("bulk.select", what=about)
        self._boxes[row.id] = made

    def _toggle_all(self) -> None:
        if self._all is None or self._all.value == (self._selected == self._every):
            return
        self._selected = set(self._every) if self._all.value else set()
        for id_, made in self._boxes.items():
            if not made.is_deleted:
                made.value = id_ in self._selected
        self._count()

    def _count(self) -> None:
        self._label.text = self._words.count("bulk.selected", len(self._selected))
        self._buttons.set_visibility(bool(self._selected))
        self._label.set_visibility(bool(self._selected))
        if self._all is not None:
            self._all.value = bool(self._every) and self._selected == self._every

    async def _preview_selected(self, choice: Choice) -> None:
        await self.preview(choice, frozenset(self._selected))

    async def preview(self, choice: Choice, ids: Collection[int]) -> None:
        """Show in the pane what the decision would write; what is then decided is what was shown, or nothing."""
        visit, words = self._visit, self._words
        wanted = ConflictFilter(ids=frozenset(ids))
        found = await visit.ask(conflicts.preview, visit.runtime, choice, wanted)
        number = words.number(found.conflicts - found.left)
        hours = words.hours(found.left_out)
        leaves = choice is Choice.IGNORE
        label = words("bulk.apply", number=number)
        if leaves:  # Of corrections, less than nothing is left out.
            label = detail.leaving_out(visit, hours) if found.left_out > 0 else words("todo.leave_alone")
        title = words("bulk.about", choice=words(f"choice.{choice}"), number=words.number(found.conflicts))
        with self._pane.showing(title):
            why = None
            if needs_why(choice, found.left_out):
                why = widgets.field(words("left_out.why"), hint=words("left_out.why.hint"))
            go = partial(self._go, choice, wanted, found, why, new_key())
            button = widgets.button(label, kind="plain" if leaves else "primary")
            button.on_click(visit.act(Role.OPERATOR, partial(go, button)))
            button.set_enabled(found.conflicts > found.left)
            widgets.text("p", words(f"effect.{choice}"), "zk-muted")
            widgets.facts(self._facts(found))

    async def _go(
        self,
        choice: Choice,
        wanted: ConflictFilter,
        found: DecisionPreview,
        why: ui.input | None,
        key: str,
        button: ui.button,
    ) -> None:
        visit, words = self._visit, self._words
        reason = (why.value or "").strip() if why else ""
        if why is not None and not reason:
            feedback.refuse(why, words("left_out.why.missing"))
            return
        shown = self._pane.shown
        with feedback.working(button):
            outcome = await visit.once(
                key, conflicts.decide_matching, visit.runtime, visit.actor, choice, wanted, found.digest, why=reason
            )
        self.clear()
        self._pane.close(shown)
        self._tell(choice, found, outcome)
        await self._pane.changed()

    def _tell(self, choice: Choice, found: DecisionPreview, outcome: BulkResult) -> None:
        words = self._words
        if choice is Choice.IGNORE and outcome.decided:
            hours = words.hours(found.left_out)
            text = words("left_out.done", hours=hours) if found.left_out > 0 else words("left_out.left_alone")
            detail.offer_undo(self._visit, self._pane, text, [row.id for row in outcome.decided])
        elif outcome.decided:
            self._visit.notify(words("bulk.decided", number=words.number(len(outcome.decided))))
        if outcome.left:
            title = words("bulk.not_decided", number=words.number(len(outcome.left)))
            with self._pane.showing(title):
                for left in outcome.left[:LEFT_SHOWN]:
                    widgets.text("p", words.said(left.why))

    def _facts(self, found: DecisionPreview) -> list[tuple[str, Cell]]:
        words = self._words
        numbers = {name: getattr(found, name) for name in (*_WRITES, "left")}
        facts: list[tuple[str, Cell]] = [
            (words(f"bulk.{name}"), words.number(number)) for name, number in numbers.items() if number
        ]
        if found.minutes and not found.adjusts:  # The text of an adjusted one says how many minutes are owed.
            facts.append((words("bulk.hours"), words.hours(found.minutes)))
        return facts
