"""Access to the console: who may load what, and which session's page a socket may drive."""

import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import FastAPI
from nicegui import Client, core, ui
from nicegui import __version__ as nicegui_version
from nicegui import app as pages_app
from socketio.exceptions import ConnectionRefusedError as RefusedError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Actor
from zk_pipeline.identity.sign_in import SessionOverError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.authentication import Sessions
from zk_pipeline.web.console import shell
from zk_pipeline.web.console.shell import SECTIONS
from zk_pipeline.web.console.visit import Visitor
from zk_pipeline.web.errors import ProblemError

# Whose page a socket may drive: the session's that opened the page.
#
# NiceGUI takes a message for the page that it names, whoever sends it, and the id of a page is no secret: it stands in
# addresses.

_MESSAGES = ("handshake", "event", "javascript_response", "ack", "log")
"""Every message that NiceGUI takes on a socket; a test compares them with the installed version."""

_NAMESPACE = "/"


def bind_to_sessions() -> None:
    """Refuse every message about a page of another session."""
    handlers = core.sio.handlers[_NAMESPACE]
    for name in _MESSAGES:
        core.sio.on(name, _of_its_session(handlers[name]))
    core.sio.on("connect", _connecting(handlers["connect"]))


def is_of(page: str, session: str) -> bool:
    """Whether this session opened the page; unknown ids are left to NiceGUI."""
    client = Client.instances.get(page)
    return client is None or client.request.state.visitor.session.id == session


def _of_its_session(handle: Callable[..., Any]) -> Callable[..., Any]:
    async def guarded(socket: str, message: dict[str, Any]) -> Any:
        if not is_of(str(message.get("client_id")), _session_of(socket)):
            return False
        answer = handle(socket, message)
        return await answer if isawaitable(answer) else answer

    return guarded


def _connecting(handle: Callable[..., Any]) -> Callable[..., Any]:
    """A socket may name its page when it connects."""

    async def guarded(socket: str, environ: dict[str, Any], *more: Any) -> Any:
        for page in parse_qs(environ.get("QUERY_STRING", "")).get("client_id", ()):
            if not is_of(page, _session_of(socket)):
                raise RefusedError("The page belongs to another session.")
        return await handle(socket, environ, *more)

    return guarded


def _session_of(socket: str) -> str:
    """The session of whoever opened the socket, as the gate recognized it."""
    environ: dict[str, Any] = core.sio.get_environ(socket) or {}
    return environ["asgi.scope"]["state"]["visitor"].session.id


# Who may load what of the console: pages and their socket need a session, files do not, anything else is 404.

_FILES = tuple(
    f"/_nicegui/{nicegui_version}/{kind}/"
    for kind in ("static", "libraries", "components", "esm", "resources", "dynamic_resources")
)
_ICON = "/favicon.ico"
_SOCKET = "/_nicegui_ws/"
_UPLOADS = "/_nicegui/client/"
_REFUSED = {"type": "websocket.close", "code": 1008}

# NiceGUI compiles its templates in the browser and sets styles of single elements, hence the two exceptions.
_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class ConsoleAuth:
    """Middleware around NiceGUI, which itself asks nobody who they are.

    `pages` are the addresses of the console, `assets` the beginning of its own files.
    """

    app: ASGIApp
    runtime: Runtime
    sessions: Sessions
    pages: Collection[str]
    assets: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or socket on, send strangers to the sign-in, or answer 404."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        if path in self.pages and scope["type"] == "http":
            await self._page(scope, receive, send)
        elif path.startswith((*_FILES, self.assets, _ICON)) and scope["type"] == "http":
            await self.app(scope, receive, send)
        elif path.startswith((_SOCKET, _UPLOADS)):
            await self._belongs_to_a_page(scope, receive, send)
        elif scope["type"] == "websocket":
            await send(_REFUSED)
        else:
            raise ProblemError(404, f"There is nothing at {path}. Check the address.")

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        visitor = await run_in_threadpool(self._visitor, connection)
        if visitor is None or visitor.session.is_due:
            query = connection.url.query
            target = quote(scope["path"] + (f"?{query}" if query else ""), safe="/")
            way = self.sessions.way_in(target, renews=visitor is not None)
            await RedirectResponse(way, 303)(scope, receive, send)
            return
        scope.setdefault("state", {})["visitor"] = visitor
        await self.app(scope, receive, _Protected(send))

    async def _belongs_to_a_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Other sites can open sockets to us from a visitor's browser, so the origin must be our own."""
        connection, path = HTTPConnection(scope), scope["path"]
        visitor = await run_in_threadpool(self._visitor, connection) if _is_from_here(connection.headers) else None
        page = path.removeprefix(_UPLOADS).partition("/")[0] if path.startswith(_UPLOADS) else ""
        if visitor is not None and is_of(page, visitor.session.id):
            scope.setdefault("state", {})["visitor"] = visitor
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send(_REFUSED)
        else:
            raise ProblemError(401, "Sign in and load the page again: this belongs to a page of the console.")

    def _visitor(self, connection: HTTPConnection) -> Visitor | None:
        try:
            session = self.sessions.session_of(connection)
            actor = session.actor()
        except SessionOverError:
            return None
        return Visitor(session, actor, self._name(actor))

    def _name(self, actor: Actor) -> str:
        with self.runtime.database.transaction() as connection:
            user = users.user_by_id(connection, actor.user_id or 0)
        return user.name or user.email


class _Protected:
    """Sends a page with the policy that protects it; each of its own scripts gets the nonce that lets it run.

    Nothing that comes from outside can hold a script tag here: NiceGUI escapes all data in its pages.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._nonce = secrets.token_urlsafe(18)
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body") or self._start is None:
            return
        body = bytes(self._body).replace(b"<script", f'<script nonce="{self._nonce}"'.encode())
        headers = MutableHeaders(scope=self._start)
        headers["Content-Security-Policy"] = _POLICY.format(nonce=self._nonce)
        headers["Content-Length"] = str(len(body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


def _is_from_here(headers: Headers) -> bool:
    """Whether a request comes from a page of this host; browsers always say so for sockets and forms."""
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host")


# Joins the console to the web app: NiceGUI with our pages, our files, and the gate around both.

ASSETS = "/console/assets"


class _Pages(Mount):
    """Everything outside the API, whose routes keep their own answers, such as 405."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match below `/api/`."""
        return (Match.NONE, {}) if scope.get("path", "").startswith("/api/") else super().matches(scope)


_FOLDER = Path(__file__).parent / "assets"
_SECONDS_TO_RECONNECT = 30.0


def mount(app: FastAPI, runtime: Runtime) -> None:
    """Serve the console at `/` and at the address of each section and part of one. Once in a process.

    NiceGUI has one app for all.
    """
    shown = {"/": SECTIONS}
    for section in SECTIONS:
        shown |= {f"/{one.name}": (section,) for one in (section, *section.parts)}
    for path, sections in shown.items():
        ui.page(path)(shell.page(runtime, SECTIONS, sections))
    pages_app.add_static_files(ASSETS, _FOLDER, max_cache_age=3600)
    pages_app.add_middleware(
        ConsoleAuth, runtime=runtime, sessions=app.state.recognition, pages=shown.keys(), assets=f"{ASSETS}/"
    )
    bind_to_sessions()
    logging.getLogger("uvicorn.error").addFilter(_without_sockets)
    # Its bar has no name for screen readers, and each button shows by itself that it works.
    pages_app.config.quasar_config["loadingBar"]["skipHijack"] = True
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
    """Leave out the addresses of sockets, which contain the ids of pages."""
    return "WebSocket" not in record.msg and "connection " not in record.msg
