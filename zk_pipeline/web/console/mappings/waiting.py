"""What lacks a mapping, how much waits for it, and what may be meant: taken with one click, never by itself."""

from collections.abc import Awaitable, Callable, Mapping

from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.domain.suggestions import Suggestion
from zk_pipeline.operations import mappings
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.mappings import Lacking, LackingPage, Outcome
from zk_pipeline.runtime import SetupError
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit

SIZE = 10


class WaitingList:
    """The list of one kind, most entries first; `count` is told how much there is of every kind."""

    def __init__(
        self, visit: Visit, count: Callable[[Mapping[Kind, int]], None], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._visit, self._count, self._changed = visit, count, changed
        self._kind, self._page = Kind.ACTIVITY, 1
        self._panel: Panel[tuple[Kind, int, LackingPage | None]] = Panel(visit, self._load, self._show)
        feedback.focusable(self._panel.box)

    async def show(self, kind: Kind) -> None:
        """Load what lacks a mapping of this kind."""
        if kind is not self._kind:
            self._kind, self._page = kind, 1
        await self._panel.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self._panel.refresh()

    def _load(self) -> tuple[Kind, int, LackingPage | None]:
        kind, page = self._kind, self._page
        try:
            loaded = mappings.unmapped_page(self._visit.runtime, kind, limit=SIZE, offset=(page - 1) * SIZE)
        except SetupError:  # The list below says what is to be done first.
            loaded = None
        return kind, page, loaded

    def _show(self, shown: tuple[Kind, int, LackingPage | None]) -> None:
        kind, page, loaded = shown
        words = self._visit.words
        self._count(loaded.totals if loaded else {})
        if loaded is None:
            parts.empty(words("mappings.not_connected"), words("mappings.not_connected.hint"))
            parts.link(words("dashboard.connect"), "/connectors")
            return
        total = loaded.totals[kind]
        if not total:
            parts.empty(words("mappings.all_mapped"), words("mappings.all_mapped.hint"))
            return
        columns = [
            Column(words(f"mappings.{kind}.one")),
            Column(words("mappings.entries"), number=True),
            Column(words("mappings.minutes"), number=True),
            Column(words("mappings.suggestions")),
        ]
        parts.table(words("mappings.waiting"), columns, [self._row(row) for row in loaded.rows])
        if total > SIZE:
            parts.pager(words, page, SIZE, total, self._go)

    def _row(self, row: Lacking) -> list[Cell]:
        words = self._visit.words
        name = forms.shown(words, row.zammad, row.name)
        email = row.zammad if row.kind is Kind.USER and row.zammad != name else ""
        return [
            lambda: forms.two_lines(name, email),
            words.number(row.entries),
            words.number(row.minutes),
            lambda: self._suggestions(row, name),
        ]

    def _suggestions(self, row: Lacking, name: str) -> None:
        visit, words = self._visit, self._visit.words
        if not visit.may(Role.OPERATOR):
            told = ", ".join(one.name for one in row.suggestions)
            parts.text("span", told or words("mappings.no_suggestion"), "zk-muted")
            return
        with parts.box("zk-row zk-suggestions"):
            for suggestion in row.suggestions:
                self._accept_button(row, name, suggestion)
            choose = visit.act(Role.OPERATOR, lambda: forms.choose(visit, row, self._done))
            other = parts.button(words("mappings.choose"), choose, kind="quiet")
            other.props["aria-label"] = f"{words('mappings.choose')}: {name}"

    def _accept_button(self, row: Lacking, name: str, suggestion: Suggestion) -> None:
        visit, words = self._visit, self._visit.words

        async def accept() -> None:
            value = f"id:{suggestion.id}"

            def ask(*, shared: bool) -> Awaitable[Outcome]:
                return visit.ask(
                    mappings.create, visit.runtime, visit.actor, row.kind, row.zammad, value, shared=shared
                )

            async def then(outcome: Outcome) -> None:
                forms.tell(visit, outcome)
                await self._done()

            with feedback.working(button):
                await forms.confirmed(visit, ask, then)

        button = parts.button(suggestion.name, visit.act(Role.OPERATOR, accept), icon="check")
        button.props["aria-label"] = words("mappings.accept", zammad=name, kimai=suggestion.name)
        button.props["title"] = words("mappings.score", score=suggestion.score)

    async def _done(self) -> None:
        with self._panel.box:
            await self._changed()
