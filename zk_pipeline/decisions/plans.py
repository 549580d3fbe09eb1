"""The plan of some days: having it made, what it would write line by line, and approving what was shown.

Approving and carrying out are two acts. An approval starts nothing: it lets the next run of the day write, once, the
lines that were shown. They are named by hashes over everything that was shown of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row

from zk_pipeline.audit import trail
from zk_pipeline.decisions import lists
from zk_pipeline.domain.approval import line_hash, plan_hash
from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.identity.actors import Actor, OperationError, StaleError
from zk_pipeline.operate import runs
from zk_pipeline.operate.runs import StartedRun
from zk_pipeline.operate.sync import LONGEST_REQUEST, check_days
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.store import approvals, audit, plans
from zk_pipeline.store.approvals import ApprovedLine
from zk_pipeline.store.connectors import ActiveConnectors, active_connectors
from zk_pipeline.store.plans import PlanSums

JOB = "plan"

NOTHING: Mapping[tuple[date, str], str] = {}


@dataclass(frozen=True, slots=True)
class PlanLineView:
    """One line that would write, as it is shown to whoever approves it.

    `changes` has field to (wanted, found); `description` is that of a new time sheet; `customer` and `project` are
    those of Kimai. `hash` stands for all of this and for what the line writes. `approved`: it may be written as it is.
    """

    day: date
    key: str
    source_id: str | None
    kimai_id: int | None
    action: str
    minutes: Decimal
    reason: str | None
    decided: str
    changes: Mapping[str, tuple[str, str]]
    description: str
    ticket: str
    agent: str
    customer: str
    project: str
    hash: str
    approved: bool


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """What the stored plans of a range would write: the sums, and one page of the lines.

    `planned_days` of its days have a plan with any line; `planned_at` is when the oldest was made, in UTC.
    `outdated_days` have a plan from before an undo: it is not theirs any more, and nothing of it is written or listed.
    """

    first: date
    last: date
    planned_days: int
    planned_at: datetime | None
    outdated_days: tuple[date, ...]
    sums: PlanSums
    lines: tuple[PlanLineView, ...]


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """The plan of a day as somebody approves it: `plan_hash` stands for its lines, and changes when they do.

    `approved`: all of its lines are; `waiting` of them are not. `approved_by` and `approved_at` (UTC) are those of the
    last approval that still allows anything; `changed` lines were approved and changed since, so that they wait again.
    """

    day: date
    lines: int
    minutes: Decimal
    plan_hash: str
    approved: bool
    waiting: int
    approved_by: str
    approved_at: datetime | None
    changed: int


@dataclass(frozen=True, slots=True)
class RefusedApproval:
    """A day, or a line of it by its key, that was not approved, and why."""

    day: date
    why: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The days of which something was approved, with the number of lines of each; the next run writes them."""

    days: Mapping[date, int]
    refused: tuple[RefusedApproval, ...]


@dataclass(frozen=True, slots=True)
class _ShownLine:
    """A line as it is shown, and the hash of what it writes."""

    line: PlanLineView
    writes: str


def launch(runtime: Runtime, actor: Actor, first: date, last: date) -> tuple[StartedRun, ...]:
    """Have the plan of a range made, in runs of at most a month. Nothing is written to Kimai.

    Raises `OperationError`, and `DagsterServerError` when Dagster does not answer.
    """
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    started: list[StartedRun] = []
    for run in runs.launch(runtime, actor, JOB, first, last):
        started.append(run)
        with runtime.database.transaction() as connection:
            audit.append(
                connection, [actor.audit_event("plan.requested", f"days:{run.first}..{run.last}", {"run": run.run_id})]
            )
    return tuple(started)


def stored_plan(runtime: Runtime, first: date, last: date, limit: int | None, offset: int) -> StoredPlan:
    """The stored plan of a range, with one page of its lines, or all of them. Raises `OperationError`."""
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        number, planned_at = plans.planned(connection, names.target, first, last)
        sums = plans.sums(connection, names.target, first, last)
        outdated = tuple(plans.taken_back(connection, names.target, first, last))
        shown = _shown(connection, names, first, last, limit, offset)
    return StoredPlan(first, last, number, planned_at, outdated, sums, tuple(row.line for row in shown))


def days(runtime: Runtime, first: date, last: date) -> list[PlannedDay]:
    """The days of a range whose plan writes, as they can be approved. Raises `OperationError`."""
    check_days(runtime.settings, first, last, longest=LONGEST_RANGE)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        by_day: dict[date, list[_ShownLine]] = {}
        for row in _shown(connection, names, first, last):
            by_day.setdefault(row.line.day, []).append(row)
        given = approvals.of_days(connection, names.target, first, last)
        people = {line.approved_by for lines in given.values() for line in lines.values()}
        told = trail.names_of(connection, people)
    return [_planned(day, rows, given.get(day, {}), told) for day, rows in sorted(by_day.items())]


def hashes(lines: Iterable[PlanLineView]) -> dict[date, str]:
    """The hash of the plan of each day, given all lines of these days as they were shown."""
    by_day: dict[date, dict[str, str]] = {}
    for line in lines:
        by_day.setdefault(line.day, {})[line.key] = line.hash
    return {day: plan_hash(of_day) for day, of_day in by_day.items()}


def require_review(runtime: Runtime) -> None:
    """Raises `OperationError` where plans need no approval."""
    if runtime.settings.push_mode is not PushMode.REVIEW:
        raise OperationError("ZK_PUSH_MODE is not review, so plans need no approval. Set it to review first.")


