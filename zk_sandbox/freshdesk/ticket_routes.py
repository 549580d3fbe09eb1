"""Routes of tickets: the list with its hidden 30 days and its last page, one ticket, the archive, the trash, merges."""

from datetime import timedelta
from typing import Any

from starlette.routing import Route

from zk_sandbox.freshdesk.calls import PREFIX, ApiError, Call, invalid, route
from zk_sandbox.freshdesk.desk import Desk
from zk_sandbox.freshdesk.records import Ticket, iso

HIDDEN_DAYS = timedelta(days=30)
LAST_PAGE = 300
PAST_THE_LAST_PAGE = "You cannot access tickets beyond the 300th page. Please provide a smaller page number."
ORDERS = ("created_at", "due_by", "updated_at", "status")


class TicketRoutes:
    """Handlers of tickets."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """All routes; `archived` and `merge` before the ids."""
        return [
            route(self._desk, method, path, handler, status)
            for method, path, handler, status in (
                ("GET", "/tickets", self.index, 200),
                ("PUT", "/tickets/merge", self.merge, 204),
                ("GET", "/tickets/archived/{id}", self.archived, 200),
                ("GET", "/tickets/{id}", self.show, 200),
                ("DELETE", "/tickets/{id}", self.destroy, 204),
                ("PUT", "/tickets/{id}/restore", self.restore, 204),
            )
        ]

    def index(self, call: Call) -> Any:
        """A page of tickets, created within 30 days unless `updated_since` is sent; the newest first."""
        if (call.number("page") or 1) > LAST_PAGE:
            raise invalid("page", PAST_THE_LAST_PAGE)
        state = {"deleted": "deleted", "spam": "spam"}.get(call.query.get("filter", ""), "normal")
        since, settings = call.instant("updated_since"), self._desk.settings
        order = call.query.get("order_by", "created_at")
        if order not in ORDERS:
            raise invalid("order_by", f"It should be one of these values: '{','.join(ORDERS)}'")
        found = [
            row
            for row in self._desk.state.tickets.values()
            if row.state == state
            and call.sees(row)
            and (row.created_at >= settings.clock() - HIDDEN_DAYS if since is None else row.updated_at >= since)
        ]
        descending = call.query.get("order_type", "desc") == "desc"
        found.sort(key=lambda row: getattr(row, order), reverse=descending)
        if "include" in call.query:
            call.cost += 2 * len(call.query["include"].split(","))
        return [self._row(row) for row in call.page(found)]

    def show(self, call: Call) -> Any:
        """One ticket."""
        return self._row(self.reachable(call), single=True)

    def archived(self, call: Call) -> Any:
        """One ticket of the archive."""
        ticket = self._desk.state.tickets.get(call.id())
        if ticket is None or ticket.state != "archived" or not call.sees(ticket):
            raise ApiError(404)
        return self._row(ticket, single=True)

    def destroy(self, call: Call) -> None:
        """Put a ticket into the trash."""
        self._desk.change_ticket(self.reachable(call).id, state="deleted")

    def restore(self, call: Call) -> None:
        """Take a ticket out of the trash."""
        ticket = self._desk.state.tickets.get(call.id())
        if ticket is None or ticket.state != "deleted":
            raise ApiError(404)
        self._desk.change_ticket(ticket.id, state="normal")

    def merge(self, call: Call) -> None:
        """Merge tickets into the primary one."""
        for ticket_id in call.body["ticket_ids"]:
            self._desk.merge(call.body["primary_id"], ticket_id)

    def reachable(self, call: Call) -> Ticket:
        """The ticket of the path as the ordinary routes have it: one out of sight by its switch."""
        ticket = self._desk.state.tickets.get(call.id())
        if ticket is None:
            raise ApiError(404)
        if not call.sees(ticket):
            raise ApiError(403, "access_denied", "You are not authorized to perform this action.")
        settings = self._desk.settings
        if ticket.state in {"deleted", "spam"} and settings.trashed_ticket == "404":
            raise ApiError(404)
        if ticket.state == "archived" and settings.archived_ticket == "404":
            raise ApiError(404)
        if ticket.state == "archived" and settings.archived_ticket == "301":
            raise ApiError(301, Location=f"{PREFIX}/tickets/archived/{ticket.id}")
        return ticket

    def _row(self, row: Ticket, *, single: bool = False) -> dict[str, Any]:
        content: dict[str, Any] = {
            "id": row.id,
            "subject": row.subject,
            "type": row.type,
            "status": row.status,
            "priority": 1,
            "source": 2,
            "requester_id": row.requester_id,
            "responder_id": row.responder_id,
            "group_id": row.group_id,
            "company_id": row.company_id,
            "product_id": row.product_id,
            "email_config_id": None,
            "tags": row.tags,
            "custom_fields": row.custom_fields,
            "spam": row.state == "spam",
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }
        if row.state == "archived":
            content["archived"] = True
        if self._desk.settings.trashed_ticket == "unflagged":
            content["spam"] = False
        elif single and row.state == "deleted":
            content["deleted"] = True
        return content
