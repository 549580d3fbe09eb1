"""The jobs: the chain, the plan, the deep check, tagging a month, undoing a run; and the requests that some need."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError, ValidationFailedError
from zk_pipeline.decisions import mending
from zk_pipeline.defs.common import stopping_on_system_errors
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.periods import MonthError, last_day, parse_month
from zk_pipeline.domain.undo import Reversal, UndoStep
from zk_pipeline.runtime.run_tags import MEND_TAG, MONTH_TAG, REQUEST_TAG, TARGET_POOL, UNDO_JOB, UNDO_STEP
from zk_pipeline.runtime.runtime import open_runtime
from zk_pipeline.stages.push.mending import Mender, MendRequest, NothingToMendError
from zk_pipeline.stages.push.tagging import (
    BilledTagger,
    MonthOpenError,
    TagResult,
    WritesDisabledError,
    require_writing,
)
from zk_pipeline.stages.push.undo import UndoExecutor, UnknownRunError, named_run, undo_settings
from zk_pipeline.store import day_requests, runs

# The jobs: the whole chain, the chain up to the plan, and the chain with a check of the target's changes.

CHANGES = dg.AssetSelection.assets(["kimai", "changes"])
# The checks that watch the chain have their own job; they are not steps of each run.
ASSETS = (dg.AssetSelection.groups("zammad", "kimai", "sync") - CHANGES).without_checks()
# This one runs between plan and push.
CHAIN = ASSETS | dg.AssetSelection.checks(
    dg.AssetCheckKey(dg.AssetKey(["sync", "reconciliation_results"]), "plan_is_whole")
)

UNFINISHED = [
    status
    for status in dg.DagsterRunStatus
    if status not in {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
]

sync = dg.define_asset_job(
    "sync",
    selection=CHAIN,
    description="Carries the bookings of one day, or of a range, into Kimai.",
)
plan = dg.define_asset_job(
    "plan",
    selection=CHAIN - dg.AssetSelection.assets(["sync", "kimai_pushes"]),
    description="Shows what a sync would do, and writes nothing to Kimai.",
)
deep_check = dg.define_asset_job(
    "deep_check",
    selection=CHAIN | CHANGES,
    description="Carries the bookings of a range into Kimai, and requests other days that were edited there.",
)

# Requests for runs that need one: spent before anything is done, whoever launched the run.

PIPELINE = "pipeline"
"""The actor of a schedule's run."""


def requested_by(context: dg.OpExecutionContext, zk: ZkResource, about: str = "") -> str:
    """Who requested this run of its job, about this. Raises `Failure` without a request that is unspent or this run's.

    Such a run is never retried automatically, because its request is spent.
    """
    token, job = context.run_tags.get(REQUEST_TAG, ""), context.job_name
    with zk.runtime.database.transaction() as connection:
        actor = runs.spend(connection, token, job, about, context.run.run_id)
    if actor is None:
        raise dg.Failure(
            description=f"Nothing was done. {job} is asked for in the console or with `zk`, or launched by an admin in "
            "Dagster's UI. This run has no such request, or another run has spent it.",
            allow_retries=False,
        )
    return PIPELINE if actor == runs.SCHEDULE else actor


def tags_of_schedule(job: str) -> Callable[[dg.ScheduleEvaluationContext], Mapping[str, str]]:
    """A function that makes the tags of a schedule's run of this job, with a request for it."""

    def tags(_context: dg.ScheduleEvaluationContext) -> Mapping[str, str]:
        with open_runtime() as runtime, runtime.database.transaction() as connection:
            return {REQUEST_TAG: runs.ask(connection, runs.SCHEDULE, job, "")}

    return tags


# The job `tag_billed`: sets the tag of a closed month in Kimai, as a run of its own.


@dataclass(frozen=True, slots=True)
class TagReport:
    """What tagging a month did; `left` are sentences about time sheets that did not get the tag.

    The step has all but the id as metadata of these names.
    """

    run_id: str
    tagged: int
    left: Sequence[str]


@dg.op(pool=TARGET_POOL, out=dg.Out(dg.Nothing))
def set_tags(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Tag the time sheets of the month that the run's tag zk/month names; it must be closed."""
    requested_by(context, zk, context.run_tags.get(MONTH_TAG, ""))
    try:
        require_writing(zk.runtime.settings.push_mode)
        month = parse_month(context.run_tags.get(MONTH_TAG, ""))
    except WritesDisabledError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except MonthError as error:
        raise dg.Failure(description=f"The run's tag {MONTH_TAG} is wrong. {error}") from error
    with stopping_on_system_errors():
        before = zk.target.requests
        try:
            done = BilledTagger(zk.runtime.database, zk.target, zk.runtime.settings.zone, context.run.run_id).carry_out(
                month
            )
        except MonthOpenError as error:
            raise dg.Failure(description=str(error)) from error
    after, name = zk.target.requests, zk.target.endpoint.name
    counts = {
        "tagged": done.tagged,
        f"{name}_read": after.reads - before.reads,
        f"{name}_write": after.writes - before.writes,
    }
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, context.run.run_id, month, last_day(month), counts)
    _report_tags(context, done)


