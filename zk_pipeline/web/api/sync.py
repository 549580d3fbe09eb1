"""`/api/v1/sync`: asking for days, plans and their approval, the runs, and how everything stands."""

from dataclasses import fields
from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from zk_pipeline.decisions import plans, undo
from zk_pipeline.decisions.plans import ApprovalResult, PlanLineView, PlannedDay, PlanSums
from zk_pipeline.decisions.undo import UndoPlan, UndoRun
from zk_pipeline.operate import runs, sync
from zk_pipeline.operate.runs import RunDetails, StartedRun
from zk_pipeline.operate.sync import LONGEST_REQUEST, CancelledRun, HeldDays, SyncRequest, SyncSummary
from zk_pipeline.web.api.common import PREFIX, Body, Page, Ready, Wanted, also
from zk_pipeline.web.authentication import Admin, Operator, Viewer
from zk_pipeline.web.once import KeyedRoute

router = APIRouter(prefix=f"{PREFIX}/sync", tags=["sync"], route_class=KeyedRoute)

LARGEST_ID = 2**63 - 1
MOST_LINES = 5000
RunId = Annotated[str, Path(max_length=100, pattern=r"^[\w-]+$")]
First = Annotated[date, Query(description="The first day, included.")]
Last = Annotated[date, Query(description="The last day, included.")]


class DayRange(Body):
    """Days of the business zone, both included."""

    first: date
    last: date


class PlanPage(Page[PlanLineView]):
    """One page of the lines that would be written, and the sums over the range."""

    first: date
    last: date
    planned_days: int
    planned_at: datetime | None
    outdated_days: list[date]
    sums: PlanSums


class SeenPlan(Body):
    """The plan of a day as it was seen, by its hash."""

    day: date
    plan_hash: Annotated[str, Field(min_length=1, max_length=200)]


class SeenLine(Body):
    """One line of a day's plan as it was seen, by its hash."""

    day: date
    key: Annotated[str, Field(min_length=1, max_length=100)]
    hash: Annotated[str, Field(min_length=1, max_length=200)]


class Approval(Body):
    """The plans, and single lines of other plans, to approve."""

    days: Annotated[tuple[SeenPlan, ...], Field(max_length=LONGEST_REQUEST)] = ()
    lines: Annotated[tuple[SeenLine, ...], Field(max_length=MOST_LINES)] = ()


@router.post("/requests", summary="Request the sync of a range of days", status_code=202)
def request(actor: Operator, ready: Ready, body: DayRange) -> SyncRequest:
    """The pipeline carries it out within seconds. The same range that still waits is not asked for twice."""
    return sync.request_days(ready, actor, body.first, body.last)


@router.get("/requests/{request_id}", summary="The state of a requested range")
def request_state(_actor: Viewer, ready: Ready, request_id: Annotated[int, Path(ge=1, le=LARGEST_ID)]) -> SyncRequest:
    """Waiting, running or done, with the runs that work on it."""
    return sync.request_state(ready, request_id)


@router.post("/plans", summary="Preview a range", status_code=202, responses=also(502))
def make_plan(actor: Operator, ready: Ready, body: DayRange) -> tuple[StartedRun, ...]:
    """Starts runs that read both systems and write nothing to Kimai; the plan is there when they have ended."""
    return plans.launch(ready, actor, body.first, body.last)


@router.get("/plans", summary="Show what the stored plans of a range would write")
def stored_plan(_actor: Viewer, ready: Ready, paging: Wanted, first: First, last: Last) -> PlanPage:
    """The sums over the range, and one page of its lines, oldest day first. An approval of a line names its `hash`."""
    found = plans.stored_plan(ready, first, last, paging.size, paging.offset)
    page = paging.of(list(found.lines), found.sums.lines)
    rest = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "lines"}
    return PlanPage(**dict(page), **rest)


@router.get("/plans/days", summary="Days whose plans can be approved")
def planned_days(_actor: Viewer, ready: Ready, paging: Wanted, first: First, last: Last) -> Page[PlannedDay]:
    """At most a month. An approval names the `plan_hash` of each day."""
    return paging.among(plans.days(ready, first, last))


