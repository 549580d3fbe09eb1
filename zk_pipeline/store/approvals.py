"""Approvals: which lines of a day's plan somebody approved, by hashes, and their state.

A line is `open` until it is `spent` (the target accepted or refused the write), `revoked` by an undo of its day, or
`lapsed` because the plan changed before it was carried out. No line is open twice.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import ColumnElement, Connection, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql

from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.store.tables import approvals, approved_lines, pushes

_line = approved_lines.c
_OPEN = _line.state == "open"


@dataclass(frozen=True, slots=True)
class ApprovedLine:
    """A line that may be written: the hash of what it writes, who approved it, and when (UTC)."""

    id: int
    line_hash: str
    approved_by: str
    approved_at: datetime


def of_days(connection: Connection, connector: str, first: date, last: date) -> dict[date, dict[str, ApprovedLine]]:
    """The open lines of these days, by day and key."""
    query = (
        select(_line.entry_date, _line.key, _line.id, _line.line_hash, approvals.c.approved_by, approvals.c.approved_at)
        .join(approvals, approvals.c.id == _line.approval_id)
        .where(_OPEN, _line.connector == connector, _line.entry_date.between(first, last))
    )
    found: dict[date, dict[str, ApprovedLine]] = {}
    for day, key, line_id, line_hash, actor, at in connection.execute(query):
        found.setdefault(day, {})[key] = ApprovedLine(line_id, line_hash, actor, at.astimezone(UTC))
    return found


def give(
    connection: Connection, connector: str, day: date, lines: Mapping[str, str], plan_hash: str, actor: str
) -> int:
    """Approve these lines of a day (key to the hash of what it writes); returns how many were new.

    Lock the rows of the plan first (`plans.lock_days`), so that concurrent approvals wait for each other.
    """
    of_lines = _OPEN & (_line.connector == connector) & (_line.entry_date == day) & _line.key.in_(lines)
    before = {row.key: row.line_hash for row in connection.execute(select(_line.key, _line.line_hash).where(of_lines))}
    new = {key: line_hash for key, line_hash in lines.items() if before.get(key) != line_hash}
    if not new:
        return 0
    _end(connection, of_lines & _line.key.in_(new), "lapsed", actor)
    given = {"connector": connector, "entry_date": day}
    act = insert(approvals).values(**given, lines=new, plan_hash=plan_hash, approved_by=actor)
    approval_id = connection.execute(act.returning(approvals.c.id)).scalar_one()
    rows = [{**given, "approval_id": approval_id, "key": key, "line_hash": line_hash} for key, line_hash in new.items()]
    connection.execute(postgresql.insert(approved_lines), rows)
    return len(new)


def spend(connection: Connection, connector: str, lines: Iterable[PlanLine], run_id: str) -> None:
    """End the approvals of lines that the target answered: written or refused."""
    keys: dict[date, list[str]] = {}
    for line in lines:
        keys.setdefault(line.entry_date, []).append(line.key)
    for day, of_day in keys.items():
        about = (_line.connector == connector) & (_line.entry_date == day) & _line.key.in_(of_day)
        _end(connection, _OPEN & about, "spent", run_id)


def revoke(connection: Connection, connector: str, day: date, run_id: str) -> None:
    """End all approvals of a day: one of its writes was undone, so its plan is no longer the approved one."""
    _end(connection, _OPEN & (_line.connector == connector) & (_line.entry_date == day), "revoked", run_id)


def lapse(connection: Connection, ids: Collection[int], run_id: str) -> None:
    """End those approvals that a finished run neither carried out nor left with an unknown outcome."""
    if not ids:
        return
    in_doubt = exists().where(
        pushes.c.connector == _line.connector,
        pushes.c.source_id == _line.key,
        pushes.c.state.in_([PushState.INTENDED, PushState.FAILED]),
    )
    _end(connection, _OPEN & _line.id.in_(ids) & ~in_doubt, "lapsed", run_id)


def _end(connection: Connection, which: ColumnElement[bool], state: str, by: str) -> None:
    ended = {"state": state, "ended_by": by, "ended_at": func.now()}
    connection.execute(update(approved_lines).where(which).values(**ended))
