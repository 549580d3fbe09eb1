"""Sums over entries, plan and ledger for people: per agent, per customer, per reason."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from sqlalchemy import Connection, text

ZERO = Decimal(0)

OUTCOMES = (
    *("created", "updated", "linked", "by_another_run", "in_sync"),
    *("left_out", "conflicts", "parked", "failed", "not_written"),
)
"""The possible outcomes of an entry.

`created` includes time sheets found after their answer was lost. `in_sync` needed no write. `left_out` needs no time
sheet, such as a corrected booking. `not_written` is planned and not carried out: it waits for approval, writing is off,
or the run says why.
"""


class DaySpan(NamedTuple):
    """A range of days, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Summary:
    """Entries of one agent or customer: written by these runs, existing before, left out, waiting by reason."""

    name: str
    entries: int = 0
    minutes: Decimal = ZERO
    created: int = 0
    updated: int = 0
    in_sync: int = 0
    excluded: int = 0
    waiting: Mapping[str, int] = field(default_factory=dict[str, int])

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            self.name,
            self.entries + other.entries,
            self.minutes + other.minutes,
            self.created + other.created,
            self.updated + other.updated,
            self.in_sync + other.in_sync,
            self.excluded + other.excluded,
            Counter(self.waiting) + Counter(other.waiting),
        )


class WaitingEntries(NamedTuple):
    """The entries that wait for a person for one reason."""

    reason: str
    entries: int
    minutes: Decimal
    example: str


def by_agent(connection: Connection, target: str, span: DaySpan, run_ids: Sequence[str]) -> list[Summary]:
    """One row for each agent, by name; `run_ids` are the runs whose writes count as created or updated."""
    return _summaries(connection, target, span, run_ids, "user_name")


def by_customer(connection: Connection, target: str, span: DaySpan, run_ids: Sequence[str]) -> list[Summary]:
    """One row for each organization, by name; bookings without one share a row."""
    return _summaries(connection, target, span, run_ids, "organization_name")


def waiting_by_reason(connection: Connection, target: str, span: DaySpan) -> list[WaitingEntries]:
    """Open conflicts by reason, with the sentence that most of them have."""
    query = text(
        """
        SELECT c.reason, count(*) AS entries,
                -- What may be moved to another ticket waits for nobody meanwhile.
                COALESCE(sum(e.time_minutes - e.open_minutes) FILTER (WHERE c.reason <> 'merged_ticket'), 0) AS minutes,
               mode() WITHIN GROUP (ORDER BY c.text) AS example
        FROM sync.conflicts c
        LEFT JOIN sync.normalized_entries e ON e.source_id = c.source_id AND e.entry_date = c.entry_date
        WHERE c.connector = :target AND c.resolution_status = 'open' AND c.entry_date BETWEEN :first AND :last
        GROUP BY c.reason ORDER BY count(*) DESC, c.reason
        """
    )
    rows = connection.execute(query, {"target": target, "first": span.first, "last": span.last})
    return [WaitingEntries(row.reason, row.entries, row.minutes, row.example) for row in rows]


def outcomes(connection: Connection, target: str, days: Collection[date], run_ids: Collection[str]) -> dict[str, int]:
    """The current outcome of each entry of these days: every entry counts once, under one of `OUTCOMES`.

    Writes of these runs are distinguished from those of other runs since they began.
    """
    values = {"target": target, "days": list(days), "run_ids": list(run_ids)}
    found = {row.outcome: row.entries for row in connection.execute(_OUTCOMES, values)}
    return {name: found.get(name, 0) for name in OUTCOMES}


