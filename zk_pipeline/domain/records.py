"""Plain rows that sources and targets exchange with the pipeline.

All instants are timezone-aware and in UTC; amounts are `Decimal`; ids are those of the outside system: text in a
source, whole numbers in the target.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time, `start <= t < end`, both in UTC."""

    start: datetime
    end: datetime


Faults = Mapping[str, str]
"""The unreadable fields of a row, each with what is wrong; such a row is parked and never written."""


def no_faults() -> Faults:
    """Every field is readable."""
    return {}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that arrived and cannot be used. `id` is `None` if even the id is unreadable."""

    what: str
    id: str | None
    why: str

    def __str__(self) -> str:
        return f"{self.what.capitalize()} {'without id' if self.id is None else self.id} cannot be read: {self.why}"


@dataclass(frozen=True, slots=True)
class TimeAccounting:
    """One booking as the source has it. `units` is a number without unit (docs/zammad.md §4).

    A source that has exact `seconds` gives them instead, with units 0. `worked_at` and `worked_until` are begin and end
    of the work, where the source knows them; otherwise the booking counts when it was created. `note` is what the
    person wrote about the work. A booking that is not `is_final`, because its timer still runs, waits.

    Fields named in `faults` have placeholder values: units 0, ids `0`, and an instant at the row's position in the
    list.

    The store adds `work_day`, the day on which the booking counts, and `decided_id`, the id of the recorded settings
    that decided it. A connector leaves both out.
    """

    id: str
    ticket_id: str
    article_id: str | None
    units: Decimal
    type_id: str | None
    agent_id: str
    created_at: datetime
    updated_at: datetime
    raw: Mapping[str, Any] = field(repr=False, compare=False, hash=False)
    faults: Faults = field(default_factory=no_faults, hash=False)
    work_day: date | None = field(default=None, compare=False, hash=False)
    decided_id: int | None = field(default=None, compare=False, hash=False)
    worked_at: datetime | None = None
    worked_until: datetime | None = None
    seconds: int | None = None
    note: str = ""
    is_final: bool = True

    @property
    def counts_at(self) -> datetime:
        """The instant that decides the work day, and whether the booking is within a window."""
        return self.worked_at or self.created_at


@dataclass(frozen=True, slots=True)
class MirroredBooking:
    """Where a booking is, of a source that cannot be asked for a window.

    It has its ticket, the instant at which it counts, and the change of it that was read last.
    """

    id: str
    ticket_id: str
    counts_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class BookingKey:
    """What it takes to ask a source for one booking: some sources only show it under its ticket."""

    id: str
    ticket_id: str


class Existence(StrEnum):
    """What a source proves about one booking."""

    THERE = "there"
    GONE = "gone"
    DOUBT = "doubt"
    """It is not shown, which may as well be a matter of permissions, of an archive or of a search index."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """The ticket of a booking as it is today; the source keeps no history of it (docs/zammad.md §11).

    `complete` is false if only a report could name the ticket, because the token may not read its group. Then
    `customer_name` is the customer's full name, otherwise the login. A `merged` ticket was merged into `merged_into`,
    if that is known by an article that was moved there. `attributes` are those that rules read (`domain.attributes`):
    for each the values, with `id` and `name`.
    """

    id: str
    number: str
    title: str
    organization_id: str | None
    customer_id: str | None
    group_id: str | None
    group_name: str | None
    customer_name: str | None
    updated_at: datetime | None
    complete: bool
    raw: Mapping[str, Any] = field(repr=False, compare=False, hash=False)
    faults: Faults = field(default_factory=no_faults, hash=False)
    organization_name: str | None = field(default=None, compare=False, hash=False)
    merged: bool = field(default=False, compare=False, hash=False)
    merged_into: str | None = None
    merged_article_id: str | None = None
    attributes: Mapping[str, Sequence[Mapping[str, str]]] = field(
        default_factory=dict[str, Sequence[Mapping[str, str]]], compare=False, hash=False
    )


@dataclass(frozen=True, slots=True)
class Agent:
    """A person of the source system who may book time."""

    id: str
    login: str
    email: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class Organization:
    """A customer organization of the source system."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class ActivityType:
    """A kind of work that a booking may have; inactive types stay on old bookings."""

    id: str
    name: str
    active: bool


