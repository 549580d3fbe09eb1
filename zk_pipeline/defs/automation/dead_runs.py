"""Runs whose process died: Dagster's default launcher cannot see it, and one would hold up all others for an hour.

A living run holds an advisory lock by its id for as long as it works. A run that is said to be under way without that
lock, at two looks in a row, is dead and is reported as failed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from zk_pipeline.defs.resources import run_lock
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import cursors

SUBJECT = "suspected_runs"
TIME_TO_BEGIN = timedelta(seconds=60)
"""From the start of a run's process to its lock."""

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def bury_dead_runs(runtime: Runtime, instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Report the dead runs as failed, so that their days are asked for again; returns their ids."""
    suspects = _without_lock(runtime, instance, now)
    with runtime.database.transaction() as connection:
        before = (cursors.load(connection, "dagster", SUBJECT) or {}).get("run_ids", [])
        cursors.save(connection, "dagster", SUBJECT, {"run_ids": suspects})
    dead = [run_id for run_id in suspects if run_id in before]
    for run_id in dead:
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_failed(run, "The process of this run died. Its days are asked for again.")
    return dead


def _without_lock(runtime: Runtime, instance: dg.DagsterInstance, now: datetime) -> Sequence[str]:
    records = instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    begun_before = (now - TIME_TO_BEGIN).timestamp()
    old = [record for record in records if record.start_time is not None and record.start_time < begun_before]
    return [
        record.dagster_run.run_id
        for record in old
        if record.dagster_run.job_name in {"sync", "plan", "deep_check"}
        and not runtime.database.is_locked(run_lock(record.dagster_run.run_id))
    ]
