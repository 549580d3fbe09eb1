"""The schedules: the catch-up and the deep check, built from the settings when the definitions are loaded."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from zk_pipeline.defs.jobs import UNFINISHED, deep_check, sync
from zk_pipeline.domain.instants import days_between
from zk_pipeline.runtime.run_tags import REASON_TAG, checked_tag, range_tags
from zk_pipeline.runtime.schedules import (
    CATCH_UP,
    CATCH_UP_TAKES,
    DEEP_CHECK,
    ScheduleError,
    SchedulePlan,
    plan_of,
    preview,
    read_stored,
)
from zk_pipeline.runtime.settings import Settings, WhenBusy, load_settings
from zk_pipeline.stages import rereading
from zk_pipeline.store import day_requests, request_log
from zk_pipeline.store.database import Database, DatabaseUnavailableError

UNREADABLE = (DatabaseUnavailableError, ScheduleError)

JOBS = {CATCH_UP: sync.name, DEEP_CHECK: deep_check.name}
DESCRIPTIONS = {
    CATCH_UP: "Runs the last days again, for what webhooks and the change feed missed.",
    DEEP_CHECK: "Checks the last two months on both sides for edits and deletions.",
}

TICKS_LOOKED_AT = 60
"""Enough to meet a weekend or the end of a month."""

_log = logging.getLogger(__name__)


def build_schedules() -> list[dg.ScheduleDefinition]:
    """Both schedules by the stored settings or, if those are unreadable, by the environment.

    Raises `ScheduleError` if the environment itself is wrong.
    """
    settings = load_settings()
    try:
        stored = read_stored(settings)
    except UNREADABLE as error:
        _log.warning("The schedules are as the environment says. %s", error)
        stored = {}
    return [_schedule(_plan_at_load(settings, name, stored), job) for name, job in JOBS.items()]


def deadlines(schedules: Sequence[dg.ScheduleDefinition]) -> dict[str, timedelta]:
    """How long after a tick of each schedule its assets are still fresh: its longest pause, and the time of a run.

    A schedule that is off sets none.
    """
    now = datetime.now(UTC)
    found = {}
    for schedule in schedules:
        if schedule.default_status is dg.DefaultScheduleStatus.RUNNING and schedule.execution_timezone is not None:
            zone = ZoneInfo(schedule.execution_timezone)
            ticks = preview(str(schedule.cron_schedule), zone, now, TICKS_LOOKED_AT)
            found[schedule.name] = max(later - earlier for earlier, later in pairwise(ticks)) + CATCH_UP_TAKES
    return found


def freshness_of(spec: dg.AssetSpec, deadlines: Mapping[str, timedelta]) -> dg.AssetSpec:
    """The asset with the deadline of the schedule that keeps it fresh.

    The marts and `kimai/changes` wait for the deep check, all others for the catch-up.
    """
    waits = spec.key.path[0] == "marts" or spec.key.path == ["kimai", "changes"]
    deadline = deadlines.get(DEEP_CHECK if waits else CATCH_UP)
    if deadline is None:
        return spec
    return spec.replace_attributes(freshness_policy=dg.FreshnessPolicy.time_window(deadline))


def _plan_at_load(settings: Settings, name: str, stored: Mapping[str, Any]) -> SchedulePlan:
    try:
        return plan_of(settings, name, stored)
    except ScheduleError as error:
        plan = plan_of(settings, name, {})
        _log.warning("The schedule %s is as the environment says. %s", name, error)
        return plan


def _schedule(plan: SchedulePlan, job: str) -> dg.ScheduleDefinition:
    status = dg.DefaultScheduleStatus.RUNNING if plan.on else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=plan.name,
        cron_schedule=plan.cron,
        execution_timezone=plan.zone.key,
        job_name=job,
        default_status=status,
        description=DESCRIPTIONS[plan.name],
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | Sequence[dg.RunRequest]:
        # Read again: the days and the behaviour when busy can change without a reload.
        try:
            settings = load_settings()
            now = plan_of(settings, plan.name, read_stored(settings))
            decided = _decide(context, now, job, settings)
            if isinstance(decided, dg.SkipReason) or not (away := _left_for_later(settings, now, context)):
                return decided
        except UNREADABLE as error:
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"{away} The days are requested, and run when it answers.")

    return tick


def _decide(
    context: dg.ScheduleEvaluationContext, plan: SchedulePlan, job: str, settings: Settings
) -> dg.SkipReason | Sequence[dg.RunRequest]:
    if plan.when_busy is WhenBusy.SKIP and (busy := _unfinished(context.instance, job, plan.name)):
        return dg.SkipReason(f"Run {busy} of an earlier tick is not finished; this tick would do the same work again.")
    tick = context.scheduled_execution_time
    ranges = plan.ranges(tick)
    if not ranges:
        return dg.SkipReason(f"All days lie before ZK_START_DATE={plan.earliest}.")
    checked = checked_tag(ranges[0][0], ranges[-1][1])
    former = _former_months(settings, ranges[0][0], tick) if plan.name == DEEP_CHECK else []
    return [
        dg.RunRequest(
            run_key=f"{tick.astimezone(UTC).isoformat()}/{first}",
            tags=range_tags(first, last, plan.name) | (checked if (first, last) in ranges else {}),
        )
        for first, last in (*ranges, *former)
    ]


def _former_months(settings: Settings, before: date, now: datetime) -> list[tuple[date, date]]:
    """Older open months to read again, because their source does not tell of edits."""
    if settings.database_url is None:
        return []
    database = Database(settings.database_url.get_secret_value())
    try:
        with database.transaction() as connection:
            return rereading.former_months(connection, settings, before, now)
    finally:
        database.close()


def _left_for_later(settings: Settings, plan: SchedulePlan, context: dg.ScheduleEvaluationContext) -> str:
    """The problem of an unreachable system, after requesting the days of this tick; empty if both answer."""
    if settings.database_url is None:
        return ""
    database = Database(settings.database_url.get_secret_value())
    try:
        with database.transaction() as connection:
            away = [
                state.problem for state in request_log.active(connection) if state.keeps_runs_waiting(datetime.now(UTC))
            ]
            if away:
                ranges = plan.ranges(context.scheduled_execution_time)
                day_requests.ask(connection, days_between(ranges[0][0], ranges[-1][1]), plan.name)
    finally:
        database.close()
    return away[0] if away else ""


def _unfinished(instance: dg.DagsterInstance, job: str, reason: str) -> str | None:
    """The id of a waiting or running run of an earlier tick."""
    unfinished = dg.RunsFilter(job_name=job, statuses=UNFINISHED, tags={REASON_TAG: reason})
    return next((run.run_id for run in instance.get_runs(unfinished, limit=1)), None)
