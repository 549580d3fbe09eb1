"""Requests to both systems: the log, their counts, and the systems' reachability."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, select, text
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.domain.requests import BOUNDS, Reachability, RequestRecord, Tally, Traffic, merged_traffic
from zk_pipeline.domain.vital_figures import System
from zk_pipeline.store import day_requests, suppression, sweeps
from zk_pipeline.store.database import insert_rows
from zk_pipeline.store.tables import connectors, cursors, reachability, request_log

# The log of requests to the target: appended together with the ledger, read for a trace.


def append(
    connection: Connection, connector: str, records: Iterable[tuple[str | None, RequestRecord]], run_id: str
) -> None:
    """Add a run's requests, each with the booking it was for, if any."""
    redactor = suppression.redactor(connection)
    values = [
        {
            "connector": connector,
            "run_id": run_id,
            "source_id": source_id,
            "method": record.method,
            "path": record.path,
            "asked": redactor.value(record.asked),
            "status": record.status,
            "answered": redactor.value(record.answered),
            "error": record.error,
            "seconds": round(record.seconds, 3),
            "sent_at": record.sent_at,
        }
        for source_id, record in records
    ]
    insert_rows(connection, request_log, values)


def of_booking(connector: str, source_id: str) -> Select[Any]:
    """The requests for one booking, oldest first."""
    return _in_order(connector).where(request_log.c.source_id == source_id)


def of_timesheet(connector: str, kimai_id: int) -> Select[Any]:
    """The requests about a time sheet that were for no booking, oldest first."""
    about = request_log.c.path.endswith(f"/timesheets/{kimai_id}")
    return _in_order(connector).where(request_log.c.source_id.is_(None), about)


def _in_order(connector: str) -> Select[Any]:
    query = select(request_log).where(request_log.c.connector == connector)
    return query.order_by(request_log.c.sent_at, request_log.c.id)


# The counts of all requests to each system since the first start.

_OWNER = "traffic"


def add(connection: Connection, system: str, traffic: Traffic) -> None:
    """Add requests to a system's counts; concurrent callers wait until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:traffic', 0))"))
    known = _traffic(sweeps.load(connection, _OWNER, system) or {})
    total = merged_traffic((known, traffic))
    rows = {" ".join(key): {"counts": tally.counts, "seconds": tally.seconds} for key, tally in total.items()}
    sweeps.save(connection, _OWNER, system, rows)


def totals(connection: Connection) -> dict[str, Traffic]:
    """The counts, by the name of the connector."""
    query = select(cursors.c.subject, cursors.c.value).where(cursors.c.connector == _OWNER)
    return {row.subject: _traffic(row.value) for row in connection.execute(query)}


def _traffic(rows: dict[str, Any]) -> Traffic:
    """The stored tally, without counts in another release's buckets."""
    found: dict[tuple[str, str], Tally] = {}
    for name, row in rows.items():
        kind, _, status = name.partition(" ")
        if len(row["counts"]) == len(BOUNDS) + 1:
            found[kind, status] = Tally(tuple(row["counts"]), row["seconds"])
    return found


# The reachability of systems: written by every caller, read before each call.

CONFIRMED = 2
"""Consecutive failures after which an outage is shown, rather than one failed run."""


def load(connection: Connection, connector: str) -> Reachability:
    """How a system answered last; reachable before the first request."""
    row = connection.execute(select(*reachability.c).where(reachability.c.connector == connector)).mappings().first()
    return Reachability(**row) if row else Reachability(connector)


def active(connection: Connection) -> list[Reachability]:
    """The active systems, by name."""
    names = connection.execute(select(connectors.c.name).where(connectors.c.active).order_by(connectors.c.name))
    return [load(connection, name) for name in names.scalars().all()]


def systems(connection: Connection) -> list[System]:
    """The active systems by role: when each was last read successfully, and since when it fails.

    A successful read is a complete sweep or a read of the changes, because a system may answer and still refuse each of
    them. Failures with another token or URL do not count.
    """
    return [System(*row) for row in connection.execute(_SYSTEMS)]


def note_failure(
    connection: Connection,
    connector: str,
    at: datetime,
    problem: str,
    wait: timedelta | None,
    *,
    refused: bool = False,
) -> None:
    """Record that a system did not answer, asked for a pause, or rejected our token."""
    _save(connection, _locked(connection, connector).failed(at, problem, wait, refused=refused))


def note_success(connection: Connection, connector: str, at: datetime) -> None:
    """Record that a system answers. If that ends an outage, the days that waited for it are due at once."""
    before = _locked(connection, connector)
    _save(connection, Reachability(connector, at, updated_at=at))
    if before.failures >= CONFIRMED:
        day_requests.resume(connection, connector, at)


def _locked(connection: Connection, connector: str) -> Reachability:
    connection.execute(insert(reachability).values(connector=connector).on_conflict_do_nothing())
    connection.execute(select(reachability.c.connector).where(reachability.c.connector == connector).with_for_update())
    return load(connection, connector)


def _save(connection: Connection, state: Reachability) -> None:
    statement = insert(reachability).values(**asdict(state))
    values = {name: statement.excluded[name] for name in statement.excluded.keys() if name != "connector"}  # noqa: SIM118
    connection.execute(statement.on_conflict_do_update(index_elements=list(reachability.primary_key), set_=values))


_SYSTEMS = text(
    """
    SELECT c.role, c.name,
        GREATEST(
            (SELECT s.ended_at FROM sync.sweeps s WHERE s.connector = c.name AND s.complete ORDER BY s.id DESC LIMIT 1),
            (SELECT max(r.updated_at) FROM sync.cursors r WHERE r.connector = c.name)
        ) AS read_at,
        f.failing_since, f.updated_at AS failed_at, COALESCE(f.problem, '') AS problem, COALESCE(f.refused, false)
    FROM sync.connectors c
    LEFT JOIN sync.reachability f ON f.connector = c.name
        AND f.failing_since IS NOT NULL AND f.updated_at > c.updated_at
    WHERE c.active ORDER BY c.role, c.name
    """
)
