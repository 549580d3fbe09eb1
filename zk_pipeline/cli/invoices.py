"""`zk invoices`: compare what was exported in Kimai with its invoices."""

from dataclasses import asdict
from typing import Annotated

import typer

from zk_pipeline.billing import invoices
from zk_pipeline.billing.invoices import InvoiceComparison
from zk_pipeline.cli.output import AsJson, environment, explained, out, person, show_json, show_table
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.languages.actors import called
from zk_pipeline.runtime.settings import spoken

WAITING_FOR_PEOPLE = 3

app = typer.Typer(
    help="Compare what was exported in Kimai with its invoices, to the cent.", invoke_without_command=True
)


@app.callback()
def listed(
    context: typer.Context,
    *,
    stored: Annotated[bool, typer.Option("--stored", help="Show the last comparison, without asking Kimai.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare exported billable time sheets with Kimai's invoices, by customer and currency.

    Exit code 0: all agree or were accepted. 3: amounts differ. 1: Kimai could not be read.
    """
    if context.invoked_subcommand is not None:
        return
    with environment() as ready, explained(OperationError):
        problem = "" if stored else invoices.compare(ready.runtime)
        if problem:
            raise OperationError(f"The invoices could not be compared. {problem}")
        rows = invoices.list_comparisons(ready.runtime)
    if as_json:
        show_json([asdict(row) for row in rows])
    else:
        _show(rows)
    if any(row.difference and not row.accepted for row in rows):
        raise typer.Exit(WAITING_FOR_PEOPLE)


@app.command("accept")
def accept(
    customer: Annotated[str, typer.Argument(help="The customer's name, or Kimai's id.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why the difference is right, such as: billed in May.")],
    currency: Annotated[
        str, typer.Option("--currency", help="If the customer has amounts in several currencies.")
    ] = "",
    difference: Annotated[str, typer.Option("--difference", help="Accept it only if it is still this amount.")] = "",
    as_json: AsJson = False,
) -> None:
    """Accept a difference. If the amount changes, it is an open question again."""
    with environment() as ready, explained(OperationError):
        seen = invoices.amount_given(difference) if difference else None
        row = invoices.accept(ready.runtime, person(), customer, reason, currency=currency, difference=seen)
    if as_json:
        show_json(asdict(row))
    else:
        text = f"The difference of {row.customer}, {row.difference} {row.currency}, is accepted."
        out.print(text, markup=False, soft_wrap=True, highlight=False)


def _show(rows: list[InvoiceComparison]) -> None:
    right = ("sheets", "exported", "invoiced", "difference")
    show_table(
        "Exported and invoiced, without tax",
        ("customer", "currency", *right, "invoices", "accepted"),
        [
            (
                f"{row.customer} ({row.customer_id})",
                row.currency,
                row.sheets,
                f"{row.exported:.2f}",
                f"{row.invoiced:.2f}",
                f"{row.difference:.2f}" if row.difference else "",
                ", ".join(row.invoices),
                f"{called(row.accepted_by, spoken())}: {row.accepted}" if row.accepted else "",
            )
            for row in rows
        ],
        right=right,
    )
    differing = sum(bool(row.difference and not row.accepted) for row in rows)
    out.print(f"Customers: {len(rows)}; amounts differ: {differing}.", highlight=False)
