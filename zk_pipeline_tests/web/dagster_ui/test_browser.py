"""Dagster's UI in a real browser, behind our sign-in: what people use it for works, for each role as far as it may."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request, Response, WebSocket, expect, sync_playwright

from zk_pipeline.identity.actors import Role
from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.tools import missing
from zk_pipeline_tests.web.console.site import ARGUMENTS, CHROMIUM, PASSWORD, environment
from zk_sandbox.demo import demo_mappings_csv
from zk_sandbox.server import SandboxProcess

pytestmark = pytest.mark.timeout(600)

DAY, RANGE = "2025-10-14", "[2025-10-15...2025-10-16]"
FIRST, LAST = "2025-10-01", "2025-10-31"
MONTH = f"[{FIRST}...{LAST}]"
JOBS = "/locations/zk_pipeline/jobs"
TAGS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }"
BACKFILLS = """{ partitionBackfillsOrError(limit: 1) { ... on PartitionBackfills {
  results { id status numPartitions tags { key value } runs { status tags { key value } } } } } }"""

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Everything, with a user of each role."""
    if not CHROMIUM.exists():
        missing(f"There is no browser at {CHROMIUM}. Install it: apt-get install chromium-headless-shell")
    home = tmp_path_factory.mktemp("ui")
    with SandboxProcess("demo") as systems:
        variables = {
            "ZK_ZAMMAD_URL": systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": systems.zammad_token,
            "ZK_KIMAI_URL": systems.kimai_url,
            "ZK_KIMAI_TOKEN": systems.kimai_token,
            "ZK_START_DATE": "2025-10-01",
            "ZK_SCHEDULES": "false",
        }
        with zk_up(home, variables, free_port()) as running:
            running.wait_for("Press Ctrl-C")
            given = environment({**variables, "ZK_HOME": str(home), "ZK_TIMEZONE": "Europe/Berlin"})
            for role in Role:
                command = [Path(sys.executable).with_name("zk"), "users", "create", email(role), "--role", role]
                subprocess.run(command, env=given, input=f"{PASSWORD}\n{PASSWORD}\n", text=True, check=True)
            mappings = home / "mappings.csv"
            mappings.write_text(demo_mappings_csv())
            subprocess.run(
                [Path(sys.executable).with_name("zk"), "mappings", "import", mappings], env=given, text=True, check=True
            )
            yield running