def approve(
    runtime: Runtime, actor: Actor, seen: Mapping[date, str], lines: Mapping[tuple[date, str], str] = NOTHING
) -> ApprovalResult:
    """Approve the plans of whole days, and single lines by day and key, as they were seen: by their hashes.

    What changed since is refused, and the rest is approved. Raises `OperationError` where plans need no approval, and
    `StaleError` when everything is refused.
    """
    require_review(runtime)
    wanted = sorted({*seen, *(day for day, _ in lines)})
    if not wanted:
        raise OperationError("No day and no line is named. Name at least one with its hash.")
    check_days(runtime.settings, wanted[0], wanted[-1], longest=LONGEST_REQUEST)
    agreed: dict[date, int] = {}
    refused: list[RefusedApproval] = []
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        # Whoever makes the plan again, carries it out or takes it back waits until this is decided, or was faster.
        plans.lock_days(connection, names.target, wanted)
        outdated = set(plans.taken_back(connection, names.target, wanted[0], wanted[-1]))
        for day in wanted:
            shown = {row.line.key: row for row in _shown(connection, names, day, day)}
            keys = {key: shown_hash for (of, key), shown_hash in lines.items() if of == day}
            allowed, problems = _approvable(day, shown, seen.get(day), keys, is_outdated=day in outdated)
            refused += problems
            if allowed:
                agreed[day] = len(allowed)
                whole = plan_hash({key: row.line.hash for key, row in shown.items()})
                if approvals.give(connection, names.target, day, allowed, whole, actor.name):
                    told = {"lines": len(allowed), "of": len(shown), "plan_hash": whole}
                    audit.append(connection, [actor.audit_event("plan.approved", f"day:{day}", told)])
    if not agreed:
        raise StaleError(" ".join(row.why for row in refused[:3]))
    return ApprovalResult(agreed, tuple(refused))


def _approvable(
    day: date, shown: Mapping[str, _ShownLine], seen: str | None, keys: Mapping[str, str], *, is_outdated: bool
) -> tuple[dict[str, str], list[RefusedApproval]]:
    """Of a day, the lines that are as they were seen (key to the hash of what it writes), and what is refused."""
    if is_outdated:
        return {}, [
            RefusedApproval(day, f"The plan of {day} is from before an undo. Make the plan again and look at it.")
        ]
    if not shown:
        return {}, [RefusedApproval(day, f"The plan of {day} writes nothing. Have it made first.")]
    allowed: dict[str, str] = {}
    refused: list[RefusedApproval] = []
    if seen is not None:
        if seen == plan_hash({key: row.line.hash for key, row in shown.items()}):
            allowed = {key: row.writes for key, row in shown.items()}
        else:
            refused.append(RefusedApproval(day, f"The plan of {day} changed since it was shown. Look at it again."))
    for key, line in keys.items():
        row = shown.get(key)
        if row is not None and row.line.hash == line:
            allowed[key] = row.writes
        else:
            why = f"Line {key} of {day} changed since it was shown. Look at it again."
            refused.append(RefusedApproval(day, why, key))
    return allowed, refused


def _shown(
    connection: Connection, names: ActiveConnectors, first: date, last: date, limit: int | None = None, offset: int = 0
) -> list[_ShownLine]:
    """The lines of these days that would still write, oldest day first."""
    rows = lists.lines_to_write(connection, names, first, last, limit, offset)
    given = approvals.of_days(connection, names.target, first, last)
    return [_line(row, given.get(row.entry_date, {})) for row in rows]


def _line(row: Row[Any], given: Mapping[str, ApprovedLine]) -> _ShownLine:
    result = plans.result(row._asdict())
    draft, writes = result.draft, line_hash(result)
    approved = given.get(result.key)
    project = draft.project if draft else None
    told: dict[str, str] = {
        "ticket": row.ticket_number or "",
        "agent": row.user_name or row.username or "",
        "customer": (project.customer.name if project else "") or row.sheet_customer or row.organization_name or "",
        "project": (project.name if project else "") or row.sheet_project or "",
        "description": draft.description if draft and result.action is Action.CREATE else "",
    }
    line = PlanLineView(
        day=result.entry_date,
        key=result.key,
        source_id=result.source_id,
        kimai_id=result.kimai_id,
        action=result.action,
        minutes=result.minutes,
        reason=result.reason,
        decided=result.decided,
        changes=result.diff,
        hash=stable_hash({"writes": writes, **told}),
        approved=approved is not None and approved.line_hash == writes,
        **told,
    )
    return _ShownLine(line, writes)


def _planned(
    day: date, rows: Sequence[_ShownLine], given: Mapping[str, ApprovedLine], names: Mapping[str, str]
) -> PlannedDay:
    lines = [row.line for row in rows]
    waiting = [line for line in lines if not line.approved]
    last = max(given.values(), key=lambda line: line.approved_at, default=None)
    return PlannedDay(
        day=day,
        lines=len(lines),
        minutes=sum((line.minutes for line in lines), Decimal(0)),
        plan_hash=plan_hash({line.key: line.hash for line in lines}),
        approved=not waiting,
        waiting=len(waiting),
        approved_by=names.get(last.approved_by, last.approved_by) if last else "",
        approved_at=last.approved_at if last else None,
        changed=sum(line.key in given for line in waiting),
    )
