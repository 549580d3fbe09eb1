"""The section Mappings: what lacks one and may be meant, and what is mapped."""

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from nicegui import ui
from nicegui.element import Element

from zk_pipeline.decisions import mappings
from zk_pipeline.decisions.mapping_files import Suggestion
from zk_pipeline.decisions.mapping_names import MappingFilter, MappingRow, current_vocabulary
from zk_pipeline.decisions.mappings import MappingChanges, UnmappedItem, UnmappedPage
from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel

# The mappings of one kind: filtered and paged by the database, each with the ways to change and delete it.

SIZE = 20

Page = tuple[Kind, int, list[MappingRow], int]
_WHICH = {"": None, "known": True, "gone": False}


class Listing:
    """The list with its filter and the page that is shown."""

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._changed = visit, changed
        self._kind, self._page = Kind.ACTIVITY, 1
        words = visit.words
        with widgets.box("zk-filters"):
            self._text = widgets.search(words("mappings.search"), self._filtered)
            which = {name: words(f"mappings.which.{name or 'all'}") for name in _WHICH}
            self._which = widgets.choice(words("mappings.which"), which, "", self._filtered)
        self._panel: Panel[Page] = Panel(visit, self._load, self._show)
        feedback.focusable(self._panel.box)

    @property
    def box(self) -> Element:
        """The box of the list."""
        return self._panel.box

    async def show(self, kind: Kind) -> None:
        """Load the mappings of this kind."""
        if kind is not self._kind:
            self._kind, self._page = kind, 1
        await self._panel.refresh()

    async def _filtered(self) -> None:
        self._page = 1
        await self._panel.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self._panel.refresh()

    @property
    def _wanted(self) -> MappingFilter:
        return MappingFilter((self._text.value or "").strip(), _WHICH[self._which.value or ""])

    def _load(self) -> Page:
        kind, page = self._kind, self._page
        try:
            rows, total = mappings.page(self._visit.runtime, kind, self._wanted, limit=SIZE, offset=(page - 1) * SIZE)
        except SetupError:  # Before both systems are connected there is nothing to be mapped.
            rows, total = [], 0
        return kind, page, rows, total

    def _show(self, loaded: Page) -> None:
        kind, page, rows, total = loaded
        words = self._visit.words
        if not rows:
            hint = "narrow" if self._wanted != MappingFilter() else str(kind)
            widgets.empty(words("mappings.none"), words(f"mappings.none.{hint}"))
            return
        columns = [Column(words(f"mappings.{kind}.one")), Column(words("mappings.kimai"))]
        columns.append(Column(words("mappings.updated")))
        if self._visit.may(Role.OPERATOR):
            columns.append(Column(""))
        widgets.table(words("mappings.stored"), columns, [self._row(row) for row in rows])
        widgets.pager(words, page, SIZE, total, self._go)

    def _row(self, row: MappingRow) -> list[Cell]:
        words = self._visit.words
        cells: list[Cell] = [
            lambda: self._zammad(row),
            lambda: self._kimai(row),
            words.instant(row.updated_at),
        ]
        return [*cells, lambda: self._buttons(row)] if self._visit.may(Role.OPERATOR) else cells

    def _zammad(self, row: MappingRow) -> None:
        words = self._visit.words
        name = forms.name_of(words, row)
        scope = words("mappings.only_for", name=row.organization or f"id {row.organization_id}")
        below = scope if row.organization_id is not None else row.email if row.email != name else ""
        forms.two_lines(name, below or "")

    def _kimai(self, row: MappingRow) -> None:
        words = self._visit.words
        with widgets.box("zk-row zk-states"):
            widgets.text("span", forms.leads_to(words, row))
            if not row.known:
                widgets.chip(words("mappings.gone"), "warn")

    def _buttons(self, row: MappingRow) -> None:
        visit, words, name = self._visit, self._visit.words, forms.name_of(self._visit.words, row)
        with widgets.box("zk-row-actions"):
            edit = visit.act(Role.OPERATOR, lambda: forms.edit(visit, row, self._done))
            widgets.icon_button(f"{words('mappings.edit')}: {name}", "edit", edit)
            delete = visit.act(Role.OPERATOR, lambda: forms.delete(visit, row, self._done))
            widgets.icon_button(f"{words('mappings.delete')}: {name}", "delete", delete)

    async def _done(self) -> None:
        with self._panel.box:
            await self._changed()