@pytest.fixture(scope="module")
def browser(up: Up) -> Iterator[Browser]:
    assert up.url
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Visitor:
    """Somebody in Dagster's UI: their page, the mutations that it sent, and what went wrong or came by the socket."""

    page: Page
    url: str
    sent: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])
    heard: list[str] = field(default_factory=list[str])

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def listen(self) -> None:
        self.page.on("request", self._note_mutation)
        self.page.on("response", self._note_failure)
        self.page.on("console", lambda said: self._note_refusal(said.text))
        self.page.on("websocket", self._listen_to)

    def forget(self) -> None:
        """Begin with nothing noted."""
        for noted in (self.sent, self.wrong, self.heard):
            noted.clear()

    def run_id(self) -> str:
        """The run whose page is shown."""
        self.page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"), timeout=180_000)
        return self.page.url.rpartition("/runs/")[2][:36]

    def _note_mutation(self, request: Request) -> None:
        asked = json.loads(request.post_data or "{}") if request.url.partition("?")[0].endswith("/graphql") else {}
        if "mutation" in asked.get("query", ""):
            self.sent.append(asked["operationName"])

    def _note_failure(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status} {response.request.method} {response.url}")

    def _note_refusal(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.wrong.append(text)

    def _listen_to(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: self.heard.append(str(frame)))


@pytest.fixture(scope="module")
def windows(browser: Browser, up: Up) -> dict[Role, Visitor]:
    """A window for each role. They are few, since a new one compiles the scripts of Dagster's UI for ten seconds."""
    return {role: _signed_in(browser, up, role) for role in (Role.OPERATOR, Role.VIEWER, Role.ADMIN)}


@pytest.fixture
def visit(windows: dict[Role, Visitor]) -> Iterator[Callable[[Role], Visitor]]:
    """The window of a role, with nothing heard or sent yet."""
    for visitor in windows.values():
        visitor.forget()
    yield lambda role: windows[role]
    for visitor in windows.values():
        visitor.open("/server_info")
    assert [line for visitor in windows.values() for line in visitor.wrong] == []


def _signed_in(browser: Browser, up: Up, role: Role) -> Visitor:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    visitor = Visitor(context.new_page(), up.url)
    visitor.listen()
    page = visitor.open("/runs")
    assert page.url == f"{up.url}/sign-in?next=/runs"
    page.fill("input[name=email]", email(role))
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url(f"{up.url}/runs")
    return visitor


def email(role: Role) -> str:
    return f"{role}@example.com"


def actor_of(up: Up, run_id: str) -> str | None:
    tags = {tag["key"]: tag["value"] for tag in up.ask(TAGS, id=run_id)["runOrError"]["tags"]}
    return tags.get("zk/actor")


def launch(visitor: Visitor, job: str, day: str = "") -> None:
    """Launch a run from the launchpad."""
    page = visitor.open(f"{JOBS}/{job}/playground")
    if day:
        partition = page.get_by_placeholder("Partition")

        def is_taken() -> bool:
            # What is typed before the page has read the partitions is lost.
            partition.fill(day)
            page.keyboard.press("Enter")
            page.wait_for_timeout(500)
            return partition.input_value() == day

        assert wait_until(is_taken, 90)
    button = page.get_by_role("button", name="Launch Run")
    expect(button).to_be_enabled()
    button.click()


def test_operators_launch_a_plan_and_follow_its_log_live(visit: Callable[[Role], Visitor], up: Up) -> None:
    operator = visit(Role.OPERATOR)
    launch(operator, "plan", DAY)
    run_id = operator.run_id()
    expect(operator.page.get_by_text("RUN_SUCCESS").first).to_be_visible()
    expect(operator.page.get_by_text("Materialized value sync reconciliation_results").first).to_be_visible()
    assert [frame for frame in operator.heard if "pipelineRunLogs" in frame and run_id in frame]
    assert (actor_of(up, run_id) or "").startswith("user:")
    operator.page.get_by_role("button", name="Re-execute all").click()
    operator.page.wait_for_url(lambda address: "/runs/" in address and run_id not in address)
    assert actor_of(up, operator.run_id()) == actor_of(up, run_id)
    assert operator.sent == ["LaunchPipelineExecution", "LaunchPipelineReexecution"]


def test_operators_materialize_an_asset(visit: Callable[[Role], Visitor]) -> None:
    operator = visit(Role.OPERATOR)
    page = operator.open("/assets/kimai/directory")
    page.get_by_role("button", name="Materialize").first.click()
    expect(page.get_by_text("Launched run")).to_be_visible()
    assert operator.sent == ["LaunchPipelineExecution"]


def backfill(visitor: Visitor, job: str, days: str) -> None:
    """Launch a backfill of these days from the page of a job."""
    page = visitor.open(f"{JOBS}/{job}")
    page.get_by_role("button", name="Materialize all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Show all partitions").click()
    partitions = dialog.locator("input[type=text]").first
    partitions.fill(days)
    partitions.press("Tab")
    button = dialog.get_by_role("button", name="Launch backfill")
    expect(button).to_be_enabled()
    button.click()
    expect(dialog).not_to_be_visible()
    assert visitor.sent == ["LaunchPartitionBackfill"]


def newest_backfill(up: Up) -> dict[str, Any]:
    (newest,) = up.ask(BACKFILLS)["partitionBackfillsOrError"]["results"]
    return newest


def test_operators_backfill_days(visit: Callable[[Role], Visitor], up: Up) -> None:
    backfill(visit(Role.OPERATOR), "plan", RANGE)
    assert "zk/actor" in {tag["key"] for tag in newest_backfill(up)["tags"]}


def test_a_day_shows_what_was_written_with_links_and_hours_are_plotted(
    visit: Callable[[Role], Visitor], up: Up
) -> None:
    run_id = up.launch("sync", DAY)
    assert wait_until(lambda: up.status(run_id) == "SUCCESS", 120)
    page = visit(Role.OPERATOR).open(f"/assets/sync/kimai_pushes?view=partitions&partition={DAY}")
    for name, link in (("written", "#ticket/zoom/"), ("in_kimai", "/timesheet/")):
        row = page.locator("tr").filter(has=page.get_by_text(name, exact=True))
        row.get_by_text("[Show Markdown]").click()
        table = page.get_by_role("dialog").locator("table")
        expect(table.get_by_text("customer", exact=True)).to_be_visible()
        expect(table.locator(f"a[href*='{link}']").first).to_be_visible()
        page.keyboard.press("Escape")
        expect(table).to_be_hidden()
    page.goto(f"{up.url}/assets/sync/kimai_pushes")
    page.get_by_role("button", name="Plots").click()
    # The day is none of the newest partitions, which are plotted otherwise.
    page.get_by_role("button", name=re.compile(r"\bEvents$")).click()
    for name in ("hours_booked", "hours_in_kimai", "hours_waiting"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_a_month_is_backfilled_by_one_run_and_is_in_kimai(visit: Callable[[Role], Visitor], up: Up) -> None:
    operator = visit(Role.OPERATOR)
    backfill(operator, "sync", MONTH)
    assert newest_backfill(up)["numPartitions"] == 31
    assert wait_until(lambda: newest_backfill(up)["status"] == "COMPLETED_SUCCESS", 300)
    (run,) = newest_backfill(up)["runs"]
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]) == (FIRST, LAST)
    page = operator.open(f"/runs/b/{newest_backfill(up)['id']}")
    expect(page.get_by_text("Completed").first).to_be_visible()
    # Each day of the month shows what is in Kimai, and not only the day on which the run ended.
    for day in (FIRST, LAST):
        page = operator.open(f"/assets/sync/kimai_pushes?view=partitions&partition={day}")
        row = page.locator("tr").filter(has=page.get_by_text("hours_in_kimai", exact=True))
        expect(row).to_be_visible()


