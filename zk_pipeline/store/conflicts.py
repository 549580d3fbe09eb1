"""Queries on conflicts: what waits for a person, one open row for each line of the plan and reason."""

from collections.abc import Iterable, Sequence
from datetime import date

from sqlalchemy import Connection, Row, func, select, text, tuple_, update

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import Result, sentence
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import Choice, Resolution, allowed
from zk_pipeline.store import audit, requests
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import conflicts


class DecisionError(Exception):
    """A decision cannot be taken; the message names the conflict, the value and what is possible."""


def replace_day(connection: Connection, connector: str, day: date, lines: Sequence[Result]) -> None:
    """Bring the day's conflicts in line with its plan.

    A conflict is opened for every line to be reviewed; those whose facts changed expire, decided ones too; a decision
    that needs no write is carried out by being in the plan.
    """
    reviewed = [line for line in lines if line.action is Action.REVIEW and line.reason is not None]
    decided = [line for line in lines if line.decided]
    of_day = (conflicts.c.connector == connector) & (conflicts.c.entry_date == day)
    line_of = tuple_(conflicts.c.key, conflicts.c.reason)
    gone = ((conflicts.c.resolution_status == "open") & ~line_of.in_([(row.key, row.reason) for row in reviewed])) | (
        (conflicts.c.resolution_status == "decided") & ~line_of.in_([(row.key, row.reason) for row in decided])
    )
    connection.execute(update(conflicts).where(of_day & gone).values(resolution_status="expired", closed_at=func.now()))
    carry_out(connection, connector, [line for line in decided if line.action is Action.NONE])
    open_lines(connection, connector, reviewed)


def resolutions_of_day(connection: Connection, connector: str, day: date) -> list[Resolution]:
    """The decisions that people took about lines of this day, in the order in which the conflicts arose."""
    query = select(conflicts).where(
        conflicts.c.connector == connector,
        conflicts.c.entry_date == day,
        conflicts.c.resolution_status.in_(["decided", "carried_out"]),
        conflicts.c.decision.is_not(None),
    )
    return [
        Resolution(
            row.key, Reason(row.reason), Choice(row.decision), row.facts_hash, timesheet_id=row.decision_timesheet_id
        )
        for row in connection.execute(query.order_by(conflicts.c.id))
    ]


def carry_out(connection: Connection, connector: str, lines: Iterable[Result]) -> None:
    """Close the decided conflicts of these lines: what was decided is done."""
    done = [(line.key, line.reason) for line in lines if line.decided]
    connection.execute(
        update(conflicts)
        .where(
            conflicts.c.connector == connector,
            conflicts.c.resolution_status == "decided",
            tuple_(conflicts.c.key, conflicts.c.reason).in_(done),
        )
        .values(resolution_status="carried_out", closed_at=func.now())
    )


def decide(
    connection: Connection, conflict_id: int, choice: Choice, *, actor: str, timesheet_id: int | None = None
) -> Row:
    """Take a decision on an open conflict, record it, and ask for its day again; returns the conflict.

    Two at once: the first one holds, the second is told. Raises `DecisionError`.
    """
    query = select(conflicts).where(conflicts.c.id == conflict_id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise DecisionError(f"There is no conflict {conflict_id}. zk conflicts list shows those that are open.")
    if row.resolution_status != "open":
        by = f", {row.decision} by {row.decided_by}" if row.decision else ""
        raise DecisionError(f"Conflict {conflict_id} is no longer open ({row.resolution_status}{by}).")
    reason = Reason(row.reason)
    possible = allowed(reason, Status(row.status))
    if choice not in possible:
        raise DecisionError(
            f"Conflict {conflict_id} ({reason}) cannot be resolved by {choice}; possible: {', '.join(possible)}."
        )
    if choice is Choice.LINK and timesheet_id is None and row.kimai_id is None:
        raise DecisionError(f"Conflict {conflict_id} has several candidates: name one with --timesheet. {row.text}")
    connection.execute(
        update(conflicts)
        .where(conflicts.c.id == conflict_id)
        .values(
            resolution_status="decided",
            decision=choice,
            decision_timesheet_id=timesheet_id,
            decided_by=actor,
            decided_at=func.now(),
        )
    )
    detail = {"reason": reason, "decision": choice, "day": str(row.entry_date), "timesheet": timesheet_id}
    audit.append(connection, [AuditEvent("conflict.decided", actor, f"conflict:{conflict_id}", detail)])
    requests.ask(connection, [row.entry_date], "decision")
    return row


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
            "suggested_action": next(iter(allowed(line.reason, line.status)), "") if line.reason else "",
            "status": line.status,
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
        connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status
    )
    SELECT connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status
    FROM jsonb_populate_recordset(NULL::sync.conflicts, CAST(:rows AS jsonb))
    ON CONFLICT (connector, key, reason) WHERE resolution_status = 'open' DO UPDATE SET
        entry_date = excluded.entry_date, kimai_id = excluded.kimai_id, text = excluded.text,
        suggested_action = excluded.suggested_action, facts_hash = excluded.facts_hash, status = excluded.status
    """
)
