"""The statement of a month: where every minute of every customer went, and whether all of it adds up."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from functools import reduce
from typing import Any, TypeVar

PARTS = ("kimai", "waiting", "excluded", "rounding", "corrections_open", "netted", "agreed", "adjusted")
"""Into what the minutes in Zammad fall (docs/marts.md, The balance), in the order of a statement."""

AGES = (1, 7, 30)
"""Days up to which a conflict belongs to an age; the last age has no end."""

NO_ACTIVITY = "(no type)"
"""The activity of bookings without an activity type."""

ZERO = Decimal(0)


class CustomerError(LookupError):
    """No customer, or several, are called so; the message names those that may be meant."""


class Verdict(StrEnum):
    """What a statement says in one word."""

    BALANCED = "balanced"
    WAITING = "waiting"
    """It balances, and minutes wait to be carried over or decided."""
    UNBALANCED = "unbalanced"


@dataclass(frozen=True, slots=True)
class Amounts:
    """Exact minutes, and the number of entries that they are of. Those in Zammad are those of all `PARTS` together."""

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
class Customer:
    """A customer by today's name. `id` is the number in Kimai, 0 while it has none."""

    name: str
    id: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.id else self.name


@dataclass(frozen=True, slots=True)
class Line:
    """What one agent did in one activity; the address is empty when unknown."""

    customer: Customer
    agent: str
    agent_email: str
    activity: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class DayMinutes:
    """The minutes of a customer on one work day."""

    customer: Customer
    day: date
    zammad: Decimal
    kimai: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """A booking, or a time sheet without one, whose minutes do not add up, by so many."""

    customer: Customer
    entry: str
    day: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class OpenConflicts:
    """Conflicts of a customer that have been open for so many full days."""

    customer: Customer
    days: int
    number: int


Row = TypeVar("Row", Line, DayMinutes, Gap, OpenConflicts)


