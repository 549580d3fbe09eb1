"""The sensor that reacts: to webhook hints, to changes on both sides, and to every day that was asked for."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import dagster as dg

from zk_pipeline.defs.automation.cancellations import note_cancelled_runs
from zk_pipeline.defs.automation.jobs import UNFINISHED, sync
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.demand import RangeRun, pause_after, runs_for
from zk_pipeline.domain.instants import local_day
from zk_pipeline.pipeline import SYSTEM_ERRORS
from zk_pipeline.run_tags import CHANGE, REASON_TAG, range_tags
from zk_pipeline.runtime import Runtime
from zk_pipeline.settings import load_settings
from zk_pipeline.stages.change_feed import ChangeFeed
from zk_pipeline.stages.target_feed import TargetFeed
from zk_pipeline.store import reachability, requests

AHEAD = {"dagster/priority": "1", "dagster/max_retries": "0"}
"""These runs go before a waiting backfill, and Dagster does not repeat them: their requests do."""


@dg.sensor(
    name="demand",
    job=sync,
    minimum_interval_seconds=load_settings().sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def demand(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SensorResult | dg.SkipReason:
    """Turns hints and changes of both systems into day requests, and open day requests into runs.

    A failed read is a skip with its reason, never "nothing changed". While a system is away it is asked less and less
    often, down to once a minute, and no run is started that would only meet the same.
    """
    problems: list[str] = []
    for look, system in ((_look_at_source, "Zammad"), (_look_at_target, "Kimai")):
        try:
            if days := look(zk.runtime, zk.now()):
                context.log.info("Changed in %s: %s", system, ", ".join(map(str, days)))
        except SYSTEM_ERRORS as error:
            problems.append(str(error))
    try:
        away = _away(zk.runtime, zk.now())
        # A run that is cancelled after this question is unfinished at it; one that was cancelled before is noted.
        is_busy = _is_busy(context.instance)
        for run in note_cancelled_runs(zk.runtime, context.instance):
            context.log.warning("Run %s was cancelled; %s days wait for a word.", run.run_id, len(run.days))
        wanted = [] if away or is_busy else _due_runs(zk.runtime, zk.now())
    except SYSTEM_ERRORS as error:
        return dg.SkipReason(str(error))
    if not wanted:
        reasons = dict.fromkeys((*problems, *away))
        return dg.SkipReason(" ".join(reasons) or "Nothing is asked for, or a run is still at it.")
    return dg.SensorResult(run_requests=[_request(run) for run in wanted])


def _look_at_source(runtime: Runtime, now: datetime) -> Sequence[date]:
    return ChangeFeed(runtime).look(now).days


def _look_at_target(runtime: Runtime, now: datetime) -> Sequence[date]:
    return TargetFeed(runtime).look(now).days


def _away(runtime: Runtime, now: datetime) -> list[str]:
    """What keeps runs waiting: the last problem of each system that is away."""
    with runtime.database.transaction() as connection:
        return [state.problem for state in reachability.active(connection) if state.keeps_runs_waiting(now)]


def _is_busy(instance: dg.DagsterInstance) -> bool:
    """Whether a run that was asked for here is unfinished: what comes meanwhile is gathered into the next.

    A long backfill does not count. Dagster lets no two runs write at a time, and the next one is ours.
    """
    ours = dg.RunsFilter(statuses=UNFINISHED, tags={REASON_TAG: CHANGE})
    return instance.get_runs_count(ours) > 0


def _due_runs(runtime: Runtime, now: datetime) -> Sequence[RangeRun]:
    """The runs to ask for; their requests are due again after a pause, should the run fail.

    Where a range bridges a day that is held, the run leaves that day out.
    """
    settings = runtime.settings
    first_pause = timedelta(seconds=settings.retry_seconds)
    today = local_day(now, settings.zone)
    with runtime.database.transaction() as connection:
        due = runs_for(requests.unclaimed(connection), now, settings.start_date, today)
        for run in due:
            requests.postpone(connection, run.request_ids, now + pause_after(run.tries, first_pause))
    return due


def _request(run: RangeRun) -> dg.RunRequest:
    return dg.RunRequest(run_key=run.key, tags={**range_tags(run.first, run.last, CHANGE), **AHEAD})
