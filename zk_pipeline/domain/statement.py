"""The statement of a month: where every minute of every customer went, and whether everything adds up."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import reduce
from typing import TypeVar

from zk_pipeline.domain.adjustments import AdjustmentState
from zk_pipeline.domain.names import fold, nearest_names
from zk_pipeline.domain.periods import Closing
from zk_pipeline.domain.statement_rows import (
    ZERO,
    AdjustmentLine,
    Amounts,
    CustomerShare,
    DayMinutes,
    Money,
    OpenConflicts,
    Origin,
    OtherTime,
    Readings,
    StatementCustomer,
    StatementGap,
    StatementItem,
    StatementLine,
)

AGES = (1, 7, 30)
"""Upper bounds in days of the ages of conflicts; the last age has none."""

AGE_NAMES = ("under_1_day", "under_7_days", "under_30_days", "older")
"""The labels of the ages."""

MOST_MEANT = 5
"""An error suggests at most this many customers."""

LIKENESS = 70
"""Similarity, of 100, from which a name is suggested."""

NO_ACTIVITY = "(no type)"
"""The activity of bookings without activity type."""


class CustomerError(LookupError):
    """No customer, or several, have this name; the message suggests those that may be meant."""


class Verdict(StrEnum):
    """The result of a statement in one word."""

    BALANCED = "balanced"
    WAITING = "waiting"
    """It balances, but minutes wait, or conflicts or corrections are open."""
    UNBALANCED = "unbalanced"


Row = TypeVar(
    "Row", StatementLine, DayMinutes, StatementGap, OpenConflicts, OtherTime, Money, StatementItem, AdjustmentLine
)


@dataclass(frozen=True, slots=True)
class CustomerStatement:
    """The part of a statement about one customer. `has_namesake`: another one in it has the same name."""

    customer: StatementCustomer
    lines: tuple[StatementLine, ...]
    days: tuple[DayMinutes, ...] = ()
    gaps: tuple[StatementGap, ...] = ()
    conflicts: tuple[OpenConflicts, ...] = ()
    beside: tuple[OtherTime, ...] = ()
    money: tuple[Money, ...] = ()
    items: tuple[StatementItem, ...] = ()
    adjustments: tuple[AdjustmentLine, ...] = ()
    has_namesake: bool = False

    @property
    def name(self) -> str:
        """The customer's name, with the number where another has the same one; empty if nobody is meant."""
        return str(self.customer) if self.has_namesake else self.customer.name

    @property
    def kimai_in_all(self) -> Decimal:
        """What Kimai adds up to for the customer in this month, whoever wrote it."""
        return sum((row.minutes for row in self.beside), self.total.kimai)

    @property
    def credited(self) -> Decimal:
        """The minutes credited in this month and not settled yet."""
        rows = (row for row in self.adjustments if row.state is AdjustmentState.OPEN and not row.elsewhere)
        return -sum((row.minutes for row in rows), ZERO)

    @property
    def total(self) -> Amounts:
        """The sum of its lines."""
        return total(line.amounts for line in self.lines)


@dataclass(frozen=True, slots=True)
class Statement:
    """A month of the business zone, by customer.

    `built_at` is the last change of the tables that it is made of, `stale_days` are days that changed since then.
    `closing` is set if the month is closed, and `readings` says when each side was read.
    """

    month: date
    accounts: tuple[CustomerStatement, ...]
    built_at: datetime | None = None
    stale_days: tuple[date, ...] = ()
    closing: Closing | None = None
    readings: Readings | None = None

    @property
    def total(self) -> Amounts:
        """The sum of all customers."""
        return total(account.total for account in self.accounts)

    @property
    def credited(self) -> Decimal:
        """The minutes credited to all customers and not settled yet."""
        return sum((account.credited for account in self.accounts), ZERO)

    @property
    def kimai_in_all(self) -> Decimal:
        """What Kimai adds up to for all customers in this month, whoever wrote it."""
        return sum((account.kimai_in_all for account in self.accounts), ZERO)

    @property
    def lines(self) -> tuple[StatementLine, ...]:
        """The lines of all customers."""
        return tuple(line for account in self.accounts for line in account.lines)

    @property
    def days(self) -> tuple[DayMinutes, ...]:
        """The days of all customers."""
        return tuple(row for account in self.accounts for row in account.days)

    @property
    def gaps(self) -> tuple[StatementGap, ...]:
        """What does not add up; two gaps that cancel out are still two."""
        return tuple(gap for account in self.accounts for gap in account.gaps)

    @property
    def balanced(self) -> bool:
        """Whether every entry and every line adds up exactly."""
        return not self.gaps and not any(line.amounts.unexplained for line in self.lines)

    @property
    def verdict(self) -> Verdict:
        """Whether it balances, and whether anything waits, even if the waiting minutes cancel out."""
        if not self.balanced:
            return Verdict.UNBALANCED
        open_lines = any(line.amounts.waiting or line.amounts.corrections_open for line in self.lines)
        in_question = open_lines or any(account.conflicts for account in self.accounts)
        return Verdict.WAITING if in_question else Verdict.BALANCED

    @property
    def is_draft(self) -> bool:
        """Whether it is not final yet, so that nothing may be billed by it."""
        shown_as_closed = self.closing is not None and self.closing.shown
        return not shown_as_closed and (self.verdict is not Verdict.BALANCED or bool(self.stale_days))


