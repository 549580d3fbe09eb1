"""Invoices: the billing state of time sheets, and how exported time compares with invoices."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, and_, delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.decision import Owned, owned
from zk_pipeline.domain.invoicing import Comparison, Figure, Group, figures
from zk_pipeline.domain.records import Invoice, InvoiceReading, Timesheet, Window
from zk_pipeline.domain.statement_rows import Money, StatementCustomer
from zk_pipeline.store.database import among, upsert
from zk_pipeline.store.raw_tables import accepted_differences, invoice_checks, invoice_readings, invoices
from zk_pipeline.store.tables import locked_timesheets

# Queries on the target's invoices, and on whether they could be read.

_FIELDS = Invoice.__slots__


@dataclass(frozen=True, slots=True)
class StoredInvoices:
    """The stored invoices, when they were last read, and the problem of the last attempt."""

    rows: tuple[Invoice, ...]
    read_at: datetime | None
    problem: str


def save(connection: Connection, connector: str, reading: InvoiceReading) -> None:
    """Store what was read; invoices that are not there any more are removed. Without a reading the stored ones stay."""
    if not reading.problem:
        _replace(connection, connector, reading.rows)
    moment = None if reading.problem else func.now()
    values = {"connector": connector, "problem": reading.problem, "read_at": moment}
    kept = invoice_readings.c.read_at if reading.problem else func.now()
    statement = insert(invoice_readings).values(values)
    changes = {"problem": reading.problem, "tried_at": func.now(), "read_at": kept}
    connection.execute(statement.on_conflict_do_update(index_elements=["connector"], set_=changes))


def load(connection: Connection, connector: str) -> StoredInvoices:
    """The stored invoices; empty before the first read."""
    tried = connection.execute(select(invoice_readings).where(invoice_readings.c.connector == connector)).first()
    query = select(*(invoices.c[name] for name in _FIELDS)).where(invoices.c.connector == connector)
    rows = tuple(Invoice(*row) for row in connection.execute(query.order_by(invoices.c.id)))
    if tried is None:
        return StoredInvoices(rows, None, "")
    return StoredInvoices(rows, tried.read_at, tried.problem)


def _replace(connection: Connection, connector: str, rows: Sequence[Invoice]) -> None:
    gone = invoices.c.id.not_in([row.id for row in rows])
    connection.execute(delete(invoices).where(invoices.c.connector == connector, gone))
    values = [{"connector": connector, **{name: getattr(row, name) for name in _FIELDS}} for row in rows]
    upsert(connection, invoices, values, only_if_changed=True)


# Queries on billing: what became of time sheets, and how what is exported compares with the invoices.

_ACCOUNT = ("customer_id", "currency")
_OWNED = ("user_id", "begin_at", "duration_seconds", "project_id", "activity_id")

_GROUPS = text(
    """
    SELECT customer_id, currency, exported, billable, tagged, count(*) AS sheets, sum(duration_seconds) AS seconds,
        COALESCE(sum(rate), 0) AS rates,
        count(*) FILTER (WHERE billable AND rate = 0 AND duration_seconds > 0) AS unpriced,
        count(*) FILTER (WHERE rate IS NULL) AS unread
    FROM kimai.billing
    WHERE connector = :connector AND begin_at >= :start AND begin_at < :end
    GROUP BY customer_id, currency, exported, billable, tagged
    """
)


def figures_within(connection: Connection, connector: str, window: Window) -> list[Figure]:
    """The time sheets that begin within the window, by customer, currency and billing state."""
    rows = connection.execute(_GROUPS, {"connector": connector, "start": window.start, "end": window.end})
    checked = {(row.customer_id, row.currency): row.state for row in checks(connection, connector)}
    return figures((Group(**row) for row in rows.mappings()), checked)


def money_within(
    connection: Connection, connector: str, window: Window, of: Iterable[StatementCustomer]
) -> list[Money]:
    """The price of these customers' time sheets that begin within the window, and the invoices made since it began."""
    named = {customer.id: customer for customer in of if customer.id}
    found = [row for row in figures_within(connection, connector, window) if row.customer_id in named]
    compared = {(row.customer_id, row.currency): row for row in checks(connection, connector)}
    made = [row for row in load(connection, connector).rows if row.created_at >= window.start]
    accounts = {(row.customer_id, row.currency) for row in (*found, *made, *compared.values())}
    return [
        Money(
            named[customer_id],
            currency,
            tuple(row for row in found if (row.customer_id, row.currency) == (customer_id, currency)),
            compared.get((customer_id, currency)),
            tuple(row for row in made if (row.customer_id, row.currency) == (customer_id, currency)),
        )
        for customer_id, currency in sorted(accounts)
        if customer_id in named
    ]


