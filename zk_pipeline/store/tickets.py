"""The source's tickets: their current state, customer changes, and merges."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, select, text

from zk_pipeline.domain.plan import SurvivingTicket
from zk_pipeline.domain.records import Ticket
from zk_pipeline.store import suppression
from zk_pipeline.store.booking_decisions import moved_bookings
from zk_pipeline.store.database import upsert
from zk_pipeline.store.raw_tables import tickets, time_accountings


def save_tickets(connection: Connection, connector: str, rows: Iterable[Ticket]) -> int:
    """Store tickets as they are today; of the payload, with names that nothing here needs, only what rules read."""
    values = [
        {
            "connector": connector,
            "id": row.id,
            "number": row.number,
            "title": row.title,
            "organization_id": row.organization_id,
            "customer_id": row.customer_id,
            "group_id": row.group_id,
            "group_name": row.group_name,
            "customer_name": row.customer_name,
            "updated_at": row.updated_at,
            "complete": row.complete,
            "raw": _kept(row),
            "faults": row.faults,
            "merged_into": row.merged_into,
            "merged_article_id": row.merged_article_id,
        }
        for row in suppression.redactor(connection).rows(rows)
    ]
    return upsert(connection, tickets, values, only_if_changed=True)


def _kept(row: Ticket) -> dict[str, Any]:
    return {"attributes": dict(row.attributes)} if row.attributes else {}


def tickets_of_days(connection: Connection, connector: str, first: date, last: date) -> dict[str, Ticket]:
    """The tickets of the days' bookings by id, and those that some were moved to, without raw payload."""
    columns = [column for column in tickets.c if column.name in Ticket.__slots__]
    of_days = (time_accountings.c.connector == connector) & time_accountings.c.work_day.between(first, last)
    moved_to = (
        select(moved_bookings.c.ticket_id)
        .join(time_accountings, time_accountings.c.id == moved_bookings.c.booking_id)
        .where(of_days, moved_bookings.c.source == connector)
    )
    wanted = select(time_accountings.c.ticket_id).where(of_days).union(moved_to)
    query = select(*columns).where(tickets.c.connector == connector, tickets.c.id.in_(wanted))
    found = connection.execute(query).mappings()
    return {row["id"]: Ticket(**{**row, "raw": {}}, attributes=row["raw"].get("attributes", {})) for row in found}


def reassigned(connection: Connection, connector: str, seen: Collection[Ticket]) -> list[str]:
    """Those of the tickets that are stored with another customer, organization, group, merge, or what rules read."""
    columns = [tickets.c[name] for name in ("id", "customer_id", "organization_id", "group_id", "merged_into", "raw")]
    query = select(*columns).where(tickets.c.connector == connector, tickets.c.id.in_([row.id for row in seen]))
    stored = {row.id: tuple(row)[1:] for row in connection.execute(query)}
    return [
        row.id
        for row in suppression.redactor(connection).rows(seen)
        if row.id in stored
        and stored[row.id] != (row.customer_id, row.organization_id, row.group_id, row.merged_into, _kept(row))
    ]


def with_known_merges(connection: Connection, connector: str, seen: Collection[Ticket]) -> list[Ticket]:
    """The tickets; one whose merge target was not read this time keeps the known one."""
    columns = (tickets.c.id, tickets.c.merged_into, tickets.c.merged_article_id)
    unknown = [row.id for row in seen if row.merged and row.merged_into is None]
    query = select(*columns).where(tickets.c.connector == connector, tickets.c.id.in_(unknown))
    known = {row.id: row for row in connection.execute(query)} if unknown else {}
    return [
        replace(row, merged_into=known[row.id].merged_into, merged_article_id=known[row.id].merged_article_id)
        if row.id in known
        else row
        for row in seen
    ]


def survivors_among(connection: Connection, connector: str, ids: Collection[str]) -> set[str]:
    """The known tickets that others with bookings were merged into."""
    query = select(tickets.c.merged_into).where(tickets.c.connector == connector, tickets.c.merged_into.in_(ids))
    return set(connection.execute(query).scalars())


def survivors(connection: Connection, source: str, day: date) -> Mapping[str, SurvivingTicket]:
    """For each booking of a day whose ticket was merged into another one: that other ticket."""
    rows = connection.execute(_SURVIVORS, {"source": source, "day": day}).mappings()
    return {
        row["source_id"]: SurvivingTicket(**{name: row[name] for name in SurvivingTicket.__slots__}) for row in rows
    }


_SURVIVORS = text(
    """
    SELECT b.id AS source_id, t.number AS merged_number, t.merged_article_id AS article_id,
        s.id AS ticket_id, s.number, s.title, s.organization_id,
        o.name AS organization_name, s.customer_name, s.group_id, s.group_name
    FROM zammad.time_accountings b
    JOIN zammad.tickets t ON t.connector = b.connector AND t.id = b.ticket_id
    JOIN zammad.tickets s ON s.connector = t.connector AND s.id = t.merged_into
    LEFT JOIN zammad.organizations o ON o.connector = s.connector AND o.id = s.organization_id
    LEFT JOIN sync.moved_bookings m ON m.source = b.connector AND m.booking_id = b.id
    WHERE b.connector = :source AND b.work_day = :day AND b.gone_at IS NULL
        AND COALESCE(m.ticket_id, b.ticket_id) <> t.merged_into
    """
)
