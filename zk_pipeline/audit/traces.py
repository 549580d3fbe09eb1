"""The history of a booking, of a ticket's bookings, or of a time sheet."""

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, false, select

from zk_pipeline.audit.trail import ADDRESS
from zk_pipeline.domain.adjustments import is_adjustment
from zk_pipeline.domain.ledger import MASTER_DATA
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.plan import MERGE
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.identity.actors import UnknownError
from zk_pipeline.runtime.dagster_server import run_url
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import request_log
from zk_pipeline.store.booking_decisions import corrections
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.database import by_source_id
from zk_pipeline.store.raw_tables import tickets, time_accountings, timesheets
from zk_pipeline.store.tables import (
    adjustments,
    audit_details,
    audit_logs,
    conflicts,
    normalized_entries,
    pushes,
    reconciliation_results,
    sync_runs,
    writes,
)

# None of these tables holds a secret: in the request log they are masked before it is stored.

MAX_DIGITS = 18
"""Ids of the target and of adjustments are shorter."""
_BOOKING = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")

Fields = dict[str, Any]
"""The columns of a stored row."""


class TraceError(Exception):
    """The reference is invalid or unknown; the message names it and the valid forms."""


@dataclass(frozen=True, slots=True)
class ConnectorNames:
    """The names of the source and target connectors."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything known about a booking, or about a time sheet without booking.

    `corrections` are the negative bookings of the same ticket, agent and type, and those paired with it by people;
    `adjustments` what was booked or credited for it after billing (of an adjustment, itself). `timesheets` are as last
    read. `ledger` has the requested values and, as its base, Kimai's answer; `writes` each row before and after.
    """

    source_id: str | None
    booking: Fields | None
    ticket: Fields | None
    entry: Fields | None
    corrections: list[Fields]
    adjustments: list[Fields]
    plan: list[Fields]
    conflicts: list[Fields]
    ledger: Fields | None
    timesheets: list[Fields]
    writes: list[Fields]
    requests: list[Fields]
    audit: list[Fields]
    runs: list[Fields]


def read_traces(connection: Connection, systems: ConnectorNames, reference: str) -> list[Trace]:
    """The traces of a booking (`123`), adjustment (`a5`), ticket (`#50001`) or time sheet (`kimai:7`).

    Raises `TraceError` if there is no such thing; the message names a ticket of this number, if that may be meant.
    """
    reference = reference.removeprefix(MERGE)
    if reference.startswith("kimai:"):
        kimai_id = _number(reference.removeprefix("kimai:"), reference)
        ids = _bookings_of_timesheet(connection, systems, kimai_id)
        found = [_trace(connection, systems, source_id) for source_id in ids] or [
            _trace(connection, systems, None, kimai_id)
        ]
    elif reference.startswith("#"):
        ids = _bookings_of_ticket(connection, systems, reference.removeprefix("#"))
        found = [_trace(connection, systems, source_id) for source_id in ids]
    else:
        if not _BOOKING.fullmatch(reference):
            raise _untraceable(reference)
        found = [_trace(connection, systems, reference)]
    known = [story for story in found if _is_known(story)]
    if not known:
        raise TraceError(_unknown(connection, systems, reference))
    return known


def _unknown(connection: Connection, systems: ConnectorNames, reference: str) -> str:
    """What there is not, and what may be meant or done."""
    if reference.startswith("kimai:"):
        return f"No time sheet {reference.removeprefix('kimai:')}. Sync its day if it was never read."
    if reference.startswith("#"):
        return f"No booking on ticket {reference}. Sync its days if they were never read."
    if is_adjustment(reference):
        return f"No adjustment {reference}. Trace the booking that was adjusted to see its adjustments."
    if _bookings_of_ticket(connection, systems, reference):
        return f"No booking {reference}. Did you mean ticket #{reference}?"
    return f"No booking {reference}. Sync its day if it was never read; write a ticket with #, a time sheet as kimai:7."


