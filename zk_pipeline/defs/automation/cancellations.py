"""Runs that somebody cancelled: their days are held, so that nothing overrules the person half a minute later.

Dagster keeps a record of each request to cancel a run, whoever made it and whatever became of the run since. Each look
at these records notes all that are not noted yet, so that nothing is lost by a look that did not happen.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg
from dagster import DagsterEventType, EventLogRecord, RunStatusChangeRecordsFilter

from zk_pipeline.defs.automation.failures import days_of_run
from zk_pipeline.defs.automation.jobs import deep_check, sync
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import audit, cancellations, cursors
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.cancellations import Cancelled, HeldRun

SUBJECT = "cancelled_runs"
LOOKED_AT = 200
"""Records read in one look; the next goes on from there."""

OVERLAP = 1000
"""Events that are looked at again, since one with a lower number may be committed after one with a higher."""

RECORDS = (DagsterEventType.RUN_CANCELING, DagsterEventType.RUN_CANCELED)
"""A run that Dagster could not ask to stop, and that was marked as cancelled all the same, has only the latter."""

TIMED_OUT = "Canceling due to exceeding maximum runtime"
"""How Dagster's run monitoring begins its own requests (`max_runtime_seconds`), which are nobody's wish."""

WRITING = {sync.name, deep_check.name}
PUSHES = dg.AssetKey(["sync", "kimai_pushes"])


def note_cancelled_runs(runtime: Runtime, instance: dg.DagsterInstance) -> list[HeldRun]:
    """Hold the days of the runs that were cancelled since the last look; returns those runs.

    The first look of an installation holds nothing: what was cancelled before has been dealt with.
    """
    with runtime.database.transaction() as connection:
        cursor = cursors.load(connection, "dagster", SUBJECT)
    if cursor is None:
        newest = [record for kind in RECORDS for record in _records(instance, kind, limit=1)]
        return _save(runtime, max((record.storage_id for record in newest), default=0), ())
    seen = {kind: _records(instance, kind, after=cursor["after"], limit=LOOKED_AT) for kind in RECORDS}
    if not any(seen.values()):
        return []
    # Where not all were read, those of the other kind must not lead past them.
    full = [records[-1].storage_id for records in seen.values() if len(records) == LOOKED_AT]
    newest = max(record.storage_id for records in seen.values() for record in records)
    after = max(cursor["after"], min(full) if full else newest - OVERLAP)
    by_run: dict[str, EventLogRecord] = {}
    for record in sorted((record for records in seen.values() for record in records), key=lambda row: row.storage_id):
        by_run.setdefault(record.run_id, record)
    with runtime.database.transaction() as connection:
        noted = cancellations.known(connection, by_run)
    new = {run_id: record for run_id, record in by_run.items() if run_id not in noted}
    return _save(runtime, after, _cancelled(instance, new)) if new or after > cursor["after"] else []


def _records(
    instance: dg.DagsterInstance, kind: DagsterEventType, *, after: int | None = None, limit: int
) -> Sequence[EventLogRecord]:
    """The oldest records after this one, or the newest of all."""
    wanted = RunStatusChangeRecordsFilter(kind, after_storage_id=after)  # pyright: ignore[reportArgumentType]
    return instance.fetch_run_status_changes(wanted, limit=limit, ascending=after is not None).records


def _cancelled(instance: dg.DagsterInstance, records: Mapping[str, EventLogRecord]) -> list[Cancelled]:
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(records))) if records else ()
    by_id = {run.run_id: run for run in runs}
    return [_as_cancelled(record, by_id.get(run_id)) for run_id, record in records.items()]


def _as_cancelled(record: EventLogRecord, run: dg.DagsterRun | None) -> Cancelled:
    """The run with the days that it would have written, if somebody wished it to stop."""
    days = days_of_run(run.tags) if run is not None and _writes(run) else set()
    is_wish = not (record.event_log_entry.message or "").startswith(TIMED_OUT)
    at = datetime.fromtimestamp(record.timestamp, UTC)
    return Cancelled(record.run_id, at, (min(days), max(days)) if days and is_wish else None)


def _writes(run: dg.DagsterRun) -> bool:
    return run.job_name in WRITING or PUSHES in (run.asset_selection or ())


def _save(runtime: Runtime, after: int, runs: Sequence[Cancelled]) -> list[HeldRun]:
    with runtime.database.transaction() as connection:
        noted = [cancellations.note(connection, run) for run in runs]
        held = [run for run in noted if run.days]
        if held:
            audit.append(connection, map(_event, held))
        cursors.save(connection, "dagster", SUBJECT, {"after": after})
    return held


def _event(run: HeldRun) -> AuditEvent:
    detail = {"run": run.run_id, "first": str(run.days[0]), "last": str(run.days[-1]), "days": len(run.days)}
    return AuditEvent("days.held", run.asked_by, f"run:{run.run_id}", detail)
