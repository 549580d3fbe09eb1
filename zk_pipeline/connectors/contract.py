"""The plug-in contract: what a source of bookings and a target for time sheets must offer.

A third party adds a connector by subclassing `SourceConnector` or `TargetConnector` and naming the class in the entry
point group `zk_pipeline.sources` or `zk_pipeline.targets`. `zk_pipeline.connectors.conformance` holds the tests
that every connector must pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.domain.records import (
    AccountingChange,
    AccountingDraft,
    Customer,
    InvoiceReading,
    Project,
    SourceDirectory,
    TargetDirectory,
    Ticket,
    TimeAccounting,
    Timesheet,
    TimesheetChange,
    TimesheetDraft,
    Window,
)
from zk_pipeline.domain.requests import Traffic
from zk_pipeline.domain.vanished import SortedListing

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connector talks to. `name` identifies the connector in markers and the ledger; the token never shows.

    `attempts` is how often a call is tried in all before its failure counts; `ca_bundle` is a file with certificates of
    authorities that are trusted in addition to the usual ones.
    """

    name: str
    base_url: str
    token: str = field(repr=False)
    timeout_seconds: float = 30.0
    attempts: int = 3
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """Proof of what a sweep saw; only a complete sweep may conclude that something is gone.

    `pages` counts the page requests, `rows` the rows within the window. The totals are the system's own counts of what
    the pages were cut from. `rows_before` is the `hint` for the next sweep of the window, where the system has one.
    """

    window: Window
    pages: int
    rows: int
    total_before: int
    total_after: int
    high_water: datetime | None
    complete: bool
    reason: str = ""
    rows_before: int | None = None


class Sweep(Generic[Row]):
    """A paged read of one window. Iterate over `pages()` once; `report` is there when that has ended.

    A failed page raises out of the iteration, and then there is no report.
    """

    def __init__(self, read: Callable[[], Iterator[list[Row] | SweepReport]]) -> None:
        self._read = read
        self._report: SweepReport | None = None

    def pages(self) -> Iterator[list[Row]]:
        """Yield the rows page by page, in the order of the system."""
        for part in self._read():
            if isinstance(part, SweepReport):
                self._report = part
            else:
                yield part

    @property
    def report(self) -> SweepReport:
        """The proof of the whole read. Raises `RuntimeError` while the pages were not read to their end."""
        if self._report is None:
            raise RuntimeError("The sweep has no report yet: read its pages to the end first.")
        return self._report


@dataclass(frozen=True, slots=True)
class RemainingChanges:
    """Where a long read of changes goes on: below the change at `until`, which stood at `position` of the list then.

    `total` is how many bookings there were when the read began.
    """

    until: datetime
    position: int
    page_size: int
    total: int


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """Bookings that were created or edited lately, newest change first, and how many bookings there are in all.

    `rest` is where to go on when there are more than one call reads.
    """

    rows: tuple[TimeAccounting, ...]
    total: int
    rest: RemainingChanges | None = None


@dataclass(frozen=True, slots=True)
class ChangedTicket:
    """A ticket that changed in whatever way, and the sum of its bookings in the source's own number."""

    ticket: Ticket
    units: Decimal


