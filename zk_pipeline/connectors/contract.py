"""The plug-in contract: what a source of bookings and a target for time sheets must offer.

A third party adds a connector by subclassing `SourceConnector` or `TargetConnector` and naming the class in the entry
point group `zk_pipeline.sources` or `zk_pipeline.targets`. Every connector must pass the tests in
`zk_pipeline.connectors.conformance`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.errors import PermissionDeniedError
from zk_pipeline.connectors.webhooks import WebhookScheme
from zk_pipeline.domain.records import (
    BookingKey,
    Customer,
    Existence,
    InvoiceReading,
    MasterDataKind,
    MasterDataState,
    Project,
    SourceDirectory,
    TargetDirectory,
    TargetServer,
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
    """The system of a connector. `name` identifies the connector in markers and the ledger; the token is never shown.

    `attempts` is the total number of tries of a call; `ca_bundle` is a file with certificates of authorities that are
    trusted in addition to the usual ones. `attributes` are those of tickets that rules read, such as `component` or
    `field:NAME`; a source gives these, and no others, in `Ticket.attributes`.
    """

    name: str
    base_url: str
    token: str = field(repr=False)
    timeout_seconds: float = 30.0
    attempts: int = 3
    ca_bundle: str = ""
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep read; only a complete sweep may conclude that something is gone.

    `pages` counts the page requests, `rows` the rows within the window. The totals are the system's own counts of the
    whole list, and `None` if it has none. `rows_before` is the `hint` for the next sweep of the window, if the system
    supports it.
    """

    window: Window
    pages: int
    rows: int
    total_before: int | None
    total_after: int | None
    high_water: datetime | None
    complete: bool
    reason: str = ""
    rows_before: int | None = None


@dataclass(frozen=True, slots=True)
class LastRead:
    """A complete sweep, and what is stored of its window: `rows`, of which `exported` are.

    It certainly shows what was changed before `since`, and nothing that was made after `until`; both have room for
    clocks that differ. `total`, `high_water` and `rows_before` are from its report; `tickets` are the bookings'.
    """

    window: Window
    since: datetime
    until: datetime
    total: int | None
    rows: int
    high_water: datetime | None = None
    rows_before: int | None = None
    exported: int = 0
    tickets: frozenset[str] = frozenset()

    def confirmed(self, total: int | None) -> SweepReport:
        """The report of a look that found everything as it was read, with the total of now."""
        return SweepReport(
            self.window, 0, self.rows, total, total, self.high_water, complete=True, rows_before=self.rows_before
        )


class Sweep(Generic[Row]):
    """A paged read of one window. Iterate over `pages()` once; afterwards there is a `report`.

    A failed page raises out of the iteration, and then there is no report.
    """

    def __init__(self, read: Callable[[], Iterator[list[Row] | SweepReport]]) -> None:
        self._read = read
        self._report: SweepReport | None = None

    def pages(self) -> Iterator[list[Row]]:
        """Yield the rows page by page, in the system's order."""
        for part in self._read():
            if isinstance(part, SweepReport):
                self._report = part
            else:
                yield part

    @property
    def report(self) -> SweepReport:
        """What was read. Raises `RuntimeError` until all pages were read."""
        if self._report is None:
            raise RuntimeError("The sweep has no report yet: read its pages to the end first.")
        return self._report


@dataclass(frozen=True, slots=True)
class RemainingChanges:
    """Where a long read of changes continues: below the change at `until`, which was at `position` of the list then.

    `total` is the number of bookings when the read began, if the source counts them.
    """

    until: datetime
    position: int
    page_size: int
    total: int | None


@dataclass(frozen=True, slots=True)
class ChangedRows:
    """Recently created or edited bookings, newest change first, and the total number of bookings, if there is one.

    `rest` is where to continue if there are more than one call reads. `gone` are the ids of bookings that the source
    says were deleted: their days are run, where `exists` has to prove it like any deletion. `until` is how far the
    feed could be read, if that is not as far as its newest row: a source may hide the last minute. `whole` is a span
    of which the rows are all bookings: stored ones that are not among them are looked for.
    """

    rows: tuple[TimeAccounting, ...]
    total: int | None
    rest: RemainingChanges | None = None
    gone: tuple[str, ...] = ()
    until: datetime | None = None
    whole: Window | None = None


@dataclass(frozen=True, slots=True)
class ChangedTicket:
    """A ticket that changed in any way, and the sum of its bookings in the source's own unit."""

    ticket: Ticket
    units: Decimal


