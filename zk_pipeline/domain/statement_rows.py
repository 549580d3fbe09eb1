"""The rows that a statement is made of: amounts of lines and days, what does not add up, and what is in question."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.invoicing import BillingState, Comparison, Figure
from zk_pipeline.domain.names import fold
from zk_pipeline.domain.records import Invoice

PARTS = ("kimai", "waiting", "excluded", "rounding", "corrections_open", "netted", "agreed", "adjusted")
"""Into what the minutes in Zammad fall (docs/marts.md, The balance), in the order of a statement."""

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Exact minutes, and the number of entries that they are of. Those in Zammad are those of all `PARTS` together.

    `timesheets` is how many of the entries have minutes in Kimai: what a customer is billed for.
    """

    entries: int = 0
    zammad: Decimal = ZERO
    kimai: Decimal = ZERO
    waiting: Decimal = ZERO
    excluded: Decimal = ZERO
    rounding: Decimal = ZERO
    corrections_open: Decimal = ZERO
    netted: Decimal = ZERO
    agreed: Decimal = ZERO
    adjusted: Decimal = ZERO
    billable: Decimal = ZERO
    billed: Decimal = ZERO
    to_be_billed: Decimal = ZERO
    timesheets: int = 0

    @property
    def parts(self) -> Mapping[str, Decimal]:
        """The parts by name."""
        return {name: getattr(self, name) for name in PARTS}

    @property
    def unexplained(self) -> Decimal:
        """What the parts leave of the minutes in Zammad; 0 unless a minute was lost or found on the way."""
        return self.zammad - sum(self.parts.values(), ZERO)

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        sums: list[Any] = [getattr(self, field.name) + getattr(other, field.name) for field in fields(self)]
        return Amounts(*sums)


@dataclass(frozen=True, slots=True, order=True)
class StatementCustomer:
    """A customer by today's name. `id` is the number in Kimai, 0 while it has none."""

    name: str
    id: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.id else self.name

    def is_called(self, folded: str) -> bool:
        """Whether this is the number, or the name with the number, folded as names are compared."""
        return bool(self.id) and folded in {str(self.id), fold(str(self))}


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What one agent did in one activity; the address is empty when unknown."""

    customer: StatementCustomer
    agent: str
    agent_email: str
    activity: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class DayMinutes:
    """The minutes of a customer on one work day."""

    customer: StatementCustomer
    day: date
    zammad: Decimal
    kimai: Decimal


@dataclass(frozen=True, slots=True)
class StatementGap:
    """A booking, or a time sheet without one, whose minutes do not add up, by so many."""

    customer: StatementCustomer
    entry: str
    day: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class OpenConflicts:
    """Conflicts of a customer for one reason that have been open for so many full days.

    `minutes` are those in question: of a copy its own, of a booking those by which both sides differ.
    """

    customer: StatementCustomer
    days: int
    number: int
    reason: str = ""
    minutes: Decimal = ZERO


class Origin(StrEnum):
    """Where time in Kimai comes from that is not this month's bookings'."""

    COPIES = "copies"
    """It carries the marker of a booking that has another time sheet."""
    NOT_FROM_A_TICKET = "not_from_a_ticket"
    OF_OTHER_MONTHS = "of_other_months"
    """Bookings of other months, whose time sheets lie in this one."""
    IN_OTHER_MONTHS = "in_other_months"
    """This month's bookings, whose time sheets lie in other ones: negative."""


@dataclass(frozen=True, slots=True)
class OtherTime:
    """What stands in Kimai for a customer beside the month's bookings: with those it is what Kimai adds up to."""

    customer: StatementCustomer
    origin: Origin
    timesheets: int
    minutes: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """A time sheet as its customer reads it: one of the month's bookings, or one beside them (`origin`).

    `ticket` is the ticket's number, empty where it came from none: then `title` is what people wrote in the target.
    `amount` is the target's own, without tax: 0 where it is not billable, none where our account may not see it. One
    that is taken off since it lies in another month is negative. `adjusts` is the work day of the booking that it
    adjusts. `booking` is the source's id, `timesheet` the target's.
    """

    day: date
    ticket: str
    title: str
    agent: str
    agent_email: str
    activity: str
    minutes: Decimal
    billable: bool
    amount: Decimal | None
    currency: str
    booking: str = ""
    timesheet: int = 0
    origin: Origin | None = None
    adjusts: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementItem(ItemRow):
    """The same with its customer."""

    customer: StatementCustomer


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentRow:
    """What was booked, or credited where it is negative, after a booking was billed.

    `day` is the work day of the booking and `booked_on` that of the adjustment. `elsewhere` says that the latter lies
    in another month than the statement, which lists it since the booking is its own. `amount` is what a credit
    gives back, or what the target charges for the time sheet; none where that is not known. `note` is how a credit was
    settled.
    """

    id: int
    day: date
    booked_on: date
    elsewhere: bool
    state: AdjustmentState
    ticket: str
    title: str
    agent: str
    agent_email: str
    activity: str
    minutes: Decimal
    amount: Decimal | None
    currency: str
    booking: str
    note: str = ""

    @property
    def is_credit(self) -> bool:
        """Whether it is owed to the customer."""
        return self.minutes < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentLine(AdjustmentRow):
    """The same with its customer."""

    customer: StatementCustomer


@dataclass(frozen=True, slots=True)
class Money:
    """What a customer's time sheets of a month cost in one currency, by what became of them, without tax.

    `invoices` are those made since the month began. `compared` is about all that was ever exported of the customer,
    since the target does not say which time sheets are on which invoice.
    """

    customer: StatementCustomer
    currency: str
    figures: tuple[Figure, ...] = ()
    compared: Comparison | None = None
    invoices: tuple[Invoice, ...] = ()

    @property
    def amount(self) -> Decimal:
        """What the billable ones cost: the target's own amounts, added up."""
        return sum((row.rates for row in self.figures if row.state not in _NOT_BILLABLE), ZERO)

    @property
    def unpriced(self) -> int:
        """How many billable ones cost nothing, since nobody set a rate before they were saved."""
        return sum(row.unpriced for row in self.figures)

    @property
    def unread(self) -> int:
        """Of how many the amount cannot be read."""
        return sum(row.unread for row in self.figures)


_NOT_BILLABLE = frozenset({BillingState.NOT_BILLABLE, BillingState.EXPORTED_NOT_BILLABLE})


@dataclass(frozen=True, slots=True)
class SideRead:
    """When the days of a month were read last: the day read most recently, and the one read longest ago."""

    latest: datetime | None = None
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """How fresh a statement is: when each side was read last, and when invoices were read and compared.

    `invoices_problem` says why invoices could not be read when that was tried last.
    """

    source: SideRead = SideRead()
    target: SideRead = SideRead()
    invoices_at: datetime | None = None
    compared_at: datetime | None = None
    invoices_problem: str = ""


@dataclass(frozen=True, slots=True)
class CustomerShare:
    """What a customer, or where there is none everybody else together, booked on each of some days, in minutes."""

    customer: StatementCustomer | None
    minutes: tuple[Decimal, ...]
