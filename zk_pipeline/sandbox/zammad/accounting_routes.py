"""Routes of time accountings: the flat list, those of one ticket, and activity types (docs/zammad.md §2, §4)."""

from typing import Any

from starlette.routing import Route

from zk_pipeline.sandbox.zammad.accountings import COLUMNS, sorted_rows
from zk_pipeline.sandbox.zammad.calls import Call, not_found, route
from zk_pipeline.sandbox.zammad.desk import KEEP, Desk, RefusedError
from zk_pipeline.sandbox.zammad.errors import ApiError
from zk_pipeline.sandbox.zammad.records import Accounting
from zk_pipeline.sandbox.zammad.rows import Rows

ADMIN = "admin.time_accounting"
FLAT = "/api/v1/time_accountings"
OF_TICKET = "/api/v1/tickets/{ticket_id:int}/time_accountings"
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
            ("GET", "/{id:int}", self.show, 200),
            ("PUT", "/{id:int}", self.update, 200),
            ("DELETE", "/{id:int}", self.destroy, 200),
        ]
        types = [
            ("GET", "", self.index_types, 200),
            ("POST", "", self.create_type, 201),
            ("PUT", "/{id:int}", self.update_type, 200),
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
            article=call.integer("ticket_article_id"),
        )
        return self._rows.accounting(self._existing(row_id), expand=call.flag("expand"))

    def update(self, call: Call) -> Any:
        """Change number, type or article of an accounting."""
        call.caller.require(ADMIN)
        row = self._find(call)
        article = call.integer("ticket_article_id") if "ticket_article_id" in call.params else KEEP
        self._desk.edit(
            row.id,
            units=call.params.get("time_unit", KEEP),
            type_id=self._type_named(call, KEEP),
            article_id=article,
            editor_id=call.caller.user.id,
        )
        return self._rows.accounting(row, expand=call.flag("expand"))

    def destroy(self, call: Call) -> Any:
        """Delete an accounting."""
        call.caller.require(ADMIN)
        self._desk.delete(self._find(call).id, editor_id=call.caller.user.id)
        return {}

    def index_types(self, call: Call) -> Any:
        """A page of activity types, inactive ones among them."""
        call.caller.require(ADMIN)
        offset, limit = call.page(DEFAULT_PAGE, LARGEST_PAGE)
        rows = sorted_rows(list(self._desk.state.types.values()), call.sorting(TYPE_COLUMNS, BY_ID))
        return [self._rows.activity_type(row) for row in rows[offset : offset + limit]]

    def create_type(self, call: Call) -> Any:
        """A new activity type."""
        call.caller.require(ADMIN)
        values = call.only("name", "note", "active")
        type_id = self._desk.add_type(str(values.pop("name", "")), **values)
        return self._rows.activity_type(self._desk.state.types[type_id])

    def update_type(self, call: Call) -> Any:
        """Rename, annotate, activate or deactivate an activity type."""
        call.caller.require(ADMIN)
        type_id = call.path["id"]
        if type_id not in self._desk.state.types:
            raise not_found("Ticket::TimeAccounting::Type", type_id)
        self._desk.change_type(type_id, **call.only("name", "note", "active"))
        return self._rows.activity_type(self._desk.state.types[type_id])

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
            return [call.path["ticket_id"]]
        return call.integers("ticket_id")

    def _require_reading(self, call: Call, tickets: list[int] | None) -> None:
        """An admin reads everything, even tickets that do not exist; an agent one ticket they may change."""
        if call.caller.can(ADMIN):
            return
        if tickets is None or len(tickets) != 1:
            call.caller.require(ADMIN)
            return
        call.caller.require(ADMIN, "ticket.agent")
        ticket = self._desk.state.tickets.get(tickets[0])
        if ticket is None:
            raise not_found("Ticket", tickets[0])
        if not call.caller.may("change", ticket):
            raise ApiError(403, "Not authorized")

    def _require_creating(self, call: Call, ticket_id: int) -> None:
        """An admin books always; an agent with `change` or `create`, while the feature is on."""
        if call.caller.can(ADMIN):
            return
        call.caller.require(ADMIN, "ticket.agent")
        ticket = self._desk.state.tickets.get(ticket_id)
        if ticket is None:
            raise not_found("Ticket", ticket_id)
        allowed = call.caller.may("change", ticket) or call.caller.may("create", ticket)
        if not (allowed and self._desk.settings.time_accounting):
            raise ApiError(403, "Not authorized")

    def _type_named(self, call: Call, default: Any) -> int | None:
        """The type given by id or by name."""
        if "type_id" in call.params:
            return call.integer("type_id")
        name = call.params.get("type")
        if name is None:
            return default
        for row in self._desk.state.types.values():
            if row.name.lower() == str(name).lower():
                return row.id
        raise RefusedError(f"No lookup value found for 'type': {name!r}")

    def _find(self, call: Call) -> Accounting:
        row = self._desk.state.accountings.get(call.path["id"])
        if row is None or call.path.get("ticket_id", row.ticket_id) != row.ticket_id:
            raise not_found("Ticket::TimeAccounting", call.path["id"])
        return row

    def _existing(self, row_id: int) -> Accounting:
        row = self._desk.state.accountings.get(row_id)
        assert row is not None  # noqa: S101 - it was written a moment ago
        return row
