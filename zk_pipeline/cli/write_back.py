"""`zk write-back`: what is written into tickets, approving it, carrying it out, and taking it back."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    called,
    confirm,
    environment,
    explained,
    hours,
    out,
    person,
    show_json,
    show_table,
)
from zk_pipeline.domain.periods import MonthError, month_name, parse_month
from zk_pipeline.domain.write_back import WriteBackLine
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.write_back import plans
from zk_pipeline.write_back.plans import LineState, PlannedWrite

app = typer.Typer(
    help="What is written into tickets: that their time is billed.",
    invoke_without_command=True,
)

Month = Annotated[str, typer.Option("--month", help="Only of this month, such as 2025-08.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

SOMETHING_WAITS = 3
"""Exit code: done, and something waits for approval or was left."""


@app.callback()
def listed(context: typer.Context, *, month: Month = "", as_json: AsJson = False) -> None:
    """Show what would be written into tickets now, and why."""
    if context.invoked_subcommand is not None:
        return
    with environment() as ready, explained(OperationError, MonthError):
        wanted = parse_month(month) if month else None
        found = plans.plan(ready.runtime)
    rows = [row for row in found.rows if wanted in {None, row.line.month}]
    if as_json:
        show_json({"exceeded": found.exceeded, "lines": [_as_json(row) for row in rows]})
    elif not rows:
        out.print("Nothing is to be written into tickets.")
    else:
        _show(rows)
        if found.exceeded:
            out.print("It is more than the limits allow without approval: zk write-back approve", soft_wrap=True)
    if any(row.state in {LineState.WAITS, LineState.REFUSED} for row in rows):
        raise typer.Exit(SOMETHING_WAITS)


@app.command("approve")
def approve(*, month: Month = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Approve what waits, and write it."""
    with environment() as ready, explained(OperationError, MonthError):
        wanted = parse_month(month) if month else None
        if as_json and not yes:
            raise UsageError("Add --yes to approve: with --json nothing can be asked.")
        waiting = [row for row in plans.plan(ready.runtime).rows if row.state is LineState.WAITS]
        waiting = [row for row in waiting if wanted in {None, row.line.month}]
        if waiting and not as_json:
            _show(waiting)
        if waiting and not yes:
            confirm(f"Write this into {len({row.line.ticket_id for row in waiting})} tickets?")
        plans.approve(ready.runtime, person(), hashes={plans.line_hash(row.line) for row in waiting})
        left = _carry_out(ready.runtime, as_json=as_json)
    _exit(left)


@app.command("run")
def run(*, as_json: AsJson = False) -> None:
    """Write what is due now."""
    with environment() as ready, explained(OperationError):
        left = _carry_out(ready.runtime, as_json=as_json)
    _exit(left)


@app.command("undo")
def undo(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of the run, or its first characters.")],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take back what a run wrote into tickets. What was there before stays."""
    with environment() as ready, explained(OperationError):
        if not yes:
            if as_json:
                raise UsageError("Add --yes to take it back: with --json nothing can be asked.")
            confirm(f"Take back what run {run_id} wrote into tickets?")
        taken = plans.take_back(ready.runtime, person(), run_id)
        if not as_json:
            for sentence in taken.left:
                out.print(sentence, soft_wrap=True, markup=False)
        left = [*taken.left, *_carry_out(ready.runtime, as_json=as_json)]
    _exit(left)


def _exit(left: list[str]) -> None:
    if left:
        raise typer.Exit(SOMETHING_WAITS)


def _carry_out(runtime: Runtime, *, as_json: bool) -> list[str]:
    """Run the job; returns the sentences about what it could not write."""
    # Dagster takes a second to import, and only this needs it.
    from zk_pipeline.cli.syncing import SyncFailedError, run_operation  # noqa: PLC0415
    from zk_pipeline.definitions import defs  # noqa: PLC0415
    from zk_pipeline.defs.write_back import JOB, WriteBackSummary  # noqa: PLC0415

    with explained(SyncFailedError):
        done = run_operation(runtime, person(), defs.resolve_job_def(JOB), "", WriteBackSummary)
    if as_json:
        show_json(asdict(done))
    else:
        written = ", ".join(f"{called('write_back.done', name)}: {number}" for name, number in done.written.items())
        out.print(f"Run {done.run_id} wrote into tickets: {written or 'nothing'}.", soft_wrap=True, markup=False)
        for sentence in done.left:
            out.print(sentence, soft_wrap=True, markup=False)
        if done.unsettled:
            out.print(f"Lost on the way, looked for by a later run: {done.unsettled}.", soft_wrap=True)
    return list(done.left)


def _show(rows: list[PlannedWrite]) -> None:
    columns = ("month", "ticket", "what", "content", "hours", "why", "state")
    cells = [
        (
            month_name(row.line.month),
            f"#{row.line.number}",
            called("write_back.done", f"{row.line.kind}.{row.line.operation}"),
            row.line.content,
            hours(row.line.minutes),
            called("write_back.because", row.line.because),
            called("write_back.state", row.state) + (f": {row.message}" if row.message else ""),
        )
        for row in rows
    ]
    show_table("Written into tickets", columns, cells, right=("hours",))


def _as_json(row: PlannedWrite) -> dict[str, Any]:
    line: WriteBackLine = row.line
    return {
        "month": month_name(line.month),
        "ticket_id": line.ticket_id,
        "ticket": line.number,
        "kind": line.kind,
        "operation": line.operation,
        "content": line.content,
        "because": line.because,
        "minutes": str(line.minutes),
        "state": row.state,
        "message": row.message,
        "again_at": row.again_at.isoformat() if row.again_at else None,
    }
