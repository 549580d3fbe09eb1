"""The simulated Jira as a whole: its site, its HTTP API, its snapshots and settings."""

from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zk_sandbox.jira.directory_routes import DirectoryRoutes
from zk_sandbox.jira.issue_routes import IssueRoutes
from zk_sandbox.jira.settings import Settings
from zk_sandbox.jira.site import Site
from zk_sandbox.jira.state import State
from zk_sandbox.jira.worklog_routes import WorklogRoutes


class JiraServer(Site):
    """A Jira Cloud or Data Center with nothing in it until it is seeded."""

    def app(self) -> ASGIApp:
        """The REST API, which is another one for each kind of Jira."""
        apps: dict[str, ASGIApp] = {}

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            kind = self.settings.deployment
            if kind not in apps:
                apps[kind] = self._api()
            await apps[kind](scope, receive, send)

        return app

    def _api(self) -> ASGIApp:
        controllers = (WorklogRoutes(self), IssueRoutes(self), DirectoryRoutes(self))
        return Starlette(
            routes=[route for controller in controllers for route in controller.routes()],
            exception_handlers={404: _no_route, 405: _no_route},
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


async def _no_route(_request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return JSONResponse({"message": "null for uri", "status-code": status}, status)