@dataclass(frozen=True, slots=True)
class Account:
    """The part of a statement that is about one customer."""

    customer: Customer
    lines: tuple[Line, ...]
    days: tuple[DayMinutes, ...] = ()
    gaps: tuple[Gap, ...] = ()
    conflicts: tuple[OpenConflicts, ...] = ()

    @property
    def total(self) -> Amounts:
        """The sum of its lines."""
        return total(line.amounts for line in self.lines)


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of the business zone, customer by customer.

    `built_at` is the instant of the last change in what it is made of, `stale_days` are days that changed since then.
    """

    month: date
    accounts: tuple[Account, ...]
    built_at: datetime | None = None
    stale_days: tuple[date, ...] = ()

    @property
    def total(self) -> Amounts:
        """The sum of all customers."""
        return total(account.total for account in self.accounts)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of all customers."""
        return tuple(line for account in self.accounts for line in account.lines)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What does not add up; two gaps that even out are still two."""
        return tuple(gap for account in self.accounts for gap in account.gaps)

    @property
    def balanced(self) -> bool:
        """Whether every single entry and every line adds up to the last fraction of a minute."""
        return not self.gaps and not any(line.amounts.unexplained for line in self.lines)

    @property
    def verdict(self) -> Verdict:
        """Whether it balances, and whether anything waits; waiting minutes that even out still wait."""
        if not self.balanced:
            return Verdict.UNBALANCED
        return Verdict.WAITING if any(line.amounts.waiting for line in self.lines) else Verdict.BALANCED


def total(amounts: Iterable[Amounts]) -> Amounts:
    """The sum of these amounts, exactly."""
    return reduce(Amounts.plus, amounts, Amounts())


def statement_of(
    month: date,
    lines: Sequence[Line],
    days: Sequence[DayMinutes] = (),
    gaps: Sequence[Gap] = (),
    conflicts: Sequence[OpenConflicts] = (),
) -> Statement:
    """The statement that these rows make; customers by name, their lines by agent and activity."""
    of_lines, of_days, of_gaps = _by_customer(lines), _by_customer(days), _by_customer(gaps)
    of_conflicts = _by_customer(conflicts)
    accounts = tuple(
        Account(
            customer,
            tuple(sorted(of_lines[customer], key=lambda line: (line.agent, line.agent_email, line.activity))),
            tuple(sorted(of_days[customer], key=lambda row: row.day)),
            tuple(sorted(of_gaps[customer], key=lambda gap: (gap.day, gap.entry))),
            tuple(sorted(of_conflicts[customer], key=lambda row: row.days)),
        )
        for customer in sorted({*of_lines, *of_gaps, *of_conflicts}, key=_by_name)
    )
    return Statement(month, accounts)


def of_customer(statement: Statement, wanted: str) -> Statement:
    """The same statement for one customer, given by name, in any case, or by number in Kimai.

    Raises `CustomerError` with the customers that may be meant.
    """
    fitting = [account for account in statement.accounts if wanted == str(account.customer.id)] or [
        account for account in statement.accounts if account.customer.name.casefold() == wanted.strip().casefold()
    ]
    if len(fitting) == 1:
        return replace(statement, accounts=tuple(fitting))
    if fitting:
        several = ", ".join(str(account.customer) for account in fitting)
        raise CustomerError(f"Several customers are called {wanted!r}: {several}. Give the number instead.")
    raise CustomerError(_nobody(wanted, [account.customer.name for account in statement.accounts]))


def minutes_per_day(statement: Statement) -> list[DayMinutes]:
    """The minutes of each day in all, in the order of days; the customer has no name."""
    zammad: dict[date, Decimal] = defaultdict(Decimal)
    kimai: dict[date, Decimal] = defaultdict(Decimal)
    for account in statement.accounts:
        for row in account.days:
            zammad[row.day] += row.zammad
            kimai[row.day] += row.kimai
    return [DayMinutes(Customer(""), day, zammad[day], kimai[day]) for day in sorted(zammad)]


def conflict_ages(accounts: Iterable[Account]) -> tuple[int, ...]:
    """How many open conflicts there are of each age in `AGES`, and older than all of them."""
    counts = [0] * (len(AGES) + 1)
    for account in accounts:
        for row in account.conflicts:
            counts[sum(row.days >= age for age in AGES)] += row.number
    return tuple(counts)


def spelled(amounts: Amounts, word: Callable[[str], str], number: Callable[[Decimal], str]) -> str:
    """The equation in words: what was booked in Zammad is the sum of its parts; those of zero minutes are left out."""
    terms = {
        name: minutes for name, minutes in (*amounts.parts.items(), ("unexplained", amounts.unexplained)) if minutes
    }
    sums = "".join(
        f" {'-' if minutes < 0 else '+'} {number(abs(minutes))} {word(name)}" for name, minutes in terms.items()
    )
    whole = sums.removeprefix(" + ").removeprefix(" ") or number(ZERO)
    return f"{number(amounts.zammad)} {word('zammad')} = {whole}"


def hours(minutes: Decimal) -> str:
    """Minutes as hours, exactly: `12:30`, with seconds where there are any, and with fractions of those."""
    sign, size = ("-" if minutes < 0 else ""), abs(minutes)
    whole = int(size)
    seconds = round((size - whole) * 60, 3)
    whole, seconds = (whole + 1, ZERO) if seconds >= 60 else (whole, seconds)
    told = f"{sign}{whole // 60}:{whole % 60:02}"
    if not seconds:
        return told
    full, _, part = f"{plain(seconds)}".partition(".")
    return f"{told}:{int(full):02}{'.' + part if part else ''}"


def plain(minutes: Decimal) -> str:
    """An amount as digits, without zeros at its end."""
    return f"{minutes.normalize() + 0:f}"


def _by_customer(rows: Iterable[Row]) -> defaultdict[Customer, list[Row]]:
    found: defaultdict[Customer, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.customer].append(row)
    return found


def _by_name(customer: Customer) -> tuple[str, str, int]:
    return customer.name.casefold(), customer.name, customer.id


def _nobody(wanted: str, names: Sequence[str]) -> str:
    folded = {name.casefold(): name for name in names}
    near = [folded[found] for found in get_close_matches(wanted.strip().casefold(), folded, n=3)]
    told = f"There is no customer {wanted!r} in this statement."
    if near:
        return f"{told} Is one of these meant: {', '.join(near)}?"
    return f"{told} zk statement without --customer shows all."
