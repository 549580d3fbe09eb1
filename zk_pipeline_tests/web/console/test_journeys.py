"""What people do with the console from the first sign-in on, with everything running as `zk up` runs it."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, expect

from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.web.console.site import (
    PASSWORD,
    accessible,
    as_admin,
    connect_demo,
    timesheets,
    watched,
    written,
)
from zk_sandbox.demo import demo_mappings_csv
from zk_sandbox.server import SandboxProcess

ADMIN = "admin@example.com"
FIRST, LAST = "2025-10-01", "2025-10-02"
MANY_FIRST, MANY_LAST = "2025-10-06", "2025-10-10"
MOST_CHANGES = 40
"""More than the bookings of the first days, and fewer than those of the many."""

A_RUN = 180_000
"""Milliseconds that a run may take until the console shows its end."""


@pytest.fixture(scope="module")
def systems() -> Iterator[SandboxProcess]:
    with SandboxProcess("demo") as running:
        yield running


@pytest.fixture(scope="module")
def up(systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything as it is after the installation: an admin, and nothing else."""
    variables = {
        "ZK_TIMEZONE": "Europe/Berlin",
        "ZK_ADMIN_EMAIL": ADMIN,
        "ZK_ADMIN_PASSWORD": PASSWORD,
        "ZK_MAX_CHANGES": str(MOST_CHANGES),
    }
    with zk_up(tmp_path_factory.mktemp("journey"), variables, free_port()) as running:
        running.wait_for("Press Ctrl-C")
        yield running


SYNCED = re.compile(r"The sync is done\.|Not everything was written: Kimai refused 2\.")
"""Kimai refuses two bookings of the demo."""


@pytest.fixture
def page(up: Up, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", reduced_motion="reduce")
    with closing(context), watched(context.new_page(), request.node.name) as page:
        page.set_default_timeout(60_000)
        page.goto(f"{up.web_url}/")
        page.get_by_label("E-mail").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Home")).to_be_visible()
        yield page


def notice(page: Page, part: str | re.Pattern[str]) -> None:
    expect(page.get_by_role("alert").filter(has_text=part).first).to_be_visible(timeout=A_RUN)


def connect(page: Page, kind: str, url: str, token: str) -> None:
    """Add a connector, as the dialog proposes its kind and name, and wait until it was tested."""
    page.get_by_role("button", name="Add a connector").click()
    dialog = page.get_by_role("dialog", name="Add a connector")
    expect(dialog.get_by_label("Name")).to_have_value(kind)
    dialog.get_by_label("Address").fill(url)
    dialog.get_by_label("API token").fill(token)
    dialog.get_by_role("button", name="Save and test").click()
    notice(page, f"{kind} is stored and in use.")


def take_over(page: Page, content: str) -> None:
    """Import the mappings of a CSV file, after a look at what it changes."""
    page.get_by_role("button", name="Import CSV").click()
    dialog = page.get_by_role("dialog", name="Import CSV")
    with page.expect_file_chooser() as choosing:
        dialog.get_by_role("button", name="Choose a file").click()
    choosing.value.set_files({"name": "mappings.csv", "mimeType": "text/csv", "buffer": content.encode()})
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_have_count(0)


def sync(page: Page, first: str, last: str) -> str:
    """Have the plan of these days made and carried out; the address of a run in Dagster."""
    page.get_by_role("button", name="Run sync now").click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    dialog.get_by_label("From").fill(first)
    dialog.get_by_label("To", exact=True).fill(last)
    expect(dialog.get_by_role("button", name="Sync now")).to_be_hidden()
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text("Time sheets created")).to_be_visible(timeout=A_RUN)
    dialog.get_by_role("button", name="Sync now").click()
    notice(page, SYNCED)
    address = dialog.get_by_role("link", name="Open in Dagster").first.get_attribute("href")
    dialog.get_by_role("button", name="Close").click()
    return address or ""


def bring_up_to_date(page: Page) -> str:
    """Have the statement made, from the first look at it until it is shown; the address of the run in Dagster."""
    expect(page.get_by_text("There is no statement yet.")).to_be_visible()
    page.get_by_role("button", name="Bring up to date").click()
    expect(page.get_by_text("The statement is being made.")).to_be_visible()
    address = page.get_by_role("link", name="Open in Dagster").get_attribute("href")
    notice(page, "The statement is up to date.")
    return address or ""


