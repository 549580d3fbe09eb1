"""A statement for programs: one JSON object, or CSV lines."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import TypeAdapter

from zk_pipeline.billing.files import money
from zk_pipeline.billing.files.style import DocumentStyle
from zk_pipeline.domain import spreadsheets
from zk_pipeline.domain.invoicing import BillingState
from zk_pipeline.domain.periods import Closing, month_name
from zk_pipeline.domain.statement import (
    AGE_NAMES,
    ZERO,
    Amounts,
    CustomerStatement,
    DayMinutes,
    Statement,
    StatementCustomer,
    StatementGap,
    StatementLine,
    Verdict,
    conflict_ages,
    minutes_per_day,
    other_time_by_origin,
    questions_of,
)
from zk_pipeline.domain.statement_rows import (
    PARTS,
    AdjustmentLine,
    AdjustmentRow,
    ItemRow,
    Money,
    Origin,
    Readings,
    StatementItem,
)

COLUMNS = ("zammad", *PARTS, "unexplained", "billable", "billed", "to_be_billed")
"""The amounts of a line."""

RowView = TypeVar("RowView", ItemRow, AdjustmentRow)


@dataclass(frozen=True, slots=True)
class DayView:
    """The minutes of a day."""

    day: date
    zammad: Decimal
    kimai: Decimal


@dataclass(frozen=True, slots=True)
class LineView:
    """The minutes of one agent in one activity."""

    agent: str
    agent_email: str
    activity: str
    minutes: Amounts
    unexplained: Decimal


@dataclass(frozen=True, slots=True)
class ReasonView:
    """Open conflicts of one reason, and their minutes."""

    reason: str
    number: int
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class ConflictsView:
    """Open conflicts by age and reason."""

    under_1_day: int = 0
    under_7_days: int = 0
    under_30_days: int = 0
    older: int = 0
    minutes: Decimal = ZERO
    reasons: Sequence[ReasonView] = ()


@dataclass(frozen=True, slots=True)
class BesideView:
    """Time sheets in Kimai that do not belong to bookings of this month, by origin."""

    origin: Origin
    timesheets: int
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class FigureView:
    """Time sheets of one billing state, and their amount without tax."""

    state: BillingState
    timesheets: int
    minutes: Decimal
    amount: Decimal
    unpriced: int


@dataclass(frozen=True, slots=True)
class InvoiceView:
    """An invoice; `total` includes tax."""

    number: str
    status: str
    total: Decimal
    tax: Decimal
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MoneyView:
    """A customer's time sheets of the month in one currency (docs/billing.md, What counts as billed).

    `exported_in_all` and `invoiced_in_all` are of all months, `None` if never compared; `questions` say what to do
    about their `difference`.
    """

    customer: StatementCustomer
    currency: str
    amount: Decimal
    figures: Sequence[FigureView]
    invoices: Sequence[InvoiceView]
    exported_in_all: Decimal | None
    invoiced_in_all: Decimal | None
    difference: Decimal | None
    questions: Sequence[str]


@dataclass(frozen=True, slots=True)
class GapView:
    """An entry whose minutes do not add up."""

    customer: str
    entry: str
    day: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class AccountView:
    """The part of a customer; `credits_open` are minutes (docs/billing.md).

    `kimai_in_all` is Kimai's own sum: `minutes.kimai` plus those of `beside`, and the sum of `items`.
    """

    customer: StatementCustomer
    minutes: Amounts
    unexplained: Decimal
    lines: Sequence[LineView]
    days: Sequence[DayView]
    conflicts: ConflictsView
    credits_open: Decimal
    kimai_in_all: Decimal = ZERO
    beside: Sequence[BesideView] = ()
    money: Sequence[MoneyView] = ()
    items: Sequence[ItemRow] = ()
    adjustments: Sequence[AdjustmentRow] = ()


@dataclass(frozen=True, slots=True)
class StatementView:
    """A month's statement. `minutes.zammad` is the sum of the parts up to `adjusted` and `unexplained`.

    `stale_days` have changed since the statement was built. `closing` is set if the month is closed, and says whether
    this is the closed statement. `kimai_in_all` is Kimai's own sum: `minutes.kimai` plus those of `beside`.
    """

    month: str
    verdict: Verdict
    built_at: datetime | None
    stale_days: Sequence[date]
    closing: Closing | None
    readings: Readings | None
    minutes: Amounts
    unexplained: Decimal
    gaps: Sequence[GapView]
    days: Sequence[DayView]
    conflicts: ConflictsView
    credits_open: Decimal
    kimai_in_all: Decimal
    beside: Sequence[BesideView]
    money: Sequence[MoneyView]
    customers: Sequence[AccountView]


def to_view(statement: Statement) -> StatementView:
    """The statement for JSON and the API."""
    total = statement.total
    return StatementView(
        month=month_name(statement.month),
        verdict=statement.verdict,
        built_at=statement.built_at,
        stale_days=statement.stale_days,
        closing=statement.closing,
        readings=statement.readings,
        minutes=total,
        unexplained=total.unexplained,
        gaps=[_gap(gap) for gap in statement.gaps],
        days=[_day(row) for row in minutes_per_day(statement)],
        conflicts=_conflicts(statement.accounts),
        credits_open=statement.credited,
        kimai_in_all=statement.kimai_in_all,
        beside=_beside(statement.accounts),
        money=[_money(row) for account in statement.accounts for row in account.money],
        customers=[_account(account) for account in statement.accounts],
    )


def as_json(statement: Statement, style: DocumentStyle) -> bytes:
    """The statement as a JSON object, with amounts as strings, so that they are not rounded."""
    del style
    return TypeAdapter(StatementView).dump_json(to_view(statement), indent=2) + b"\n"


def as_csv(statement: Statement, style: DocumentStyle) -> bytes:
    """The lines as CSV; texts are never formulas in a spreadsheet."""
    heads = ("month", "customer", "customer_id", "agent", "agent_email", "activity", "entries")
    header = [
        *heads,
        *(f"minutes_{name}" for name in COLUMNS),
        "minutes_credits_open",
        "conflicts_open",
        "minutes_conflicts_open",
        *(f"minutes_{origin}" for origin in Origin),
        "closing",
        "closed_at",
        "closed_by",
    ]
    rows: list[list[Any]] = []
    for account in statement.accounts:
        rows += (_cells(statement, line) for line in account.lines)
        if account.credited or account.conflicts or account.beside:
            rows.append(_cells(statement, StatementLine(account.customer, "", "", "", Amounts()), account))
    return (style.csv.beginning + spreadsheets.lines([header, *rows], style.csv)).encode()


def amount_of(amounts: Amounts, name: str) -> Decimal:
    """The amount of a column."""
    return getattr(amounts, name)


def _cells(statement: Statement, line: StatementLine, account: CustomerStatement | None = None) -> list[Any]:
    """The cells of a line; a customer's credits, conflicts and other time have a line of their own."""
    customer, amounts = line.customer, line.amounts
    accounts = [account] if account else []
    beside, questions = other_time_by_origin(accounts), questions_of(accounts).values()
    of_account = (
        account.credited if account else ZERO,
        sum(number for number, _ in questions),
        sum((minutes for _, minutes in questions), ZERO),
        *(beside.get(origin, (0, ZERO))[1] for origin in Origin),
    )
    names = (month_name(statement.month), customer.name, customer.id or None, line.agent, line.agent_email)
    numbers = (amount_of(amounts, name) for name in COLUMNS)
    return [*names, line.activity, amounts.entries, *numbers, *of_account, *_closing(statement.closing)]


