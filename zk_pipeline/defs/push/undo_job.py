"""The job `undo`: takes the writes of one run back, as a run of its own."""

from collections import Counter
from collections.abc import Sequence

import dagster as dg

from zk_pipeline.defs.days import stopping_on_system_errors
from zk_pipeline.defs.requested import requested_by
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.undo import Reversal, Step
from zk_pipeline.run_tags import TARGET_POOL, UNDO_JOB, UNDO_STEP
from zk_pipeline.stages.push.undoing import Undoing, UnknownRunError, named_run, undo_settings
from zk_pipeline.store import runs

DONE, LEFT = "undone", "left"
"""Metadata of the step: how much was taken back by kind, and what was left with its reason."""


class UndoConfig(dg.Config):
    """Which run is undone, by its id or the beginning of it."""

    run_id: str


@dg.op(name=UNDO_STEP, pool=TARGET_POOL, out=dg.Out(dg.Nothing))
def take_back(context: dg.OpExecutionContext, config: UndoConfig, zk: ZkResource) -> None:
    """Undo a run: what is billed or was edited since is left, and listed with the reason."""
    requested_by(context, zk, config.run_id)
    with stopping_on_system_errors():
        undone_run = _named(zk, config.run_id)
        undoing = Undoing(zk.runtime.database, zk.target, undo_settings(zk.runtime, zk.now()), context.run_id)
        steps: list[Step] = []
        try:
            steps = undoing.carry_out(undone_run)
        finally:
            _add_counts(context.run_id, zk, steps)
    left = [step.to_json() for step in steps if step.reversal is Reversal.LEAVE]
    for line in left:
        context.log.warning("%s of %s left: %s", line["operation"], line["kimai_id"], line["text"])
    context.add_output_metadata({DONE: dg.MetadataValue.json(done_by_kind(steps)), LEFT: dg.MetadataValue.json(left)})


@dg.job(name=UNDO_JOB, description="Takes the writes of one run back.")
def undo() -> None:
    """The writes of one run, taken back."""
    take_back()


def _named(zk: ZkResource, text: str) -> str:
    try:
        return named_run(zk.runtime.database, text)
    except UnknownRunError as error:
        raise dg.Failure(description=str(error)) from error


def done_by_kind(steps: Sequence[Step]) -> dict[str, int]:
    """How many steps were or will be done, by what they do."""
    return dict(Counter(str(step.reversal) for step in steps if step.reversal is not Reversal.LEAVE))


def _add_counts(run_id: str, zk: ZkResource, steps: Sequence[Step]) -> None:
    """Add what was done and the requests that it took to the run's counts; the connector was made for this run."""
    left = sum(step.reversal is Reversal.LEAVE for step in steps)
    name, sent = zk.target.endpoint.name, zk.target.requests
    counts = {"undone": len(steps) - left, "left": left, f"{name}_read": sent.reads, f"{name}_write": sent.writes}
    days = [step.write.entry.entry_date for step in steps if step.write.entry.entry_date]
    with zk.runtime.database.transaction() as connection:
        runs.add(connection, run_id, min(days, default=None), max(days, default=None), counts)
