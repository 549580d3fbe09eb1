"""The statement of a month: where every minute of every customer went, and whether all of it adds up."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from typing import Any, TypeVar

from zk_pipeline.domain.closing import Closing
from zk_pipeline.domain.lookup import fold, nearest

PARTS = ("kimai", "waiting", "excluded", "rounding", "corrections_open", "netted", "agreed", "adjusted")
"""Into what the minutes in Zammad fall (docs/marts.md, The balance), in the order of a statement."""

AGES = (1, 7, 30)
"""Days up to which a conflict belongs to an age; the last age has no end."""

AGE_NAMES = ("under_1_day", "under_7_days", "under_30_days", "older")
"""What the ages are called."""

MOST_MEANT = 5
"""Customers that an error proposes."""

LIKENESS = 70
"""Of 100, from which on a name may be meant."""

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
class Customer:
    """A customer by today's name. `id` is the number in Kimai, 0 while it has none."""

    name: str
    id: int = 0

    def __str__(self) -> str:
        return f"{self.name} ({self.id})" if self.id else self.name

    def is_called(self, folded: str) -> bool:
        """Whether this is the number, or the name with the number, folded as names are compared."""
        return bool(self.id) and folded in {str(self.id), fold(str(self))}


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


@dataclass(frozen=True, slots=True)
class OpenCredits:
    """Minutes of a customer that were billed too many, are credited in the month, and are not settled yet."""

    customer: Customer
    number: int
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """What a customer, or where there is none everybody else together, booked on each of some days, in minutes."""

    customer: Customer | None
    minutes: tuple[Decimal, ...]


Row = TypeVar("Row", Line, DayMinutes, Gap, OpenConflicts, OpenCredits)


@dataclass(frozen=True, slots=True)
class Account:
    """The part of a statement that is about one customer."""

    customer: Customer
    lines: tuple[Line, ...]
    days: tuple[DayMinutes, ...] = ()
    gaps: tuple[Gap, ...] = ()
    conflicts: tuple[OpenConflicts, ...] = ()
    credits: tuple[OpenCredits, ...] = ()

    @property
    def credited(self) -> Decimal:
        """The minutes of its open credits."""
        return sum((row.minutes for row in self.credits), ZERO)

    @property
    def total(self) -> Amounts:
        """The sum of its lines."""
        return total(line.amounts for line in self.lines)


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of the business zone, customer by customer.

    `built_at` is the instant of the last change in what it is made of, `stale_days` are days that changed since then.
    `closing` is that of a month that is closed.
    """

    month: date
    accounts: tuple[Account, ...]
    built_at: datetime | None = None
    stale_days: tuple[date, ...] = ()
    closing: Closing | None = None

    @property
    def total(self) -> Amounts:
        """The sum of all customers."""
        return total(account.total for account in self.accounts)

    @property
    def credited(self) -> Decimal:
        """The minutes of all open credits."""
        return sum((account.credited for account in self.accounts), ZERO)

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of all customers."""
        return tuple(line for account in self.accounts for line in account.lines)

    @property
    def days(self) -> tuple[DayMinutes, ...]:
        """The days of all customers."""
        return tuple(row for account in self.accounts for row in account.days)

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
    credits: Sequence[OpenCredits] = (),  # noqa: A002 (the field's word)
) -> Statement:
    """The statement that these rows make; customers by name, their lines by agent and activity."""
    of_lines, of_days, of_gaps = _by_customer(lines), _by_customer(days), _by_customer(gaps)
    of_conflicts, of_credits = _by_customer(conflicts), _by_customer(credits)
    accounts = tuple(
        Account(
            customer,
            tuple(sorted(of_lines[customer], key=lambda line: (line.agent, line.agent_email, line.activity))),
            tuple(sorted(of_days[customer], key=lambda row: row.day)),
            tuple(sorted(of_gaps[customer], key=lambda gap: (gap.day, gap.entry))),
            tuple(sorted(of_conflicts[customer], key=lambda row: row.days)),
            tuple(of_credits[customer]),
        )
        for customer in sorted({*of_lines, *of_gaps, *of_conflicts, *of_credits}, key=_by_name)
    )
    return Statement(month, accounts)


def of_customer(statement: Statement, wanted: str) -> Statement:
    """The same statement for one customer, given by name, in any case, by number in Kimai, or by both as they are told.

    A part of a name is not taken, so that nobody is billed for somebody else in a month in which only the other has
    time. Raises `CustomerError` with the customers that may be meant.
    """
    given = fold(wanted)
    fitting = [account for account in statement.accounts if account.customer.is_called(given)] or [
        account for account in statement.accounts if fold(account.customer.name) == given
    ]
    if len(fitting) == 1:
        return replace(statement, accounts=tuple(fitting))
    if fitting:
        several = ", ".join(str(account.customer) for account in fitting)
        raise CustomerError(f"Several customers are called {wanted!r}: {several}. Give the number instead.")
    raise CustomerError(_nobody(wanted, [account.customer for account in statement.accounts]))


def minutes_per_day(statement: Statement) -> list[DayMinutes]:
    """The minutes of each day in all, in the order of days; the customer has no name."""
    zammad: dict[date, Decimal] = defaultdict(Decimal)
    kimai: dict[date, Decimal] = defaultdict(Decimal)
    for account in statement.accounts:
        for row in account.days:
            zammad[row.day] += row.zammad
            kimai[row.day] += row.kimai
    return [DayMinutes(Customer(""), day, zammad[day], kimai[day]) for day in sorted(zammad)]


def shares_per_day(statement: Statement, days: Sequence[date], most: int) -> list[Share]:
    """Who booked the minutes of these days: up to `most` customers, the largest first, and then all others as one."""
    booked = [
        (account.customer, {row.day: row.zammad for row in account.days})
        for account in statement.accounts
        if account.days
    ]
    booked.sort(key=lambda one: -sum(one[1].values(), ZERO))
    shares = [Share(customer, tuple(of_day.get(day, ZERO) for day in days)) for customer, of_day in booked]
    if len(shares) <= most:
        return shares
    others = (sum(minutes, ZERO) for minutes in zip(*(share.minutes for share in shares[most:]), strict=True))
    return [*shares[:most], Share(None, tuple(others))]


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


def _nobody(wanted: str, customers: Sequence[Customer]) -> str:
    told = f"There is no customer {wanted!r} in this statement."
    meant = _meant(wanted, customers)
    if not meant:
        return f"{told} Leave the customer out to see all."
    listed = ", ".join(map(str, meant[:MOST_MEANT]))
    more = f" and {len(meant) - MOST_MEANT} more" if len(meant) > MOST_MEANT else ""
    return f"{told} Is one of these meant: {listed}{more}? Give the name, or the number."


def _meant(wanted: str, customers: Sequence[Customer]) -> list[Customer]:
    """Those in whose names all words of what is wanted occur, else those whose names are much like it."""
    words, names = fold(wanted).split(), [(fold(customer.name), customer) for customer in customers]
    having = [customer for name, customer in names if words and all(word in name for word in words)]
    if having:
        return having
    near = nearest(wanted, dict.fromkeys(name for name, _ in names), limit=MOST_MEANT, least=LIKENESS)
    return [customer for found in near for name, customer in names if name == found]
