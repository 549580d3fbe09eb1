"""The job `marts`, and the sensor that asks for it when the nightly deep check is through."""

import dagster as dg

from zk_pipeline.defs.automation.jobs import UNFINISHED, deep_check
from zk_pipeline.defs.automation.stored_checks import of_stored_rows
from zk_pipeline.defs.marts.assets import GROUP
from zk_pipeline.defs.tags import REASON_TAG

marts = dg.define_asset_job(
    "marts",
    selection=dg.AssetSelection.groups(GROUP) | dg.AssetSelection.checks(*of_stored_rows),
    description="Builds the marts of the days that changed, and checks what is stored. Reads neither Zammad nor Kimai.",
)


@dg.run_status_sensor(
    name="marts_after_deep_check",
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[deep_check],
    request_job=marts,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def marts_after_deep_check(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
    """Asks for the marts once for each deep check, after the last of the runs that it is made of."""
    if context.instance.get_runs_count(dg.RunsFilter(job_name=deep_check.name, statuses=UNFINISHED)):
        return dg.SkipReason("Other runs of the deep check are not finished.")
    run = context.dagster_run
    return dg.RunRequest(run_key=run.run_id, tags={REASON_TAG: deep_check.name})
