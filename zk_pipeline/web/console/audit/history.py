"""All runs, page by page, newest first."""

from zk_pipeline.operations import runs
from zk_pipeline.operations.runs import Run
from zk_pipeline.web.console import parts, run_table
from zk_pipeline.web.console.panel import Panel
from zk_pipeline.web.console.run_actions import RunActions
from zk_pipeline.web.console.visit import Visit

SIZE = 10


class History:
    """The list of runs, and the page that is shown."""

    def __init__(self, visit: Visit) -> None:
        self._visit, self._page = visit, 1
        with parts.card(visit.words("runs.all")):
            self._panel: Panel[tuple[tuple[Run, ...], int]] = Panel(visit, self._load, self._show)
        visit.live(self.refresh)

    async def refresh(self) -> None:
        """Load the page again."""
        await self._panel.refresh()

    def _load(self) -> tuple[tuple[Run, ...], int]:
        return runs.page(self._visit.runtime, SIZE, (self._page - 1) * SIZE)

    def _show(self, loaded: tuple[tuple[Run, ...], int]) -> None:
        shown, total = loaded
        run_table.show(self._visit.words, shown, RunActions(self._visit).show)
        if total > SIZE:
            parts.pager(self._visit.words, self._page, SIZE, total, self._go)

    async def _go(self, page: int) -> None:
        self._page = page
        await self.refresh()
