"""The journal of writes: what stood in the target before and after each one, so that it can be told and taken back."""

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, select, update

from zk_pipeline.domain.journal import MASTER_DATA, JournalEntry, Named, Operation, Written
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.store import suppression
from zk_pipeline.store.database import insert_rows, to_json
from zk_pipeline.store.tables import sync_runs, writes
from zk_pipeline.store.target import timesheet_from_json, timesheet_json


def record(connection: Connection, connector: str, entries: Iterable[JournalEntry], run_id: str) -> None:
    """Append the writes of a run."""
    redactor = suppression.redactor(connection)
    values = [
        {
            "connector": connector,
            "run_id": run_id,
            "operation": entry.operation,
            "source_id": entry.source_id,
            "kimai_id": entry.kimai_id,
            "entry_date": entry.entry_date,
            "before": redactor.value(_plain(entry.before)),
            "after": redactor.value(_plain(entry.after or entry.named)),
        }
        for entry in entries
    ]
    insert_rows(connection, writes, values)


def of_run(connection: Connection, connector: str, run_id: str) -> list[Written]:
    """The writes of a run, newest first."""
    query = select(writes).where(writes.c.connector == connector, writes.c.run_id == run_id)
    return [_written(row) for row in connection.execute(query.order_by(writes.c.id.desc()))]


def tagged(connection: Connection, connector: str, source_ids: Collection[str]) -> list[Written]:
    """The tags that the time sheets of these bookings were given, and that were not taken off again by an undo."""
    query = select(writes).where(
        writes.c.connector == connector,
        writes.c.source_id.in_(source_ids),
        writes.c.operation == Operation.TAG,
        writes.c.undone_by.is_(None),
    )
    return [_written(row) for row in connection.execute(query.order_by(writes.c.id))]


def mark_undone(connection: Connection, ids: Collection[int], by: str) -> None:
    """Record that these writes were taken back."""
    connection.execute(update(writes).where(writes.c.id.in_(ids)).values(undone_by=by))


def runs_beginning(connection: Connection, beginning: str) -> list[str]:
    """The runs that wrote or counted anything and whose id begins so; one whose whole id it is stands alone."""
    found: set[str] = set()
    for column in (writes.c.run_id, sync_runs.c.run_id):
        query = select(column).where(column.startswith(beginning, autoescape=True)).distinct()
        found.update(connection.execute(query).scalars())
    return [beginning] if beginning in found else sorted(found)


def _plain(value: Timesheet | Named | None) -> object:
    match value:
        case None:
            return None
        case Named():
            return asdict(value)
        case Timesheet():
            return json.loads(to_json(timesheet_json(value)))


def _written(row: Row[Any]) -> Written:
    master_data = row.operation in MASTER_DATA
    entry = JournalEntry(
        row.operation,
        row.source_id,
        row.kimai_id,
        row.entry_date,
        timesheet_from_json(row.before) if row.before else None,
        timesheet_from_json(row.after) if row.after and not master_data else None,
        Named(**row.after) if master_data else None,
    )
    return Written(row.id, row.run_id, entry, row.written_at, row.undone_by)
