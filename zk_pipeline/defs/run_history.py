"""The history of runs: days held after a cancelled run, why runs failed, and Dagster's record of the days."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg
from dagster import DagsterEventType, EventLogRecord, RunStatusChangeRecordsFilter

from zk_pipeline.defs.common import CAUSE
from zk_pipeline.defs.jobs import deep_check, sync
from zk_pipeline.domain.instants import days_between
from zk_pipeline.runtime.dagster_internals import TIMED_OUT, WILL_RETRY_TAG
from zk_pipeline.runtime.run_tags import DAY_TAG, RANGE_END, RANGE_START
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.pusher import WriteLimitError
from zk_pipeline.store import audit, cancellations, sweeps
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.cancellations import HeldRun, RunCancellation

BLOCKED = "DagsterAssetCheckFailedError"
"""What Dagster raises when a blocking check fails."""

_STOPPED = WriteLimitError.__name__

# The report of a failed run: sentences for the operator, once per cause, and the unfinished days.


@dataclass(frozen=True, slots=True)
class FailureReport:
    """Sentences for the operator, the cause (equal for repeated failures), and the unfinished days."""

    sentence: str
    cause: str
    days: tuple[date, ...]


def failure_report(run: dg.DagsterRun, failure: dg.DagsterEvent, steps: Iterable[dg.DagsterEvent]) -> FailureReport:
    """The report of a failed run. Of an unexpected error it has only the type, as the text may contain anything."""
    failed = list(steps)
    by_cause = sentences_by_cause(failed)
    bad_days = {day for step in failed for day in _days(_metadata(step).get("bad_days", "").split(", "))}
    if not by_cause:
        sentence = (failure.message or "It failed without a message.").strip().splitlines()[0]
        by_cause[sentence] = sentence
    return FailureReport(
        " ".join(by_cause.values()), "\n".join(by_cause), tuple(sorted(bad_days or days_of_run(run.tags)))
    )


def sentences_by_cause(steps: Iterable[dg.DagsterEvent], *, with_error_text: bool = False) -> dict[str, str]:
    """What failed steps say to the operator, once per cause.

    `with_error_text` includes the text of an unexpected error, which may contain anything: only for the terminal.
    """
    by_cause: dict[str, str] = {}
    for step in steps:
        sentence = _sentence(step, with_error_text=with_error_text)
        by_cause.setdefault(_metadata(step).get(CAUSE, sentence), sentence)
    return by_cause


def is_over_limits(steps: Iterable[dg.DagsterEvent]) -> bool:
    """Whether the write limits stopped one of these failed steps."""
    return any(_STOPPED in _names_of_errors(step) for step in steps)


def _names_of_errors(step: dg.DagsterEvent) -> Iterator[str]:
    """The types of a step's error and of what caused it."""
    error = step.step_failure_data.error
    while error is not None:
        yield error.cls_name or ""
        error = error.cause


def days_of_run(tags: Mapping[str, str]) -> set[date]:
    """The days of a run, by its tags; empty for a run without days."""
    span = _days(tags.get(name, "") for name in (DAY_TAG, RANGE_START, RANGE_END))
    return set(days_between(min(span), max(span))) if span else set()


def _days(keys: Iterable[str]) -> set[date]:
    days: set[date] = set()
    for key in keys:
        try:
            days.add(date.fromisoformat(key))
        except ValueError:  # A run of another code location may have other partitions.
            continue
    return days


def _metadata(step: dg.DagsterEvent) -> Mapping[str, str]:
    data = step.step_failure_data.user_failure_data
    return {name: str(value.value) for name, value in data.metadata.items()} if data else {}


def _sentence(step: dg.DagsterEvent, *, with_error_text: bool) -> str:
    data = step.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description.strip()
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    if error is not None and error.cls_name == BLOCKED:
        names = ", ".join(error.message.strip().splitlines()[1:])
        return f"What follows was not done, because a check failed: {names}. The page of its asset says why."
    if with_error_text:
        return error.message.strip() if error else ""
    return f"{step.step_key} met an unexpected {error.cls_name if error else 'error'}. The log of the run has it."


def finished_runs(instance: dg.DagsterInstance, job_name: str, limit: int) -> Sequence[tuple[str, bool]]:
    """The newest finished runs of a job as (id, succeeded), newest first, without those that Dagster retries."""
    statuses = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    runs = instance.get_runs(dg.RunsFilter(job_name=job_name, statuses=statuses), limit=limit)
    return [
        (run.run_id, run.status is dg.DagsterRunStatus.SUCCESS)
        for run in runs
        if run.tags.get(WILL_RETRY_TAG) != "true"
    ]


# Runs that somebody cancelled: their days are held, so that no other run overrules the person. Dagster records each
# request to cancel a run, whoever made it and whatever happened to the run. Each poll of these records notes all new
# ones, so that a missed poll loses nothing.

SUBJECT = "cancelled_runs"
LOOKED_AT = 200
"""Records read per poll; the next poll continues."""

OVERLAP = 1000
"""Events that are read again, because one with a lower number may be committed after one with a higher."""

RECORDS = (DagsterEventType.RUN_CANCELING, DagsterEventType.RUN_CANCELED)
"""A run that Dagster could not stop, but marked as cancelled, has only the latter event."""

