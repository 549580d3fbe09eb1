"""The sections of the console, in their order."""

from zk_pipeline.web.console import audit, connectors, dashboard, mappings, reconcile, statement
from zk_pipeline.web.console.section import Section

SECTIONS: tuple[Section, ...] = (
    dashboard.SECTION,
    connectors.SECTION,
    mappings.SECTION,
    reconcile.SECTION,
    statement.SECTION,
    audit.SECTION,
)
