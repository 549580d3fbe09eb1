"""Addresses of the processes under test: free ports, and whether something answers there."""

import socket
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

HOST = "127.0.0.1"


def free_ports(number: int) -> list[int]:
    """Ports that nothing uses just now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.create_server((HOST, 0)))) for _ in range(number)]
        return [held.getsockname()[1] for held in sockets]


def listens(at: int | Path) -> bool:
    """Whether something accepts connections on this port, or on this socket."""
    with socket.socket(socket.AF_UNIX if isinstance(at, Path) else socket.AF_INET) as asking:
        asking.settimeout(2)
        try:
            asking.connect(str(at) if isinstance(at, Path) else (HOST, at))
        except OSError:
            return False
    return True


def answers(url: str) -> bool:
    """Whether this address answers with success."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
