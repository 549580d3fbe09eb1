"""The report of each read of a window, and the positions where reads continue."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.records import Window
from zk_pipeline.domain.statement_rows import SideRead
from zk_pipeline.store.raw_tables import sweeps
from zk_pipeline.store.tables import cursors

# Sweep reports: what each paged read of a window saw, and where the next one may look first.

_READ_DAYS = text(
    """
    WITH days AS (
        SELECT day AT TIME ZONE :zone AS day_start, (day + interval '1 day') AT TIME ZONE :zone AS day_end
        FROM generate_series(CAST(:first AS timestamp), CAST(:last AS timestamp), interval '1 day') AS day
    ),
    read AS (
        SELECT max(sweeps.ended_at) AS read_at
        FROM days JOIN sync.sweeps ON sweeps.window_start <= days.day_start AND sweeps.window_end >= days.day_end
        WHERE sweeps.connector = :connector AND sweeps.complete
        GROUP BY days.day_start
    )
    SELECT max(read_at) AS latest, min(read_at) AS oldest FROM read
    """
)
_UNREAD_DAYS = text(
    """
    SELECT day::date FROM generate_series(CAST(:first AS timestamp), CAST(:last AS timestamp), interval '1 day') AS day
    WHERE NOT EXISTS (
        SELECT FROM sync.sweeps WHERE connector = :connector AND ended_at IS NOT NULL
        AND window_start <= day AT TIME ZONE :zone AND window_end >= (day + interval '1 day') AT TIME ZONE :zone
    )
    """
)


def begin_sweep(
    connection: Connection,
    connector: str,
    subject: str,
    window: Window,
    run_id: str,
    *,
    started_at: datetime | None = None,
) -> int:
    """Record that a read of the window begins, or began; returns the id that its rows are stamped with."""
    values = {
        "connector": connector,
        "subject": subject,
        "window_start": window.start,
        "window_end": window.end,
        "run_id": run_id,
        **({"started_at": started_at} if started_at else {}),
    }
    return connection.execute(insert(sweeps).values(values).returning(sweeps.c.id)).scalar_one()


def end_sweep(connection: Connection, sweep_id: int, report: Mapping[str, Any]) -> None:
    """Record the report of a finished read; a sweep without one counts as incomplete."""
    values = {**report, "ended_at": func.now()}
    connection.execute(update(sweeps).where(sweeps.c.id == sweep_id).values(values))


def now(connection: Connection) -> datetime:
    """The time by which sweeps are stamped."""
    return connection.execute(select(func.clock_timestamp())).scalar_one()


def last_complete(connection: Connection, connector: str, subject: str, window: Window) -> Row[Any] | None:
    """The newest complete sweep that covered the window."""
    query = (
        select(sweeps)
        .where(
            sweeps.c.connector == connector,
            sweeps.c.subject == subject,
            sweeps.c.window_start == window.start,
            sweeps.c.window_end == window.end,
            sweeps.c.complete,
            sweeps.c.total_after.is_not(None),
        )
        .order_by(sweeps.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).first()


def last_position(connection: Connection, connector: str, subject: str, window: Window) -> int | None:
    """The number of rows before the window when a complete sweep last began there."""
    query = (
        select(sweeps.c.position)
        .where(
            sweeps.c.connector == connector,
            sweeps.c.subject == subject,
            sweeps.c.window_start == window.start,
            sweeps.c.complete,
            sweeps.c.position.is_not(None),
        )
        .order_by(sweeps.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def unread_days(connection: Connection, connector: str, first: date, last: date, zone: ZoneInfo) -> set[date]:
    """The days of which a system was never read to the end."""
    values = {"connector": connector, "first": first, "last": last, "zone": zone.key}
    return set(connection.execute(_UNREAD_DAYS, values).scalars())


def days_read(connection: Connection, connector: str, first: date, last: date, zone: ZoneInfo) -> SideRead:
    """When these days of a system were last read completely, if ever."""
    values = {"connector": connector, "first": first, "last": last, "zone": zone.key}
    row = connection.execute(_READ_DAYS, values).one()
    return SideRead(row.latest, row.oldest)


# Positions where reads continue; small JSON values by connector and subject.


def load(connection: Connection, connector: str, subject: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The cursor, or `None` before the first read; with `lock`, nobody else changes it in this transaction."""
    query = select(cursors.c.value).where(cursors.c.connector == connector, cursors.c.subject == subject)
    return connection.execute(query.with_for_update() if lock else query).scalar()


def save(connection: Connection, connector: str, subject: str, value: Mapping[str, Any]) -> None:
    """Set the cursor."""
    statement = insert(cursors).values(connector=connector, subject=subject, value=dict(value))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(cursors.primary_key),
            set_={"value": statement.excluded.value, "updated_at": func.now()},
        )
    )


def read_at(connection: Connection, subject: str) -> dict[str, str]:
    """When each connector's cursor of a subject was moved last, in UTC."""
    query = select(cursors.c.connector, cursors.c.updated_at).where(cursors.c.subject == subject)
    return {row.connector: row.updated_at.astimezone(UTC).isoformat() for row in connection.execute(query)}
