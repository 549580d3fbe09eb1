"""Webhook deliveries: hints that something happened to a ticket, stored as received."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.day_requests import wake
from zk_pipeline.store.tables import webhook_deliveries, webhook_rejections


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """One delivery as received. `delivery_id` is the same in all of the sender's attempts (docs/zammad.md §7)."""

    connector: str
    delivery_id: str
    ticket_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hint:
    """A stored delivery that was not processed yet."""

    id: int
    ticket_id: str


def save(connection: Connection, deliveries: Sequence[WebhookDelivery]) -> None:
    """Store deliveries, and wake the sensor; existing ones are left alone."""
    values = [
        {"connector": row.connector, "delivery_id": row.delivery_id, "ticket_id": row.ticket_id, "body": row.body}
        for row in deliveries
    ]
    connection.execute(insert(webhook_deliveries).on_conflict_do_nothing(), values)
    wake(connection)


def unprocessed(connection: Connection, connector: str, limit: int) -> list[Hint]:
    """The oldest hints that were not processed yet.

    They are found by state and not by a cursor on the id, because a row with a lower id may be committed later.
    """
    query = (
        select(webhook_deliveries.c.id, webhook_deliveries.c.ticket_id)
        .where(webhook_deliveries.c.connector == connector, webhook_deliveries.c.processed_at.is_(None))
        .order_by(webhook_deliveries.c.id)
        .limit(limit)
    )
    return [Hint(row.id, row.ticket_id) for row in connection.execute(query)]


def mark_processed(connection: Connection, ids: Collection[int]) -> None:
    """Record that these hints became day requests, or needed none."""
    connection.execute(
        update(webhook_deliveries).where(webhook_deliveries.c.id.in_(ids)).values(processed_at=func.now())
    )


def count_rejection(connection: Connection, connector: str, reason: str, day: date, number: int = 1) -> None:
    """Count refused deliveries by reason and day; their content is not stored."""
    statement = insert(webhook_rejections).values(connector=connector, reason=reason, day=day, number=number)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(webhook_rejections.primary_key),
            set_={"number": webhook_rejections.c.number + statement.excluded.number, "last_at": func.now()},
        )
    )
