"""The console in a browser over a large database: when something shows, when the figures do, and how much is sent."""

import secrets
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.console_lists import ENTRIES, seed
from benchmarks.harness import Measurement, at_most, deployment
from benchmarks.web_process import web_app
from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.web.console.shell import SECTIONS

CHROMIUM = "/usr/bin/chromium-headless-shell"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
EMAIL = "viewer@provider.example"
SECONDS_TO_PAINT, SECONDS_TO_FIGURES = 1.0, 2.0
KILOBYTES = 500
SLOW_LINE = {"offline": False, "latency": 100, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
"""400 kbit/s, in bytes a second, with 100 ms each way."""
SECONDS_ON_SLOW_LINE = 15.0

_PAINTED = """() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"""
_WEIGHT = """() => ['navigation', 'resource'].flatMap(kind => performance.getEntriesByType(kind))
    .reduce((sum, row) => sum + row.transferSize, 0)"""
_FIGURES = ".zk-status"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """With 200,000 entries and 5,000 open conflicts: 1 s to each page's first paint, 2 s to Home's figures, 500 kB."""
    times = 3 if quick else 7
    with deployment() as environment, web_app() as port:
        seed(environment.runtime, ENTRIES // 10 if quick else ENTRIES)
        password = _viewer(environment.runtime)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            url = f"http://127.0.0.1:{port}"
            visits = [_visit_home(browser, url, password) for _ in range(times + 1)][1:]
            painted = {section.name: _painted(browser, url, password, section.name, times) for section in SECTIONS}
            slow = _visit_home(browser, url, password, SLOW_LINE)
            browser.close()
    first, figures, weights = zip(*visits, strict=True)
    note = f"median of {times}, empty cache"
    yield at_most("First paint", median(first), SECONDS_TO_PAINT, "s", note)
    yield at_most("Figures are there", median(figures), SECONDS_TO_FIGURES, "s", note)
    slowest = max(painted, key=painted.__getitem__)
    yield at_most("First paint of the slowest section", painted[slowest], SECONDS_TO_PAINT, "s", slowest)
    yield at_most("Weight of the first page", max(weights) / 1000, KILOBYTES, "kB", "compressed, empty cache")
    yield at_most("Figures on a line of 400 kbit/s", slow[1], SECONDS_ON_SLOW_LINE, "s", "empty cache")


def _visit_home(
    browser: Browser, url: str, password: str, line: Mapping[str, Any] | None = None
) -> tuple[float, float, int]:
    """Seconds from the navigation until the first paint and until the figures, and bytes, in a fresh profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    _sign_in(context, url, password)
    page = context.new_page()
    if line:
        context.new_cdp_session(page).send("Network.emulateNetworkConditions", dict(line))
    page.goto(f"{url}/", wait_until="commit")
    page.wait_for_selector(_FIGURES)
    figures = page.evaluate("() => performance.now()")
    page.wait_for_function(_PAINTED)
    painted, weight = page.evaluate(_PAINTED), page.evaluate(_WEIGHT)
    context.close()
    return painted / 1000, figures / 1000, weight


def _painted(browser: Browser, url: str, password: str, section: str, times: int) -> float:
    """The median of the seconds until a section's first paint, with the console's files in the cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    _sign_in(context, url, password)
    page, seconds = context.new_page(), list[float]()
    for _ in range(times + 1):
        page.goto(f"{url}/{section}")
        page.wait_for_function(_PAINTED)
        seconds.append(page.evaluate(_PAINTED) / 1000)
    context.close()
    return median(seconds[1:])


def _sign_in(context: BrowserContext, url: str, password: str) -> None:
    answer = context.request.post(
        f"{url}/api/v1/auth/login",
        data={"email": EMAIL, "password": password, "cookies": True},
        headers={"origin": url},
    )
    if not answer.ok:
        raise RuntimeError(f"Signing in was answered with {answer.status}.")


def _viewer(runtime: Runtime) -> str:
    """Create somebody who may look at everything; the password."""
    password = secrets.token_urlsafe(16)
    with runtime.database.transaction() as connection:
        users.create(connection, Actor("benchmark", Role.ADMIN), NewUser(EMAIL, Role.VIEWER, password=password))
    return password
