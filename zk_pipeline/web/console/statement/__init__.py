"""The section Statement: where every minute of a month went, and whether all of it adds up."""

from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.statement.board import Board
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Board(visit).refresh()


SECTION = Section("statement", "balance", _show)
