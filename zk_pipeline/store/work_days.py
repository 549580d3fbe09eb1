"""Queries for the work days of the bookings that stand behind time sheets."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import Connection, select

from zk_pipeline.store.tables import normalized_entries, pushes


def of_timesheets(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> dict[int, date]:
    """The work day of each time sheet that the ledger binds to a booking."""
    query = select(pushes.c.kimai_id, pushes.c.entry_date).where(
        pushes.c.connector == connector, pushes.c.kimai_id.in_(timesheet_ids)
    )
    return {row.kimai_id: row.entry_date for row in connection.execute(query)}


def of_bookings(connection: Connection, source: str, source_ids: Collection[str]) -> dict[str, date]:
    """The work day of each booking that has a stored entry."""
    query = select(normalized_entries.c.source_id, normalized_entries.c.entry_date).where(
        normalized_entries.c.source == source, normalized_entries.c.source_id.in_(source_ids)
    )
    return {row.source_id: row.entry_date for row in connection.execute(query)}
