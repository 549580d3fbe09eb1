"""Reading Kimai's invoices, for accounts that may, and telling why not for others (docs/kimai.md §15)."""

from zk_pipeline.connectors import kimai_rows
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.kimai_pages import PAGE_SIZE
from zk_pipeline.domain.records import Invoice, InvoiceReading

INVOICES = "/api/invoices"
VIEW = "view_invoice"


def read_invoices(http: HttpClient) -> InvoiceReading:
    """All invoices. Not being allowed to read them, and a version without them, is a reading with a problem."""
    rows: dict[int, Invoice] = {}
    number = last = 1
    total = 0
    while number <= last:
        try:
            answer = http.get(INVOICES, {"size": PAGE_SIZE, "page": number}, needs=(VIEW,))
        except PermissionDeniedError:
            return InvoiceReading(problem=f"The account may not read invoices: {VIEW} is missing.")
        except NotFoundError:
            # A page past the end is 404 too: the list became shorter meanwhile.
            why = "Before 2.22 Kimai has no list of invoices." if number == 1 else _moved(total, len(rows))
            return InvoiceReading(problem=why)
        total, last = answer.header_number("X-Total-Count"), answer.header_number("X-Total-Pages")
        good, unreadable = answer.readable("invoice", kimai_rows.invoice)
        if unreadable:
            return InvoiceReading(problem=str(unreadable[0]))
        rows |= {row.id: row for row in good}
        number += 1
    if len(rows) != total:
        return InvoiceReading(problem=_moved(total, len(rows)))
    return InvoiceReading(tuple(rows[key] for key in sorted(rows)))


def _moved(total: int, came: int) -> str:
    return f"Invoices were made or deleted during the read: {total} were announced, but {came} came."
