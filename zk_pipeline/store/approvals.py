"""Queries on approvals: which lines of a day's plan somebody allowed to be written, by their hashes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from zk_pipeline.store.tables import approvals


@dataclass(frozen=True, slots=True)
class Approval:
    """What somebody allowed of a day: key to hash of each line, the hash of them all, who it was, and when, in UTC."""

    lines: Mapping[str, str]
    plan_hash: str
    approved_by: str
    approved_at: datetime


def of_day(connection: Connection, connector: str, day: date) -> dict[str, str]:
    """The approved lines of a day: key to hash. Empty without an approval."""
    query = select(approvals.c.lines).where(approvals.c.connector == connector, approvals.c.entry_date == day)
    return connection.execute(query).scalar() or {}


def of_days(connection: Connection, connector: str, first: date, last: date) -> dict[date, Approval]:
    """The approvals of these days, by day."""
    row = approvals.c
    query = select(row.entry_date, row.lines, row.plan_hash, row.approved_by, row.approved_at).where(
        row.connector == connector, row.entry_date.between(first, last)
    )
    return {
        day: Approval(lines, plan_hash, actor, at.astimezone(UTC))
        for day, lines, plan_hash, actor, at in connection.execute(query)
    }


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