@dataclass(frozen=True, slots=True)
class ChangedTickets:
    """Tickets by the time of their change, oldest first; `complete` unless there are more than one call reads."""

    rows: tuple[ChangedTicket, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class NewestRow:
    """The highest id that a list has and how many rows, at one moment: `at` by the target's own clock, if it tells."""

    id: int
    total: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests sent so far, retries included."""

    reads: int
    writes: int


@dataclass(frozen=True, slots=True)
class SystemState:
    """How a system answered last. `problem` is empty when it did; `wait` are the seconds that it asked for.

    `refused` says that it is at work and does not take our token.
    """

    problem: str = ""
    wait: float | None = None
    refused: bool = False


class Connector(ABC):
    """A client of one outside system. Safe for use by several threads; close it, or use it as a context manager.

    Every method raises the typed errors of `connectors.errors` and nothing else for what the system does.
    """

    kind: ClassVar[str]

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    @abstractmethod
    def requests(self) -> RequestCounts:
        """Requests sent since the connector was made."""

    def version_findings(self) -> tuple[Finding, ...]:
        """What there is to say about the system's version, in one request: a failure is an unsupported one.

        Where the version is not told, or no answer comes, nothing fails.
        """
        return ()

    @property
    def traffic(self) -> Traffic:
        """The same by status, and how long they took; nothing from a connector that does not measure it."""
        return {}

    @property
    def system_state(self) -> SystemState | None:
        """Whether the system answers, as the last request showed; `None` before one, and where it cannot be told."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the connections. May be called twice."""

    @abstractmethod
    def validate(self) -> Validation:
        """Test connection, version and permissions; problems are findings, not exceptions."""


class SourceConnector(Connector):
    """A system in which people book time on tickets."""

    @abstractmethod
    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the bookings created within the window, oldest first.

        `hint` is the number of rows before the window as an earlier sweep saw it; it may save requests and is never
        trusted.
        """

    @abstractmethod
    def fetch_changes(self, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        """Read the bookings created or edited at `since` or later; one request when there is little or nothing.

        Deletions show only in the total. A source that does not read all at once gives a `rest`, and is called again
        with it, perhaps by another process.
        """

    @abstractmethod
    def fetch_of_ticket(self, ticket_id: int) -> list[TimeAccounting]:
        """Read the bookings on one ticket. An empty list proves nothing: the ticket itself may be gone."""

    def fetch_changed_tickets(self, since: datetime) -> ChangedTickets:
        """Read the tickets that changed after `since`, as far as few requests go; none where that cannot be asked."""
        del since
        return ChangedTickets((), complete=True)

    def listing(self) -> SortedListing[TimeAccounting] | None:
        """All bookings by creation and id, readable at any place; `None` where the source has no such list."""
        return None

    @abstractmethod
    def fetch_types(self) -> SourceDirectory:
        """Read all activity types."""

    @abstractmethod
    def fetch_agents(self, ids: Collection[int]) -> SourceDirectory:
        """Read these people and no others; who is not there any more is left out."""

    @abstractmethod
    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the tickets of these bookings, each with the name of its organization.

        What the account may not see is filled as far as the system allows.
        """

    @abstractmethod
    def find(self, text: str) -> SourceDirectory:
        """Look for agents and organizations that a person named, by address, login, name or `id:N`.

        For a mapping that is made before they book. More may be found than was meant, and nobody proves nothing.
        """

    @abstractmethod
    def exists(self, accounting_id: int) -> bool:
        """Tell whether a booking still exists; false only on the system's own proof."""

    @abstractmethod
    def create(self, draft: AccountingDraft) -> TimeAccounting:
        """Book time."""

    @abstractmethod
    def update(self, accounting_id: int, change: AccountingChange) -> TimeAccounting:
        """Change a booking."""

    @abstractmethod
    def delete(self, accounting_id: int) -> None:
        """Delete a booking; one that is already gone is no error."""


class TargetConnector(Connector):
    """A system from which time is billed."""

    @abstractmethod
    def fetch(self, window: Window) -> Sweep[Timesheet]:
        """Read the time sheets of all users that begin within the window."""

    @abstractmethod
    def fetch_changes(self, since: datetime) -> list[Timesheet]:
        """Read the time sheets of all users that were created or edited at `since` or later, whenever they begin.

        Deletions, and what the target changes past its own timestamps, do not show.
        """

    def changes(self, since: datetime) -> SortedListing[Timesheet] | None:
        """What `fetch_changes` reads, by id and readable in parts; `None` where there is no such list."""
        del since
        return None

    def newest(self) -> NewestRow | None:
        """The highest id of a time sheet and how many there are, of all users; `None` where that cannot be asked."""
        return None

    def listing(self, words: str) -> SortedListing[Timesheet] | None:
        """The time sheets of all users whose description holds the words, by id; `None` where there is no such list."""
        del words
        return None

    @abstractmethod
    def fetch_directory(self) -> TargetDirectory:
        """Read the server's settings, users, customers, projects and activities, hidden ones included."""

    def fetch_invoices(self) -> InvoiceReading:
        """Read all invoices; that the account may not read them, or that there is no such list, is no error."""
        return InvoiceReading(problem="The connector does not read invoices.")

    def fetch_billed(self) -> list[Timesheet]:
        """Read all time sheets that are exported and billable, whenever they begin; only where invoices are read."""
        return []

    @abstractmethod
    def get(self, timesheet_id: int) -> Timesheet | None:
        """Read one time sheet, or `None` when the system says that it does not exist."""

    @abstractmethod
    def find(self, marker: str) -> list[Timesheet]:
        """Find the time sheets whose description holds the marker as a token, whoever owns them, lowest id first."""

    @abstractmethod
    def create(self, draft: TimesheetDraft) -> Timesheet:
        """Create a time sheet in a single attempt; an error with `outcome_unknown` may have created it all the same."""

    @abstractmethod
    def update(self, current: Timesheet, change: TimesheetChange) -> Timesheet:
        """Change a time sheet that was read as `current`."""

    @abstractmethod
    def delete(self, timesheet_id: int) -> None:
        """Delete a time sheet; one that is already gone is no error."""

    @abstractmethod
    def create_customer(self, *, name: str, number: str) -> Customer:
        """Create a customer, or return the one that has this number already."""

    @abstractmethod
    def create_project(self, *, name: str, number: str, customer_id: int) -> Project:
        """Create a project, or return the one that has this number already."""

    @abstractmethod
    def find_customer(self, number: str) -> Customer | None:
        """The customer of exactly this number, hidden ones included; the oldest should there be several."""

    @abstractmethod
    def find_project(self, number: str) -> Project | None:
        """The project of exactly this number, hidden and ended ones included; the oldest should there be several."""

    @abstractmethod
    def delete_customer(self, customer_id: int, *, number: str) -> None:
        """Delete the customer if it has this number and nothing refers to it; one that is already gone is no error.

        Raises `StillInUseError` otherwise, and deletes nothing.
        """

    @abstractmethod
    def delete_project(self, project_id: int, *, number: str) -> None:
        """Delete the project if it has this number and nothing refers to it; one that is already gone is no error.

        Raises `StillInUseError` otherwise, and deletes nothing.
        """

    @abstractmethod
    def ensure_tags(self, names: Iterable[str]) -> None:
        """See to it that the tags exist and are visible."""
