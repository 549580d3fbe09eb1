"""`zk undo`: undo the writes of one run."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    called,
    confirm,
    environment,
    explained,
    out,
    person,
    said,
    show_json,
    show_table,
    words,
)
from zk_pipeline.decisions import undo as operation
from zk_pipeline.domain.undo import UndoReport
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import runs
from zk_pipeline.runtime.run_tags import UNDO_JOB, undo_config
from zk_pipeline.stages.push.undo import SHORTEST_ID

Line = Mapping[str, Any]
"""A step of the undo, as a line of a table."""

SOMETHING_LEFT = 3
"""Exit code: undone, except for writes that were left."""


def undo(
    run: Annotated[str, typer.Argument(help=f"The id of the run, or its first {SHORTEST_ID} or more characters.")],
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, without writing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Undo what one run created, updated, linked and deleted in Kimai.

    Exit code 0: done. 1: failed. 3: something was left because it is billed or was edited since.
    """
    # Dagster takes a second to import, and no other command needs it.
    from zk_pipeline.cli.syncing import SyncFailedError, run_operation  # noqa: PLC0415
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    with environment() as ready, explained(SyncFailedError, OperationError):
        if as_json and not (plan or yes):
            raise UsageError("Add --plan to look or --yes to write: with --json nothing can be asked.")
        found = operation.plan(ready.runtime, run)
        run_id = found.run_id
        wanted, left = ([asdict(line) for line in lines] for lines in (found.wanted, found.left))
        if not as_json:
            _show_plan(run_id, wanted, left)
        if plan or not wanted:
            result = {"run": run_id, "run_id": None, "planned": wanted, "left": left}
        else:
            if not yes:
                confirm(f"Undo {len(wanted)} writes?")
            runs.record_undo_request(ready.runtime, person(), run_id)
            job = defs.resolve_job_def(UNDO_JOB)
            report = run_operation(ready.runtime, person(), job, run_id, UndoReport, config=undo_config(run_id))
            left = report.left
            result = {"run": run_id, "run_id": report.run_id, "undone": report.undone, "left": left}
            if not as_json:
                _show_outcome(report)
        if as_json:
            show_json(result)
    if left:
        raise typer.Exit(SOMETHING_LEFT)


def _show_plan(run_id: str, wanted: Sequence[Line], left: Sequence[Line]) -> None:
    if wanted:
        _show_lines(f"Undo of run {run_id}", wanted)
    if left:
        _show_lines("Left as they are", left)
    if not (wanted or left):
        out.print(f"Run {run_id} has nothing to undo.", soft_wrap=True)


def _show_outcome(report: UndoReport) -> None:
    kinds = ", ".join(f"{number} {kind}" for kind, number in report.undone.items()) or "nothing"
    headline = said(f"Run {report.run_id} took back: {kinds}; {len(report.left)} left.")
    out.print(f"[bold]{escape(headline)}[/]", soft_wrap=True)
    if report.left:
        _show_lines("Left as they are", report.left)


def _show_lines(title: str, lines: Sequence[Line]) -> None:
    cells = [
        (
            line["day"],
            words().known(f"fact.operation.{line['operation']}", called("value", line["operation"])),
            line["booking"],
            line["kimai_id"],
            called("undo.kind", line["undo"]),
            line["text"],
        )
        for line in lines
    ]
    show_table(title, ("day", "write", "booking", "kimai id", "undo", "why"), cells, right=("booking", "kimai id"))
