"""The connector: zk_pipeline's contract for sources, kept with a folder of CSV files."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.contract import ChangedRows, Endpoint, RequestCounts, SourceConnector, Sweep, SweepReport
from zk_pipeline.connectors.errors import AuthenticationError, ConnectorError
from zk_pipeline.domain.records import BookingKey, Existence, SourceDirectory, Ticket, TimeAccounting, Window
from zk_pipeline.domain.vital_figures import Level

from zk_connector_csv import rows
from zk_connector_csv.folder import Folder

ACCOUNTS, BOOKINGS, TICKETS = "accounts.csv", "bookings.csv", "tickets.csv"
PAGE = 1000
VERSION = "1"
"""Of the format that README.md describes."""


class CsvConnector(SourceConnector):
    """Reads the bookings of one folder. Every call looks whether the token is among the accounts."""

    kind = "csv"

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._folder = Folder(endpoint)

    @property
    def requests(self) -> RequestCounts:
        """How often a file was read."""
        return self._folder.requests

    def close(self) -> None:
        """There is nothing to release: no file stays open between two calls."""

    def validate(self) -> Validation:
        """Try what a sync reads, file by file."""
        try:
            account = self._account()
            people = self.fetch_agents([account]).agents
            number = len(self._all())
            self._folder.read(TICKETS, rows.ticket)
        except ConnectorError as error:
            return Validation(VERSION, None, None, (Finding("Folder", Level.FAIL, error.summary, error.remedy),))
        name = people[0].name if people else f"agent {account}"
        found = Finding("Folder", Level.PASS, f"{number} bookings can be read.")
        return Validation(VERSION, name, "UTC", (found,))

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:  # noqa: ARG002
        """One look at the file is the whole truth of that moment, so that a hint saves nothing."""
        return Sweep(lambda: self._read(window))

    def fetch_changes(self, since: datetime) -> ChangedRows:
        """The bookings created or edited since, newest change first."""
        bookings = self._live()
        changed = [row for row in bookings if row.updated_at >= since]
        return ChangedRows(
            tuple(sorted(changed, key=lambda row: (row.updated_at, row.id), reverse=True)), len(bookings)
        )

    def fetch_of_ticket(self, ticket_id: int) -> list[TimeAccounting]:
        """The bookings on one ticket."""
        return [row for row in self._live() if row.ticket_id == ticket_id]

    def fetch_types(self) -> SourceDirectory:
        """All activity types."""
        self._account()
        return SourceDirectory(activity_types=tuple(self._folder.read("activity_types.csv", rows.activity_type)))

    def fetch_agents(self, ids: Collection[int]) -> SourceDirectory:
        """These agents."""
        self._account()
        return SourceDirectory(tuple(row for row in self._folder.read("agents.csv", rows.agent) if row.id in ids))

    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """The tickets of these bookings."""
        self._account()
        wanted = {row.ticket_id for row in accountings}
        names = {row.id: row.name for row in self._folder.read("organizations.csv", rows.organization)}
        return [
            replace(ticket, organization_name=names.get(ticket.organization_id or 0))
            for ticket in self._folder.read(TICKETS, rows.ticket)
            if ticket.id in wanted
        ]

    def find(self, text: str) -> SourceDirectory:
        """Whoever has this text in the name or address, or this id."""
        self._account()
        agents = self._folder.read("agents.csv", rows.agent)
        organizations = self._folder.read("organizations.csv", rows.organization)
        return SourceDirectory(
            tuple(row for row in agents if text == f"id:{row.id}" or _names(text, row.name, row.email)),
            tuple(row for row in organizations if text == f"id:{row.id}" or _names(text, row.name)),
            (),
        )

    def exists(self, booking: BookingKey) -> Existence:
        """A booking is gone when its line says so, or when a file that was read to its end has no such line."""
        return Existence.THERE if any(row.id == booking.id for row in self._live()) else Existence.GONE

    def _read(self, window: Window) -> Iterator[list[TimeAccounting] | SweepReport]:
        bookings = sorted(self._live(), key=lambda row: (row.created_at, row.id))
        within = [row for row in bookings if window.start <= row.created_at < window.end]
        yield from (within[start : start + PAGE] for start in range(0, len(within), PAGE))
        yield SweepReport(
            window=window,
            pages=1,
            rows=len(within),
            total_before=len(bookings),
            total_after=len(bookings),
            high_water=max((row.updated_at for row in within), default=None),
            complete=True,
            rows_before=sum(row.created_at < window.start for row in bookings),
        )

    def _live(self) -> list[TimeAccounting]:
        return [row for row in self._all() if not row.raw["deleted_at"]]

    def _all(self) -> list[TimeAccounting]:
        self._account()
        return self._folder.read(BOOKINGS, rows.booking)

    def _account(self) -> int:
        """The agent whom our token belongs to. Raises `AuthenticationError`."""
        known = dict(self._folder.read(ACCOUNTS, lambda line: (line["token"], int(line["agent_id"]))))
        if self.endpoint.token not in known:
            raise AuthenticationError(
                "The token is not among the accounts.",
                **self._where("READ", ACCOUNTS),
                remedy=f"Add it to {ACCOUNTS}, or store the connector with the right one.",
            )
        return known[self.endpoint.token]

    def _where(self, method: str, path: str) -> dict[str, Any]:
        return {"system": self.endpoint.name, "method": method, "path": path}


def _names(text: str, *names: str) -> bool:
    return any(text.casefold() in name.casefold() for name in names)
