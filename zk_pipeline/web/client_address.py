"""Where a request comes from: the peer, or what trusted proxies say about it."""

import logging
import socket
import threading
import time
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Proxy = IPv4Network | IPv6Network | str
"""A network, or the name of a host whose addresses change, as those of pods do."""

SECONDS_OF_ADDRESSES = 5.0
"""For how long the addresses of a name count before they are looked up again."""

_log = logging.getLogger(__name__)


def client_address(request: HTTPConnection, trusted: Sequence[Proxy]) -> str:
    """The address of the client, or an empty text where there is none.

    `X-Forwarded-For` is read from its right end, where our own proxies write, and only as long as the one who wrote is
    trusted: what stands further left is the client's own word.
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
    """The addresses of a name. They are looked up beside the requests, none of which waits for it but the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._addresses: frozenset[IPv4Address | IPv6Address] = frozenset()
        self._until = 0.0
        self._looking = threading.Lock()
        self._look_up()

    def addresses(self) -> frozenset[IPv4Address | IPv6Address]:
        """Those that were found last. While nobody can tell, they stay what they were."""
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
