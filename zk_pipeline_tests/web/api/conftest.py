"""The API with its connectors on the demo's simulated systems, over real HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from zk_sandbox.client import SandboxControl
from zk_sandbox.server import SandboxProcess

AsRole = Callable[[str], httpx.Client]


@pytest.fixture(scope="session")
def systems() -> Iterator[SandboxProcess]:
    """A simulated Zammad and a simulated Kimai with the demo's data; what a test writes there stays."""
    with SandboxProcess("demo") as running:
        yield running


@pytest.fixture
def pristine(systems: SandboxProcess) -> Iterator[SandboxProcess]:
    """The simulated systems, put back after the test."""
    states: dict[str, dict[str, Any]] = {}
    for url in (systems.zammad_url, systems.kimai_url):
        with SandboxControl(url) as control:
            states[url] = control.state()
    yield systems
    for url, state in states.items():
        with SandboxControl(url) as control:
            control.restore(state)


@pytest.fixture
def admin(as_role: AsRole) -> httpx.Client:
    return as_role("admin")


@pytest.fixture
def operator(as_role: AsRole) -> httpx.Client:
    return as_role("operator")


@pytest.fixture
def viewer(as_role: AsRole) -> httpx.Client:
    return as_role("viewer")


@pytest.fixture
def ids(admin: httpx.Client, systems: SandboxProcess) -> dict[str, int]:
    """The ids of the connectors by name, once both stand on the simulated systems."""
    listed = admin.get("/api/v1/connectors").json()["items"]
    found = {row["name"]: row["id"] for row in listed}
    for name, url, token in (
        ("zammad", systems.zammad_url, systems.zammad_token),
        ("kimai", systems.kimai_url, systems.kimai_token),
    ):
        answer = admin.patch(f"/api/v1/connectors/{found[name]}", json={"base_url": url, "token": token})
        assert answer.status_code == 200, answer.text
    return found
