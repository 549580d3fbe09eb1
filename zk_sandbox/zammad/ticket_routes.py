"""Routes of tickets, their articles and tags: list, search, show, change (docs/zammad.md §5, §6)."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from zk_sandbox.zammad.accounting_routes import require_booking
from zk_sandbox.zammad.accountings import sorted_rows
from zk_sandbox.zammad.calls import Call, leading_number, not_found, route
from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.errors import ApiError, DatabaseFaultError, RefusedError, ServerError
from zk_sandbox.zammad.records import Article, Ticket, instant_of
from zk_sandbox.zammad.rows import Rows

LIST_PAGE = 100
SEARCH_PAGE, LARGEST_SEARCH_PAGE = 50, 200
NUMBERS = {
    "id", "group_id", "state_id", "priority_id", "organization_id", "customer_id", "owner_id", "created_by_id",
    "updated_by_id", "time_unit",
}  # fmt: skip
INSTANTS = {"created_at", "updated_at", "close_at"}
TICKET_COLUMNS = NUMBERS | INSTANTS | {"number", "title"}
SORT_COLUMNS = tuple(sorted(TICKET_COLUMNS))
ARTICLE_COLUMNS = {"id", "body", "subject", "type", "sender", "created_by_id", "created_at", "updated_at"}
NEWEST_CHANGE_FIRST = (("updated_at", True), ("id", True))
LARGEST_INTEGER = 2**31 - 1
ENTRY_FIELDS = ("id", "ticket_id", "ticket_article_id", "time_unit", "type_id")


class TicketRoutes:
    """Handlers of tickets, their articles and tags; what the caller may not see is left out of lists without a word."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rows = Rows(desk)

    def routes(self) -> list[Route]:
        """All routes; `search` before the ids."""
        return [
            route(self._desk, method, f"/api/v1/{path}", handler, status=status)
            for method, path, handler, status in (
                ("GET", "tickets", self.index, 200),
                ("POST", "tickets", self.create, 201),
                ("GET", "tickets/search", self.search, 200),
                ("POST", "tickets/search", self.search, 200),
                ("GET", "tickets/{id}", self.show, 200),
                ("PUT", "tickets/{id}", self.update, 200),
                ("DELETE", "tickets/{id}", self.destroy, 200),
                ("PUT", "ticket_merge/{id}/{number}", self.merge, 200),
                ("GET", "ticket_articles/by_ticket/{id}", self.articles_of_ticket, 200),
                ("GET", "ticket_articles/{id}", self.show_article, 200),
                ("POST", "ticket_articles", self.create_article, 201),
                ("DELETE", "ticket_articles/{id}", self.destroy_article, 200),
                ("GET", "tags", self.tags, 200),
                ("POST", "tags/add", self.add_tag, 201),
                ("DELETE", "tags/remove", self.remove_tag, 200),
            )
        ]

    def index(self, call: Call) -> Any:
        """A page of tickets by id; no sorting, no total."""
        offset, limit = call.page(LIST_PAGE, LIST_PAGE)
        visible = [row for row in self._desk.state.tickets.values() if call.caller.finds(row)]
        rows = sorted(visible, key=lambda row: row.id)[offset : offset + limit]
        if call.flag("expand"):
            return [self._rows.ticket_expanded(row) for row in rows]
        if call.flag("full"):
            return {"record_ids": [row.id for row in rows], "assets": self._rows.ticket_assets(rows)}
        return [self._rows.ticket(row) for row in rows]

    def search(self, call: Call) -> Any:
        """Tickets by ids, condition and text; see docs/zammad.md §5 for the shapes up to 6.4 and from 6.5."""
        offset, limit = call.page(SEARCH_PAGE, LARGEST_SEARCH_PAGE)
        sorting = call.sorting(SORT_COLUMNS, NEWEST_CHANGE_FIRST)
        found = [row for row in self._matching(call) if call.caller.finds(row)]
        if call.flag("only_total_count"):
            return {"total_count": len(found)}
        rows = sorted_rows(found, sorting)[offset : offset + limit]
        if call.flag("expand"):
            return [self._rows.ticket_expanded(row) for row in rows]
        ids, assets = [row.id for row in rows], self._rows.ticket_assets(rows)
        if call.flag("full"):
            return {"record_ids": ids, "assets": assets, "total_count": len(found)}
        if self._desk.settings.at_least(6, 5):
            return [self._rows.ticket_with_ids(row) for row in rows]
        return {"tickets": ids, "tickets_count": len(rows), "assets": assets}

    def show(self, call: Call) -> Any:
        """One ticket; with `all=true` also its accountings, in five fields."""
        ticket = self._opened(call)
        if call.flag("expand"):
            return self._rows.ticket_expanded(ticket)
        if call.flag("full"):
            return {"id": ticket.id, "assets": self._rows.ticket_assets([ticket])}
        if not call.flag("all"):
            return self._rows.ticket(ticket)
        articles = self._desk.state.articles_of(ticket.id)
        entries = [self._rows.accounting(row) for row in self._desk.state.accountings.of_ticket(ticket.id)]
        return {
            "ticket_id": ticket.id,
            "ticket_article_ids": [article.id for article in articles],
            "time_accountings": [{name: entry[name] for name in ENTRY_FIELDS} for entry in entries],
            "links": [],
            "mentions": [],
            "tags": ticket.tags,
            "assets": self._rows.ticket_assets([ticket])
            | {"TicketArticle": {str(article.id): self._rows.article(article) for article in articles}},
        }

    def create(self, call: Call) -> Any:
        """A new ticket with its first article."""
        group_id = self._group(call)
        customer = call.reference("customer_id", self._desk.state.users)
        user = call.caller.user
        if not (call.caller.can("ticket.agent") and user.may("create", group_id)):
            raise ApiError(403, "Not authorized")
        ticket_id = self._desk.add_ticket(
            str(call.params.get("title") or ""),
            group_id=group_id,
            customer_id=customer or user.id,
            organization_id=self._desk.state.users[customer or user.id].organization_id,
            author_id=user.id,
            state_id=1,
        )
        ticket = self._desk.state.tickets[ticket_id]
        if isinstance(call.params.get("article"), dict):
            self._write(call, ticket, call.params["article"])
        return self._rows.ticket_with_ids(ticket)

    def update(self, call: Call) -> Any:
        """Another customer, group, owner or state, perhaps with an article; the organization follows the customer."""
        ticket = self._changeable(call)
        customer = call.reference("customer_id", self._desk.state.users)
        changes: dict[str, Any] = call.only("owner_id", "state_id")
        if customer is not None:
            changes |= {
                "customer_id": customer,
                "organization_id": self._desk.state.users[customer].organization_id,
            }
        if "group" in call.params or "group_id" in call.params:
            changes["group_id"] = self._group(call)
        if changes:
            self._desk.reassign(ticket.id, **changes, editor_id=call.caller.user.id)
        if isinstance(call.params.get("article"), dict):
            self._write(call, ticket, call.params["article"])
        return self._rows.ticket_with_ids(ticket)

    def destroy(self, call: Call) -> Any:
        """Delete a ticket, which only administrators may."""
        if call.id() not in self._desk.state.tickets:
            raise call.missing("Ticket")
        if not call.caller.can("admin"):
            raise ApiError(403, "Not authorized (admin permission required)!")
        self._desk.delete_ticket(call.id())
        return Response(media_type="application/json")

    def merge(self, call: Call) -> Any:
        """Merge a ticket into another, which its number names; failures are answered with 200."""
        tickets = self._desk.state.tickets
        target = next((row for row in tickets.values() if row.number == call.path["number"]), None)
        if target is None:
            return {"result": "failed", "message": "The target ticket number could not be found."}
        if call.id() not in tickets:
            return {"result": "failed", "message": "The source ticket could not be found."}
        source = self._changeable(call)
        if not call.caller.may("change", target):
            raise ApiError(403, "Not authorized")
        self._desk.merge(source.id, target.id, editor_id=call.caller.user.id)
        return {
            "result": "success",
            "target_ticket": self._rows.ticket(target),
            "source_ticket": self._rows.ticket(source),
        }

    def articles_of_ticket(self, call: Call) -> Any:
        """All articles of a ticket, unpaged."""
        ticket = self._opened(call)
        return [self._rows.article(row) for row in self._desk.state.articles_of(ticket.id)]

    def show_article(self, call: Call) -> Any:
        """One article of a ticket that the caller may see."""
        article = self._article(call)
        if not call.caller.opens(self._desk.state.tickets[article.ticket_id]):
            raise ApiError(403, "Not authorized")
        return self._rows.article(article)

    def create_article(self, call: Call) -> Any:
        """A new note, perhaps with time."""
        ticket = self._desk.state.tickets.get(leading_number(call.params.get("ticket_id")))
        if ticket is None:
            raise not_found("Ticket", call.params.get("ticket_id"))
        if not call.caller.may("change", ticket):
            raise ApiError(403, "Not authorized")
        return self._rows.article(self._write(call, ticket, call.params))

    def destroy_article(self, call: Call) -> Any:
        """Delete a note with what was booked on it; only its author may."""
        article = self._article(call)
        if article.created_by_id != call.caller.user.id:
            raise ApiError(403, "Not authorized (you can only delete your own notes)!")
        self._desk.delete_article(article.id)
        return {}

    def tags(self, call: Call) -> Any:
        """The tags of a ticket."""
        ticket = self._tagged(call)
        if not call.caller.opens(ticket):
            raise ApiError(403, "Not authorized")
        return {"tags": ticket.tags}

    def add_tag(self, call: Call) -> Any:
        """Tag a ticket; one that it has already is 201 as well."""
        ticket, name = self._tagged(call), str(call.params.get("item") or "")
        new = name not in self._desk.state.tag_names
        may_name = self._desk.settings.tag_new or call.caller.can("admin.tag")
        if not call.caller.may("change", ticket) or (new and not may_name):
            raise ApiError(403, "Not authorized")
        self._desk.tag(ticket.id, name, editor_id=call.caller.user.id)
        return True

    def remove_tag(self, call: Call) -> Any:
        """Take a tag off a ticket."""
        ticket = self._tagged(call)
        if not call.caller.may("change", ticket):
            raise ApiError(403, "Not authorized")
        self._desk.tag(ticket.id, str(call.params.get("item") or ""), wanted=False, editor_id=call.caller.user.id)
        return True

    def _write(self, call: Call, ticket: Ticket, content: dict[str, Any]) -> Article:
        """A note and then its time. A refused time leaves the note: Zammad does not write both at once."""
        author = call.caller.user.id
        article_id = self._desk.add_article(
            ticket.id,
            author,
            str(content.get("body") or ""),
            subject=content.get("subject"),
            content_type=str(content.get("content_type") or "text/plain"),
            internal=content.get("internal") in (True, "true", "1"),
        )
        units = content.get("time_unit")
        if units not in (None, ""):
            require_booking(self._desk, call.caller, ticket)
            type_id = content.get("accounted_time_type_id")
            if type_id is not None and type_id not in self._desk.state.types:
                raise RefusedError(f"Invalid value for param 'type_id': {json.dumps(type_id)}")
            self._desk.book(ticket.id, author, units, type_id, article=article_id)
        return self._desk.state.articles[article_id]

    def _opened(self, call: Call) -> Ticket:
        ticket = self._desk.state.tickets.get(call.id())
        if ticket is None:
            raise call.missing("Ticket")
        if not call.caller.opens(ticket):
            raise ApiError(403, "Not authorized")
        return ticket

    def _changeable(self, call: Call) -> Ticket:
        ticket = self._opened(call)
        if not call.caller.may("change", ticket):
            raise ApiError(403, "Not authorized")
        return ticket

    def _article(self, call: Call) -> Article:
        article: Article | None = self._desk.state.articles.get(call.id())
        if article is None:
            raise call.missing("Ticket::Article")
        return article

    def _tagged(self, call: Call) -> Ticket:
        ticket = self._desk.state.tickets.get(leading_number(call.params.get("o_id")))
        if ticket is None:
            raise not_found("Ticket", call.params.get("o_id"))
        return ticket

    def _group(self, call: Call) -> int:
        """The group given by id or by name."""
        group_id = call.reference("group_id", self._desk.state.groups)
        for group in self._desk.state.groups.values():
            if group.id == group_id or group.name == call.params.get("group"):
                return group.id
        raise RefusedError(f"No lookup value found for 'group': {json.dumps(call.params.get('group'))}")

    def _matching(self, call: Call) -> list[Ticket]:
        condition = call.params.get("condition") or {}
        if not isinstance(condition, dict):
            raise ServerError("undefined method for a condition that is no hash")
        ids = call.integers("ids") if self._desk.settings.at_least(6, 5) else None
        tickets = self._desk.state.tickets
        tests = [self._matcher(name, rule) for name, rule in condition.items()]
        wanted = _ids_asked_for(condition) if ids is None else ids
        if wanted is None:
            rows = list(tickets.values())
        else:
            rows = [tickets[ticket_id] for ticket_id in dict.fromkeys(wanted) if ticket_id in tickets]
        rows = [row for row in rows if all(test(row) for test in tests)]
        text = str(call.params.get("query") or "").strip()
        if text in {"", "*"}:
            return rows
        if self._desk.settings.search_backend == "elasticsearch_down":
            return []
        return [row for row in rows if self._contains(row, text.lower())]

    def _matcher(self, name: str, rule: Any) -> Callable[[Ticket], bool]:
        """The test that one line of a condition puts to a ticket, or the fault for what Zammad does not know."""
        table, _, column = name.partition(".")
        columns = {"ticket": TICKET_COLUMNS, "article": ARTICLE_COLUMNS}.get(table)
        if columns is None or not column:
            raise ServerError(f"No such table or column in the condition '{name}'")
        if column not in columns:
            raise DatabaseFaultError(f"PG::UndefinedColumn: ERROR:  column {table}s.{column} does not exist\n")
        test = _value_test(column, rule)
        if table == "ticket":
            return lambda row: test(getattr(row, column))
        return lambda row: any(test(getattr(article, column)) for article in self._desk.state.articles_of(row.id))

    def _contains(self, row: Ticket, text: str) -> bool:
        """Plain substring over title, number and articles; field syntax is text like any other."""
        texts = [row.title, row.number]
        for article in self._desk.state.articles_of(row.id):
            texts += [article.subject or "", article.body]
        return any(text in candidate.lower() for candidate in texts)