def total(amounts: Iterable[Amounts]) -> Amounts:
    """The exact sum of these amounts."""
    return reduce(Amounts.plus, amounts, Amounts())


def statement_of(
    month: date,
    lines: Sequence[StatementLine],
    days: Sequence[DayMinutes] = (),
    gaps: Sequence[StatementGap] = (),
    conflicts: Sequence[OpenConflicts] = (),
    beside: Sequence[OtherTime] = (),
    money: Sequence[Money] = (),
    items: Sequence[StatementItem] = (),
    adjustments: Sequence[AdjustmentLine] = (),
) -> Statement:
    """The statement from these rows; customers by name, their lines by agent and activity, their items by day."""
    of_lines, of_days, of_gaps = _by_customer(lines), _by_customer(days), _by_customer(gaps)
    of_conflicts, of_beside, of_money = _by_customer(conflicts), _by_customer(beside), _by_customer(money)
    of_items, of_adjustments = _by_customer(items), _by_customer(adjustments)
    customers = {*of_lines, *of_gaps, *of_conflicts, *of_beside, *of_items, *of_adjustments}
    accounts = tuple(
        CustomerStatement(
            customer,
            tuple(sorted(of_lines[customer], key=lambda line: (line.agent, line.agent_email, line.activity))),
            tuple(sorted(of_days[customer], key=lambda row: row.day)),
            tuple(sorted(of_gaps[customer], key=lambda gap: (gap.day, gap.entry))),
            tuple(sorted(of_conflicts[customer], key=lambda row: (row.days, row.reason))),
            tuple(sorted(of_beside[customer], key=lambda row: row.origin)),
            tuple(of_money[customer]),
            tuple(sorted(of_items[customer], key=_in_order)),
            tuple(sorted(of_adjustments[customer], key=lambda row: (row.elsewhere, row.day, row.id))),
        )
        for customer in sorted(customers, key=_by_name)
    )
    return Statement(month, with_namesakes(accounts))


def with_namesakes(accounts: Sequence[CustomerStatement]) -> tuple[CustomerStatement, ...]:
    """The parts of a statement, each of which knows whether another one's customer has the same name."""
    names = Counter(fold(account.customer.name) for account in accounts)
    return tuple(replace(one, has_namesake=names[fold(one.customer.name)] > 1) for one in accounts)


def of_customer(statement: Statement, wanted: str) -> Statement:
    """The statement of one customer, given by name in any case, by number in Kimai, or by both as messages show them.

    Part of a name is not accepted, so that no one is billed for someone else in a month in which only the other has
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
    """The total minutes of each day, in order; the customer has no name."""
    zammad: dict[date, Decimal] = defaultdict(Decimal)
    kimai: dict[date, Decimal] = defaultdict(Decimal)
    for account in statement.accounts:
        for row in account.days:
            zammad[row.day] += row.zammad
            kimai[row.day] += row.kimai
    return [DayMinutes(StatementCustomer(""), day, zammad[day], kimai[day]) for day in sorted(zammad)]


def shares_per_day(statement: Statement, days: Sequence[date], most: int) -> list[CustomerShare]:
    """Who booked the minutes of these days: up to `most` customers, the largest first, then all others as one."""
    booked = [
        (account.name, {row.day: row.zammad for row in account.days}) for account in statement.accounts if account.days
    ]
    booked.sort(key=lambda one: -sum(one[1].values(), ZERO))
    shares = [CustomerShare(name, tuple(of_day.get(day, ZERO) for day in days)) for name, of_day in booked]
    if len(shares) <= most:
        return shares
    others = (sum(minutes, ZERO) for minutes in zip(*(share.minutes for share in shares[most:]), strict=True))
    return [*shares[:most], CustomerShare(None, tuple(others))]


def conflict_ages(accounts: Iterable[CustomerStatement]) -> tuple[int, ...]:
    """The number of open conflicts of each age in `AGES`, then of those older than all."""
    counts = [0] * (len(AGES) + 1)
    for account in accounts:
        for row in account.conflicts:
            counts[sum(row.days >= age for age in AGES)] += row.number
    return tuple(counts)


def other_time_by_origin(accounts: Iterable[CustomerStatement]) -> dict[Origin, tuple[int, Decimal]]:
    """The time sheets and minutes in Kimai that are not of the month's bookings, by their origin."""
    found: dict[Origin, tuple[int, Decimal]] = {}
    for row in (row for account in accounts for row in account.beside):
        number, minutes = found.get(row.origin, (0, ZERO))
        found[row.origin] = (number + row.timesheets, minutes + row.minutes)
    return {origin: found[origin] for origin in Origin if origin in found}


