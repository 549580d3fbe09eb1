"""Routes of tickets and their articles: list, search, show (docs/zammad.md §5, §6)."""

from collections.abc import Callable
from typing import Any

from starlette.routing import Route

from zk_pipeline.sandbox.zammad.accountings import sorted_rows
from zk_pipeline.sandbox.zammad.calls import Call, not_found, route
from zk_pipeline.sandbox.zammad.desk import Desk, RefusedError
from zk_pipeline.sandbox.zammad.errors import ApiError
from zk_pipeline.sandbox.zammad.records import Article, Ticket, instant_of
from zk_pipeline.sandbox.zammad.rows import Rows

LIST_PAGE = 100
SEARCH_PAGE, LARGEST_SEARCH_PAGE = 50, 200
SORT_COLUMNS = ("id", "number", "title", "group_id", "organization_id", "customer_id", "created_at", "updated_at")
CONDITION_COLUMNS = {
    "id", "number", "title", "group_id", "state_id", "priority_id", "organization_id", "customer_id",
    "owner_id", "created_at", "updated_at", "close_at",
}  # fmt: skip
NEWEST_CHANGE_FIRST = (("updated_at", True), ("id", True))
ENTRY_FIELDS = ("id", "ticket_id", "ticket_article_id", "time_unit", "type_id")


class TicketRoutes:
    """Handlers of tickets and articles; what the caller may not see is left out of lists without a word."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes; `search` before the ids."""
        return [
            route(self._desk, method, path, handler)
            for method, path, handler in (
                ("GET", "/api/v1/tickets", self.index),
                ("GET", "/api/v1/tickets/search", self.search),
                ("POST", "/api/v1/tickets/search", self.search),
                ("GET", "/api/v1/tickets/{id:int}", self.show),
                ("GET", "/api/v1/ticket_articles/by_ticket/{id:int}", self.articles_of_ticket),
                ("GET", "/api/v1/ticket_articles/{id:int}", self.show_article),
            )
        ]

    def index(self, call: Call) -> Any:
        """A page of tickets by id; no sorting, no total."""
        call.caller.require("ticket.agent", "ticket.customer")
        offset, limit = call.page(LIST_PAGE, LIST_PAGE)
        visible = [row for row in self._desk.state.tickets.values() if call.caller.sees(row)]
        rows = sorted(visible, key=lambda row: row.id)[offset : offset + limit]
        if call.flag("expand"):
            return [self._rows.ticket_expanded(row) for row in rows]
        if call.flag("full"):
            return {"record_ids": [row.id for row in rows], "assets": self._assets(rows)}
        return [self._rows.ticket(row) for row in rows]

    def search(self, call: Call) -> Any:
        """Tickets by ids, condition and text; see docs/zammad.md §5 for the shapes up to 6.4 and from 6.5."""
        call.caller.require("ticket.agent", "ticket.customer")
        offset, limit = call.page(SEARCH_PAGE, LARGEST_SEARCH_PAGE)
        sorting = call.sorting(SORT_COLUMNS, NEWEST_CHANGE_FIRST)
        found = [row for row in self._matching(call) if call.caller.sees(row)]
        if call.flag("only_total_count"):
            return {"total_count": len(found)}
        rows = sorted_rows(found, sorting)[offset : offset + limit]
        if call.flag("expand"):
            return [self._rows.ticket_expanded(row) for row in rows]
        if call.flag("full"):
            return {"record_ids": [row.id for row in rows], "assets": self._assets(rows)}
        if self._desk.settings.at_least(6, 5):
            return [self._rows.ticket_with_ids(row) for row in rows]
        return {"tickets": [row.id for row in rows], "tickets_count": len(rows), "assets": self._assets(rows)}

    def show(self, call: Call) -> Any:
        """One ticket; with `all=true` also its accountings, in five fields."""
        ticket = self._visible(call, call.path["id"])
        if call.flag("expand"):
            return self._rows.ticket_expanded(ticket)
        if not call.flag("all"):
            return self._rows.ticket(ticket)
        entries = [self._rows.accounting(row) for row in self._desk.state.accountings.of_ticket(ticket.id)]
        return {
            "ticket_id": ticket.id,
            "ticket_article_ids": [article.id for article in self._desk.state.articles_of(ticket.id)],
            "time_accountings": [{name: entry[name] for name in ENTRY_FIELDS} for entry in entries],
            "assets": self._assets([ticket]),
        }

    def articles_of_ticket(self, call: Call) -> Any:
        """All articles of a ticket, unpaged."""
        ticket = self._visible(call, call.path["id"])
        return [self._rows.article(row) for row in self._desk.state.articles_of(ticket.id)]

    def show_article(self, call: Call) -> Any:
        """One article of a ticket that the caller may see."""
        article: Article | None = self._desk.state.articles.get(call.path["id"])
        if article is None:
            raise not_found("Ticket::Article", call.path["id"])
        self._visible(call, article.ticket_id)
        return self._rows.article(article)

    def _visible(self, call: Call, ticket_id: int) -> Ticket:
        call.caller.require("ticket.agent", "ticket.customer")
        ticket = self._desk.state.tickets.get(ticket_id)
        if ticket is None:
            raise not_found("Ticket", ticket_id)
        if not call.caller.sees(ticket):
            raise ApiError(403, "Not authorized")
        return ticket

    def _assets(self, rows: list[Ticket]) -> dict[str, Any]:
        if not rows:
            return {}
        return {"Ticket": {str(row.id): self._rows.ticket_with_ids(row) for row in rows}}

    def _matching(self, call: Call) -> list[Ticket]:
        condition = call.params.get("condition") or {}
        ids = call.integers("ids") if self._desk.settings.at_least(6, 5) else None
        rows = self._candidates(ids, condition)
        for name, rule in condition.items():
            matches = _matcher(name, rule)
            rows = [row for row in rows if matches(row)]
        text = str(call.params.get("query") or "").strip()
        if not text:
            return rows
        if self._desk.settings.search_backend == "elasticsearch_down":
            return []
        return [row for row in rows if self._contains(row, text.lower())]

    def _candidates(self, ids: list[int] | None, condition: dict[str, Any]) -> list[Ticket]:
        """The tickets with those ids; by a condition on the id, too, without looking at all of them."""
        tickets = self._desk.state.tickets
        rule = condition.get("ticket.id", {})
        if ids is None and rule.get("operator") == "is":
            ids = [int(value) for value in _values(rule) if str(value).isdigit()]
        if ids is None:
            return list(tickets.values())
        return [tickets[ticket_id] for ticket_id in dict.fromkeys(ids) if ticket_id in tickets]

    def _contains(self, row: Ticket, text: str) -> bool:
        """Plain substring over title, number and articles; field syntax is text like any other."""
        texts = [row.title, row.number]
        for article in self._desk.state.articles_of(row.id):
            texts += [article.subject, article.body]
        return any(text in candidate.lower() for candidate in texts)


