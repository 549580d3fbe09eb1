"""Links to the pages of a ticket, a time sheet, a day and a run."""

from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from zk_pipeline.domain.records import MasterDataKind
from zk_pipeline.runtime.dagster_server import partition_url, run_url
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.connectors import ActiveConnectors

# The pages that show a ticket or a time sheet in source and target.


def ticket(base_url: str, ticket_id: str) -> str:
    """The ticket in Zammad."""
    return f"{base_url}/#ticket/zoom/{ticket_id}"


def timesheet(base_url: str, timesheet_id: int) -> str:
    """The form of a time sheet in Kimai."""
    return f"{base_url}/en/team/timesheet/{timesheet_id}/edit"


def alert_about(settings: Settings, run_id: str) -> str:
    """Where an alert about a run leads: its page in Dagster's UI, or the console, which lists it."""
    link = settings.alert_link
    return link if link == settings.public_url and link != settings.dagster_ui else run_url(link, run_id)


def master_data(base_url: str, kind: MasterDataKind, record_id: int) -> str:
    """The page of a customer, project or activity in Kimai."""
    return f"{base_url}/en/admin/{kind}/{record_id}/details"


def customers(base_url: str) -> str:
    """The list of customers in Kimai."""
    return f"{base_url}/en/admin/customer/"


def permissions(base_url: str) -> str:
    """The page where Kimai's roles get their permissions."""
    return f"{base_url}/en/admin/permissions"


def kimai_user(base_url: str, username: str) -> str:
    """The settings of a person in Kimai."""
    return f"{base_url}/en/profile/{quote(username, safe='')}/edit"


# Links for messages: the ticket in Zammad, the time sheet in Kimai, the day and the run in Dagster.

PLAN = "sync/reconciliation_results"
"""The asset whose day a line of the plan stands on."""


@dataclass(frozen=True, slots=True)
class Links:
    """Links for people; a link is `None` if there is nothing to point to."""

    addresses: ActiveConnectors
    dagster: str

    @classmethod
    def of(cls, runtime: Runtime, addresses: ActiveConnectors) -> "Links":
        """The links of this installation."""
        return cls(addresses, runtime.settings.dagster_link)

    def ticket(self, ticket_id: str | None) -> str | None:
        """The ticket in Zammad."""
        url = self.addresses.source_url
        return ticket(url, ticket_id) if url and ticket_id is not None else None

    def timesheet(self, timesheet_id: int | None) -> str | None:
        """The time sheet in Kimai."""
        url = self.addresses.target_url
        return timesheet(url, timesheet_id) if url and timesheet_id is not None else None

    def day(self, day: date) -> str:
        """The plan of a day in Dagster."""
        return partition_url(self.dagster, PLAN, day)

    def run(self, run_id: str) -> str:
        """A run in Dagster."""
        return run_url(self.dagster, run_id)
