"""What a run needs a request of ours for: it is spent before anything is done, whoever launched the run."""

from collections.abc import Callable, Mapping

import dagster as dg

from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.run_tags import REQUEST_TAG
from zk_pipeline.runtime import open_runtime
from zk_pipeline.store import run_requests

PIPELINE = "pipeline"
"""Who acts where nobody asked: a schedule's run."""


def requested_by(context: dg.OpExecutionContext, zk: ZkResource, about: str = "") -> str:
    """Who asked for this run of its job, about this. Raises `Failure` without a request that is unspent or this run's.

    Nothing starts such a run again by itself: it would find its request spent.
    """
    token, job = context.run_tags.get(REQUEST_TAG, ""), context.job_name
    with zk.runtime.database.transaction() as connection:
        actor = run_requests.spend(connection, token, job, about, context.run_id)
    if actor is None:
        raise dg.Failure(
            description=f"Nothing was done. {job} is asked for in the console or with `zk`, or launched by an admin in "
            "Dagster's UI. This run has no such request, or another run has spent it.",
            allow_retries=False,
        )
    return PIPELINE if actor == run_requests.SCHEDULE else actor


def tags_of_schedule(job: str) -> Callable[[dg.ScheduleEvaluationContext], Mapping[str, str]]:
    """What makes the tags of a schedule's run of this job, with a request for it."""

    def tags(_context: dg.ScheduleEvaluationContext) -> Mapping[str, str]:
        with open_runtime() as runtime, runtime.database.transaction() as connection:
            return {REQUEST_TAG: run_requests.ask(connection, run_requests.SCHEDULE, job, "")}

    return tags
