"""Reading the source's bookings of some days into the store, with proof of completeness (docs/zammad.md §13)."""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import SourceConnector, Sweep, SweepReport
from zk_pipeline.connectors.errors import ProtocolError
from zk_pipeline.domain.adjustments import is_adjustment
from zk_pipeline.domain.attributes import named_by
from zk_pipeline.domain.changed_days import KnownBooking
from zk_pipeline.domain.instants import days_window, local_day
from zk_pipeline.domain.records import (
    BookingKey,
    Existence,
    Organization,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Unreadable,
)
from zk_pipeline.domain.write_protection import WriteProtection, first_open_day
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages import second_look
from zk_pipeline.store import day_requests, periods, stored_settings, sweeps
from zk_pipeline.store import source as rows
from zk_pipeline.store import tickets as stored_tickets

SUBJECT = "time_accountings"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceRead:
    """The result of one read: the bookings by the day that they count on, without raw payload, and their tickets.

    `gone` are bookings that the source proved to be deleted.
    """

    report: SweepReport
    bookings: Mapping[date, Sequence[TimeAccounting]]
    tickets: Mapping[str, Ticket]
    gone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A span that a system confirmed as it was last read, and when it was asked, by the database's clock."""

    report: SweepReport
    asked_at: datetime

    def record(self, connection: Connection, name: str, subject: str, run_id: str) -> int:
        """Store the report as that of a sweep; returns its id."""
        window = self.report.window
        sweep_id = sweeps.begin_sweep(connection, name, subject, window, run_id, started_at=self.asked_at)
        sweeps.end_sweep(connection, sweep_id, report_values(self.report))
        return sweep_id


def extract_directory(runtime: Runtime, source: SourceConnector) -> dict[str, int]:
    """Store the activity types, and agents with bookings that are not known yet; returns how many of each are stored.

    Other people and organizations come with the bookings that name them, because a help desk knows many more people
    than those who book. `unreadable` counts rows that could not be read.
    """
    name = source.endpoint.name
    with runtime.database.transaction() as connection:
        unknown = rows.unlisted_agents(connection, name)
    read = source.fetch_types().joined(source.fetch_agents(unknown))
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, name, read)
        stored = rows.load_directory(connection, name)
    return {
        "agents": len(stored.agents),
        "organizations": len(stored.organizations),
        "activity_types": len(read.activity_types),
        "unreadable": log_unreadable(read.unreadable),
    }


def log_unreadable(unreadable: Iterable[Unreadable]) -> int:
    """Log the unreadable rows of a directory; returns their number. What was stored of them before stays."""
    listed = list(unreadable)
    for row in listed:
        _log.warning("%s The version read before is kept. Correct it there.", row)
    return len(listed)


def extract_bookings(runtime: Runtime, source: SourceConnector, first: date, last: date, run_id: str) -> SourceRead:
    """Store every booking of these work days as the source has it now, with its ticket, agent and organization.

    A booking that is missing in a complete sweep is asked for alone, and only the source's proof marks it as gone. A
    failed page raises; the pages before it were committed as they arrived, and stay, because they are correct.
    """
    name, zone = source.endpoint.name, runtime.settings.zone
    window = days_window(first, last, zone)
    with runtime.database.transaction() as connection:
        runtime.decided(connection)
        day_requests.attach(connection, run_id, first, last)
        hint = sweeps.last_position(connection, name, SUBJECT, window)
        sweep_id = sweeps.begin_sweep(connection, name, SUBJECT, window, run_id)
    sweep = source.fetch(window, hint=hint)
    one_per_ticket: dict[str, TimeAccounting] = {}
    agent_ids: set[str] = set()
    bookings: dict[date, list[TimeAccounting]] = {}
    for page in _usable_pages(source, sweep):
        with runtime.database.transaction() as connection:
            decided_id = runtime.decided(connection)
            known = {row.id: row for row in rows.stored_bookings(connection, name, ids=[row.id for row in page])}
            moved = _days_to_move_to(connection, runtime, name, known, page)
            former = _former_days(known, page, moved, first, last)
            day_requests.ask(connection, former, day_requests.FORMER_DAY)
            saved = rows.save_bookings(connection, name, page, zone, sweep_id, decided_id)
            if moved:
                stored_settings.move(connection, name, runtime.stored("target").name, moved)
        for row in saved:
            stored = known.get(row.id)
            day = moved.get(row.id, stored.work_day if stored else local_day(row.counts_at, zone))
            bookings.setdefault(day, []).append(replace(row, raw={}))
        one_per_ticket = one_booking_per_ticket(one_per_ticket, page)
        agent_ids |= {row.agent_id for row in page if "created_by_id" not in row.faults}
    report = sweep.report
    tickets = source.fetch_tickets(one_per_ticket.values())
    people = _people(runtime, source, agent_ids)
    log_unreadable(people.unreadable)
    with runtime.database.transaction() as connection:
        save_tickets(connection, runtime, name, tickets, run_over=(first, last))
        rows.save_directory(connection, name, people)
        unseen = rows.unseen_bookings(connection, name, window, sweep_id)
    _refuse_emptiness(source, report, len(unseen))
    absent = _proven_gone(runtime, source, unseen, (first, last), run_id) if report.complete else []
    gone = tuple(booking.id for booking in absent)
    with runtime.database.transaction() as connection:
        rows.mark_bookings_gone(connection, name, gone)
        days = {unseen[booking] for booking in absent if not first <= unseen[booking] <= last}
        day_requests.ask(connection, days, day_requests.FORMER_DAY)
        sweeps.end_sweep(connection, sweep_id, report_values(report))
    return SourceRead(report, bookings, {row.id: row for row in tickets}, gone)