def _value_test(column: str, rule: Any) -> Callable[[Any], bool]:
    """The test for a column's value; an empty list for "is" asks for nothing in particular, so it finds everything."""
    operator, value = rule.get("operator"), rule.get("value")
    wanted = {_comparable(column, item) for item in (value if isinstance(value, list) else [value])}
    if operator in {"is", "is not"} and column not in INSTANTS:
        return lambda found: not wanted or (_comparable(column, found) in wanted) == (operator == "is")
    if operator in {"contains", "contains not"} and column not in NUMBERS | INSTANTS:
        part = str(value).lower()
        return lambda found: (part in str(found or "").lower()) == (operator == "contains")
    if operator in {"after (absolute)", "before (absolute)"} and column in INSTANTS:
        try:
            border = instant_of(str(value))
        except ValueError as error:
            raise DatabaseFaultError(f"PG::InvalidDatetimeFormat: ERROR:  {value}\n") from error
        return lambda found: found is not None and (found > border if operator.startswith("after") else found < border)
    raise ServerError(f"Invalid operator '{operator}' for '{column}'")


def _comparable(column: str, value: Any) -> Any:
    """A value as the column's own type; PostgreSQL refuses what is no number, or too large for one."""
    if value is None or isinstance(value, Decimal):
        return value
    if column not in NUMBERS:
        return str(value)
    if not re.fullmatch(r"-?\d+(\.\d+)?", str(value)) or abs(Decimal(str(value))) > LARGEST_INTEGER:
        raise DatabaseFaultError(f"PG::InvalidTextRepresentation: ERROR:  invalid input: {value}\n")
    return Decimal(str(value))


def _ids_asked_for(condition: dict[str, Any]) -> list[int] | None:
    """The tickets to look at for a condition on the id, so that not all are looked at; None for all."""
    rule = condition.get("ticket.id", {})
    value = rule.get("value")
    if rule.get("operator") != "is" or value in (None, []):
        return None
    return [int(item) for item in (value if isinstance(value, list) else [value])]
