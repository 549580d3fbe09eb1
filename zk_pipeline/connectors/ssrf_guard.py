"""Addresses and tokens of connectors: how they have to be written, and which hosts no connector may reach.

Forbidden are those at which a cloud tells its machines secrets, and those of no server.

Private networks and this machine itself are allowed: many a Zammad runs there. An address counts in whatever form it is
written, and a name by what it stands for at the moment of connecting, since that may change after it was checked.
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
_CARRIES_IPV4 = tuple(map(ip_network, ("::/96", "64:ff9b::/96")))

REMEDY = "Give the address of the system itself; link-local, metadata and multicast addresses are never called."


class ForbiddenAddressError(httpx.RequestError):
    """A connection was refused by us, before anything was sent, because of the address it leads to."""


def is_forbidden(address: str) -> bool:
    """Whether an IP address, in its usual form, may not be reached."""
    plain = _plain(ip_address(address.partition("%")[0]))
    return any(plain in network for network in _FORBIDDEN)


def is_forbidden_host(host: str) -> bool:
    """Whether a host is a forbidden name or address; an address may be written in any form. Asks no name server."""
    name = host.rstrip(".").casefold()
    return name in _FORBIDDEN_NAMES or any(map(is_forbidden, _addresses(name, socket.AI_NUMERICHOST)))


def leads_to_forbidden(host: str) -> bool:
    """Whether a host is forbidden or has such an address now. One that cannot be resolved leads nowhere."""
    return is_forbidden_host(host) or any(map(is_forbidden, _addresses(host, 0)))


def guarded(request: httpx.Request) -> None:
    """The request hook of a client that should connect to no forbidden address; it is refused before anything is sent.

    Raises `ForbiddenAddressError` out of the request.
    """
    earlier = request.extensions.get("trace")

    def trace(event: str, info: Mapping[str, Any]) -> None:
        _check(event, info)
        if earlier is not None:
            earlier(event, info)

    request.extensions["trace"] = trace


def _check(event: str, info: Mapping[str, Any]) -> None:
    """See to what is connected, and to what it was: a name server may answer differently the second time."""
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
    except (OSError, UnicodeError):  # Nothing of that name, or nothing that could be a name.
        return set()
    return {str(entry[4][0]) for entry in found}


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, else the address itself."""
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
"""Where the path of a page begins in Kimai (`/en/homepage`) and in Zammad's newer desktop and mobile views."""


def checked_base_url(endpoint: Endpoint) -> str:
    """The base URL without trailing slash, and without what else was pasted: `/api`, or a page of the browser.

    Raises `ValueError` when it is unusable.
    """
    name = f"The base URL of the connector {endpoint.name!r}"
    try:
        parts = urlsplit(endpoint.base_url.strip())
        port = f":{parts.port}" if parts.port else ""
        httpx.URL(endpoint.base_url.strip())
        (parts.hostname or "").encode("idna")
    except (ValueError, httpx.InvalidURL) as error:
        raise ValueError(f"{name} is not a URL. Give it as https://host or https://host/path.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{name} does not begin with http:// or https:// and a host. Give it as https://host.")
    if is_forbidden_host(parts.hostname):
        raise ValueError(f"{name} is forbidden: {parts.hostname}. {REMEDY}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{name} holds credentials. Take them out: the token is a setting of its own.")
    # Zammad's pages stand behind "#", those of Kimai behind a language; either is the address of a page of the system.
    page = _PAGE.search(parts.path)
    path = (parts.path[: page.start()] if page else parts.path).rstrip("/")
    if parts.query and not page:
        raise ValueError(f"{name} holds a query. Give scheme, host and path alone.")
    for suffix in ("/api/v1", "/api"):
        path = path.removesuffix(suffix).rstrip("/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{path}"


def checked_token(endpoint: Endpoint) -> str:
    """The token without surrounding blanks; `ValueError` when it is empty or cannot stand in a header."""
    token = endpoint.token.strip()
    if not token:
        raise ValueError(f"The connector {endpoint.name!r} has no token. Set the API token of its account.")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError(
            f"The token of the connector {endpoint.name!r} holds blanks or special characters. Copy it again."
        )
    return token
