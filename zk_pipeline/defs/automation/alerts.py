"""The sensors that alert people: to failed runs, vital signs and changed billed time, and when all is good again."""

from datetime import date

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.alerting.addresses import addresses_of, redacted
from zk_pipeline.alerting.book import (
    deliver,
    open_incidents,
    tell_changed_after_billing,
    tell_failure,
    tell_recovery,
    tell_signs,
)
from zk_pipeline.dagster_server import run_url
from zk_pipeline.defs.automation.failures import RETRIED_TAG, finished_runs, report_of
from zk_pipeline.defs.automation.history import failed_days
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.alerts import Incident, Trouble, failures_in_a_row
from zk_pipeline.domain.vital_figures import DATABASE, DISK
from zk_pipeline.measuring import looked
from zk_pipeline.pipeline import SYSTEM_ERRORS
from zk_pipeline.runtime import Runtime
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.runs import note_failure

RUNS_LOOKED_AT = 50
"""In addition to as many as the threshold: runs may have come after the one that is reported."""


@dg.run_failure_sensor(
    name="failed_runs",
    monitor_all_code_locations=True,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def failed_runs(context: dg.RunFailureSensorContext, zk: ZkResource) -> None:
    """Notes each failed run of this instance, whatever started it; `alerts` sends what is to be told of it."""
    run, settings = context.dagster_run, zk.runtime.settings
    report = report_of(run, context.failure_event, context.get_step_failure_events())
    _show_in_console(context, zk.runtime, report.sentence)
    if run.tags.get(RETRIED_TAG) == "true":
        return
    runs = finished_runs(context.instance, run.job_name, settings.alert_after + RUNS_LOOKED_AT)
    link = run_url(settings.dagster_link, run.run_id)
    trouble = Trouble(run.job_name, report.sentence, report.cause, report.days, link)
    tell_failure(zk.runtime, trouble, failures_in_a_row(runs, run.run_id))


@dg.sensor(name="alerts", minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts(context: dg.SensorEvaluationContext, zk: ZkResource) -> dg.SkipReason:
    """Sends the alerts that wait, and reports vital signs, jobs that work again, and billed time that changed.

    It starts no runs.
    """
    try:
        if not addresses_of(zk.runtime.settings):
            return dg.SkipReason("Nobody is told of failures: ZK_ALERT_URLS is empty.")
        _tell_recoveries(zk.runtime, context.instance)
        with looked(zk.runtime) as signs:
            # The disk is another one where the web app, which tells of its own, has a machine to itself.
            tell_signs(zk.runtime, [sign for sign in signs if sign.name not in {DATABASE, DISK}])
        tell_changed_after_billing(zk.runtime)
        done = deliver(zk.runtime)
    except SYSTEM_ERRORS as error:
        return dg.SkipReason(str(error))
    except SQLAlchemyError as error:  # It may quote a statement.
        return dg.SkipReason(f"The database failed just now ({type(error).__name__}). It is tried again.")
    for problem in done.problems:
        context.log.warning("%s It is tried again.", problem)
    if done.sent or done.waiting:
        return dg.SkipReason(" ".join((f"Sent {done.sent}, waiting {done.waiting}.", *done.problems)))
    return dg.SkipReason("Nothing is to be told.")


def _show_in_console(context: dg.RunFailureSensorContext, runtime: Runtime, sentence: str) -> None:
    """Keep the sentence with its run. Without a database there is no console either, and people are still alerted."""
    try:
        with runtime.database.transaction() as connection:
            note_failure(connection, context.dagster_run.run_id, redacted(sentence, runtime.settings))
    except (DatabaseUnavailableError, SQLAlchemyError) as error:
        context.log.warning("The console will not tell why this run failed. %s", error)


def _tell_recoveries(runtime: Runtime, instance: dg.DagsterInstance) -> None:
    for job_name, incident in open_incidents(runtime).items():
        newest = next(iter(finished_runs(instance, job_name, RUNS_LOOKED_AT)), None)
        if newest is None or not newest[1] or _still_failed(instance, incident):
            continue
        tell_recovery(runtime, job_name, run_url(runtime.settings.dagster_link, newest[0]))


def _still_failed(instance: dg.DagsterInstance, incident: Incident) -> set[date]:
    """The days of an incident that no run has made good: other days succeed long before them."""
    return failed_days(instance, incident.days) if incident.days else set()
