"""Middleware around Dagster's web server: authenticates callers, refuses what other sites send, and passes on what is
allowed."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from graphql import OperationType
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.identity import api_tokens, sign_in
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.sign_in import SessionOverError
from zk_pipeline.operate import runs
from zk_pipeline.runtime.dagster_server import is_service_token
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.web import authentication
from zk_pipeline.web.authentication import CHALLENGE, Sessions, bearer_of
from zk_pipeline.web.dagster_ui.rules import JobOf, Judged, RefusedError, judged
from zk_pipeline.web.errors import ProblemError, log_refusal
from zk_pipeline.web.limits import BodyBudget, TooLargeError, TooSlowError, read_body
from zk_pipeline.web.protection import protect

HEALTH = "/healthz"
"""Answered without a sign-in; it says only that the process answers."""

SERVICE = Actor("service", Role.ADMIN)
"""Our own programs; their operations record who asked."""

LARGEST_BODY = 1_000_000
SECONDS_FOR_A_BODY = 30.0
SECONDS_BETWEEN_LOOKS = 10.0
"""How soon a socket ends after its session."""

_MEMORY = 50_000_000
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_SECRET = frozenset({b"cookie", b"authorization"})
_NONCE = re.compile(r"'nonce-([0-9A-Za-z_-]+)'")

# Dagster loads its scripts from scripts, and sets styles of single elements.
_PAGE = (
    "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Its workers obey the policy of their own script.
_FILE = "default-src 'self'; object-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

Who = Callable[[], Actor]
"""Says who it is, with the role they have just now; raises `SessionOverError` or `ProblemError`."""


@dataclass(frozen=True, slots=True)
class Door:
    """Middleware around Dagster's app, which itself asks nobody who they are.

    `prefix` is the path under which Dagster's pages are, such as `/dagster`; `job_of` gives the job of a run.
    """

    dagster: ASGIApp
    runtime: Runtime
    sessions: Sessions
    prefix: str
    job_of: JobOf
    memory: BodyBudget = field(default_factory=lambda: BodyBudget(_MEMORY))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a socket."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif scope["type"] == "http":
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    @property
    def _graphql_path(self) -> str:
        return f"{self.prefix}/graphql"

    async def _answer(self, request: Request) -> ASGIApp:
        """What answers a request: Dagster, with what it may see of it, or we ourselves. Raises `ProblemError`."""
        path, method = request.scope["path"], request.method
        if ".." in path.split("/"):  # Dagster would look for such a log, and fail.
            raise ProblemError(404, "There is nothing at this address. Check it.")
        if path == self.prefix + HEALTH and method in _SAFE_METHODS:
            return PlainTextResponse("ok")
        self._require_ours(request)
        try:
            who, is_due = await run_in_threadpool(self._who, request)
            actor = await run_in_threadpool(who)
        except SessionOverError as error:
            return self._way_in(request, error)
        is_graphql = path.rstrip("/").endswith("/graphql")
        if is_graphql and method == "POST":
            return await (self._renewed(request) if is_due else self._graphql(request, actor))
        if is_graphql:
            raise ProblemError(405, "GraphQL is taken by POST alone. Send it as application/json.", {"Allow": "POST"})
        if method not in _SAFE_METHODS:
            _require_json(request)
            if not actor.role.covers(Role.ADMIN):
                raise ProblemError(403, f"This needs the role {Role.ADMIN}; you have {actor.role}.")
            await run_in_threadpool(runs.record_dagster_actions, self.runtime, actor, [(f"{method} {path}"[:200], "")])
        return _passing_on(_with_banner(self.dagster), actor)

    async def _graphql(self, request: Request, actor: Actor) -> ASGIApp:
        _require_json(request)
        with self.memory.share() as share:
            try:
                body = await read_body(request, share, limit=LARGEST_BODY, seconds=SECONDS_FOR_A_BODY)
            except TooLargeError as error:
                raise ProblemError(413, f"The body has more than {LARGEST_BODY:,} bytes. Send less.") from error
            except TooSlowError as error:
                raise ProblemError(408, "The body did not arrive in time. Send it again.") from error
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProblemError(400, 'The body is no JSON. Send {"query": …, "variables": {…}}.') from error
        try:
            found = await run_in_threadpool(self._judged, actor, sent)
        except RefusedError as error:
            request.state.actor = actor
            log_refusal(request, f"at Dagster's door: {error}")
            return refusal(error)
        return _passing_on(self.dagster, actor, json.dumps(found.content).encode())

    def _judged(self, actor: Actor, sent: Any, kind: OperationType | None = None) -> Judged:
        """An operation that may be done, once it stands in our tables who does it. Raises `RefusedError`."""
        if actor is SERVICE:
            return Judged(sent)
        found = judged(actor, sent, self.job_of, kind)
        if found.acts:
            runs.record_dagster_actions(self.runtime, actor, found.acts, found.cancelled)
        for wanted in found.requests:
            tags = runs.request_tags(self.runtime, actor, wanted.job, wanted.about)
            wanted.tags.extend({"key": key, "value": value} for key, value in tags.items())
        return found

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = HTTPConnection(scope)
        try:
            self._require_ours(socket)
            if bearer_of(socket) is None:
                authentication.require_own_origin(socket, self.runtime.settings)
            who, _ = await run_in_threadpool(self._who, socket)
            actor = await run_in_threadpool(who)
        except (ProblemError, SessionOverError, DatabaseUnavailableError):
            await send({"type": "websocket.close", "code": 1008})
            return
        watched = _Watched(receive, send, who, lambda sent: self._judged(actor, sent, OperationType.SUBSCRIPTION))
        await _passing_on(self.dagster, actor)(scope, watched.receive, watched.send)

    def _require_ours(self, connection: HTTPConnection) -> None:
        """Refuse what is sent to another name, or by another site. Raises `ProblemError`."""
        if _name(f"//{connection.headers.get('host', '')}") not in self._names():
            raise ProblemError(421, "The header Host names another host. Use the address in ZK_DAGSTER_UI.")
        site = connection.headers.get("sec-fetch-site", "none")
        opens_a_page = (
            connection.headers.get("sec-fetch-mode") == "navigate"
            and connection.headers.get("sec-fetch-dest") == "document"
            and connection.scope.get("method") in _SAFE_METHODS
        )
        if "origin" in connection.headers or (site not in {"same-origin", "none"} and not opens_a_page):
            authentication.require_own_origin(connection, self.runtime.settings)

    def _names(self) -> set[str]:
        settings = self.runtime.settings
        given = (settings.public_url, settings.dagster_ui, settings.dagster_address)
        return {*_LOOPBACK, *(_name(url) for url in given if url)}

    def _who(self, connection: HTTPConnection) -> tuple[Who, bool]:
        """Who it is, for as long as they may be asked, and whether their cookie is to be exchanged.

        Raises `SessionOverError` and `ProblemError`.
        """
        token = bearer_of(connection)
        if token is not None and is_service_token(self.runtime.cipher, token):
            return (lambda: SERVICE), False
        if token is not None and token.startswith(api_tokens.PREFIX):
            return (lambda: self.sessions.actor_of(connection)), False
        session = self.sessions.session_of(connection)
        return session.actor, session.is_due

    def _way_in(self, request: Request, error: SessionOverError) -> Response:
        """A page is left for the sign-in, from which the way leads back."""
        if request.method not in _SAFE_METHODS or "text/html" not in request.headers.get("accept", ""):
            raise ProblemError(401, str(error), CHALLENGE) from error
        query = request.url.query
        target = quote(request.scope["path"] + (f"?{query}" if query else ""), safe="/")
        return RedirectResponse(self.sessions.way_in(target), 303)

    async def _renewed(self, request: Request) -> Response:
        """A fresh cookie for a page that is open for long, which sends its request again with it.

        Raises `ProblemError` where the session ended meanwhile.
        """
        again, address = RedirectResponse(self._graphql_path, 307), self.sessions.address_of(request)
        cookie = authentication.cookie_of(request, self.runtime.settings, authentication.SESSION) or ""
        try:
            signed_in = await run_in_threadpool(sign_in.exchange, self.runtime, cookie, address)
        except SessionOverError as error:
            raise ProblemError(401, str(error), CHALLENGE) from error
        authentication.set_session(again, self.runtime.settings, signed_in)
        return again


class _Watched:
    """A socket of Dagster's: each subscription is judged before Dagster sees it, and the session is looked at."""

    def __init__(self, receive: Receive, send: Send, who: Who, judge: Callable[[Any], Judged]) -> None:
        self._receive, self._send, self._who, self._judge = receive, send, who, judge
        self._looked_at = asyncio.get_running_loop().time()
        self._is_over = False

    async def receive(self) -> Message:
        """The next message that Dagster may see."""
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                return message
            if await self._ends():
                return {"type": "websocket.disconnect", "code": 1008}
            try:
                sent = json.loads(message.get("text") or message.get("bytes") or b"")
                if not isinstance(sent, dict):
                    raise TypeError  # noqa: TRY301
            except (ValueError, TypeError, RecursionError):
                await self._close()
                return {"type": "websocket.disconnect", "code": 1003}
            frame: dict[str, Any] = sent
            if frame.get("type") == "start":
                try:
                    found = await run_in_threadpool(self._judge, frame.get("payload"))
                except RefusedError as error:
                    refused = {"type": "error", "id": frame.get("id"), "payload": {"message": str(error)}}
                    await self._send({"type": "websocket.send", "text": json.dumps(refused)})
                    continue
                frame = {**frame, "payload": found.content}
            return {"type": "websocket.receive", "text": json.dumps(frame)}

    async def send(self, message: Message) -> None:
        """Pass on what Dagster says, while the session lasts."""
        if self._is_over or (message["type"] == "websocket.send" and await self._ends()):
            return
        await self._send(message)

    async def _ends(self) -> bool:
        """Whether the session is over, looked at now and then; the socket is closed then."""
        now = asyncio.get_running_loop().time()
        if not self._is_over and now - self._looked_at >= SECONDS_BETWEEN_LOOKS:
            self._looked_at = now
            try:
                await run_in_threadpool(self._who)
            except (SessionOverError, ProblemError, DatabaseUnavailableError):  # Unknown for now: the page asks again.
                await self._close()
        return self._is_over

    async def _close(self) -> None:
        self._is_over = True
        await self._send({"type": "websocket.close", "code": 1008})


