"""Assembles what Dagster loads: assets, checks, jobs, schedules, sensors and resources."""

import dagster as dg

from zk_pipeline.defs.automation import alerts, backups, checks, housekeeping, jobs, schedules, sensors, stored_checks
from zk_pipeline.defs.kimai import assets as kimai
from zk_pipeline.defs.marts import assets as marts
from zk_pipeline.defs.marts import automation
from zk_pipeline.defs.push import assets as push
from zk_pipeline.defs.push import tag_job, undo_job
from zk_pipeline.defs.reconcile import assets as reconcile
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.defs.run_log import CONSOLE, console, use_everywhere
from zk_pipeline.defs.zammad import assets as zammad

use_everywhere()

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([zammad, kimai, reconcile, push, marts]),
    asset_checks=dg.load_asset_checks_from_modules([checks, stored_checks]),
    jobs=[
        jobs.sync,
        jobs.plan,
        jobs.deep_check,
        checks.watch,
        housekeeping.verify_audit,
        housekeeping.apply_retention,
        backups.backup,
        backups.rehearse_backup,
        undo_job.undo,
        tag_job.tag_billed,
        automation.marts,
    ],
    schedules=[
        *schedules.build_schedules(),
        checks.watch_schedule,
        housekeeping.verify_audit_schedule,
        housekeeping.apply_retention_schedule,
        *backups.build_schedules(),
    ],
    sensors=[sensors.demand, alerts.failed_runs, alerts.alerts, automation.marts_after_deep_check],
    resources={"zk": ZkResource()},
    loggers={CONSOLE: console},
    # A process for each step would cost seconds of import; the chain is small.
    executor=dg.in_process_executor,
)
