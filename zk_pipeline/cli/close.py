"""`zk close` and `zk reopen`: close a month for billing, and open it again."""

from dataclasses import asdict
from typing import Annotated

import typer

from zk_pipeline.billing import periods
from zk_pipeline.billing.periods import PeriodState
from zk_pipeline.billing.statements import checked_month, refresh_if_stale
from zk_pipeline.cli.output import (
    AsJson,
    UsageError,
    confirm,
    environment,
    err,
    explained,
    out,
    person,
    progress,
    show_json,
)
from zk_pipeline.domain.periods import last_day
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.runtime.run_tags import MONTH_TAG
from zk_pipeline.runtime.runtime import Runtime

Month = Annotated[str, typer.Argument(metavar="MONTH", help="The month, such as 2025-08.")]


def close(
    month: Month,
    *,
    tag: Annotated[bool, typer.Option("--tag", help="Tag the month's time sheets in Kimai with billed:MONTH.")] = False,
    with_waiting: Annotated[
        bool, typer.Option("--with-waiting", help="Close although bookings wait for a person.")
    ] = False,
    as_read: Annotated[
        bool, typer.Option("--as-read", help="Do not read the month again first, for example because Zammad is down.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Close a month: nothing is written to it any more; later changes become adjustments or credits.

    Both systems are read again first, and changes since the last sync prevent closing. With --tag, a month that is
    already closed is tagged.
    """
    with environment() as ready, explained(OperationError):
        if as_json and not yes:
            raise UsageError("Add --yes to close: with --json nothing can be asked.")
        if tag:
            periods.require_tagging(ready.runtime)
        found = periods.closing_state(ready.runtime, month, with_waiting=with_waiting)
        if found.at_rest and not (as_read or found.closed):
            _read_again(ready.runtime, month, quiet=as_json)
            found = periods.closing_state(ready.runtime, month, with_waiting=with_waiting)
        result: dict[str, object] = {"month": found.month}
        if not (found.closed and tag):
            result |= _closed(ready.runtime, found, with_waiting=with_waiting, yes=yes)
        if tag:
            result |= _tagged(ready.runtime, found.month, quiet=as_json)
        if as_json:
            show_json(result)
        else:
            out.print(f"{found.month} is closed{_open(found)}.", soft_wrap=True)


def reopen(
    month: Month,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why the month is reopened.")],
    as_json: AsJson = False,
) -> None:
    """Reopen a closed month. The closing stays in the history, and tags in Kimai stay."""
    with environment() as ready, explained(OperationError):
        period = periods.reopen(ready.runtime, person(), month, reason)
    if as_json:
        show_json(asdict(period))
    else:
        out.print(f"{period.month} is reopened.")


def _read_again(runtime: Runtime, month: str, *, quiet: bool) -> None:
    """Read and plan the days of the month without writing, and build its statement from that."""
    from zk_pipeline.cli.syncing import SyncFailedError, sync_days  # noqa: PLC0415
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    first = checked_month(month)
    try:
        sync_days(runtime, defs.resolve_job_def("plan"), first, last_day(first), progress(quiet=quiet))
    except SyncFailedError as error:
        raise OperationError(
            f"The month is not closed: it could not be read again. {error} To close it as it was last read: --as-read"
        ) from error
    refresh_if_stale(runtime, first)


def _open(found: PeriodState) -> str:
    return f", with {found.open}" if found.open else ""


def _closed(runtime: Runtime, found: PeriodState, *, with_waiting: bool, yes: bool) -> dict[str, object]:
    if not (yes or found.objections or found.closed):
        confirm(f"Close {found.month}{_open(found)}?")
    if found.objections:
        _show_commands(found.month)
    return asdict(periods.close(runtime, person(), found.month, with_waiting=with_waiting))


def _show_commands(month: str) -> None:
    """What helps against objections, whose sentences the console shows too."""
    first = checked_month(month)
    days = f"--from {first} --to {last_day(first)}"
    err.print(
        f"The statement: zk statement {month}. To sync its days: zk sync {days}. What waits: zk conflicts list {days}, "
        "or --with-waiting to close with it.",
        soft_wrap=True,
        markup=False,
        highlight=False,
    )


def _tagged(runtime: Runtime, month: str, *, quiet: bool) -> dict[str, object]:
    # Dagster takes a second to import, and only this needs it.
    from zk_pipeline.cli.syncing import SyncFailedError, run_operation  # noqa: PLC0415
    from zk_pipeline.definitions import defs  # noqa: PLC0415
    from zk_pipeline.defs.jobs import TagReport  # noqa: PLC0415

    periods.record_tagging_request(runtime, person(), month)
    with explained(SyncFailedError):
        job, tags = defs.resolve_job_def(periods.TAG_JOB), {MONTH_TAG: month}
        report = run_operation(runtime, person(), job, month, TagReport, tags=tags)
    if not quiet:
        out.print(f"{report.tagged} time sheets were tagged, by run {report.run_id}.", soft_wrap=True)
        for sentence in report.left:
            out.print(sentence, soft_wrap=True, markup=False)
    return {"run_id": report.run_id, "tagged": report.tagged, "left": report.left}
