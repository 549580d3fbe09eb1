"""Finding a ticket, customer, agent, booking or time sheet by what somebody types."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Table, func, or_, select

from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store.connectors import ActiveConnectors, active_connectors
from zk_pipeline.store.raw_tables import agents, customers, organizations, tickets, timesheets
from zk_pipeline.store.tables import normalized_entries

MOST_OF_A_KIND = 5
SHORTEST = 2
"""Characters from which parts of names are searched."""

_LONGEST_NUMBER = 18
"""Digits; ids of both systems are shorter."""


class HitKind(StrEnum):
    """What was found."""

    TICKET = "ticket"
    BOOKING = "booking"
    TIMESHEET = "timesheet"
    CUSTOMER = "customer"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found: `key` is its number or name, `text` says more about it."""

    kind: HitKind
    key: str
    text: str = ""


def search(runtime: Runtime, typed: str) -> tuple[Hit, ...]:
    """What fits the text: numbers exactly, names and titles by a part of them; a few of each kind."""
    wanted = typed.strip()
    number = wanted.removeprefix("#").removeprefix("kimai:")
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        found: list[Hit] = []
        if number.isascii() and number.isdigit() and len(number) <= _LONGEST_NUMBER:
            found += _numbered(connection, names, number)
        if len(wanted) >= SHORTEST:
            found += _named(connection, names, wanted)
    return tuple(dict.fromkeys(found))


def _numbered(connection: Connection, names: ActiveConnectors, number: str) -> Iterator[Hit]:
    ticket, entry, sheet = tickets.c, normalized_entries.c, timesheets.c
    of_number = select(ticket.number, ticket.title).where(
        ticket.connector == names.source, ticket.number.in_([number, f"#{number}"])
    )
    for row in connection.execute(of_number.limit(MOST_OF_A_KIND)):
        yield _ticket(row.number, row.title)
    booking = select(entry.ticket_number, entry.ticket_title).where(
        entry.source == names.source, entry.source_id == number
    )
    if found := connection.execute(booking).first():
        yield Hit(HitKind.BOOKING, number, f"{found.ticket_number} {found.ticket_title}")
    of_id = select(sheet.description).where(sheet.connector == names.target, sheet.id == int(number))
    if (said := connection.execute(of_id).first()) is not None:
        yield Hit(HitKind.TIMESHEET, number, " ".join((said.description or "").split()))


def _named(connection: Connection, names: ActiveConnectors, wanted: str) -> Iterator[Hit]:
    ticket, agent = tickets.c, agents.c
    title = select(ticket.number, ticket.title).where(ticket.connector == names.source, _has(wanted, ticket.title))
    for row in connection.execute(title.order_by(ticket.id.desc()).limit(MOST_OF_A_KIND)):
        yield _ticket(row.number, row.title)
    for name in _names(connection, customers, names.target, wanted):
        yield Hit(HitKind.CUSTOMER, name)
    for name in _names(connection, organizations, names.source, wanted):
        yield Hit(HitKind.CUSTOMER, name)
    people = select(agent.name, agent.email).where(
        agent.connector == names.source, _has(wanted, agent.name, agent.email)
    )
    for row in connection.execute(people.order_by(agent.name).limit(MOST_OF_A_KIND)):
        yield Hit(HitKind.AGENT, row.name, row.email)


def _names(connection: Connection, table: Table, connector: str, wanted: str) -> list[str]:
    of_part = select(table.c.name).where(table.c.connector == connector, _has(wanted, table.c.name))
    return list(connection.execute(of_part.order_by(func.lower(table.c.name)).limit(MOST_OF_A_KIND)).scalars())


def _has(wanted: str, *columns: ColumnElement[str]) -> ColumnElement[bool]:
    return or_(*(column.icontains(wanted, autoescape=True) for column in columns))


def _ticket(number: str, title: str) -> Hit:
    return Hit(HitKind.TICKET, f"#{number.removeprefix('#')}", title)
