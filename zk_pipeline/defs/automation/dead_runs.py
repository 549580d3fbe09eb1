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

JOBS = {"sync", "plan", "deep_check", "undo"}
CHAIN = {"zammad", "kimai", "sync"}
"""First parts of the keys of the assets that work with the database."""

UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def bury_dead_runs(runtime: Runtime, instance: dg.DagsterInstance, now: datetime) -> list[str]:
    """Report the dead runs as failed, so that their days are asked for again; returns their ids."""
    suspects = _without_lock(runtime, instance, now)
    with runtime.database.transaction() as connection:
        before = (cursors.load(connection, "dagster", SUBJECT) or {}).get("run_ids", [])
        cursors.save(connection, "dagster", SUBJECT, {"run_ids": suspects})
    dead = [run_id for run_id in suspects if run_id in before]
    for run_id in dead:
        _bury(instance, run_id)
    return dead


def _bury(instance: dg.DagsterInstance, run_id: str) -> None:
    # A restart of the database takes the lock from a living run: that one is stopped, and says so itself.
    if instance.run_launcher.terminate(run_id):
        return
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_failed(run, "The process of this run died. Its days are asked for again.")


def _without_lock(runtime: Runtime, instance: dg.DagsterInstance, now: datetime) -> Sequence[str]:
    records = instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    begun_before = (now - TIME_TO_BEGIN).timestamp()
    old = [record for record in records if record.start_time is not None and record.start_time < begun_before]
    return [
        record.dagster_run.run_id
        for record in old
        if _takes_lock(record.dagster_run) and not runtime.database.is_locked(run_lock(record.dagster_run.run_id))
    ]


def _takes_lock(run: dg.DagsterRun) -> bool:
    """Whether it is a run of the chain: of a job of ours, or of assets that somebody selected."""
    return run.job_name in JOBS or any(key.path[0] in CHAIN for key in run.asset_selection or ())
