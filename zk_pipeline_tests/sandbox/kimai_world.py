"""A small simulated Kimai for tests: four people, one customer, two projects, one activity."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from starlette.types import ASGIApp

from zk_sandbox.kimai import KimaiServer

NOW = "2026-03-10T12:00:00Z"


def asked(app: ASGIApp, method: str, path: str, headers: Mapping[str, str], **arguments: Any) -> httpx.Response:
    """The app's answer to a request."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://kimai") as client:
            return await client.request(method, path, headers=headers, **arguments)

    return asyncio.run(ask())


class World:
    """The server, and requests in the name of its people: root (New York), lead, anna (Berlin), ben (UTC)."""

    def __init__(self) -> None:
        self.server = KimaiServer({"now": NOW})
        self.app = self.server.app()
        add_user = self.server.add_user
        self.root = add_user("root", "root@example.com", ["ROLE_SUPER_ADMIN"], "America/New_York", "root")
        self.lead = add_user("lead", "lead@example.com", ["ROLE_TEAMLEAD"], "UTC", "lead")
        self.anna = add_user("anna", "anna@example.com", [], "Europe/Berlin", "anna")
        self.ben = add_user("ben", "ben@example.com", [], "UTC", "ben")
        self.customer = self.server.add_customer("ACME")
        self.project = self.server.add_project("Website", self.customer)
        self.other_project = self.server.add_project("Shop", self.customer)
        self.activity = self.server.add_activity("Support")

    def ask(self, user: str, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request with a user's token."""
        return asked(self.app, method, path, {"Authorization": f"Bearer {user}"}, **arguments)

    def get(self, path: str, caller: str = "root", /, **query: Any) -> httpx.Response:
        """A GET with query parameters."""
        return self.ask(caller, "GET", path, params=query)

    def post(self, caller: str = "root", /, **fields: Any) -> httpx.Response:
        """POST of a time entry with project and activity."""
        body = {"project": self.project, "activity": self.activity} | fields
        return self.ask(caller, "POST", "/api/timesheets", json=body)

    def patch(self, entry: int, caller: str = "root", /, **fields: Any) -> httpx.Response:
        """PATCH of a time entry."""
        return self.ask(caller, "PATCH", f"/api/timesheets/{entry}", json=fields)

    def entry(self, owner: int, begin: str, end: str, description: str | None = None, **columns: Any) -> int:
        """A time entry put in place, from wall-clock times in UTC."""
        first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (begin, end))
        return self.server.add_timesheet(owner, self.project, self.activity, first, last, description, **columns)