def _proven_gone(
    runtime: Runtime, source: SourceConnector, unseen: Mapping[BookingKey, date], span: tuple[date, date], run_id: str
) -> list[BookingKey]:
    """Those that the source proves to be deleted, in this run or, if that takes two of them, in this one as well."""
    answers = ask_for(source, unseen)
    _request_new_days(runtime, source, answers, span)
    gone = {booking: unseen[booking] for booking, answer in answers.items() if answer is Existence.GONE}
    if not source.proves_by_absence:
        return list(gone)
    with runtime.database.transaction() as connection:
        return second_look.missed_again(connection, source.endpoint.name, run_id, gone, span)


def ask_for(source: SourceConnector, unseen: Iterable[BookingKey]) -> dict[BookingKey, Existence]:
    """What the source says of each. In doubt a booking stays as it is, and the next run asks again."""
    answers = {booking: source.exists(booking) for booking in unseen}
    doubted = [booking.id for booking, answer in answers.items() if answer is Existence.DOUBT]
    if doubted:
        _log.warning(
            "%s neither shows bookings %s nor proves that they were deleted. They stay as they are.",
            source.endpoint.name,
            ", ".join(doubted),
        )
    return answers


def _request_new_days(
    runtime: Runtime, source: SourceConnector, answers: Mapping[BookingKey, Existence], span: tuple[date, date]
) -> None:
    """Request the days on which bookings count now that were not met on theirs, and that are there.

    Those days find them with another day than the stored one, and request it again.
    """
    there = {booking.id: booking.ticket_id for booking, answer in answers.items() if answer is Existence.THERE}
    seen = [row for ticket in sorted(set(there.values())) for row in source.fetch_of_ticket(ticket) if row.id in there]
    days = {
        local_day(row.counts_at, runtime.settings.zone) for row in seen if row.worked_at is not None and not row.faults
    }
    with runtime.database.transaction() as connection:
        wanted = {day for day in days if day >= runtime.settings.start_date and not span[0] <= day <= span[1]}
        day_requests.ask(connection, wanted, day_requests.FORMER_DAY)


def keep_bookings(
    runtime: Runtime, source: SourceConnector, span: tuple[date, date], run_id: str, confirmed: Confirmed
) -> SourceRead:
    """As `extract_bookings`, of bookings and tickets that the source confirmed; only the people are read again."""
    name = source.endpoint.name
    with runtime.database.transaction() as connection:
        runtime.decided(connection)
        day_requests.attach(connection, run_id, *span)
        stored = rows.bookings_of_days(connection, name, *span)
        tickets = stored_tickets.tickets_of_days(connection, name, *span)
    people = _people(runtime, source, {row.agent_id for row in stored if "created_by_id" not in row.faults})
    log_unreadable(people.unreadable)
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, name, people)
        confirmed.record(connection, name, SUBJECT, run_id)
    bookings: dict[date, list[TimeAccounting]] = {}
    for row in stored:
        bookings.setdefault(row.work_day or local_day(row.counts_at, runtime.settings.zone), []).append(row)
    return SourceRead(confirmed.report, bookings, tickets, ())


def one_booking_per_ticket(
    known: dict[str, TimeAccounting], more: Iterable[TimeAccounting]
) -> dict[str, TimeAccounting]:
    """One booking per ticket, the first with an article: it shows where a merge moved the ticket."""
    found = dict(known)
    for row in more:
        if row.ticket_id not in found or (found[row.ticket_id].article_id is None and row.article_id is not None):
            found[row.ticket_id] = replace(row, raw={})
    return found


