"""What was left out on purpose, with who did so and why, and the way back."""

from zk_pipeline.decisions import conflicts
from zk_pipeline.decisions.conflicts import Conflict, ConflictList
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.identity.actors import Role
from zk_pipeline.web.console import feedback, marks, widgets
from zk_pipeline.web.console.causes import subject_of
from zk_pipeline.web.console.reconcile import detail
from zk_pipeline.web.console.reconcile.pane import Pane
from zk_pipeline.web.console.visit import Visit
from zk_pipeline.web.console.widgets import Cell, Column, Panel

SIZE = 50


class LeftOut:
    """The list, a page at a time."""

    def __init__(self, visit: Visit, pane: Pane, wanted: ConflictFilter) -> None:
        self._visit, self._pane, self._wanted, self._page = visit, pane, wanted, 1
        with widgets.card():
            self._panel: Panel[ConflictList] = Panel(visit, self._load, self._show)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    def _load(self) -> ConflictList:
        return conflicts.list_conflicts(self._visit.runtime, self._wanted, SIZE, (self._page - 1) * SIZE)

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()

    def _show(self, found: ConflictList) -> None:
        words = self._visit.words
        if not found.items:
            widgets.empty(words("left_out.none"), words("left_out.none.hint"))
            return
        names = ("reconcile.day", "reconcile.ticket", "reconcile.agent", "reconcile.customer")
        columns = [*(Column(words(name)) for name in names), Column(words("todo.hours"), number=True)]
        columns += [Column(words("left_out.why")), Column("")]
        widgets.table(words("todo.view.left_out"), columns, [self._row(row) for row in found.items]).classes("zk-dense")
        widgets.pager(words, self._page, SIZE, found.total, self._go)

    def _row(self, row: Conflict) -> list[Cell]:
        words, visit = self._visit.words, self._visit
        ticket = " ".join(filter(None, (row.ticket_number, row.ticket_title)))
        title = subject_of(words, ticket, row.kimai_id, row.key)
        open_row = visit.act(Role.VIEWER, lambda: detail.of_conflict(visit, self._pane, row.id))
        by = ""
        if row.decided_at:
            name = marks.actor(words, row.decided_by_name)
            by = words("left_out.by", name=name, at=words.instant(row.decided_at))
        return [
            words.day(row.entry_date),
            lambda: widgets.open_button(title, open_row).props("data-zk-item"),
            row.user_name or "",
            row.organization_name or row.customer_name or "",
            lambda: widgets.hours(words, row.minutes),
            " · ".join(filter(None, (row.decision_why, by))),
            lambda: self._back(row),
        ]

    def _back(self, row: Conflict) -> None:
        visit, words = self._visit, self._visit.words
        if not visit.may(Role.OPERATOR):
            return

        async def bring() -> None:
            with feedback.working(button):
                await visit.ask(conflicts.reopen, visit.runtime, visit.actor, row.id)
            visit.notify(words("left_out.back.done", hours=words.hours(row.minutes)))
            await self._pane.changed()

        button = widgets.button(words("left_out.back"), visit.act(Role.OPERATOR, bring), kind="quiet")
