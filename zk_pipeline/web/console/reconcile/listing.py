"""The list of the plan's lines: filters, pages, and the selection for deciding about many."""

from zk_pipeline.operations import reconciliation
from zk_pipeline.operations.actors import Role
from zk_pipeline.operations.reconciliation import Line
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.parts import Cell, Column, Tone
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.bulk import Bulk
from zk_pipeline.web.console.reconcile.filters import Filters
from zk_pipeline.web.console.visit import Visit

SIZE = 20

_TONES: dict[str, Tone] = {"in_sync": "good", "missing": "info", "excluded": "calm"}

Lines = tuple[tuple[Line, ...], int]


class Listing:
    """The section's parts, and the page that is shown."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        with parts.card():
            self._filters = Filters(visit, self._filtered)
            self._bulk = Bulk(visit, self._filters, self.refresh) if visit.may(Role.OPERATOR) else None
            self._panel: Panel[Lines] = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def open(self) -> None:
        """Load the list, and the conflict that the address names."""
        await self.refresh()
        named = self._visit.client.request.query_params.get("conflict", "")
        if named.isdecimal():
            with self._visit.telling():
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
        return reconciliation.page(self._visit.runtime, self._filters.wanted, SIZE, (self._page - 1) * SIZE)

    def _show(self, loaded: Lines) -> None:
        lines, total = loaded
        words = self._visit.words
        if not lines:
            hint = "narrow" if self._filters.is_narrow else self._filters.wanted.view
            parts.empty(words("reconcile.none"), words(f"reconcile.none.{hint}"))
            return
        names = ("day", "ticket", "agent", "customer")
        columns = [
            *([Column(words("reconcile.select"))] if self._bulk else []),
            *(Column(words(f"reconcile.{name}")) for name in names),
            Column(words("reconcile.minutes"), number=True),
            Column(words("reconcile.state")),
        ]
        parts.table(words("reconcile.title"), columns, [self._row(line) for line in lines])
        parts.pager(words, self._page, SIZE, total, self._go)
        if self._bulk:
            self._bulk.shown(lines, total)

    def _row(self, line: Line) -> list[Cell]:
        words, booking = self._visit.words, line.booking
        sheet = line.timesheet
        title = f"{booking.ticket_number} {booking.ticket_title}" if booking else words("reconcile.sheet", id=line.key)
        minutes = booking.minutes if booking else sheet.minutes if sheet else None
        return [
            *([lambda: self._select(line)] if self._bulk else []),
            words.day(line.day),
            lambda: parts.open_button(title, self._visit.act(Role.VIEWER, lambda: self._open(line))),
            booking.agent if booking else (sheet.user or "" if sheet else ""),
            (booking.customer if booking else sheet.customer if sheet else "") or "",
            "" if minutes is None else words.number(minutes),
            lambda: state(self._visit, line),
        ]

    def _select(self, line: Line) -> None:
        if self._bulk and line.conflict_id is not None:
            self._bulk.box(line)
        else:
            parts.text("span", "")

    async def _open(self, line: Line) -> None:
        if line.conflict_id is not None:
            await detail.of_conflict(self._visit, line.conflict_id, self.refresh)
        else:
            await detail.of_line(self._visit, line)


def state(visit: Visit, line: Line) -> None:
    """How a line stands: its state, why it waits, and what was decided."""
    words = visit.words
    with parts.box("zk-row zk-states"):
        if line.taken_back_by:
            parts.chip(words("value.taken_back"), "warn")
        elif line.carried_out:
            parts.chip(words("value.carried_out"), "good")
        elif line.conflict_id or line.reason:
            label = words.known(f"reason.{line.reason}", words("value.review"))
            parts.chip(label, "warn" if line.conflict_id else "calm")
        else:
            parts.chip(words.known(f"value.{line.status}", line.status), _TONES.get(line.status, "info"))
        if line.decided:
            decided = words.known(f"choice.{line.decided}", line.decided)
            parts.chip(words("reconcile.decided", choice=decided), "info")
