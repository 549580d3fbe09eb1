"""Limits on what callers may cost: requests of an address, bytes of a body, bytes of all bodies together."""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

MOST_ADDRESSES = 10_000
_NETWORK_OF_A_CALLER = 64  # An IPv6 subscriber has at least so long a prefix, and all addresses behind it.


class TooLargeError(Exception):
    """A body is longer than allowed."""


class TooSlowError(Exception):
    """A body did not arrive in time, or not to its end."""


class FullError(Exception):
    """The bodies in memory leave no room for one more."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket for each address: `rate` requests a second, as many at once after a second of rest.

    Of more addresses than `most`, those seen longest ago are forgotten, which is as if they had rested.
    """

    def __init__(self, rate: int, *, most: int = MOST_ADDRESSES, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, address: str) -> int:
        """Take a token: 0 when there was one, else the whole seconds after which there is."""
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


class Memory:
    """The bytes that all bodies together may hold at a time."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    @contextmanager
    def share(self) -> Iterator["Share"]:
        """The part of one request, given back at its end."""
        share = Share(self)
        try:
            yield share
        finally:
            self._free += share.taken

    def take(self, number: int) -> None:
        """Take bytes. Raises `FullError` when there are not as many."""
        if number > self._free:
            raise FullError
        self._free -= number


@dataclass(slots=True)
class Share:
    """What one request has taken of the memory, in bytes."""

    memory: Memory
    taken: int = 0

    def grow(self, number: int) -> None:
        """Take more. Raises `FullError` when there is no more."""
        self.memory.take(number)
        self.taken += number


async def read_body(request: Request, share: Share, *, limit: int, seconds: float) -> bytes:
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
    """What an address is counted by: itself, or the network of an IPv6 subscriber."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # A Unix socket has none.
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK_OF_A_CALLER), strict=False))
