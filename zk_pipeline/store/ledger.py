"""The ledger of writes, which is the push's outbox, and the journal from which they are traced and undone."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, literal_column, null, select, text, update
from sqlalchemy.dialects.postgresql import JSONB

from zk_pipeline.domain.ledger import (
    MASTER_DATA,
    MENDED,
    Desired,
    JournalEntry,
    LedgerRow,
    MasterDataName,
    Operation,
    Original,
    PushState,
    StoredJournalEntry,
)
from zk_pipeline.domain.manual_fields import ManualFields, as_base
from zk_pipeline.domain.records import MasterDataState, Timesheet
from zk_pipeline.domain.rounding import RoundingSample
from zk_pipeline.store import suppression, sweeps
from zk_pipeline.store.database import among, insert_rows, to_json, upsert
from zk_pipeline.store.raw_tables import timesheets
from zk_pipeline.store.tables import pushes, sync_runs, writes
from zk_pipeline.store.target import timesheet_from_json, timesheet_json

# The ledger of writes: intent before the write, outcome after it, one row per entry (the outbox of the push).

_READ = (
    *("source_id", "state", "operation", "entry_date", "kimai_id"),
    *("asked", "payload_hash", "facts_hash", "message", "by_hand"),
)
_STAMPED = {"intended_at": "clock_timestamp()", "updated_at": "clock_timestamp()"}


@dataclass(frozen=True, slots=True)
class BoundTimesheet:
    """A time sheet of ours and its entry; `day` is the entry's work day, wherever the time sheet lies."""

    day: date
    source_id: str
    kimai_id: int


def rows_of(connection: Connection, connector: str, source_ids: Collection[str]) -> dict[str, LedgerRow]:
    """The ledger rows of these entries, by source id."""
    if not source_ids:
        return {}
    query = _rows(connector).where(among(pushes.c.source_id, source_ids))
    return {row["source_id"]: _ledger_row(row) for row in connection.execute(query).mappings()}


def rows_of_day(connection: Connection, connector: str, day: date) -> dict[str, LedgerRow]:
    """The ledger rows of one work day's entries, by source id."""
    query = _rows(connector).where(pushes.c.entry_date == day)
    return {row["source_id"]: _ledger_row(row) for row in connection.execute(query).mappings()}


