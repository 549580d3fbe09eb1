"""Joins the console to the web app: NiceGUI with our pages, our files, and the gate around both."""

import logging
from pathlib import Path

from fastapi import FastAPI
from nicegui import app as pages_app
from nicegui import ui
from starlette.routing import Match, Mount
from starlette.types import Scope

from zk_pipeline.runtime import Runtime
from zk_pipeline.web.console import shell
from zk_pipeline.web.console.gate import Gate
from zk_pipeline.web.console.sections import SECTIONS
from zk_pipeline.web.console.sockets import bind_to_sessions

ASSETS = "/console/assets"


class _Pages(Mount):
    """Everything that is none of the API's: what its routes do not serve keeps their own answers, such as 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match below `/api/`."""
        return (Match.NONE, {}) if scope.get("path", "").startswith("/api/") else super().matches(scope)


_FOLDER = Path(__file__).parent / "assets"
_SECONDS_TO_RECONNECT = 30.0


def mount(app: FastAPI, runtime: Runtime) -> None:
    """Serve the console at `/` and at the address of each section. Once in a process: NiceGUI has one app for all."""
    shown = {"/": SECTIONS, **{f"/{section.name}": (section,) for section in SECTIONS}}
    for path, sections in shown.items():
        ui.page(path)(shell.page(runtime, SECTIONS, sections))
    pages_app.add_static_files(ASSETS, _FOLDER, max_cache_age=3600)
    pages_app.add_middleware(
        Gate, runtime=runtime, sessions=app.state.recognition, pages=shown.keys(), assets=f"{ASSETS}/"
    )
    bind_to_sessions()
    logging.getLogger("uvicorn.error").addFilter(_without_sockets)
    ui.run_with(
        app,
        title="zk_pipeline",
        favicon=_FOLDER / "icon.svg",
        tailwind=False,
        binding_refresh_interval=None,
        reconnect_timeout=_SECONDS_TO_RECONNECT,
        show_welcome_message=False,
    )
    mounted = next(route for route in app.router.routes if isinstance(route, Mount) and route.app is pages_app)
    app.router.routes[app.router.routes.index(mounted)] = _Pages("/", mounted.app)


def _without_sockets(record: logging.LogRecord) -> bool:
    """Leave out the addresses of sockets: the id of a page in them is nobody's business."""
    return "WebSocket" not in record.msg and "connection " not in record.msg
