"""Base URLs and tokens of connectors: their format, and the hosts that no connector may reach.

Forbidden are cloud metadata services, and addresses that cannot be servers. Private networks and this machine are
allowed, because many Zammads run there. An address counts in any notation, and a name by its address at the moment of
connecting, because that can change after a check.
"""

import re
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import httpx

from zk_pipeline.connectors.contract import Endpoint

_FORBIDDEN = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",
            "100.100.100.200/32",  # Metadata at Alibaba.
            "168.63.129.16/32",  # Metadata at Azure.
            "169.254.0.0/16",  # Link-local, with most clouds' metadata.
            "192.0.0.192/32",  # Metadata at Oracle.
            "224.0.0.0/4",
            "255.255.255.255/32",
            "::/128",
            "fd00:ec2::/32",  # Metadata at Amazon.
            "fd20:ce::254/128",  # Metadata at Google.
            "fe80::/10",
            "ff00::/8",
        ),
    )
)
_FORBIDDEN_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
_SHOWN = 80  # Characters of an address in an error.
_CARRIES_IPV4 = tuple(map(ip_network, ("::/96", "64:ff9b::/96")))

REMEDY = "Give the address of the system itself; link-local, metadata and multicast addresses are never called."


class ForbiddenAddressError(httpx.RequestError):
    """We refused a connection, before anything was sent, because of its address."""


def is_forbidden(address: str) -> bool:
    """Whether an IP address, in its usual notation, is forbidden."""
    plain = _plain(ip_address(address.partition("%")[0]))
    return any(plain in network for network in _FORBIDDEN)


def is_forbidden_host(host: str) -> bool:
    """Whether a host is a forbidden name or address, in any notation. Does not query DNS."""
    name = host.rstrip(".").casefold()
    return name in _FORBIDDEN_NAMES or any(map(is_forbidden, _addresses(name, socket.AI_NUMERICHOST)))


def leads_to_forbidden(host: str) -> bool:
    """Whether a host is forbidden or resolves to a forbidden address now. False if it cannot be resolved."""
    return is_forbidden_host(host) or any(map(is_forbidden, _addresses(host, 0)))


def guarded(request: httpx.Request) -> None:
    """The request hook for a client that must not connect to forbidden addresses.

    It raises `ForbiddenAddressError` out of the request before anything is sent.
    """
    earlier = request.extensions.get("trace")

    def trace(event: str, info: Mapping[str, Any]) -> None:
        _check(event, info)
        if earlier is not None:
            earlier(event, info)

    request.extensions["trace"] = trace


def _check(event: str, info: Mapping[str, Any]) -> None:
    """Check the target before and after connecting: DNS may answer differently the second time."""
    if event.endswith("connect_tcp.started") and leads_to_forbidden(info["host"]):
        raise ForbiddenAddressError(REMEDY)
    if event.endswith("connect_tcp.complete"):
        stream = info["return_value"]
        if is_forbidden(stream.get_extra_info("server_addr")[0]):
            stream.close()
            raise ForbiddenAddressError(REMEDY)


def _addresses(host: str, flags: int) -> set[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError):  # Not resolvable, or not a valid name.
        return set()
    return {str(entry[4][0]) for entry in found}


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address embedded in an IPv6 address, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    carried = address.ipv4_mapped or address.sixtofour
    if carried is not None:
        return carried
    if int(address) > 1 and any(address in network for network in _CARRIES_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


_PAGE = re.compile(
    r"/[a-z]{2}(_[A-Za-z]{2,4})?/(homepage|dashboard|login|timesheet|quick_entry|calendar|favorite|profile|reporting|"
    r"export|invoice|team|about|help|admin)(/|$)|/(desktop|mobile)(/|$)"
)
"""The start of the path of a page in Kimai (`/en/homepage`) and in Zammad's newer desktop and mobile views."""


def checked_base_url(endpoint: Endpoint) -> str:
    """The base URL without trailing slash, and without other pasted parts: `/api`, or a page of the browser.

    Raises `ValueError` if it is unusable.
    """
    name = f"The address of {endpoint.name}"
    try:
        parts = urlsplit(endpoint.base_url.strip())
        port = f":{parts.port}" if parts.port else ""
        httpx.URL(endpoint.base_url.strip())
        (parts.hostname or "").encode("idna")
    except (ValueError, httpx.InvalidURL) as error:
        given = _without_credentials(endpoint.base_url)
        raise ValueError(f"{name} is not a URL: {given!r}. Write it as https://host or https://host/path.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        given = _without_credentials(endpoint.base_url)
        raise ValueError(
            f"{name} must start with https:// or http:// and name a host: {given!r}. Write it as https://host."
        )
    if is_forbidden_host(parts.hostname):
        raise ValueError(f"{name} is forbidden: {parts.hostname}. {REMEDY}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name} contains credentials. Remove them: the token is a separate setting.")
    # Zammad's pages follow "#", Kimai's a language; both are URLs of pages of the system.
    page = _PAGE.search(parts.path)
    path = (parts.path[: page.start()] if page else parts.path).rstrip("/")
    if parts.query and not page:
        raise ValueError(f"{name} contains a query. Give only scheme, host and path.")
    for suffix in ("/api/v1", "/api/v2", "/api"):
        path = path.removesuffix(suffix).rstrip("/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{path}"


def _without_credentials(address: str) -> str:
    """As much of an unusable address as may be shown."""
    before, _, after = address.strip().rpartition("@")
    return (f"…@{after}" if before else after)[:_SHOWN]


def checked_token(endpoint: Endpoint) -> str:
    """The token without surrounding spaces. Raises `ValueError` if it is empty or not valid in a header."""
    token = endpoint.token.strip()
    if not token:
        raise ValueError(f"The connector {endpoint.name!r} has no token. Set the API token of its account.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError(
            f"The token of the connector {endpoint.name!r} contains spaces or special characters. Copy it again."
        )
    return token