def rows_of_timesheets(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> dict[str, LedgerRow]:
    """The ledger rows of the entries that own these time sheets, by source id."""
    if not timesheet_ids:
        return {}
    query = _rows(connector).where(among(pushes.c.kimai_id, timesheet_ids))
    return {row["source_id"]: _ledger_row(row) for row in connection.execute(query).mappings()}


def originals(connection: Connection, connector: str, source_ids: Collection[str]) -> dict[str, Original]:
    """The time sheets that the ledger links to these entries, of any day, by source id."""
    if not source_ids:
        return {}
    theirs = (timesheets.c.connector == pushes.c.connector) & (timesheets.c.id == pushes.c.kimai_id)
    query = (
        select(pushes.c.source_id, pushes.c.entry_date, pushes.c.kimai_id, timesheets.c.gone_at.is_not(None))
        .select_from(pushes.outerjoin(timesheets, theirs))
        .where(
            pushes.c.connector == connector,
            among(pushes.c.source_id, source_ids),
            pushes.c.kimai_id.is_not(None),
            pushes.c.state != PushState.UNDONE,
        )
    )
    return {row[0]: Original(*row[1:]) for row in connection.execute(query)}


def bound_timesheets(connection: Connection, connector: str, first: date, last: date) -> list[BoundTimesheet]:
    """The time sheets that the ledger links to entries of these days, by day."""
    query = select(pushes.c.entry_date, pushes.c.source_id, pushes.c.kimai_id).where(
        pushes.c.connector == connector, pushes.c.entry_date.between(first, last), pushes.c.kimai_id.is_not(None)
    )
    ordered = query.order_by(pushes.c.entry_date, pushes.c.kimai_id)
    return [BoundTimesheet(*row) for row in connection.execute(ordered)]


def timesheets_of_others(connection: Connection, connector: str, caller_id: int, limit: int = 3) -> tuple[int, ...]:
    """The ids of some recent confirmed time sheets that belong to other people than our account."""
    query = (
        select(pushes.c.kimai_id)
        .where(
            pushes.c.connector == connector,
            pushes.c.state == PushState.CONFIRMED,
            pushes.c.base["user_id"].as_integer() != caller_id,
        )
        .order_by(pushes.c.updated_at.desc())
        .limit(limit)
    )
    return tuple(connection.execute(query).scalars())


def newest_answers(connection: Connection, connector: str, limit: int = 200) -> list[RoundingSample]:
    """What the target made of the times of the newest writes."""
    query = _rows(connector).where(pushes.c.state == PushState.CONFIRMED, pushes.c.operation != "link")
    rows = connection.execute(query.order_by(pushes.c.updated_at.desc()).limit(limit)).mappings()
    answers = (_ledger_row(row).answer for row in rows)
    return [answer for answer in answers if answer is not None]


def under_way(connection: Connection, connector: str) -> frozenset[str]:
    """The source ids of entries that are being written, or were when their process died recently."""
    recently = func.now() - text("interval '10 minutes'")
    query = select(pushes.c.source_id).where(
        pushes.c.connector == connector, pushes.c.state == PushState.INTENDED, pushes.c.updated_at > recently
    )
    return frozenset(connection.execute(query).scalars())


def newest_confirmed(connection: Connection, connector: str, limit: int) -> dict[int, str]:
    """The newest confirmed time sheets of a target by id, each with the source id in its marker."""
    query = (
        select(pushes.c.kimai_id, pushes.c.source_id)
        .where(pushes.c.connector == connector, pushes.c.state == PushState.CONFIRMED, pushes.c.kimai_id.is_not(None))
        .order_by(pushes.c.updated_at.desc())
        .limit(limit)
    )
    return {row.kimai_id: row.source_id for row in connection.execute(query)}


def intend(connection: Connection, connector: str, intended: Sequence[LedgerRow], run_id: str) -> None:
    """Record that these writes are about to be sent. Must be committed before the first of them is.

    For an update, what was confirmed before (`asked` and `base`) stays until the new outcome is known.
    """
    creates = [row for row in intended if row.operation == Operation.CREATE]
    updates = [row for row in intended if row.operation != Operation.CREATE]
    _save(connection, connector, creates, run_id)
    _save(connection, connector, updates, run_id, keep=("asked", "base", "kimai_id"))


def confirm(connection: Connection, connector: str, confirmed: Sequence[LedgerRow], run_id: str) -> None:
    """Record the outcome: the id and the row as the target returned it, but for what people had set on it."""
    existing = [row.source_id for row in confirmed if row.operation != Operation.CREATE]
    known = rows_of(connection, connector, existing) if existing else {}
    based = [_based(row, known.get(row.source_id)) for row in confirmed]
    _save(connection, connector, based, run_id, keep=("intended_at", "attempts"))


def refuse(connection: Connection, connector: str, refused: LedgerRow, run_id: str) -> None:
    """Record that the target refused the write (`parked`) or failed on it (`failed`); `message` says why."""
    keep = ("asked", "base", "kimai_id", "intended_at", "attempts")
    _save(connection, connector, [refused], run_id, keep=keep)


def release(connection: Connection, connector: str, source_id: str, message: str, run_id: str) -> None:
    """Record that the target no longer has an entry's time sheet, because we took it back."""
    connection.execute(
        update(pushes)
        .where(pushes.c.connector == connector, pushes.c.source_id == source_id)
        .values(
            state=PushState.UNDONE, kimai_id=None, base=null(), message=message, run_id=run_id, updated_at=func.now()
        )
    )


def _save(
    connection: Connection, connector: str, rows: Iterable[LedgerRow], run_id: str, *, keep: tuple[str, ...] = ()
) -> None:
    redactor = suppression.redactor(connection)
    values: list[dict[str, Any]] = [
        {
            "connector": connector,
            "source_id": row.source_id,
            "state": row.state,
            "operation": row.operation,
            "entry_date": row.entry_date,
            "payload_hash": row.asked.hash,
            "asked": row.asked_json(),
            "kimai_id": row.kimai_id,
            "base": redactor.value(timesheet_json(row.base)) if row.base else None,
            "by_hand": row.by_hand.to_json() or None,
            "facts_hash": row.facts_hash,
            "message": row.message,
            "attempts": 1,
            "run_id": run_id,
        }
        for row in rows
    ]
    upsert(connection, pushes, values, keep=keep, add=("attempts",), stamped=_STAMPED)


def _based(row: LedgerRow, known: LedgerRow | None) -> LedgerRow:
    if known is None or row.base is None or known.kimai_id != row.kimai_id:
        return row
    return replace(row, base=as_base(row.base, known.base, known.by_hand), by_hand=ManualFields())


def _rows(connector: str) -> Select[Any]:
    """The rows of a connector, without the raw payload of the target's response."""
    read = [pushes.c[name] for name in _READ]
    base = literal_column("base - 'raw'", JSONB).label("base")
    return select(*read, base).where(pushes.c.connector == connector)


def _ledger_row(row: Any) -> LedgerRow:
    placed_at = row["asked"].get("placed_at")
    return LedgerRow(
        source_id=row["source_id"],
        state=PushState(row["state"]),
        kimai_id=row["kimai_id"],
        asked=Desired.from_json(row["asked"]),
        base=timesheet_from_json(row["base"]) if row["base"] else None,
        facts_hash=row["facts_hash"],
        message=row["message"],
        operation=row["operation"],
        entry_date=row["entry_date"],
        placed_at=datetime.fromisoformat(placed_at) if placed_at else None,
        sent_hash=row["payload_hash"],
        by_hand=ManualFields.from_json(row["by_hand"]),
    )


# The journal of writes: the target's state before and after each one, to trace and undo them.


def record(connection: Connection, connector: str, entries: Iterable[JournalEntry], run_id: str) -> None:
    """Append a run's writes."""
    redactor = suppression.redactor(connection)
    values = [
        {
            "connector": connector,
            "run_id": run_id,
            "operation": entry.operation,
            "source_id": entry.source_id,
            "kimai_id": entry.kimai_id,
            "entry_date": entry.entry_date,
            "before": redactor.value(_plain(entry.before or entry.mended_from)),
            "after": redactor.value(_plain(entry.after or entry.named or entry.mended_to)),
        }
        for entry in entries
    ]
    insert_rows(connection, writes, values)


def of_run(connection: Connection, connector: str, run_id: str, day: date | None = None) -> list[StoredJournalEntry]:
    """The writes of a run, or those to one work day, newest first."""
    query = select(writes).where(writes.c.connector == connector, writes.c.run_id == run_id)
    if day is not None:
        query = query.where(writes.c.entry_date == day)
    return [_written(row) for row in connection.execute(query.order_by(writes.c.id.desc()))]


def tagged(connection: Connection, connector: str, source_ids: Collection[str]) -> list[StoredJournalEntry]:
    """The tags that we set on the time sheets of these bookings, and that no undo has removed."""
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
    """The runs that wrote or counted anything and whose id begins with the text; an exact id matches alone."""
    found: set[str] = set()
    for column in (writes.c.run_id, sync_runs.c.run_id):
        query = select(column).where(column.startswith(beginning, autoescape=True)).distinct()
        found.update(connection.execute(query).scalars())
    return [beginning] if beginning in found else sorted(found)


def _plain(value: Timesheet | MasterDataName | MasterDataState | None) -> object:
    match value:
        case None:
            return None
        case MasterDataName() | MasterDataState():
            return json.loads(to_json(asdict(value)))
        case Timesheet():
            return json.loads(to_json(timesheet_json(value)))


def _written(row: Row[Any]) -> StoredJournalEntry:
    entry = JournalEntry(row.operation, row.source_id, row.kimai_id, row.entry_date)
    if row.operation in MENDED:
        entry = replace(entry, mended_from=_state(row.before), mended_to=_state(row.after))
    elif row.operation in MASTER_DATA:
        entry = replace(entry, named=MasterDataName(**row.after))
    else:
        before = timesheet_from_json(row.before) if row.before else None
        entry = replace(entry, before=before, after=timesheet_from_json(row.after) if row.after else None)
    return StoredJournalEntry(row.id, row.run_id, entry, row.written_at, row.undone_by)


def _state(value: Mapping[str, Any]) -> MasterDataState:
    end = date.fromisoformat(value["end"]) if value["end"] else None
    return MasterDataState(value["name"], value["visible"], end)


# When this database was restored from a backup: the ledger lacks the writes between backup and restoration.

LAPSES_AFTER = timedelta(days=62)
"""As far back as the nightly deep check looks: by then every earlier day was synced again."""

_CONNECTOR, _SUBJECT = "zk", "restoration"


def remember(connection: Connection, made_at: datetime, restored_at: datetime) -> None:
    """Record that the database has the state of `made_at`, and was restored at `restored_at`."""
    value = {"backup_made_at": made_at.isoformat(), "restored_at": restored_at.isoformat()}
    sweeps.save(connection, _CONNECTOR, _SUBJECT, value)


def last(connection: Connection, now: datetime) -> datetime | None:
    """The last restoration, unless it was long ago or never happened."""
    value = sweeps.load(connection, _CONNECTOR, _SUBJECT)
    if value is None:
        return None
    restored_at = datetime.fromisoformat(value["restored_at"])
    return restored_at if now < restored_at + LAPSES_AFTER else None
