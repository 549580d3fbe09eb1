"""The section Audit & history: the runs, the audit trail, and the story of one entry."""

from zk_pipeline.web.console.audit.history import History
from zk_pipeline.web.console.audit.trace import Tracer
from zk_pipeline.web.console.audit.trail import Trail
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    Tracer(visit)
    trail, history = Trail(visit), History(visit)
    await trail.refresh()
    await history.refresh()


SECTION = Section("audit", "history", _show)
