"""The list of the plan's lines: filters, pages, and deciding about many."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from nicegui import ui

from zk_pipeline.decisions import comparison, conflicts
from zk_pipeline.decisions.comparison import PlanRow
from zk_pipeline.decisions.conflicts import BulkResult, DecisionPreview
from zk_pipeline.decisions.lists import ConflictFilter, LineFilter, LineSelection
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.visit import Visit, new_key
from zk_pipeline.web.console.widgets import Cell, Column, Panel, Tone

# What is listed of the plan: the four views and their filters.


class Filters:
    """The row of filters; `wanted` is their value, and `on_change` is called when it changes."""

    def __init__(self, visit: Visit, on_change: Callable[[], Awaitable[None]]) -> None:
        self._on_change = on_change
        words, given = visit.words, visit.client.request.query_params
        self._view = (
            LineSelection(given["view"]) if given.get("view") in set(LineSelection) else LineSelection.CONFLICTS
        )
        with widgets.box("zk-views").props("role=group") as group:
            group.props["aria-label"] = words("reconcile.views")
            self._buttons = {view: self._view_button(words(f"reconcile.{view}"), view) for view in LineSelection}
        reasons = {"": words("all"), **{reason.value: words(f"reason.{reason}") for reason in Reason}}
        with widgets.box("zk-filters"):
            self._reason = widgets.choice(words("reconcile.reason"), reasons, "", on_change)
            self._agent = widgets.search(words("reconcile.agent"), on_change)
            self._customer = widgets.search(words("reconcile.customer"), on_change)
            self._ticket = widgets.search(words("reconcile.ticket"), on_change)
            self._first = widgets.day_field(words("from"), on_change=on_change)
            self._last = widgets.day_field(words("to"), on_change=on_change)
        fields = {"agent": self._agent, "customer": self._customer, "ticket": self._ticket}
        for name, field in (fields | {"from": self._first, "to": self._last}).items():
            if given.get(name):
                field.value = given[name]
        if given.get("reason") in reasons:
            self._reason.value = given["reason"]
        self._mark()

    @property
    def wanted(self) -> LineFilter:
        """The lines that are meant."""
        return LineFilter(
            view=self._view,
            reason=self._reason.value,
            agent=_text(self._agent),
            customer=_text(self._customer),
            ticket=_text(self._ticket),
            first=widgets.day_of(self._first),
            last=widgets.day_of(self._last),
        )

    @property
    def is_narrow(self) -> bool:
        """Whether anything narrows the view."""
        return self.wanted != LineFilter(view=self._view)

    @property
    def conflicts(self) -> ConflictFilter | None:
        """The same as a filter of conflicts, so that all can be decided at once; `None` where there is no such."""
        wanted = self.wanted
        if wanted.view is not LineSelection.CONFLICTS or replace(wanted, ticket="") != wanted:
            return None
        return ConflictFilter(
            reason=wanted.reason,
            agent=wanted.agent,
            customer=wanted.customer,
            first=wanted.first,
            last=wanted.last,
        )

    def _view_button(self, label: str, view: LineSelection) -> ui.button:
        async def choose() -> None:
            self._view = view
            self._mark()
            await self._on_change()

        return widgets.button(label, choose, kind="quiet").classes("zk-view")

    def _mark(self) -> None:
        for view, button in self._buttons.items():
            button.props["aria-pressed"] = str(view is self._view).lower()


def _text(field: ui.input) -> str:
    return (field.value or "").strip()


# Deciding about many conflicts at once: the selection, and the preview of what would be written.

LEFT_SHOWN = 20

_WRITES = ("creates", "updates", "links", "deletes", "adjusts")


class Bulk:
    """The bar above the list: how many are selected, a decision for them, and its preview."""

    def __init__(self, visit: Visit, filters: Filters, decided: Callable[[], Awaitable[None]]) -> None:
        self._visit, self._words, self._filters, self._decided = visit, visit.words, filters, decided
        self._selected: set[int] = set()
        words = visit.words
        choices = {choice: words(f"choice.{choice}") for choice in Choice}
        with widgets.box("zk-bulk") as self._bar:
            self._bar.props["aria-label"] = words("bulk.title")
            self._bar.props["role"] = "group"
            self._label = widgets.text("span", "", "zk-bulk-label").props("aria-live=polite")
            self._choice = widgets.choice(words("bulk.decision"), choices, Choice.IGNORE)
            preview = visit.act(Role.OPERATOR, self._preview_selected)
            widgets.button(words("bulk.preview"), preview, kind="primary")
            self._all = widgets.button("", visit.act(Role.OPERATOR, self._preview_all))
            widgets.button(words("bulk.clear"), self._clear_shown, kind="quiet")
        self._boxes: list[ui.checkbox] = []
        self._count()

    def box(self, line: PlanRow) -> None:
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

    def shown(self, lines: Sequence[PlanRow], total: int) -> None:
        """Set what is listed, so that all of it can be decided at once."""
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
            await self._preview(ConflictFilter(ids=frozenset(self._selected)))
        else:
            self._visit.warn(self._words("bulk.nothing"))

    async def _preview_all(self) -> None:
        wanted = self._filters.conflicts
        if wanted is not None:
            await self._preview(wanted)

    async def _preview(self, wanted: ConflictFilter) -> None:
        """Show what the decision would write; what is then decided is what was shown here, or nothing."""
        visit, words, choice = self._visit, self._words, self._choice.value
        key = new_key()
        found = await visit.ask(conflicts.preview, visit.runtime, choice, wanted)
        with widgets.dialog(words("bulk.title"), words("close")) as dialog:
            widgets.text(
                "p", words("bulk.about", choice=words(f"choice.{choice}"), number=words.number(found.conflicts))
            )
            widgets.text("p", words(f"effect.{choice}"), "zk-note")
            widgets.facts(self._facts(found))

            async def go() -> None:
                outcome = await visit.once(
                    key, conflicts.decide_matching, visit.runtime, visit.actor, choice, wanted, found.digest
                )
                dialog.close()
                await self._report(outcome)

            with widgets.actions():
                widgets.button(words("cancel"), dialog.close)
                number = words.number(found.conflicts - found.left)
                button = widgets.button(
                    words("bulk.apply", number=number), visit.act(Role.OPERATOR, go), kind="primary"
                )
                button.set_enabled(found.conflicts > found.left)

    def _facts(self, found: DecisionPreview) -> list[tuple[str, Cell]]:
        words = self._words
        numbers = {name: getattr(found, name) for name in (*_WRITES, "left")}
        facts: list[tuple[str, Cell]] = [
            (words(f"bulk.{name}"), words.number(number)) for name, number in numbers.items() if number
        ]
        if found.adjusts:
            return facts  # The text of each says how many minutes are owed.
        return [*facts, (words("bulk.minutes"), words.minutes(found.minutes))]

    async def _report(self, outcome: BulkResult) -> None:
        words = self._words
        self.clear()
        self._visit.notify(words("bulk.decided", number=words.number(len(outcome.decided))))
        if outcome.left:
            title = words("bulk.not_decided", number=words.number(len(outcome.left)))
            with widgets.dialog(title, words("close")):
                for left in outcome.left[:LEFT_SHOWN]:
                    widgets.text("p", left.why)
        await self._decided()


# The list of the plan's lines: filters, pages, and the selection for deciding about many.

SIZE = 20

_TONES: dict[str, Tone] = {"in_sync": "good", "missing": "info", "excluded": "calm"}

Lines = tuple[tuple[PlanRow, ...], int]


class Listing:
    """The section's parts, and the page that is shown."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        with widgets.card():
            self._filters = Filters(visit, self._filtered)
            self._bulk = Bulk(visit, self._filters, self.refresh) if visit.may(Role.OPERATOR) else None
            self._panel: Panel[Lines] = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def open(self) -> None:
        """Load the list, and the conflict that the address names."""
        await self.refresh()
        named = self._visit.client.request.query_params.get("conflict", "")
        if named.isdecimal():
            with self._visit.showing_errors():
                await detail.of_conflict(self._visit, int(named), self.refresh)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    async def _filtered(self) -> None:
        self._page = 1
        if self._bulk:
            self._bulk.clear()
        await self.refresh()

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()

    def _load(self) -> Lines:
        return comparison.page(self._visit.runtime, self._filters.wanted, SIZE, (self._page - 1) * SIZE)

    def _show(self, loaded: Lines) -> None:
        lines, total = loaded
        words = self._visit.words
        if not lines:
            hint = "narrow" if self._filters.is_narrow else self._filters.wanted.view
            widgets.empty(words("reconcile.none"), words(f"reconcile.none.{hint}"))
            return
        names = ("day", "ticket", "agent", "customer")
        columns = [
            *([Column(words("reconcile.select"))] if self._bulk else []),
            *(Column(words(f"reconcile.{name}")) for name in names),
            Column(words("reconcile.minutes"), number=True),
            Column(words("reconcile.state")),
        ]
        widgets.table(words("reconcile.title"), columns, [self._row(line) for line in lines])
        widgets.pager(words, self._page, SIZE, total, self._go)
        if self._bulk:
            self._bulk.shown(lines, total)

    def _row(self, line: PlanRow) -> list[Cell]:
        words, booking = self._visit.words, line.booking
        sheet = line.timesheet
        title = f"{booking.ticket_number} {booking.ticket_title}" if booking else words("reconcile.sheet", id=line.key)
        minutes = booking.minutes if booking else sheet.minutes if sheet else None
        return [
            *([lambda: self._select(line)] if self._bulk else []),
            words.day(line.day),
            lambda: widgets.open_button(title, self._visit.act(Role.VIEWER, lambda: self._open(line))),
            booking.agent if booking else (sheet.user or "" if sheet else ""),
            (booking.customer if booking else sheet.customer if sheet else "") or "",
            "" if minutes is None else words.number(minutes),
            lambda: state(self._visit, line),
        ]

    def _select(self, line: PlanRow) -> None:
        if self._bulk and line.conflict_id is not None:
            self._bulk.box(line)
        else:
            widgets.text("span", "")

    async def _open(self, line: PlanRow) -> None:
        if line.conflict_id is not None:
            await detail.of_conflict(self._visit, line.conflict_id, self.refresh)
        else:
            await detail.of_line(self._visit, line)


def state(visit: Visit, line: PlanRow) -> None:
    """A line's state, its reason, and the decision."""
    words = visit.words
    with widgets.box("zk-row zk-states"):
        if line.taken_back_by:
            widgets.chip(words("value.taken_back"), "warn")
        elif line.carried_out:
            widgets.chip(words("value.carried_out"), "good")
        elif line.conflict_id or line.reason:
            label = words.known(f"reason.{line.reason}", words("value.review"))
            widgets.chip(label, "warn" if line.conflict_id else "calm")
        else:
            widgets.chip(words.known(f"value.{line.status}", line.status), _TONES.get(line.status, "info"))
        if line.decided:
            decided = words.known(f"choice.{line.decided}", line.decided)
            widgets.chip(words("reconcile.decided", choice=decided), "info")
