"""`zk sync`: run the pipeline for some days, through Dagster."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from zk_pipeline.cli.output import AsJson, UsageError, environment, explained, out, person, progress, show_json, warn
from zk_pipeline.cli.report import planned_writes, show_sync
from zk_pipeline.domain.instants import local_day
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import sync as operation
from zk_pipeline.runtime.dagster_server import DagsterServerError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import day_requests

WAITING_FOR_PEOPLE = 3
"""Exit code: done, and something waits for a person."""

DAY = "YYYY-MM-DD"


def sync(
    first: Annotated[str, typer.Option("--from", metavar=DAY, help="First day; default: today.")] = "",
    last: Annotated[str, typer.Option("--to", metavar=DAY, help="Last day; default: the first.")] = "",
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be written, without writing.")] = False,
    override_limits: Annotated[
        bool, typer.Option("--override-limits", help="Write even if the write limits would stop the run.")
    ] = False,
    let_pass: Annotated[bool, typer.Option("--let-pass", hidden=True)] = False,
    request: Annotated[
        bool, typer.Option("--request", help="Request these days and return at once; `zk up` runs them.")
    ] = False,
    cancel: Annotated[
        str,
        typer.Option("--cancel", metavar="RUN", help="Cancel a run by its id; its days then wait for your decision."),
    ] = "",
    leave: Annotated[
        str, typer.Option("--leave", metavar="RUN", help="Do not sync the days that wait since this run was cancelled.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write the bookings of these days to Kimai.

    Days that wait since their run was cancelled are synced as well.

    Exit code 0: done or requested. 1: failed. 3: done, and something waits for a person.
    """
    if let_pass:
        warn("--let-pass is now --override-limits, and goes in 0.3.")
        override_limits = True
    if cancel or leave:
        alone = not (first or last or plan or override_limits or request or (cancel and leave))
        _decide_held(cancel, leave, alone=alone, as_json=as_json)
    elif request:
        _request(first, last, alone=not (plan or override_limits), as_json=as_json)
    else:
        _run(first, last, plan=plan, override_limits=override_limits, as_json=as_json)


def _run(first: str, last: str, *, plan: bool, override_limits: bool, as_json: bool) -> None:
    with environment(starts=True) as ready:
        # Dagster takes a second to import, and no other command needs it. Its partitions are days of the zone.
        from zk_pipeline.cli.syncing import SyncFailedError, sync_days  # noqa: PLC0415
        from zk_pipeline.definitions import defs  # noqa: PLC0415

        with explained(SyncFailedError, OperationError):
            span = parse_span(ready.runtime.settings, first, last)
            job = defs.resolve_job_def("plan" if plan else "sync")
            override_by = person() if override_limits and not plan else None
            if override_by:
                operation.record_limit_override(ready.runtime, override_by, *span)
            report = sync_days(ready.runtime, job, *span, progress(quiet=as_json), override_by=override_by)
            if as_json:
                planned = {"plan": planned_writes(ready.runtime, span).to_json()} if plan else {}
                show_json({**report.to_json(), **planned})
            else:
                show_sync(ready.runtime, report, planned_only=plan)
    if report.needs_people:
        raise typer.Exit(WAITING_FOR_PEOPLE)


def _request(first: str, last: str, *, alone: bool, as_json: bool) -> None:
    with environment() as ready, explained(OperationError):
        if not alone:
            raise UsageError(
                "--request only asks for a sync; --plan and --override-limits run one now. Use one of them."
            )
        begin, end = parse_span(ready.runtime.settings, first, last)
        asked = operation.request_days(ready.runtime, person(), begin, end)
        if as_json:
            show_json({"first": begin, "last": end, "days": asked.days, "reason": day_requests.PERSON})
        else:
            out.print(f"Requested {begin} to {end}; a running `zk up` runs them.", highlight=False)


def _decide_held(cancel: str, leave: str, *, alone: bool, as_json: bool) -> None:
    with environment() as ready, explained(DagsterServerError, OperationError):
        if not alone:
            raise UsageError("Use --cancel or --leave without other options: they are about one run, and sync nothing.")
        if cancel:
            run = operation.cancel(ready.runtime, person(), cancel)
            result, shown = (
                asdict(run),
                f"Run {run.run_id} is being cancelled. To see the days that then wait: zk status",
            )
        else:
            run_id = _held_run(ready.runtime, leave)
            days = operation.leave(ready.runtime, person(), run_id)
            result = {"run_id": run_id, "days": days}
            shown = f"Left as they are: {days[0]} to {days[-1]}. Nothing is written for these requests."
    if as_json:
        show_json(result)
    else:
        out.print(shown, highlight=False, soft_wrap=True)


def _held_run(runtime: Runtime, text: str) -> str:
    """The cancelled run with this id or prefix of an id."""
    found = [row.run_id for row in operation.held_days(runtime) if row.run_id.startswith(text)]
    if len(found) > 1:
        raise UsageError(f"{text!r} matches {', '.join(found)}. Give more of the id.")
    return found[0] if found else text


def parse_span(settings: Settings, first: str, last: str) -> tuple[date, date]:
    """The days of both options. Raises `UsageError` if one is not a day, `OperationError` if they cannot be run."""
    begin = parse_day("--from", first) or local_day(datetime.now(UTC), settings.zone)
    end = parse_day("--to", last) or begin
    return operation.check_days(settings, begin, end, names=("--from", "--to"))


def parse_day(option: str, text: str) -> date | None:
    """The day of an option, `None` if it is empty. Raises `UsageError`."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a day. Write it as 2025-08-31.") from error
