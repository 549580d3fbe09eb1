"""Routes of agents, the account, companies, contacts, groups, products and ticket fields."""

from collections.abc import Callable
from typing import Any

from starlette.routing import Route

from zk_sandbox.freshdesk.calls import ApiError, Call, by_id, route
from zk_sandbox.freshdesk.desk import Desk
from zk_sandbox.freshdesk.records import Agent, Company, Contact, Named, iso


class DirectoryRoutes:
    """Handlers of people and of what tickets refer to."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """All routes; `me` before the ids."""
        return [
            route(self._desk, "GET", path, handler)
            for path, handler in (
                ("/agents/me", self.me),
                ("/agents", self.agents),
                ("/agents/{id}", self._one(lambda: self._desk.state.agents, _agent)),
                ("/account", self.account),
                ("/settings/helpdesk", self.languages),
                ("/companies", self.companies),
                ("/companies/{id}", self._one(lambda: self._desk.state.companies, _company)),
                ("/contacts/{id}", self._one(lambda: self._desk.state.contacts, _contact)),
                ("/groups", self._named("groups")),
                ("/products", self._named("products")),
                ("/ticket_fields", self.fields),
            )
        ]

    def me(self, call: Call) -> Any:
        """The agent of the key."""
        return _agent(call.caller)

    def agents(self, call: Call) -> Any:
        """A page of agents, all or those with an address."""
        found = by_id(self._desk.state.agents.values())
        if "email" in call.query:
            found = [row for row in found if row.email.lower() == call.query["email"].lower()]
        return [_agent(row) for row in call.page(found)]

    def account(self, _call: Call) -> Any:
        """The account, with the name of its zone as Rails has it; only for those who may."""
        if not self._desk.settings.shows_account:
            raise ApiError(403, "access_denied", "You are not authorized to perform this action.")
        settings = self._desk.settings
        return {
            "account_id": 4711,
            "account_name": "Example",
            "account_domain": "example.freshdesk.com",
            "tier_type": settings.tier,
            "timezone": settings.zone,
            "total_agents": {"full_time": len(self._desk.state.agents)},
        }

    def languages(self, _call: Call) -> Any:
        """The languages of the help desk: neither zone nor plan."""
        return {"primary_language": "en", "supported_languages": [], "portal_languages": []}

    def companies(self, call: Call) -> Any:
        """A page of companies."""
        return [_company(row) for row in call.page(by_id(self._desk.state.companies.values()))]

    def fields(self, _call: Call) -> Any:
        """The fields of tickets, of which the types matter."""
        return [
            {"id": 1, "name": "subject", "type": "default_subject", "label": "Subject"},
            {"id": 2, "name": "ticket_type", "type": "default_ticket_type", "choices": list(self._desk.state.types)},
        ]

    def _one(self, table: Callable[[], dict[int, Any]], show: Callable[[Any], Any]) -> Callable[[Call], Any]:
        def one(call: Call) -> Any:
            row = table().get(call.id())
            if row is None:
                raise ApiError(404)
            return show(row)

        return one

    def _named(self, table: str) -> Callable[[Call], Any]:
        def listed(call: Call) -> Any:
            rows: dict[int, Named] = getattr(self._desk.state, table)
            return [{"id": row.id, "name": row.name} for row in call.page(by_id(rows.values()))]

        return listed


def _agent(row: Agent) -> dict[str, Any]:
    return {
        "id": row.id,
        "available": True,
        "occasional": False,
        "ticket_scope": row.ticket_scope,
        "group_ids": row.group_ids,
        "role_ids": [1],
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
        "last_active_at": None,
        "contact": {"name": row.name, "email": row.email, "active": row.active, "time_zone": row.time_zone},
    }


def _company(row: Company) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "domains": row.domains,
        "custom_fields": {},
        "created_at": iso(row.created_at),
        "updated_at": iso(row.updated_at),
    }


def _contact(row: Contact) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "email": row.email, "company_id": row.company_id, "active": False}
