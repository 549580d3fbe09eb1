"""The mappings of one kind: filtered and paged by the database, each with the ways to change and delete it."""

from collections.abc import Awaitable, Callable

from nicegui.element import Element

from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.operations import mappings
from zk_pipeline.operations.actors import Role
from zk_pipeline.runtime import SetupError
from zk_pipeline.store.mapping_rows import MappingFilter, MappingRow
from zk_pipeline.web.console import feedback, parts
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.visit import Visit

SIZE = 20

Page = tuple[Kind, int, list[MappingRow], int]
_WHICH = {"": None, "known": True, "gone": False}


class Listing:
    """The list with its filter and the page that is shown."""

    def __init__(self, visit: Visit, changed: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._changed = visit, changed
        self._kind, self._page = Kind.ACTIVITY, 1
        words = visit.words
        with parts.box("zk-filters"):
            self._text = parts.search(words("mappings.search"), self._filtered)
            which = {name: words(f"mappings.which.{name or 'all'}") for name in _WHICH}
            self._which = parts.choice(words("mappings.which"), which, "", self._filtered)
        self._panel: Panel[Page] = Panel(visit, self._load, self._show)
        feedback.focusable(self._panel.box)

    @property
    def box(self) -> Element:
        """What the list is drawn in."""
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
            parts.empty(words("mappings.none"), words(f"mappings.none.{hint}"))
            return
        columns = [Column(words(f"mappings.{kind}.one")), Column(words("mappings.kimai"))]
        columns.append(Column(words("mappings.updated")))
        if self._visit.may(Role.OPERATOR):
            columns.append(Column(""))
        parts.table(words("mappings.stored"), columns, [self._row(row) for row in rows])
        parts.pager(words, page, SIZE, total, self._go)

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
        with parts.box("zk-row zk-states"):
            parts.text("span", forms.leads_to(words, row))
            if not row.known:
                parts.chip(words("mappings.gone"), "warn")

    def _buttons(self, row: MappingRow) -> None:
        visit, words, name = self._visit, self._visit.words, forms.name_of(self._visit.words, row)
        with parts.box("zk-row-actions"):
            edit = visit.act(Role.OPERATOR, lambda: forms.edit(visit, row, self._done))
            parts.icon_button(f"{words('mappings.edit')}: {name}", "edit", edit)
            delete = visit.act(Role.OPERATOR, lambda: forms.delete(visit, row, self._done))
            parts.icon_button(f"{words('mappings.delete')}: {name}", "delete", delete)

    async def _done(self) -> None:
        with self._panel.box:
            await self._changed()
