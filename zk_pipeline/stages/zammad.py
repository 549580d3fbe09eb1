"""Reading the source's bookings of some days into the store, with proof of what was seen (docs/zammad.md §13)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.connectors.base import Certificate, SourceConnector
from zk_pipeline.connectors.errors import ProtocolError
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.records import Organization, SourceDirectory, Ticket, TimeAccounting
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import requests, sweeps
from zk_pipeline.store import source as rows

SUBJECT = "time_accountings"


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one extraction saw and did. `gone` are bookings that the source proved to be deleted."""

    certificate: Certificate
    tickets: int
    gone: tuple[int, ...]


def extract_directory(runtime: Runtime, source: SourceConnector) -> dict[str, int]:
    """Store the activity types, and who booked and is not known yet; returns how many of each are stored.

    People and organizations come with the bookings that name them, and nobody else is read: a help desk knows many
    more people than those who book.
    """
    name = source.endpoint.name
    with runtime.database.transaction() as connection:
        unknown = rows.unknown_agents(connection, name)
    types, people = source.fetch_types(), source.fetch_agents(unknown)
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, name, SourceDirectory(tuple(people), (), tuple(types)))
        stored = rows.load_directory(connection, name)
    return {
        "agents": len(stored.agents),
        "organizations": len(stored.organizations),
        "activity_types": len(types),
    }


def extract_bookings(runtime: Runtime, source: SourceConnector, first: date, last: date, run_id: str) -> Extraction:
    """Store every booking of these work days as the source has it now, with its ticket, agent and organization.

    A booking that a complete sweep did not meet is asked for by its id, and only a 404 marks it as gone. Pages are
    committed as they come: a failed page raises, and what was stored before it stays, since it is true.
    """
    name, zone = source.endpoint.name, runtime.settings.zone
    window = days_window(first, last, zone)
    with runtime.database.transaction() as connection:
        runtime.decided(connection)
        requests.take_on(connection, run_id, first, last)
        hint = sweeps.last_position(connection, name, SUBJECT, window)
        sweep_id = sweeps.begin_sweep(connection, name, SUBJECT, window, run_id)
    sweep = source.fetch(window, hint=hint)
    one_per_ticket: dict[int, TimeAccounting] = {}
    agent_ids: set[int] = set()
    for page in sweep.pages():
        with runtime.database.transaction() as connection:
            decided_id = runtime.decided(connection)
            days = _former_days(connection, name, page, first, last)
            requests.ask(connection, days, requests.FORMER_DAY)
            rows.save_bookings(connection, name, page, zone, sweep_id, decided_id)
        one_per_ticket.update((row.ticket_id, replace(row, raw={})) for row in page)
        agent_ids |= {row.agent_id for row in page}
    certificate = sweep.certificate
    tickets = source.fetch_tickets(one_per_ticket.values())
    people = SourceDirectory(tuple(source.fetch_agents(agent_ids)), _organizations(tickets), ())
    with runtime.database.transaction() as connection:
        rows.save_tickets(connection, name, tickets)
        rows.save_directory(connection, name, people)
        unseen = rows.unseen_bookings(connection, name, window, sweep_id)
    _refuse_emptiness(source, certificate, len(unseen))
    gone = tuple(id_ for id_ in unseen if certificate.complete and not source.exists(id_))
    with runtime.database.transaction() as connection:
        rows.mark_bookings_gone(connection, name, gone)
        days = {unseen[id_] for id_ in gone if not first <= unseen[id_] <= last}
        requests.ask(connection, days, requests.FORMER_DAY)
        sweeps.end_sweep(connection, sweep_id, certificate_values(certificate))
    return Extraction(certificate, len(tickets), gone)


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


def _organizations(tickets: Iterable[Ticket]) -> tuple[Organization, ...]:
    """The organizations that the tickets name, each once."""
    named = {row.organization_id: row.organization_name for row in tickets if row.organization_name}
    return tuple(Organization(id_, name, active=True) for id_, name in sorted(named.items()) if id_ is not None)


def _former_days(
    connection: Connection, name: str, page: Sequence[TimeAccounting], first: date, last: date
) -> set[date]:
    """The days outside of these on which bookings count that changed: they stayed there when the zone was changed."""
    known = rows.stored_bookings(connection, name, ids=[row.id for row in page])
    elsewhere = {row.id: row for row in known if not first <= row.work_day <= last}
    return {
        elsewhere[row.id].work_day
        for row in page
        if row.id in elsewhere and row.updated_at != elsewhere[row.id].updated_at
    }


def _refuse_emptiness(source: SourceConnector, certificate: Certificate, unseen: int) -> None:
    """A system that suddenly has no booking at all is taken for broken, never for emptied (docs/zammad.md §13)."""
    if certificate.total_before or not unseen:
        return
    raise ProtocolError(
        f"The list of bookings is empty, but {unseen} were there before.",
        system=source.kind,
        method="GET",
        path=SUBJECT,
        remedy="Check that the URL is the right system and that its data is complete; nothing was deleted here.",
    )
