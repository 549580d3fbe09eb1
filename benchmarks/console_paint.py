"""The dashboard in a browser, over a large company's database: how long until something and until the figures show."""

import secrets
from collections.abc import Iterator
from statistics import median

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.console_lists import ENTRIES, seed
from benchmarks.harness import Measurement, at_most, deployment
from benchmarks.web_process import web_app
from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.runtime.runtime import Runtime

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
EMAIL = "viewer@provider.example"
SECONDS = 2.0

_PAINTED = """() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"""
_FIGURES = ".zk-status"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """With 200,000 entries, the dashboard's first paint and its figures come within 2 s, with nothing in any cache."""
    times = 3 if quick else 7
    with deployment() as environment, web_app() as port:
        seed(environment.runtime, ENTRIES // 10 if quick else ENTRIES)
        password = _viewer(environment.runtime)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            visits = [_visit(browser, f"http://127.0.0.1:{port}", password) for _ in range(times + 1)][1:]
            browser.close()
    painted, figures = zip(*visits, strict=True)
    note = f"median of {times}, empty cache"
    yield at_most("First paint", median(painted), SECONDS, "s", note)
    yield at_most("Figures are there", median(figures), SECONDS, "s", note)


def _visit(browser: Browser, url: str, password: str) -> tuple[float, float]:
    """Seconds from the beginning of the navigation until the first paint and until the figures, in a fresh profile."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    _sign_in(context, url, password)
    page = context.new_page()
    page.goto(f"{url}/")
    page.wait_for_selector(_FIGURES)
    figures = page.evaluate("() => performance.now()")
    page.wait_for_function(_PAINTED)
    painted = page.evaluate(_PAINTED)
    context.close()
    return painted / 1000, figures / 1000


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
