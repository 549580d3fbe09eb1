"""One site for all tests of the console, and browser windows that are signed in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from zk_pipeline.operations.actors import Role
from zk_pipeline.sandbox.demo import demo_mappings_csv
from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import generate_key
from zk_pipeline_tests.databases import careless_server
from zk_pipeline_tests.web.console.site import (
    ARGUMENTS,
    CHROMIUM,
    FIRST,
    LAST,
    SECRET,
    Site,
    Visitor,
    serving,
    sign_in,
    window,
    zk,
)

Visit = Callable[..., Visitor]


# No longer than a file: while it is open, its event loop runs, and others in this process could not run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"There is no browser at {CHROMIUM}. Install it: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three days of the demo, synced by the command, behind the web app's process."""
    home: Path = tmp_path_factory.mktemp("console")
    with SandboxProcess("demo") as systems, careless_server(home) as server:
        variables = {
            **server.environment(),
            "ZK_HOME": str(home),
            "ZK_ENCRYPTION_KEY": generate_key(),
            "ZK_TIMEZONE": "Europe/Berlin",
            "ZK_WEBHOOK_SECRET": SECRET,
            "ZK_DAGSTER_ADDRESS": "http://127.0.0.1:9",  # Nobody's: another Dagster of this machine is left alone.
            "ZK_ZAMMAD_URL": systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": systems.zammad_token,
            "ZK_KIMAI_URL": systems.kimai_url,
            "ZK_KIMAI_TOKEN": systems.kimai_token,
        }
        mappings = home / "mappings.csv"
        mappings.write_text(demo_mappings_csv(), encoding="utf-8")
        zk(home, variables, "mappings", "import", str(mappings))
        for first, last in ((FIRST, LAST), (FIRST, FIRST)):  # What was written is in sync the next time.
            zk(home, variables, "sync", "--from", first, "--to", last)
        database = Database(server.url())
        with serving(variables, home / "web.log") as url:
            running = Site(url, variables, database)
            for role in Role:
                running.add_user(running.email(role), role)
            yield running
        database.close()


@pytest.fixture
def visit(browser: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Opens browser windows: `visit(Role.OPERATOR)` is signed in, `visit()` is not."""
    with ExitStack() as stack:

        def begin(role: Role | None = None, *, email: str = "", width: int = 1280, locale: str = "en-GB") -> Visitor:
            visitor = stack.enter_context(window(browser, site, width=width, locale=locale, name=request.node.name))
            if role is not None:
                sign_in(visitor, email or site.email(role))
            return visitor

        yield begin
