"""What Kimai exported beside what it invoiced, customer by customer, and differences that a person accepts."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from sqlalchemy import Connection

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.invoicing import BillingState, Comparison
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.stages.read_target import check_invoices
from zk_pipeline.store import audit, invoices, target
from zk_pipeline.store.connectors import active_connectors


@dataclass(frozen=True, slots=True)
class InvoiceComparison:
    """A customer's exported, billable time sheets of all months beside the invoices that hold, in one currency.

    Amounts are without tax. `difference` is what is exported beyond the invoices, negative where more is invoiced.
    `accepted` says who took that as it is, and why. `compared_at` is in UTC.
    """

    customer_id: int
    customer: str
    currency: str
    sheets: int
    exported: Decimal
    invoices: tuple[str, ...]
    invoiced: Decimal
    difference: Decimal
    state: BillingState
    accepted: str
    compared_at: datetime | None


def compare(runtime: Runtime) -> str:
    """Read Kimai's invoices and compare; returns why that was not possible. Raises `OperationError` when Kimai is away.

    That the account may not read them is no error: the statement says so.
    """
    try:
        with runtime.target() as connector:
            _, problem = check_invoices(runtime, connector)
    except (ConnectorError, SetupError) as error:
        raise OperationError(f"The invoices were not compared. {error}") from error
    return problem


def list_comparisons(runtime: Runtime) -> list[InvoiceComparison]:
    """What the last comparison found, the customers whose amounts differ first."""
    with runtime.database.transaction() as connection:
        rows = _comparisons(connection)
    return sorted(rows, key=lambda row: (not row.difference, bool(row.accepted), row.customer.casefold(), row.currency))


def accept(
    runtime: Runtime, actor: Actor, customer: str, reason: str, *, currency: str = "", difference: Decimal | None = None
) -> InvoiceComparison:
    """Take the difference of a customer as it is, for a reason; another difference is a question again.

    `customer` is a name or Kimai's id; `difference` is the one that the person saw. Raises the errors of
    `identity.actors`.
    """
    if not reason.strip():
        raise OperationError("A reason is missing. Say why the difference is right: --reason.")
    with runtime.database.transaction() as connection:
        name = active_connectors(connection).target
        row = _matching(_comparisons(connection), customer, currency)
        if not row.difference:
            raise StaleError(f"What is exported of {row.customer} is invoiced to the cent. There is nothing to accept.")
        if difference is not None and difference != row.difference:
            raise StaleError(
                f"The difference of {row.customer} is {row.difference} {row.currency} by now, not {difference}. "
                "Look at it again: zk invoices."
            )
        known = Comparison(row.customer_id, row.currency, row.sheets, row.exported, row.invoices, row.invoiced)
        invoices.accept(connection, name, known, reason=reason.strip(), actor=actor.name)
        detail = {"currency": row.currency, "difference": str(row.difference), "reason": reason.strip()}
        audit.append(connection, [actor.audit_event("invoices.accepted", f"customer:{row.customer_id}", detail)])
        return _matching(_comparisons(connection), str(row.customer_id), row.currency)


def amount_given(text: str) -> Decimal:
    """An amount that a person wrote. Raises `OperationError`."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise OperationError(
            f"--difference {text!r} is no amount. Write it as zk invoices shows it: -12.50."
        ) from error


def _comparisons(connection: Connection) -> list[InvoiceComparison]:
    name = active_connectors(connection).target
    directory = target.load_directory(connection, name)
    names = {row.id: row.name for row in directory.customers} if directory else {}
    at = invoices.checked_at(connection, name)
    return [
        InvoiceComparison(
            customer_id=row.customer_id,
            customer=names.get(row.customer_id, f"customer {row.customer_id}"),
            currency=row.currency,
            sheets=row.sheets,
            exported=row.rates,
            invoices=row.invoices,
            invoiced=row.invoiced,
            difference=row.difference,
            state=row.state,
            accepted=row.accepted,
            compared_at=at,
        )
        for row in invoices.checks(connection, name)
    ]


def _matching(rows: list[InvoiceComparison], customer: str, currency: str) -> InvoiceComparison:
    """The one that is meant, by name or id. A customer whose currency was changed has amounts in both."""
    found = [row for row in rows if customer.strip() in {row.customer, str(row.customer_id)}]
    found = [row for row in found if currency in {"", row.currency}]
    if not found:
        of_currency = f" in {currency}" if currency else ""
        raise UnknownError(
            f"Nothing was exported or invoiced of a customer {customer!r}{of_currency}. zk invoices lists them."
        )
    if len(found) > 1:
        several = ", ".join(f"{row.customer} ({row.customer_id}) in {row.currency}" for row in found)
        raise OperationError(f"{customer!r} could be {several}. Give the id, and the currency: --currency.")
    return found[0]