def _matcher(name: str, rule: dict[str, Any]) -> Callable[[Ticket], bool]:
    """The test that one line of a condition puts to a ticket; 422 for what Zammad does not know."""
    column = name.removeprefix("ticket.")
    operator = rule.get("operator")
    if not name.startswith("ticket.") or column not in CONDITION_COLUMNS:
        raise RefusedError(f"Invalid condition attribute '{name}'")
    if operator in {"is", "is not"}:
        wanted = {str(value) for value in _values(rule)}
        return lambda row: (str(getattr(row, column)) in wanted) == (operator == "is")
    if operator in {"after (absolute)", "before (absolute)"} and column.endswith("_at"):
        return _time_matcher(column, str(rule.get("value")), after=operator.startswith("after"))
    raise RefusedError(f"Invalid operator '{operator}' for '{name}'")


def _time_matcher(column: str, value: str, *, after: bool) -> Callable[[Ticket], bool]:
    try:
        border = instant_of(value)
    except ValueError as error:
        raise RefusedError(f"Invalid value '{value}' for 'ticket.{column}'") from error

    def matches(row: Ticket) -> bool:
        instant = getattr(row, column)
        return instant is not None and (instant > border if after else instant < border)

    return matches


def _values(rule: dict[str, Any]) -> list[Any]:
    value = rule.get("value")
    return value if isinstance(value, list) else [value]
