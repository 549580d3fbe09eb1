"""The simulated Zammad as a whole: its desk, its HTTP API, its snapshots and settings."""

from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from zk_sandbox.zammad.accounting_routes import AccountingRoutes
from zk_sandbox.zammad.calls import NO_PAGE
from zk_sandbox.zammad.desk import Desk
from zk_sandbox.zammad.directory_routes import DirectoryRoutes
from zk_sandbox.zammad.errors import ApiError, error_response, respond
from zk_sandbox.zammad.report_routes import ReportRoutes
from zk_sandbox.zammad.settings import Settings
from zk_sandbox.zammad.state import State
from zk_sandbox.zammad.ticket_routes import TicketRoutes


class ZammadServer(Desk):
    """A Zammad with the system user, the group "Users" (id 1) and nothing else until it is seeded."""

    def app(self) -> ASGIApp:
        """The REST API under /api/v1."""
        controllers = (AccountingRoutes(self), TicketRoutes(self), DirectoryRoutes(self), ReportRoutes(self))
        return Starlette(
            routes=[route for controller in controllers for route in controller.routes()],
            exception_handlers={404: _no_page, 405: _no_page},
        )

    def snapshot(self) -> dict[str, Any]:
        """Settings and all rows."""
        return {"settings": asdict(self.settings), "state": self.state.dump()}

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Replace settings and all rows."""
        settings = Settings().changed(snapshot["settings"])
        self.state = State.load(snapshot["state"])
        self.settings = settings

    def configure(self, settings: dict[str, Any]) -> None:
        """Change settings (see `settings.Settings`); ValueError names what is wrong."""
        self.settings = self.settings.changed(settings)


async def _no_page(request: Request, _error: Exception) -> Response:
    accept = request.headers.get("accept", "*/*")
    if request.method == "PATCH":  # Rails answers before Zammad does.
        return respond(404, {"status": 404, "error": "Not Found"}, accept)
    return error_response(ApiError(404, NO_PAGE), accept)
