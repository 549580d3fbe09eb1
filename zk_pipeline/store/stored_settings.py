"""Settings in the database: those that people change at runtime, and those that stored facts depend on."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, Connection, Text, delete, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.raw_tables import sweeps, time_accountings
from zk_pipeline.store.tables import decided_settings, pushes, stored_settings

# Settings that people change at runtime; they take precedence over the environment.


def load(connection: Connection) -> dict[str, Any]:
    """All stored settings by name."""
    rows = connection.execute(select(stored_settings.c.name, stored_settings.c.value))
    return {row.name: row.value for row in rows}


def lock(connection: Connection) -> None:
    """Lock the settings until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:settings', 0))"))


def save(connection: Connection, name: str, value: Any, actor: str) -> None:
    """Set one setting; `None` restores the environment's value."""
    if value is None:
        connection.execute(delete(stored_settings).where(stored_settings.c.name == name))
        return
    statement = insert(stored_settings).values(name=name, value=value, updated_by=actor)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[stored_settings.c.name],
            set_={"value": statement.excluded.value, "updated_by": actor, "updated_at": func.now()},
        )
    )


# The settings that stored facts depend on, and what is derived again when they change.

_LOCK = "hashtextextended('zk:decided', 0)"
_BILLED_DAYS = text(
    r"""
    SELECT p.entry_date FROM sync.pushes p
    JOIN kimai.timesheets t ON t.connector = p.connector AND t.id = p.kimai_id
    WHERE p.connector = :target
        AND (t.exported OR array_to_string(t.tags, ',') ~* '(^|,)billed:\d{4}-\d{2}(,|$)')
    UNION
    SELECT original_day FROM sync.adjustments WHERE connector = :source
    """
)
# In the order of their dependencies; each table has its own name for the id and the day.
_MOVES = (
    ("UPDATE zammad.time_accountings t SET work_day = m.day FROM moved m WHERE t.connector = :source AND t.id = m.id"),
    (
        "UPDATE sync.normalized_entries t SET entry_date = m.day FROM moved m "
        "WHERE t.source = :source AND t.source_id = m.id"
    ),
    "UPDATE sync.pushes t SET entry_date = m.day FROM moved m WHERE t.connector = :target AND t.source_id = m.id",
    (
        "UPDATE sync.conflicts t SET entry_date = m.day FROM moved m WHERE t.connector = :target "
        "AND t.key = m.id AND t.resolution_status IN ('open', 'decided')"
    ),
)


@dataclass(frozen=True, slots=True)
class RecordedSettings:
    """One version of the settings: values as text, by field name."""

    id: int
    value: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredBooking:
    """What decides the day of a stored booking, and that day."""

    id: str
    counts_at: datetime
    work_day: date


def latest(connection: Connection) -> RecordedSettings | None:
    """The current recorded settings, if any."""
    row = connection.execute(select(decided_settings).order_by(decided_settings.c.id.desc()).limit(1)).first()
    return RecordedSettings(row.id, row.value) if row else None


def every(connection: Connection) -> dict[int, Mapping[str, str]]:
    """All versions by id."""
    return {row.id: row.value for row in connection.execute(select(decided_settings))}


def record(connection: Connection, value: Mapping[str, str], actor: str) -> int:
    """Record a new version; returns its id."""
    values = {"value": dict(value), "recorded_by": actor}
    return connection.execute(insert(decided_settings).values(values).returning(decided_settings.c.id)).scalar_one()


def hold(connection: Connection, *, alone: bool = False) -> None:
    """Lock the recorded settings against changes until the transaction ends; with `alone`, also against readers."""
    connection.execute(text(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}({_LOCK})"))


def decided_facts(connection: Connection) -> bool:
    """Whether anything is stored that depends on the settings."""
    return bool(connection.execute(select(exists().select_from(time_accountings))).scalar())


def bookings(connection: Connection, source: str) -> Iterator[StoredBooking]:
    """All stored bookings, including those that are gone."""
    counts_at = func.coalesce(time_accountings.c.worked_at, time_accountings.c.created_at)
    columns = (time_accountings.c.id, counts_at, time_accountings.c.work_day)
    rows = connection.execute(select(*columns).where(time_accountings.c.connector == source).order_by(columns[0]))
    for row in rows:
        yield StoredBooking(*row)


def billed_days(connection: Connection, source: str, target: str) -> frozenset[date]:
    """The work days with a billed time sheet, by the last read, or with an adjustment."""
    return frozenset(connection.execute(_BILLED_DAYS, {"source": source, "target": target}).scalars())


def first_read(connection: Connection, source: str, subject: str) -> datetime | None:
    """The first instant whose bookings were ever read."""
    query = select(func.min(sweeps.c.window_start)).where(sweeps.c.connector == source, sweeps.c.subject == subject)
    return connection.execute(query).scalar()


def bound(connection: Connection, target: str, source_ids: Collection[str]) -> frozenset[str]:
    """Those of the bookings that have a time sheet."""
    query = select(pushes.c.source_id).where(
        pushes.c.connector == target, pushes.c.kimai_id.is_not(None), pushes.c.source_id.in_(source_ids)
    )
    return frozenset(connection.execute(query).scalars())


def derive_under(connection: Connection, source: str, decided_id: int, staying: Collection[str]) -> None:
    """Derive all bookings with this version, except those that keep theirs."""
    statement = time_accountings.update().where(
        time_accountings.c.connector == source,
        time_accountings.c.id != func.all_(literal(sorted(staying), ARRAY(Text))),
    )
    connection.execute(statement.values(decided_id=decided_id))


def move(connection: Connection, source: str, target: str, days: Mapping[str, date]) -> None:
    """Give bookings, their entries, ledger rows and open conflicts another work day."""
    if not days:
        return
    values = {
        "source": source,
        "target": target,
        "ids": [str(id_) for id_ in days],
        "days": [day.isoformat() for day in days.values()],
    }
    moved = "WITH moved AS (SELECT unnest(CAST(:ids AS text[])) AS id, unnest(CAST(:days AS date[])) AS day) "
    for statement in _MOVES:
        connection.execute(text(moved + statement), values)