class Protected:
    """Middleware that sets the security headers on each answer, whatever Dagster set."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a socket passes through."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                given = headers.get("content-security-policy", "")
                nonce = _NONCE.search(given)
                headers["Content-Security-Policy"] = _PAGE.format(nonce=nonce[1]) if nonce else given or _FILE
                protect(headers, self._settings)
                del headers["Feature-Policy"]  # The former name of Permissions-Policy.
            await send(message)

        await self._app(scope, receive, protected)


def refusal(error: RefusedError) -> Response:
    """The answer to an operation that may not be done: for a mutation in Dagster's own form, which its pages show."""
    if not error.field:
        return JSONResponse({"data": None, "errors": [{"message": str(error)}]}, 403)
    failure = {"__typename": "PythonError", "message": str(error), "stack": [], "errorChain": []}
    return JSONResponse({"data": {error.field: failure}})


def _passing_on(dagster: ASGIApp, actor: Actor, body: bytes | None = None) -> ASGIApp:
    """Dagster, which sees neither our cookies nor our tokens, and of an operation what was judged."""

    async def passing_on(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name not in _SECRET]
        inner = {**scope, "headers": headers, "state": {**scope.get("state", {}), "zk_role": actor.role}}
        if body is None:
            await dagster(inner, receive, send)
            return
        lengths = {b"content-length", b"transfer-encoding"}
        kept = [(name, value) for name, value in headers if name not in lengths]
        inner |= {"headers": [*kept, (b"content-length", str(len(body)).encode())], "query_string": b""}
        sent = False

        async def once() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await dagster(inner, once, send)

    return passing_on


