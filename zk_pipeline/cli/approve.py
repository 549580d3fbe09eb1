"""`zk approve`: approve the plan of some days, or single lines of it, if ZK_PUSH_MODE is review."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated

import typer

from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    actor,
    called,
    confirm,
    environment,
    explained,
    hours,
    out,
    show_json,
    show_table,
)
from zk_pipeline.cli.report import changes_of
from zk_pipeline.decisions import plans
from zk_pipeline.decisions.plans import PlanLineView
from zk_pipeline.identity.actors import Actor, OperationError, Role
from zk_pipeline.runtime.runtime import Runtime


def approve(
    days: Annotated[str, typer.Argument(metavar="DAY|FROM..TO", help="2025-10-08, or 2025-10-01..2025-10-31")],
    *,
    line: Annotated[list[str] | None, typer.Option("--line", help="Only the line of this booking. Repeatable.")] = None,
    customer: Annotated[str, typer.Option("--customer", help="Only the lines of this customer in Kimai.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve the lines that are shown. The next sync of these days writes them, once."""
    with environment() as ready, explained(OperationError):
        plans.require_review(ready.runtime)
        if as_json and not yes:
            raise UsageError("Add --yes to approve: with --json nothing can be asked.")
        first, last = parse_days(days)
        stored = plans.stored_plan(ready.runtime, first, last, None, 0)
        for day in stored.outdated_days:
            out.print(f"Preview {day} again, the plan is from before an undo: zk sync --from {day} --to {day} --plan")
        shown = _of_customer(_named(stored.lines, line or [], days), customer, days)
        if not shown:
            raise UsageError(
                f"The plan of {days} writes nothing. To preview again: zk sync --from {first} --to {last} --plan"
            )
        minutes = sum((row.minutes for row in shown), Decimal(0))
        if not as_json:
            _show(ready.runtime, shown)
        if not yes:
            confirm(f"Approve these {len(shown)} lines, {hours(minutes)}?")
        by_line = bool(line or customer)
        seen = {} if by_line else plans.hashes(shown)
        lines = {(row.day, row.key): row.hash for row in shown} if by_line else {}
        approved = plans.approve(ready.runtime, Actor(actor(), Role.ADMIN), seen, lines)
    if as_json:
        hashes = {str(day): seen.get(day, "") for day in approved.days}
        show_json({"approved": sum(approved.days.values()), "minutes": str(minutes), "days": hashes})
        return
    for row in approved.refused:
        out.print(row.why)
    out.print(f"Approved. The next run of these days writes them: zk sync --from {first} --to {last}")


def _named(lines: Sequence[PlanLineView], keys: Sequence[str], days: str) -> list[PlanLineView]:
    """The lines with these keys, or all lines. Raises `UsageError` for an unknown key."""
    missing = sorted(set(keys) - {line.key for line in lines})
    if missing:
        raise UsageError(
            f"--line {missing[0]}: the plan of {days} writes no such line. To list its lines: zk approve {days}"
        )
    return [line for line in lines if not keys or line.key in keys]


def _of_customer(lines: list[PlanLineView], customer: str, days: str) -> list[PlanLineView]:
    """The lines of this customer, or all lines. Raises `UsageError` if no line is the customer's."""
    found = [line for line in lines if not customer or line.customer.casefold() == customer.casefold()]
    if customer and not found:
        known = ", ".join(sorted({line.customer for line in lines if line.customer})) or "none"
        raise UsageError(f"--customer {customer!r}: the plan of {days} writes nothing for it. Its customers: {known}.")
    return found


def _show(runtime: Runtime, lines: Sequence[PlanLineView]) -> None:
    changes = changes_of(runtime, [line.changes for line in lines])
    columns = ("day", "booking", "action", "agent", "customer", "project", "hours", "what")
    cells = [
        (
            line.day,
            line.key,
            called("value", line.action),
            line.agent,
            line.customer,
            line.project,
            hours(line.minutes),
            change or line.description,
        )
        for line, change in zip(lines, changes, strict=True)
    ]
    show_table("To be approved", columns, cells, right=("booking", "hours"))


def parse_days(text: str) -> tuple[date, date]:
    """One day or a range. Raises `UsageError` on anything else."""
    first, _, last = text.partition("..")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is neither a day nor a range. Write 2025-10-08 or 2025-10-01..2025-10-31."
        ) from error
    if span[1] < span[0]:
        raise UsageError(f"{text!r} ends before it starts. Swap the days.")
    return span
