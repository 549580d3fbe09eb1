"""The web app as the process that people start, on some synced days of the demo, and browsers that visit it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from socket import create_server
from typing import Any
from weakref import WeakKeyDictionary

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.identity import users
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.identity.users import NewUser
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store.database import Database
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.conftest import Home, Zk
from zk_pipeline_tests.databases import careless_server
from zk_sandbox.demo import demo_mappings_csv
from zk_sandbox.server import SandboxProcess

_BROWSERS = Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")
# Without the parts that nobody sees, a browser takes three fifths of the processor time.
CHROMIUM = next((path for path in _BROWSERS if path.exists()), _BROWSERS[0])
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = Axe()
_DIALOG = ".q-dialog"
_FAINT_TEXTS = Path(__file__).with_name("faint_texts.js").read_text(encoding="utf-8")
_LOOKS = """([dark, size]) => {
    document.body.classList.toggle("body--dark", dark);
    document.body.classList.toggle("body--light", !dark);
    document.documentElement.style.fontSize = size;
}"""
_FOR_PAGES = {"resultTypes": ["violations"]}
_FOR_DIALOGS = {**_FOR_PAGES, "rules": {"color-contrast": {"enabled": False}}}
"""axe takes the backdrop for what lies behind a dialog's buttons, so that their contrast is reckoned here."""

PACKAGES = "packages"
"""Where tests install packages for the web app, within its home."""

SCREENSHOTS = Path(__file__).parents[3] / ".zk-screenshots"
_open_pages: dict[Page, str] = {}
_idle_windows: WeakKeyDictionary[Browser, dict[str, list[Page]]] = WeakKeyDictionary()
SECRET = "zammad-test-key"
PASSWORD = "correct horse battery"
CUSTOMER = "Kanzlei Dr. Weiß & Partner"
CUSTOMER_ID = f"(SELECT id FROM kimai.customers WHERE name = '{CUSTOMER}')"
"""Its number in Kimai, for SQL. Customers are made by several requests at once, in an order of their own."""

FIRST, LAST = "2025-10-01", "2025-10-03"
SECONDS_TO_START = 300
PHONE, DESK = 390, 1280


@dataclass(frozen=True)
class Site:
    """A running web app with a user of each role; its pipeline runs where a test says so."""

    url: str
    home: Path
    variables: dict[str, str]
    database: Database

    def sync(self, first: str, last: str) -> None:
        """Run the chain over these days, as Dagster's sensor would."""
        zk(self.home, self.variables, "sync", "--from", first, "--to", last)

    def undo(self, run_id: str) -> None:
        """Take a run back, as `zk undo` does."""
        zk(self.home, self.variables, "undo", run_id, "--yes")

    def value(self, query: str) -> Any:
        """The first value of a query on the database."""
        with self.database.transaction() as connection:
            return connection.execute(text(query)).scalar()

    def timesheets(self, first: str, last: str) -> dict[int, dict[str, Any]]:
        """What Kimai has on these days, by id."""
        return timesheets(self.variables["ZK_KIMAI_URL"], self.variables["ZK_KIMAI_TOKEN"], first, last)

    def written(self, first: str, last: str) -> set[str]:
        """The bookings that have a time sheet of these days in Kimai, by its marker."""
        return written(self.timesheets(first, last))

    def email(self, role: Role) -> str:
        return f"{role}@example.com"

    def add_user(self, email: str, role: Role) -> int:
        with self.database.transaction() as connection:
            return users.create(
                connection, Actor("cli:tests", Role.ADMIN), NewUser(email, role, role.title(), PASSWORD)
            ).id


@dataclass(frozen=True)
class Visitor:
    """A browser window on the site; `context` is its profile with the cookies."""

    site: Site
    context: BrowserContext
    page: Page

    def open(self, address: str = "/") -> Page:
        """Load a page and wait until its first section has been filled, or shows its form."""
        filled = ".zk-section :is(.zk-panel:not([aria-busy]), .zk-form-column)"
        self.page.goto(self.site.url + address)
        self.page.wait_for_function(f"document.querySelector('{filled}')")
        return self.page