@dataclass(frozen=True, slots=True)
class SourceDirectory:
    """The people and items that bookings refer to, as last read from the source, or a part of them."""

    agents: tuple[Agent, ...] = ()
    organizations: tuple[Organization, ...] = ()
    activity_types: tuple[ActivityType, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def joined(self, *others: "SourceDirectory") -> "SourceDirectory":
        """All people and items of these directories, each once; the last one wins."""
        parts = (self, *others)
        agents = {row.id: row for part in parts for row in part.agents}
        organizations = {row.id: row for part in parts for row in part.organizations}
        types = {row.id: row for part in parts for row in part.activity_types}
        unreadable = dict.fromkeys(row for part in parts for row in part.unreadable)
        return SourceDirectory(
            tuple(agents.values()), tuple(organizations.values()), tuple(types.values()), tuple(unreadable)
        )


@dataclass(frozen=True, slots=True)
class Timesheet:
    """One time sheet as the target returned it, after its own rounding (docs/kimai.md §5, §6).

    `end` is `None` while it is running. `duration_seconds` may differ from `end - begin`: breaks are subtracted, and it
    may be rounded. Fields named in `faults` have placeholder values.

    `rate` is the price of the whole time sheet, `None` if the target does not say. Only the answer for a single time
    sheet has `hourly_rate` and `fixed_rate`; a list does not.
    """

    id: int
    user_id: int
    project_id: int
    activity_id: int
    begin: datetime
    end: datetime | None
    duration_seconds: int
    description: str
    tags: tuple[str, ...]
    exported: bool
    billable: bool
    raw: Mapping[str, Any] = field(repr=False, compare=False, hash=False)
    faults: Faults = field(default_factory=no_faults, hash=False)
    break_seconds: int = 0
    rate: Decimal | None = None
    hourly_rate: Decimal | None = field(default=None, compare=False)
    fixed_rate: Decimal | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TargetUser:
    """A person of the target system. `timezone` is an IANA name. Nobody else books for a system account."""

    id: int
    username: str
    email: str | None
    name: str
    enabled: bool
    timezone: str
    system_account: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of the target system; `number` is unique there, `name` is not (docs/kimai.md §7)."""

    id: int
    name: str
    number: str | None
    visible: bool
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """A project of the target. `start` and `end` are compared with today, not with the entry (docs/kimai.md §3).

    Nothing is written to days up to `locked_until`, if the target has such a lock (docs/kimai.md §4).
    """

    id: int
    name: str
    number: str | None
    customer_id: int
    visible: bool
    start: date | None
    end: date | None
    global_activities: bool
    locked_until: date | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity of the target system; without `project_id` it is global."""

    id: int
    name: str
    number: str | None
    project_id: int | None
    visible: bool


class MasterDataKind(StrEnum):
    """What time sheets refer to, except people."""

    CUSTOMER = "customer"
    PROJECT = "project"
    ACTIVITY = "activity"


@dataclass(frozen=True, slots=True)
class MasterDataState:
    """What people hide or end of a customer, project or activity; only a project has an `end`."""

    name: str
    visible: bool
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as the target stores it: customer and amount, but neither time sheets nor period.

    `total` includes the `tax`, which is `vat` per cent. `status` is `new`, `pending`, `paid` or `canceled`.
    """

    id: int
    number: str
    customer_id: int
    currency: str
    total: Decimal
    tax: Decimal
    vat: Decimal
    status: str
    created_at: datetime
    due_days: int
    payment_date: date | None


@dataclass(frozen=True, slots=True)
class InvoiceReading:
    """All invoices, or a sentence why they could not be read; then nothing is known about them."""

    rows: tuple[Invoice, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class TargetServer:
    """What the target says about itself and about our account (docs/kimai.md §10)."""

    version: str
    caller_id: int
    caller_name: str
    caller_timezone: str
    tracking_mode: str
    allow_future_times: bool
    allow_overlapping: bool


@dataclass(frozen=True, slots=True)
class TargetDirectory:
    """The people and items that a time sheet can refer to, as the target has them now, including hidden ones."""

    server: TargetServer
    users: tuple[TargetUser, ...]
    customers: tuple[Customer, ...]
    projects: tuple[Project, ...]
    activities: tuple[Activity, ...]
    unreadable: tuple[Unreadable, ...] = ()


@dataclass(frozen=True, slots=True)
class TimesheetDraft:
    """A time sheet to create. `begin` and `end` are UTC instants on whole seconds."""

    user_id: int
    project_id: int
    activity_id: int
    begin: datetime
    end: datetime
    description: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimesheetChange:
    """Fields of a time sheet to change; `None` leaves a field as it is."""

    user_id: int | None = None
    project_id: int | None = None
    activity_id: int | None = None
    begin: datetime | None = None
    end: datetime | None = None
    description: str | None = None
    tags: tuple[str, ...] | None = None
    billable: bool | None = None
    hourly_rate: Decimal | None = None
    fixed_rate: Decimal | None = None
