"""The statement of a month: current, or as closed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import Connection, Row

from zk_pipeline.audit import trail
from zk_pipeline.billing.files.closed_statement import statement_from_closing, statement_hash, without_invoicing
from zk_pipeline.domain.invoicing import Comparison
from zk_pipeline.domain.periods import Closing, MonthError, fingerprint, last_day, month_name, month_of, parse_month
from zk_pipeline.domain.statement import CustomerError, Statement, of_customer, statement_of
from zk_pipeline.domain.statement_rows import Money
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.operate.runs import launch_once
from zk_pipeline.runtime.run_tags import REASON_TAG
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.stages import marts
from zk_pipeline.stages.marts import MartsError
from zk_pipeline.store import periods, statements
from zk_pipeline.store.connectors import active_connectors

# Closed statements.


@dataclass(frozen=True, slots=True)
class RehashedStatement:
    """A closed statement in which names were replaced, with its hashes before and after."""

    month: str
    was: str
    now: str


def closed_statement(connection: Connection, month: date) -> Statement:
    """The statement stored by the last closing of a month, even if it was reopened.

    Raises `StaleError` if there is none, or it was changed.
    """
    row, name = periods.last(connection, month), month_name(month)
    if row is None:
        raise StaleError(f"{name} was never closed. Look at its current statement instead.")
    if row.content is None:
        raise StaleError(f"The closing of {name} stored no statement, only its hash {row.statement_hash}.")
    if not _is_intact(row):
        raise StaleError(
            f"Compare the closed statement of {name} with a backup, and find out who can write to the database: it was "
            f"changed, its hash is no longer {row.hash}."
        )
    return replace(statement_from_closing(row.content), closing=replace(_closing(connection, row), shown=True))


def closing_of(connection: Connection, whole: Statement, found: Statement) -> Closing | None:
    """The closing of the current statement's month; `None` if it is open. `found` is the part of `whole` shown."""
    row = periods.last(connection, whole.month)
    if row is None or row.reopened_at is not None:
        return None
    differs = row.content is not None and _differs(statement_from_closing(row.content), whole, found)
    return replace(_closing(connection, row), differs=differs, stale_days=len(whole.stale_days))


def intact_hashes(connection: Connection) -> dict[int, str]:
    """The hashes of the unchanged closed statements, by closing id."""
    return {row.id: statement_hash(row.content) for row in periods.kept_statements(connection) if _is_intact(row)}


def rehash_after_erasure(connection: Connection, before: Mapping[int, str]) -> list[RehashedStatement]:
    """Update the hashes of intact statements in which names were replaced; returns the changed ones."""
    changed: list[RehashedStatement] = []
    for row in periods.kept_statements(connection):
        if row.id in before and not _is_intact(row):
            periods.set_hash(connection, row.id, fingerprint(row.content))
            changed.append(RehashedStatement(month_name(row.month), before[row.id], statement_hash(row.content)))
    return changed


def _is_intact(row: Row) -> bool:
    return fingerprint(row.content) == row.hash


def _differs(closed: Statement, whole: Statement, found: Statement) -> bool:
    """Whether lines, days or items differ from the closed statement, for the customers shown.

    Later exports and invoices are no difference, nor is what older versions did not store.
    """
    if len(found.accounts) == 1 and len(whole.accounts) > 1:
        asked = found.accounts[0].customer
        accounts = tuple(
            account
            for account in closed.accounts
            if (account.customer.id == asked.id if asked.id else account.customer == asked)
        )
        closed = replace(closed, accounts=accounts)
    lines, today = (set(map(without_invoicing, each.lines)) for each in (closed, found))
    others = any(account.items for account in closed.accounts) and _minutes_placed(closed) != _minutes_placed(found)
    return others or (lines, set(closed.days)) != (today, set(found.days))


def _minutes_placed(statement: Statement) -> Counter[tuple[object, ...]]:
    """The minutes of the items by customer, day and booking; names and amounts may change."""
    return Counter(
        (item.customer.id, item.origin, item.day, item.booking, item.minutes)
        for account in statement.accounts
        for item in account.items
    )


def _closing(connection: Connection, row: Row) -> Closing:
    names = {row.closed_by: row.closed_by, **trail.names_of(connection, {row.closed_by})}
    kept = row.content is not None
    return Closing(
        at=row.closed_at,
        by=names[row.closed_by],
        hash=row.statement_hash,
        reopened_at=row.reopened_at,
        kept=kept,
        pseudonymized=kept and statement_hash(row.content) != row.statement_hash,
    )


