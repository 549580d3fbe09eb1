"""How far a month is on its way to being closed, and the review of its customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection

from zk_pipeline.audit import trail
from zk_pipeline.billing.periods import month_totals
from zk_pipeline.billing.statements import checked_month, read, read_time
from zk_pipeline.domain.instants import days_window, local_day
from zk_pipeline.domain.month_steps import MonthChange, MonthFacts, StepState, change_of, review_hash, steps_of
from zk_pipeline.domain.periods import last_day, month_name, month_of
from zk_pipeline.domain.statement import CustomerStatement, Statement
from zk_pipeline.domain.statement_rows import StatementCustomer
from zk_pipeline.identity.actors import Actor, StaleError, UnknownError
from zk_pipeline.operate import overview
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, periods, statements, sweeps
from zk_pipeline.store.connectors import active_connectors


@dataclass(frozen=True, slots=True)
class CustomerReview:
    """A customer of a month, and who reviewed it when, in UTC.

    `change` compares Kimai's minutes with the month before. `hash` is that of what is to be reviewed now; `holds` says
    that just this was reviewed.
    """

    customer: StatementCustomer
    hash: str
    change: MonthChange
    reviewed_by: str = ""
    reviewed_at: datetime | None = None
    holds: bool = False


@dataclass(frozen=True, slots=True)
class MonthProgress:
    """The steps of a month, and its customers, who are none before the statement was made."""

    month: str
    steps: tuple[StepState, ...]
    customers: tuple[CustomerReview, ...]


def progress(runtime: Runtime, name: str, whole: Statement | None = None) -> MonthProgress:
    """How far a month is. `whole` is its statement, if it was read. Raises `OperationError` for an invalid month."""
    month = checked_month(name)
    with runtime.database.transaction() as connection:
        if whole is None and statements.is_made(connection):
            whole = read(connection, month, runtime.settings)
        customers = _customers(connection, runtime, whole) if whole else ()
        facts = _facts(connection, runtime, month, customers)
    return MonthProgress(month_name(month), steps_of(facts), customers)


def review(
    runtime: Runtime, actor: Actor, name: str, seen: Mapping[str, str], *, withdraw: bool = False
) -> MonthProgress:
    """Record that customers were reviewed, or withdraw that. `seen` has the hash of each as it was looked at, by key.

    A key is the number in Kimai, or the name without one. Raises `UnknownError` for another customer, `StaleError` if
    the month is closed, or a customer's time changed since.
    """
    month = checked_month(name)
    with runtime.database.transaction() as connection:
        if month in periods.closed_months(connection):
            raise StaleError(f"{month_name(month)} is closed, so its customers cannot be reviewed. Reopen it first.")
        if not statements.is_made(connection):
            raise StaleError(f"There is no statement of {month_name(month)} yet. Make it first.")
        whole = read(connection, month, runtime.settings)
        _require_seen(whole, seen)
        if withdraw:
            periods.withdraw_reviews(connection, month, list(seen))
        elif seen:
            periods.review(connection, month, seen, actor.name)
        event = "review.withdrawn" if withdraw else "review.made"
        subject = f"period:{month_name(month)}"
        audit.append(connection, [actor.audit_event(event, subject, {"customer": key}) for key in seen])
    return progress(runtime, name)


def customer_key(customer: StatementCustomer) -> str:
    """What names a customer in reviews."""
    return str(customer.id) if customer.id else customer.name


def _require_seen(whole: Statement, seen: Mapping[str, str]) -> None:
    current = {customer_key(account.customer): account for account in whole.accounts}
    for key, hashed in seen.items():
        account = current.get(key)
        if account is None:
            raise UnknownError(f"{month_name(whole.month)} has no customer {key!r}. Give the number, or the name.")
        if review_hash(account) != hashed:
            raise StaleError(f"Look at {account.customer.name} again: its time has changed since you opened the page.")


def _customers(connection: Connection, runtime: Runtime, whole: Statement) -> tuple[CustomerReview, ...]:
    earlier = read_time(connection, month_of(whole.month - timedelta(days=1)), runtime.settings)
    before = {customer_key(account.customer): account for account in earlier.accounts}
    made = periods.reviews(connection, whole.month)
    names = trail.names_of(connection, {row.reviewed_by for row in made.values()})

    def reviewed(account: CustomerStatement) -> CustomerReview:
        key, hashed = customer_key(account.customer), review_hash(account)
        change, row = change_of(account, before.get(key)), made.get(key)
        if row is None:
            return CustomerReview(account.customer, hashed, change)
        by, at = names.get(row.reviewed_by) or row.reviewed_by, row.reviewed_at.astimezone(UTC)
        return CustomerReview(account.customer, hashed, change, by, at, row.hash == hashed)

    return tuple(map(reviewed, whole.accounts))


def _facts(connection: Connection, runtime: Runtime, month: date, customers: Sequence[CustomerReview]) -> MonthFacts:
    names, settings, last = active_connectors(connection), runtime.settings, last_day(month)
    both = [names.source, names.target]
    unread = [sweeps.unread_days(connection, name, month, last, settings.zone) for name in both]
    oldest = [sweeps.days_read(connection, name, month, last, settings.zone).oldest for name in both]
    end = days_window(month, last, settings.zone).end
    shares = overview.time_shares(connection, names, month, last)
    return MonthFacts(
        month=month,
        today=local_day(datetime.now(UTC), settings.zone),
        totals=month_totals(connection, settings, month),
        unread=len(set().union(*unread)),
        read_early=any(at < end for at in oldest if at is not None),
        waiting=shares.bookings_waiting,
        minutes_waiting=shares.waiting,
        customers=len(customers),
        reviewed=sum(row.holds for row in customers),
        closed=month in periods.closed_months(connection),
    )
