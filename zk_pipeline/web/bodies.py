"""The limit of a request's body, counted while it arrives; rooms that expect large ones count for themselves."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LIMIT = 1_000_000
"""Bytes. No form or JSON of ours comes near it."""

_LIMITED = ("/api/v1/", "/sign-", "/renew")
_COUNTING_THEMSELVES = ("/api/v1/webhooks/", "/api/v1/mappings/import")


class LimitedBodies:
    """Middleware that answers 413 to a body over the limit before it fills the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is no form or JSON of ours passes through."""
        if scope["type"] != "http" or not _is_limited(scope["path"]):
            await self._app(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LIMIT:
                raise HTTPException(413, f"The body has more than {LIMIT:,} bytes. Send less at a time.")
            return message

        await self._app(scope, counted, send)


def _is_limited(path: str) -> bool:
    return path.startswith(_LIMITED) and not path.startswith(_COUNTING_THEMSELVES)
