"""The operator's month: from the sign-in to nothing that waits, and on to the closed month, in counted clicks."""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from zk_pipeline.languages import Language
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.web import sign_in
from zk_pipeline.web.console.words import Words
from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.tools import slowness
from zk_pipeline_tests.web.console.site import PASSWORD, as_admin, connect_demo, timesheets, written
from zk_sandbox.server import SandboxProcess

ADMIN = "admin@example.com"
FIRST, LAST = "2025-10-01", "2025-10-31"
HARTMANN = "Hartmann Maschinenbau AG"
MOST_CLICKS, MOST_SECONDS, MOST_CLICKS_TO_CLOSE = 20, 240, 8
WALKS = os.environ.get("ZK_TEST_WALKS", "en-GB/1440").split()
"""Languages and widths, and whether by the keyboard alone. Each walk takes an installation of its own, for which
`make test` has time once; `make walks` takes all four."""

PLACES, ANYTHING = ("name", "day", "ended", "hours", "number", "choice"), "ANYTHING"
A_RUN = 120_000
"""Milliseconds that a run of the month may take until the console shows its end."""

TO_THE_DEMO = 600
MOST_TABS = 150
"""Forwards or backwards, whichever is shorter."""
WHERE = """one => {
    const at = document.activeElement;
    if (one.contains(at)) return "here";
    const isBefore = at !== document.body && at.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_PRECEDING;
    return isBefore ? "before" : "after";
}"""
"""Where something is, from what has the focus."""


@dataclass
class Hand:
    """A hand on the mouse, which counts."""

    page: Page
    words: Words
    clicks: list[str] = field(default_factory=list[str])

    def said(self, key: str, **values: object) -> re.Pattern[str]:
        """What finds a text of the console, whatever stands in the places for which no value is given."""
        template = self.words(key, **(dict.fromkeys(PLACES, ANYTHING) | values))
        return re.compile(re.escape(template).replace(ANYTHING, ".*"))

    def card(self, key: str, **values: object) -> Locator:
        """The card of a cause."""
        return self.page.locator("article.zk-cause").filter(has_text=self.said(key, **values))

    def go(self, key: str) -> None:
        """Follow the link of a section. On a phone it is behind the menu, whose click is not counted."""
        menu = self.page.locator(".zk-menu-button")
        expect(self.page.locator(".zk-menu-button:visible, .zk-nav a:visible").first).to_be_visible()
        if menu.is_visible():
            self.press(menu)
        self.click(self.page.locator(".zk-nav").get_by_role("link", name=self.words(key)))

    def click(self, what: Locator) -> None:
        """Click, and remember on what."""
        expect(what).to_be_visible(timeout=A_RUN)
        self.clicks.append(what.inner_text()[:60])
        self.press(what)

    def press(self, what: Locator) -> None:
        what.click()

    def fill(self, field: Locator, text: str) -> None:
        field.fill(text)


class Keys(Hand):
    """Two hands on the keyboard, which reach everything by the tab key, forwards and backwards."""

    def press(self, what: Locator) -> None:
        self._reach(what)
        self.page.keyboard.press("Enter")

    def fill(self, field: Locator, text: str) -> None:
        self._reach(field)
        self.page.keyboard.type(text)

    def _reach(self, what: Locator) -> None:
        expect(what).to_be_visible(timeout=A_RUN)
        for _ in range(MOST_TABS):
            match what.evaluate(WHERE):
                case "here":
                    return
                case "before":
                    self.page.keyboard.press("Shift+Tab")
                case _:
                    self.page.keyboard.press("Tab")
        pytest.fail(f"{MOST_TABS} times the tab key do not lead to {what}.")


@pytest.fixture
def systems() -> Iterator[SandboxProcess]:
    with SandboxProcess("demo") as running:
        yield running


