"""`zk credits`: minutes billed in excess, and how they were settled."""

from dataclasses import asdict
from decimal import Decimal
from typing import Annotated

import typer

from zk_pipeline.billing import credit_list
from zk_pipeline.cli.output import (
    AsJson,
    called,
    environment,
    explained,
    hours,
    out,
    person,
    said,
    show_json,
    show_table,
)
from zk_pipeline.domain.manual_fields import money
from zk_pipeline.identity.actors import OperationError

app = typer.Typer(help="Minutes billed in excess, and how they were settled.", invoke_without_command=True)


@app.callback()
def listed(
    context: typer.Context,
    *,
    month: Annotated[
        str, typer.Option("--month", help="Only credits for bookings of this month, such as 2025-08.")
    ] = "",
    settled: Annotated[bool, typer.Option("--all", help="Include settled credits.")] = False,
    as_json: AsJson = False,
) -> None:
    """List open credits."""
    if context.invoked_subcommand is not None:
        return
    with environment() as ready, explained(OperationError):
        rows = credit_list.list_credits(ready.runtime, month, settled=settled)
    if as_json:
        show_json([asdict(row) for row in rows])
        return
    columns = ("id", "day", "booking", "kimai id", "customer and project", "agent and activity", "hours", "amount")
    cells = [
        (
            *(row.id, row.day, row.booking, row.kimai_id),
            f"{row.customer}\n{row.project}",
            f"{row.user}\n{row.activity}",
            hours(row.minutes),
            money(row.amount, row.currency or "") if row.amount is not None else "",
            "\n".join((f"{said('settled:')} {row.note}" if row.note else called("value", row.state), row.reason)),
        )
        for row in rows
    ]
    right = ("id", "booking", "kimai id", "hours", "amount")
    show_table("Credits", (*columns, "state and reason"), cells, right=right)
    total = sum((row.minutes for row in rows), Decimal(0))
    out.print(f"{len(rows)} credits, {hours(total)}.")


@app.command("settle")
def settle(
    credit: Annotated[int, typer.Argument(help="The credit's id.", min=1)],
    *,
    note: Annotated[str, typer.Option("--note", help="How it was settled, such as the number of a credit note.")],
    as_json: AsJson = False,
) -> None:
    """Record that a credit was settled."""
    with environment() as ready, explained(OperationError):
        done = credit_list.settle(ready.runtime, person(), credit, note)
    if as_json:
        show_json(asdict(done))
    else:
        out.print(f"Credit {done.id} is settled: {done.note}", markup=False, soft_wrap=True)
