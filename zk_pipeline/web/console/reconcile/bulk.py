"""Deciding about many conflicts alike: the selection, and the preview of what would be written."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.operations import decisions
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.decisions import Outcome, Preview
from zk_pipeline.operations.reconciliation import Line
from zk_pipeline.store.conflict_lists import Filter
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell
from zk_pipeline.web.console.reconcile.filters import Filters
from zk_pipeline.web.console.visit import Visit, new_key

LEFT_SHOWN = 20

_WRITES = ("creates", "updates", "links", "deletes", "adjusts")


class Bulk:
    """The bar above the list: how many are selected, a decision for them, and its preview."""

    def __init__(self, visit: Visit, filters: Filters, decided: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._words, self._filters, self._decided = visit, visit.words, filters, decided
        self._selected: set[int] = set()
        words = visit.words
        choices = {choice: words(f"choice.{choice}") for choice in Choice}
        with parts.box("zk-bulk") as self._bar:
            self._bar.props["aria-label"] = words("bulk.title")
            self._bar.props["role"] = "group"
            self._label = parts.text("span", "", "zk-bulk-label").props("aria-live=polite")
            self._choice = parts.choice(words("bulk.decision"), choices, Choice.IGNORE)
            preview = visit.act(Role.OPERATOR, self._preview_selected)
            parts.button(words("bulk.preview"), preview, kind="primary")
            self._all = parts.button("", visit.act(Role.OPERATOR, self._preview_all))
            parts.button(words("bulk.clear"), self._clear_shown, kind="quiet")
        self._boxes: list[ui.checkbox] = []
        self._count()

    def box(self, line: Line) -> None:
        """The box that selects a line, whose question somebody has to answer."""
        number = line.conflict_id or 0
        what = line.booking.ticket_number if line.booking else line.key

        def change() -> None:
            if made.value:
                self._selected.add(number)
            else:
                self._selected.discard(number)
            self._count()

        made = ui.checkbox(value=number in self._selected, on_change=change).props("dense")
        made.props["aria-label"] = self._words("bulk.select", what=what)
        self._boxes.append(made)

    def shown(self, lines: Sequence[Line], total: int) -> None:
        """Tell what is listed, so that all of it can be decided at once."""
        self._boxes = [made for made in self._boxes if not made.is_deleted]
        self._all.set_text(self._words("bulk.all", number=self._words.number(total)))
        self._all.set_visibility(self._filters.conflicts is not None and total > len(lines))
        self._count()

    def clear(self) -> None:
        """Select nothing."""
        self._selected.clear()
        self._count()

    def _clear_shown(self) -> None:
        self.clear()
        for made in self._boxes:
            made.value = False

    def _count(self) -> None:
        self._label.text = self._words.count("bulk.selected", len(self._selected))
        self._bar.set_visibility(bool(self._selected) or self._all.visible)

    async def _preview_selected(self) -> None:
        if self._selected:
            await self._preview(Filter(ids=frozenset(self._selected)))
        else:
            self._visit.warn(self._words("bulk.nothing"))

    async def _preview_all(self) -> None:
        wanted = self._filters.conflicts
        if wanted is not None:
            await self._preview(wanted)

    async def _preview(self, wanted: Filter) -> None:
        """Show what the decision would write; what is then decided is what was shown here, or nothing."""
        visit, words, choice = self._visit, self._words, self._choice.value
        key = new_key()
        found = await visit.ask(decisions.preview, visit.runtime, choice, wanted)
        with parts.dialog(words("bulk.title"), words("close")) as dialog:
            parts.text("p", words("bulk.about", choice=words(f"choice.{choice}"), number=words.number(found.conflicts)))
            parts.text("p", words(f"effect.{choice}"), "zk-note")
            parts.facts(self._facts(found))

            async def go() -> None:
                outcome = await visit.once(
                    key, decisions.decide_matching, visit.runtime, visit.actor, choice, wanted, found.digest
                )
                dialog.close()
                await self._told(outcome)

            with parts.actions():
                parts.button(words("cancel"), dialog.close)
                number = words.number(found.conflicts - found.left)
                button = parts.button(words("bulk.apply", number=number), visit.act(Role.OPERATOR, go), kind="primary")
                button.set_enabled(found.conflicts > found.left)

    def _facts(self, found: Preview) -> list[tuple[str, Cell]]:
        words = self._words
        numbers = {name: getattr(found, name) for name in (*_WRITES, "left")}
        told: list[tuple[str, Cell]] = [
            (words(f"bulk.{name}"), words.number(number)) for name, number in numbers.items() if number
        ]
        if found.adjusts:
            return told  # The text of each says how many minutes are owed.
        return [*told, (words("bulk.minutes"), words.minutes(found.minutes))]

    async def _told(self, outcome: Outcome) -> None:
        words = self._words
        self.clear()
        self._visit.tell(words("bulk.decided", number=words.number(len(outcome.decided))))
        if outcome.left:
            title = words("bulk.not_decided", number=words.number(len(outcome.left)))
            with parts.dialog(title, words("close")):
                for left in outcome.left[:LEFT_SHOWN]:
                    parts.text("p", left.why)
        await self._decided()
