"""Queries on how everything stands, for supervisors and monitoring: few, and each by an index or one count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

RESULTS = ("created", "updated", "deleted", "linked", "in_sync", "parked", "failed")


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run of the chain, and its entries by result."""

    started_at: datetime
    results: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is and what waits. `oldest_conflicts` are seconds by reason, `last_run` is `None` before the first."""

    entries: Mapping[str, int]
    conflicts: Mapping[str, int]
    oldest_conflicts: Mapping[str, float]
    days_waiting: int
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
    by_reason = connection.execute(
        text(
            """
            SELECT reason, count(*), EXTRACT(EPOCH FROM now() - min(opened_at))::float8
            FROM sync.conflicts WHERE resolution_status = 'open' GROUP BY reason
            """
        )
    ).all()
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
        conflicts={row[0]: row[1] for row in by_reason},
        oldest_conflicts={row[0]: row[2] for row in by_reason},
        days_waiting=waiting.days,
        deliveries_waiting=waiting.deliveries,
        failed_logins=waiting.logins,
        last_run=_last_run(connection),
    )


def _last_run(connection: Connection) -> LastRun | None:
    query = text("SELECT started_at, counts FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1")
    row = connection.execute(query).first()
    return None if row is None else LastRun(row.started_at, {name: row.counts.get(name, 0) for name in RESULTS})