@pytest.fixture
def synced(systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything as `zk up` runs it, after the demo's month was synced once."""
    variables = {"ZK_TIMEZONE": "Europe/Berlin", "ZK_ADMIN_EMAIL": ADMIN, "ZK_ADMIN_PASSWORD": PASSWORD}
    variables["ZK_MAX_CHANGES"] = "1000"
    with zk_up(tmp_path_factory.mktemp("clicks"), variables, free_port()) as running:
        running.wait_for("Press Ctrl-C")
        with as_admin(running.web_url, ADMIN) as client:
            connect_demo(client, systems)
            asked = client.post("/sync/requests", json={"first": FIRST, "last": LAST})
            asked.raise_for_status()
            until = time.monotonic() + TO_THE_DEMO
            while client.get(f"/sync/requests/{asked.json()['id']}").json()["state"] != "done":
                assert time.monotonic() < until, running.output
                time.sleep(1)
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("walk", WALKS)
def test_twenty_clicks_from_the_sign_in_leave_nothing_of_ninety_one_and_eight_close_the_month(
    browser: Browser, synced: Up, systems: SandboxProcess, walk: str
) -> None:
    locale, width, *keys = walk.split("/")
    context = browser.new_context(viewport={"width": int(width), "height": 900}, locale=locale)
    page = context.new_page()
    page.set_default_timeout(60_000)
    hand = (Keys if keys else Hand)(page, Words(Language(locale[:2]), ZoneInfo("Europe/Berlin")))
    began = time.monotonic()
    enter(hand, synced.web_url)
    decide_everything(hand)
    with as_admin(synced.web_url, ADMIN) as client:
        for status in ("open", "decided"):  # What is decided is carried out before the month is brought up to date.
            none_left = {"resolution_status": status}
            assert wait_until(lambda of=none_left: client.get("/conflicts", params=of).json()["total"] == 0, 240)
    assert time.monotonic() - began <= MOST_SECONDS * slowness()
    assert len(hand.clicks) <= MOST_CLICKS, hand.clicks
    assert wait_until(lambda: len(written(timesheets(systems.kimai_url, systems.kimai_token, FIRST, LAST))) > 270, 240)

    before = len(hand.clicks)
    close_the_month(hand)
    assert len(hand.clicks) - before <= MOST_CLICKS_TO_CLOSE, hand.clicks[before:]
    with as_admin(synced.web_url, ADMIN) as client:
        (period,) = client.get("/periods").json()["items"]
    assert (period["month"], period["closed"]) == (FIRST[:7], True)
    context.close()


def enter(hand: Hand, url: str) -> None:
    """Sign in as somebody who was sent the address."""
    texts = {name: texts[tuple(Language).index(hand.words.language)] for name, texts in sign_in.WORDS.items()}
    hand.page.goto(f"{url}/")
    hand.fill(hand.page.get_by_label(texts["email"]), ADMIN)
    hand.fill(hand.page.get_by_label(texts["password"]), PASSWORD)
    hand.click(hand.page.get_by_role("button", name=texts["submit"]))


def decide_everything(hand: Hand) -> None:
    """From Home to a list in which no booking waits."""
    pane = hand.page.locator(".zk-pane")
    hand.go("reconcile.title")

    hand.click(hand.card("cause.unmapped_customer", name=HARTMANN).get_by_role("button", name=hand.said("todo.use")))
    ended = hand.card("cause.project_ended")
    hand.click(ended.get_by_role("button", name=hand.said("todo.mend.extend_project")))
    for cause, name, target in (
        ("cause.user_disabled", "Lena Vogt", "Anna Berger"),
        ("cause.unmapped_activity", "Anfahrt", "Vor-Ort"),
    ):
        hand.click(hand.card(cause, name=name).get_by_role("button", name=hand.said("todo.map")))
        hand.click(pane.get_by_role("button", name=target).first)
        if name.startswith("Lena"):  # Anna is somebody else's user already.
            hand.click(hand.page.get_by_role("button", name=hand.said("mappings.shared.confirm")))
        expect(pane).to_be_hidden(timeout=A_RUN)
    trainee = hand.card("cause.unmapped_user", name="Tim Reuter")
    hand.click(trainee.get_by_role("button", name=hand.said("todo.leave_out.many")))
    hand.fill(pane.get_by_label(hand.said("left_out.why")), "A trainee is not billed")
    hand.click(pane.get_by_role("button", name=hand.said("todo.leave_out")))
    hand.click(hand.card("reason.unmatched_correction").locator(".zk-open").first)
    hand.click(pane.get_by_role("button", name=hand.words("choice.reduce"), exact=True))
    # One of the two is the time sheet's, the other was never typed.
    hand.click(hand.card("reason.ambiguous").get_by_role("button", name=hand.said("todo.review")))
    hand.click(pane.get_by_role("button", name=hand.words("choice.link"), exact=True))
    expect(pane).not_to_contain_text(hand.said("detail.following.one"))
    hand.click(pane.get_by_role("button", name=hand.words("choice.create"), exact=True))
    expect(pane).to_be_hidden(timeout=A_RUN)
    # What is carried out shows more that was typed by hand: it is linked with the rest, at once.
    expect(hand.page.locator(".zk-under-way")).to_have_count(0, timeout=A_RUN)
    for cause in ("reason.duplicate", "reason.fuzzy_candidate"):
        all_of_it = hand.said("todo.all", choice=hand.words("choice.link"))
        hand.click(hand.card(cause).get_by_role("button", name=all_of_it))
        hand.click(pane.get_by_role("button", name=hand.said("bulk.apply")))
        expect(pane).to_be_hidden(timeout=A_RUN)
    todo = hand.page.locator("#reconcile")
    expect(todo.get_by_text(hand.words("todo.none.bookings"))).to_be_visible(timeout=A_RUN)
    # A question about money is no booking that waits: it stands beside, and is answered in Month.
    expect(todo.get_by_role("link", name=hand.words("todo.money.open"))).to_be_visible()


def close_the_month(hand: Hand) -> None:
    """From a list in which no booking waits to a closed month."""
    page, words, month = hand.page, hand.words, date.fromisoformat(FIRST)
    hand.go("statement.title")
    hand.click(page.get_by_role("button", name=words("statement.refresh")))
    hand.click(page.get_by_role("button", name=hand.said("month.review.all")))
    hand.click(page.get_by_role("button", name=words("month.close.open", month=words.month(month))))
    dialog = page.get_by_role("dialog", name=words("month.close.title", month=words.month(month)))
    expect(dialog.get_by_text(words("month.close.nothing"))).to_be_visible(timeout=A_RUN)
    name = words.month(month)
    hand.fill(dialog.get_by_label(words("month.close.type", name=name)), name)
    hand.click(dialog.get_by_role("button", name=words("month.close"), exact=True))
    expect(page.get_by_role("button", name=words("month.reopen.open"))).to_be_visible(timeout=A_RUN)