def timesheets(kimai_url: str, token: str, first: str, last: str) -> dict[int, dict[str, Any]]:
    """What a Kimai has on these days, by id."""
    answer = httpx.get(
        f"{kimai_url}/api/timesheets",
        params={"begin": f"{first}T00:00:00", "end": f"{last}T23:59:59", "user": "all", "size": 500},
        headers={"authorization": f"Bearer {token}"},
        timeout=120,
        trust_env=False,
    )
    return {row["id"]: row for row in answer.raise_for_status().json()}


@contextmanager
def as_admin(web_url: str, email: str) -> Iterator[httpx.Client]:
    """The REST API, signed in."""
    with httpx.Client(base_url=f"{web_url}/api/v1", trust_env=False, timeout=120) as client:
        token = client.post("/auth/login", json={"email": email, "password": PASSWORD}).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def connect_demo(client: httpx.Client, systems: SandboxProcess) -> None:
    """Connect the demo's systems, with its mappings, unless that is done."""
    if client.get("/connectors").json()["total"]:
        return
    for kind, url, key in (
        ("zammad", systems.zammad_url, systems.zammad_token),
        ("kimai", systems.kimai_url, systems.kimai_token),
    ):
        given = {"kind": kind, "name": kind, "base_url": url, "token": key}
        client.post("/connectors", json=given).raise_for_status()
    csv = {"content-type": "text/csv"}
    client.post("/mappings/import", content=demo_mappings_csv(), headers=csv).raise_for_status()


def written(rows: Mapping[int, Mapping[str, Any]]) -> set[str]:
    """The bookings whose markers stand in these time sheets."""
    return {booking for row in rows.values() for booking in marked_ids(row["description"] or "", "zammad")}


def environment(variables: dict[str, str]) -> dict[str, str]:
    """The variables of a process of ours, with nothing of the machine's own settings."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    return {**others, ENV_FILE: os.devnull, **variables}


def zk(home: Path, variables: dict[str, str], *arguments: str) -> None:
    """Run a command on this home, within this process, which has imported Dagster once for all."""
    done = Zk(Home(home, "zk", {ENV_FILE: os.devnull, "ZK_HOME": str(home), **variables}))(*arguments)
    assert done.exit_code in {0, 3}, done.output


@contextmanager
def serving(variables: dict[str, str], log: Path) -> Iterator[str]:
    """The web app as a process on a free port; its address."""
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "zk_pipeline.web.server"]
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(log.parent / PACKAGES))))
        given = environment({**variables, "ZK_WEB_PORT": str(port), "PYTHONPATH": path})
        process = subprocess.Popen(command, env=given, stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: process.poll() is not None or _answers(url), SECONDS_TO_START)
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(90)


@contextmanager
def standing(home: Path, systems: SandboxProcess, ranges: Sequence[tuple[str, str]], **more: str) -> Iterator[Site]:
    """A site on these systems with the demo's mappings, after a sync of each of the ranges."""
    with careless_server(home) as server:
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
            **more,
        }
        mappings = home / "mappings.csv"
        mappings.write_text(demo_mappings_csv(), encoding="utf-8")
        zk(home, variables, "mappings", "import", str(mappings))
        for first, last in ranges:
            zk(home, variables, "sync", "--from", first, "--to", last)
        database = Database(server.url(), TokenCipher(variables["ZK_ENCRYPTION_KEY"]).derived(AUDIT_KEY_PURPOSE))
        with serving(variables, home / "web.log") as url:
            running = Site(url, home, variables, database)
            for role in Role:
                running.add_user(running.email(role), role)
            yield running
        database.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/favicon.ico", timeout=120, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def window(
    browser: Browser, site: Site, *, width: int = DESK, locale: str = "en-GB", name: str, own: bool = False
) -> Iterator[Visitor]:
    """A browser window that nobody has been signed in to.

    The first page of a new one costs three seconds of a processor, most of them to compile the scripts. So windows are
    used again, unless a test changes its `own` for good.
    """
    idle = _idle_windows.setdefault(browser, {}).setdefault(locale, [])
    page = idle.pop() if idle and not own else _new_window(browser, locale)
    page.set_viewport_size({"width": width, "height": 900})
    with watched(page, name):
        yield Visitor(site, page.context, page)
    if own or page.is_closed():
        page.context.close()
    else:
        _clean(page, site)
        idle.append(page)


