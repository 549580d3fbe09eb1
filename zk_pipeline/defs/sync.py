"""The assets of the chain: normalized entries, the plan, and the push."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import dagster as dg

from zk_pipeline.defs.common import (
    Metadata,
    asset_by_day,
    cell,
    hours,
    minutes,
    pipeline_of,
    recorded,
    stopping_on_system_errors,
    table,
    timesheet_link,
)
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.approval import writes
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import PlanLine, sentence
from zk_pipeline.pipeline import Pushed
from zk_pipeline.runtime.run_tags import TARGET_POOL
from zk_pipeline.stages.reconcile import NormalizedDay
from zk_pipeline.store import tables
from zk_pipeline.store.plans import PlannedWrites

# The assets `sync/normalized_entries` and `sync/reconciliation_results`.


@asset_by_day("sync", table=tables.normalized_entries, deps=[("zammad", "time_accountings")])
def normalized_entries(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """One row per booking in the unified format, with the policy applied: unit, zone, corrections, placement.

    If a correction changes a booking of a day outside the run, that day is requested.
    """

    def metadata(_: date, done: NormalizedDay) -> Metadata:
        return {
            "dagster/partition_row_count": done.entries,
            "changed": done.changed,
            "booked_minutes": minutes(done.booked_minutes),
            "minutes": minutes(done.minutes),
        }

    recorded(context, pipeline_of(context, zk).normalize, metadata)


@asset_by_day(
    "sync", table=tables.reconciliation_results, deps=[("sync", "normalized_entries"), ("kimai", "timesheets")]
)
def reconciliation_results(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The plan: for every entry and every time sheet of ours, its state and what to do."""
    with stopping_on_system_errors():
        base_url, names = zk.runtime.stored("target").base_url, zk.runtime.settings.preview_names

    def metadata(_: date, lines: Sequence[PlanLine]) -> Metadata:
        statuses = Counter(line.status for line in lines)
        actions = Counter(line.action for line in lines)
        reviewed = [line for line in lines if line.action is Action.REVIEW]
        in_sync = [line for line in lines if line.status is Status.IN_SYNC]
        plan = PlannedWrites(tuple(line for line in lines if writes(line)))
        return {
            "dagster/partition_row_count": len(lines),
            **{f"status/{status}": statuses[status] for status in Status},
            **{f"action/{action}": actions[action] for action in Action},
            "new_customers": plan.customers,
            "new_projects": plan.projects,
            "minutes_in_kimai": minutes(_sum(in_sync)),
            "minutes_waiting": minutes(_sum(reviewed)),
            "minutes_to_write": minutes(plan.minutes),
            "to_write": table(
                ("action", "booking", "time sheet", "hours"),
                [
                    (line.action, line.source_id, timesheet_link(base_url, line.kimai_id), hours(line.minutes))
                    for line in plan.lines
                ],
            ),
            "for_review": table(
                ("booking", "time sheet", "hours", "reason"),
                [
                    (
                        line.source_id,
                        timesheet_link(base_url, line.kimai_id),
                        hours(line.minutes),
                        _reason(line, names=names),
                    )
                    for line in reviewed
                ],
            ),
        }

    recorded(context, pipeline_of(context, zk).reconcile, metadata)


def _sum(lines: Sequence[PlanLine]) -> Decimal:
    return sum((line.minutes for line in lines), Decimal(0))


def _reason(line: PlanLine, *, names: bool) -> str:
    """Why a line waits; its details may name people and customers."""
    return cell(sentence(line if names else replace(line, text="")))


# The asset `sync/kimai_pushes`.


@asset_by_day(
    "sync", table=tables.pushes, deps=[("sync", "reconciliation_results")], kinds=("python", "kimai"), pool=TARGET_POOL
)
def kimai_pushes(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The plan carried out in Kimai exactly once, with a ledger row for each write.

    A write that Kimai refuses is parked with its reason and the next step, and the others continue. Days held after a
    cancelled run are skipped, unless a person started this run.
    """

    def metadata(_: date, pushed: Pushed) -> Metadata:
        return {
            "dagster/partition_row_count": pushed.carried_out,
            **pushed.counts,
            "minutes_written": minutes(pushed.minutes),
            "mode": pushed.mode,
        }

    recorded(context, pipeline_of(context, zk).push, metadata)