def _summaries(
    connection: Connection,
    target: str,
    span: DaySpan,
    run_ids: Sequence[str],
    column: Literal["user_name", "organization_name"],
) -> list[Summary]:
    query = text(
        f"""
        WITH rows AS (
            SELECT COALESCE(e.{column}, '(without organization)') AS name, e.source_id,
                -- What is open of a correction counts as the source says it, so that the sum is what was booked.
                e.time_minutes - e.open_minutes AS minutes, e.sync_status,
                p.state = 'confirmed' AND NOT EXISTS (
                    SELECT FROM sync.conflicts q
                    WHERE q.connector = :target AND q.key = e.source_id AND q.resolution_status = 'open'
                ) AS there,
                p.run_id = ANY(:run_ids) AND p.operation = 'create' AS made,
                p.run_id = ANY(:run_ids) AND p.operation = 'update' AS changed
            FROM sync.normalized_entries e
            LEFT JOIN sync.pushes p ON p.connector = :target AND p.source_id = e.source_id
            WHERE e.entry_date BETWEEN :first AND :last
        ), reasons AS (
            SELECT r.name, c.reason, count(*) AS entries
            FROM rows r JOIN sync.conflicts c ON c.key = r.source_id
            WHERE c.connector = :target AND c.resolution_status = 'open'
            GROUP BY r.name, c.reason
        )
        SELECT name,
            count(*) AS entries,
            sum(minutes) AS minutes,
            count(*) FILTER (WHERE there AND made) AS created,
            count(*) FILTER (WHERE there AND changed) AS updated,
            count(*) FILTER (WHERE there AND NOT made AND NOT changed) AS in_sync,
            count(*) FILTER (WHERE sync_status = 'excluded') AS excluded,
            COALESCE(
                (SELECT jsonb_object_agg(w.reason, w.entries) FROM reasons w WHERE w.name = rows.name), '{{}}'
            ) AS waiting
        FROM rows GROUP BY name ORDER BY name
        """  # noqa: S608 (the column is one of two names written above)
    )
    values = {"target": target, "first": span.first, "last": span.last, "run_ids": list(run_ids)}
    return [Summary(**row) for row in connection.execute(query, values).mappings()]


_OUTCOMES = text(
    """
    WITH began AS (
        SELECT min(started_at) AS at FROM sync.sync_runs WHERE run_id = ANY(:run_ids)
    ), questions AS (
        SELECT source_id, bool_and(reason = 'refused_by_kimai') AS refused
        FROM sync.conflicts
        WHERE connector = :target AND resolution_status = 'open' AND entry_date = ANY(:days) AND key = source_id
        GROUP BY source_id
    ), lines AS (
        SELECT source_id, max(reconciled_at) AS at,
            bool_or(action IN ('create', 'update', 'link') AND NOT carried_out) AS outstanding
        FROM sync.reconciliation_results
        WHERE connector = :target AND entry_date = ANY(:days) AND key = source_id
        GROUP BY source_id
    ), entries AS (
        SELECT CASE
            WHEN q.refused THEN 'parked'
            WHEN q.source_id IS NOT NULL THEN 'conflicts'
            WHEN p.state = 'confirmed' AND p.run_id = ANY(:run_ids) THEN
                CASE p.operation WHEN 'create' THEN 'created' WHEN 'update' THEN 'updated' ELSE 'linked' END
            WHEN e.sync_status = 'excluded' THEN 'left_out'
            WHEN p.state = 'confirmed' AND p.updated_at >= began.at
                AND (p.updated_at >= l.at OR l.outstanding IS NOT TRUE) THEN 'by_another_run'
            WHEN l.outstanding AND p.state = 'failed' AND p.run_id = ANY(:run_ids) THEN 'failed'
            WHEN l.outstanding OR p.state IS DISTINCT FROM 'confirmed' THEN 'not_written'
            ELSE 'in_sync'
        END AS outcome
        FROM sync.normalized_entries e
        CROSS JOIN began
        LEFT JOIN questions q ON q.source_id = e.source_id
        LEFT JOIN lines l ON l.source_id = e.source_id
        LEFT JOIN sync.pushes p ON p.connector = :target AND p.source_id = e.source_id
        WHERE e.entry_date = ANY(:days)
    )
    SELECT outcome, count(*) AS entries FROM entries GROUP BY outcome
    """
)
