"""Queries on approvals: which lines of a day's plan somebody allowed to be written, by their hashes."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.tables import approvals


def of_day(connection: Connection, connector: str, day: date) -> dict[str, str]:
    """The approved lines of a day: key to hash. Empty without an approval."""
    query = select(approvals.c.lines).where(approvals.c.connector == connector, approvals.c.entry_date == day)
    return connection.execute(query).scalar() or {}


def hashes(connection: Connection, connector: str, first: date, last: date) -> dict[date, str]:
    """The hashes of the plans that were approved, by day."""
    query = select(approvals.c.entry_date, approvals.c.plan_hash).where(
        approvals.c.connector == connector, approvals.c.entry_date.between(first, last)
    )
    return {row.entry_date: row.plan_hash for row in connection.execute(query)}


def save(
    connection: Connection, connector: str, day: date, lines: Mapping[str, str], plan_hash: str, actor: str
) -> None:
    """Approve these lines of a day; an earlier approval of the day is replaced."""
    statement = insert(approvals).values(
        connector=connector, entry_date=day, lines=dict(lines), plan_hash=plan_hash, approved_by=actor
    )
    changed = {name: statement.excluded[name] for name in ("lines", "plan_hash", "approved_by")}
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(approvals.primary_key), set_={**changed, "approved_at": func.now()}
        )
    )
