"""The job `tag_billed`: sets the tag of a closed month in Kimai, as a run of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from zk_pipeline.defs.days import stopping_on_system_errors
from zk_pipeline.defs.requested import requested_by
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.closing import MonthError, last_day, month_named
from zk_pipeline.run_tags import MONTH_TAG, TARGET_POOL
from zk_pipeline.stages.push.tagging import MonthOpenError, Tagged, Tagging, WithheldError, require_writing
from zk_pipeline.store import runs

TAGGED, NOT_TAGGED = "tagged", "left"
"""Metadata of the step: how many time sheets got the tag, and why others did not."""


@dataclass(frozen=True, slots=True)
class TagReport:
    """What tagging a month did; `left` are sentences about time sheets that did not get the tag."""

    run_id: str
    tagged: int
    left: Sequence[str]


@dg.op(pool=TARGET_POOL, out=dg.Out(dg.Nothing))
def set_tags(context: dg.OpExecutionContext, zk: ZkResource) -> None:
    """Tag the time sheets of the month that the run's tag zk/month names; it must be closed."""
    requested_by(context, zk, context.run_tags.get(MONTH_TAG, ""))
    try:
        require_writing(zk.runtime.settings.push_mode)
        month = month_named(context.run_tags.get(MONTH_TAG, ""))
    except WithheldError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except MonthError as error:
        raise dg.Failure(description=f"The run's tag {MONTH_TAG} is wrong. {error}") from error
    with stopping_on_system_errors():
        before = zk.target.requests
        try:
            done = Tagging(zk.runtime.database, zk.target, zk.runtime.settings.zone, context.run_id).carry_out(month)
        except MonthOpenError as error:
            raise dg.Failure(description=str(error)) from error
    after, name = zk.target.requests, zk.target.endpoint.name
    counts = {
        "tagged": done.tagged,
        f"{name}_read": after.reads - before.reads,
        f"{name}_write": after.writes - before.writes,
    }
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, context.run_id, month, last_day(month), counts)
    _tell(context, done)


@dg.job(name="tag_billed", description="Tags the time sheets of a closed month as billed in Kimai.")
def tag_billed() -> None:
    """The time sheets of a closed month, tagged."""
    set_tags()


def _tell(context: dg.OpExecutionContext, done: Tagged) -> None:
    for sentence in done.left:
        context.log.warning("%s", sentence)
    context.add_output_metadata({TAGGED: done.tagged, NOT_TAGGED: dg.MetadataValue.json(done.left)})
