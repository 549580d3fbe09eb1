"""`zk approve`: let the plan of some days be written, where ZK_PUSH_MODE is review."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

import typer

from zk_pipeline.commands.console import AsJson, UsageError, actor, environment, out, show_json
from zk_pipeline.commands.report import planned_writes, show_plan
from zk_pipeline.domain.approval import approvable, plan_hash
from zk_pipeline.domain.plan import Result
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import PushMode
from zk_pipeline.store import approvals, audit, requests
from zk_pipeline.store.audit import AuditEvent


def approve(
    days: Annotated[str, typer.Argument(metavar="DAY|FROM..TO", help="2025-10-08, or 2025-10-01..2025-10-31")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve the plan of these days as it stands; what changes afterwards is left out and said so."""
    with environment() as ready:
        if ready.runtime.settings.push_mode is not PushMode.REVIEW:
            raise UsageError("ZK_PUSH_MODE is not review, so plans need no approval. Set it to review first.")
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
        hashes = _store(ready.runtime, planned.lines)
    if as_json:
        show_json({"approved": len(planned.lines), "minutes": str(planned.minutes), "days": hashes})
    else:
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


def _store(runtime: Runtime, shown: Iterable[Result]) -> dict[str, str]:
    """Approve the lines that were shown, and no others, in one transaction; ask for their days."""
    name, who, hashes = runtime.stored("target").name, actor(), {}
    by_day: dict[date, list[Result]] = {}
    for line in shown:
        by_day.setdefault(line.entry_date, []).append(line)
    with runtime.database.transaction() as connection:
        for day, lines in sorted(by_day.items()):
            approved = approvable(lines)
            hashes[str(day)] = plan_hash(approved)
            approvals.save(connection, name, day, approved, hashes[str(day)], who)
            detail = {"lines": len(approved), "plan_hash": hashes[str(day)]}
            audit.append(connection, [AuditEvent("plan.approved", who, f"day:{day}", detail)])
            requests.ask(connection, [day], "approval")
    return hashes
