"""The section People & customers: who is who on both sides, what to do about it, and files."""

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from nicegui import ui

from zk_pipeline.decisions import partners
from zk_pipeline.decisions.mapping_files import Suggestion
from zk_pipeline.decisions.mapping_names import current_vocabulary
from zk_pipeline.decisions.mappings import MappingChanges
from zk_pipeline.decisions.partners import Partner, PartnerFilter, PartnerPage, State
from zk_pipeline.domain.mapping_lines import Kind
from zk_pipeline.domain.people import Way
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.web.console import feedback, widgets
from zk_pipeline.web.console.mappings import forms
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel, Tone

EXPORT = "/api/v1/mappings/export"
SIZE = 20

# In the order of use: agents and customers first, then what they book.
KINDS = (Kind.USER, Kind.CUSTOMER, Kind.ACTIVITY)
_EVERYTHING = "all"

Loaded = tuple[Kind, int, PartnerFilter, PartnerPage | None]


class Board:
    """The choice of the kind, the filters and the list. The address may name a kind, as `?kind=customer`."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        self._state: State | None = None
        given = visit.client.request.query_params.get("kind", "")
        self._kind = Kind(given) if given in set(Kind) else Kind.USER
        words = visit.words
        with widgets.box("zk-toolbar"):
            with widgets.box("zk-views").props("role=group") as group:
                group.props["aria-label"] = words("mappings.kinds")
                self._kinds = {kind: self._kind_button(kind) for kind in KINDS}
            with widgets.box("zk-row"):
                self._tools()
        with widgets.card():
            with widgets.box("zk-filters"):
                self._text = widgets.search(words("mappings.search"), self._filtered)
                with widgets.box("zk-views zk-states").props("role=group") as group:
                    group.props["aria-label"] = words("mappings.state")
                    self._states = {state: self._state_button(state) for state in (_EVERYTHING, *State)}
            self._panel: Panel[Loaded] = Panel(visit, self._load, self._show)
            feedback.focusable(self._panel.box)
        self._mark()
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the list again."""
        await self._panel.refresh()

    async def _changed(self) -> None:
        with self._panel.box:
            await self.refresh()
        feedback.keep_focus(self._visit, self._panel.box)

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
            self._kind, self._state = kind, None
            await self._filtered()

        return widgets.button(self._visit.words(f"mappings.{kind}"), choose, kind="quiet").classes("zk-view")

    def _state_button(self, state: str) -> ui.button:
        async def choose() -> None:
            self._state = None if state == _EVERYTHING else State(state)
            await self._filtered()

        return widgets.button(self._visit.words(f"mappings.state.{state}"), choose, kind="quiet").classes("zk-view")

    async def _filtered(self) -> None:
        self._page = 1
        self._mark()
        await self.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()

    def _mark(self) -> None:
        for kind, button in self._kinds.items():
            button.props["aria-pressed"] = str(kind is self._kind).lower()
        for state, button in self._states.items():
            button.props["aria-pressed"] = str(state == (self._state or _EVERYTHING)).lower()

    def _load(self) -> Loaded:
        kind, page, wanted = self._kind, self._page, PartnerFilter((self._text.value or "").strip(), self._state)
        try:
            found = partners.page(self._visit.runtime, kind, wanted, limit=SIZE, offset=(page - 1) * SIZE)
        except SetupError:  # Before both systems are connected there is nothing to be mapped.
            found = None
        return kind, page, wanted, found

    def _show(self, loaded: Loaded) -> None:
        kind, page, wanted, found = loaded
        words = self._visit.words
        if found is None:
            widgets.empty(words("mappings.not_connected"), words("mappings.not_connected.hint"))
            widgets.link(words("dashboard.connect"), "/connectors")
            return
        self._count(found)
        if not found.rows:
            hint = "narrow" if wanted != PartnerFilter() else str(kind)
            widgets.empty(words("mappings.none"), words(f"mappings.none.{hint}"))
            return
        columns = [
            Column(words(f"mappings.{kind}.one")),
            Column(words(f"mappings.{kind}.target")),
            Column(words("mappings.way")),
            Column(words("mappings.since"), whole=True),
            Column(words("mappings.waiting"), number=True),
        ]
        if self._visit.may(Role.OPERATOR):
            columns.append(Column(""))
        rows = _Rows(self._visit, self._changed)
        widgets.table(words("mappings.title"), columns, [rows.cells(row) for row in found.rows])
        if found.total > SIZE:
            widgets.pager(words, page, SIZE, found.total, self._go)

    def _count(self, found: PartnerPage) -> None:
        """Say of each kind how much is open, and of each state how much the text finds."""
        for kind, button in self._kinds.items():
            self._number(button, f"mappings.{kind}", "mappings.counted", found.open[kind])
        numbers: Mapping[str, int] = {_EVERYTHING: sum(found.states.values()), **found.states}
        for state, button in self._states.items():
            self._number(button, f"mappings.state.{state}", "mappings.filtered", numbers[state])
            button.set_visibility(bool(numbers[state]) or state in {_EVERYTHING, self._state})

    def _number(self, button: ui.button, name: str, counted: str, number: int) -> None:
        words = self._visit.words
        button.set_text(words(counted, name=words(name), number=words.number(number)) if number else words(name))


