"""The section Connectors: where Zammad and Kimai are, which of them are used, and whether they let us work."""

from zk_pipeline.web.console.connectors.cards import Cards
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Cards(visit).refresh()


SECTION = Section("connectors", "power", _show)