def checked_month(name: str) -> date:
    """The first day of a month such as `2025-08`. Raises `OperationError`."""
    try:
        return parse_month(name)
    except MonthError as error:
        raise OperationError(str(error)) from error


# The current statement, from the marts.

MARTS_JOB = "marts"


def statement(
    runtime: Runtime, name: str, customer: str | None = None, *, refresh: bool = True, closed: bool = False
) -> Statement:
    """The statement of a month such as `2025-08`, of all customers or one, by name or number in Kimai.

    With `closed`, the closed statement. With `refresh`, the marts are built first if the month has changed. Raises
    `OperationError` for an invalid month or a failed build, `UnknownError` for a customer without time in it, and
    `StaleError` without marts or closed statement.
    """
    month = checked_month(name)
    if refresh and not closed:
        refresh_if_stale(runtime, month)
    with runtime.database.transaction() as connection:
        if closed:
            return _for_customer(closed_statement(connection, month), customer)
        if not statements.is_made(connection):
            raise StaleError(f"There is no statement of {month_name(month)} yet. Make it first.")
        whole = read(connection, month, runtime.settings)
        found = _for_customer(whole, customer)
        return replace(found, closing=closing_of(connection, whole, found))


def read(connection: Connection, month: date, settings: Settings) -> Statement:
    """The statement of a month from the marts, of all customers."""
    rows = statements.rows(connection, active_connectors(connection), month, settings.zone)
    made = statement_of(
        month,
        rows.lines,
        rows.days,
        rows.gaps,
        rows.conflicts,
        rows.beside,
        _with_names(connection, rows.money),
        rows.items,
        rows.adjustments,
    )
    # Closing a month does not change its statement, which is a draft only once something else has changed.
    unit, last = settings.minutes_per_unit, last_day(month)
    changed = statements.stale_days(connection, month, last, unit, by_closing=False)
    return replace(made, built_at=rows.built_at, stale_days=tuple(changed), readings=rows.readings)


def read_time(connection: Connection, month: date, settings: Settings) -> Statement:
    """The time of a month alone, to compare with: lines, and all that the target adds up to. Faster than the whole."""
    items = statements.read_items(connection, active_connectors(connection), month, settings.zone)
    lines = statements.read_lines(connection, month)
    return statement_of(month, lines, beside=statements.beside(items), items=items)


def _with_names(connection: Connection, rows: Sequence[Money]) -> list[Money]:
    """The amounts, with the names of those who accepted differences."""
    names = trail.names_of(connection, {row.compared.accepted_by for row in rows if row.compared})

    def named(compared: Comparison | None) -> Comparison | None:
        return compared and replace(compared, accepted_by=names.get(compared.accepted_by, compared.accepted_by))

    return [replace(row, compared=named(row.compared)) for row in rows]


def months(runtime: Runtime) -> tuple[date, ...]:
    """The months from the last one with a booking back to the first."""
    with runtime.database.transaction() as connection:
        days = statements.booked_days(connection)
    found: list[date] = []
    if days is not None:
        month = month_of(days[1])
        while month >= month_of(days[0]):
            found.append(month)
            month = month_of(month - timedelta(days=1))
    return tuple(found)


def refresh_if_stale(runtime: Runtime, month: date) -> bool:
    """Build the marts if a month has changed; returns whether they were built. Raises `OperationError`."""
    with runtime.database.transaction() as connection:
        if statements.is_made(connection) and not _stale(connection, month, runtime.settings.minutes_per_unit):
            return False
    try:
        marts.refresh(runtime)
    except MartsError as error:
        raise OperationError(str(error)) from error
    return True


def launch_refresh(runtime: Runtime, actor: Actor) -> str:
    """Start a run that builds the marts; returns its id. Raises `DagsterServerError`."""
    return launch_once(runtime, actor, MARTS_JOB, {REASON_TAG: "person"})


def _for_customer(whole: Statement, customer: str | None) -> Statement:
    """The statement of one customer, if given."""
    if not customer:
        return whole
    try:
        return of_customer(whole, customer)
    except CustomerError as error:
        raise UnknownError(error.args[0]) from error


def _stale(connection: Connection, month: date, minutes_per_unit: Decimal) -> list[date]:
    return statements.stale_days(connection, month, last_day(month), minutes_per_unit)
