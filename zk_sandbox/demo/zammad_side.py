"""The demo's Zammad after the month, booked in chronological order."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from zk_sandbox.demo.company import AGENTS, ORGANIZATIONS, TICKETS, TYPES, ZONE
from zk_sandbox.demo.month import BUSINESS_ZONE, Booking, Month
from zk_sandbox.zammad import ZammadServer

MERGED, MERGED_INTO = 19, 18
"""Indexes into TICKETS: the first was merged into the second after time was booked on it."""
CONFIDENTIAL = 38
"""Index of a ticket in a group that the service user has no access to."""
CORRECTED_LATER = 60
"""Index of the booking whose number an administrator corrected two days later."""


def filled_zammad(
    token: str, month: Month, bookings: Iterable[Booking], now: datetime
) -> tuple[ZammadServer, list[str]]:
    """A Zammad after the month, and its ticket numbers in the order of TICKETS."""
    opening = datetime.combine(month.before().first, time(7), BUSINESS_ZONE) - timedelta(days=20)
    zammad = ZammadServer({"zone": ZONE, "now": opening.isoformat()})
    zammad.add_reader(token)
    confidential = zammad.add_group("Vertraulich")
    tickets = _add_tickets(zammad, opening, confidential)
    types = {name: zammad.add_type(name) for name in TYPES}
    agents = {
        agent.key: zammad.add_agent(agent.email, firstname=agent.firstname, lastname=agent.lastname) for agent in AGENTS
    }
    ordered = sorted(bookings, key=lambda booking: (booking.at.timestamp(), booking.agent))
    entries = [
        zammad.book(
            tickets[booking.ticket],
            agents[booking.agent],
            booking.minutes,
            types[booking.type] if booking.type else None,
            booking.at,
            booking.note,
        )
        for booking in ordered
    ]
    corrected = ordered[CORRECTED_LATER]
    zammad.edit(entries[CORRECTED_LATER], corrected.at + timedelta(days=2), units=corrected.minutes + 5)
    zammad.merge(tickets[MERGED], tickets[MERGED_INTO], min(ordered[-1].at + timedelta(hours=9), now))
    zammad.configure({"now": None})
    return zammad, [zammad.state.tickets[ticket].number for ticket in tickets]


def _add_tickets(zammad: ZammadServer, opening: datetime, confidential: int) -> list[int]:
    organizations = {key: zammad.add_organization(name) for key, name in ORGANIZATIONS.items()}
    contacts = {
        key: zammad.add_user(
            f"kontakt@{key.replace('_', '-')}.example",
            firstname="Kontakt",
            lastname=name.split()[0],
            organization_id=organizations[key],
            permissions=["ticket.customer"],
        )
        for key, name in ORGANIZATIONS.items()
    }
    passer_by = zammad.add_user("frage@privat.example", firstname="Erika", lastname="Muster")
    return [
        zammad.add_ticket(
            title,
            customer_id=contacts[key] if key else passer_by,
            organization_id=organizations[key] if key else None,
            group_id=confidential if index == CONFIDENTIAL else 1,
            at=opening + timedelta(minutes=37 * index),
        )
        for index, (key, title) in enumerate(TICKETS)
    ]
