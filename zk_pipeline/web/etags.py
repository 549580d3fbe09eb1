"""Entity tags: a read whose answer the caller already has is answered with 304 and no body."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.web.api.common import PREFIX
from zk_pipeline.web.protection import NOT_KEPT

_OK, _NOT_MODIFIED = 200, 304
_KEPT = frozenset({"etag", "cache-control", "vary", "date"})
"""Headers that a 304 repeats."""


class EntityTags:
    """Middleware that tags each complete answer to a GET of the API; streamed answers pass through untagged."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("if-none-match", "")
        held: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start" and message["status"] == _OK:
                held = message
                return
            if held is None:
                await send(message)
                return
            start, held = held, None
            if message.get("more_body", False):
                await send(start)
                await send(message)
            else:
                await _send_tagged(start, message, given, send)

        await self._app(scope, receive, tagged)


async def _send_tagged(start: Message, body: Message, given: str, send: Send) -> None:
    tag = f'"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers = MutableHeaders(scope=start)
    headers["ETag"] = tag
    headers.setdefault("Cache-Control", NOT_KEPT)  # By browsers; a program may keep it with its tag.
    if not _names(given, tag):
        await send(start)
        await send(body)
        return
    kept = [(name, value) for name, value in start["headers"] if name.decode("latin-1").lower() in _KEPT]
    await send({**start, "status": _NOT_MODIFIED, "headers": kept})
    await send({"type": "http.response.body", "body": b""})


def _names(given: str, tag: str) -> bool:
    """Whether If-None-Match names this tag; a cache may have made it weak."""
    candidates = {part.strip().removeprefix("W/") for part in given.split(",")}
    return tag in candidates or "*" in candidates