# What lacks a mapping, what waits for it, and suggestions, taken with one click and never automatically.

WAITING_OF_A_PAGE = 10


class WaitingList:
    """The list of one kind, most entries first; `count` is called with the number of each kind."""

    def __init__(
        self, visit: Visit, count: Callable[[Mapping[Kind, int]], None], changed: Callable[[], Awaitable[None]]
    ) -> None:
        self._visit, self._count, self._changed = visit, count, changed
        self._kind, self._page = Kind.ACTIVITY, 1
        self._panel: Panel[tuple[Kind, int, UnmappedPage | None]] = Panel(visit, self._load, self._show)
        feedback.focusable(self._panel.box)

    async def show(self, kind: Kind) -> None:
        """Load what lacks a mapping of this kind."""
        if kind is not self._kind:
            self._kind, self._page = kind, 1
        await self._panel.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self._panel.refresh()

    def _load(self) -> tuple[Kind, int, UnmappedPage | None]:
        kind, page = self._kind, self._page
        try:
            loaded = mappings.unmapped_page(
                self._visit.runtime, kind, limit=WAITING_OF_A_PAGE, offset=(page - 1) * WAITING_OF_A_PAGE
            )
        except SetupError:  # The list below says what is to be done first.
            loaded = None
        return kind, page, loaded

    def _show(self, shown: tuple[Kind, int, UnmappedPage | None]) -> None:
        kind, page, loaded = shown
        words = self._visit.words
        self._count(loaded.totals if loaded else {})
        if loaded is None:
            widgets.empty(words("mappings.not_connected"), words("mappings.not_connected.hint"))
            widgets.link(words("dashboard.connect"), "/connectors")
            return
        total = loaded.totals[kind]
        if not total:
            widgets.empty(words("mappings.all_mapped"), words("mappings.all_mapped.hint"))
            return
        columns = [
            Column(words(f"mappings.{kind}.one")),
            Column(words("mappings.entries"), number=True),
            Column(words("mappings.minutes"), number=True),
            Column(words("mappings.suggestions")),
        ]
        widgets.table(words("mappings.waiting"), columns, [self._row(row) for row in loaded.rows])
        if total > WAITING_OF_A_PAGE:
            widgets.pager(words, page, WAITING_OF_A_PAGE, total, self._go)

    def _row(self, row: UnmappedItem) -> list[Cell]:
        words = self._visit.words
        name = forms.shown(words, row.zammad, row.name)
        email = row.zammad if row.kind is Kind.USER and row.zammad != name else ""
        return [
            lambda: forms.two_lines(name, email),
            words.number(row.entries),
            words.number(row.minutes),
            lambda: self._suggestions(row, name),
        ]

    def _suggestions(self, row: UnmappedItem, name: str) -> None:
        visit, words = self._visit, self._visit.words
        if not visit.may(Role.OPERATOR):
            names = ", ".join(one.name for one in row.suggestions)
            widgets.text("span", names or words("mappings.no_suggestion"), "zk-muted")
            return
        with widgets.box("zk-row zk-suggestions"):
            for suggestion in row.suggestions:
                self._accept_button(row, name, suggestion)
            choose = visit.act(Role.OPERATOR, lambda: forms.choose(visit, row, self._done))
            other = widgets.button(words("mappings.choose"), choose, kind="quiet")
            other.props["aria-label"] = f"{words('mappings.choose')}: {name}"

    def _accept_button(self, row: UnmappedItem, name: str, suggestion: Suggestion) -> None:
        visit, words = self._visit, self._visit.words

        async def accept() -> None:
            value = f"id:{suggestion.id}"

            def ask(*, shared: bool) -> Awaitable[MappingChanges]:
                return visit.ask(
                    mappings.create, visit.runtime, visit.actor, row.kind, row.zammad, value, shared=shared
                )

            async def then(outcome: MappingChanges) -> None:
                forms.notify_outcome(visit, outcome)
                await self._done()

            with feedback.working(button):
                await forms.confirmed(visit, ask, then)

        button = widgets.button(suggestion.name, visit.act(Role.OPERATOR, accept), icon="check")
        button.props["aria-label"] = words("mappings.accept", zammad=name, kimai=suggestion.name)
        button.props["title"] = words("mappings.score", score=suggestion.score)

    async def _done(self) -> None:
        with self._panel.box:
            await self._changed()


