"""The desk: seeding, and what each change does to other rows, as far as that is known of Freshdesk."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from zk_sandbox.freshdesk.records import GLOBAL, Agent, Company, Contact, Named, Ticket, TimeEntry, stored_instant
from zk_sandbox.freshdesk.settings import Settings
from zk_sandbox.zammad.records import dump, load

FIRST_ID = 43_000_000_000
"""Of everything but tickets, whose ids are small."""

CLOSED = 5
KEEP: Any = object()
"""Default of `Desk.edit` for unchanged values."""

_TABLES: dict[str, type] = {
    "agents": Agent,
    "companies": Company,
    "contacts": Contact,
    "groups": Named,
    "products": Named,
    "tickets": Ticket,
    "entries": TimeEntry,
}


class State:
    """The tables by id; ids of deleted rows are never given again."""

    def __init__(self) -> None:
        self.agents: dict[int, Agent] = {}
        self.companies: dict[int, Company] = {}
        self.contacts: dict[int, Contact] = {}
        self.groups: dict[int, Named] = {}
        self.products: dict[int, Named] = {}
        self.tickets: dict[int, Ticket] = {}
        self.entries: dict[int, TimeEntry] = {}
        self.types: list[str] = ["Question", "Incident", "Problem", "Feature Request"]
        self.failed_logins = 0
        self.used: dict[str, int] = {}
        """Requests by the span of the limit in which they were sent."""
        self._last_ids: dict[str, int] = {}

    def next_id(self, table: str, wanted: int | None = None) -> int:
        """The next id of a table, or the wanted one if it is still ahead; ValueError if it is not."""
        last = self._last_ids.get(table, 0 if table == "tickets" else FIRST_ID)
        if wanted is not None and wanted <= last:
            raise ValueError(f"The id {wanted} of {table} was given already (last id {last}); take a higher one.")
        self._last_ids[table] = wanted or last + 1
        return self._last_ids[table]

    def dump(self) -> dict[str, Any]:
        """The whole state as JSON."""
        tables = {name: [dump(row) for row in getattr(self, name).values()] for name in _TABLES}
        rest = {"types": self.types, "failed_logins": self.failed_logins, "used": self.used}
        return tables | rest | {"last_ids": self._last_ids}

    @classmethod
    def load(cls, data: dict[str, Any]) -> "State":
        """The state that `dump` wrote."""
        state = cls()
        for name, kind in _TABLES.items():
            setattr(state, name, {row["id"]: load(kind, row) for row in data[name]})
        state.types, state.failed_logins = list(data["types"]), data["failed_logins"]
        state.used, state._last_ids = dict(data["used"]), dict(data["last_ids"])
        return state


class Desk:
    """A simulated Freshdesk with its rules. Rows are named by id; times are instants with a zone.

    `meanwhile` is called before each answer with the request's path and query, so that a test can change rows between
    two pages.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = Settings().changed(settings or {})
        self.state = State()
        self.meanwhile: Callable[[str, str], None] | None = None

    # Seeding

    def add_agent(
        self, name: str, email: str, *, key: str = "", ticket_scope: int = GLOBAL, group_ids: Iterable[int] = ()
    ) -> int:
        """A new agent."""
        now, new_id = self.settings.clock(), self.state.next_id("agents")
        self.state.agents[new_id] = Agent(
            new_id, name, email, now, now, key=key, ticket_scope=ticket_scope, group_ids=list(group_ids)
        )
        return new_id

    def add_company(self, name: str, domains: Iterable[str] = ()) -> int:
        """A new customer."""
        now, new_id = self.settings.clock(), self.state.next_id("companies")
        self.state.companies[new_id] = Company(new_id, name, now, now, list(domains))
        return new_id

    def add_contact(self, name: str, email: str, company_id: int | None = None) -> int:
        """A new person of a customer; contacts and agents share their ids."""
        new_id = self.state.next_id("agents")
        self.state.contacts[new_id] = Contact(new_id, name, email, company_id)
        return new_id

    def add_group(self, name: str) -> int:
        """A new group."""
        new_id = self.state.next_id("groups")
        self.state.groups[new_id] = Named(new_id, name)
        return new_id

    def add_product(self, name: str) -> int:
        """A new product."""
        new_id = self.state.next_id("products")
        self.state.products[new_id] = Named(new_id, name)
        return new_id

    def add_ticket(
        self, subject: str, *, at: datetime | None = None, ticket_id: int | None = None, **fields: Any
    ) -> int:
        """A new ticket; `fields` are those of `records.Ticket`."""
        now, new_id = self._instant(at), self.state.next_id("tickets", ticket_id)
        requester = fields.pop("requester_id", None)
        self.state.tickets[new_id] = Ticket(new_id, subject, requester, now, now, **fields)
        return new_id

    # Time entries

    def book(
        self,
        ticket_id: int,
        agent_id: int | None,
        minutes: float,
        at: datetime | None = None,
        *,
        booked_at: datetime | None = None,
        entry_id: int | None = None,
        **fields: Any,
    ) -> int:
        """Book time: `at` is when the work was done, `booked_at` when it was typed, by default then too."""
        worked = self._instant(at)
        made = self._instant(booked_at) if booked_at or at is None else worked
        new_id = self.state.next_id("entries", entry_id)
        company = self.state.tickets[ticket_id].company_id
        self.state.entries[new_id] = TimeEntry(
            new_id, ticket_id, agent_id, round(minutes * 60), worked, made, made, made, company_id=company, **fields
        )
        self._touch(ticket_id, made)
        return new_id

    def edit(
        self,
        entry_id: int,
        at: datetime | None = None,
        *,
        minutes: float = KEEP,
        moved_to: datetime = KEEP,
        **fields: Any,
    ) -> None:
        """Change an entry: its minutes, the instant of the work (`moved_to`), or any field of `records.TimeEntry`."""
        entry, now = self.state.entries[entry_id], self._instant(at)
        if minutes is not KEEP:
            entry.seconds = round(minutes * 60)
        if moved_to is not KEEP:
            entry.executed_at = stored_instant(moved_to)
        for name, value in fields.items():
            setattr(entry, name, value)
        entry.updated_at = now
        self._touch(entry.ticket_id, now)

    def delete(self, entry_id: int, at: datetime | None = None) -> None:
        """Delete an entry; nothing shows it afterwards."""
        entry = self.state.entries.pop(entry_id)
        self._touch(entry.ticket_id, self._instant(at))

    def start_timer(self, entry_id: int, at: datetime | None = None) -> None:
        """Start the timer of an entry, which stops the other one of its agent."""
        entry, now = self.state.entries[entry_id], self._instant(at)
        for other in [row for row in self.state.entries.values() if row.timer_running]:
            if other.agent_id == entry.agent_id:
                self.stop_timer(other.id, now)
        entry.timer_running, entry.start_time, entry.updated_at = True, now, now

    def stop_timer(self, entry_id: int, at: datetime | None = None) -> None:
        """Stop the timer of an entry and add what it measured."""
        entry, now = self.state.entries[entry_id], self._instant(at)
        entry.seconds += round((now - entry.start_time) / timedelta(seconds=1))
        entry.timer_running, entry.updated_at = False, now
        self._touch(entry.ticket_id, now)

    # Tickets and people

    def change_ticket(self, ticket_id: int, at: datetime | None = None, **fields: Any) -> None:
        """Change fields of a ticket, such as its company or its `state`; its entries do not change."""
        ticket = self.state.tickets[ticket_id]
        for name, value in fields.items():
            setattr(ticket, name, value)
        ticket.updated_at = max(ticket.updated_at, self._instant(at))

    def merge(self, primary_id: int, secondary_id: int) -> None:
        """Merge a ticket into another: it is closed; its entries stay, move or are copied, by the switch."""
        self.change_ticket(secondary_id, status=CLOSED)
        for entry in [row for row in self.state.entries.values() if row.ticket_id == secondary_id]:
            if self.settings.merge == "move":
                entry.ticket_id = primary_id
            elif self.settings.merge == "copy":
                new_id = self.state.next_id("entries")
                self.state.entries[new_id] = replace(entry, id=new_id, ticket_id=primary_id)
        self._touch(primary_id, self.settings.clock())

    def delete_agent(self, agent_id: int) -> None:
        """Delete an agent, who becomes a contact of the same id; entries keep it."""
        agent = self.state.agents.pop(agent_id)
        self.state.contacts[agent_id] = Contact(agent_id, agent.name, agent.email)

    def _instant(self, at: datetime | None) -> datetime:
        return self.settings.clock() if at is None else stored_instant(at)

    def _touch(self, ticket_id: int, now: datetime) -> None:
        if self.settings.touches_ticket and ticket_id in self.state.tickets:
            ticket = self.state.tickets[ticket_id]
            ticket.updated_at = max(ticket.updated_at, now)
