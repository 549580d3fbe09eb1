"""The section Mappings: what is not mapped yet, and the mappings."""

from zk_pipeline.web.console.mappings.board import Board
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Board(visit).refresh()


SECTION = Section("mappings", "swap_horiz", _show)
