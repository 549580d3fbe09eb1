"""The measure of To do: on the demo's month, from the sign-in to nothing that waits, in counted clicks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.web.console.site import PASSWORD, as_admin, connect_demo, timesheets, written
from zk_sandbox.server import SandboxProcess

ADMIN = "admin@example.com"
FIRST, LAST = "2025-10-01", "2025-10-31"
MOST_CLICKS, MOST_SECONDS = 20, 240
A_RUN = 120_000
"""Milliseconds that a run of the month may take until the console shows its end."""

TO_THE_DEMO = 600


@dataclass
class Hand:
    """A hand on the mouse, which counts."""

    clicks: list[str] = field(default_factory=list[str])

    def click(self, what: Locator) -> None:
        """Click, and remember on what."""
        expect(what).to_be_visible(timeout=A_RUN)
        self.clicks.append(what.inner_text()[:60])
        what.click()


@pytest.fixture(scope="module")
def systems() -> Iterator[SandboxProcess]:
    with SandboxProcess("demo") as running:
        yield running


@pytest.fixture(scope="module")
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


def card(page: Page, title: str) -> Locator:
    return page.locator("article.zk-cause").filter(has_text=title)


@pytest.mark.timeout(900)
def test_twenty_clicks_from_the_sign_in_leave_nothing_of_ninety_one(
    browser: Browser, synced: Up, systems: SandboxProcess
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    page, hand, begun = context.new_page(), Hand(), time.monotonic()
    page.set_default_timeout(60_000)
    pane = page.locator(".zk-pane")
    page.goto(f"{synced.web_url}/")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    hand.click(page.get_by_role("button", name="Sign in"))
    hand.click(page.get_by_role("link", name="To do").first)

    hand.click(card(page, "Hartmann").get_by_role("button", name="Use Kimai's Hartmann Maschinenbau AG"))
    hand.click(card(page, "Project Support").get_by_role("button", name="Extend it to"))
    for title, target in (
        ("Lena Vogt is disabled", "Anna Berger"),
        ("Anfahrt has no Kimai activity", "Vor-Ort"),
    ):
        hand.click(card(page, title).get_by_role("button", name="Map to…"))
        hand.click(pane.get_by_role("button", name=target).first)
        if title.startswith("Lena"):  # Anna is somebody else's user already.
            hand.click(page.get_by_role("button", name="They are one person"))
        expect(pane).to_be_hidden(timeout=A_RUN)
    hand.click(card(page, "Tim Reuter has no Kimai user").get_by_role("button", name="Leave out…"))
    pane.get_by_label("Reason").fill("A trainee is not billed")
    hand.click(pane.get_by_role("button", name="Leave out: "))
    hand.click(card(page, "Correction fits nothing").locator(".zk-open").first)
    hand.click(pane.get_by_role("button", name="Reduce", exact=True))
    # One of the two is the time sheet's, the other was never typed.
    hand.click(card(page, "More than one match").get_by_role("button", name="Review"))
    hand.click(pane.get_by_role("button", name="Link", exact=True))
    expect(pane).not_to_contain_text("follows once this one is decided")
    hand.click(pane.get_by_role("button", name="Create", exact=True))
    expect(pane).to_be_hidden(timeout=A_RUN)
    # What is carried out shows more that was typed by hand: it is linked with the rest, at once.
    expect(page.locator(".zk-under-way")).to_have_count(0, timeout=A_RUN)
    for title in ("Probably a duplicate", "Very similar"):
        hand.click(card(page, title).get_by_role("button", name="Link all "))
        hand.click(pane.get_by_role("button", name="Decide "))
        expect(pane).to_be_hidden(timeout=A_RUN)

    expect(page.locator("#reconcile").get_by_text("Nothing waits for you")).to_be_visible(timeout=A_RUN)
    with as_admin(synced.web_url, ADMIN) as client:
        assert wait_until(lambda: client.get("/conflicts").json()["total"] == 0, 240)
    seconds = time.monotonic() - begun
    context.close()
    assert len(hand.clicks) <= MOST_CLICKS, hand.clicks
    assert seconds <= MOST_SECONDS
    assert wait_until(lambda: len(written(timesheets(systems.kimai_url, systems.kimai_token, FIRST, LAST))) > 270, 240)