@dataclass(frozen=True, slots=True)
class ChangedTickets:
    """Tickets by the time of their change, oldest first; `complete` is false if there are more than one call reads."""

    rows: tuple[ChangedTicket, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class NewestRow:
    """A list's highest id and number of rows at one moment: `at` by the target's clock, if it sends one."""

    id: int
    total: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests sent so far, including retries."""

    reads: int
    writes: int


@dataclass(frozen=True, slots=True)
class SystemState:
    """How a system answered last. `problem` is empty if it did; `wait` is the pause in seconds that it asked for.

    `refused` says that it works but rejects our token.
    """

    problem: str = ""
    wait: float | None = None
    refused: bool = False


class Connector(ABC):
    """A client of one outside system. Thread-safe; close it, or use it as a context manager.

    Every method raises only the typed errors of `connectors.errors` for failures of the system.
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
        """Requests sent since the connector was created."""

    def version_findings(self) -> tuple[Finding, ...]:
        """Findings about the system's version, in one request; an unsupported version is a failure.

        If the version is unknown, or no answer comes, nothing fails.
        """
        return ()

    @property
    def traffic(self) -> Traffic:
        """The requests by status, and their duration; empty if the connector does not measure it."""
        return {}

    @property
    def system_state(self) -> SystemState | None:
        """Whether the system answers, by the last request; `None` before the first, or if unknown."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Release the connections. May be called twice."""

    @abstractmethod
    def validate(self) -> Validation:
        """Test connection, version and permissions; problems are findings, not exceptions."""


class SourceConnector(Connector):
    """A system in which people book time on tickets. It is read; one into which something can be written is also a
    `connectors.write_back.TicketWriter`.

    `webhooks` is how it announces changes; `None` if it does not. `proves_by_absence` says that it cannot be asked for
    one booking: its `exists` answers "gone" where a complete list lacks it. One list may lack a row for a moment, so
    two runs one after the other must find the booking missing. `tells_edits` says that `fetch_changes` shows edits and
    deletions of any day; otherwise open months are read again every week, and before they are closed. `attributes` are
    those of its tickets that rules may read (`domain.attributes.ATTRIBUTES`), besides type, group and organization.
    """

    webhooks: ClassVar[WebhookScheme | None] = None
    proves_by_absence: ClassVar[bool] = False
    tells_edits: ClassVar[bool] = True
    attributes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the bookings that count within the window (`TimeAccounting.counts_at`), oldest first.

        `hint` is the number of rows before the window in an earlier sweep; it may save requests and is never trusted.
        """

    def confirm(self, read: LastRead) -> SweepReport | None:
        """A report if the window's bookings and tickets surely are as they were read, in two requests; else `None`.

        It saves reading a long window again in which nothing changed.
        """
        del read
        return None

    @abstractmethod
    def fetch_changes(self, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        """Read the bookings created or edited at `since` or later; one request if there are few or none.

        Deletions show in the total, as `gone`, or by comparison with a span that was read as a `whole`. A source that
        does not read everything at once returns a `rest`, and is called again with it, possibly by another process.
        """

    @abstractmethod
    def fetch_of_ticket(self, ticket_id: str) -> list[TimeAccounting]:
        """Read the bookings of one ticket. An empty list proves nothing: the ticket itself may be gone."""

    def fetch_changed_tickets(self, since: datetime) -> ChangedTickets:
        """Read the tickets that changed after `since`, with a few requests; none if the source cannot tell."""
        del since
        return ChangedTickets((), complete=True)

    def listing(self) -> SortedListing[TimeAccounting] | None:
        """All bookings by creation and id, readable at any position; `None` if the source has no such list.

        Only for a source whose ids are whole numbers.
        """
        return None

    @abstractmethod
    def fetch_types(self) -> SourceDirectory:
        """Read all activity types."""

    @abstractmethod
    def fetch_agents(self, ids: Collection[str]) -> SourceDirectory:
        """Read only these people; those who no longer exist are left out."""

    @abstractmethod
    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the tickets of these bookings, each with the name of its organization.

        What the account may not see is filled in as far as the system allows.
        """

    @abstractmethod
    def find(self, text: str) -> SourceDirectory:
        """Search agents and organizations that a person named, by address, login, name or `id:N`.

        It is for mappings made before they book. More may be found than was meant, and an empty result proves nothing.
        """

    @abstractmethod
    def exists(self, booking: BookingKey) -> Existence:
        """Whether a booking that a read did not find still exists; "gone" only if the system itself proves it.

        Doubt is an answer and no error: the booking stays as it is, and is asked for again by the next run.
        """


class TargetConnector(Connector):
    """A system from which time is billed."""

    @abstractmethod
    def fetch(self, window: Window) -> Sweep[Timesheet]:
        """Read the time sheets of all users that begin within the window."""

    def confirm(self, read: LastRead) -> SweepReport | None:
        """A report if the window's time sheets surely are as they are stored, in three requests; else `None`.

        What the target changes without a trace when a user, project or activity is deleted is not its matter.
        """
        del read
        return None

    @abstractmethod
    def fetch_changes(self, since: datetime) -> list[Timesheet]:
        """Read the time sheets of all users that were created or edited at `since` or later, whenever they begin.

        Deletions, and changes that do not update the target's timestamps, are not included.
        """

    def changes(self, since: datetime) -> SortedListing[Timesheet] | None:
        """What `fetch_changes` reads, by id and readable in parts; `None` if there is no such list."""
        del since
        return None

    def newest(self) -> NewestRow | None:
        """The highest id and the number of time sheets of all users; `None` if unknown."""
        return None

    def listing(self, words: str) -> SortedListing[Timesheet] | None:
        """The time sheets of all users whose description has these words, by id; `None` if there is no such list."""
        del words
        return None

    @abstractmethod
    def fetch_directory(self) -> TargetDirectory:
        """Read the server's settings, users, customers, projects and activities, hidden ones included."""

    def refresh_directory(self, server: TargetServer) -> TargetDirectory:
        """As `fetch_directory`, where nothing depends on whether these settings of the server are still the same."""
        del server
        return self.fetch_directory()

    def fetch_invoices(self) -> InvoiceReading:
        """Read all invoices; a missing permission, or a target without such a list, is not an error."""
        return InvoiceReading(problem="The connector does not read invoices.")

    def fetch_billed(self) -> list[Timesheet]:
        """Read all exported and billable time sheets, whenever they begin; only called if invoices are read."""
        return []

    @abstractmethod
    def get(self, timesheet_id: int) -> Timesheet | None:
        """Read one time sheet; `None` if the system says that it does not exist."""

    @abstractmethod
    def find(self, marker: str) -> list[Timesheet]:
        """Find the time sheets of all users whose description has the marker as a token, lowest id first."""

    @abstractmethod
    def create(self, draft: TimesheetDraft) -> Timesheet:
        """Create a time sheet in one attempt; an error with `outcome_unknown` may have created it."""

    @abstractmethod
    def update(self, current: Timesheet, change: TimesheetChange) -> Timesheet:
        """Change a time sheet that was read as `current`."""

    @abstractmethod
    def delete(self, timesheet_id: int) -> None:
        """Delete a time sheet; no error if it is already gone."""

    @abstractmethod
    def create_customer(self, *, name: str, number: str) -> Customer:
        """Create a customer after `find_customer` found none; one that has the number all the same is returned.

        It is looked up only if the number turns out to be taken, or the answer was lost.
        """

    @abstractmethod
    def create_project(self, *, name: str, number: str, customer_id: int) -> Project:
        """Create a project as `create_customer` does; one that has the number may be another customer's."""

    @abstractmethod
    def find_customer(self, number: str) -> Customer | None:
        """The customer with exactly this number, even if hidden; the oldest if there are several."""

    @abstractmethod
    def find_project(self, number: str) -> Project | None:
        """The project with exactly this number, even if hidden or ended; the oldest if there are several."""

    @abstractmethod
    def delete_customer(self, customer_id: int, *, number: str) -> None:
        """Delete the customer if it has this number and nothing refers to it; no error if it is already gone.

        Otherwise raises `StillInUseError` and deletes nothing.
        """

    @abstractmethod
    def delete_project(self, project_id: int, *, number: str) -> None:
        """Delete the project if it has this number and nothing refers to it; no error if it is already gone.

        Otherwise raises `StillInUseError` and deletes nothing.
        """

    def state_of(self, kind: MasterDataKind, record_id: int) -> MasterDataState | None:
        """Whether people hid a customer, project or activity, and when a project ends; `None` if it is gone.

        A target without such states is never asked.
        """
        raise self._cannot_mend(kind, record_id)

    def mend(
        self, kind: MasterDataKind, record_id: int, current: MasterDataState, wanted: MasterDataState
    ) -> MasterDataState:
        """Show or hide it, or set when a project ends; returns the state afterwards."""
        del current, wanted
        raise self._cannot_mend(kind, record_id)

    def _cannot_mend(self, kind: MasterDataKind, record_id: int) -> PermissionDeniedError:
        return PermissionDeniedError(
            f"This connector does not change a {kind}.",
            system=self.endpoint.name,
            method="PATCH",
            path=f"{kind}/{record_id}",
            remedy="Change it there by hand.",
        )

    @abstractmethod
    def ensure_tags(self, names: Iterable[str]) -> None:
        """Make sure that the tags exist and are visible."""
