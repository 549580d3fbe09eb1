"""The section Dashboard: how things stand."""

from zk_pipeline.web.console import parts
from zk_pipeline.web.console.section import Section
from zk_pipeline.web.console.visit import Visit


async def _show(visit: Visit) -> None:
    parts.empty(visit.words("dashboard.title"), visit.words("dashboard.about"))


SECTION = Section("dashboard", "dashboard", _show)
