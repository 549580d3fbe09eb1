"""The buttons of To do that change or create something in Kimai: each is clicked, done there, and undone under Runs."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.web.console.site import PASSWORD, as_admin, connect_demo
from zk_sandbox.server import SandboxProcess

ADMIN = "admin@example.com"
BEFORE, AFTER = ("2025-10-01", "2025-10-02"), ("2025-10-06", "2025-10-15")
"""Days that are synced before something is hidden in Kimai, and after it."""

HARTMANN = "Hartmann Maschinenbau AG"
MOST_RUNS = 5
A_RUN = 240
"""Seconds that a run may take."""


@pytest.fixture(scope="module")
def systems() -> Iterator[SandboxProcess]:
    with SandboxProcess("demo") as running:
        yield running


@pytest.fixture(scope="module")
def kimai(systems: SandboxProcess) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {systems.kimai_token}"}
    with httpx.Client(base_url=f"{systems.kimai_url}/api", headers=headers, timeout=60, trust_env=False) as client:
        yield client


def rows_of(kimai: httpx.Client, collection: str, name: str) -> list[dict[str, Any]]:
    """The records of this name in Kimai, also those that are hidden."""
    found = kimai.get(f"/{collection}", params={"visible": "3", "term": name}).raise_for_status().json()
    return [row for row in found if row["name"] == name]


def state_of(kimai: httpx.Client, collection: str, name: str, field: str) -> Any:
    (row,) = rows_of(kimai, collection, name)
    return kimai.get(f"/{collection}/{row['id']}").raise_for_status().json()[field]


def sync(up: Up, first: str, last: str) -> None:
    with as_admin(up.web_url, ADMIN) as client:
        asked = client.post("/sync/requests", json={"first": first, "last": last}).raise_for_status().json()
        until = time.monotonic() + 2 * A_RUN
        while client.get(f"/sync/requests/{asked['id']}").json()["state"] != "done":
            assert time.monotonic() < until, up.output
            time.sleep(1)


HIDDEN = {
    "activities": "Wartung",
    "projects": "Stadtwerke Auental",
    "customers": "Bäckerei Sonnenschein GmbH",
}
"""What is hidden in Kimai after time was booked on it."""


@pytest.fixture(scope="module")
def up(systems: SandboxProcess, kimai: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything as `zk up` runs it, where what waits has each of these obstacles."""
    variables = {"ZK_TIMEZONE": "Europe/Berlin", "ZK_ADMIN_EMAIL": ADMIN, "ZK_ADMIN_PASSWORD": PASSWORD}
    with zk_up(tmp_path_factory.mktemp("mends"), variables, free_port()) as running:
        running.wait_for("Press Ctrl-C")
        with as_admin(running.web_url, ADMIN) as client:
            connect_demo(client, systems)
        sync(running, *BEFORE)
        for collection, name in HIDDEN.items():
            (row,) = rows_of(kimai, collection, name)
            kimai.patch(f"/{collection}/{row['id']}", json={"visible": False}).raise_for_status()
        sync(running, *AFTER)
        yield running


@pytest.fixture
def page(browser: Browser, up: Up) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(60_000)
    answer = context.request.post(
        f"{up.web_url}/api/v1/auth/login",
        data={"email": ADMIN, "password": PASSWORD, "cookies": True},
        headers={"origin": up.web_url},
    )
    assert answer.ok, answer.text()
    page = context.new_page()
    page.goto(f"{up.web_url}/reconcile")
    yield page
    context.close()


def press(page: Page, title: str, button: str) -> None:
    """Click a button of a card, which then leaves the list: nothing of it waits for a person."""
    card = page.locator("article.zk-cause").filter(has_text=title)
    card.get_by_role("button", name=button).click()
    expect(card).to_have_count(0, timeout=1000 * A_RUN)


def take_back(page: Page, up: Up, outcome: str) -> None:
    """Undo the newest run with this outcome."""
    page.goto(f"{up.web_url}/runs")
    row = page.get_by_role("row").filter(has_text=outcome).filter(has=page.get_by_role("button", name="Undo…")).first
    row.get_by_role("button", name="Undo…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Take it back").click()
    done = page.get_by_role("alert").filter(has_text=re.compile("Taken back: [1-9]"))
    expect(done.first).to_be_visible(timeout=1000 * A_RUN)


def becomes(read: Callable[[], Any], value: Any) -> None:
    assert wait_until(lambda: read() == value, A_RUN), f"{read()} instead of {value}"


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("collection", "title"),
    [
        ("activities", "Activity Wartung is hidden in Kimai"),
        ("projects", "Project Stadtwerke Auental is hidden in Kimai"),
        ("customers", "Customer Bäckerei Sonnenschein GmbH is hidden in Kimai"),
    ],
)
def test_what_is_hidden_in_kimai_is_made_visible_with_one_click_and_hidden_again_by_undo(
    page: Page, up: Up, kimai: httpx.Client, collection: str, title: str
) -> None:
    name = HIDDEN[collection]
    assert state_of(kimai, collection, name, "visible") is False
    press(page, title, "Make it visible")
    becomes(lambda: state_of(kimai, collection, name, "visible"), True)
    take_back(page, up, "1 changed in Kimai")
    becomes(lambda: state_of(kimai, collection, name, "visible"), False)


@pytest.mark.timeout(1500)
def test_an_ended_project_is_extended_with_one_click_and_ends_again_by_undo(
    page: Page, up: Up, kimai: httpx.Client
) -> None:
    def end() -> str:
        found = kimai.get("/projects", params={"visible": "3", "term": "Support", "ignoreDates": "1"}).json()
        (row,) = [row for row in found if row["parentTitle"] == "Alte Mühle Verwaltungs-GmbH"]
        return kimai.get(f"/projects/{row['id']}").json()["end"]

    before = end()
    assert before.startswith("2025-08-31")
    press(page, "Project Support (Alte Mühle Verwaltungs-GmbH) ended on", "Extend it to")
    assert wait_until(lambda: end() > before, A_RUN)
    take_back(page, up, "1 changed in Kimai")
    becomes(end, before)


@pytest.mark.timeout(1500)
def test_a_customer_is_created_with_one_click_and_removed_by_undo(page: Page, up: Up, kimai: httpx.Client) -> None:
    def number() -> int:
        return len(rows_of(kimai, "customers", HARTMANN))

    assert number() == 1
    press(page, f"{HARTMANN} has no Kimai customer", "Create in Kimai")
    becomes(number, 2)
    expect(page.locator(".zk-under-way")).to_have_count(0, timeout=1000 * A_RUN)
    for _ in range(MOST_RUNS):  # It goes with the last time sheet on it, and several runs may have written some.
        if number() == 1:
            break
        take_back(page, up, "created")
    assert number() == 1
