"""Queries for the days of which the plan speaks of a booking or a time sheet."""

from collections.abc import Collection
from datetime import date

from sqlalchemy import Connection, select

from zk_pipeline.store.tables import conflicts, normalized_entries, pushes


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


def of_questions(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> dict[int, set[date]]:
    """The days on which a person is asked about a time sheet that stands for no booking: a copy, or a stray."""
    query = select(conflicts.c.kimai_id, conflicts.c.entry_date).where(
        conflicts.c.connector == connector,
        conflicts.c.key.in_([f"kimai:{id_}" for id_ in timesheet_ids]),
        conflicts.c.resolution_status == "open",
    )
    days: dict[int, set[date]] = {}
    for row in connection.execute(query):
        days.setdefault(row.kimai_id, set()).add(row.entry_date)
    return days
