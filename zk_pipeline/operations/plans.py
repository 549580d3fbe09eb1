"""The plan of some days: having it made, what it would write, and approving it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from zk_pipeline.domain.approval import approvable, permitted, plan_hash, writes
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.demand import LONGEST_RANGE
from zk_pipeline.domain.plan import Result
from zk_pipeline.operations import runs
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.errors import OperationError, StaleError
from zk_pipeline.operations.runs import StartedRun
from zk_pipeline.operations.sync import LONGEST_REQUEST, checked_days
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import PushMode
from zk_pipeline.store import approvals, audit, plan_sums, plans, requests, trail
from zk_pipeline.store.addresses import addresses
from zk_pipeline.store.approvals import Approval
from zk_pipeline.store.plan_sums import PlanSums

JOB = "plan"
REASON = "approval"


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line that would write. `changes` has field to (wanted, found); `description` is that of a new time sheet."""

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


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """What the stored plans of a range would write: the sums, and one page of the lines.

    `planned_days` of its days have a plan with any line; `planned_at` is when the oldest was made, in UTC.
    """

    first: date
    last: date
    planned_days: int
    planned_at: datetime | None
    sums: PlanSums
    lines: tuple[PlanLine, ...]


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """The plan of a day as somebody approves it: `plan_hash` stands for its lines, and changes when they do.

    `approved_by` and `approved_at` (UTC) are those of the day's last approval, of whatever it was then; `changed` of
    the lines were approved and changed since, so that they are left out. `approved`: it covers the plan as it is.
    """

    day: date
    lines: int
    minutes: Decimal
    plan_hash: str
    approved: bool
    approved_by: str
    approved_at: datetime | None
    changed: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A day whose plan was not approved, and why."""

    day: date
    why: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The days that were approved, with the number of lines of each; they are asked for, and then written."""

    days: Mapping[date, int]
    refused: tuple[Refused, ...]


def launch(runtime: Runtime, actor: Actor, first: date, last: date) -> tuple[StartedRun, ...]:
    """Have the plan of a range made, in runs of at most a month. Nothing is written to Kimai.

    Raises `OperationError`, and `DagsterServerError` when Dagster does not answer.
    """
    checked_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    started: list[StartedRun] = []
    for run in runs.launch(runtime, JOB, first, last):
        started.append(run)
        with runtime.database.transaction() as connection:
            audit.append(
                connection, [actor.did("plan.requested", f"days:{run.first}..{run.last}", {"run": run.run_id})]
            )
    return tuple(started)


def stored(runtime: Runtime, first: date, last: date, limit: int, offset: int) -> StoredPlan:
    """The stored plan of a range, with one page of its lines. Raises `OperationError`."""
    checked_days(runtime.settings, first, last, longest=LONGEST_REQUEST)
    with runtime.database.transaction() as connection:
        target = addresses(connection).target
        number, planned_at = plan_sums.planned(connection, target, first, last)
        sums = plan_sums.sums(connection, target, first, last)
        rows = plan_sums.page(connection, target, first, last, limit, offset)
    return StoredPlan(first, last, number, planned_at, sums, tuple(_line(row) for row in rows))


def days(runtime: Runtime, first: date, last: date) -> list[PlannedDay]:
    """The days of a range whose plan writes, as they can be approved. Raises `OperationError`."""
    checked_days(runtime.settings, first, last, longest=LONGEST_RANGE)
    with runtime.database.transaction() as connection:
        target = addresses(connection).target
        by_day = _by_day(plans.writes_of_days(connection, target, first, last))
        approved = approvals.of_days(connection, target, first, last)
        names = trail.names_of(connection, {approval.approved_by for approval in approved.values()})
    return [_planned(day, lines, approved.get(day), names) for day, lines in sorted(by_day.items())]


def hashes(lines: Iterable[Result]) -> dict[date, str]:
    """The hash of the plan of each day among these lines."""
    return {day: plan_hash(approvable(of_day)) for day, of_day in sorted(_by_day(lines).items())}


def require_review(runtime: Runtime) -> None:
    """Raises `OperationError` where plans need no approval."""
    if runtime.settings.push_mode is not PushMode.REVIEW:
        raise OperationError("ZK_PUSH_MODE is not review, so plans need no approval. Set it to review first.")


def approve(runtime: Runtime, actor: Actor, seen: Mapping[date, str]) -> Approved:
    """Approve the plans of these days as they were seen, by their hashes, and ask for the days.

    A day whose plan changed since is refused, and the others are approved. Raises `OperationError` where plans need no
    approval, and `StaleError` when every day is refused.
    """
    require_review(runtime)
    if not seen:
        raise OperationError("No day is named. Name at least one with the hash of its plan.")
    checked_days(runtime.settings, min(seen), max(seen), longest=LONGEST_REQUEST)
    with runtime.database.transaction() as connection:
        target = addresses(connection).target
        by_day = _by_day(plans.writes_of_days(connection, target, min(seen), max(seen)))
        current = {day: approvable(by_day.get(day, ())) for day in sorted(seen)}
        agreed = {day: lines for day, lines in current.items() if lines and plan_hash(lines) == seen[day]}
        for day, lines in agreed.items():
            approvals.save(connection, target, day, lines, seen[day], actor.name)
            requests.ask(connection, [day], REASON)
        told = [
            actor.did("plan.approved", f"day:{day}", {"lines": len(lines), "plan_hash": seen[day]})
            for day, lines in agreed.items()
        ]
        audit.append(connection, told)
    refused = tuple(Refused(day, _why(day, lines)) for day, lines in current.items() if day not in agreed)
    if not agreed:
        raise StaleError(" ".join(row.why for row in refused[:3]))
    return Approved({day: len(lines) for day, lines in agreed.items()}, refused)


def _why(day: date, lines: Mapping[str, str]) -> str:
    if not lines:
        return f"The plan of {day} writes nothing. Have it made first."
    return f"The plan of {day} changed since it was shown. Look at it again."


def _line(row: Result) -> PlanLine:
    description = row.draft.description if row.draft and row.action is Action.CREATE else ""
    return PlanLine(
        day=row.entry_date,
        key=row.key,
        source_id=row.source_id,
        kimai_id=row.kimai_id,
        action=row.action,
        minutes=row.minutes,
        reason=row.reason,
        decided=row.decided,
        changes=row.diff,
        description=description,
    )


def _planned(day: date, lines: list[Result], approval: Approval | None, names: Mapping[str, str]) -> PlannedDay:
    found = plan_hash(approvable(lines))
    minutes = sum((line.minutes for line in lines), Decimal(0))
    if approval is None:
        return PlannedDay(day, len(lines), minutes, found, approved=False, approved_by="", approved_at=None, changed=0)
    return PlannedDay(
        day=day,
        lines=len(lines),
        minutes=minutes,
        plan_hash=found,
        approved=found == approval.plan_hash,
        approved_by=names.get(approval.approved_by, approval.approved_by),
        approved_at=approval.approved_at,
        changed=len(permitted(lines, approval.lines).changed),
    )


def _by_day(lines: Iterable[Result]) -> dict[date, list[Result]]:
    found: dict[date, list[Result]] = {}
    for line in lines:
        if writes(line):
            found.setdefault(line.entry_date, []).append(line)
    return found
