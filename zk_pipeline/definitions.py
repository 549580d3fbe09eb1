"""The definitions that Dagster loads: assets, checks, jobs, schedules, sensors and resources."""

import dagster as dg

from zk_pipeline.defs import checks, housekeeping, jobs, kimai, marts, schedules, sensors, sync, write_back, zammad
from zk_pipeline.defs.resources import resources_of_settings
from zk_pipeline.defs.run_log import use_everywhere

use_everywhere()

built = schedules.build_schedules()
deadlines = schedules.deadlines(built)
loaded = [
    *dg.load_assets_from_modules([zammad, kimai, sync]),
    *dg.with_source_code_references(dg.load_assets_from_modules([marts])),
]
assets = dg.map_asset_specs(
    lambda spec: schedules.freshness_of(spec, deadlines),
    [row for row in loaded if isinstance(row, dg.AssetsDefinition)],
)

defs = dg.Definitions(
    assets=assets,
    asset_checks=dg.load_asset_checks_from_modules([checks, marts]),
    jobs=[
        jobs.sync,
        jobs.plan,
        jobs.deep_check,
        checks.watch,
        housekeeping.verify_audit,
        housekeeping.apply_retention,
        housekeeping.backup,
        housekeeping.verify_backup,
        jobs.undo,
        jobs.tag_billed,
        jobs.mend,
        write_back.write_back,
        marts.marts_job,
    ],
    schedules=[
        *built,
        checks.watch_schedule,
        housekeeping.verify_audit_schedule,
        housekeeping.apply_retention_schedule,
        *housekeeping.build_schedules(),
    ],
    sensors=[
        sensors.changed_days,
        sensors.failed_runs,
        sensors.alerts,
        marts.marts_after_deep_check,
        *write_back.sensors(),
    ],
    resources=resources_of_settings(),
    # A process for each step would cost seconds of import; the chain is small.
    executor=dg.in_process_executor,
)
