"""The billing state of time sheets, and whether the exported ones agree with the invoices, to the cent.

Billed means exported *and* billable: an export marks other time sheets too, but an invoice only takes billable ones.
The target does not say which time sheets are on which invoice, so they are compared per customer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from zk_pipeline.domain.records import Invoice

CENT = Decimal("0.01")
HALF_A_CENT = Decimal("0.005")
CANCELED = "canceled"

CustomerCurrency = tuple[int, str]
"""Customer id and currency."""


class BillingState(StrEnum):
    """The billing state of a time sheet. Only `to_be_billed` and `not_billable` ones may be written.

    `exported` is billable and exported, while its customer's invoices are unknown or do not add up to it.
    """

    TO_BE_BILLED = "to_be_billed"
    INVOICED = "invoiced"
    EXPORTED = "exported"
    EXPORTED_WITHOUT_INVOICE = "exported_without_invoice"
    EXPORTED_NOT_BILLABLE = "exported_not_billable"
    TAGGED = "tagged"
    NOT_BILLABLE = "not_billable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Exported and billable amounts of a customer in one currency, and its uncancelled invoices, without tax.

    `accepted` says why somebody, `accepted_by`, accepted the difference.
    """

    customer_id: int
    currency: str
    sheets: int
    rates: Decimal
    invoices: tuple[str, ...] = ()
    invoiced: Decimal = Decimal(0)
    accepted: str = ""
    accepted_by: str = ""

    @property
    def difference(self) -> Decimal:
        """Exported minus invoiced, rounded to cents, because each invoice is."""
        beyond = self.rates - self.invoiced
        if abs(beyond) <= HALF_A_CENT * len(self.invoices):
            return Decimal(0)
        return beyond.quantize(CENT, ROUND_HALF_UP)

    @property
    def state(self) -> BillingState:
        """The state of the customer's exported and billable time sheets."""
        if not self.invoices:
            return BillingState.EXPORTED_WITHOUT_INVOICE
        return BillingState.EXPORTED if self.difference else BillingState.INVOICED


@dataclass(frozen=True, slots=True)
class Group:
    """Time sheets of one customer that bill alike.

    `unpriced` counts billable ones that cost nothing, `unread` those whose price our account may not see.
    """

    customer_id: int
    currency: str
    exported: bool
    billable: bool
    tagged: bool
    sheets: int
    seconds: int
    rates: Decimal
    unpriced: int = 0
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """Time sheets of one customer in one state: how many, how long, and what they cost without tax."""

    customer_id: int
    currency: str
    state: BillingState
    sheets: int
    minutes: Decimal
    rates: Decimal
    unpriced: int
    unread: int = 0


def state_of(*, exported: bool, billable: bool, tagged: bool, invoiced: BillingState) -> BillingState:
    """The billing state of a time sheet; `invoiced` is the state of its customer's exported and billable ones."""
    if exported:
        return invoiced if billable else BillingState.EXPORTED_NOT_BILLABLE
    if tagged:
        return BillingState.TAGGED
    return BillingState.TO_BE_BILLED if billable else BillingState.NOT_BILLABLE


def compared(exported: Iterable[tuple[CustomerCurrency, Decimal]], invoices: Iterable[Invoice]) -> list[Comparison]:
    """Each customer's exported and billable amounts next to its uncancelled invoices, by currency."""
    rates: dict[CustomerCurrency, list[Decimal]] = {}
    for account, rate in exported:
        rates.setdefault(account, []).append(rate)
    valid: dict[CustomerCurrency, list[Invoice]] = {}
    for invoice in invoices:
        if invoice.status != CANCELED:
            valid.setdefault((invoice.customer_id, invoice.currency), []).append(invoice)
    return [
        Comparison(
            customer_id=account[0],
            currency=account[1],
            sheets=len(rates.get(account, ())),
            rates=sum(rates.get(account, ()), Decimal(0)),
            invoices=tuple(invoice.number for invoice in valid.get(account, ())),
            invoiced=sum((invoice.total - invoice.tax for invoice in valid.get(account, ())), Decimal(0)),
        )
        for account in sorted(rates.keys() | valid.keys())
    ]


def figures(groups: Iterable[Group], checked: Mapping[CustomerCurrency, BillingState]) -> list[Figure]:
    """The groups summed by customer and state; `checked` is the result of the last comparison with the invoices."""
    sums: dict[tuple[int, str, BillingState], list[Group]] = {}
    for group in groups:
        invoiced = checked.get((group.customer_id, group.currency), BillingState.EXPORTED)
        state = state_of(exported=group.exported, billable=group.billable, tagged=group.tagged, invoiced=invoiced)
        sums.setdefault((group.customer_id, group.currency, state), []).append(group)
    return [
        Figure(
            customer_id=customer_id,
            currency=currency,
            state=state,
            sheets=sum(group.sheets for group in of_state),
            minutes=Decimal(sum(group.seconds for group in of_state)) / 60,
            rates=sum((group.rates for group in of_state), Decimal(0)),
            unpriced=sum(group.unpriced for group in of_state),
            unread=sum(group.unread for group in of_state),
        )
        for (customer_id, currency, state), of_state in sorted(sums.items())
    ]
