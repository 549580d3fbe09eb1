"""Links that go with what is told: the ticket in Zammad, the time sheet in Kimai, the day and the run in Dagster."""

from dataclasses import dataclass
from datetime import date

from zk_pipeline.dagster_server import partition_url, run_url
from zk_pipeline.domain import pages
from zk_pipeline.runtime import Runtime
from zk_pipeline.store.addresses import Addresses

PLAN = "sync/reconciliation_results"
"""The asset whose day a line of the plan stands on."""


@dataclass(frozen=True, slots=True)
class Links:
    """Where people find things; a link is `None` where there is nothing to point to."""

    addresses: Addresses
    dagster: str

    @classmethod
    def of(cls, runtime: Runtime, addresses: Addresses) -> "Links":
        """The links of this installation."""
        return cls(addresses, runtime.settings.dagster_link)

    def ticket(self, ticket_id: int | None) -> str | None:
        """The ticket in Zammad."""
        url = self.addresses.source_url
        return pages.ticket(url, ticket_id) if url and ticket_id is not None else None

    def timesheet(self, timesheet_id: int | None) -> str | None:
        """The time sheet in Kimai."""
        url = self.addresses.target_url
        return pages.timesheet(url, timesheet_id) if url and timesheet_id is not None else None

    def day(self, day: date) -> str:
        """The plan of a day in Dagster."""
        return partition_url(self.dagster, PLAN, day)

    def run(self, run_id: str) -> str:
        """A run in Dagster."""
        return run_url(self.dagster, run_id)