def test_systems_and_database_are_documented_and_columns_say_where_they_come_from(
    visit: Callable[[Role], Visitor],
) -> None:
    viewer = visit(Role.VIEWER)
    page = viewer.open("/locations/zk_pipeline/resources")
    for name in ("database", "kimai", "zammad"):
        expect(page.get_by_role("link", name=f"{name} {name}")).to_be_visible()
    page = viewer.open("/locations/zk_pipeline/resources/kimai")
    expect(page.get_by_text("from which the firm bills").first).to_be_visible()
    expect(page.get_by_text("ZK_PUSH_MODE").first).to_be_visible()
    page = viewer.open("/assets/marts/stg_bookings")
    expect(page.get_by_text("zammad/time_accountings").first).to_be_visible()


def test_the_page_of_a_failed_run_says_on_top_why_and_what_to_do(visit: Callable[[Role], Visitor], up: Up) -> None:
    run_id = up.launch("tag_billed", DAY)
    viewer = visit(Role.VIEWER)
    page = viewer.open(f"/runs/{run_id}")
    alert = page.get_by_role("alert").filter(has_text="Nothing was done.")
    expect(alert).to_contain_text("Nothing was done. tag_billed is asked for in the console or with `zk`")
    box = alert.bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"]) == (0, 0, 1400)
    expect(page.get_by_text("RUN_FAILURE").first).to_be_in_viewport()
    page.goto(f"{up.url}/runs")
    expect(page.get_by_text(run_id[:8]).first).to_be_visible()
    expect(alert).to_have_count(0)


def test_operators_are_told_what_is_for_admins(visit: Callable[[Role], Visitor]) -> None:
    operator = visit(Role.OPERATOR)
    launch(operator, "apply_retention")
    alert = operator.page.get_by_text("The job apply_retention is not for operators.")
    expect(alert).to_be_visible()


def test_admins_launch_what_takes_a_request_and_it_does_it(visit: Callable[[Role], Visitor]) -> None:
    admin = visit(Role.ADMIN)
    launch(admin, "apply_retention")
    admin.run_id()
    expect(admin.page.get_by_text("RUN_SUCCESS").first).to_be_visible()


def test_viewers_see_assets_and_runs_and_are_offered_nothing_that_changes_them(
    visit: Callable[[Role], Visitor], up: Up
) -> None:
    run_id = up.launch("plan", DAY)
    viewer = visit(Role.VIEWER)
    page = viewer.open("/assets/sync/reconciliation_results")
    expect(page.get_by_text("for every entry and every time sheet").first).to_be_visible()
    page = viewer.open(f"/runs/{run_id}")
    expect(page.get_by_text("RUN_SUCCESS").first).to_be_visible()
    expect(page.get_by_role("button", name="Re-execute all")).to_be_disabled()
    page = viewer.open("/runs")
    expect(page.get_by_text(run_id[:8]).first).to_be_visible()
    page = viewer.open(f"{JOBS}/plan")
    expect(page.get_by_role("button", name="Materialize all")).to_be_disabled()
    page = viewer.open("/locations/zk_pipeline/sensors/demand")
    expect(page.get_by_role("switch").or_(page.get_by_role("checkbox")).first).to_be_disabled()
    assert viewer.sent == []
