"""People's decisions about bookings: which one a correction reduces, and on which ticket one counts."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Identity, Table, UniqueConstraint, delete, insert, select, text

from zk_pipeline.domain.corrections import CorrectionPair
from zk_pipeline.store.tables import instant, metadata, text_column

corrections = Table(
    "corrections",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("source"),
    text_column("correction_id"),
    text_column("reduced_id"),
    text_column("decided_by"),
    instant("decided_at", default=True),
    UniqueConstraint("source", "correction_id", "reduced_id"),
    schema="sync",
)
moved_bookings = Table(
    "moved_bookings",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    text_column("source"),
    text_column("booking_id"),
    # The booking's ticket in the source: corrections still count there.
    text_column("from_ticket_id"),
    text_column("ticket_id"),
    text_column("decided_by"),
    instant("decided_at", default=True),
    UniqueConstraint("source", "booking_id"),
    schema="sync",
)


PAIRED = """
        FROM sync.corrections p
        CROSS JOIN LATERAL (
            VALUES (p.correction_id, p.reduced_id), (p.reduced_id, p.correction_id)
        ) AS both_ways (one, other)
        JOIN zammad.time_accountings a ON a.connector = p.source AND a.id = both_ways.one
        JOIN zammad.time_accountings b ON b.connector = p.source AND b.id = both_ways.other
"""
"""The paired bookings: a row for each direction, `a` and `b` as they are in the source."""


class ReducibleBooking(NamedTuple):
    """A booking whose time a correction can take back; `minutes` is what is left of it. Lists begin with the best."""

    booking_id: str
    day: date
    ticket_number: str
    agent: str
    activity: str
    minutes: Decimal

    def __str__(self) -> str:
        return f"{self.booking_id} ({self.minutes.normalize():f} min of {self.agent}, {self.day}, {self.ticket_number})"


def pairs(connection: Connection, source: str) -> list[CorrectionPair]:
    """All pairs that people made, in order."""
    query = select(corrections.c.correction_id, corrections.c.reduced_id).where(corrections.c.source == source)
    return [CorrectionPair(*row) for row in connection.execute(query.order_by(corrections.c.id))]


def pair(connection: Connection, source: str, made: CorrectionPair, actor: str) -> None:
    """Record that a correction takes back time of a booking; a repeated pair becomes the last one."""
    unpair(connection, source, made)
    connection.execute(
        insert(corrections).values(
            source=source, correction_id=made.correction, reduced_id=made.reduced, decided_by=actor
        )
    )


def unpair(connection: Connection, source: str, made: CorrectionPair) -> bool:
    """Delete a pair; returns whether it existed."""
    table = corrections.c
    wanted = (table.source == source) & (table.correction_id == made.correction) & (table.reduced_id == made.reduced)
    return connection.execute(delete(corrections).where(wanted)).rowcount > 0


def reducible(connection: Connection, source: str, source_id: str) -> list[ReducibleBooking]:
    """The bookings whose time an open correction can take back: on its ticket, or on one merged with it.

    The same agent's come first, then those with exactly as many minutes, then the nearest in time. Stored entries say
    what is left of each, so bookings of a day that was never planned are not included.
    """
    rows = connection.execute(_REDUCIBLE, {"source": source, "id": source_id}).mappings()
    return [ReducibleBooking(**row) for row in rows]


def days_of(connection: Connection, source: str, ids: Sequence[str]) -> list[date]:
    """The work days of these bookings."""
    query = text("SELECT DISTINCT work_day FROM zammad.time_accountings WHERE connector = :source AND id = ANY(:ids)")
    return list(connection.execute(query, {"source": source, "ids": list(ids)}).scalars())


def move(connection: Connection, source: str, booking_id: str, actor: str) -> None:
    """Count a booking on the ticket into which its own was merged."""
    unmove(connection, source, booking_id)
    values = {"source": source, "id": booking_id, "actor": actor}
    connection.execute(_MOVE, values)


def unmove(connection: Connection, source: str, booking_id: str) -> bool:
    """Count a booking on its own ticket again; returns whether it did not."""
    wanted = (moved_bookings.c.source == source) & (moved_bookings.c.booking_id == booking_id)
    return connection.execute(delete(moved_bookings).where(wanted)).rowcount > 0


def moved(connection: Connection, source: str, day: date) -> dict[str, str]:
    """The bookings of a day that count on another ticket than their own, with that ticket."""
    query = text(
        """
        SELECT m.booking_id, m.ticket_id FROM sync.moved_bookings m
        JOIN zammad.time_accountings b ON b.connector = m.source AND b.id = m.booking_id
        WHERE m.source = :source AND b.work_day = :day
        """
    )
    return {row[0]: row[1] for row in connection.execute(query, {"source": source, "day": day})}


_REDUCIBLE = text(
    """
    WITH RECURSIVE merged AS (
        SELECT id, merged_into FROM zammad.tickets WHERE connector = :source AND merged_into IS NOT NULL
    ), family AS (
        SELECT ticket_id AS id FROM zammad.time_accountings WHERE connector = :source AND id = :id
        UNION
        SELECT CASE WHEN m.id = f.id THEN m.merged_into ELSE m.id END
        FROM family f JOIN merged m ON f.id IN (m.id, m.merged_into)
    )
    SELECT b.id AS booking_id, e.entry_date AS day, e.ticket_number, e.user_name AS agent,
        COALESCE(e.activity_name, '') AS activity, e.time_minutes AS minutes
    FROM zammad.time_accountings b
    JOIN family f ON f.id = b.ticket_id
    JOIN sync.normalized_entries e ON e.source = b.connector AND e.source_id = b.id
    JOIN zammad.time_accountings c ON c.connector = b.connector AND c.id = :id
    JOIN sync.normalized_entries o ON o.source = c.connector AND o.source_id = c.id
    WHERE b.connector = :source AND b.gone_at IS NULL AND e.time_minutes > 0 AND e.sync_status = 'pending'
        AND NOT EXISTS (
            SELECT FROM sync.corrections p
            WHERE p.source = b.connector AND p.correction_id = c.id AND p.reduced_id = b.id
        )
    ORDER BY b.agent_id <> c.agent_id, e.time_minutes <> o.open_minutes,
        abs(EXTRACT(EPOCH FROM b.created_at - c.created_at)), length(b.id), b.id
    """
)
_MOVE = text(
    """
    INSERT INTO sync.moved_bookings (source, booking_id, from_ticket_id, ticket_id, decided_by)
    SELECT b.connector, b.id, b.ticket_id, t.merged_into, :actor
    FROM zammad.time_accountings b JOIN zammad.tickets t ON t.connector = b.connector AND t.id = b.ticket_id
    WHERE b.connector = :source AND b.id = :id AND t.merged_into IS NOT NULL
    """
)
