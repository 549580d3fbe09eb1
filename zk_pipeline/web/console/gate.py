"""Who may load what of the console: pages and their socket need a session, files do not, all else is not there."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from nicegui import __version__ as nicegui_version
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.operations import accounts
from zk_pipeline.operations.actors import Actor
from zk_pipeline.operations.sign_in import SessionOverError
from zk_pipeline.runtime import Runtime
from zk_pipeline.web.console.sockets import is_of
from zk_pipeline.web.console.visit import Visitor
from zk_pipeline.web.errors import ProblemError
from zk_pipeline.web.recognition import Sessions

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
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """Middleware around NiceGUI, which itself asks nobody who they are.

    `pages` are the addresses of the console, `assets` the beginning of its own files.
    """

    app: ASGIApp
    runtime: Runtime
    sessions: Sessions
    pages: Collection[str]
    assets: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request or a socket through, send a stranger to the sign-in, or say that there is nothing."""
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
        if visitor is None:
            query = connection.url.query
            target = quote(scope["path"] + (f"?{query}" if query else ""), safe="/")
            await RedirectResponse(self.sessions.way_in(connection, target), 303)(scope, receive, send)
            return
        scope.setdefault("state", {})["visitor"] = visitor
        await self.app(scope, receive, _Protected(send))

    async def _belongs_to_a_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Other sites may open sockets to us from a visitor's browser, so what comes must come from our own pages."""
        connection, path = HTTPConnection(scope), scope["path"]
        visitor = await run_in_threadpool(self._visitor, connection) if _is_from_here(connection.headers) else None
        page = path.removeprefix(_UPLOADS).partition("/")[0] if path.startswith(_UPLOADS) else ""
        if visitor is not None and is_of(page, visitor.session.id):
            scope.setdefault("state", {})["visitor"] = visitor
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send(_REFUSED)
        else:
            raise ProblemError(401, "This belongs to a page of the console. Sign in and load the page again.")

    def _visitor(self, connection: HTTPConnection) -> Visitor | None:
        try:
            session = self.sessions.session_of(connection)
            actor = session.actor()
        except SessionOverError:
            return None
        return Visitor(session, actor, self._name(actor))

    def _name(self, actor: Actor) -> str:
        with self.runtime.database.transaction() as connection:
            user = accounts.of_id(connection, actor.user_id or 0)
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