def _trace(
    connection: Connection, systems: ConnectorNames, source_id: str | None, kimai_id: int | None = None
) -> Trace:
    booking_id = source_id if source_id and not is_adjustment(source_id) else None
    booking = _first(connection, _by_id(time_accountings, systems.source, booking_id))
    ledger = _first(
        connection, select(pushes).where(pushes.c.connector == systems.target, pushes.c.source_id == source_id)
    )
    written = _all(connection, _writes(systems, source_id, kimai_id))
    sent = _all(connection, _requests(systems, source_id, kimai_id))
    bound = {row["kimai_id"] for row in (*written, *([ledger] if ledger else [])) if row["kimai_id"]}
    bound |= {kimai_id} if kimai_id else set()
    keys = [*([source_id] if source_id else []), *(f"kimai:{id_}" for id_ in sorted(bound))]
    plan = _all(connection, _about(reconciliation_results, systems, source_id, keys))
    disputes = _all(connection, _about(conflicts, systems, source_id, keys).order_by(conflicts.c.id))
    sheets = bound | {row["kimai_id"] for row in (*plan, *disputes) if row["kimai_id"]}
    adjusted = _all(connection, _adjustments(systems, source_id))
    subjects = [f"timesheet:{id_}" for id_ in bound] + [f"conflict:{row['id']}" for row in disputes]
    subjects += [f"adjustment:{row['id']}" for row in adjusted]
    if booking:  # What was written into its ticket.
        subjects.append(f"ticket:{booking['ticket_id']}")
        sent += _all(connection, request_log.of_booking(systems.source, subjects[-1]))
    events = _all(connection, _events([*subjects, f"booking:{source_id}"]))
    ran = {row["run_id"] for row in (*plan, *written, *sent, *events, *([ledger] if ledger else [])) if row["run_id"]}
    return Trace(
        source_id=source_id,
        booking=booking,
        ticket=_without_raw(
            _first(connection, _by_id(tickets, systems.source, booking["ticket_id"] if booking else None))
        ),
        entry=_first(connection, _entry(systems, source_id)),
        corrections=_all(connection, _corrections(systems, booking)) if booking else [],
        adjustments=adjusted,
        plan=plan,
        conflicts=disputes,
        ledger=ledger,
        timesheets=_all(connection, _timesheets(systems, sheets)),
        writes=written,
        requests=sent,
        audit=events,
        runs=_all(connection, select(sync_runs).where(sync_runs.c.run_id.in_(ran)).order_by(sync_runs.c.started_at)),
    )


def _bookings_of_ticket(connection: Connection, systems: ConnectorNames, number: str) -> list[str]:
    query = (
        select(time_accountings.c.id)
        .join(
            tickets,
            (tickets.c.connector == time_accountings.c.connector) & (tickets.c.id == time_accountings.c.ticket_id),
        )
        .where(time_accountings.c.connector == systems.source, tickets.c.number == number)
        .order_by(*by_source_id(time_accountings.c.id))
    )
    return list(connection.execute(query).scalars())


def _bookings_of_timesheet(connection: Connection, systems: ConnectorNames, kimai_id: int) -> list[str]:
    """The bookings of a time sheet, by the ledger, the writes, or the marker in its description."""
    ledger = select(pushes.c.source_id).where(pushes.c.connector == systems.target, pushes.c.kimai_id == kimai_id)
    written = select(writes.c.source_id).where(
        writes.c.connector == systems.target,
        writes.c.kimai_id == kimai_id,
        writes.c.operation.not_in(MASTER_DATA),
        writes.c.source_id.is_not(None),
    )
    text = select(timesheets.c.description).where(timesheets.c.connector == systems.target, timesheets.c.id == kimai_id)
    found = set(connection.execute(ledger.union(written)).scalars())
    description = connection.execute(text).scalar() or ""
    found |= set(marked_ids(description, systems.source))
    return sorted(found, key=source_id_order)


def _by_id(table: Table, connector: str, row_id: str | None) -> Select[Any]:
    return select(table).where(table.c.connector == connector, table.c.id == row_id)


def _entry(systems: ConnectorNames, source_id: str | None) -> Select[Any]:
    table = normalized_entries
    return select(table).where(table.c.source == systems.source, table.c.source_id == source_id)


