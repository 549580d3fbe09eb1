"""The journal of what is written into tickets, and the facts that decide about it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, text, update

from zk_pipeline.domain.write_back import (
    Because,
    JournalRow,
    Standing,
    TicketMonth,
    WriteBackLine,
    WriteBackState,
    WriteKind,
    WriteOperation,
)
from zk_pipeline.store.connectors import ActiveConnectors
from zk_pipeline.store.database import among
from zk_pipeline.store.tables import write_backs

# The facts: the time of each ticket in each month that is closed, or of which something is exported.
#
# A merged ticket's time counts for the one that it was merged into, as there people look.

_FACTS = text(
    """
    WITH closed AS (SELECT id, month, statement_hash FROM sync.periods WHERE reopened_at IS NULL),
    booked AS (
        SELECT entries.source_id, date_trunc('month', entries.entry_date)::date AS month, entries.ticket_number,
            COALESCE(again.merged_into, merged.merged_into, entries.ticket_id) AS ticket_id, sheets.id AS sheet,
            sheets.billable, sheets.exported, sheets.duration_seconds, projects.customer_id,
            entries.time_minutes <> 0 AND sheets.id IS NULL
                AND COALESCE(lines.decided, '') <> 'ignore' AND COALESCE(lines.status, '') <> 'excluded' AS waits
        FROM sync.normalized_entries entries
        LEFT JOIN zammad.tickets merged ON merged.connector = :source AND merged.id = entries.ticket_id
        LEFT JOIN zammad.tickets again ON again.connector = :source AND again.id = merged.merged_into
        LEFT JOIN sync.pushes bound ON bound.connector = :target AND bound.source_id = entries.source_id
        LEFT JOIN kimai.timesheets sheets
            ON sheets.connector = :target AND sheets.id = bound.kimai_id AND sheets.gone_at IS NULL
        LEFT JOIN kimai.projects projects ON projects.connector = :target AND projects.id = sheets.project_id
        LEFT JOIN sync.reconciliation_results lines ON lines.connector = :target
            AND lines.entry_date = entries.entry_date AND lines.key = entries.source_id
        WHERE entries.source = :source AND entries.entry_date >= :since
    )
    SELECT booked.ticket_id::text AS ticket_id, COALESCE(max(tickets.number), max(booked.ticket_number)) AS number,
        booked.month, round(COALESCE(sum(duration_seconds) FILTER (WHERE billable), 0)::numeric / 60, 4) AS minutes,
        count(sheet) FILTER (WHERE billable) AS sheets, count(sheet) FILTER (WHERE billable AND exported) AS exported,
        count(*) FILTER (WHERE waits) AS waiting, COALESCE(max(closed.statement_hash), '') AS closing,
        COALESCE(max(closed.id), 0) AS closing_id,
        CASE WHEN count(DISTINCT booked.customer_id) FILTER (WHERE billable) = 1
            THEN max(booked.customer_id) FILTER (WHERE billable) END AS customer_id
    FROM booked
    LEFT JOIN closed ON closed.month = booked.month
    LEFT JOIN zammad.tickets tickets ON tickets.connector = :source AND tickets.id = booked.ticket_id
    GROUP BY booked.ticket_id, booked.month
    HAVING max(closed.statement_hash) IS NOT NULL OR bool_or(exported)
    """
)


@dataclass(frozen=True, slots=True)
class Booked:
    """The time of a ticket in a month, and the customer of its billable time sheets, if that is one."""

    fact: TicketMonth
    customer_id: int | None


def booked(connection: Connection, names: ActiveConnectors, since: date) -> list[Booked]:
    """The tickets of months that are closed, or that have exported time sheets."""
    rows = connection.execute(_FACTS, {"source": names.source, "target": names.target, "since": since}).mappings()
    return [Booked(TicketMonth(**{name: row[name] for name in _OF_FACT}), row["customer_id"]) for row in rows]


_OF_FACT = ("ticket_id", "number", "month", "minutes", "sheets", "exported", "waiting", "closing", "closing_id")

_FACTS_VERSION = text(
    """
    SELECT concat_ws('/',
        (SELECT concat_ws(',', count(*), count(reopened_at)) FROM sync.periods),
        (SELECT max(updated_at) FROM sync.sync_runs),
        (SELECT concat_ws(',', count(*), max(updated_at)) FROM sync.write_backs WHERE connector = :source))
    """
)


def facts_version(connection: Connection, source: str) -> str:
    """A text that changes when the facts may have changed: by a run, a closing, an approval or a write."""
    return connection.execute(_FACTS_VERSION, {"source": source}).scalar_one()


# The journal: intent before a request, the outcome after it.

_row = write_backs.c
_OPEN = (WriteBackState.APPROVED, WriteBackState.INTENDED)


def rows(connection: Connection, source: str, *states: WriteBackState) -> list[JournalRow]:
    """The rows in these states, oldest first."""
    return _read(connection, _all(source).where(_row.state.in_(states)))


def of_run(connection: Connection, source: str, run_id: str) -> list[JournalRow]:
    """What a run wrote; the id may be its beginning."""
    return _read(connection, _all(source).where(_row.run_id.startswith(run_id, autoescape=True)))


def of_ticket(source: str, ticket_id: str) -> Select[Any]:
    """The rows of a ticket, oldest first."""
    return select(write_backs).where(_row.connector == source, _row.ticket_id == ticket_id).order_by(_row.id)


def by_id(connection: Connection, source: str, row_id: int) -> JournalRow | None:
    """One row."""
    return next(iter(_read(connection, _all(source).where(_row.id == row_id))), None)


def page(connection: Connection, source: str, limit: int) -> list[JournalRow]:
    """The newest rows."""
    query = _all(source).order_by(None).order_by(_row.updated_at.desc(), _row.id.desc()).limit(limit)
    return _read(connection, query)


def standing(connection: Connection, source: str) -> list[Standing]:
    """What stands in tickets by the journal."""
    query = _all(source).where(_row.state == WriteBackState.CONFIRMED, _row.operation == WriteOperation.ADD)
    return [
        Standing(row.id, row.line.ticket_id, row.line.number, row.line.month, row.line.kind, row.line.content, row.ours)
        for row in _read(connection, query)
    ]


def approve(connection: Connection, source: str, lines: Iterable[WriteBackLine], actor: str) -> int:
    """Record that a person approved these lines; those that are approved or under way stay. Returns the number."""
    known = set(
        connection.execute(select(_row.facts_hash).where(_row.connector == source, _row.state.in_(_OPEN))).scalars()
    )
    values = [
        {**_values(source, line), "state": WriteBackState.APPROVED, "approved_by": actor}
        for line in lines
        if line.facts_hash not in known
    ]
    if values:
        connection.execute(insert(write_backs), values)
    return len(values)


def intend(connection: Connection, source: str, line: WriteBackLine, run_id: str, remote_id: str | None) -> int:
    """Record that a request is about to be sent; must be committed before. Returns the row's id."""
    sent = {"state": WriteBackState.INTENDED, "run_id": run_id, "intended_at": func.now(), "updated_at": func.now()}
    known = _known(connection, source, line)
    if known is None:
        values = {**_values(source, line), **sent, "attempts": 1, "remote_id": remote_id}
        return connection.execute(insert(write_backs).values(values).returning(_row.id)).scalar_one()
    again = {**sent, "attempts": _row.attempts + 1, "remote_id": remote_id, "message": ""}
    again |= {"content": line.content, "minutes": line.minutes}
    connection.execute(update(write_backs).where(_row.id == known).values(again))
    return known


