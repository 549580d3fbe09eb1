"""A server's gate: requests to create a time sheet wait in it until the client has looked for them."""

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Gate:
    """Passes requests on, but holds back those that it was told to, whether or not their client is still there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._pattern: re.Pattern[bytes] | None = None
        self._look_ups = 0
        self._opened = asyncio.Event()

    def hold(self, *, until_look_ups: int, body: str = "") -> None:
        """Hold back each POST of a time sheet whose body matches, until so many searches were answered."""
        self._pattern, self._look_ups = re.compile(body.encode()), until_look_ups

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        concerned = scope["type"] == "http" and scope["path"] == "/api/timesheets"
        if concerned and scope["method"] == "POST":
            receive = await self._held_back(receive)
        await self._app(scope, receive, send)
        if concerned and b"term=" in scope["query_string"]:
            self._look_ups -= 1
            if self._look_ups <= 0:
                self._opened.set()

    async def _held_back(self, receive: Receive) -> Receive:
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        if self._pattern is not None and self._pattern.search(body):
            await self._opened.wait()

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        return replay
