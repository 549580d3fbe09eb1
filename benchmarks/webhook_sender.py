"""Sends webhook deliveries as Zammad does, as fast as they are answered; a process of its own beside what it measures.

Its one argument is JSON (see `Order`). It prints "half" when half of a fixed number is accepted, and at the end its
tally as JSON.
"""

import asyncio
import itertools
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

from zk_pipeline.connectors.zammad.signature import signature

SECONDS_TO_ANSWER = 30
SECONDS_BEFORE_RETRY = 0.2


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: `number` deliveries, or as many as go in `seconds`; ids begin with `prefix`."""

    port: int
    path: str
    secret: str
    prefix: str
    connections: int
    number: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Tally:
    """What came of it. `latencies` are in seconds, `answers` counts each status, 0 being no answer at all."""

    seconds: float = 0.0
    accepted: int = 0
    latencies: list[float] = field(default_factory=list)
    answers: dict[int, int] = field(default_factory=dict)


class Sender:
    """Works off one order over several connections that stay open."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._numbers = iter(range(order.number)) if order.number else itertools.count()
        self._ends_at = time.perf_counter() + order.seconds
        self._tally = Tally()

    async def send(self) -> Tally:
        """Send everything."""
        began = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(self._order.connections)))
        self._tally.seconds = time.perf_counter() - began
        return self._tally

    async def _connection(self) -> None:
        line = _Line(self._order.port)
        for number in self._numbers:
            if self._order.seconds and time.perf_counter() >= self._ends_at:
                break
            await self._deliver(line, _request(self._order, number))
        line.close()

    async def _deliver(self, line: "_Line", request: bytes) -> None:
        while True:
            began = time.perf_counter()
            status = await line.ask(request)
            self._tally.answers[status] = self._tally.answers.get(status, 0) + 1
            if status == 202:
                break
            if 400 <= status < 500:
                raise RuntimeError(f"A delivery was refused with {status}.")
            await asyncio.sleep(SECONDS_BEFORE_RETRY)
        self._tally.latencies.append(time.perf_counter() - began)
        self._tally.accepted += 1
        if self._tally.accepted * 2 == self._order.number:
            sys.stdout.write("half\n")
            sys.stdout.flush()


class _Line:
    """One connection, opened again whenever it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """The status that a request was answered with, 0 if it was not."""
        try:
            async with asyncio.timeout(SECONDS_TO_ANSWER):
                return await self._exchange(request)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return 0

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _exchange(self, request: bytes) -> int:
        reader, writer = self._streams = self._streams or await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("ascii").lower().split("\r\n")
        (length,) = [line.partition(":")[2] for line in lines if line.startswith("content-length:")]
        await reader.readexactly(int(length))
        return int(lines[0].split()[1])


def _request(order: Order, number: int) -> bytes:
    body = json.dumps(_payload(number)).encode()
    head = (
        f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\nUser-Agent: Zammad User Agent\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"X-Zammad-Trigger: time accounting\r\nX-Zammad-Delivery: {order.prefix}-{number}\r\n"
        f"X-Hub-Signature: {signature(order.secret, body)}\r\n\r\n"
    )
    return head.encode() + body


def _payload(number: int) -> dict[str, Any]:
    """A body of the default payload's shape and size, some 5 kB."""
    users = ("owner", "customer", "created_by", "updated_by")
    user = {f"attribute_{n}": "A value of usual length" for n in range(20)} | {"email": "agent@example.com", "id": 7}
    article = {"accounted_time": 15.0, "body": "What was done, in a few words. " * 20, "id": number + 1}
    ticket = dict.fromkeys(users, user) | {"id": number % 1000 + 1, "number": str(31000 + number), "state": "open"}
    return {"article": article | {"created_by": user}, "ticket": ticket}


def main() -> None:
    tally = uvloop.run(Sender(Order(**json.loads(sys.argv[1]))).send())
    sys.stdout.write(json.dumps(asdict(tally)) + "\n")


if __name__ == "__main__":
    main()