def _with_banner(dagster: ASGIApp) -> ASGIApp:
    """Dagster, whose pages show on top why a run failed; it has no place of its own for that."""

    async def with_banner(scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None
        body = b""

        async def changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    start = message
                    return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                await _send_page(start, body, send)

        # A page that is not compressed can be changed, and is small.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        is_page = b"text/html" in dict(scope["headers"]).get(b"accept", b"")
        await dagster({**scope, "headers": plain} if is_page else scope, receive, changed if is_page else send)

    return with_banner


async def _send_page(start: Message, body: bytes, send: Send) -> None:
    headers = MutableHeaders(scope=start)
    nonce = _NONCE.search(headers.get("content-security-policy", ""))
    if nonce:
        script = f'<script nonce="{nonce[1]}">{_banner()}</script></body>'
        body = body.replace(b"</body>", script.encode(), 1)
        headers["content-length"] = str(len(body))
    await send(start)
    await send({"type": "http.response.body", "body": body})


@cache
def _banner() -> str:
    return (Path(__file__).parent / "banner.js").read_text(encoding="utf-8")


def _require_json(request: Request) -> None:
    """Other sites cannot make a browser send JSON without a preflight request. Raises `ProblemError`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProblemError(415, "Only application/json is taken here. Say so in the header Content-Type.")


def _name(url: str) -> str:
    """The host's name in an address; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