class _Rows:
    """The cells of partners, with the ways to set, confirm, change and delete them."""

    def __init__(self, visit: Visit, changed: forms.Changed) -> None:
        self._visit, self._words, self._changed = visit, visit.words, changed

    def cells(self, row: Partner) -> list[Cell]:
        words = self._words
        waiting = f"{words.number(row.entries)} · {words.hours(row.minutes)}" if row.entries else ""
        cells: list[Cell] = [
            partial(self._zammad, row),
            partial(self._kimai, row),
            partial(self._way, row),
            partial(widgets.text, "span", words.day(row.since) if row.since else "", "zk-when"),
            waiting,
        ]
        return [*cells, partial(self._buttons, row)] if self._visit.may(Role.OPERATOR) else cells

    def _zammad(self, row: Partner) -> None:
        words = self._words
        if row.state is State.ALONE:
            widgets.text("span", words("mappings.alone"), "zk-muted")
            return
        scope = words("mappings.only_for", name=row.organization) if row.organization else ""
        away = "" if row.active else words("mappings.inactive")
        widgets.two_lines(forms.name_of(words, row), " · ".join(filter(None, (scope, row.note, away))))

    def _kimai(self, row: Partner) -> None:
        words = self._words
        if row.state is State.OPEN:
            self._suggestions(row)
            return
        widgets.two_lines(forms.leads_to(words, row), row.kimai_note)

    def _way(self, row: Partner) -> None:
        """How it is known and how sure that is, and what a person should look at."""
        words = self._words
        if row.state is State.ALONE:
            return
        tone: Tone = "warn" if row.state is State.OPEN else "good" if row.way.sure else "info"
        with widgets.box("zk-row zk-states"):
            chip = widgets.chip(words(f"mappings.way.{row.way}"), tone)
            chip.props["title"] = words(f"mappings.way.{row.way}.about")
            if row.way.found and not row.way.sure:
                widgets.chip(words("mappings.likely"), "info")
            if row.shared_with:
                widgets.chip(words("mappings.shared_with", names=", ".join(row.shared_with)), "warn")
            if row.active and not row.usable:
                widgets.chip(words(f"mappings.unusable.{row.kind}"), "warn")

    def _suggestions(self, row: Partner) -> None:
        visit, words, name = self._visit, self._words, forms.name_of(self._words, row)
        if not visit.may(Role.OPERATOR):
            names = ", ".join(one.name for one in row.suggestions)
            widgets.text("span", names or words("mappings.no_suggestion"), "zk-muted")
            return
        with widgets.box("zk-row zk-suggestions"):
            for suggestion in row.suggestions:
                self._accept_button(row, suggestion)
            choose = visit.act(Role.OPERATOR, lambda: forms.choose(visit, row, self._changed))
            other = widgets.button(words("mappings.choose"), choose, kind="quiet")
            other.props["aria-label"] = f"{words('mappings.choose')}: {name}"

    def _accept_button(self, row: Partner, suggestion: Suggestion) -> None:
        words = self._words
        button = widgets.button(suggestion.name, icon="check")
        button.on_click(self._visit.act(Role.OPERATOR, lambda: self._set(row, f"id:{suggestion.id}", button)))
        name = forms.name_of(words, row)
        button.props["aria-label"] = words("mappings.accept", zammad=name, kimai=suggestion.name)
        button.props["title"] = words("mappings.score", score=suggestion.score)

    async def _set(self, row: Partner, target: str, button: ui.button) -> None:
        async def then(outcome: MappingChanges) -> None:
            forms.notify_outcome(self._visit, outcome)
            await self._changed()

        with feedback.working(button):
            await forms.confirmed(self._visit, partial(forms.store, self._visit, row, target), then)

    def _buttons(self, row: Partner) -> None:
        if row.state in {State.ALONE, State.OPEN} and row.mapping is None:
            return
        visit, words, name = self._visit, self._words, forms.name_of(self._words, row)

        def icon(key: str, shape: str) -> ui.button:
            return widgets.icon_button(f"{words(f'mappings.{key}')}: {name}", shape)

        with widgets.box("zk-row-actions"):
            if row.way.found and not row.way.sure:
                confirm = icon("confirm", "check")
                confirm.on_click(visit.act(Role.OPERATOR, lambda: self._set(row, f"id:{row.kimai_id}", confirm)))
            if row.way is not Way.FIXED:
                edit = visit.act(Role.OPERATOR, lambda: forms.choose(visit, row, self._changed))
                icon("edit", "edit").on_click(edit)
            if row.mapping is not None:
                delete = visit.act(Role.OPERATOR, lambda: forms.delete(visit, row, self._changed))
                icon("delete", "delete").on_click(delete)
