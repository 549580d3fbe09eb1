"""Dagster: whether its daemons live, whether runs are stuck, and when the last sync succeeded."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

import dagster as dg

from zk_pipeline.connectors.base import Finding, Level
from zk_pipeline.doctor.installation import Installation

SYNC = "sync"
SILENT_AFTER = timedelta(minutes=2)
"""A living daemon gives a sign every 30 seconds; Dagster itself takes half an hour to call one dead."""

WAITING_AFTER = timedelta(minutes=15)
RUNNING_AFTER = timedelta(hours=1)
OLD_AFTER = timedelta(hours=24)

_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
_RUNNING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_SHOWN = 5


def examine(installation: Installation) -> Iterator[Finding]:
    """Look at Dagster's own storage; nothing of it needs to run."""
    with dg.DagsterInstance.get() as instance:
        beats = {name: beat.timestamp for name, beat in instance.get_daemon_heartbeats().items()}
        yield judge_daemons(instance.get_required_daemon_types(), beats, installation.now)
        yield _stuck(instance, installation.now)
        yield _newest(instance, installation.now)


def judge_daemons(required: Collection[str], beats: Mapping[str, float], now: datetime) -> Finding:
    """What the last signs of life (Unix seconds, by daemon) say."""
    oldest = (now - SILENT_AFTER).timestamp()
    silent = sorted(name for name in required if beats.get(name, 0.0) < oldest)
    if not silent:
        return Finding("daemon", Level.PASS, f"All {len(required)} daemons give signs of life.")
    if len(silent) == len(required):
        text = "The daemon does not run: no schedule and no sensor starts anything."
        return Finding("daemon", Level.WARN, text, "Start everything: zk up")
    text = f"No sign of life for {SILENT_AFTER.seconds // 60} minutes from {', '.join(silent)}."
    return Finding("daemon", Level.WARN, text, "Look at logs/daemon.log in ZK_HOME; if it stays, start `zk up` anew.")


def _stuck(instance: dg.DagsterInstance, now: datetime) -> Finding:
    stuck = [
        *_created_before(instance, _WAITING, now - WAITING_AFTER),
        *_created_before(instance, _RUNNING, now - RUNNING_AFTER),
    ]
    if not stuck:
        return Finding("stuck runs", Level.PASS, "No run is stuck.")
    more = f" and {len(stuck) - _SHOWN} more" if len(stuck) > _SHOWN else ""
    return Finding(
        "stuck runs",
        Level.WARN,
        f"{len(stuck)} runs wait or work for too long: {', '.join(stuck[:_SHOWN])}{more}.",
        "Start `zk up` if it does not run; else look at them in Dagster's UI under Runs, and terminate them there.",
    )


def _created_before(instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus], moment: datetime) -> list[str]:
    filters = dg.RunsFilter(statuses=statuses, created_before=moment)
    return [run.run_id[:8] for run in instance.get_runs(filters, limit=100)]


def _newest(instance: dg.DagsterInstance, now: datetime) -> Finding:
    filters = dg.RunsFilter(job_name=SYNC, statuses=[dg.DagsterRunStatus.SUCCESS])
    record = next(iter(instance.get_run_records(filters, limit=1)), None)
    if record is None:
        return Finding("last sync", Level.WARN, "No sync has succeeded yet.", "Carry over a day: zk sync --from DAY")
    latest = next(iter(instance.get_run_records(dg.RunsFilter(job_name=SYNC, statuses=_ENDED), limit=1)), record)
    when = record.create_timestamp.strftime("%Y-%m-%d %H:%M UTC")
    if latest.dagster_run.status is dg.DagsterRunStatus.FAILURE:
        text = f"The newest sync failed; the last good one began {when}."
        remedy = f"See why in Dagster's UI, run {latest.dagster_run.run_id[:8]}; then run `zk sync` for its days again."
        return Finding("last sync", Level.WARN, text, remedy)
    if record.create_timestamp < now - OLD_AFTER:
        text = f"The last sync that succeeded began {when}, more than a day ago."
        return Finding("last sync", Level.WARN, text, "Start `zk up`, and see that ZK_SCHEDULES is not off.")
    return Finding("last sync", Level.PASS, f"The last sync that succeeded began {when}.")
