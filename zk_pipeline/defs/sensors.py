"""The sensors: one runs days that changed or were requested, two alert people."""

import json
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.defs.jobs import UNFINISHED, sync
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.defs.run_history import failed_days, failure_report, finished_runs, note_cancelled_runs
from zk_pipeline.domain.changed_days import RangeRun, pause_after, runs_for
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.vital_figures import DATABASE, DISK
from zk_pipeline.observe.alert_delivery import (
    alert_addresses,
    alert_changed_after_billing,
    alert_failure,
    alert_recovery,
    alert_signs,
    deliver,
    open_incidents,
    redacted,
)
from zk_pipeline.observe.alerts import LONGEST_SENTENCE, Failure, Incident, failures_in_a_row
from zk_pipeline.observe.measurements import measure_once
from zk_pipeline.pipeline import SYSTEM_ERRORS
from zk_pipeline.runtime.dagster_internals import WILL_RETRY_TAG
from zk_pipeline.runtime.links import alert_about
from zk_pipeline.runtime.run_tags import CHANGE, FAILURE_TAG, REASON_TAG, range_tags
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.source_changes import SUBJECT, ChangeFeed
from zk_pipeline.stages.target_changes import TargetFeed
from zk_pipeline.store import day_requests, request_log, sweeps
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.runs import note_failure

# The sensor that reacts to webhook hints, to changes on both sides, and to every requested day.

LONGEST_WAIT = 25.0
"""Seconds of a tick; Dagster gives up after a minute, and ending the daemon should not take long."""

SECONDS_BETWEEN_LOOKS, SECONDS_WHILE_BUSY = 10.0, 1.0
"""Of the tick that waits. It is woken by what is requested; changes are due when their settings say so."""

AHEAD = {"dagster/priority": "1", "dagster/max_retries": "0"}
"""These runs go before a waiting backfill. Dagster does not retry them, because their requests do."""