def _new_window(browser: Browser, locale: str) -> Page:
    context = browser.new_context(locale=locale, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    return context.new_page()


def _clean(page: Page, site: Site) -> None:
    """Take everything out of a window that a test left in it, but stay at the site, whose scripts are compiled."""
    for other in page.context.pages:
        if other is not page:
            other.close()
    page.unroute_all()
    page.evaluate("try { localStorage.clear(); sessionStorage.clear() } catch {}")
    page.goto(f"{site.url}/favicon.ico")
    page.context.clear_cookies()
    page.emulate_media(media="null", forced_colors="null", color_scheme="null", reduced_motion="reduce")


@contextmanager
def watched(page: Page, name: str) -> Iterator[Page]:
    """The page, of which a picture is kept if the test fails."""
    _open_pages[page] = name
    try:
        yield page
    finally:
        del _open_pages[page]


def keep_pictures() -> None:
    """Keep what the open windows show, each by its name."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for number, (page, name) in enumerate(_open_pages.items()):
        page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^A-Za-z0-9]+', '_', name)}-{number}.png")


def sign_in(visitor: Visitor, email: str) -> None:
    """Begin a session as the sign-in page does, and keep its cookies in the browser."""
    site = visitor.site
    answer = visitor.context.request.post(
        f"{site.url}/api/v1/auth/login",
        data={"email": email, "password": PASSWORD, "cookies": True},
        headers={"origin": site.url},
        max_retries=3,  # Of a connection that the server closes just as it is used again.
    )
    assert answer.ok, answer.text()


def overflow(page: Page) -> int:
    """Pixels by which a page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def violations(page: Page) -> list[str]:
    """What axe finds on a page, or in the dialog that covers it: each rule that is violated, with the first element."""
    is_dialog = page.locator(_DIALOG).count() > 0
    found = _AXE.run(page, _DIALOG if is_dialog else None, _FOR_DIALOGS if is_dialog else _FOR_PAGES)
    broken = [
        f"{row['id']} ({len(row['nodes'])}): {row['nodes'][0]['html'][:200]} {row['nodes'][0]['failureSummary']}"
        for row in found.response["violations"]
    ]
    return [*broken, *page.evaluate(_FAINT_TEXTS, _DIALOG)] if is_dialog else broken


def accessible(page: Page, name: str) -> Locator:
    """The open dialog of this name, in which axe finds nothing in either theme nor with text of twice the size.

    `test_look.py` sees to it that each dialog of the console is looked at in this way.
    """
    dialog = page.get_by_role("dialog", name=name)
    expect(dialog).to_be_visible()
    expect(dialog.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator(_DIALOG)).to_have_count(1)
    found: list[str] = []
    for dark, size in product((False, True), ("100%", "200%")):
        page.evaluate(_LOOKS, [dark, size])
        found += violations(page)
    page.evaluate(_LOOKS, [False, ""])
    assert not found, "\n".join(found)
    return dialog


def below(scope: Page | Locator, label: str) -> Locator:
    """The field of this label with what stands below it."""
    page = scope.page if isinstance(scope, Locator) else scope
    return scope.locator(".q-field", has=page.get_by_label(label, exact=True))
