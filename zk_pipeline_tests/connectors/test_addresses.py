"""No connector reaches metadata services, link-local or multicast addresses, however they are written or named."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from zk_pipeline.connectors import ssrf_guard
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.errors import UnavailableError
from zk_pipeline.connectors.ssrf_guard import checked_base_url, is_forbidden_host, leads_to_forbidden
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_sandbox.server import SandboxProcess

FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "metadata.google.internal",
    "METADATA.google.internal.",
]
LEGITIMATE = [
    "10.1.2.3",
    "172.16.0.1",
    "192.168.178.20",
    "127.0.0.1",
    "::1",
    "fd12::1",
    "100.64.0.1",
    "desk.example.com",
]


@pytest.mark.parametrize("host", FORBIDDEN)
def test_a_forbidden_address_is_recognized_in_every_form(host: str) -> None:
    assert is_forbidden_host(host)
    url = f"http://[{host}]/" if ":" in host else f"http://{host}/"
    with pytest.raises(ValueError, match=r"is forbidden|is not a URL"):
        checked_base_url(Endpoint("thing", url, "token"))


@pytest.mark.parametrize("host", LEGITIMATE)
def test_private_networks_and_this_machine_are_allowed(host: str) -> None:
    assert not is_forbidden_host(host)


def test_a_name_counts_by_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch, lambda: "169.254.169.254"):
        assert leads_to_forbidden("desk.example.com")


def test_a_name_that_cannot_be_resolved_leads_nowhere() -> None:
    assert not leads_to_forbidden("desk.invalid")


def test_a_call_to_a_name_that_leads_to_metadata_is_refused_once_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    endpoint = Endpoint("zammad", "http://desk.example.com", "token")
    with (
        resolving(monkeypatch, lambda: "169.254.169.254"),
        ZammadConnector(endpoint, sleep=waits.append) as zammad,
        pytest.raises(UnavailableError, match=r"leads to an address that is forbidden; nothing was sent"),
    ):
        zammad.fetch_types()
    assert waits == []
    assert zammad.requests.reads == 1


def test_a_name_that_leads_elsewhere_once_it_was_checked_gets_nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["10.0.0.1"])
    with SandboxProcess("demo") as systems:
        port = httpx.URL(systems.zammad_url).port
        # This machine stands for the metadata service: it answers, and must not get the token.
        monkeypatch.setattr(ssrf_guard, "is_forbidden", lambda address: address == "127.0.0.1")
        endpoint = Endpoint("zammad", f"http://desk.example.com:{port}", systems.zammad_token)
        with (
            resolving(monkeypatch, lambda: next(answers, "127.0.0.1")),
            ZammadConnector(endpoint) as zammad,
            pytest.raises(UnavailableError, match="forbidden"),
        ):
            zammad.fetch_types()
        assert next(answers, None) is None
        assert zammad.requests.reads == 1


@contextmanager
def resolving(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], str]) -> Iterator[None]:
    """A name server that gives these addresses for every name, and leaves addresses alone."""
    ask = socket.getaddrinfo

    def asked(host: Any, *args: Any, flags: int = 0, **more: Any) -> Any:
        if str(host).endswith(".example.com") and flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no number")
        return ask(answer() if str(host).endswith(".example.com") else host, *args, flags=flags, **more)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", asked)
        yield
