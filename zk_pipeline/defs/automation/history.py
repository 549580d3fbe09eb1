"""What Dagster's instance knows of the chain's days, in queries by index that stay small however long its log is."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

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
    """Whether any day was ever carried through."""
    return instance.get_latest_materialization_event(PUSHES) is not None


def materialized_at(instance: dg.DagsterInstance, days: Collection[date]) -> dict[str, dict[date, datetime]]:
    """When each asset of the chain was last materialized for these days; a day without one is left out."""
    return {key.to_user_string(): _instants(instance, key, days) for key in CHAIN}


def failed_days(instance: dg.DagsterInstance, days: Collection[date]) -> set[date]:
    """The days whose newest run failed before it had carried them through, and that none has carried through since."""
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
    """The number of the newest event of a kind, by day; numbers grow with time."""
    return instance.get_latest_storage_id_by_partition(key, kind, partitions={day.isoformat() for day in days})


def _failed(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> set[str]:
    statuses = [dg.DagsterRunStatus.FAILURE]
    return {run.run_id for run in instance.get_runs(dg.RunsFilter(run_ids=run_ids, statuses=statuses))}
