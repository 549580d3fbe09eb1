"""What Kimai stores: immutable rows, instants as UTC epoch seconds, money as decimals."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.datetimes import zone


@dataclass(frozen=True, slots=True)
class User:
    """A user; `api_password` is the legacy way in, `hourly_rate` and `internal_rate` are preferences."""

    id: int
    username: str
    email: str
    timezone: str
    roles: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()
    api_password: str | None = None
    enabled: bool = True
    system_account: bool = False
    alias: str | None = None
    title: str | None = None
    account_number: str | None = None
    color: str | None = None
    language: str = "en"
    locale: str = "en"
    preferences: dict[str, str | None] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The zone this user's date-times are read and written in."""
        return zone(self.timezone)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer; `details` holds the address and budget fields by their JSON names."""

    id: int
    name: str
    number: str | None
    timezone: str
    country: str
    currency: str
    comment: str | None = None
    visible: bool = True
    billable: bool = True
    color: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Project:
    """A project; `start` and `end` are the first and last second of its period, set in zone `timezone`."""

    id: int
    name: str
    number: str | None
    customer: int
    timezone: str = "UTC"
    start: int | None = None
    end: int | None = None
    global_activities: bool = True
    comment: str | None = None
    visible: bool = True
    billable: bool = True
    color: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def runs_at(self, instant: int) -> bool:
        """Whether the project's period contains the instant."""
        return (self.start is None or self.start <= instant) and (self.end is None or instant <= self.end)


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity of one project, or a global one (`project` None)."""

    id: int
    name: str
    number: str | None
    project: int | None = None
    comment: str | None = None
    visible: bool = True
    billable: bool = True
    color: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; a hidden one can be assigned but not filtered by."""

    id: int
    name: str
    color: str | None = None
    visible: bool = True


@dataclass(frozen=True, slots=True)
class Team:
    """A team; `members` are (user id, leads the team), the rest are ids open to the team alone."""

    id: int
    name: str
    members: tuple[tuple[int, bool], ...] = ()
    customers: tuple[int, ...] = ()
    projects: tuple[int, ...] = ()
    activities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """An hourly or fixed rate of a customer, project or activity (`kind`), for one user or for everybody."""

    id: int
    kind: str
    owner: int
    rate: Decimal
    user: int | None = None
    internal_rate: Decimal | None = None
    is_fixed: bool = False


@dataclass(frozen=True, slots=True)
class Timesheet:
    """A time entry; `end` None while it runs, `pause` and `duration` are seconds, `tags` are tag ids.

    `timezone` is the zone the entry was last saved with: its owner's at that time, or the caller's where rounding moved
    the end.
    """

    id: int
    user: int
    project: int
    activity: int
    begin: int
    end: int | None
    timezone: str
    duration: int = 0
    pause: int = 0
    description: str | None = None
    tags: tuple[int, ...] = ()
    meta: dict[str, str] = field(default_factory=dict)
    exported: bool = False
    billable: bool = True
    rate: Decimal = Decimal(0)
    internal_rate: Decimal = Decimal(0)
    fixed_rate: Decimal | None = None
    hourly_rate: Decimal | None = None
    modified_at: int = 0

    @property
    def zone(self) -> ZoneInfo:
        """The zone the entry is shown and patched in."""
        return zone(self.timezone)


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as it was saved; it keeps no time sheets and no period. `payment_date` is a day in ISO form."""

    id: int
    number: str
    customer: int
    user: int
    created_at: int
    timezone: str
    total: Decimal
    tax: Decimal
    vat: Decimal
    currency: str
    due_days: int = 30
    status: str = "new"
    payment_date: str | None = None
    comment: str | None = None