def save_tickets(
    connection: Connection,
    runtime: Runtime,
    name: str,
    tickets: Sequence[Ticket],
    *,
    run_over: tuple[date, date] | None = None,
) -> list[date]:
    """Store tickets and organizations, and request every day with bookings of a ticket that changed its customer.

    Once the new customer is stored, the difference is no longer visible, so all days are requested now, except those in
    `run_over`, which are being run. Returns the requested days.
    """
    tickets = stored_tickets.with_known_merges(connection, name, tickets)
    moved = stored_tickets.reassigned(connection, name, tickets)
    stored_tickets.save_tickets(connection, name, tickets)
    policy = runtime.settings.policy
    named = named_by(policy.activity_rules, policy.customer_rules, tickets)
    rows.save_directory(connection, name, SourceDirectory(organizations=_organizations(tickets)).joined(named))
    days: dict[date, set[str]] = {}
    for booking in rows.stored_bookings(connection, name, ticket_ids=moved, with_merged=True) if moved else ():
        is_run = run_over is not None and run_over[0] <= booking.work_day <= run_over[1]
        if booking.work_day >= runtime.settings.start_date and not is_run:
            days.setdefault(booking.work_day, set()).add(booking.ticket_id)
    day_requests.ask(connection, days, day_requests.TICKET, days)
    return sorted(days)


def report_values(report: SweepReport) -> dict[str, Any]:
    """A sweep report as columns of the sweeps table."""
    return {
        "pages": report.pages,
        "rows": report.rows,
        "total_before": report.total_before,
        "total_after": report.total_after,
        "position": report.rows_before,
        "high_water": report.high_water,
        "complete": report.complete,
        "reason": report.reason,
    }


def _people(runtime: Runtime, source: SourceConnector, ids: Collection[str]) -> SourceDirectory:
    """These agents, and those stored with one of their addresses: one may have left, or changed the address."""
    found = source.fetch_agents(ids)
    addresses = {agent.email for agent in found.agents}
    with runtime.database.transaction() as connection:
        others = rows.agents_with(connection, source.endpoint.name, addresses) - set(ids)
    return found.joined(source.fetch_agents(others)) if others else found


def _organizations(tickets: Iterable[Ticket]) -> tuple[Organization, ...]:
    """The organizations that the tickets name, each once."""
    named = {row.organization_id: row.organization_name for row in tickets if row.organization_name}
    return tuple(Organization(id_, name, active=True) for id_, name in sorted(named.items()) if id_ is not None)


def _former_days(
    known: Mapping[str, KnownBooking], page: Sequence[TimeAccounting], moved: Collection[str], first: date, last: date
) -> set[date]:
    """The other days that changed bookings count on, or counted on until they moved.

    They stay there when only the zone was changed.
    """
    elsewhere = {row.id: row for row in known.values() if not first <= row.work_day <= last}
    return {
        elsewhere[row.id].work_day
        for row in page
        if row.id in elsewhere and (row.id in moved or row.updated_at != elsewhere[row.id].updated_at)
    }


def _days_to_move_to(
    connection: Connection,
    runtime: Runtime,
    name: str,
    known: Mapping[str, KnownBooking],
    page: Sequence[TimeAccounting],
) -> dict[str, date]:
    """The new work days of stored bookings whose work is said to be of another day now.

    A day that is closed or billed keeps its bookings: the difference is asked about there.
    """
    settings = runtime.settings
    moved = {
        row.id: local_day(row.worked_at, settings.zone)
        for row in page
        if row.id in known and row.worked_at is not None and row.worked_at != known[row.id].worked_at and not row.faults
    }
    moved = {id_: day for id_, day in moved.items() if day != known[id_].work_day}
    if not moved:
        return {}
    first_open = first_open_day(settings.locked_before, local_day(runtime.clock(), settings.zone))
    locks = WriteProtection(settings.zone, first_open, periods.closed_months(connection))
    billed = stored_settings.billed_days(connection, name, runtime.stored("target").name)
    return {
        id_: day
        for id_, day in moved.items()
        if not any(each in billed or locks.is_closed(each) for each in (day, known[id_].work_day))
    }


def _usable_pages(source: SourceConnector, sweep: Sweep[TimeAccounting]) -> Iterator[list[TimeAccounting]]:
    """The pages of a sweep. Raises for an id that the ledger would take for that of an adjustment."""
    for page in sweep.pages():
        reserved = next((row.id for row in page if is_adjustment(row.id)), None)
        if reserved is not None:
            raise ProtocolError(
                f"Booking {reserved} has an id that stands for an adjustment here.",
                system=source.kind,
                method="GET",
                path=SUBJECT,
                remedy="Let the connector put something in front of its ids; the letter a before digits is taken.",
            )
        yield page


def _refuse_emptiness(source: SourceConnector, report: SweepReport, unseen: int) -> None:
    """Raise if a system suddenly has no booking at all: it is broken rather than empty (docs/zammad.md §13).

    Of a system that does not count its bookings, each one that is missing is asked for.
    """
    if report.total_before is None or report.total_before or not unseen:
        return
    raise ProtocolError(
        f"The list of bookings is empty, but {unseen} were there before.",
        system=source.kind,
        method="GET",
        path=SUBJECT,
        remedy="Check that the URL is the right system and that its data is complete; nothing was deleted here.",
    )
