"""Every line of the plan, with filters and pages."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import ui

from zk_pipeline.decisions import comparison, lists
from zk_pipeline.decisions.comparison import PlanRow
from zk_pipeline.decisions.lists import FilterOption, LineFilter, LineSelection
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.console import widgets
from zk_pipeline.web.console.causes import subject_of
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel, Tone

# What is listed of the plan: the four views and their filters.


class Filters:
    """The row of filters; `wanted` is their value, and `on_change` is called when it changes."""

    def __init__(self, visit: Visit, view: LineSelection, on_change: Callable[[], Awaitable[None]]) -> None:
        self._on_change, self._view = on_change, view
        words, given = visit.words, visit.client.request.query_params
        with widgets.box("zk-views").props("role=group") as group:
            group.props["aria-label"] = words("reconcile.views")
            self._buttons = {view: self._view_button(words(f"reconcile.{view}"), view) for view in LineSelection}
        reasons = {"": words("all"), **{reason.value: words(f"reason.{reason}") for reason in Reason}}
        with widgets.box("zk-filters"):
            self._reason = widgets.choice(words("reconcile.reason"), reasons, "", on_change)
            self._agent = self._named(visit, words("reconcile.agent"), lists.agent_options)
            self._customer = self._named(visit, words("reconcile.customer"), lists.customer_options)
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

    def _named(self, visit: Visit, label: str, options: Callable[[Runtime, str], Sequence[FilterOption]]) -> ui.input:
        """A part of a name, to type or to choose with the number of its bookings."""

        async def find(part: str) -> dict[str, str]:
            found = await visit.ask(options, visit.runtime, part)
            return {one.name: visit.words.counted(one.name, one.number) for one in found}

        field = widgets.search(label, self._on_change)
        widgets.offer(field, find)
        return field

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


# The list of the plan's lines: filters and pages.

SIZE = 20

_TONES: dict[str, Tone] = {"in_sync": "good", "missing": "info", "excluded": "calm"}

Lines = tuple[tuple[PlanRow, ...], int]


class Listing:
    """The section's parts, and the page that is shown."""

    def __init__(self, visit: Visit, pane: Pane, view: LineSelection) -> None:
        self._visit, self._pane, self._page = visit, pane, 1
        with widgets.card():
            self._filters = Filters(visit, view, self._filtered)
            self._panel: Panel[Lines] = Panel(visit, self._load, self._show)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    async def _filtered(self) -> None:
        self._page = 1
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
        columns = [*(Column(words(f"reconcile.{name}")) for name in names)]
        columns += [Column(words("todo.hours"), number=True), Column(words("reconcile.state"))]
        rows = [self._row(line) for line in lines]
        widgets.table(words("todo.view.all"), columns, rows).classes("zk-dense")
        widgets.pager(words, self._page, SIZE, total, self._go)

    def _row(self, line: PlanRow) -> list[Cell]:
        words, booking = self._visit.words, line.booking
        sheet = line.timesheet
        ticket = f"{booking.ticket_number} {booking.ticket_title}" if booking else None
        title = subject_of(words, ticket, sheet.timesheet_id if sheet else None, line.key)
        minutes = booking.minutes if booking else sheet.minutes if sheet else None
        return [
            words.day(line.day),
            lambda: widgets.open_button(title, self._visit.act(Role.VIEWER, lambda: self._open(line))).props(
                "data-zk-item"
            ),
            booking.agent if booking else (sheet.user or "" if sheet else ""),
            (booking.customer if booking else sheet.customer if sheet else "") or "",
            "" if minutes is None else lambda: widgets.hours(words, minutes),
            lambda: state(self._visit, line),
        ]

    async def _open(self, line: PlanRow) -> None:
        if line.conflict_id is not None:
            await detail.of_conflict(self._visit, self._pane, line.conflict_id)
        else:
            await detail.of_line(self._visit, self._pane, line)


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