def save_checks(connection: Connection, connector: str, found: Iterable[Comparison]) -> None:
    """Replace the comparisons of a target's exported amounts with its invoices."""
    connection.execute(delete(invoice_checks).where(invoice_checks.c.connector == connector))
    values = [
        {
            "connector": connector,
            "customer_id": row.customer_id,
            "currency": row.currency,
            "sheets": row.sheets,
            "rates": row.rates,
            "invoices": row.invoices,
            "invoiced": row.invoiced,
        }
        for row in found
    ]
    upsert(connection, invoice_checks, values, stamped={"checked_at": "now()"})


def checks(connection: Connection, connector: str) -> list[Comparison]:
    """The last comparisons; empty before the first."""
    of_account = (invoice_checks.c[name] == accepted_differences.c[name] for name in ("connector", *_ACCOUNT))
    accepted = (accepted_differences.c[name] for name in ("difference", "accepted_by", "reason"))
    query = select(invoice_checks, *accepted).select_from(
        invoice_checks.outerjoin(accepted_differences, and_(*of_account))
    )
    query = query.where(invoice_checks.c.connector == connector)
    found: list[Comparison] = []
    for row in connection.execute(query.order_by(*(invoice_checks.c[name] for name in _ACCOUNT))):
        comparison = Comparison(row.customer_id, row.currency, row.sheets, row.rates, tuple(row.invoices), row.invoiced)
        holds = row.difference is not None and row.difference == comparison.difference
        found.append(replace(comparison, accepted=row.reason, accepted_by=row.accepted_by) if holds else comparison)
    return found


def accept(connection: Connection, connector: str, found: Comparison, *, reason: str, actor: str) -> None:
    """Accept the difference of a comparison; another difference is a new question."""
    values = {
        "connector": connector,
        "customer_id": found.customer_id,
        "currency": found.currency,
        "difference": found.difference,
        "reason": reason,
        "accepted_by": actor,
    }
    upsert(connection, accepted_differences, [values], stamped={"accepted_at": "now()"})


def checked_at(connection: Connection, connector: str) -> datetime | None:
    """When the last comparison was made."""
    query = select(func.max(invoice_checks.c.checked_at)).where(invoice_checks.c.connector == connector)
    return connection.execute(query).scalar()


def locked_as(connection: Connection, connector: str, ids: Collection[int]) -> dict[int, Owned]:
    """The values of these time sheets when they were first seen exported or closed, if stored."""
    if not ids:
        return {}
    locked = locked_timesheets.c
    query = select(locked.kimai_id, *(locked[name] for name in _OWNED)).where(
        locked.connector == connector, among(locked.kimai_id, ids)
    )
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in connection.execute(query)}


def keep_locked(connection: Connection, connector: str, rows: Iterable[Timesheet]) -> None:
    """Store the current values of locked time sheets, replacing earlier ones."""
    values = [
        {"connector": connector, "kimai_id": row.id, **dict(zip(_OWNED, owned(row), strict=True))} for row in rows
    ]
    upsert(connection, locked_timesheets, values, stamped={"locked_at": "now()"})


def forget_locked(connection: Connection, connector: str, ids: Collection[int]) -> None:
    """Forget time sheets that may be written again."""
    locked = locked_timesheets.c
    connection.execute(delete(locked_timesheets).where(locked.connector == connector, among(locked.kimai_id, ids)))
