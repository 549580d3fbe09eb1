"""The job `marts`, and the sensor that asks for it when the nightly deep check is through."""

import dagster as dg

from zk_pipeline.defs.automation.jobs import UNFINISHED, deep_check
from zk_pipeline.defs.automation.stored_checks import of_stored_rows
from zk_pipeline.defs.marts.assets import GROUP
from zk_pipeline.run_tags import REASON_TAG

marts = dg.define_asset_job(
    "marts",
    selection=dg.AssetSelection.groups(GROUP) | dg.AssetSelection.checks(*of_stored_rows),
    description="Builds the marts of the days that changed, and checks what is stored. Reads neither Zammad nor Kimai.",
)


@dg.sensor(
    name="marts_after_deep_check",
    job=marts,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the marts when all runs of the deep check have ended.",
)
def marts_after_deep_check(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Asks for the marts once for each deep check, when the last of its runs has ended.

    However it ended: what is stored is checked above all when a run failed. The cursor is the run that was asked for.
    """
    runs = context.instance.get_runs(dg.RunsFilter(job_name=deep_check.name), limit=1)
    if not runs or runs[0].run_id == context.cursor:
        return dg.SkipReason("There was no deep check since the marts were asked for.")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=deep_check.name, statuses=UNFINISHED)):
        return dg.SkipReason("Runs of the deep check are not finished.")
    newest = runs[0].run_id
    context.update_cursor(newest)
    return dg.RunRequest(run_key=newest, tags={REASON_TAG: deep_check.name})
