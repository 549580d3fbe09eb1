"""One site for all tests of the console, and browser windows that are signed in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.tools import missing
from zk_pipeline_tests.web.console.site import (
    ARGUMENTS,
    CHROMIUM,
    FIRST,
    LAST,
    Site,
    Visitor,
    keep_pictures,
    sign_in,
    standing,
    window,
)
from zk_sandbox.server import SandboxProcess

Visit = Callable[..., Visitor]

# A page on a busy machine may take its time; what never comes is told as well after 15 seconds as after five.
expect.set_options(timeout=60_000)


def pytest_exception_interact() -> None:
    """What a test saw when it failed is worth a look. Pictures of all others cost a third of a second each."""
    keep_pictures()


# No longer than a file: while it is open, its event loop runs, and others in this process could not run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"There is no browser at {CHROMIUM}. Install it: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def demo_systems() -> Iterator[SandboxProcess]:
    """The demo's systems, on which sites stand that sync different days."""
    with SandboxProcess("demo") as systems:
        yield systems


@pytest.fixture(scope="session")
def site(demo_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three days of the demo, synced by the command, behind the web app's process."""
    ranges = ((FIRST, LAST), (FIRST, FIRST))  # What was written is in sync the next time.
    with standing(tmp_path_factory.mktemp("console"), demo_systems, ranges) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens browser windows: `visit(Role.OPERATOR)` is signed in, `visit()` is not."""
    with ExitStack() as stack:

        def begin(role: Role | None = None, *, email: str = "", **options: Any) -> Visitor:
            visitor = stack.enter_context(window(browser, site, name=request.node.name, **options))
            if role is not None:
                sign_in(visitor, email or site.email(role))
            return visitor

        yield begin
