"""The assets of the chain: normalized entries, the plan, and the push."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar
from zoneinfo import ZoneInfo

import dagster as dg

from zk_pipeline.defs.common import (
    Metadata,
    asset_by_day,
    cell,
    hours,
    local_time,
    named,
    pipeline_of,
    plotted,
    recorded,
    stopping_on_system_errors,
    table,
    ticket_link,
    timesheet_link,
)
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.approval import writes
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.plan import PlanLine, sentence
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.pipeline import Pushed
from zk_pipeline.runtime.run_tags import TARGET_POOL
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.reconcile import NormalizedDay
from zk_pipeline.store import entries, ledger, summaries, tables
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
            "hours_booked": plotted(done.booked_minutes),
            "hours": plotted(done.minutes),
        }

    recorded(context, pipeline_of(context, zk).normalize, metadata)


@asset_by_day(
    "sync", table=tables.reconciliation_results, deps=[("sync", "normalized_entries"), ("kimai", "timesheets")]
)
def reconciliation_results(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The plan: for every entry and every time sheet of ours, its state and what to do."""
    with stopping_on_system_errors():
        shown = _Rows.of(zk)

    def metadata(_: date, lines: Sequence[PlanLine]) -> Metadata:
        statuses = Counter(line.status for line in lines)
        actions = Counter(line.action for line in lines)
        reviewed = [line for line in lines if line.action is Action.REVIEW]
        in_sync = [line for line in lines if line.status is Status.IN_SYNC]
        plan = PlannedWrites(tuple(line for line in lines if writes(line)))
        booked = shown.entries([line.source_id for line in (*plan.lines, *reviewed)])
        return {
            "hours_in_sync": plotted(_sum(in_sync)),
            "hours_for_review": plotted(_sum(reviewed)),
            "hours_to_write": plotted(plan.minutes),
            "to_write": table(
                ("action", *_Rows.COLUMNS),
                [(line.action, *shown.planned(line, booked.get(line.source_id or ""))) for line in plan.lines],
            ),
            "for_review": table(
                (*_Rows.COLUMNS, "reason"),
                [
                    (*shown.planned(line, booked.get(line.source_id or "")), _reason(line, names=shown.names))
                    for line in reviewed
                ],
            ),
            "dagster/partition_row_count": len(lines),
            **{f"status/{status}": statuses[status] for status in Status},
            **{f"action/{action}": actions[action] for action in Action},
            "new_customers": plan.customers,
            "new_projects": plan.projects,
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
    with stopping_on_system_errors():
        shown = _Rows.of(zk)

    def metadata(day: date, pushed: Pushed) -> Metadata:
        return {
            "hours_written": plotted(pushed.minutes),
            **_state_of(shown, day, context.run.run_id),
            "mode": pushed.mode,
            "rows_written": pushed.carried_out,
            **pushed.counts,
        }

    recorded(context, pipeline_of(context, zk).push, metadata)


def _state_of(shown: "_Rows", day: date, run_id: str) -> Metadata:
    """The ledger of the day, what Kimai has and what waits, whichever run wrote it; and what this run wrote."""
    with shown.runtime.database.transaction() as connection:
        of_day = entries.entries_of_days(connection, shown.source, day, day)
        rows = ledger.rows_of_day(connection, shown.target, day).values()
        written = [row.entry for row in ledger.of_run(connection, shown.target, run_id, day)]
        waiting = summaries.waiting_by_reason(connection, shown.target, summaries.DaySpan(day, day))
    there = [row for row in rows if row.state is PushState.CONFIRMED and row.base is not None]
    booked = {entry.source_id: entry for entry in of_day}
    booked |= shown.entries([row.source_id for row in (*written, *there) if row.source_id not in booked])
    return {
        "dagster/partition_row_count": len(rows),
        "hours_booked": plotted(sum((entry.booked_minutes for entry in of_day), Decimal(0))),
        "hours_in_kimai": plotted(sum((_minutes(row.base) for row in there), Decimal(0))),
        "hours_waiting": plotted(sum((row.minutes for row in waiting), Decimal(0))),
        "written": table(
            ("write", *_Rows.COLUMNS),
            [
                (row.operation, *shown.written(row.after, booked.get(row.source_id or ""), row.kimai_id))
                for row in reversed(written)
            ],
        ),
        "in_kimai": table(
            _Rows.COLUMNS, [shown.written(row.base, booked.get(row.source_id), row.kimai_id) for row in there]
        ),
    }


def _minutes(timesheet: Timesheet | None) -> Decimal:
    return Decimal(timesheet.duration_seconds) / 60 if timesheet else Decimal(0)


# What the tables of plan and push have in common.


@dataclass(frozen=True, slots=True)
class _Rows:
    """The cells of tables about bookings, with links; `names` says whether they may name people and customers."""

    COLUMNS: ClassVar = ("begin", "ticket", "person", "customer", "hours", "time sheet")

    runtime: Runtime
    source: str
    target: str
    source_url: str
    target_url: str
    zone: ZoneInfo
    names: bool

    @classmethod
    def of(cls, zk: ZkResource) -> "_Rows":
        source, target = zk.runtime.stored("source"), zk.runtime.stored("target")
        settings = zk.runtime.settings
        return cls(
            zk.runtime,
            source.name,
            target.name,
            source.base_url,
            target.base_url,
            settings.zone,
            settings.preview_names,
        )

    def entries(self, source_ids: Sequence[str | None]) -> Mapping[str, Entry]:
        """These bookings by their ids."""
        wanted = [source_id for source_id in source_ids if source_id]
        if not wanted:
            return {}
        with self.runtime.database.transaction() as connection:
            return entries.entries_of(connection, self.source, wanted)

    def planned(self, line: PlanLine, entry: Entry | None) -> tuple[str, ...]:
        """The cells of a line of the plan, with the begin that the time sheet is to have."""
        return self._row(entry, line.kimai_id, line.minutes, line.draft.span.begin if line.draft else None)

    def written(self, timesheet: Timesheet | None, entry: Entry | None, kimai_id: int | None) -> tuple[str, ...]:
        """The cells of a time sheet as Kimai has it; `None` for one that was deleted."""
        return self._row(entry, kimai_id, _minutes(timesheet), timesheet.begin if timesheet else None)

    def _row(
        self, entry: Entry | None, kimai_id: int | None, minutes: Decimal, begin: datetime | None
    ) -> tuple[str, ...]:
        """The cells of a booking and its time sheet, either of which may be missing."""
        about = ("", "", "")
        begin = begin or (entry.begin_at if entry else None)
        if entry is not None:
            about = (
                ticket_link(self.source_url, entry.ticket_number, entry.ticket_id),
                named(entry.user_name, shown=self.names),
                named(entry.organization_name or entry.customer_name, shown=self.names),
            )
        local = local_time(begin, self.zone) if begin else ""
        return (local, *about, hours(minutes), timesheet_link(self.target_url, kimai_id))
