"""Sums over entries, plan and ledger for people: per agent, per customer, per reason."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Summary:
    """Entries of one agent or customer: booked, in the target by the ledger, left out, and waiting for a person."""

    name: str
    entries: int = 0
    minutes: Decimal = ZERO
    in_kimai: int = 0
    minutes_in_kimai: Decimal = ZERO
    excluded: int = 0
    waiting: int = 0

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            other.name if self.name == "" else self.name,
            self.entries + other.entries,
            self.minutes + other.minutes,
            self.in_kimai + other.in_kimai,
            self.minutes_in_kimai + other.minutes_in_kimai,
            self.excluded + other.excluded,
            self.waiting + other.waiting,
        )


class Waiting(NamedTuple):
    """What waits for a person for one reason."""

    reason: str
    entries: int
    minutes: Decimal
    example: str


def by_agent(connection: Connection, target: str, first: date, last: date) -> list[Summary]:
    """One row for each agent, by name."""
    return _summaries(connection, target, first, last, "user_name")


def by_customer(connection: Connection, target: str, first: date, last: date) -> list[Summary]:
    """One row for each organization, by name; bookings without one stand together."""
    return _summaries(connection, target, first, last, "organization_name")


def waiting_by_reason(connection: Connection, target: str, first: date, last: date) -> list[Waiting]:
    """Open conflicts by reason, with the sentence of one of them."""
    query = text(
        """
        SELECT c.reason, count(*) AS entries, COALESCE(sum(e.time_minutes), 0) AS minutes, min(c.text) AS example
        FROM sync.conflicts c
        LEFT JOIN sync.normalized_entries e ON e.source_id = c.source_id AND e.entry_date = c.entry_date
        WHERE c.connector = :target AND c.resolution_status = 'open' AND c.entry_date BETWEEN :first AND :last
        GROUP BY c.reason ORDER BY count(*) DESC, c.reason
        """
    )
    rows = connection.execute(query, {"target": target, "first": first, "last": last})
    return [Waiting(row.reason, row.entries, row.minutes, row.example) for row in rows]


def _summaries(
    connection: Connection, target: str, first: date, last: date, column: Literal["user_name", "organization_name"]
) -> list[Summary]:
    query = text(
        f"""
        SELECT COALESCE(e.{column}, '(without organization)') AS name,
            count(*) AS entries,
            sum(e.time_minutes) AS minutes,
            count(*) FILTER (WHERE p.state = 'confirmed') AS in_kimai,
            COALESCE(sum(e.time_minutes) FILTER (WHERE p.state = 'confirmed'), 0) AS minutes_in_kimai,
            count(*) FILTER (WHERE e.sync_status = 'excluded') AS excluded,
            count(c.source_id) AS waiting
        FROM sync.normalized_entries e
        LEFT JOIN sync.pushes p ON p.connector = :target AND p.source_id = e.source_id
        LEFT JOIN (
            SELECT DISTINCT source_id FROM sync.conflicts
            WHERE connector = :target AND resolution_status = 'open' AND source_id IS NOT NULL
        ) c ON c.source_id = e.source_id
        WHERE e.entry_date BETWEEN :first AND :last
        GROUP BY 1 ORDER BY 1
        """  # noqa: S608 (the column is one of two names written above)
    )
    rows = connection.execute(query, {"target": target, "first": first, "last": last}).mappings()
    return [Summary(**row) for row in rows]