def sum_of(rows: Iterable[StatementItem | AdjustmentLine]) -> tuple[Decimal, Decimal | None]:
    """The minutes of these rows, and their amount; `None` if one of the amounts is unknown."""
    found = list(rows)
    amounts = [row.amount for row in found if row.amount is not None]
    minutes = sum((row.minutes for row in found), ZERO)
    return minutes, sum(amounts, ZERO) if len(amounts) == len(found) else None


def questions_of(accounts: Iterable[CustomerStatement]) -> dict[str, tuple[int, Decimal]]:
    """The number of open conflicts and the minutes in question, by reason."""
    found: dict[str, tuple[int, Decimal]] = {}
    for row in (row for account in accounts for row in account.conflicts):
        number, minutes = found.get(row.reason, (0, ZERO))
        found[row.reason] = (number + row.number, minutes + row.minutes)
    return dict(sorted(found.items()))


def equation_text(amounts: Amounts, word: Callable[[str], str], number: Callable[[Decimal], str]) -> str:
    """The equation in words: the minutes booked in Zammad as the sum of their parts, without those of zero minutes."""
    terms = {
        name: minutes for name, minutes in (*amounts.parts.items(), ("unexplained", amounts.unexplained)) if minutes
    }
    sums = "".join(
        f" {'-' if minutes < 0 else '+'} {number(abs(minutes))} {word(name)}" for name, minutes in terms.items()
    )
    whole = sums.removeprefix(" + ").removeprefix(" ") or number(ZERO)
    return f"{number(amounts.zammad)} {word('zammad')} = {whole}"


def hours(minutes: Decimal) -> str:
    """Minutes as hours, exactly: `12:30`, with seconds and their fractions if there are any."""
    sign, size = ("-" if minutes < 0 else ""), abs(minutes)
    whole = int(size)
    seconds = round((size - whole) * 60, 3)
    whole, seconds = (whole + 1, ZERO) if seconds >= 60 else (whole, seconds)
    text = f"{sign}{whole // 60}:{whole % 60:02}"
    if not seconds:
        return text
    full, _, part = f"{plain(seconds)}".partition(".")
    return f"{text}:{int(full):02}{'.' + part if part else ''}"


def plain(minutes: Decimal) -> str:
    """An amount in digits, without trailing zeros."""
    return f"{minutes.normalize() + 0:f}"


def _by_customer(rows: Iterable[Row]) -> defaultdict[StatementCustomer, list[Row]]:
    found: defaultdict[StatementCustomer, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.customer].append(row)
    return found


def _in_order(item: StatementItem) -> tuple[bool, date, str, str, int]:
    """The month's own bookings first, then all other time."""
    return item.origin is not None, item.day, item.ticket, item.agent, item.timesheet


def _by_name(customer: StatementCustomer) -> tuple[str, str, int]:
    return customer.name.casefold(), customer.name, customer.id


def _nobody(wanted: str, customers: Sequence[StatementCustomer]) -> str:
    text = f"There is no customer {wanted!r} in this statement."
    meant = _meant(wanted, customers)
    if not meant:
        return f"{text} Leave the customer out to see all."
    listed = ", ".join(map(str, meant[:MOST_MEANT]))
    more = f" and {len(meant) - MOST_MEANT} more" if len(meant) > MOST_MEANT else ""
    return f"{text} Is one of these meant: {listed}{more}? Give the name, or the number."


def _meant(wanted: str, customers: Sequence[StatementCustomer]) -> list[StatementCustomer]:
    """Customers whose names contain all the words, else those with similar names."""
    words, names = fold(wanted).split(), [(fold(customer.name), customer) for customer in customers]
    having = [customer for name, customer in names if words and all(word in name for word in words)]
    if having:
        return having
    near = nearest_names(wanted, dict.fromkeys(name for name, _ in names), limit=MOST_MEANT, least=LIKENESS)
    return [customer for found in near for name, customer in names if name == found]