WRITING = {sync.name, deep_check.name}


def note_cancelled_runs(runtime: Runtime, instance: dg.DagsterInstance) -> list[HeldRun]:
    """Hold the days of the runs that were cancelled since the last poll; returns those runs.

    The first poll of an installation holds nothing.
    """
    with runtime.database.transaction() as connection:
        cursor = sweeps.load(connection, "dagster", SUBJECT)
    if cursor is None:
        newest = [record for kind in RECORDS for record in _records(instance, kind, limit=1)]
        return _save(runtime, max((record.storage_id for record in newest), default=0), ())
    seen = {kind: _records(instance, kind, after=cursor["after"], limit=LOOKED_AT) for kind in RECORDS}
    if not any(seen.values()):
        return []
    # If not all were read, the cursor must not skip those of the other kind.
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


def _cancelled(instance: dg.DagsterInstance, records: Mapping[str, EventLogRecord]) -> list[RunCancellation]:
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(records))) if records else ()
    by_id = {run.run_id: run for run in runs}
    return [_as_cancelled(record, by_id.get(run_id)) for run_id, record in records.items()]


def _as_cancelled(record: EventLogRecord, run: dg.DagsterRun | None) -> RunCancellation:
    """The run with the days that it would have written, if a person cancelled it."""
    days = days_of_run(run.tags) if run is not None and _writes(run) else set()
    is_wish = not (record.event_log_entry.message or "").startswith(TIMED_OUT)
    at = datetime.fromtimestamp(record.timestamp, UTC)
    return RunCancellation(record.run_id, at, (min(days), max(days)) if days and is_wish else None)


def _writes(run: dg.DagsterRun) -> bool:
    return run.job_name in WRITING or PUSHES in (run.asset_selection or ())


def _save(runtime: Runtime, after: int, runs: Sequence[RunCancellation]) -> list[HeldRun]:
    with runtime.database.transaction() as connection:
        noted = [cancellations.note(connection, run) for run in runs]
        held = [run for run in noted if run.days]
        if held:
            audit.append(connection, map(_event, held))
        sweeps.save(connection, "dagster", SUBJECT, {"after": after})
    return held


def _event(run: HeldRun) -> AuditEvent:
    detail = {"run": run.run_id, "first": str(run.days[0]), "last": str(run.days[-1]), "days": len(run.days)}
    return AuditEvent("days.held", run.asked_by, f"run:{run.run_id}", detail)


# Dagster's record of the chain's days, in indexed queries that stay fast however long its log is.

CHAIN = (
    dg.AssetKey(["zammad", "time_accountings"]),
    dg.AssetKey(["sync", "normalized_entries"]),
    dg.AssetKey(["kimai", "timesheets"]),
    dg.AssetKey(["sync", "reconciliation_results"]),
    dg.AssetKey(["sync", "kimai_pushes"]),
)
"""The assets of a day, in their order."""

PUSHES = CHAIN[-1]


def ever_synced(instance: dg.DagsterInstance) -> bool:
    """Whether any day was ever completed."""
    return instance.get_latest_materialization_event(PUSHES) is not None


def materialized_at(instance: dg.DagsterInstance, days: Collection[date]) -> dict[str, dict[date, datetime]]:
    """When each asset of the chain was last materialized for these days; a day without one is left out."""
    return {key.to_user_string(): _instants(instance, key, days) for key in CHAIN}


def failed_days(instance: dg.DagsterInstance, days: Collection[date]) -> set[date]:
    """The days whose newest run failed before completing them, and that no run has completed since."""
    planned = _newest(instance, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, days)
    done = _newest(instance, dg.DagsterEventType.ASSET_MATERIALIZATION, days)
    undone = [key for key, event in planned.items() if event > done.get(key, 0)]
    runs: dict[str, str] = {}
    for key in undone:
        info = instance.get_latest_planned_materialization_info(PUSHES, key)
        if info is not None:
            runs[key] = info.run_id
    if not runs:
        return set()
    failed = _failed(instance, list(set(runs.values())))
    return {date.fromisoformat(key) for key, run_id in runs.items() if run_id in failed}


def _instants(instance: dg.DagsterInstance, key: dg.AssetKey, days: Collection[date]) -> dict[date, datetime]:
    newest = _newest(instance, dg.DagsterEventType.ASSET_MATERIALIZATION, days, key)
    if not newest:
        return {}
    by_id = dg.AssetRecordsFilter(key, storage_ids=list(newest.values()))
    records = instance.fetch_materializations(by_id, limit=len(newest)).records
    return {date.fromisoformat(str(row.partition_key)): datetime.fromtimestamp(row.timestamp, UTC) for row in records}


def _newest(
    instance: dg.DagsterInstance, kind: dg.DagsterEventType, days: Collection[date], key: dg.AssetKey = PUSHES
) -> Mapping[str, int]:
    """The number of the newest event of a kind, by day; numbers increase with time."""
    return instance.get_latest_storage_id_by_partition(key, kind, partitions={day.isoformat() for day in days})


def _failed(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> set[str]:
    statuses = [dg.DagsterRunStatus.FAILURE]
    return {run.run_id for run in instance.get_runs(dg.RunsFilter(run_ids=run_ids, statuses=statuses))}
