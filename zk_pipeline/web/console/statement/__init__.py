"""The section Month: its way to being closed, and where every minute of it went."""

from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.statement.board import Board
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Board(visit).refresh()


SECTION = Section("statement", "event_available", _show)