def _closing(closing: Closing | None) -> Sequence[Any]:
    return ("", "", "") if closing is None else (closing.kind, closing.at.isoformat(), closing.by)


def _account(account: CustomerStatement) -> AccountView:
    total = account.total
    lines = [
        LineView(line.agent, line.agent_email, line.activity, line.amounts, line.amounts.unexplained)
        for line in account.lines
    ]
    days = [_day(row) for row in account.days]
    return AccountView(
        account.customer,
        total,
        total.unexplained,
        lines,
        days,
        _conflicts([account]),
        account.credited,
        account.kimai_in_all,
        _beside([account]),
        [_money(row) for row in account.money],
        [_without_customer(row, ItemRow) for row in account.items],
        [_without_customer(row, AdjustmentRow) for row in account.adjustments],
    )


def _without_customer(row: StatementItem | AdjustmentLine, kind: type[RowView]) -> RowView:
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})


def _beside(accounts: Sequence[CustomerStatement]) -> list[BesideView]:
    return [BesideView(origin, *found) for origin, found in other_time_by_origin(accounts).items()]


def _money(row: Money) -> MoneyView:
    return MoneyView(
        row.customer,
        row.currency,
        row.amount,
        [FigureView(each.state, each.sheets, each.minutes, each.rates, each.unpriced) for each in row.figures],
        [InvoiceView(each.number, each.status, each.total, each.tax, each.created_at) for each in row.invoices],
        row.compared.rates if row.compared else None,
        row.compared.invoiced if row.compared else None,
        row.compared.difference if row.compared else None,
        money.question_sentences(row),
    )


def _conflicts(accounts: Sequence[CustomerStatement]) -> ConflictsView:
    reasons = [ReasonView(reason, *found) for reason, found in questions_of(accounts).items()]
    ages = dict(zip(AGE_NAMES, conflict_ages(accounts), strict=True))
    return ConflictsView(**ages, minutes=sum((row.minutes for row in reasons), ZERO), reasons=reasons)


def _day(row: DayMinutes) -> DayView:
    return DayView(row.day, row.zammad, row.kimai)


def _gap(gap: StatementGap) -> GapView:
    return GapView(str(gap.customer), gap.entry, gap.day, gap.minutes)
