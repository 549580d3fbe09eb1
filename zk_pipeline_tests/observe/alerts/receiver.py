"""A receiver of alerts behind a real socket, as apprise's json:// addresses talk to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from zk_sandbox.server import ServerThread

TOKEN = "token-of-the-receiver"


@dataclass
class Receiver:
    """Takes alerts; `status` is what it answers."""

    url: str = ""
    status: int = 200
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]

    async def take(self, request: Request) -> Response:
        if self.status == 200:
            self.messages.append(await request.json())
        return PlainTextResponse("", self.status)


@contextmanager
def open_receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/{path:path}", receiver.take, methods=["POST"])])
    with ServerThread(app) as thread:
        receiver.url = f"{thread.url.replace('http://', 'json://')}/{TOKEN}"
        yield receiver