@pytest.mark.timeout(600)
def test_from_the_installation_over_the_first_decision_to_its_place_in_the_audit_trail_and_the_statement(
    page: Page, up: Up, systems: SandboxProcess
) -> None:
    page.get_by_role("link", name="Connect Zammad and Kimai first.").click()
    connect(page, "zammad", systems.zammad_url, systems.zammad_token)
    connect(page, "kimai", systems.kimai_url, systems.kimai_token)
    page.goto(f"{up.web_url}/mappings")
    take_over(page, demo_mappings_csv())
    assert sync(page, FIRST, LAST).startswith(f"{up.url}/runs/")

    page.goto(f"{up.web_url}/reconcile")
    page.locator(".zk-cause .zk-open").first.click()
    page.locator(".zk-dense .zk-open").first.click()
    why = page.locator(".zk-pane").get_by_label("Reason")
    leave = page.locator(".zk-pane").get_by_role("button", name="Leave out: ")
    expect(leave).to_be_visible()
    if why.count():
        why.fill("Goodwill")
    leave.click()
    expect(page.locator(".zk-snack")).to_be_visible()

    page.goto(f"{up.web_url}/audit")
    decided = page.get_by_role("row").filter(has_text="Conflict decided").first
    expect(decided).to_contain_text(ADMIN)
    decided.get_by_role("button").click()
    expect(page.get_by_role("dialog").get_by_text("Leave out", exact=True)).to_be_visible()

    page.goto(f"{up.web_url}/statement")
    assert bring_up_to_date(page).startswith(f"{up.url}/runs/")
    expect(page.get_by_role("combobox", name="Month")).to_have_value("October 2025")
    expect(page.locator(".zk-equation")).to_contain_text("booked in Zammad =")
    expect(page.get_by_role("button", name="Bring up to date")).to_have_count(0)


@pytest.fixture
def prepared(up: Up, systems: SandboxProcess) -> None:
    """Connectors and mappings, whether or not another test has set them up."""
    with as_admin(up.web_url, ADMIN) as client:
        connect_demo(client, systems)


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("prepared")
def test_an_admin_lets_a_run_pass_the_limits_and_takes_it_back(page: Page, up: Up, systems: SandboxProcess) -> None:
    def in_kimai() -> set[str]:
        return written(timesheets(systems.kimai_url, systems.kimai_token, MANY_FIRST, MANY_LAST))

    page.get_by_role("button", name="Run sync now").click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    dialog.get_by_label("From").fill(MANY_FIRST)
    dialog.get_by_label("To", exact=True).fill(MANY_LAST)
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text(f"more than ZK_MAX_CHANGES={MOST_CHANGES}.")).to_be_visible(timeout=A_RUN)
    assert in_kimai() == set()
    dialog.get_by_role("button", name="Override the limits").click()
    notice(page, SYNCED)
    assert len(in_kimai()) > MOST_CHANGES
    dialog.get_by_role("button", name="Close").click()

    page.goto(f"{up.web_url}/runs")
    page.get_by_role("button", name="Undo…").first.click()
    undo = accessible(page, "Undo of the run of")
    expect(undo.get_by_text("Delete in Kimai").first).to_be_visible()
    undo.get_by_role("button", name="Take it back").click()
    notice(page, "Taken back:")
    assert in_kimai() == set()
    page.goto(f"{up.web_url}/audit")
    for searched, event in (("limits.", "Limits overridden"), ("undo.", "Undo requested")):
        page.get_by_role("textbox", name="Search").fill(searched)
        expect(page.get_by_role("row").filter(has_text=event).first).to_contain_text(ADMIN)


def test_a_schedule_is_changed_and_takes_effect(page: Page, up: Up) -> None:
    page.goto(f"{up.web_url}/schedule")
    page.get_by_role("combobox", name="Preset").first.click()
    page.get_by_role("option", name="Every hour").click()
    page.get_by_role("button", name="Save").first.click()
    notice(page, "The schedule is in effect.")
