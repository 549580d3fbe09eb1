"""The sections of the console, in their order."""

from zk_pipeline.web.console import audit, dashboard
from zk_pipeline.web.console.section import Section

SECTIONS: tuple[Section, ...] = (dashboard.SECTION, audit.SECTION)
