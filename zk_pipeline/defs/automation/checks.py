"""The checks that watch the chain, and the job and schedule that run them; people are told of what they find."""

from collections.abc import Collection
from datetime import date, timedelta

import dagster as dg

from zk_pipeline.alerting.book import tell_failure, tell_recovery
from zk_pipeline.dagster_server import run_url
from zk_pipeline.defs.automation.history import PUSHES, ever_synced, failed_days, materialized_at
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.alerts import Trouble
from zk_pipeline.domain.instants import days_between, local_day
from zk_pipeline.domain.watching import failed_sentence, stale_assets, stale_sentence, watched_days
from zk_pipeline.runtime import Runtime
from zk_pipeline.schedules import CATCH_UP, ScheduleError, SchedulePlan, plan_of
from zk_pipeline.store import stored_settings

DAYS_WATCHED = 62
FRESHNESS = "days_are_fresh"
FAILED_DAYS = "no_day_is_left_failed"


@dg.asset_check(asset=PUSHES, name=FRESHNESS)
def days_are_fresh(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """Every asset of the chain has today and yesterday at least as the last catch-up should have left them."""
    plan = _catch_up(zk.runtime)
    if not plan.on:
        return dg.AssetCheckResult(passed=True, description="The catch-up is off, so no day is due.")
    if not ever_synced(context.instance):
        return dg.AssetCheckResult(passed=True, description="No day was synced yet, so none can be stale.")
    days = watched_days(zk.now(), plan.zone, plan.days)
    behind = stale_assets(materialized_at(context.instance, days), days, plan.last_due(zk.now()), plan.zone)
    return told(
        context, zk, FRESHNESS, stale_sentence(behind, plan.zone) if behind else "", {row.day for row in behind}
    )


@dg.asset_check(asset=PUSHES, name=FAILED_DAYS)
def no_day_is_left_failed(context: dg.AssetCheckExecutionContext, zk: ZkResource) -> dg.AssetCheckResult:
    """No day of the last two months is left as a failed run left it."""
    today = local_day(zk.now(), zk.runtime.settings.zone)
    failed = failed_days(context.instance, days_between(today - timedelta(days=DAYS_WATCHED - 1), today))
    return told(context, zk, FAILED_DAYS, failed_sentence(failed) if failed else "", failed)


watch = dg.define_asset_job(
    "watch",
    selection=dg.AssetSelection.checks(days_are_fresh, no_day_is_left_failed),
    description="Looks whether the chain is up to date, and tells people if not. Reads nothing but Dagster's records.",
)

watch_schedule = dg.ScheduleDefinition(
    name="watch",
    job=watch,
    cron_schedule="*/30 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Watches the chain every half hour.",
)


def _catch_up(runtime: Runtime) -> SchedulePlan:
    with runtime.database.transaction() as connection:
        stored = stored_settings.load(connection)
    try:
        return plan_of(runtime.settings, CATCH_UP, stored)
    except ScheduleError as error:
        raise dg.Failure(description=str(error)) from error


def told(
    context: dg.AssetCheckExecutionContext, zk: ZkResource, name: str, sentence: str, days: Collection[date]
) -> dg.AssetCheckResult:
    """The result of a check, of which people are told as of a failed run, by the first failure already.

    The check itself tells, and its run succeeds: a person who materializes the asset in Dagster's UI runs the checks
    along, and that run must not fail over other days.
    """
    link = run_url(zk.runtime.settings.dagster_link, context.run.run_id)
    if sentence:
        tell_failure(zk.runtime, Trouble(name, sentence, sentence, tuple(sorted(days)), link))
    else:
        tell_recovery(zk.runtime, name, link)
    return dg.AssetCheckResult(
        passed=not sentence, description=sentence or None, metadata={"days": ", ".join(map(str, sorted(days)))}
    )