@dg.job(name="tag_billed", description="Tags the time sheets of a closed month as billed in Kimai.")
def tag_billed() -> None:
    """The time sheets of a closed month, tagged."""
    set_tags()


def _report_tags(context: dg.OpExecutionContext, done: TagResult) -> None:
    for sentence in done.left:
        context.log.warning("%s", sentence)
    context.add_output_metadata({"tagged": done.tagged, "left": dg.MetadataValue.json(done.left)})


# The job `mend`: shows again, or extends, what in Kimai refuses time sheets.


@dataclass(frozen=True, slots=True)
class MendReport:
    """What was mended, by its name, and how many days are requested to try again."""

    run_id: str
    name: str
    days: int


@dg.op(pool=TARGET_POOL, out=dg.Out(dg.Nothing))
def change_in_target(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Mend what the run's tag zk/mend names, and request the days that wait for it."""
    about = context.run_tags.get(MEND_TAG, "")
    requested_by(context, zk, about)
    try:
        require_writing(zk.runtime.settings.push_mode)
        request = MendRequest.parse(about)
    except WritesDisabledError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except ValueError as error:
        raise dg.Failure(description=f"The run's tag {MEND_TAG} is wrong: {about[:80]!r}.") from error
    days = mending.days_helped(zk.runtime, request)
    with stopping_on_system_errors():
        before = zk.target.requests
        try:
            found = Mender(zk.runtime.database, zk.target, context.run.run_id).carry_out(request)
        except (NothingToMendError, NotFoundError, PermissionDeniedError, ValidationFailedError) as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
    after, name = zk.target.requests, zk.target.endpoint.name
    counts = {f"{name}_read": after.reads - before.reads, f"{name}_write": after.writes - before.writes}
    with zk.runtime.database.transaction() as connection:
        day_requests.ask(connection, days, day_requests.PERSON)
        runs.add(connection, context.run.run_id, None, None, {"mended": 1, **counts})
    context.add_output_metadata({"name": found.name, "days": len(days)})


@dg.job(name=mending.JOB, description="Shows or extends in Kimai what refuses time sheets.")
def mend() -> None:
    """A customer, project or activity that takes time sheets again."""
    change_in_target()


# The job `undo`: undoes the writes of one run, as a run of its own.


class UndoConfig(dg.Config):
    """The run to undo, by its id or the beginning of it."""

    run_id: str


@dg.op(name=UNDO_STEP, pool=TARGET_POOL, out=dg.Out(dg.Nothing))
def take_back(context: dg.OpExecutionContext, config: UndoConfig, zk: ZkResource) -> None:
    """Undo a run: writes that were billed or edited since are left, and listed with the reason."""
    requested_by(context, zk, config.run_id)
    with stopping_on_system_errors():
        undone_run = _named(zk, config.run_id)
        undoing = UndoExecutor(zk.runtime.database, zk.target, undo_settings(zk.runtime, zk.now()), context.run.run_id)
        steps: list[UndoStep] = []
        try:
            steps = undoing.carry_out(undone_run)
        finally:
            _add_counts(context.run.run_id, zk, steps)
    left = [step.to_json() for step in steps if step.reversal is Reversal.LEAVE]
    for line in left:
        context.log.warning("%s of %s left: %s", line["operation"], line["kimai_id"], line["text"])
    # Named as the fields of `UndoReport`.
    context.add_output_metadata(
        {"undone": dg.MetadataValue.json(done_by_kind(steps)), "left": dg.MetadataValue.json(left)}
    )


@dg.job(name=UNDO_JOB, description="Undoes the writes of one run.")
def undo() -> None:
    """The writes of one run, taken back."""
    take_back()


def _named(zk: ZkResource, text: str) -> str:
    try:
        return named_run(zk.runtime.database, text)
    except UnknownRunError as error:
        raise dg.Failure(description=str(error)) from error


def done_by_kind(steps: Sequence[UndoStep]) -> dict[str, int]:
    """The number of steps by kind."""
    return dict(Counter(str(step.reversal) for step in steps if step.reversal is not Reversal.LEAVE))


def _add_counts(run_id: str, zk: ZkResource, steps: Sequence[UndoStep]) -> None:
    """Add the results and requests to the run's counts; the connector was created for this run."""
    left = sum(step.reversal is Reversal.LEAVE for step in steps)
    name, sent = zk.target.endpoint.name, zk.target.requests
    counts = {"undone": len(steps) - left, "left": left, f"{name}_read": sent.reads, f"{name}_write": sent.writes}
    days = [step.write.entry.entry_date for step in steps if step.write.entry.entry_date]
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, run_id, min(days, default=None), max(days, default=None), counts)
