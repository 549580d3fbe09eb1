"""Routes of time accountings: the flat list, those of one ticket, and activity types (docs/zammad.md §2, §4)."""

import json
import re
from typing import Any

from starlette.routing import Route

from zk_sandbox.zammad.accountings import COLUMNS, sorted_rows
from zk_sandbox.zammad.auth import Caller
from zk_sandbox.zammad.calls import Call, not_found, route
from zk_sandbox.zammad.desk import KEEP, Desk
from zk_sandbox.zammad.errors import ApiError, RefusedError
from zk_sandbox.zammad.records import Accounting, Ticket
from zk_sandbox.zammad.rows import Rows

ADMIN = "admin.time_accounting"
FLAT = "/api/v1/time_accountings"
OF_TICKET = "/api/v1/tickets/{ticket_id}/time_accountings"
TYPES = "/api/v1/time_accounting/types"
TYPE_COLUMNS = ("id", "name", "note", "active", "created_at", "updated_at")
DEFAULT_PAGE, LARGEST_PAGE = 500, 1000
BY_ID = (("id", False),)
SINCE = (6, 1)


class AccountingRoutes:
    """Handlers of the accounting controller, which serves both the flat and the per-ticket routes."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes; they exist from version 6.1."""
        handlers = [
            ("GET", "", self.index, 200),
            ("POST", "", self.create, 201),
            ("GET", "/{id}", self.show, 200),
            ("PUT", "/{id}", self.update, 200),
            ("DELETE", "/{id}", self.destroy, 200),
        ]
        types = [
            ("GET", "", self.index_types, 200),
            ("POST", "", self.create_type, 201),
            ("PUT", "/{id}", self.update_type, 200),
        ]
        paths = [(base, *handler) for base in (FLAT, OF_TICKET) for handler in handlers]
        paths += [(TYPES, *handler) for handler in types]
        return [
            route(self._desk, method, base + suffix, handler, status=status, since=SINCE)
            for base, method, suffix, handler, status in paths
        ]

    def index(self, call: Call) -> Any:
        """A page of all accountings, or of those of the tickets named."""
        tickets = self._tickets_named(call)
        self._require_reading(call, tickets)
        sorting = call.sorting(COLUMNS, BY_ID)
        offset, limit = call.page(DEFAULT_PAGE, LARGEST_PAGE)
        table = self._desk.state.accountings
        if tickets is None:
            return self._list(call, table.page(sorting, offset, limit), len(table))
        scope = [row for ticket_id in dict.fromkeys(tickets) for row in table.of_ticket(ticket_id)]
        return self._list(call, sorted_rows(scope, (*sorting, *BY_ID))[offset : offset + limit], len(scope))

    def show(self, call: Call) -> Any:
        """One accounting."""
        self._require_reading(call, self._tickets_named(call))
        row = self._find(call)
        if call.flag("full") and not call.flag("expand"):
            return {"id": row.id, "assets": self._rows.accounting_assets([row])}
        return self._rows.accounting(row, expand=call.flag("expand"))

    def create(self, call: Call) -> Any:
        """Book time as the caller; `created_at` and the like in the body are dropped (docs/zammad.md §2)."""
        ticket_id = (self._tickets_named(call) or [0])[0]
        self._require_creating(call, ticket_id)
        row_id = self._desk.book(
            ticket_id,
            call.caller.user.id,
            call.params.get("time_unit"),
            self._type_named(call, None),
            article=call.reference("ticket_article_id", self._desk.state.articles),
        )
        return self._rows.accounting(self._existing(row_id), expand=call.flag("expand"))

    def update(self, call: Call) -> Any:
        """Change number, type or article of an accounting; the article may be another ticket's."""
        call.caller.require(ADMIN)
        row = self._find(call)
        article = call.reference("ticket_article_id", self._desk.state.articles)
        self._desk.edit(
            row.id,
            units=call.params.get("time_unit", KEEP),
            type_id=self._type_named(call, KEEP),
            article_id=article if "ticket_article_id" in call.params else KEEP,
            editor_id=call.caller.user.id,
        )
        return self._rows.accounting(row, expand=call.flag("expand"))

    def destroy(self, call: Call) -> Any:
        """Delete an accounting; one that does not exist is 422 here, unlike anywhere else."""
        call.caller.require(ADMIN)
        if self._desk.state.accountings.get(call.id()) is None:
            raise RefusedError(str(call.missing("Ticket::TimeAccounting")))
        self._desk.delete(self._find(call).id, editor_id=call.caller.user.id)
        return {}

    def index_types(self, call: Call) -> Any:
        """A page of activity types, inactive ones among them."""
        call.caller.require(ADMIN)
        offset, limit = call.page(DEFAULT_PAGE, LARGEST_PAGE)
        everything = sorted_rows(list(self._desk.state.types.values()), call.sorting(TYPE_COLUMNS, BY_ID))
        rows = everything[offset : offset + limit]
        if call.flag("full") and not call.flag("expand"):
            people = {user_id for row in rows for user_id in (row.created_by_id, row.updated_by_id)}
            return {
                "record_ids": [row.id for row in rows],
                "assets": self._rows.assets("TicketTimeAccountingType", rows, self._rows.activity_type, people),
                "total_count": len(everything),
            }
        return [self._rows.activity_type(row, expand=call.flag("expand")) for row in rows]

    def create_type(self, call: Call) -> Any:
        """A new activity type."""
        call.caller.require(ADMIN)
        values = self._values_of_type(call)
        type_id = self._desk.add_type(
            str(values.get("name") or ""),
            note=values.get("note"),
            active=values.get("active", True),
            author_id=call.caller.user.id,
        )
        return self._rows.activity_type(self._desk.state.types[type_id])

    def update_type(self, call: Call) -> Any:
        """Rename, annotate, activate or deactivate an activity type."""
        call.caller.require(ADMIN)
        if call.id() not in self._desk.state.types:
            raise call.missing("Ticket::TimeAccounting::Type")
        self._desk.change_type(call.id(), editor_id=call.caller.user.id, **self._values_of_type(call))
        return self._rows.activity_type(self._desk.state.types[call.id()])

    def _values_of_type(self, call: Call) -> dict[str, Any]:
        """What a type is to be: the note without scripts, which Zammad takes out of HTML."""
        values = call.only("name", "note", "active")
        if values.get("active", True) is None:
            raise RefusedError("Attribute 'active\" of relation \"ticket_time_accounting_types' required!")
        if values.get("note"):
            values["note"] = re.sub(r"<script.*?</script>", "", str(values["note"]), flags=re.DOTALL)
        return values

    def _list(self, call: Call, rows: list[Accounting], total: int) -> Any:
        if call.flag("full") and not call.flag("expand"):
            return {
                "record_ids": [row.id for row in rows],
                "assets": self._rows.accounting_assets(rows),
                "total_count": total,
            }
        return [self._rows.accounting(row, expand=call.flag("expand")) for row in rows]

    def _tickets_named(self, call: Call) -> list[int] | None:
        if "ticket_id" in call.path:
            return [call.id("ticket_id")]
        return call.integers("ticket_id")

    def _require_reading(self, call: Call, tickets: list[int] | None) -> None:
        """An admin reads everything, even tickets that do not exist; an agent one ticket they may change."""
        if call.caller.can(ADMIN):
            return
        if tickets is None or len(tickets) != 1:
            raise ApiError(403, "Not authorized")
        if not call.caller.may("change", self._ticket(call, tickets[0])):
            raise ApiError(403, "Not authorized")

    def _require_creating(self, call: Call, ticket_id: int) -> None:
        """An admin books always; an agent with `change` or `create`, while the feature is on."""
        if not call.caller.can(ADMIN):
            require_booking(self._desk, call.caller, self._ticket(call, ticket_id))

    def _ticket(self, call: Call, ticket_id: int) -> Ticket:
        ticket = self._desk.state.tickets.get(ticket_id)
        if ticket is not None:
            return ticket
        if "ticket_id" in call.path:
            raise call.missing("Ticket", "ticket_id")
        if "ticket_id" in call.params:
            raise not_found("Ticket", call.params["ticket_id"])
        raise ApiError(404, "Couldn't find Ticket without an ID")

    def _type_named(self, call: Call, default: Any) -> int | None:
        """The type given by id or by name."""
        if "type_id" in call.params:
            return call.reference("type_id", self._desk.state.types)
        name = call.params.get("type")
        if name is None:
            return default
        for row in self._desk.state.types.values():
            if row.name.lower() == str(name).lower():
                return row.id
        raise RefusedError(f"No lookup value found for 'type': {json.dumps(name)}")

    def _find(self, call: Call) -> Accounting:
        """The row of the path, on the ticket of the path, the query or the body where one is named."""
        row = self._desk.state.accountings.get(call.id())
        tickets = self._tickets_named(call)
        if tickets is not None and (row is None or row.ticket_id not in tickets):
            text = str(call.missing("Ticket::TimeAccounting"))
            raise ApiError(404, f'{text} [WHERE "ticket_time_accountings"."ticket_id" = $1]')
        if row is None:
            raise call.missing("Ticket::TimeAccounting")
        return row

    def _existing(self, row_id: int) -> Accounting:
        row = self._desk.state.accountings.get(row_id)
        assert row is not None  # noqa: S101 - it was written a moment ago
        return row


def require_booking(desk: Desk, caller: Caller, ticket: Ticket) -> None:
    """Refuse an agent who may not book on the ticket, or anybody but admins while the feature is off."""
    if caller.can(ADMIN):
        return
    if not (caller.may("change", ticket) or caller.may("create", ticket)):
        raise ApiError(403, "Not authorized ()!")
    if not desk.settings.time_accounting:
        raise ApiError(403, "Not authorized (Time Accounting is not enabled)!")
