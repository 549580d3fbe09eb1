"""What people do with the console from the first sign-in on, with everything running as `zk up` runs it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from zk_pipeline.sandbox.demo import demo_mappings_csv
from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline_tests.commands.test_up import Up, free_port, zk_up
from zk_pipeline_tests.web.console.site import PASSWORD, SCREENSHOTS, zk

ADMIN = "admin@example.com"
FIRST, LAST = "2025-10-01", "2025-10-02"
A_RUN = 90_000
"""Milliseconds that a run may take until the console shows its end."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, with an admin and nothing synced."""
    home = tmp_path_factory.mktemp("journey")
    mappings = home / "mappings.csv"
    mappings.write_text(demo_mappings_csv(), encoding="utf-8")
    with SandboxProcess("demo") as systems:
        variables = {
            "ZK_ZAMMAD_URL": systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": systems.zammad_token,
            "ZK_KIMAI_URL": systems.kimai_url,
            "ZK_KIMAI_TOKEN": systems.kimai_token,
            "ZK_TIMEZONE": "Europe/Berlin",
            "ZK_ADMIN_EMAIL": ADMIN,
            "ZK_ADMIN_PASSWORD": PASSWORD,
        }
        with zk_up(home, variables, free_port()) as running:
            running.wait_for("Press Ctrl-C")
            zk(home, variables, "mappings", "import", str(mappings))
            yield running


@pytest.fixture
def page(up: Up, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(f"{up.web_url}/")
    page.get_by_label("E-mail").fill(ADMIN)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    yield page
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{request.node.name}.png")
    context.close()


def notice(page: Page, part: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=part).first).to_be_visible(timeout=A_RUN)


def test_days_are_planned_carried_out_and_what_is_left_is_decided_and_audited(page: Page, up: Up) -> None:
    page.get_by_role("button", name="Run sync now").click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    dialog.get_by_label("From").fill(FIRST)
    dialog.get_by_label("To", exact=True).fill(LAST)
    expect(dialog.get_by_role("button", name="Carry it out")).to_be_disabled()
    dialog.get_by_role("button", name="Make the plan").click()
    expect(dialog.get_by_text("Time sheets created")).to_be_visible(timeout=A_RUN)
    dialog.get_by_role("button", name="Carry it out").click()
    notice(page, "The sync is done.")
    address = dialog.get_by_role("link", name="Open in Dagster").first.get_attribute("href")
    assert address is not None
    assert address.startswith(f"{up.url}/runs/")
    dialog.get_by_role("button", name="Close").click()

    page.goto(f"{up.web_url}/reconcile")
    page.locator(".zk-open").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Ignore").click()
    notice(page, "Ignore: decided.")

    page.goto(f"{up.web_url}/audit")
    decided = page.get_by_role("row").filter(has_text="Conflict decided").first
    expect(decided).to_contain_text(ADMIN)
    decided.get_by_role("button").click()
    expect(page.get_by_role("dialog").get_by_text("ignore")).to_be_visible()


def test_a_schedule_is_changed_and_takes_effect(page: Page) -> None:
    page.get_by_role("button", name="Schedule").click()
    dialog = page.get_by_role("dialog", name="Schedule")
    dialog.get_by_role("combobox", name="Preset").first.click()
    page.get_by_role("option", name="Every hour").click()
    dialog.get_by_role("button", name="Save").first.click()
    notice(page, "The schedule is in effect.")
