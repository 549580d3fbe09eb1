"""Queries on how everything stands, for supervisors and monitoring: few, and each by an index or one count."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

AGES = ("day", "week", "longer")
"""Classes of age: open for less than a day, for less than a week, for longer."""

RESULTS = ("created", "updated", "deleted", "linked", "in_sync", "parked", "failed")


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of the chain, and its entries by result."""

    started_at: datetime
    results: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is and what waits. The oldest are ages in seconds, `last_run` is `None` before the first.

    `conflicts` are by reason and class of age (`AGES`), `requests` those for days, by reason.
    """

    entries: Mapping[str, int]
    conflicts: Mapping[tuple[str, str], int]
    oldest_conflicts: Mapping[str, float]
    days_waiting: int
    requests: Mapping[str, int]
    oldest_requests: Mapping[str, float]
    deliveries_waiting: int
    failed_logins: int
    last_run: LastRun | None


def last_reads(connection: Connection) -> dict[str, datetime]:
    """When each system, by its role, was last read with success: a complete sweep, or a look at its changes."""
    query = text(
        """
        SELECT c.role, GREATEST(
            (SELECT s.ended_at FROM sync.sweeps s WHERE s.connector = c.name AND s.complete ORDER BY s.id DESC LIMIT 1),
            (SELECT max(r.updated_at) FROM sync.cursors r WHERE r.connector = c.name)
        ) AS read_at
        FROM sync.connectors c WHERE c.active
        """
    )
    return {row.role: row.read_at for row in connection.execute(query) if row.read_at is not None}


def figures(connection: Connection) -> Figures:
    """Everything that is counted."""
    by_state = connection.execute(text("SELECT state, count(*) FROM sync.pushes GROUP BY state")).all()
    open_conflicts = connection.execute(_CONFLICTS).all()
    requests = connection.execute(_REQUESTS).all()
    waiting = connection.execute(
        text(
            """
            SELECT (SELECT count(DISTINCT day) FROM sync.day_requests WHERE claimed_by_run IS NULL) AS days,
                (SELECT count(*) FROM sync.webhook_deliveries WHERE processed_at IS NULL) AS deliveries,
                (SELECT count(*) FROM sync.failed_logins WHERE at > now() - interval '1 hour') AS logins
            """
        )
    ).one()
    return Figures(
        entries={row[0]: row[1] for row in by_state},
        conflicts={(row.reason, row.age): row.number for row in open_conflicts},
        oldest_conflicts=_largest((row.reason, row.seconds) for row in open_conflicts),
        days_waiting=waiting.days,
        requests={row.reason: row.number for row in requests},
        oldest_requests={row.reason: row.seconds for row in requests},
        deliveries_waiting=waiting.deliveries,
        failed_logins=waiting.logins,
        last_run=_last_run(connection),
    )


def _largest(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in pairs:
        found[name] = max(value, found.get(name, value))
    return found


def _last_run(connection: Connection) -> LastRun | None:
    query = text("SELECT started_at, counts FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1")
    row = connection.execute(query).first()
    return None if row is None else LastRun(row.started_at, {name: row.counts.get(name, 0) for name in RESULTS})


_CONFLICTS = text(
    """
    SELECT reason, age, count(*) AS number, max(seconds) AS seconds
    FROM (
        SELECT reason, EXTRACT(EPOCH FROM now() - opened_at)::float8 AS seconds,
            CASE WHEN opened_at > now() - interval '1 day' THEN 'day'
                WHEN opened_at > now() - interval '7 days' THEN 'week' ELSE 'longer' END AS age
        FROM sync.conflicts WHERE resolution_status = 'open'
    ) AS waiting
    GROUP BY reason, age
    """
)
_REQUESTS = text(
    """
    SELECT reason, count(*) AS number, EXTRACT(EPOCH FROM now() - min(requested_at))::float8 AS seconds
    FROM sync.day_requests WHERE claimed_by_run IS NULL GROUP BY reason
    """
)
