"""Limits on callers: requests of an address, bytes of a body, requests that never arrive."""

import asyncio
import ipaddress
import logging
import math
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Limits on callers: requests of an address, bytes of a body, bytes of all bodies together.

MOST_ADDRESSES = 10_000
_NETWORK_OF_A_CALLER = 64  # An IPv6 subscriber has at least so long a prefix, and all addresses behind it.


class TooLargeError(Exception):
    """A body is longer than allowed."""


class TooSlowError(Exception):
    """A body did not arrive in time, or not to its end."""


class FullError(Exception):
    """The bodies in memory leave no room for another."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket for each address: `rate` requests a second, and as many at once after a second without any.

    Beyond `most` addresses, those seen longest ago are forgotten, as if they had rested.
    """

    def __init__(self, rate: int, *, most: int = MOST_ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> int:
        """Take a token: 0 if there was one, else the whole seconds until there is one."""
        now = self._clock()
        network = network_of(address)
        bucket = self._buckets.setdefault(network, _Bucket(float(self._rate), now))
        self._buckets.move_to_end(network)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        bucket.tokens = min(float(self._rate), bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return math.ceil((1 - bucket.tokens) / self._rate)
        bucket.tokens -= 1
        return 0


class BodyBudget:
    """The bytes that all bodies together may hold at a time."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def share(self) -> Iterator["BodyReservation"]:
        """A reservation for one request, released at its end."""
        share = BodyReservation(self)
        try:
            yield share
        finally:
            self._free += share.taken

    def take(self, number: int) -> None:
        """Reserve bytes. Raises `FullError` when there are too few."""
        if number > self._free:
            raise FullError
        self._free -= number


@dataclass(slots=True)
class BodyReservation:
    """The bytes that one request has reserved."""

    memory: BodyBudget
    taken: int = 0

    def grow(self, number: int) -> None:
        """Reserve more bytes. Raises `FullError` when there are too few."""
        self.memory.take(number)
        self.taken += number


async def read_body(request: Request, share: BodyReservation, *, limit: int, seconds: float) -> bytes:
    """The body, counted while it arrives, since its length need not be announced.

    Raises `TooLargeError`, `TooSlowError` or `FullError`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise TooLargeError
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                if len(body) + len(chunk) > limit:
                    raise TooLargeError
                share.grow(len(chunk))
                body += chunk
    except (TimeoutError, ClientDisconnect) as error:
        raise TooSlowError from error
    return bytes(body)


def network_of(address: str) -> str:
    """The key that an address is counted under: itself, or the network of an IPv6 subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # A Unix socket has none.
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK_OF_A_CALLER), strict=False))


# The limit of a request's body, counted while it arrives; routes that expect large ones count for themselves.

LIMIT = 1_000_000
"""Bytes. No form or JSON of ours comes near it."""

_LIMITED = ("/api/v1/", "/sign-", "/renew")
_COUNTING_THEMSELVES = ("/api/v1/webhooks/", "/api/v1/mappings/import")


class LimitedBodies:
    """Middleware that answers 413 to a body over the limit before it fills the memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but forms and JSON passes through."""
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


# Ends connections on which a request begins and does not arrive, also where no proxy does.

SECONDS_FOR_HEADERS = 20.0
"""From the connection, or the first letter of a later request, to the end of the headers."""


class InTimeProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with a time limit for the headers, for which uvicorn would wait forever."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection closed."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """The first letter of a request."""
        super().on_message_begin()
        self._await_headers()

    def on_headers_complete(self) -> None:
        """The headers are there."""
        self._stop_waiting()
        super().on_headers_complete()

    def _await_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(SECONDS_FOR_HEADERS, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


# Where a request comes from: the peer, or what trusted proxies say about it.

Proxy = IPv4Network | IPv6Network | str
"""A network, or the name of a host whose addresses change, as those of pods do."""

SECONDS_OF_ADDRESSES = 5.0
"""How long the addresses of a name count before they are looked up again."""

_log = logging.getLogger(__name__)


def client_address(request: HTTPConnection, trusted: Sequence[Proxy]) -> str:
    """The client's address, or an empty text where there is none.

    `X-Forwarded-For` is read from its right end, where our proxies write, and only as far as trusted proxies wrote it:
    anything further left is the client's own claim.
    """
    if request.client is None:
        return ""
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    address = _parsed(request.client.host)
    if address is None:
        return request.client.host
    while hops and _is_trusted(address, trusted):
        previous = _parsed(hops.pop().strip())
        if previous is None:
            break
        address = previous
    return str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Proxy]) -> bool:
    return any(address in (_host(proxy).addresses() if isinstance(proxy, str) else proxy) for proxy in trusted)


@cache
def _host(name: str) -> "_Host":
    return _Host(name)


class _Host:
    """The addresses of a host's name, looked up in the background; only the first request waits."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._addresses: frozenset[IPv4Address | IPv6Address] = frozenset()
        self._until = 0.0
        self._looking = threading.Lock()
        self._look_up()

    def addresses(self) -> frozenset[IPv4Address | IPv6Address]:
        """The addresses found last; they stay while the name cannot be resolved."""
        if time.monotonic() >= self._until and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look_up_again, name="addresses of proxies", daemon=True).start()
        return self._addresses

    def _look_up_again(self) -> None:
        try:
            self._look_up()
        finally:
            self._looking.release()

    def _look_up(self) -> None:
        try:
            found = socket.getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            _log.warning("The address of the proxy %s in ZK_TRUSTED_PROXIES is not found: %s", self._name, error)
        else:
            parsed = (_parsed(str(place[0]).partition("%")[0]) for *_, place in found)
            self._addresses = frozenset(address for address in parsed if address is not None)
        self._until = time.monotonic() + SECONDS_OF_ADDRESSES
