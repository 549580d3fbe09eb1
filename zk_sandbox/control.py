"""The control plane of every sandbox server: request counts, state, settings, latency and faults."""

import asyncio
import re
from collections import Counter, deque
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_sandbox.faults import Exchange, Fault, FaultPlan, inflict

PREFIX = "/_sandbox"
LOG_SIZE = 20_000
READING_POSTS = (
    "/api/v1/tickets/search",
    "/api/v1/users/search",
    "/worklog/list",
    "/issue/bulkfetch",
    "/search/jql",
    "/rest/api/2/search",
)
"""The ends of routes that only read although they use POST (docs/zammad.md §5, docs/jira.md)."""

_ID_IN_PATH = re.compile(r"/\d+(?=/|$)")


class Simulated(Protocol):
    """A simulated system: its own HTTP API, and its whole state as JSON."""

    def app(self) -> ASGIApp:
        """The ASGI application with the product's own routes."""
        ...

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON."""
        ...

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Replace the state by a snapshot."""
        ...

    def configure(self, settings: dict[str, Any]) -> None:
        """Change server settings; ValueError for an unknown one."""
        ...


class RequestLog:
    """Counts of the requests answered so far, and details of the last ones."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting again."""
        self._by_route: Counter[str] = Counter()
        self._reads = self._writes = 0
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_SIZE)

    def add(self, method: str, path: str, query: str) -> dict[str, Any]:
        """Count a request; the entry's `status` stays None until a response begins."""
        if method == "GET" or path.endswith(READING_POSTS):
            self._reads += 1
        else:
            self._writes += 1
        self._by_route[f"{method} {_ID_IN_PATH.sub('/{id}', path)}"] += 1
        entry = {"method": method, "path": path, "query": query, "status": None}
        self._log.append(entry)
        return entry

    def as_json(self) -> dict[str, Any]:
        """Total counts, counts by route (with {id}), and the log."""
        return {
            "reads": self._reads,
            "writes": self._writes,
            "by_route": dict(self._by_route),
            "log": list(self._log),
        }


def with_control(simulated: Simulated, *, latency: float = 0.0) -> ASGIApp:
    """Serve a simulated system with its control plane; each request is delayed by `latency` seconds."""
    return _Controlled(simulated, latency)


class _Controlled:
    def __init__(self, simulated: Simulated, latency: float) -> None:
        self._simulated = simulated
        self._app = simulated.app()
        self._latency = latency
        self._requests = RequestLog()
        self._faults = FaultPlan()
        self._plane = Starlette(
            routes=[
                Route(f"{PREFIX}/requests", self._show_requests, methods=["GET"]),
                Route(f"{PREFIX}/requests", self._reset_requests, methods=["DELETE"]),
                Route(f"{PREFIX}/state", self._show_state, methods=["GET"]),
                Route(f"{PREFIX}/state", self._restore_state, methods=["PUT"]),
                Route(f"{PREFIX}/settings", self._change_settings, methods=["PATCH"]),
                Route(f"{PREFIX}/latency", self._set_latency, methods=["PUT"]),
                Route(f"{PREFIX}/faults", self._show_faults, methods=["GET"]),
                Route(f"{PREFIX}/faults", self._add_fault, methods=["POST"]),
                Route(f"{PREFIX}/faults", self._clear_faults, methods=["DELETE"]),
            ],
            exception_handlers={ValueError: _bad_request},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(f"{PREFIX}/"):
            await self._plane(scope, receive, send)
        else:
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        if body is None:
            return
        entry = self._requests.add(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))

        async def noting_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
            await send(message)

        if self._latency:
            await asyncio.sleep(self._latency)
        fault = self._faults.take(scope["method"], scope["path"], body)
        exchange = Exchange(self._app, scope, body, receive, noting_status)
        await (inflict(fault, exchange) if fault else exchange.handle())

    async def _show_requests(self, _request: Request) -> Response:
        return JSONResponse(self._requests.as_json())

    async def _reset_requests(self, _request: Request) -> Response:
        self._requests.reset()
        return Response(status_code=204)

    async def _show_state(self, _request: Request) -> Response:
        return JSONResponse(self._simulated.snapshot())

    async def _restore_state(self, request: Request) -> Response:
        self._simulated.restore(await request.json())
        return Response(status_code=204)

    async def _change_settings(self, request: Request) -> Response:
        self._simulated.configure(await request.json())
        return Response(status_code=204)

    async def _set_latency(self, request: Request) -> Response:
        self._latency = float((await request.json())["seconds"])
        return Response(status_code=204)

    async def _show_faults(self, _request: Request) -> Response:
        return JSONResponse(self._faults.as_json())

    async def _add_fault(self, request: Request) -> Response:
        fault_id = self._faults.add(Fault.from_json(await request.json()))
        return JSONResponse({"id": fault_id}, status_code=201)

    async def _clear_faults(self, _request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)


async def _bad_request(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, status_code=400)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole request body, or None if the client left before it was complete."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
