"""Routes of the monthly reports (docs/zammad.md §3)."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from starlette.routing import Route

from zk_pipeline.sandbox.zammad.calls import Call, ServerError, route
from zk_pipeline.sandbox.zammad.desk import Desk
from zk_pipeline.sandbox.zammad.records import Accounting, Ticket, decimal_text, iso
from zk_pipeline.sandbox.zammad.rows import Rows

BASE = "/api/v1/time_accounting/log"
MONTH = "{year:int}/{month:int}"


class ReportRoutes:
    """Handlers of the reports by activity and by customer; both show tickets as they are now."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes."""
        return [
            route(self._desk, "GET", f"{BASE}/by_activity/{MONTH}", self.by_activity),
            route(self._desk, "GET", f"{BASE}/by_customer/{MONTH}", self.by_customer),
        ]

    def by_activity(self, call: Call) -> Any:
        """One row per accounting of the month, without its id."""
        return _last([self._activity_row(row) for row in self._month(call)], call)

    def by_customer(self, call: Call) -> Any:
        """Sums per customer and organization, with the raw user record: a client must not call this."""
        sums: dict[tuple[int, int | None], Decimal] = {}
        for row in self._month(call):
            ticket = self._desk.state.tickets[row.ticket_id]
            key = (ticket.customer_id, ticket.organization_id)
            sums[key] = sums.get(key, Decimal(0)) + row.time_unit
        rows = [self._customer_row(customer, organization, total) for (customer, organization), total in sums.items()]
        return _last(rows, call)

    def _month(self, call: Call) -> list[Accounting]:
        """The accountings of a month, whose borders are UTC up to 6.4 and the system's zone from 6.5."""
        call.caller.require("admin.time_accounting")
        zone = ZoneInfo(self._desk.settings.zone if self._desk.settings.at_least(6, 5) else "UTC")
        year, month = call.path["year"], call.path["month"]
        try:
            start = datetime(year, month, 1, tzinfo=zone)
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=zone)
        except ValueError as error:
            raise ServerError(f"invalid date {year}-{month}") from error
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

    def _customer_row(self, customer_id: int, organization_id: int | None, total: Decimal) -> dict[str, Any]:
        user = self._desk.state.users[customer_id]
        organization = self._desk.state.organizations.get(organization_id or 0)
        secret = f"$argon2id$v=19$m=65536,t=2,p=1$c2FuZGJveA${user.id:043d}"
        return {
            "customer": self._rows.user(user) | {"password": secret},
            "organization": self._rows.organizations([organization])[0] if organization else None,
            "time_unit": decimal_text(total),
        }

    def _name(self, user_id: int) -> str:
        user = self._desk.state.users.get(user_id)
        return (user.fullname if user else "") or "-"

    def _organization_name(self, ticket: Ticket) -> str:
        organization = self._desk.state.organizations.get(ticket.organization_id or 0)
        return organization.name if organization else "-"


def _last(rows: list[dict[str, Any]], call: Call) -> list[dict[str, Any]]:
    limit = call.integer("limit")
    return rows if limit is None else rows[len(rows) - min(limit, len(rows)) :]
