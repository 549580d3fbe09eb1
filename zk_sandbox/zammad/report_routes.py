"""Routes of the monthly reports (docs/zammad.md §3)."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import Route

from zk_sandbox.zammad.calls import Call, leading_number, route
from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.errors import DatabaseFaultError
from zk_sandbox.zammad.records import Accounting, Ticket, decimal_text, iso
from zk_sandbox.zammad.rows import Rows

BASE = "/api/v1/time_accounting/log"
MONTH = "{year}/{month}"

Key = Any


class ReportRoutes:
    """Handlers of the four reports; all show tickets as they are now."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes."""
        reports = {
            "by_activity": self.by_activity,
            "by_ticket": self.by_ticket,
            "by_customer": self.by_customer,
            "by_organization": self.by_organization,
        }
        return [route(self._desk, "GET", f"{BASE}/{name}/{MONTH}", handler) for name, handler in reports.items()]

    def by_activity(self, call: Call) -> Any:
        """One row per accounting of the month, without its id."""
        return _last([self._activity_row(row) for row in self._month(call)], call)

    def by_ticket(self, call: Call) -> Any:
        """Sums per ticket; the agent is the creator of the first accounting met."""
        sums = self._sums(call, lambda ticket: ticket.id)
        return _last([self._ticket_row(rows[0], total) for rows, total in sums.values()], call)

    def by_customer(self, call: Call) -> Any:
        """Sums per customer and organization, with the raw user record: a client must not call this."""
        sums = self._sums(call, lambda ticket: (ticket.customer_id, ticket.organization_id))
        rows = [self._customer_row(customer, place, total) for (customer, place), (_, total) in sums.items()]
        return _last(rows, call)

    def by_organization(self, call: Call) -> Any:
        """Sums per organization; tickets without one are left out."""
        organizations = self._desk.state.organizations
        sums = self._sums(call, lambda ticket: ticket.organization_id)
        rows = [
            {
                "organization": self._rows.organization_columns(organizations[place]),
                "time_unit": decimal_text(total),
            }
            for place, (_, total) in sums.items()
            if place is not None
        ]
        return _last(rows, call)

    def _sums(self, call: Call, key: Callable[[Ticket], Key]) -> dict[Key, tuple[list[Accounting], Decimal]]:
        """The accountings of the month and their sum, by something of their ticket."""
        found: dict[Key, list[Accounting]] = {}
        for row in self._month(call):
            found.setdefault(key(self._desk.state.tickets[row.ticket_id]), []).append(row)
        return {name: (rows, sum((row.time_unit for row in rows), Decimal(0))) for name, rows in found.items()}

    def _month(self, call: Call) -> list[Accounting]:
        """The accountings of a month, whose borders are UTC up to 6.4 and the system's zone from 6.5.

        A year that is no number means the present month.
        """
        call.caller.require("admin.time_accounting")
        zone = ZoneInfo(self._desk.settings.zone if self._desk.settings.at_least(6, 5) else "UTC")
        year, month = call.id("year"), call.id("month")
        if not year:
            now = self._desk.settings.clock().astimezone(zone)
            year, month = now.year, now.month
        try:
            start = datetime(year, month, 1, tzinfo=zone)
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        except ValueError as error:
            raise DatabaseFaultError(f"invalid date {year}-{month}") from error
        rows = self._desk.state.accountings.created_between(start, end)
        return sorted(rows, key=lambda row: row.id)

    def _activity_row(self, row: Accounting) -> dict[str, Any]:
        state = self._desk.state
        ticket = state.tickets[row.ticket_id]
        content: dict[str, Any] = {
            "ticket": self._rows.ticket(ticket),
            "time_unit": decimal_text(row.time_unit),
            "customer": self._name(ticket.customer_id),
            "organization": self._organization_name(ticket),
            "agent": self._name(row.created_by_id),
            "created_at": iso(row.created_at),
        }
        if self._desk.settings.types:
            content["type"] = state.types[row.type_id].name if row.type_id is not None else "-"
        return content

    def _ticket_row(self, first: Accounting, total: Decimal) -> dict[str, Any]:
        ticket = self._desk.state.tickets[first.ticket_id]
        return {
            "ticket": self._rows.ticket(ticket),
            "time_unit": decimal_text(total),
            "customer": self._name(ticket.customer_id),
            "organization": self._organization_name(ticket),
            "agent": self._name(first.created_by_id),
        }

    def _customer_row(self, customer_id: int, organization_id: int | None, total: Decimal) -> dict[str, Any]:
        user = self._desk.state.users[customer_id]
        organization = self._desk.state.organizations.get(organization_id or 0)
        secret = f"$argon2id$v=19$m=65536,t=2,p=1$c2FuZGJveA${user.id:043d}"
        return {
            "customer": self._rows.user_columns(user) | {"password": secret},
            "organization": self._rows.organization_columns(organization) if organization else None,
            "time_unit": decimal_text(total),
        }

    def _name(self, user_id: int) -> str:
        user = self._desk.state.users.get(user_id)
        return (user.fullname if user else "") or "-"

    def _organization_name(self, ticket: Ticket) -> str:
        organization = self._desk.state.organizations.get(ticket.organization_id or 0)
        return organization.name if organization else "-"


def _last(rows: list[dict[str, Any]], call: Call) -> list[dict[str, Any]]:
    if "limit" not in call.params:
        return rows
    limit = leading_number(call.params["limit"])
    if limit < 0:
        raise DatabaseFaultError("negative array size")
    return rows[max(len(rows) - limit, 0) :]
