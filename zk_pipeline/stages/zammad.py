"""Reading the source's bookings of some days into the store, with proof of what was seen (docs/zammad.md §13)."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.connectors.base import Certificate, SourceConnector
from zk_pipeline.connectors.errors import ProtocolError
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.records import Ticket, TimeAccounting, Unreadable
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import requests, sweeps
from zk_pipeline.store import source as rows

SUBJECT = "time_accountings"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one extraction saw and did. `gone` are bookings that the source proved to be deleted."""

    certificate: Certificate
    tickets: int
    gone: tuple[int, ...]


def extract_directory(runtime: Runtime, source: SourceConnector) -> dict[str, int]:
    """Store agents, organizations and types; returns their counts, `unreadable` ones with them."""
    directory = source.fetch_directory()
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, source.endpoint.name, directory)
    return {
        "agents": len(directory.agents),
        "organizations": len(directory.organizations),
        "activity_types": len(directory.activity_types),
        "unreadable": told(directory.unreadable),
    }


def told(unreadable: Iterable[Unreadable]) -> int:
    """Log what of a directory cannot be read; returns how much that is. What was stored of it before stays."""
    listed = list(unreadable)
    for row in listed:
        _log.warning("%s What was read of it before is kept. Correct it there.", row)
    return len(listed)


def extract_bookings(runtime: Runtime, source: SourceConnector, first: date, last: date, run_id: str) -> Extraction:
    """Store every booking of these work days as the source has it now, and the tickets they belong to.

    A booking that a complete sweep did not meet is asked for by its id, and only a 404 marks it as gone. Pages are
    committed as they come: a failed page raises, and what was stored before it stays, since it is true.
    """
    name, zone = source.endpoint.name, runtime.settings.zone
    window = days_window(first, last, zone)
    with runtime.database.transaction() as connection:
        requests.take_on(connection, run_id, first, last)
        hint = sweeps.last_position(connection, name, SUBJECT, window)
        sweep_id = sweeps.begin_sweep(connection, name, SUBJECT, window, run_id)
    sweep = source.fetch(window, hint=hint)
    one_per_ticket: dict[int, TimeAccounting] = {}
    for page in sweep.pages():
        with runtime.database.transaction() as connection:
            rows.save_bookings(connection, name, page, zone, sweep_id)
        one_per_ticket.update((row.ticket_id, replace(row, raw={})) for row in page)
    certificate = sweep.certificate
    tickets = source.fetch_tickets(one_per_ticket.values())
    with runtime.database.transaction() as connection:
        save_tickets(connection, runtime, name, tickets, run_over=(first, last))
        unseen = rows.unseen_bookings(connection, name, first, last, sweep_id)
    _refuse_emptiness(source, certificate, unseen)
    gone = tuple(id_ for id_ in unseen if certificate.complete and not source.exists(id_))
    with runtime.database.transaction() as connection:
        rows.mark_bookings_gone(connection, name, gone)
        sweeps.end_sweep(connection, sweep_id, certificate_values(certificate))
    return Extraction(certificate, len(tickets), gone)


def save_tickets(
    connection: Connection,
    runtime: Runtime,
    name: str,
    tickets: Sequence[Ticket],
    *,
    run_over: tuple[date, date] | None = None,
) -> list[date]:
    """Store tickets as they are, and ask for every day with bookings of one that went to another customer.

    Whoever stores the new customer first is the last to see the difference, so it asks for all of them, but for the
    days `run_over`, which are being run. Returns the days that were asked for.
    """
    moved = rows.reassigned(connection, name, tickets)
    rows.save_tickets(connection, name, tickets)
    days: dict[date, set[int]] = {}
    for booking in rows.stored_bookings(connection, name, ticket_ids=moved) if moved else ():
        is_run = run_over is not None and run_over[0] <= booking.work_day <= run_over[1]
        if booking.work_day >= runtime.settings.start_date and not is_run:
            days.setdefault(booking.work_day, set()).add(booking.ticket_id)
    requests.ask(connection, days, requests.TICKET, days)
    return sorted(days)


def certificate_values(certificate: Certificate) -> dict[str, Any]:
    """A certificate as the sweeps table keeps it."""
    return {
        "pages": certificate.pages,
        "rows": certificate.rows,
        "total_before": certificate.total_before,
        "total_after": certificate.total_after,
        "position": certificate.rows_before,
        "high_water": certificate.high_water,
        "complete": certificate.complete,
        "reason": certificate.reason,
    }


def _refuse_emptiness(source: SourceConnector, certificate: Certificate, unseen: Sequence[int]) -> None:
    """A system that suddenly has no booking at all is taken for broken, never for emptied (docs/zammad.md §13)."""
    if certificate.total_before or not unseen:
        return
    raise ProtocolError(
        f"The list of bookings is empty, but {len(unseen)} were there before.",
        system=source.kind,
        method="GET",
        path=SUBJECT,
        remedy="Check that the URL is the right system and that its data is complete; nothing was deleted here.",
    )