# The parts of the section, for one kind of mappings at a time: what waits at the top, then what is mapped.

EXPORT = "/api/v1/mappings/export"


class Board:
    """The choice of the kind, and the two lists that follow it. The address may name a kind, as `?kind=user`."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        given = visit.client.request.query_params.get("kind", "")
        self._kind = Kind(given) if given in set(Kind) else Kind.ACTIVITY
        words = visit.words
        with widgets.box("zk-toolbar"):
            with widgets.box("zk-views").props("role=group") as group:
                group.props["aria-label"] = words("mappings.kinds")
                self._buttons = {kind: self._kind_button(kind) for kind in Kind}
            with widgets.box("zk-row"):
                self._tools()
        with widgets.card(words("mappings.waiting")):
            self._waiting = WaitingList(visit, self._count, self._changed)
        with widgets.card(words("mappings.stored")):
            self._listing = Listing(visit, self._changed)
        self._mark()
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load both lists again."""
        await self._waiting.show(self._kind)
        await self._listing.show(self._kind)

    async def _changed(self) -> None:
        await self.refresh()
        feedback.keep_focus(self._visit, self._listing.box)

    def _tools(self) -> None:
        visit, words = self._visit, self._visit.words
        if visit.may(Role.OPERATOR):
            add = visit.act(Role.OPERATOR, lambda: forms.add(visit, self._kind, self._changed))
            widgets.button(words("mappings.add"), add, kind="primary", icon="add")
            take = visit.act(Role.OPERATOR, lambda: forms.take(visit, self._changed))
            widgets.button(words("mappings.import"), take, icon="upload")
            read = visit.act(Role.OPERATOR, self._read)
            self._read_button = widgets.icon_button(words("mappings.read"), "refresh", read)
        address = f"{EXPORT}?{urlencode(words.csv)}" if words.csv else EXPORT
        widgets.link(words("mappings.export"), address).props("download=mappings.csv")

    async def _read(self) -> None:
        with feedback.working(self._read_button):
            await self._visit.ask(current_vocabulary, self._visit.runtime)
        self._visit.notify(self._visit.words("mappings.read.done"))
        await self.refresh()

    def _kind_button(self, kind: Kind) -> ui.button:
        async def choose() -> None:
            self._kind = kind
            self._mark()
            await self.refresh()

        return widgets.button(self._visit.words(f"mappings.{kind}"), choose, kind="quiet").classes("zk-view")

    def _count(self, totals: Mapping[Kind, int]) -> None:
        """Say of each kind how much lacks a mapping."""
        words = self._visit.words
        for kind, button in self._buttons.items():
            name, number = words(f"mappings.{kind}"), totals.get(kind, 0)
            button.set_text(words("mappings.counted", name=name, number=words.number(number)) if number else name)

    def _mark(self) -> None:
        for kind, button in self._buttons.items():
            button.props["aria-pressed"] = str(kind is self._kind).lower()
