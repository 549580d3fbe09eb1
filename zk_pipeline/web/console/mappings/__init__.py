"""The section Mappings: what still lacks a Kimai user, activity or customer, and what stands for what."""

from zk_pipeline.web.console.mappings.board import Board
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Board(visit).refresh()


SECTION = Section("mappings", "swap_horiz", _show)
