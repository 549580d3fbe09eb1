"""Invoices and exports: which time sheets they take and mark, and the list of invoices (docs/kimai.md §15)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.datetimes import end_of, local, start_of
from zk_sandbox.kimai.errors import forbidden, not_found
from zk_sandbox.kimai.installation import Installation
from zk_sandbox.kimai.model import Invoice, Timesheet, User
from zk_sandbox.kimai.query import Query
from zk_sandbox.kimai.timesheet_list import Page, cut

STATUSES = ("new", "pending", "paid", "canceled")
CENT = Decimal("0.01")


def offered(
    kimai: Installation, maker: User, first: date, last: date, *, customer: int | None = None, billable: bool | None
) -> list[Timesheet]:
    """The finished entries of these days that were not exported yet: the days are those of the maker's own zone."""
    begin, end = start_of(first, maker.zone), end_of(last, maker.zone)
    rows = (kimai.timesheets.rows[row_id] for row_id in kimai.timesheets.by_begin(None, begin, end))
    return [
        row
        for row in rows
        if row.end is not None
        and not row.exported
        and billable in {None, row.billable}
        and customer in {None, kimai.projects.rows[row.project].customer}
    ]


def export(kimai: Installation, maker: User, first: date, last: date, *, billable: bool | None, mark: bool) -> None:
    """An export takes billable entries and others alike unless told otherwise, and marks them where its box is set."""
    if mark:
        _mark(kimai, offered(kimai, maker, first, last, billable=billable))


def create(kimai: Installation, maker: User, customer: int, first: date, last: date, vat: Decimal) -> Invoice | None:
    """An invoice of a customer's billable entries, which are marked as exported; None where there are none."""
    rows = offered(kimai, maker, first, last, customer=customer, billable=True)
    if not rows:
        return None
    net = _cents(sum((row.rate for row in rows), Decimal(0)))
    tax = _cents(net * vat / 100)
    now = kimai.now()
    year = local(now, maker.zone).year
    invoice = Invoice(
        id=kimai.invoices.new_id(),
        number=f"{year}/{len(kimai.invoices) + 1:03}",
        customer=customer,
        user=maker.id,
        created_at=now,
        timezone=maker.timezone,
        total=net + tax,
        tax=tax,
        vat=vat,
        currency=kimai.customers.rows[customer].currency,
    )
    _mark(kimai, rows)
    return kimai.invoices.put(invoice)


def change_status(kimai: Installation, invoice_id: int, status: str) -> None:
    """A person changes the status; a cancelled invoice leaves its entries marked as exported."""
    if status not in STATUSES:
        raise ValueError(f"An invoice has no status {status!r}; it is one of {', '.join(STATUSES)}.")
    invoice = kimai.invoices.rows[invoice_id]
    paid_on = local(kimai.now(), kimai.users.rows[invoice.user].zone).date().isoformat() if status == "paid" else None
    kimai.invoices.put(replace(invoice, status=status, payment_date=paid_on))


def page_of(caller: Caller, query: Query) -> Page:
    """The page of invoices that a query asks for, the latest first."""
    caller.require("view_invoice")
    kimai = caller.kimai
    begin, end = query.instant("begin", caller.zone), query.instant("end", caller.zone)
    customers, statuses = query.ids("customers"), query.texts("status")
    wanted = {row_id for row_id in customers if row_id in kimai.customers.rows}
    if not all(caller.sees_customer(kimai.customers.rows[row_id]) for row_id in wanted):
        raise forbidden()
    rows = [
        row
        for row in kimai.invoices
        if (begin is None or row.created_at >= begin)
        and (end is None or row.created_at <= end)
        and (not wanted or row.customer in wanted)
        and (not statuses or row.status in statuses)
        and caller.sees_customer(kimai.customers.rows[row.customer])
    ]
    return cut(caller, query, sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True))


def readable(caller: Caller, invoice_id: int) -> Invoice:
    """An invoice the caller may read; 404 or 403 otherwise."""
    caller.require("view_invoice")
    invoice = caller.kimai.invoices.get(invoice_id)
    if invoice is None:
        raise not_found()
    if not caller.sees_customer(caller.kimai.customers.rows[invoice.customer]):
        raise forbidden()
    return invoice


def _mark(kimai: Installation, rows: Iterable[Timesheet]) -> None:
    """Changed in the database directly: nothing is rounded or recalculated, and no change time is set."""
    for row in rows:
        kimai.timesheets.put(replace(row, exported=True))


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)
