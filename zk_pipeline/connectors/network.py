"""Outgoing HTTP: which certificates are trusted, and which requests use a proxy.

All HTTP clients of the product are created here. Wrong environment variables (`SSL_CERT_FILE`, `ZK_CA_BUNDLE`, the
proxies, `NO_PROXY`) are reported in one sentence that names the variable.
"""

import os
import ssl
import threading
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx

Loaded = TypeVar("Loaded")

CA_BUNDLE = "ZK_CA_BUNDLE"
_PROXY_SCHEMES = frozenset({"http", "https"})
_LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))


class NetworkError(ValueError):
    """An environment variable for certificates or proxies is invalid; the message names it."""


def client(
    *, ca_bundle: str = "", proxies: bool = True, limits: httpx.Limits | None = None, **options: Any
) -> httpx.Client:
    """An HTTP client with the certificates and proxies of the environment.

    `ca_bundle` is a file with additional authorities, by default that of `ZK_CA_BUNDLE`; without `proxies` it connects
    directly to every host. It and its requests raise `NetworkError`.
    """
    routes = _Routes(trusted(ca_bundle), limits or httpx.Limits(), proxies=proxies)
    return httpx.Client(transport=routes, trust_env=False, **options)


def trusted(ca_bundle: str = "") -> ssl.SSLContext:
    """The trusted certificates, loaded once per process. Raises `NetworkError`."""
    environment = os.environ
    return _context(
        environment.get("SSL_CERT_FILE", ""),
        environment.get("SSL_CERT_DIR", ""),
        ca_bundle or environment.get(CA_BUNDLE, ""),
    )


def proxy_for(url: httpx.URL | str) -> str:
    """The proxy for a URL, without its credentials; empty if it is called directly.

    Raises `NetworkError` for an invalid proxy or exception.
    """
    found = _proxy(httpx.URL(url), getproxies())
    return _shown(found[1]) if found else ""


def variable_for(url: httpx.URL | str) -> str:
    """The variable that names the proxy for a URL; empty if it is called directly."""
    found = _proxy(httpx.URL(url), getproxies())
    return found[0] if found else ""


class _Routes(httpx.BaseTransport):
    """Sends each request directly or through the proxy from the environment."""

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits, *, proxies: bool) -> None:
        self._context, self._limits = context, limits
        # Reading the whole environment for each request would take longer than sending some.
        self._proxies = getproxies() if proxies else {}
        self._lock = threading.Lock()
        self._transports: dict[str, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        found = _proxy(request.url, self._proxies) if self._proxies else None
        return self._transport(found[1] if found else "").handle_request(request)

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()

    def _transport(self, url: str) -> httpx.HTTPTransport:
        with self._lock:
            if url not in self._transports:
                context = self._context if url.startswith("https:") else None
                proxy = httpx.Proxy(url, ssl_context=context) if url else None
                self._transports[url] = httpx.HTTPTransport(verify=self._context, limits=self._limits, proxy=proxy)
            return self._transports[url]


@cache
def _context(file: str, folder: str, bundle: str) -> ssl.SSLContext:
    if file:
        context = _loaded("SSL_CERT_FILE", file, lambda: ssl.create_default_context(cafile=file))
    elif folder:
        if not Path(folder).is_dir():
            raise NetworkError(f"SSL_CERT_DIR is {folder}, which is not a folder. Correct or remove it.")
        context = ssl.create_default_context(capath=folder)
    else:
        context = httpx.create_ssl_context(trust_env=False)
        context.load_default_certs()  # An authority installed on this machine is trusted too.
    if bundle:
        _loaded(CA_BUNDLE, bundle, lambda: context.load_verify_locations(cafile=bundle))
    return context


def _loaded(variable: str, file: str, load: Callable[[], Loaded]) -> Loaded:
    """The loaded certificates of a file. Raises `NetworkError` if there are none."""
    remedy = "Name a file with PEM certificates, or remove it."
    path = Path(file)
    if path.is_dir():
        raise NetworkError(f"{variable} is {file}, which is a folder. {remedy}")
    if not path.exists():
        raise NetworkError(f"{variable} is {file}, which does not exist. {remedy}")
    try:
        return load()
    except ssl.SSLError as error:
        raise NetworkError(f"{variable} is {file}, which has no readable certificate. {remedy}") from error
    except OSError as error:
        raise NetworkError(f"{variable} is {file}, which cannot be read ({error.strerror}). {remedy}") from error


def _proxy(url: httpx.URL, known: Mapping[str, str]) -> tuple[str, str] | None:
    """Variable and value of the proxy for a URL; `None` if there is none or the host is excepted."""
    scheme = url.scheme if known.get(url.scheme) else "all"
    value = known.get(scheme, "")
    if not value or _is_excepted(url, known.get("no", "")):
        return None
    variable = _variable(f"{scheme}_proxy")
    address = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(address)
        usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
        httpx.Proxy(address if usable else "http://host")
    except (ValueError, httpx.InvalidURL) as error:
        raise _no_proxy_url(variable, address) from error
    if not usable:
        raise _no_proxy_url(variable, address)
    return variable, address


def _no_proxy_url(variable: str, address: str) -> NetworkError:
    return NetworkError(
        f"{variable} is {_shown(address)}, which is not an HTTP proxy. Give it as http://host:port, remove it, or list "
        "the host in NO_PROXY."
    )


def _is_excepted(url: httpx.URL, exceptions: str) -> bool:
    """Whether NO_PROXY names the host: by name, suffix, address or network."""
    host = url.host.strip("[]").rstrip(".").lower()
    addresses = _LOOPBACK if host == "localhost" else _addresses(host)
    return any(_excepts(entry, host, addresses, url) for entry in exceptions.replace(",", " ").split())


def _excepts(entry: str, host: str, addresses: tuple[IPv4Address | IPv6Address, ...], url: httpx.URL) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ip_network(entry.replace("[", "").replace("]", ""), strict=False)
        except ValueError as error:
            raise NetworkError(
                f"{_variable('no_proxy')} holds {entry}, which is not a network. Write one as 10.0.0.0/8 or fe80::/10."
            ) from error
        return any(address in network for address in addresses)
    name, port = entry.lower(), ""
    if entry.startswith("["):
        name, _, port = name[1:].partition("]")
    elif name.count(":") == 1:  # An IPv6 address has more of them.
        name, _, port = name.partition(":")
    used = url.port or {"http": 80, "https": 443}.get(url.scheme)
    if port.strip(":") and port.strip(":") != str(used):
        return False
    if exact := _addresses(name):
        return exact[0] in addresses
    wanted = name.removeprefix("*").removeprefix(".").rstrip(".")
    return host == wanted or host.endswith(f".{wanted}")


def _addresses(text: str) -> tuple[IPv4Address | IPv6Address, ...]:
    try:
        return (ip_address(text.partition("%")[0]),)
    except ValueError:
        return ()


def _variable(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable's name as the environment has it; lower case wins, as usual."""
    return name if environment.get(name) else name.upper()


def _shown(address: str) -> str:
    """A proxy's URL without user and password."""
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
