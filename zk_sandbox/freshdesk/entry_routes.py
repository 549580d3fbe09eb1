"""Routes of time entries: the list of the account, those of one ticket, and the writes."""

import random
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from starlette.routing import Route

from zk_sandbox.freshdesk.calls import ApiError, Call, by_id, invalid, route
from zk_sandbox.freshdesk.desk import Desk
from zk_sandbox.freshdesk.records import Ticket, TimeEntry, hours_and_minutes, instant_of, iso
from zk_sandbox.freshdesk.ticket_routes import TicketRoutes

_DURATION = re.compile(r"(\d+):([0-5]\d)")
_OUT_OF_SIGHT = {"deleted": "trashed_rows", "spam": "trashed_rows", "archived": "archived_rows"}
"""The switch that says whether the list has the entries of tickets in this state."""


class EntryRoutes:
    """Handlers of time entries."""

    def __init__(self, desk: Desk, tickets: TicketRoutes) -> None:
        self._desk = desk
        self._tickets = tickets

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            route(self._desk, method, path, handler, status)
            for method, path, handler, status in (
                ("GET", "/time_entries", self.index, 200),
                ("GET", "/time_entries/{id}", self.show, 200),
                ("PUT", "/time_entries/{id}", self.update, 200),
                ("PUT", "/time_entries/{id}/toggle_timer", self.toggle, 200),
                ("DELETE", "/time_entries/{id}", self.destroy, 200),
                ("GET", "/tickets/{id}/time_entries", self.of_ticket, 200),
                ("POST", "/tickets/{id}/time_entries", self.create, 201),
            )
        ]

    def index(self, call: Call) -> Any:
        """A page of the account's entries, by the instant of the work."""
        self._require_timesheets()
        after, before = call.instant("executed_after"), call.instant("executed_before")
        if after is None and before is None and self._desk.settings.hidden_days is not None:
            after = self._desk.settings.clock() - timedelta(days=self._desk.settings.hidden_days)
        found = [row for row in self._visible(call) if self._within(row.executed_at, after, before)]
        for name in ("agent_id", "company_id"):
            if (wanted := call.number(name)) is not None:
                found = [row for row in found if getattr(row, name) == wanted]
        if "billable" in call.query:
            found = [row for row in found if str(row.billable).lower() == call.query["billable"]]
        return [self._row(row) for row in call.page(self._ordered(found), self._desk.settings.link)]

    def show(self, call: Call) -> Any:
        """One entry, a route that is not documented: it exists by a switch."""
        if self._desk.settings.entry_by_id != "200":
            raise ApiError(int(self._desk.settings.entry_by_id))
        return self._row(self._existing(call))

    def of_ticket(self, call: Call) -> Any:
        """A page of a ticket's entries; a ticket in the trash or in spam is not found."""
        self._require_timesheets()
        ticket = self._tickets.reachable(call)
        if ticket.state in {"deleted", "spam"}:
            raise ApiError(404)
        found = by_id(row for row in self._desk.state.entries.values() if row.ticket_id == ticket.id)
        return [self._row(row) for row in call.page(found)]

    def create(self, call: Call) -> Any:
        """Book time; without `time_spent` and `timer_running` the timer starts."""
        self._require_timesheets()
        ticket = self._tickets.reachable(call)
        running = call.body.get("timer_running", "time_spent" not in call.body)
        worked = instant_of(call.body["executed_at"]) if "executed_at" in call.body else None
        entry_id = self._desk.book(
            ticket.id,
            call.body.get("agent_id", call.caller.id),
            self._minutes(call),
            worked,
            booked_at=self._desk.settings.clock(),
            note=call.body.get("note"),
            billable=call.body.get("billable", True),
        )
        if running:
            self._desk.start_timer(entry_id)
        return self._row(self._desk.state.entries[entry_id])

    def update(self, call: Call) -> Any:
        """Change an entry."""
        row = self._existing(call)
        if call.body.get("timer_running") == row.timer_running:
            raise ApiError(409, "inconsistent_state", "Timer is already in that state.")
        fields = {name: call.body[name] for name in ("note", "billable") if name in call.body}
        if "time_spent" in call.body:
            fields["minutes"] = self._minutes(call)
        if "executed_at" in call.body:
            fields["moved_to"] = instant_of(call.body["executed_at"])
        self._desk.edit(row.id, **fields)
        return self._row(row)

    def toggle(self, call: Call) -> Any:
        """Start or stop the timer."""
        row = self._existing(call)
        (self._desk.stop_timer if row.timer_running else self._desk.start_timer)(row.id)
        return self._row(row)

    def destroy(self, call: Call) -> None:
        """Delete an entry."""
        self._desk.delete(self._existing(call).id)

    def _require_timesheets(self) -> None:
        if not self._desk.settings.timesheets:
            message = "The Timesheets feature is not supported in your plan. Please upgrade your account to use it."
            raise ApiError(403, "require_feature", message)

    def _existing(self, call: Call) -> TimeEntry:
        self._require_timesheets()
        row = self._desk.state.entries.get(call.id())
        if row is None:
            raise ApiError(404)
        return row

    def _minutes(self, call: Call) -> float:
        text = str(call.body.get("time_spent", "00:00"))
        found = _DURATION.fullmatch(text)
        if found is None:
            raise invalid("time_spent", "It should be in the 'hh:mm' format")
        return int(found[1]) * 60 + int(found[2])

    def _visible(self, call: Call) -> Iterable[TimeEntry]:
        for row in self._desk.state.entries.values():
            ticket = self._desk.state.tickets.get(row.ticket_id)
            if ticket is not None and call.sees(ticket) and self._is_listed(ticket):
                yield row

    def _is_listed(self, ticket: Ticket) -> bool:
        switch = _OUT_OF_SIGHT.get(ticket.state)
        return switch is None or getattr(self._desk.settings, switch) == "shown"

    def _within(self, instant: datetime | None, after: datetime | None, before: datetime | None) -> bool:
        if instant is None:
            return after is None and before is None
        if self._desk.settings.bounds == "inclusive":
            return (after is None or instant >= after) and (before is None or instant <= before)
        return (after is None or instant > after) and (before is None or instant < before)

    def _ordered(self, rows: list[TimeEntry]) -> list[TimeEntry]:
        order = self._desk.settings.order
        if order == "shuffled":
            return random.sample(rows, len(rows))
        if order == "newest":
            return sorted(rows, key=lambda row: (iso(row.executed_at) or "", row.id), reverse=True)
        return by_id(rows)

    def _row(self, row: TimeEntry) -> dict[str, Any]:
        settings = self._desk.settings
        content: dict[str, Any] = {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "agent_id": row.agent_id,
            "billable": row.billable,
            "note": row.note,
            "timer_running": row.timer_running,
            "time_spent": hours_and_minutes(row.seconds, settings.rounding),
            "executed_at": iso(row.executed_at),
            "start_time": iso(row.start_time),
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }
        if settings.company_of_row != "absent":
            content["company_id"] = row.company_id if settings.company_of_row == "sent" else None
        if settings.sends_seconds:
            content["time_spent_in_seconds"] = row.seconds
        return content | row.overrides
