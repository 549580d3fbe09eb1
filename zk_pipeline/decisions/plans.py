"""Plans: making them, what they would write line by line, and approving them.

An approval starts nothing: it lets the next run of the day write, once, the lines that were shown, identified by hashes
of everything that was shown.
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
    """A line that would write, as shown for approval.

    `changes` maps fields to (wanted, found); `description` is that of a new time sheet; `customer` and `project` are
    Kimai's. `hash` covers all of this and what the line writes. `approved`: the line is approved as it is.
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
    """What the stored plans of a range would write: sums, and one page of lines.

    `planned_days` of its days have a plan with lines; `planned_at` is when the oldest was made, in UTC.
    `outdated_days` have a plan from before an undo, which is neither written nor listed.
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
    """The plan of a day for approval. `plan_hash` covers its lines.

    `approved`: all lines are approved; `waiting` lines are not. `approved_by` and `approved_at` (UTC) are those of the
    last approval still in force; `changed` lines were approved, but have changed since and wait again.
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
class WaitingPlans:
    """The lines of stored plans that are not approved, and their minutes and days."""

    first: date
    last: date
    lines: int
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class RefusedApproval:
    """A day, or a line of it by `key`, that could not be approved, and why."""

    day: date
    why: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The number of approved lines by day, and what was refused."""

    days: Mapping[date, int]
    refused: tuple[RefusedApproval, ...]


@dataclass(frozen=True, slots=True)
class _ShownLine:
    """A line as shown, and the hash of what it writes."""

    line: PlanLineView
    writes: str


def launch(runtime: Runtime, actor: Actor, first: date, last: date) -> tuple[StartedRun, ...]:
    """Start runs that plan a range, each of at most a month, without writing to Kimai.

    Raises `OperationError`, and `DagsterServerError` if Dagster does not answer.
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
    """The stored plan of a range, with one page of its lines or all. Raises `OperationError`."""
    check_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        number, planned_at = plans.planned(connection, names.target, first, last)
        sums = plans.sums(connection, names.target, first, last)
        outdated = tuple(plans.taken_back(connection, names.target, first, last))
        shown = _shown(connection, names, first, last, limit, offset)
    return StoredPlan(first, last, number, planned_at, outdated, sums, tuple(row.line for row in shown))


def days(runtime: Runtime, first: date, last: date) -> list[PlannedDay]:
    """The days of a range whose plan writes anything. Raises `OperationError`."""
    check_days(runtime.settings, first, last, longest=LONGEST_RANGE)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        by_day: dict[date, list[_ShownLine]] = {}
        for row in _shown(connection, names, first, last):
            by_day.setdefault(row.line.day, []).append(row)
        given = approvals.of_days(connection, names.target, first, last)
        people = {line.approved_by for lines in given.values() for line in lines.values()}
        names_by_actor = trail.names_of(connection, people)
    return [_planned(day, rows, given.get(day, {}), names_by_actor) for day, rows in sorted(by_day.items())]


def waiting(runtime: Runtime) -> WaitingPlans | None:
    """What of all stored plans waits for approval; `None` where nothing does, or plans need none."""
    if runtime.settings.push_mode is not PushMode.REVIEW:
        return None
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        shown = _shown(connection, names, date.min, date.max)
    lines = [row.line for row in shown if not row.line.approved]
    if not lines:
        return None
    minutes = sum((line.minutes for line in lines), Decimal(0))
    return WaitingPlans(lines[0].day, lines[-1].day, len(lines), minutes)


def hashes(lines: Iterable[PlanLineView]) -> dict[date, str]:
    """The hash of each day's plan, given all lines as shown."""
    by_day: dict[date, dict[str, str]] = {}
    for line in lines:
        by_day.setdefault(line.day, {})[line.key] = line.hash
    return {day: plan_hash(of_day) for day, of_day in by_day.items()}


def require_review(runtime: Runtime) -> None:
    """Raise `OperationError` if plans need no approval."""
    if runtime.settings.push_mode is not PushMode.REVIEW:
        raise OperationError("Set ZK_PUSH_MODE=review first: now plans need no approval.")


def approve(
    runtime: Runtime, actor: Actor, seen: Mapping[date, str], lines: Mapping[tuple[date, str], str] = NOTHING
) -> ApprovalResult:
    """Approve plans of whole days, and single lines by day and key, by the hashes that were shown.

    Changed days and lines are refused, the rest is approved. Raises `OperationError` if plans need no approval, and
    `StaleError` if everything is refused.
    """
    require_review(runtime)
    wanted = sorted({*seen, *(day for day, _ in lines)})
    if not wanted:
        raise OperationError("Name at least one day or line with its hash.")
    check_days(runtime.settings, wanted[0], wanted[-1], longest=LONGEST_REQUEST)
    agreed: dict[date, int] = {}
    refused: list[RefusedApproval] = []
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        # Planning, pushing and undoing these days waits until this transaction ends.
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
                    detail = {"lines": len(allowed), "of": len(shown), "plan_hash": whole}
                    audit.append(connection, [actor.audit_event("plan.approved", f"day:{day}", detail)])
    if not agreed:
        raise StaleError(" ".join(row.why for row in refused[:3]))
    return ApprovalResult(agreed, tuple(refused))


def _approvable(
    day: date, shown: Mapping[str, _ShownLine], seen: str | None, keys: Mapping[str, str], *, is_outdated: bool
) -> tuple[dict[str, str], list[RefusedApproval]]:
    """The unchanged lines of a day (key to hash of what it writes), and what is refused."""
    if is_outdated:
        return {}, [RefusedApproval(day, f"Preview {day} again: the plan is from before an undo.")]
    if not shown:
        return {}, [RefusedApproval(day, f"The plan of {day} writes nothing. Preview the day again first.")]
    allowed: dict[str, str] = {}
    refused: list[RefusedApproval] = []
    if seen is not None:
        if seen == plan_hash({key: row.line.hash for key, row in shown.items()}):
            allowed = {key: row.writes for key, row in shown.items()}
        else:
            refused.append(RefusedApproval(day, f"Look at the plan of {day} again: it has changed since it was shown."))
    for key, line in keys.items():
        row = shown.get(key)
        if row is not None and row.line.hash == line:
            allowed[key] = row.writes
        else:
            why = f"Look at line {key} of {day} again: it has changed since it was shown."
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
    details: dict[str, str] = {
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
        hash=stable_hash({"writes": writes, **details}),
        approved=approved is not None and approved.line_hash == writes,
        **details,
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
