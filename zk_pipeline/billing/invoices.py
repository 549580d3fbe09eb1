"""Comparing what Kimai exported with its invoices, accepting differences, and what is to be asked about money."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from sqlalchemy import Connection

from zk_pipeline.audit import trail
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.invoicing import BillingState, Comparison
from zk_pipeline.domain.names import fold
from zk_pipeline.domain.periods import last_day
from zk_pipeline.domain.statement_rows import StatementCustomer
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.stages.read_target import check_invoices
from zk_pipeline.store import audit, invoices, target
from zk_pipeline.store.connectors import active_connectors


@dataclass(frozen=True, slots=True)
class InvoiceComparison:
    """A customer's exported billable time sheets of all months and valid invoices, in one currency.

    Amounts are without tax. `difference` is exported minus invoiced. `accepted` says why `accepted_by`
    accepted it. `compared_at` is in UTC.
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
    accepted_by: str
    compared_at: datetime | None


def compare(runtime: Runtime) -> str:
    """Read Kimai's invoices and compare; returns why the account may not read them, or an empty text.

    Raises `OperationError` if Kimai does not answer.
    """
    try:
        with runtime.target() as connector:
            _, problem = check_invoices(runtime, connector)
    except (ConnectorError, SetupError) as error:
        raise OperationError(f"The invoices could not be compared. {error}") from error
    return problem


def list_comparisons(runtime: Runtime) -> list[InvoiceComparison]:
    """The last comparison, with differences first."""
    with runtime.database.transaction() as connection:
        rows = _comparisons(connection)
    return sorted(rows, key=lambda row: (not row.difference, bool(row.accepted), row.customer.casefold(), row.currency))


class QuestionKind(StrEnum):
    """What a question about money is about: invoices that differ from what is exported, or amounts that are missing."""

    TOO_LITTLE_INVOICED = "too_little_invoiced"
    TOO_MUCH_INVOICED = "too_much_invoiced"
    UNPRICED = "unpriced"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Question:
    """What a person has to answer before customers are billed right.

    `customers` are those whom it is about, each with the number of its time sheets: exported ones where invoices
    differ (`compared`), else those without an amount. `base_url` is Kimai's address, empty if unknown. `namesakes` are
    the customers in Kimai who share their name with another one.
    """

    kind: QuestionKind
    customers: tuple[tuple[StatementCustomer, int], ...]
    base_url: str
    namesakes: frozenset[int]
    compared: InvoiceComparison | None = None

    def called(self, customer: StatementCustomer) -> str:
        """A customer's name, with the number if it is a namesake; empty if it is unknown."""
        return str(customer) if customer.id in self.namesakes else customer.name

    @property
    def timesheets(self) -> int:
        """How many time sheets it is about."""
        return sum(number for _, number in self.customers)


def questions(runtime: Runtime, month: date) -> tuple[Question, ...]:
    """The differences of all months that nobody accepted, and the time sheets of a month that lack an amount."""
    window = days_window(month, last_day(month), runtime.settings.zone)
    with runtime.database.transaction() as connection:
        active = active_connectors(connection)
        compared = [row for row in _comparisons(connection) if row.difference and not row.accepted]
        found = invoices.figures_within(connection, active.target, window)
        names = _customer_names(connection, active.target)
    url, kind, namesakes = active.target_url, QuestionKind, _namesakes(names)
    asked = [
        Question(
            kind.TOO_LITTLE_INVOICED if row.difference > 0 else kind.TOO_MUCH_INVOICED,
            ((StatementCustomer(row.customer, row.customer_id), row.sheets),),
            url,
            namesakes,
            row,
        )
        for row in compared
    ]
    for lacking in (kind.UNPRICED, kind.UNREAD):
        numbers = Counter[int]()
        for row in found:
            numbers[row.customer_id] += row.unpriced if lacking is kind.UNPRICED else row.unread
        customers = tuple((StatementCustomer(names.get(id_, ""), id_), number) for id_, number in (+numbers).items())
        asked += [Question(lacking, customers, url, namesakes)] if customers else []
    return tuple(asked)


def about_customer(asked: Iterable[Question], customer_id: int) -> list[Question]:
    """The questions that are about this customer, as far as they are."""
    kept = ((each, tuple(row for row in each.customers if row[0].id == customer_id)) for each in asked)
    return [replace(each, customers=customers) for each, customers in kept if customers]


def accept(
    runtime: Runtime, actor: Actor, customer: str, reason: str, *, currency: str = "", difference: Decimal | None = None
) -> InvoiceComparison:
    """Accept the difference of a customer, for a reason, until it changes.

    `customer` is a name or Kimai's id; `difference` is the one that was shown. Raises the errors of `identity.actors`.
    """
    if not reason.strip():
        raise OperationError("Say why the difference is right: the reason is missing.", "reason")
    with runtime.database.transaction() as connection:
        name = active_connectors(connection).target
        row = _matching(_comparisons(connection), customer, currency)
        if not row.difference:
            raise StaleError(
                f"There is nothing to accept: what is exported for {row.customer} is invoiced to the cent."
            )
        if difference is not None and difference != row.difference:
            raise StaleError(
                f"Look at it again: the difference of {row.customer} is now {row.difference} "
                f"{row.currency}, not {difference}."
            )
        known = Comparison(row.customer_id, row.currency, row.sheets, row.exported, row.invoices, row.invoiced)
        invoices.accept(connection, name, known, reason=reason.strip(), actor=actor.name)
        detail = {"currency": row.currency, "difference": str(row.difference), "reason": reason.strip()}
        audit.append(connection, [actor.audit_event("invoices.accepted", f"customer:{row.customer_id}", detail)])
        return _matching(_comparisons(connection), str(row.customer_id), row.currency)


def amount_given(text: str) -> Decimal:
    """Parse an amount. Raises `OperationError`."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise OperationError(f"The difference {text!r} is not an amount. Write it like -12.50.") from error


def _comparisons(connection: Connection) -> list[InvoiceComparison]:
    name = active_connectors(connection).target
    names = _customer_names(connection, name)
    at, rows = invoices.checked_at(connection, name), invoices.checks(connection, name)
    people = trail.names_of(connection, {row.accepted_by for row in rows})
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
            accepted_by=people.get(row.accepted_by, row.accepted_by),
            compared_at=at,
        )
        for row in rows
    ]


def _customer_names(connection: Connection, name: str) -> dict[int, str]:
    directory = target.load_directory(connection, name, with_projects=False)
    return {row.id: row.name for row in directory.customers} if directory else {}


def _namesakes(names: Mapping[int, str]) -> frozenset[int]:
    """The customers who share their name with another one."""
    numbers = Counter(map(fold, names.values()))
    return frozenset(id_ for id_, name in names.items() if numbers[fold(name)] > 1)


def _matching(rows: list[InvoiceComparison], customer: str, currency: str) -> InvoiceComparison:
    """The row of a customer, by name or id. After a change of currency a customer has several."""
    found = [row for row in rows if customer.strip() in {row.customer, str(row.customer_id)}]
    found = [row for row in found if currency in {"", row.currency}]
    if not found:
        of_currency = f" in {currency}" if currency else ""
        raise UnknownError(
            f"Nothing was exported or invoiced for a customer {customer!r}{of_currency}. The comparison with the "
            "invoices names all there are."
        )
    if len(found) > 1:
        several = ", ".join(f"{row.customer} ({row.customer_id}) in {row.currency}" for row in found)
        raise OperationError(f"Give the id and the currency: {customer!r} could be {several}.")
    return found[0]
