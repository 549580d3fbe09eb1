"""The section Reconcile: the plan line by line, with both sides and the decisions."""

from zk_pipeline.web.console.reconcile.listing import Listing
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    await Listing(visit).open()


SECTION = Section("reconcile", "compare_arrows", _show)
