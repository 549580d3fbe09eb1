"""Whose word counts about where a request comes from."""

from ipaddress import ip_network

import pytest
from starlette.requests import HTTPConnection

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.web import limits
from zk_pipeline.web.limits import client_address

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def seen(peer: str, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return client_address(HTTPConnection({"type": "http", "client": (peer, 1), "headers": headers}), TRUSTED)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", (), "203.0.113.7"),
        ("203.0.113.7", ("198.51.100.1",), "203.0.113.7"),
        ("10.0.0.2", (), "10.0.0.2"),
        ("10.0.0.2", ("203.0.113.7",), "203.0.113.7"),
        ("10.0.0.2", ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        ("10.0.0.2", ("198.51.100.1, 203.0.113.7, 10.0.0.3",), "203.0.113.7"),
        ("10.0.0.2", ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        ("10.0.0.2", ("203.0.113.7, nonsense",), "10.0.0.2"),
        ("::ffff:10.0.0.2", ("203.0.113.7",), "203.0.113.7"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
        ("10.0.0.2", ("10.0.0.3, 10.0.0.4",), "10.0.0.3"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: tuple[str, ...], client: str):
    assert seen(peer, *forwarded) == client


def test_a_proxy_is_known_by_its_name_and_by_the_addresses_that_this_has_now(monkeypatch: pytest.MonkeyPatch):
    headers = [(b"x-forwarded-for", b"203.0.113.7")]
    request = HTTPConnection({"type": "http", "client": ("127.0.0.1", 1), "headers": headers})
    assert client_address(request, ["localhost"]) == "203.0.113.7"
    assert client_address(request, ["nowhere.invalid"]) == "127.0.0.1"
    # The address of a pod changes: the name is looked up again, and no request waits for that.
    monkeypatch.setattr(limits, "SECONDS_OF_ADDRESSES", 0)
    now = ["10.0.0.1"]
    monkeypatch.setattr(limits.socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (now[0], 0))])
    assert client_address(request, ["moving.example"]) == "127.0.0.1"
    now[0] = "127.0.0.1"
    assert wait_until(lambda: client_address(request, ["moving.example"]) == "203.0.113.7", 90)


def test_a_unix_socket_has_its_name():
    assert seen("unix") == "unix"
