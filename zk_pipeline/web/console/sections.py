"""The sections of the console, in their order."""

from zk_pipeline.web.console import audit, dashboard, reconcile
from zk_pipeline.web.console.section import Section

SECTIONS: tuple[Section, ...] = (dashboard.SECTION, reconcile.SECTION, audit.SECTION)
