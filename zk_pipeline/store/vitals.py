"""Queries on how everything stands, for supervisors and monitoring: few, and each by an index or one count."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from zk_pipeline.domain.vital_figures import Waiting

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


def waiting_requests(connection: Connection, first: date, last: date) -> Waiting:
    """The requests for days of this span, which are those that can be run: a day to come waits for its day."""
    row = connection.execute(_WAITING, {"first": first, "last": last}).one()
    return Waiting(row.number, row.due_since, row.asked_at)


def waiting_deliveries(connection: Connection) -> Waiting:
    """The webhooks of the source in use that were not looked into yet."""
    query = text(
        """
        SELECT count(*) AS number, min(d.received_at) AS oldest FROM sync.webhook_deliveries d
        WHERE d.processed_at IS NULL AND d.connector IN (SELECT name FROM sync.connectors WHERE active)
        """
    )
    row = connection.execute(query).one()
    return Waiting(row.number, row.oldest, row.oldest)


def newest_failure(connection: Connection) -> str:
    """What the newest run of the chain tells the operator, if it failed."""
    query = text("SELECT failure FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1")
    return connection.execute(query).scalar() or ""


def figures(connection: Connection) -> Figures:
    """Everything that is counted."""
    by_state = connection.execute(text("SELECT state, count(*) FROM sync.pushes GROUP BY state")).all()
    open_conflicts = connection.execute(_CONFLICTS).all()
    requests = connection.execute(_REQUESTS).all()
    waiting = connection.execute(
        text(
            f"""
            SELECT (SELECT count(DISTINCT day) FROM sync.day_requests WHERE {_OPEN}) AS days,
                (SELECT count(*) FROM sync.webhook_deliveries WHERE processed_at IS NULL) AS deliveries,
                (SELECT count(*) FROM sync.failed_logins WHERE at > now() - interval '1 hour') AS logins
            """  # noqa: S608 (a constant of ours)
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
_OPEN = """claimed_by_run IS NULL AND NOT EXISTS (
    SELECT FROM sync.cancelled_runs c WHERE sync.day_requests.day = ANY (c.held_days)
)"""
"""Which requests wait for a run, and so may age. Days that are held wait for a person instead (`requests.is_held`)."""

_REQUESTS = text(
    f"""
    SELECT reason, count(*) AS number, EXTRACT(EPOCH FROM now() - min(requested_at))::float8 AS seconds
    FROM sync.day_requests WHERE {_OPEN} GROUP BY reason
    """  # noqa: S608 (a constant of ours)
)
_WAITING = text(
    f"""
    SELECT count(*) AS number, min(requested_at) AS asked_at,
        min(GREATEST(requested_at, not_before)) FILTER (WHERE not_before <= now()) AS due_since
    FROM sync.day_requests WHERE {_OPEN} AND day BETWEEN :first AND :last
    """  # noqa: S608 (a constant of ours)
)
