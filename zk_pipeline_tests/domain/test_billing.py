"""What became of a time sheet in billing, and what is exported beside the invoices, to the cent."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from zk_pipeline.domain.invoicing import BillingState, Comparison, Group, compared, figures, state_of
from zk_pipeline.domain.records import Invoice

ACME, SWISS = (7, "EUR"), (8, "CHF")


def _invoice(net: str, *, id_: int = 1, status: str = "new") -> Invoice:
    tax = (Decimal(net) * 19 / 100).quantize(Decimal("0.01"))
    made = datetime(2025, 11, 1, tzinfo=UTC)
    return Invoice(id_, f"2025/{id_:03}", 7, "EUR", Decimal(net) + tax, tax, Decimal(19), status, made, 30, None)


@pytest.mark.parametrize(
    ("exported", "billable", "tagged", "state"),
    [
        (True, True, False, BillingState.INVOICED),
        (True, True, True, BillingState.INVOICED),
        (True, False, False, BillingState.EXPORTED_NOT_BILLABLE),
        (False, True, True, BillingState.TAGGED),
        (False, True, False, BillingState.TO_BE_BILLED),
        (False, False, False, BillingState.NOT_BILLABLE),
    ],
)
def test_billed_is_exported_and_billable_and_a_tag_is_a_tag(
    exported: bool, billable: bool, tagged: bool, state: BillingState
) -> None:
    found = state_of(exported=exported, billable=billable, tagged=tagged, invoiced=BillingState.INVOICED)
    assert found is state


@pytest.mark.parametrize(
    ("invoices", "difference", "state"),
    [
        ([_invoice("360")], "0", BillingState.INVOICED),
        ([_invoice("240"), _invoice("120", id_=2, status="paid")], "0", BillingState.INVOICED),
        ([_invoice("359.99")], "0.01", BillingState.EXPORTED),
        ([_invoice("240"), _invoice("120", id_=2, status="canceled")], "120.00", BillingState.EXPORTED),
        ([_invoice("360", status="canceled")], "360.00", BillingState.EXPORTED_WITHOUT_INVOICE),
        ([], "360.00", BillingState.EXPORTED_WITHOUT_INVOICE),
    ],
    ids=["one", "two", "a cent", "one cancelled", "the only one cancelled", "none"],
)
def test_exports_are_compared_with_invoices_that_hold(
    invoices: list[Invoice], difference: str, state: BillingState
) -> None:
    (found,) = compared([(ACME, Decimal("119.9999")), (ACME, Decimal("240.0001"))], invoices)
    assert (found.difference, found.state) == (Decimal(difference), state)


def test_each_invoice_may_be_rounded_by_half_a_cent() -> None:
    thirds = [(ACME, Decimal("33.3333"))] * 3
    several = [_invoice("33.33", id_=number) for number in (1, 2, 3)]
    assert compared(thirds, several)[0].difference == 0
    assert compared(thirds, [_invoice("99.98")])[0].difference == Decimal("0.02")


def test_currencies_are_never_added_up() -> None:
    found = compared([(ACME, Decimal(100)), (SWISS, Decimal(100))], [_invoice("100")])
    assert [(row.customer_id, row.currency, row.difference) for row in found] == [(7, "EUR", 0), (8, "CHF", 100)]


def test_figures_stand_apart_by_state_with_their_amounts() -> None:
    billed = Group(7, "EUR", exported=True, billable=True, tagged=False, sheets=2, seconds=7200, rates=Decimal(240))
    groups = [
        billed,
        replace(billed, tagged=True, sheets=1, seconds=1800, rates=Decimal(60)),
        replace(billed, exported=False, sheets=1, seconds=900, rates=Decimal(0), unpriced=1),
        replace(billed, billable=False, sheets=1, seconds=600, rates=Decimal(20)),
    ]
    checked = {ACME: Comparison(7, "EUR", 3, Decimal(300), ("2025/001",), Decimal(300)).state}
    told = [(row.state, row.sheets, row.minutes, row.rates, row.unpriced) for row in figures(groups, checked)]
    assert told == [
        (BillingState.EXPORTED_NOT_BILLABLE, 1, 10, 20, 0),
        (BillingState.INVOICED, 3, 150, 300, 0),
        (BillingState.TO_BE_BILLED, 1, 15, 0, 1),
    ]
    assert BillingState.EXPORTED in {row.state for row in figures([billed], {})}, "while nothing was compared"
