"""Takes the pictures in docs/pictures, of the console and of Dagster's UI, on the demo's month: `make pictures`."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.test_up import free_port
from zk_pipeline_tests.web.console.site import ARGUMENTS, CHROMIUM, environment

PICTURES = PROJECT / "docs" / "pictures"
DAY, LAST, MONTH = "2025-10-14", "2025-10-31", "[2025-10-01...2025-10-31]"
RUNS = {"query": "{ runsOrError(limit: 9) { ... on Runs { results { runId } } } }"}
READY, SIGN_IN, WEB = "Press Ctrl-C", "Sign in as:", "Web app:"
CUSTOMER = "Bäckerei Sonnenschein GmbH"
SECONDS_TO_STOP = 60
LOOKS = 40
"""How often a page is looked at until it is still."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A page at this size; `shows` selects what is there once it is loaded, the last of `times`.

    `opens` names a button to be clicked before, and `at` what is scrolled to.
    """

    name: str
    path: str
    shows: str
    width: int = 1440
    height: int = 1000
    times: int = 1
    opens: str = ""
    at: str = ""


OF_CONSOLE = (
    Picture("dashboard", "/dashboard", ".zk-chart svg", width=1280, height=900),
    Picture("reconcile", "/reconcile", ".zk-cause", width=1280, height=900),
    Picture("mappings", "/mappings", "table tbody tr", width=1280, height=900, times=3),
    Picture("statement", "/statement", ".zk-equation", width=1280, height=900),
    Picture("charts", "/statement", ".zk-chart svg", width=1280, height=900, at=".zk-card:has(.zk-chart)"),
    Picture("customer", "/statement", ".zk-dialog .zk-chart svg", width=1280, height=900, opens=CUSTOMER),
)


def pictures(first_run: str) -> tuple[Picture, ...]:
    """What is pictured: the lineage of what is pushed, the demo's first run, and a day's plan."""
    upstream = "/assets/sync/kimai_pushes?view=lineage&lineageScope=upstream&lineageDepth=3"
    day = f"/assets/sync/reconciliation_results?view=partitions&partition={DAY}&default_range={quote(MONTH)}"
    return (
        Picture("dagster-lineage", upstream, "svg foreignObject", height=860, times=7),
        Picture("dagster-run", f"/runs/{first_run}", "text=RUN_SUCCESS"),
        Picture("dagster-day", day, "text=status/in_sync"),
    )


@dataclass(frozen=True, slots=True)
class Demo:
    """A served demo: the addresses of the console and of Dagster's UI, and who may sign in."""

    console: str
    url: str
    email: str
    password: str


@contextmanager
def demo() -> Iterator[Demo]:
    """A served demo."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("zk"),
                "demo",
                "--serve",
                f"--ends={LAST}",
                f"--port={port}",
                f"--web-port={free_port()}",
            ],
            env={**environment({}), "ZK_HOME": home, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            console = email = password = ""
            for line in process.stdout:
                if line.startswith(SIGN_IN):
                    email, password = line.removeprefix(SIGN_IN).strip().split(" / ")
                if line.startswith(WEB):
                    console = line.removeprefix(WEB).strip()
                if READY in line:
                    break
            else:
                raise SystemExit("The demo did not start. Run zk demo --serve and see what it says.")
            yield Demo(console.rstrip("/"), f"http://127.0.0.1:{port}", email, password)
        finally:
            process.terminate()
            process.wait(SECONDS_TO_STOP)


def sign_in(page: Page, shown: Demo) -> None:
    """Sign in at the console, whose cookies Dagster's UI takes as well."""
    page.goto(f"{shown.console}/runs")
    page.fill("input[name=email]", shown.email)
    page.fill("input[name=password]", shown.password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{shown.console}/runs")


def first_run(page: Page, url: str) -> str:
    """The id of the oldest run."""
    answer = page.request.post(f"{url}/graphql", data=RUNS, headers={"origin": url})
    return answer.json()["data"]["runsOrError"]["results"][-1]["runId"]


def take(page: Page, url: str, picture: Picture) -> None:
    """Write one picture, once its page stands still."""
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.goto(url + picture.path)
    if picture.opens:
        page.get_by_role("button", name=picture.opens).first.click()
    page.locator(picture.shows).nth(picture.times - 1).wait_for()
    if picture.at:
        page.locator(picture.at).first.scroll_into_view_if_needed()
    seen = b""
    for _ in range(LOOKS):
        page.wait_for_timeout(500)
        before, seen = seen, page.screenshot()
        if seen == before:
            break
    (PICTURES / f"{picture.name}.png").write_bytes(seen)


def main() -> None:
    """Start the demo, and take all pictures."""
    with demo() as shown, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(reduced_motion="reduce", locale="en-GB", timezone_id="Europe/Berlin")
        sign_in(page, shown)
        for picture in OF_CONSOLE:
            take(page, shown.console, picture)
        for picture in pictures(first_run(page, shown.url)):
            take(page, shown.url, picture)
        browser.close()


if __name__ == "__main__":
    main()
