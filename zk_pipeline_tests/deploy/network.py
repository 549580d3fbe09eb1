"""Addresses of the processes under test: free ports, and whether something answers there."""

import socket
from contextlib import ExitStack, closing

import httpx

HOST = "127.0.0.1"


def free_ports(number: int) -> list[int]:
    """Ports that nothing uses just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.create_server((HOST, 0)))) for _ in range(number)]
        return [held.getsockname()[1] for held in sockets]


def listens(port: int) -> bool:
    """Whether something accepts connections on this port."""
    try:
        socket.create_connection((HOST, port), 2).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Whether this address answers with success."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