def _corrections(systems: ConnectorNames, booking: Fields) -> Select[Any]:
    table, pairs = time_accountings, corrections.c
    of_the_group = (
        (table.c.ticket_id == booking["ticket_id"])
        & (table.c.agent_id == booking["agent_id"])
        & table.c.type_id.is_not_distinct_from(booking["type_id"])
    )
    paired = select(pairs.correction_id).where(pairs.source == systems.source, pairs.reduced_id == booking["id"])
    meant = of_the_group | table.c.id.in_(paired)
    return (
        select(table)
        .where(table.c.connector == systems.source, meant, table.c.units < 0)
        .order_by(*by_source_id(table.c.id))
    )


def _adjustments(systems: ConnectorNames, source_id: str | None) -> Select[Any]:
    """The adjustments of a booking; of an adjustment, itself and its own. Without the copy of the entry."""
    table = adjustments
    adjusts = source_id is not None and is_adjustment(source_id) and len(source_id) <= MAX_DIGITS
    own = table.c.id == int(source_id[1:]) if source_id and adjusts else false()
    columns = [column for column in table.c if column.name not in {"connector", "original"}]
    query = select(*columns).where(table.c.connector == systems.source, (table.c.source_id == source_id) | own)
    return query.order_by(table.c.id)


def _about(table: Table, systems: ConnectorNames, source_id: str | None, keys: Collection[str]) -> Select[Any]:
    return select(table).where(
        table.c.connector == systems.target, (table.c.source_id == source_id) | table.c.key.in_(keys)
    )


def _timesheets(systems: ConnectorNames, ids: Collection[int]) -> Select[Any]:
    query = select(timesheets).where(timesheets.c.connector == systems.target, timesheets.c.id.in_(ids))
    return query.order_by(timesheets.c.id)


def _writes(systems: ConnectorNames, source_id: str | None, kimai_id: int | None) -> Select[Any]:
    mine = writes.c.source_id == source_id if source_id else writes.c.kimai_id == kimai_id
    query = select(writes).where(writes.c.connector == systems.target, writes.c.operation.not_in(MASTER_DATA), mine)
    return query.order_by(writes.c.id)


def _requests(systems: ConnectorNames, source_id: str | None, kimai_id: int | None) -> Select[Any]:
    if source_id is not None:
        return request_log.of_booking(systems.target, source_id)
    return request_log.of_timesheet(systems.target, kimai_id or 0)


def _events(subjects: Collection[str]) -> Select[Any]:
    columns = (audit_logs.c.id, audit_logs.c.event, audit_logs.c.actor, audit_logs.c.subject, audit_logs.c.run_id)
    return (
        # Client addresses are left out.
        select(*columns, audit_logs.c.created_at, audit_details.c.detail.op("-")(ADDRESS).label("detail"))
        .outerjoin(audit_details, audit_details.c.id == audit_logs.c.id)
        .where(audit_logs.c.subject.in_(subjects))
        .order_by(audit_logs.c.id)
    )


def _is_known(story: Trace) -> bool:
    return any(
        (
            story.booking,
            story.entry,
            story.adjustments,
            story.plan,
            story.ledger,
            story.timesheets,
            story.writes,
            story.requests,
        )
    )


def _number(text: str, reference: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise _untraceable(reference)
    return int(text)


def _untraceable(reference: str) -> TraceError:
    return TraceError(
        f"{reference!r} cannot be traced. Write 123 for a booking, a5 for an adjustment, "
        "'#50001' for a ticket, kimai:7 for a time sheet."
    )


def _first(connection: Connection, query: Select[Any]) -> Fields | None:
    row = connection.execute(query).mappings().first()
    return dict(row) if row else None


def _all(connection: Connection, query: Select[Any]) -> list[Fields]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _without_raw(row: Fields | None) -> Fields | None:
    return {name: value for name, value in row.items() if name != "raw"} if row else None


def find_traces(runtime: Runtime, reference: str) -> list[Fields]:
    """The traces as plain values, with links to their runs. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        try:
            found = read_traces(connection, ConnectorNames(names.source, names.target), reference)
        except TraceError as error:
            raise UnknownError(str(error)) from error
    base = runtime.settings.dagster_link
    return [
        {**asdict(story), "runs": [{**run, "url": run_url(base, run["run_id"])} for run in story.runs]}
        for story in found
    ]
