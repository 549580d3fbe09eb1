"""Faults that a sandbox server applies to matching requests: lost, late, damaged and refused responses."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLOSE_CONNECTION = "zk_pipeline.close_connection"
"""ASGI extension with which the server provides a function that closes the client's socket."""

FaultKind = Literal["respond", "drop_before", "drop_after", "delay", "late", "truncate", "html"]

HTML_PAGE = "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Error</h1></body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: which requests it affects, and how.

    `method`, `path` and `body` are regular expressions (None matches everything); the first `skip` matching requests
    are unaffected; `times` limits how many are affected (None: all). `status`, `headers` and `text` are the response of
    `respond` and `html`; `seconds` is the wait of `delay` and `late`.
    """

    kind: FaultKind
    method: str | None = None
    path: str | None = None
    body: str | None = None
    skip: int = 0
    times: int | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    seconds: float = 0.0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Fault":
        """Read a fault as the control plane receives it; ValueError names what is wrong."""
        unknown = sorted(set(data) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"A fault has no field {', '.join(unknown)}.")
        if data.get("kind") not in get_args(FaultKind):
            raise ValueError(f"kind is {data.get('kind')!r}; use one of {', '.join(get_args(FaultKind))}.")
        for name in ("method", "path", "body"):
            _check_pattern(name, data.get(name))
        return cls(**data)

    def matches(self, method: str, path: str, body: bytes) -> bool:
        """Whether a request matches, apart from `skip` and `times`."""
        return (
            (self.method is None or re.fullmatch(self.method, method, re.IGNORECASE) is not None)
            and (self.path is None or re.search(self.path, path) is not None)
            and (self.body is None or re.search(self.body.encode(), body) is not None)
        )


def _check_pattern(name: str, pattern: str | None) -> None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise ValueError(f"{name} is {pattern!r}, not a regular expression: {error}.") from error


@dataclass(slots=True)
class _Planned:
    fault: Fault
    id: int
    passed: int = 0
    hits: int = 0


class FaultPlan:
    """The active faults, in the order in which they were added."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._last_id = 0

    def add(self, fault: Fault) -> int:
        """Add a fault and return its id."""
        self._last_id += 1
        self._planned.append(_Planned(fault, self._last_id))
        return self._last_id

    def clear(self) -> None:
        """Remove all faults."""
        self._planned.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Every fault with its id and the number of requests it has hit."""
        return [
            {"id": planned.id, "hits": planned.hits} | {f.name: getattr(planned.fault, f.name) for f in fields(Fault)}
            for planned in self._planned
        ]

    def take(self, method: str, path: str, body: bytes) -> Fault | None:
        """The first fault due for this request, counted as a hit."""
        for planned in self._planned:
            fault = planned.fault
            if planned.hits == fault.times or not fault.matches(method, path, body):
                continue
            if planned.passed < fault.skip:
                planned.passed += 1
                continue
            planned.hits += 1
            return fault
        return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request on its way to `app`, its body already read, and the way back to the client."""

    app: ASGIApp
    scope: Scope
    body: bytes
    receive: Receive
    send: Send

    async def handle(self, send: Send | None = None) -> None:
        """Let the app respond, to the client unless another `send` is given."""
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await self.receive()
            given = True
            return {"type": "http.request", "body": self.body, "more_body": False}

        await self.app(self.scope, replay, send or self.send)

    async def handle_unsent(self) -> tuple[dict[str, Any], bytes]:
        """Let the app respond, but return the response: (start message, whole body)."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.handle(keep)
        return dict(messages[0]), b"".join(message.get("body", b"") for message in messages[1:])

    async def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Respond in the app's place."""
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        raw.append((b"content-length", str(len(body)).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    async def client_gone(self) -> None:
        """Return when the client has disconnected."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def close_connection(self) -> None:
        """Close the socket without a response, and wait until the server has noticed."""
        self.scope["extensions"][CLOSE_CONNECTION]()
        await self.client_gone()


async def inflict(fault: Fault, exchange: Exchange) -> None:
    """Handle one request with this fault."""
    await _BEHAVIOURS[fault.kind](fault, exchange)


async def _respond(fault: Fault, exchange: Exchange) -> None:
    headers = {"content-type": "application/json"} | {k.lower(): v for k, v in fault.headers.items()}
    await exchange.answer(fault.status or 500, headers, fault.text.encode())


async def _html(fault: Fault, exchange: Exchange) -> None:
    headers = {"content-type": "text/html; charset=utf-8"} | {k.lower(): v for k, v in fault.headers.items()}
    await exchange.answer(fault.status or 502, headers, (fault.text or HTML_PAGE).encode())


async def _drop_before(_fault: Fault, exchange: Exchange) -> None:
    await exchange.close_connection()


async def _drop_after(_fault: Fault, exchange: Exchange) -> None:
    await exchange.handle_unsent()
    await exchange.close_connection()


async def _delay(fault: Fault, exchange: Exchange) -> None:
    """Wait, then handle the request; without effect if the client has disconnected by then."""
    gone = asyncio.ensure_future(exchange.client_gone())
    done, _ = await asyncio.wait({gone}, timeout=fault.seconds)
    if done:
        return
    gone.cancel()
    await exchange.handle()


async def _late(fault: Fault, exchange: Exchange) -> None:
    await asyncio.sleep(fault.seconds)
    await exchange.handle()


async def _truncate(_fault: Fault, exchange: Exchange) -> None:
    start, body = await exchange.handle_unsent()
    half = body[: len(body) // 2]
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    await exchange.send(start | {"headers": [*kept, (b"content-length", str(len(half)).encode())]})
    await exchange.send({"type": "http.response.body", "body": half})


_BEHAVIOURS: dict[FaultKind, Callable[[Fault, Exchange], Awaitable[None]]] = {
    "respond": _respond,
    "html": _html,
    "drop_before": _drop_before,
    "drop_after": _drop_after,
    "delay": _delay,
    "late": _late,
    "truncate": _truncate,
}
