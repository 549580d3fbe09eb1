"""Queries on the requests that were ever sent to each system: added up by whoever sent some, since the first start."""

from typing import Any

from sqlalchemy import Connection, select, text

from zk_pipeline.domain.traffic import BOUNDS, Tally, Traffic, together
from zk_pipeline.store import cursors as values
from zk_pipeline.store.tables import cursors

_OWNER = "traffic"


def add(connection: Connection, system: str, traffic: Traffic) -> None:
    """Add what was sent to a system; others who do so wait until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('zk:traffic', 0))"))
    known = _traffic(values.load(connection, _OWNER, system) or {})
    total = together((known, traffic))
    rows = {" ".join(key): {"counts": tally.counts, "seconds": tally.seconds} for key, tally in total.items()}
    values.save(connection, _OWNER, system, rows)


def totals(connection: Connection) -> dict[str, Traffic]:
    """What was sent, by the name of the connector."""
    query = select(cursors.c.subject, cursors.c.value).where(cursors.c.connector == _OWNER)
    return {row.subject: _traffic(row.value) for row in connection.execute(query)}


def _traffic(rows: dict[str, Any]) -> Traffic:
    """What was stored, without what another release counted in other classes."""
    found: dict[tuple[str, str], Tally] = {}
    for name, row in rows.items():
        kind, _, status = name.partition(" ")
        if len(row["counts"]) == len(BOUNDS) + 1:
            found[kind, status] = Tally(tuple(row["counts"]), row["seconds"])
    return found