def confirm(
    connection: Connection,
    source: str,
    line: WriteBackLine,
    run_id: str,
    *,
    ours: bool = True,
    remote_id: str | None = None,
) -> int:
    """Record that it is as wanted, and that what it takes back is not there any more. Returns the row's id."""
    values = {
        "state": WriteBackState.CONFIRMED,
        "run_id": run_id,
        "ours": ours,
        "message": "",
        "updated_at": func.now(),
    }
    values |= {"remote_id": remote_id} if remote_id else {}
    known = _known(connection, source, line)
    if known is None:
        made = insert(write_backs).values({**_values(source, line), **values}).returning(_row.id)
        known = connection.execute(made).scalar_one()
    else:
        connection.execute(update(write_backs).where(_row.id == known).values(values))
    if line.replaces is not None:
        gone = WriteBackState.UNDONE if line.because is Because.UNDONE else WriteBackState.REMOVED
        taken = update(write_backs).where(_row.id == line.replaces, _row.connector == source)
        connection.execute(taken.values(state=gone, updated_at=func.now()))
    return known


def refuse(connection: Connection, source: str, line: WriteBackLine, run_id: str, message: str) -> None:
    """Record that the source refused it."""
    values = {"state": WriteBackState.FAILED, "message": message, "run_id": run_id, "updated_at": func.now()}
    known = _known(connection, source, line)
    if known is None:
        connection.execute(insert(write_backs).values({**_values(source, line), **values, "attempts": 1}))
    else:
        connection.execute(update(write_backs).where(_row.id == known).values(values))


def lapse(connection: Connection, ids: Collection[int], message: str) -> None:
    """Record that these were never written, and will not be on this approval or intent."""
    values = {"state": WriteBackState.LAPSED, "message": message, "updated_at": func.now()}
    connection.execute(update(write_backs).where(among(_row.id, ids)).values(values))


def _known(connection: Connection, source: str, line: WriteBackLine) -> int | None:
    """The row that this write continues: approved, under way, or refused before."""
    states = (*_OPEN, WriteBackState.FAILED)
    query = select(_row.id).where(_row.connector == source, _row.facts_hash == line.facts_hash, _row.state.in_(states))
    return connection.execute(query.order_by(_row.id.desc()).limit(1)).scalar()


def _values(source: str, line: WriteBackLine) -> dict[str, Any]:
    return {
        "connector": source,
        "ticket_id": line.ticket_id,
        "ticket_number": line.number,
        "kind": line.kind,
        "month": line.month,
        "operation": line.operation,
        "content": line.content,
        "because": line.because,
        "minutes": line.minutes,
        "facts_hash": line.facts_hash,
        "replaces": line.replaces,
    }


def _all(source: str) -> Select[Any]:
    return select(write_backs).where(_row.connector == source).order_by(_row.id)


def _read(connection: Connection, query: Select[Any]) -> list[JournalRow]:
    return [_journal_row(row) for row in connection.execute(query)]


def _journal_row(row: Row) -> JournalRow:
    line = WriteBackLine(
        row.ticket_id,
        row.ticket_number,
        row.month,
        WriteKind(row.kind),
        WriteOperation(row.operation),
        row.content,
        Because(row.because),
        row.minutes,
        row.facts_hash,
        row.replaces,
    )
    return JournalRow(
        id=row.id,
        line=line,
        state=WriteBackState(row.state),
        ours=row.ours,
        remote_id=row.remote_id,
        approved_by=row.approved_by,
        message=row.message,
        attempts=row.attempts,
        run_id=row.run_id,
        intended_at=row.intended_at and row.intended_at.astimezone(UTC),
        updated_at=row.updated_at.astimezone(UTC),
    )
