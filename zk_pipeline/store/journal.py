"""The journal of writes: what stood in the target before and after each one, so that it can be told and taken back."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Row, insert, null, select, update

from zk_pipeline.domain.records import Timesheet
from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import writes
from zk_pipeline.store.target import timesheet_from_json, timesheet_json


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One write: `create` has no `before`, `delete` no `after`; an update or link has both."""

    operation: str
    source_id: str | None
    kimai_id: int
    entry_date: date | None
    before: Timesheet | None = None
    after: Timesheet | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A stored entry of the journal."""

    id: int
    run_id: str
    entry: JournalEntry
    written_at: datetime
    undone_by: str | None


def record(connection: Connection, connector: str, entries: Iterable[JournalEntry], run_id: str) -> None:
    """Append the writes of a run."""
    values = [
        {
            "connector": connector,
            "run_id": run_id,
            "operation": entry.operation,
            "source_id": entry.source_id,
            "kimai_id": entry.kimai_id,
            "entry_date": entry.entry_date,
            "before": _plain(entry.before),
            "after": _plain(entry.after),
        }
        for entry in entries
    ]
    if values:
        connection.execute(insert(writes), values)


def of_run(connection: Connection, connector: str, run_id: str) -> list[Written]:
    """The writes of a run, newest first."""
    query = select(writes).where(writes.c.connector == connector, writes.c.run_id == run_id)
    return [_written(row) for row in connection.execute(query.order_by(writes.c.id.desc()))]


def of_timesheets(connection: Connection, connector: str, ids: Collection[int]) -> list[Written]:
    """The writes to these time sheets, oldest first."""
    query = select(writes).where(writes.c.connector == connector, writes.c.kimai_id.in_(ids))
    return [_written(row) for row in connection.execute(query.order_by(writes.c.id))]


def mark_undone(connection: Connection, ids: Collection[int], by: str) -> None:
    """Record that these writes were taken back."""
    connection.execute(update(writes).where(writes.c.id.in_(ids)).values(undone_by=by))


def _plain(row: Timesheet | None) -> object:
    return json.loads(to_json(timesheet_json(row))) if row else null()


def _written(row: Row) -> Written:
    entry = JournalEntry(
        row.operation,
        row.source_id,
        row.kimai_id,
        row.entry_date,
        timesheet_from_json(row.before) if row.before else None,
        timesheet_from_json(row.after) if row.after else None,
    )
    return Written(row.id, row.run_id, entry, row.written_at, row.undone_by)
