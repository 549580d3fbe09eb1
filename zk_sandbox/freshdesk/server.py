"""The simulated Freshdesk as a whole: its desk, its HTTP API, its snapshots and settings."""

from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from zk_sandbox.freshdesk.desk import Desk, State
from zk_sandbox.freshdesk.directory_routes import DirectoryRoutes
from zk_sandbox.freshdesk.entry_routes import EntryRoutes
from zk_sandbox.freshdesk.settings import Settings
from zk_sandbox.freshdesk.ticket_routes import TicketRoutes


class FreshdeskServer(Desk):
    """A Freshdesk without anybody and anything until it is seeded."""

    def app(self) -> ASGIApp:
        """The REST API under /api/v2."""
        tickets = TicketRoutes(self)
        controllers = (DirectoryRoutes(self), EntryRoutes(self, tickets), tickets)
        return Starlette(
            routes=[route for controller in controllers for route in controller.routes()],
            exception_handlers={404: _no_route},
        )

    def snapshot(self) -> dict[str, Any]:
        """Settings and all rows."""
        return {"settings": asdict(self.settings), "state": self.state.dump()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Replace settings and all rows."""
        settings = Settings().changed(snapshot["settings"])
        self.state, self.meanwhile = State.load(snapshot["state"]), None
        self.settings = settings

    def configure(self, settings: dict[str, Any]) -> None:
        """Change settings (see `settings.Settings`); ValueError names what is wrong."""
        self.settings = self.settings.changed(settings)


async def _no_route(_request: Request, _error: Exception) -> Response:
    return Response(status_code=404)
