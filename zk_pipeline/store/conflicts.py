"""Queries on conflicts: what waits for a person, one open row for each line of the plan and reason."""

from collections.abc import Iterable
from datetime import date

from sqlalchemy import Connection, Row, func, select, text, tuple_, update

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.plan import Result, sentence
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import conflicts

_SUGGESTED = {
    Reason.DUPLICATE: Action.LINK,
    Reason.FUZZY_CANDIDATE: Action.LINK,
    Reason.DELETED_IN_ZAMMAD: Action.DELETE,
    Reason.BOTH_CHANGED: Action.UPDATE,
    Reason.KIMAI_EDITED: Action.UPDATE,
}


def replace_day(connection: Connection, connector: str, day: date, lines: Iterable[Result]) -> None:
    """Open a conflict for every line to be reviewed, refresh those that are open, expire those whose facts changed."""
    reviewed = [line for line in lines if line.action is Action.REVIEW and line.reason is not None]
    still_there = tuple_(conflicts.c.key, conflicts.c.reason).in_([(line.key, line.reason) for line in reviewed])
    expired = (
        (conflicts.c.connector == connector)
        & (conflicts.c.entry_date == day)
        & (conflicts.c.resolution_status == "open")
        & ~still_there
    )
    connection.execute(update(conflicts).where(expired).values(resolution_status="expired", closed_at=func.now()))
    open_lines(connection, connector, reviewed)


def open_lines(connection: Connection, connector: str, lines: Iterable[Result]) -> None:
    """Open a conflict for each of these lines, or refresh the open one of the same reason."""
    values = [
        {
            "connector": connector,
            "entry_date": line.entry_date,
            "key": line.key,
            "source_id": line.source_id,
            "kimai_id": line.kimai_id,
            "reason": line.reason,
            "text": sentence(line),
            "suggested_action": _SUGGESTED.get(line.reason, Action.REVIEW) if line.reason else Action.REVIEW,
            "facts_hash": line.facts_hash,
        }
        for line in lines
    ]
    if values:
        connection.execute(_OPEN, {"rows": to_json(values)})


def open_conflicts(connection: Connection, first: date | None = None, last: date | None = None) -> list[Row]:
    """The open conflicts of these days, oldest day first."""
    query = select(conflicts).where(conflicts.c.resolution_status == "open")
    if first is not None:
        query = query.where(conflicts.c.entry_date >= first)
    if last is not None:
        query = query.where(conflicts.c.entry_date <= last)
    return list(connection.execute(query.order_by(conflicts.c.entry_date, conflicts.c.id)))


# The index's condition stands here as a literal: as a parameter it would no longer fit once the statement is prepared.
_OPEN = text(
    """
    INSERT INTO sync.conflicts (
        connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash
    )
    SELECT connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash
    FROM jsonb_populate_recordset(NULL::sync.conflicts, CAST(:rows AS jsonb))
    ON CONFLICT (connector, key, reason) WHERE resolution_status = 'open' DO UPDATE SET
        entry_date = excluded.entry_date, kimai_id = excluded.kimai_id, text = excluded.text,
        suggested_action = excluded.suggested_action, facts_hash = excluded.facts_hash
    """
)
