"""The rows of a statement: amounts of lines and days, what does not add up, and what is undecided."""

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
"""The parts of the minutes in Zammad (docs/marts.md, The balance), in the order of a statement."""

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """Exact minutes and the number of their entries. `zammad` is the sum of all `PARTS`.

    `timesheets` is how many of the entries have minutes in Kimai, which is what a customer is billed for.
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
        """The minutes in Zammad minus all parts: 0 unless a minute was lost or found on the way."""
        return self.zammad - sum(self.parts.values(), ZERO)

    def plus(self, other: "Amounts") -> "Amounts":
        """Both together."""
        sums: list[Any] = [getattr(self, field.name) + getattr(other, field.name) for field in fields(self)]
        return Amounts(*sums)


@dataclass(frozen=True, slots=True, order=True)
class StatementCustomer:
    """A customer with today's name. `id` is the number in Kimai, 0 if there is none."""

    name: str
    id: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.id else self.name

    def is_called(self, folded: str) -> bool:
        """Whether this folded text is the number, or the name with the number."""
        return bool(self.id) and folded in {str(self.id), fold(str(self))}


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One agent's time in one activity; the address is empty if unknown."""

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
    """A booking, or a time sheet without one, whose minutes do not add up, and the difference."""

    customer: StatementCustomer
    entry: str
    day: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class OpenConflicts:
    """A customer's conflicts for one reason that have been open for `days` full days.

    `minutes` are those of a copy, or the difference between both sides of a booking.
    """

    customer: StatementCustomer
    days: int
    number: int
    reason: str = ""
    minutes: Decimal = ZERO


class Origin(StrEnum):
    """The origin of time in Kimai that is not of this month's bookings."""

    COPIES = "copies"
    """It has the marker of a booking that has another time sheet."""
    NOT_FROM_A_TICKET = "not_from_a_ticket"
    OF_OTHER_MONTHS = "of_other_months"
    """Bookings of other months whose time sheets are in this one."""
    IN_OTHER_MONTHS = "in_other_months"
    """This month's bookings whose time sheets are in other months: negative."""


@dataclass(frozen=True, slots=True)
class OtherTime:
    """A customer's time in Kimai that is not of the month's bookings. Together they are what Kimai adds up to."""

    customer: StatementCustomer
    origin: Origin
    timesheets: int
    minutes: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """A time sheet as its customer reads it: of one of the month's bookings, or other time (`origin`).

    `ticket` is the ticket's number, empty without one; then `title` is what people wrote in the target. `amount` is the
    target's own, without tax: 0 if not billable, `None` if our account may not see it, negative if subtracted because
    the time sheet is in another month. `adjusts` is the work day of the adjusted booking. `booking` is the source's id,
    `timesheet` the target's.
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
    """An item with its customer."""

    customer: StatementCustomer


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustmentRow:
    """What was booked, or credited if negative, after a booking was billed.

    `day` is the work day of the booking, `booked_on` that of the adjustment. `elsewhere` says that the latter is in
    another month than the statement, which lists it because the booking is its own. `amount` is what a credit gives
    back, or what the target charges for the time sheet; `None` if unknown. `note` says how a credit was settled.
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
    """An adjustment with its customer."""

    customer: StatementCustomer


@dataclass(frozen=True, slots=True)
class Money:
    """The price of a customer's time sheets of a month in one currency, by billing state, without tax.

    `invoices` are those made since the month began. `compared` covers everything ever exported for the customer,
    because the target does not say which time sheets are on which invoice.
    """

    customer: StatementCustomer
    currency: str
    figures: tuple[Figure, ...] = ()
    compared: Comparison | None = None
    invoices: tuple[Invoice, ...] = ()

    @property
    def amount(self) -> Decimal:
        """The price of the billable ones: the target's own amounts, added up."""
        return sum((row.rates for row in self.figures if row.state not in _NOT_BILLABLE), ZERO)

    @property
    def unpriced(self) -> int:
        """How many billable ones cost nothing because no rate was set before they were saved."""
        return sum(row.unpriced for row in self.figures)

    @property
    def unread(self) -> int:
        """How many have an amount that our account may not see."""
        return sum(row.unread for row in self.figures)


_NOT_BILLABLE = frozenset({BillingState.NOT_BILLABLE, BillingState.EXPORTED_NOT_BILLABLE})


@dataclass(frozen=True, slots=True)
class SideRead:
    """When the days of a month were last read: the most recent day and the oldest one."""

    latest: datetime | None = None
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Readings:
    """How fresh a statement is: when each side was last read, and when invoices were read and compared.

    `invoices_problem` says why the last attempt to read invoices failed.
    """

    source: SideRead = SideRead()
    target: SideRead = SideRead()
    invoices_at: datetime | None = None
    compared_at: datetime | None = None
    invoices_problem: str = ""


@dataclass(frozen=True, slots=True)
class CustomerShare:
    """What the customer of this name, or `None` for all others together, booked on each of some days, in minutes."""

    name: str | None
    minutes: tuple[Decimal, ...]
