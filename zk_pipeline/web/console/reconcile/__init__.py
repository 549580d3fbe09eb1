"""The section To do: what waits by cause with what solves it, what was left out, and every line of the plan."""

from zk_pipeline.web.console.reconcile.board import Board
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Board(visit).open()


SECTION = Section("reconcile", "checklist", _show)
