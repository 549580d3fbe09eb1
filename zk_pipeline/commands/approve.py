"""`zk approve`: let the plan of some days be written, where ZK_PUSH_MODE is review."""

from datetime import date
from typing import Annotated

import typer

from zk_pipeline.commands.console import AsJson, UsageError, actor, environment, explained, out, show_json
from zk_pipeline.commands.report import planned_writes, show_plan
from zk_pipeline.operations import plans
from zk_pipeline.operations.actors import Actor, Role
from zk_pipeline.operations.errors import OperationError


def approve(
    days: Annotated[str, typer.Argument(metavar="DAY|FROM..TO", help="2025-10-08, or 2025-10-01..2025-10-31")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve the plan of these days as it stands; what changes afterwards is left out and said so."""
    with environment() as ready, explained(OperationError):
        plans.require_review(ready.runtime)
        if as_json and not yes:
            raise UsageError("With --json nothing can be asked. Add --yes to approve.")
        first, last = days_of(days)
        planned = planned_writes(ready.runtime, (first, last))
        if not planned.lines:
            raise UsageError(f"The plan of {days} writes nothing. Make it: zk sync --from {first} --to {last} --plan")
        if not as_json:
            show_plan(planned)
        if not yes:
            typer.confirm(f"Let these {len(planned.lines)} be written?", abort=True)
        seen = plans.hashes(planned.lines)
        approved = plans.approve(ready.runtime, Actor(actor(), Role.ADMIN), seen)
    if as_json:
        hashes = {str(day): seen[day] for day in approved.days}
        show_json({"approved": sum(approved.days.values()), "minutes": str(planned.minutes), "days": hashes})
        return
    for row in approved.refused:
        out.print(row.why)
    out.print(f"Approved. They are written by the next run of these days: zk sync --from {first} --to {last}")


def days_of(text: str) -> tuple[date, date]:
    """One day or a range. Raises `UsageError` on anything else."""
    first, _, last = text.partition("..")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError as error:
        raise UsageError(f"{text!r} is no day and no range. Write 2025-10-08 or 2025-10-01..2025-10-31.") from error
    if span[1] < span[0]:
        raise UsageError(f"{text!r} ends before it begins. Swap the days.")
    return span