@dg.sensor(
    name="demand",
    job=sync,
    description="Runs the days that changed in Zammad or Kimai, or that somebody asked for.",
    minimum_interval_seconds=load_settings().sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def changed_days(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SensorResult:
    """Turns hints and changes of both systems into day requests, and open day requests into runs.

    Dagster starts a tick every few seconds at best, so a tick waits for something to do: a webhook becomes
    a run at once.

    A failed read is a skip with its reason, never "nothing changed". An unreachable system is tried less and less
    often, down to once a minute, and no run is started that would fail the same way. The cursor that Dagster shows
    says when the changes were read; the one that counts is in our database.
    """
    try:
        if _is_preview(context):
            wanted, reason = _due_runs(zk.runtime, zk.now()), "No days are requested. A preview reads no changes."
        else:
            wanted, reason = _wait_for_runs(context, zk)
        cursor = _shown_cursor(zk.runtime)
    except SYSTEM_ERRORS as error:
        return dg.SensorResult(skip_reason=str(error))
    except SQLAlchemyError as error:  # It may quote a statement.
        return dg.SensorResult(
            skip_reason=f"The database failed just now ({type(error).__name__}). The next tick tries again."
        )
    if not wanted:
        return dg.SensorResult(skip_reason=reason, cursor=cursor)
    return dg.SensorResult(run_requests=[_request(run) for run in wanted], cursor=cursor)


def _is_preview(context: dg.SensorEvaluationContext) -> bool:
    """Whether Dagster's UI tests the sensor: a tick of the daemon knows of an earlier one, or of the start."""
    return context.last_tick_completion_time is None and context.last_sensor_start_time is None


def _wait_for_runs(context: dg.SensorEvaluationContext, zk: ZkResource) -> tuple[Sequence[RangeRun], str]:
    """Look until something is due or the time of the tick is up."""
    ends_at = time.monotonic() + LONGEST_WAIT
    with zk.runtime.database.transaction() as connection:
        # A tick of a daemon that died may still wait; nobody would get its runs.
        day_requests.wake(connection, day_requests.END)
    settings = zk.runtime.settings
    pause = min(SECONDS_BETWEEN_LOOKS, settings.poll_seconds, settings.kimai_poll_seconds)
    with zk.runtime.database.listening(day_requests.CHANNEL) as changes:
        while True:
            wanted, reason, is_busy = _look(context, zk)
            left = ends_at - time.monotonic()
            if wanted or left <= 0:
                return wanted, reason
            if changes.wait(min(left, SECONDS_WHILE_BUSY if is_busy else pause)) == day_requests.END:
                return (), reason


def _look(context: dg.SensorEvaluationContext, zk: ZkResource) -> tuple[Sequence[RangeRun], str, bool]:
    """Read the changes and take what is due; the reason where that is nothing, and whether a run is at work."""
    problems: list[str] = []
    for look, system in ((_poll_source, "Zammad"), (_poll_target, "Kimai")):
        try:
            if days := look(zk.runtime, zk.now()):
                context.log.info("Changed in %s: %s", system, ", ".join(map(str, days)))
        except SYSTEM_ERRORS as error:
            problems.append(str(error))
    away = _away(zk.runtime, zk.now())
    # A run cancelled after this query is unfinished in it; one cancelled before is noted.
    is_busy = _is_busy(context.instance)
    for run in note_cancelled_runs(zk.runtime, context.instance):
        context.log.warning("Run %s was cancelled; %s days wait for a decision.", run.run_id, len(run.days))
    due = () if away or is_busy else _due_runs(zk.runtime, zk.now())
    _postpone(zk.runtime, due, zk.now())
    reasons = dict.fromkeys((*problems, *away))
    return due, " ".join(reasons) or "No days are requested, or a run is still working on them.", is_busy


def _poll_source(runtime: Runtime, now: datetime) -> Sequence[date]:
    return ChangeFeed(runtime).poll(now).days


def _poll_target(runtime: Runtime, now: datetime) -> Sequence[date]:
    return TargetFeed(runtime).poll(now).days


def _away(runtime: Runtime, now: datetime) -> list[str]:
    """Why runs wait: the last problem of each unreachable system."""
    with runtime.database.transaction() as connection:
        return [state.problem for state in request_log.active(connection) if state.keeps_runs_waiting(now)]


def _is_busy(instance: dg.DagsterInstance) -> bool:
    """Whether a run requested here is unfinished: new changes are collected for the next one.

    A long backfill does not count. Dagster lets only one run write at a time, and the next one is ours.
    """
    ours = dg.RunsFilter(statuses=UNFINISHED, tags={REASON_TAG: CHANGE})
    return instance.get_runs_count(ours) > 0


def _due_runs(runtime: Runtime, now: datetime) -> Sequence[RangeRun]:
    """The runs to request. If a range includes a held day, the run skips that day."""
    settings = runtime.settings
    today, first_pause = local_day(now, settings.zone), timedelta(seconds=settings.retry_seconds)
    with runtime.database.transaction() as connection:
        return runs_for(day_requests.unclaimed(connection), now, settings.start_date, today, first_pause)


def _postpone(runtime: Runtime, due: Sequence[RangeRun], now: datetime) -> None:
    """The requests of these runs are due again after a pause, should the run fail."""
    if not due:
        return
    first_pause = timedelta(seconds=runtime.settings.retry_seconds)
    with runtime.database.transaction() as connection:
        for run in due:
            day_requests.postpone(connection, run.request_ids, now + pause_after(run.tries, first_pause))


def _shown_cursor(runtime: Runtime) -> str:
    """When the changes of each system were read last, as its cursor says."""
    with runtime.database.transaction() as connection:
        return json.dumps(sweeps.read_at(connection, SUBJECT), sort_keys=True)


def _request(run: RangeRun) -> dg.RunRequest:
    return dg.RunRequest(run_key=run.key, tags={**range_tags(run.first, run.last, CHANGE), **AHEAD})


# The sensors that alert people to failed runs, vital signs and changed billed time, and to their recovery.

RUNS_LOOKED_AT = 50
"""In addition to the threshold: runs may have ended after the reported one."""


@dg.run_failure_sensor(
    name="failed_runs",
    description="Notes why a run failed, for the console and for the alerts.",
    monitor_all_code_locations=True,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_runs(context: dg.RunFailureSensorContext, zk: ZkResource) -> None:
    """Records each failed run of this instance, however it was started; `alerts` sends the alerts."""
    try:
        _note_failed_run(context, zk.runtime)
    except SYSTEM_ERRORS as error:
        context.log.warning("Run %s failed, and nobody could be alerted. %s", context.dagster_run.run_id, error)


def _note_failed_run(context: dg.RunFailureSensorContext, runtime: Runtime) -> None:
    run, settings = context.dagster_run, runtime.settings
    report = failure_report(run, context.failure_event, context.get_step_failure_events())
    shown = redacted(report.sentence, settings)
    context.instance.add_run_tags(run.run_id, {FAILURE_TAG: shown[:LONGEST_SENTENCE]})
    _show_in_console(context, runtime, shown)
    if run.tags.get(WILL_RETRY_TAG) == "true":
        return
    runs = finished_runs(context.instance, run.job_name, settings.alert_after + RUNS_LOOKED_AT)
    link = alert_about(settings, run.run_id)
    trouble = Failure(run.job_name, report.sentence, report.cause, report.days, link)
    alert_failure(runtime, trouble, failures_in_a_row(runs, run.run_id))


@dg.sensor(
    name="alerts",
    description="Alerts people to failed runs, to what stands still, and to billed time that changed.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alerts(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SkipReason:
    """Sends waiting alerts, and reports vital signs, recovered jobs, and changed billed time.

    It starts no runs.
    """
    try:
        if not alert_addresses(zk.runtime.settings):
            return dg.SkipReason("Nobody is alerted: set ZK_ALERT_URLS.")
        if _is_preview(context):
            return dg.SkipReason("A preview sends nothing.")
        _send_recoveries(zk.runtime, context.instance)
        with measure_once(zk.runtime) as signs:
            # If the web app runs on its own machine, it reports its own disk.
            alert_signs(zk.runtime, [sign for sign in signs if sign.name not in {DATABASE, DISK}])
        alert_changed_after_billing(zk.runtime)
        done = deliver(zk.runtime)
    except SYSTEM_ERRORS as error:
        return dg.SkipReason(str(error))
    except SQLAlchemyError as error:  # The error may quote a statement.
        return dg.SkipReason(f"The database failed just now ({type(error).__name__}). The next tick tries again.")
    for problem in done.problems:
        context.log.warning("%s The next tick tries again.", problem)
    if done.sent or done.waiting:
        return dg.SkipReason(" ".join((f"Sent {done.sent}, waiting {done.waiting}.", *done.problems)))
    return dg.SkipReason("Nothing to send.")


def _show_in_console(context: dg.RunFailureSensorContext, runtime: Runtime, sentence: str) -> None:
    """Store the sentence with its run. Without a database, the console cannot show it, but people are still alerted."""
    try:
        with runtime.database.transaction() as connection:
            note_failure(connection, context.dagster_run.run_id, sentence)
    except (DatabaseUnavailableError, SQLAlchemyError) as error:
        context.log.warning("The console will not show why this run failed. %s", error)


def _send_recoveries(runtime: Runtime, instance: dg.DagsterInstance) -> None:
    for job_name, incident in open_incidents(runtime).items():
        newest = next(iter(finished_runs(instance, job_name, RUNS_LOOKED_AT)), None)
        if newest is None or not newest[1] or _still_failed(instance, incident):
            continue
        alert_recovery(runtime, job_name, alert_about(runtime.settings, newest[0]))


def _still_failed(instance: dg.DagsterInstance, incident: Incident) -> set[date]:
    """The days of an incident that no later run has completed: other days succeed long before them."""
    return failed_days(instance, incident.days) if incident.days else set()
