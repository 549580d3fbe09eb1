"""A statement for programs: one JSON object, or CSV lines; and its fingerprint."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from zk_pipeline.domain.closing import month_name
from zk_pipeline.domain.statement import (
    AGE_NAMES,
    PARTS,
    Account,
    Amounts,
    Customer,
    DayMinutes,
    Gap,
    Line,
    Statement,
    Verdict,
    conflict_ages,
    minutes_per_day,
)
from zk_pipeline.operations import spreadsheets
from zk_pipeline.operations.statement_files.look import Look

COLUMNS = ("zammad", *PARTS, "unexplained", "billable", "billed", "to_be_billed")
"""The amounts of a line, in their order."""

_OF_THE_MOMENT: Any = {"built_at": True, "stale_days": True, "conflicts": True, "customers": {"__all__": {"conflicts"}}}


@dataclass(frozen=True, slots=True)
class ToldDay:
    """A day's minutes."""

    day: date
    zammad: Decimal
    kimai: Decimal


@dataclass(frozen=True, slots=True)
class ToldLine:
    """What one agent did in one activity."""

    agent: str
    agent_email: str
    activity: str
    minutes: Amounts
    unexplained: Decimal


@dataclass(frozen=True, slots=True)
class ToldGap:
    """An entry whose minutes do not add up."""

    customer: str
    entry: str
    day: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class ToldAccount:
    """A customer's part; conflicts are counted by their age."""

    customer: Customer
    minutes: Amounts
    unexplained: Decimal
    lines: Sequence[ToldLine]
    days: Sequence[ToldDay]
    conflicts: dict[str, int]


@dataclass(frozen=True, slots=True)
class ToldStatement:
    """A month's statement. `minutes.zammad` is the sum of the parts up to `adjusted`, and of `unexplained`.

    `stale_days` changed since the statement was made.
    """

    month: str
    verdict: Verdict
    built_at: datetime | None
    stale_days: Sequence[date]
    minutes: Amounts
    unexplained: Decimal
    gaps: Sequence[ToldGap]
    days: Sequence[ToldDay]
    conflicts: dict[str, int]
    customers: Sequence[ToldAccount]


def told(statement: Statement) -> ToldStatement:
    """The statement as JSON and the API tell it."""
    total = statement.total
    return ToldStatement(
        month=month_name(statement.month),
        verdict=statement.verdict,
        built_at=statement.built_at,
        stale_days=statement.stale_days,
        minutes=total,
        unexplained=total.unexplained,
        gaps=[_gap(gap) for gap in statement.gaps],
        days=[_day(row) for row in minutes_per_day(statement)],
        conflicts=_ages(statement.accounts),
        customers=[_account(account) for account in statement.accounts],
    )


def as_json(statement: Statement, look: Look) -> bytes:
    """The statement as one JSON object; amounts are strings, so that no reader rounds them."""
    del look
    return TypeAdapter(ToldStatement).dump_json(told(statement), indent=2) + b"\n"


def fingerprint(statement: Statement) -> str:
    """SHA-256 of the JSON object without what tells of the moment (docs/billing.md, Closing a month)."""
    lasting = TypeAdapter(ToldStatement).dump_python(told(statement), mode="json", exclude=_OF_THE_MOMENT)
    canonical = json.dumps(lasting, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def as_csv(statement: Statement, look: Look) -> bytes:
    """The lines; what people typed stays text in a spreadsheet."""
    del look
    heads = ("month", "customer", "customer_id", "agent", "agent_email", "activity", "entries")
    header = [*heads, *(f"minutes_{name}" for name in COLUMNS)]
    return spreadsheets.lines([header, *(_cells(statement, line) for line in statement.lines)]).encode()


def amount(amounts: Amounts, name: str) -> Decimal:
    """An amount by the name of its column."""
    return getattr(amounts, name)


def _cells(statement: Statement, line: Line) -> list[Any]:
    customer, amounts = line.customer, line.amounts
    names = (month_name(statement.month), customer.name, customer.id or None, line.agent, line.agent_email)
    numbers = (amount(amounts, name) for name in COLUMNS)
    return [*names, line.activity, amounts.entries, *numbers]


def _account(account: Account) -> ToldAccount:
    total = account.total
    lines = [
        ToldLine(line.agent, line.agent_email, line.activity, line.amounts, line.amounts.unexplained)
        for line in account.lines
    ]
    days = [_day(row) for row in account.days]
    return ToldAccount(account.customer, total, total.unexplained, lines, days, _ages([account]))


def _ages(accounts: Sequence[Account]) -> dict[str, int]:
    return dict(zip(AGE_NAMES, conflict_ages(accounts), strict=True))


def _day(row: DayMinutes) -> ToldDay:
    return ToldDay(row.day, row.zammad, row.kimai)


def _gap(gap: Gap) -> ToldGap:
    return ToldGap(str(gap.customer), gap.entry, gap.day, gap.minutes)