@router.post("/approvals", summary="Approve the plans of days, or single lines, as they were seen")
def approve(actor: Operator, ready: Ready, body: Approval) -> ApprovalResult:
    """Nothing is written by that: the next run of the days writes what was approved, once.

    What changed since it was seen is refused and listed; 409 when all of it did.
    """
    lines = {(row.day, row.key): row.hash for row in body.lines}
    return plans.approve(ready, actor, {row.day: row.plan_hash for row in body.days}, lines)


@router.get("/plans/objections", summary="Why runs of these days would stop before the first write")
def objections(_actor: Viewer, ready: Ready, paging: Wanted, first: First, last: Last) -> Page[str]:
    """The limits that the stored plans exceed, in sentences; empty when none."""
    return paging.among(sync.limit_violations(ready, first, last))


@router.post(
    "/overrides", summary="Run a range of days with the limits overridden", status_code=202, responses=also(502)
)
def override(actor: Admin, ready: Ready, body: DayRange) -> tuple[StartedRun, ...]:
    """Starts the runs at once; the audit trail names who overrode the limits."""
    return sync.launch_overriding_limits(ready, actor, body.first, body.last)


@router.get("/runs", summary="A page of runs, newest first")
def list_runs(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[RunDetails]:
    """With what each one counted, and its status in Dagster, `unknown` while that does not answer."""
    rows, total = runs.page(ready, paging.size, paging.offset)
    return paging.of(list(rows), total)


@router.get("/runs/{run_id}", summary="One run")
def run(_actor: Viewer, ready: Ready, run_id: RunId) -> RunDetails:
    """With what it counted, and its status in Dagster."""
    return runs.one(ready, run_id)


@router.get("/runs/{run_id}/undo", summary="What undoing a run would do now", responses=also(403, 409, 502))
def undo_plan(_actor: Operator, ready: Ready, run_id: RunId) -> UndoPlan:
    """Reads Kimai and writes nothing; what is billed or was edited since is left, each with the reason."""
    return undo.plan(ready, run_id)


@router.post("/runs/{run_id}/undo", summary="Undo a run", status_code=202, responses=also(502))
def undo_run(actor: Operator, ready: Ready, run_id: RunId) -> UndoRun:
    """Starts a run that judges each write again; when it has ended, the plan says what was left."""
    return undo.launch(ready, actor, run_id)


@router.post("/runs/{run_id}/cancel", summary="Cancel a run", status_code=202, responses=also(502))
def cancel_run(actor: Operator, ready: Ready, run_id: RunId) -> CancelledRun:
    """The run stops within a second, and its remaining days are held until somebody decides; 409 when it has ended."""
    return sync.cancel(ready, actor, run_id)


@router.get("/held", summary="Held days of cancelled runs")
def held(_actor: Viewer, ready: Ready, paging: Wanted) -> Page[HeldDays]:
    """Neither sensor nor schedules write them. Requesting the days by `/sync/requests` releases them as well."""
    return paging.among(sync.held_days(ready))


@router.post("/held/{run_id}/again", summary="Sync the held days of a run again", status_code=202)
def sync_again(actor: Operator, ready: Ready, run_id: RunId) -> list[date]:
    """Asks for the days and returns them; the pipeline carries them out within seconds. 404 when none wait."""
    return list(sync.sync_again(ready, actor, run_id))


@router.post("/held/{run_id}/leave", summary="Leave the held days of a run")
def leave(actor: Operator, ready: Ready, run_id: RunId) -> list[date]:
    """Completes the requests for the days without writing, and returns the days. 404 when none wait."""
    return list(sync.leave(ready, actor, run_id))


@router.get("/status", summary="How everything stands")
def status(_actor: Viewer, ready: Ready) -> SyncSummary:
    """How long ago the last sync reached its own day, and what waits."""
    return sync.status(ready)
