"""Where a request comes from: the peer, or what trusted proxies say about it."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> str:
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


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
