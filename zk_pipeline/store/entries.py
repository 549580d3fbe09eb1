"""Queries on the unified entries."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.store import suppression
from zk_pipeline.store.database import among, not_among, upsert
from zk_pipeline.store.tables import normalized_entries

_COLUMNS = [column for column in normalized_entries.c if column.name in Entry.__slots__]


class StoredMinutes(NamedTuple):
    """The minutes of a stored entry before it is normalized again, and what a correction left open."""

    entry_date: date
    minutes: Decimal
    open_minutes: Decimal


def replace_day(connection: Connection, source: str, day: date, entries: Iterable[Entry]) -> int:
    """Replace the entries of the day; returns how many rows are new or changed."""
    values = [
        {**{column.name: getattr(entry, column.name) for column in _COLUMNS}, "owned_hash": entry.owned_hash}
        for entry in suppression.redactor(connection).rows(entries)
    ]
    stale = delete(normalized_entries).where(
        normalized_entries.c.source == source,
        normalized_entries.c.entry_date == day,
        not_among(normalized_entries.c.source_id, [value["source_id"] for value in values]),
    )
    removed = connection.execute(stale).rowcount
    stamped = {"normalized_at": "clock_timestamp()"}
    return removed + upsert(connection, normalized_entries, values, only_if_changed=True, stamped=stamped)


def entries_of_day(connection: Connection, source: str, day: date) -> list[Entry]:
    """The entries of one work day."""
    query = select(*_COLUMNS).where(normalized_entries.c.source == source, normalized_entries.c.entry_date == day)
    return [_entry(row) for row in connection.execute(query).mappings()]


def entries_of_days(connection: Connection, source: str, first: date, last: date) -> list[Entry]:
    """The entries of these work days, both included, by day and source id."""
    row = normalized_entries.c
    query = select(*_COLUMNS).where(row.source == source, row.entry_date.between(first, last))
    ordered = query.order_by(row.entry_date, row.source_id)
    return [_entry(found) for found in connection.execute(ordered).mappings()]


def entry_of(connection: Connection, source: str, source_id: str) -> Entry | None:
    """The entry of one booking, if it has one."""
    query = select(*_COLUMNS).where(normalized_entries.c.source == source, normalized_entries.c.source_id == source_id)
    row = connection.execute(query).mappings().first()
    return _entry(row) if row else None


def entries_of(connection: Connection, source: str, source_ids: Collection[str]) -> dict[str, Entry]:
    """The entries with these source ids, by source id."""
    if not source_ids:
        return {}
    query = select(*_COLUMNS).where(
        normalized_entries.c.source == source, among(normalized_entries.c.source_id, source_ids)
    )
    return {row["source_id"]: _entry(row) for row in connection.execute(query).mappings()}


def minutes_of(connection: Connection, source: str, source_ids: Collection[str]) -> dict[str, StoredMinutes]:
    """Day and minutes of stored entries, to find other days that are netted differently now."""
    if not source_ids:
        return {}
    row = normalized_entries.c
    query = select(row.source_id, row.entry_date, row.time_minutes, row.open_minutes).where(
        row.source == source, among(row.source_id, source_ids)
    )
    return {found[0]: StoredMinutes(*found[1:]) for found in connection.execute(query)}


def _entry(row: Mapping[Any, Any]) -> Entry:
    return Entry(**{**row, "tags": tuple(row["tags"]), "sync_status": SyncStatus(row["sync_status"])})
