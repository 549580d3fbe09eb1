"""The asset `kimai/changes`: edits of our time sheets whose days nobody is looking at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import dagster as dg
from sqlalchemy import Connection

from zk_pipeline.connectors.base import TargetConnector
from zk_pipeline.defs.common import asset_of_now
from zk_pipeline.defs.days import counted_requests, stopping_on_system_errors
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.decision import owned
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.run_tags import checked_days
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import cursors, ledger, requests, work_days

SUBJECT = "changes"
KIMAI_CHANGED = "kimai_changed"
"""Reason of a day request: a person edited a time sheet of ours."""

FIRST_LOOK_BACK = timedelta(days=62)
OVERLAP = timedelta(minutes=10)
"""Read again each time: the clocks of both machines differ, and a change shows only when it is committed."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: time sheets changed, those of ours among them, and the days that were asked for."""

    changed: int
    ours: int
    days: tuple[date, ...]


@asset_of_now("kimai")
def changes(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Asks for the days of our time sheets that were edited in Kimai since the last look and that no check looks at."""
    with stopping_on_system_errors(), counted_requests(context, zk, zk.target):
        source = zk.runtime.stored("source").name
        look = look_for_changes(zk.runtime, zk.target, source, zk.now(), checked_days(context.run.tags))
    return dg.MaterializeResult(
        metadata={
            "changed": look.changed,
            "ours": look.ours,
            "days_asked_for": ", ".join(map(str, look.days)) or "none",
        }
    )


def look_for_changes(
    runtime: Runtime, target: TargetConnector, source: str, now: datetime, checked: tuple[date, date] | None
) -> Look:
    """Ask for the days of changed time sheets of ours. A failed read leaves the cursor where it was."""
    name = target.endpoint.name
    with runtime.database.transaction() as connection:
        cursor = cursors.load(connection, name, SUBJECT)
    since = datetime.fromisoformat(cursor["until"]) - OVERLAP if cursor else now - FIRST_LOOK_BACK
    changed = target.fetch_changes(since)
    with runtime.database.transaction() as connection:
        ours = _days_of_ours(connection, runtime, name, source, changed)
        span = (runtime.settings.start_date, local_day(now, runtime.settings.zone))
        asked = sorted(day for day in set(ours.values()) if _within(day, span) and not _within(day, checked))
        requests.ask(connection, asked, KIMAI_CHANGED)
        cursors.save(connection, name, SUBJECT, {"until": now.isoformat()})
    return Look(len(changed), len(ours), tuple(asked))


def _days_of_ours(
    connection: Connection, runtime: Runtime, target: str, source: str, changed: Sequence[Timesheet]
) -> dict[int, date]:
    """The work days of the time sheets that are ours and that are no longer as the target returned them to us."""
    ids = [row.id for row in changed]
    bases = {row.kimai_id: row.base for row in ledger.rows_of_timesheets(connection, target, ids).values()}
    bound = work_days.of_timesheets(connection, target, ids)
    marked = {row.id: marked_ids(row.description, source) for row in changed}
    booked = work_days.of_bookings(connection, source, {id_ for ids in marked.values() for id_ in ids})
    days: dict[int, date] = {}
    for row in changed:
        base = bases.get(row.id)
        if base is not None and owned(base) == owned(row) and base.exported == row.exported:
            continue  # Our own write, or nothing that is ours.
        if row.id in bound:
            days[row.id] = bound[row.id]
        elif marked[row.id]:
            known = [booked[id_] for id_ in marked[row.id] if id_ in booked]
            days[row.id] = known[0] if known else local_day(row.begin, runtime.settings.zone)
    return days


def _within(day: date, span: tuple[date, date] | None) -> bool:
    return span is not None and span[0] <= day <= span[1]
