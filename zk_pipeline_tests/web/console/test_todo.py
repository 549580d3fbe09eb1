"""To do on the demo's month: a card for each cause, its fixes, deciding about many, leaving out, and the keys."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from socket import create_server

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, instance_for_test
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from zk_pipeline.identity.actors import Role
from zk_pipeline.runtime.run_tags import CHANGE, range_tags
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import day_requests
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline.web.console.reconcile.detail import UNDO_SECONDS
from zk_pipeline_tests.web.console.site import PHONE, Site, accessible, overflow, sign_in, standing, violations, window
from zk_sandbox.server import SandboxProcess, ServerThread

HARTMANN = "Hartmann Maschinenbau AG has no Kimai customer"
TIM = "Tim Reuter has no Kimai user"
UNMAP = """
    DELETE FROM sync.customer_mappings WHERE organization_id IN (
        SELECT id FROM zammad.organizations WHERE name = 'Hartmann Maschinenbau AG')
"""
WAITING = "SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'open'"


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demo's month on systems of its own, since the tests decide about all of it."""
    with (
        SandboxProcess("demo") as systems,
        standing(tmp_path_factory.mktemp("todo"), systems, [("2025-10-01", "2025-10-31")]) as site,
    ):
        yield site


@pytest.fixture
def page(browser: Browser, month: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    width, locale = getattr(request, "param", (1280, "en-GB"))
    with window(browser, month, width=width, locale=locale, name=request.node.name) as visitor:
        sign_in(visitor, month.email(Role.OPERATOR))
        yield visitor.open("/reconcile")


def card(page: Page, title: str) -> Locator:
    return page.locator("article.zk-cause").filter(has_text=title)


def pane(page: Page) -> Locator:
    return page.locator(".zk-pane")


def box_of(one: Locator) -> FloatRect:
    found = one.bounding_box()
    assert found is not None
    return found


def notice(page: Page, part: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=part).first).to_be_visible()


def test_each_cause_is_a_card_with_number_hours_and_fixes_most_hours_first(page: Page):
    names = page.locator(".zk-cause-name")
    expect(names.first).to_have_text(HARTMANN)
    expected = [HARTMANN, TIM, "Project Support (Alte Mühle Verwaltungs-GmbH) ended on 31 Aug 2025"]
    assert [name.strip() for name in names.all_inner_texts()][:3] == expected
    expect(card(page, HARTMANN)).to_contain_text("40 bookings · 37\u202fh\u202f06")
    expect(card(page, HARTMANN).get_by_role("button", name="Use Kimai's Hartmann Maschinenbau AG")).to_be_visible()
    disabled = card(page, "Lena Vogt is disabled in Kimai")
    there = disabled.get_by_role("link", name="Open in Kimai").get_attribute("href") or ""
    assert there.endswith("/en/profile/lena.vogt/edit")
    expect(disabled.get_by_role("button", name="Map to…")).to_be_visible()
    expect(card(page, "Project Support").get_by_role("button", name="Extend it to")).to_be_visible()


@pytest.mark.parametrize("page", [(PHONE, "en-GB"), (1440, "de-DE"), (1024, "fr-FR")], indirect=True)
def test_cards_rows_and_pane_fit_and_are_named_and_readable(page: Page):
    page.locator(".zk-cause .zk-open").nth(1).click()
    rows = page.locator(".zk-dense tbody tr")
    expect(rows).to_have_count(20)
    if page.viewport_size and page.viewport_size["width"] > PHONE:
        assert {round(box_of(row)["height"]) for row in rows.all()[:5]} <= {36, 37}
    rows.locator(".zk-open").first.click()
    expect(pane(page).locator(".zk-choice")).to_have_count(1)
    assert violations(page) == []
    assert overflow(page) <= 0
    pane(page).locator("[data-zk-close]").click()
    expect(pane(page)).to_be_hidden()


def test_the_pane_says_who_is_billed_and_only_what_differs_is_in_sight(page: Page, month: Site):
    number = month.value("SELECT id FROM sync.conflicts WHERE reason = 'fuzzy_candidate' ORDER BY id LIMIT 1")
    page.goto(f"{month.url}/reconcile?conflict={number}")
    expect(pane(page)).to_contain_text("Billed to")
    table = pane(page).get_by_role("table", name="Both sides, field by field")
    expect(table).to_be_visible()
    first_button = pane(page).get_by_role("button", name="Link", exact=True)
    assert box_of(first_button)["y"] < box_of(table)["y"], "actions come first"
    expect(pane(page).locator("summary", has_text="The rest is the same")).to_be_visible()
    assert pane(page).get_by_role("table", name="The rest is the same").is_hidden()


def test_keys_move_open_select_and_close(page: Page):
    expect(page.locator(".zk-cause-name").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".zk-cause .zk-open").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator(".zk-cause .zk-open").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".zk-dense tbody tr")).to_have_count(20)
    expect(page.locator(".zk-cause .zk-open").nth(1)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("Enter")
    expect(pane(page)).to_be_visible()
    expect(pane(page).locator(".zk-pane-title")).to_be_focused()
    page.keyboard.press("Tab")
    page.evaluate("zkConsole.toPane(document.querySelector('.zk-pane-title'))")  # Somebody was faster than the page.
    expect(pane(page).locator("[data-zk-close]")).to_be_focused()
    page.keyboard.press("Escape")
    expect(pane(page)).to_be_hidden()
    page.keyboard.press("?")
    accessible(page, "Keys")


def test_up_to_an_hour_is_left_out_at_once_brought_back_in_ten_seconds_or_from_the_list(page: Page, month: Site):
    before = month.value(WAITING)
    number = month.value(
        "SELECT c.id FROM sync.conflicts c JOIN sync.normalized_entries e USING (source_id)"
        " WHERE c.reason = 'unmapped_user' AND e.time_minutes = 45 ORDER BY c.id LIMIT 1"
    )
    page.goto(f"{month.url}/reconcile?conflict={number}")
    leave = pane(page).get_by_role("button", name="Leave out: 45\u202fmin will not be billed")
    assert "zk-primary" not in (leave.get_attribute("class") or ""), "it is never the default"
    leave.click()
    expect(page.locator(".zk-snack")).to_contain_text("Left out: 45\u202fmin will not be billed.")
    assert month.value(WAITING) == before - 1
    page.locator(".zk-snack").get_by_role("button", name="Undo").click()
    notice(page, "It waits again.")
    assert month.value(WAITING) == before

    page.goto(f"{month.url}/reconcile?conflict={month.value(f'SELECT max(id) FROM ({WAITING_IDS}) ids')}")
    pane(page).get_by_role("button", name="Leave out: 45\u202fmin").click()
    expect(page.locator(".zk-snack")).to_be_visible()
    page.get_by_role("button", name="Left out", exact=True).click()
    row = page.get_by_role("table", name="Left out").get_by_role("row").nth(1)
    expect(row).to_contain_text("Operator")
    row.get_by_role("button", name="Bring back").click()
    notice(page, "are back among what waits.")
    assert month.value(WAITING) == before


WAITING_IDS = (
    "SELECT c.id FROM sync.conflicts c JOIN sync.normalized_entries e USING (source_id)"
    " WHERE c.resolution_status = 'open' AND c.reason = 'unmapped_user' AND e.time_minutes = 45"
)


def test_after_ten_seconds_undo_is_gone_and_what_was_left_out_is_still_brought_back(page: Page, month: Site):
    before = month.value(WAITING)
    page.goto(f"{month.url}/reconcile?conflict={month.value(f'SELECT max(id) FROM ({WAITING_IDS}) ids')}")
    pane(page).get_by_role("button", name="Leave out: 45\u202fmin").click()
    snack = page.locator(".zk-snack")
    expect(snack.get_by_role("button", name="Undo")).to_be_visible()
    began = time.monotonic()
    expect(snack).to_have_count(0)
    assert time.monotonic() - began > UNDO_SECONDS - 2
    assert month.value(WAITING) == before - 1
    page.get_by_role("button", name="Left out", exact=True).click()
    page.get_by_role("table", name="Left out").get_by_role("button", name="Bring back").first.click()
    notice(page, "are back among what waits.")
    assert month.value(WAITING) == before


def test_a_dagster_that_takes_too_long_is_no_failure_but_what_to_look_at(
    browser: Browser, demo_systems: SandboxProcess, tmp_path: Path
):
    """What hears the request and does not answer in time may have started the run all the same."""
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with (
            standing(tmp_path, demo_systems, [("2025-10-02", "2025-10-02")], ZK_DAGSTER_ADDRESS=address) as site,
            window(browser, site, name="slow Dagster") as visitor,
        ):
            sign_in(visitor, site.email(Role.OPERATOR))
            page = visitor.open("/reconcile")
            card(page, "Project Support").get_by_role("button", name="Extend it to").click()
            notice(page, "What it was asked for may have started: look at Runs before you ask again.")
            assert "does not answer" not in page.get_by_role("alert").first.inner_text()


SLOW_LINE = """
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  if (window.held) window.held.push(() => send.call(this, data));
  else send.call(this, data);
};
"""
"""While `held` is a list, what the page sends waits in it, as on a slow line."""


def test_a_click_on_what_is_drawn_again_meanwhile_still_counts(browser: Browser, month: Site):
    with (
        window(browser, month, name="slow line", own=True) as slow,
        window(browser, month, name="colleague") as colleague,
    ):
        for visitor in (slow, colleague):
            sign_in(visitor, month.email(Role.OPERATOR))
        slow.page.add_init_script(SLOW_LINE)
        page = slow.open("/reconcile")
        expect(card(page, TIM)).to_contain_text("20 bookings")
        page.evaluate("window.held = []")
        card(page, TIM).get_by_role("button", name="Map to…").click()
        number = month.value(f"SELECT max(id) FROM ({WAITING_IDS}) ids")
        other = colleague.open(f"/reconcile?conflict={number}")
        pane(other).get_by_role("button", name="Leave out: 45\u202fmin").click()
        expect(card(page, TIM)).to_contain_text("19 bookings")
        expect(pane(page)).to_be_hidden()
        page.evaluate("window.held.forEach((each) => each()); window.held = null")
        expect(pane(page).get_by_role("button", name="Anna Berger")).to_be_visible()
        other.locator(".zk-snack").get_by_role("button", name="Undo").click()
        notice(other, "It waits again.")


def test_what_has_the_focus_keeps_it_when_it_is_drawn_again(browser: Browser, month: Site):
    """Otherwise whoever uses the keyboard begins at the top whenever a colleague or a run changes something."""
    with window(browser, month, name="keyboard") as mine, window(browser, month, name="colleague") as colleague:
        for visitor in (mine, colleague):
            sign_in(visitor, month.email(Role.OPERATOR))
        page = mine.open("/reconcile")
        expect(card(page, TIM)).to_contain_text("20 bookings")
        card(page, TIM).get_by_role("button", name="Map to…").focus()
        number = month.value(f"SELECT max(id) FROM ({WAITING_IDS}) ids")
        other = colleague.open(f"/reconcile?conflict={number}")
        pane(other).get_by_role("button", name="Leave out: 45\u202fmin").click()
        expect(card(page, TIM)).to_contain_text("19 bookings")
        expect(card(page, TIM).get_by_role("button", name="Map to…")).to_be_focused()
        other.locator(".zk-snack").get_by_role("button", name="Undo").click()
        notice(other, "It waits again.")


def test_more_than_an_hour_asks_why_and_the_reason_is_kept(page: Page, month: Site):
    card(page, TIM).locator(".zk-open").first.click()
    page.get_by_role("checkbox", name="Select all 20").click()
    expect(page.get_by_text("20 selected")).to_be_visible()
    page.locator(".zk-bulk").get_by_role("button", name="Leave out…").click()
    leave = pane(page).get_by_role("button", name="Leave out: 24\u202fh\u202f43 will not be billed")
    leave.click()
    expect(pane(page).get_by_text("Say why.")).to_be_visible()
    assert month.value(f"{WAITING} AND reason = 'unmapped_user'") == 20
    pane(page).get_by_label("Reason").fill("A trainee is not billed")
    leave.click()
    expect(page.locator(".zk-snack")).to_contain_text("24\u202fh\u202f43")
    reasons = "SELECT count(*) FROM sync.conflicts WHERE decision_why = 'A trainee is not billed'"
    assert month.value(reasons) == 20
    page.locator(".zk-snack").get_by_role("button", name="Undo").click()
    notice(page, "It waits again.")


def test_home_has_the_fixes_of_its_causes_and_a_way_to_each_card(page: Page, month: Site):
    page.goto(f"{month.url}/dashboard")
    row = page.locator(".zk-list-row").filter(has_text=HARTMANN)
    expect(row.get_by_role("button")).to_have_text("Use Kimai's Hartmann Maschinenbau AG")
    project = page.locator(".zk-list-row").filter(has_text="Project Support")
    expect(project.get_by_role("button", name="Extend it to")).to_be_visible()
    row.get_by_role("link", name=HARTMANN).click()
    opened = card(page, HARTMANN).get_by_role("button", name=HARTMANN, exact=True)
    expect(opened).to_have_attribute("aria-expanded", "true")
    page.goto(f"{month.url}/dashboard")
    review = page.locator(".zk-list-row").filter(has_text=TIM).get_by_role("link", name="Review")
    review.click()
    expect(card(page, TIM).get_by_role("table")).to_be_visible()
    page.goto(f"{month.url}/dashboard")
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    assert month.value("SELECT count(*) FROM sync.customer_mappings WHERE kimai_customer_id IS NOT NULL") > 0
    # As before, for the tests that follow.
    with month.database.transaction() as connection:
        connection.exec_driver_sql(UNMAP)
        connection.exec_driver_sql("DELETE FROM sync.day_requests WHERE claimed_by_run IS NULL")


def test_a_customer_is_taken_with_one_click_and_what_waited_leaves_the_list(page: Page, month: Site):
    card(page, HARTMANN).get_by_role("button", name="Use Kimai's Hartmann Maschinenbau AG").click()
    expect(card(page, HARTMANN)).to_have_count(0)
    progress = page.locator(".zk-under-way")
    expect(progress).to_contain_text("40 bookings need nothing more from you")
    month.sync("2025-10-01", "2025-10-15")
    expect(progress).to_contain_text(re.compile(r"\d+ of 40 are carried out\."))
    page.reload()  # It counts what the mapping was for, not what was seen of it since the page was opened.
    expect(progress).to_contain_text(re.compile(r"[1-9]\d* of 40 are carried out\."))
    month.sync("2025-10-16", "2025-10-31")
    assert month.value(f"{WAITING} AND reason = 'unmapped_customer'") == 0
    expect(progress).to_have_count(0)


def test_a_type_is_mapped_by_choosing_in_the_pane(page: Page, month: Site):
    card(page, "Anfahrt has no Kimai activity").get_by_role("button", name="Map to…").click()
    pane(page).get_by_label("Search").fill("Vor-Ort")
    pane(page).get_by_role("button", name="Vor-Ort").click()
    expect(card(page, "Anfahrt has no Kimai activity")).to_have_count(0)
    month.sync("2025-10-01", "2025-10-31")
    assert month.value(f"{WAITING} AND reason = 'unmapped_activity'") == 0


def test_all_of_a_cause_are_decided_after_a_preview_of_what_is_written(page: Page, month: Site):
    before = month.value(WAITING)
    number = month.value(f"{WAITING} AND reason = 'duplicate'")
    card(page, "Probably a duplicate").get_by_role("button", name=f"Link all {number}…").click()
    expect(pane(page)).to_contain_text("Time sheets linked")
    assert month.value(WAITING) == before
    pane(page).get_by_role("button", name=f"Decide {number}").click()
    notice(page, f"Decided: {number}.")
    expect(card(page, "Probably a duplicate")).to_have_count(0)
    expect(page.locator(".zk-under-way")).to_contain_text("Decided by Operator.")
    assert month.value(WAITING) == before - number
    day = str(month.value("SELECT min(entry_date) FROM sync.conflicts WHERE resolution_status = 'decided'"))
    month.sync(day, day)
    left = month.value("SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'decided'")
    assert 0 < left < number
    page.reload()  # It counts the decision, not what was seen of it since the page was opened.
    expect(page.locator(".zk-under-way")).to_contain_text(f"{number - left} of {number} are carried out.")
    page.set_viewport_size({"width": PHONE, "height": 900})
    page.reload()
    expect(page.locator(".zk-under-way")).to_be_visible()
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    assert overflow(page) <= 0, "What is under way is broken into lines, whatever the size of text."


def test_trying_again_asks_for_the_days(page: Page, month: Site):
    days = "SELECT count(DISTINCT day) FROM sync.day_requests WHERE claimed_by_run IS NULL AND reason = 'person'"
    before = month.value(days)
    card(page, "Lena Vogt is disabled in Kimai").get_by_role("button", name="Try all again").click()
    notice(page, "are queued")
    assert month.value(days) > before


def test_what_waits_for_approval_is_a_card_that_leads_to_approving_it(
    browser: Browser, demo_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
):
    home, day = tmp_path_factory.mktemp("approving"), "2025-10-07"
    with (
        standing(home, demo_systems, [(day, day)], ZK_PUSH_MODE="review") as site,
        window(browser, site, name="approval card") as visitor,
    ):
        sign_in(visitor, site.email(Role.OPERATOR))
        page = visitor.open("/reconcile")
        expect(card(page, "Waits for approval")).to_contain_text("7 Oct 2025")
        card(page, "Waits for approval").get_by_role("button", name="Read and approve…").click()
        dialog = page.get_by_role("dialog", name="Run sync now")
        dialog.get_by_role("button", name="Approve all").click()
        notice(page, "Approved:")
        dialog.get_by_role("button", name="Close").click()
        expect(card(page, "Waits for approval")).to_have_count(0)


@contextmanager
def dagster() -> Iterator[tuple[str, DagsterInstance]]:
    """Dagster's web server over a queue that nobody works on: its address, and what it shows."""
    # They take two seconds in each process that collects tests.
    from dagster._core.workspace.context import WorkspaceProcessContext  # noqa: PLC0415
    from dagster_webserver.app import create_app_from_workspace_process_context  # noqa: PLC0415

    queue = {"run_coordinator": {"module": "dagster", "class": "QueuedRunCoordinator"}}
    with (
        instance_for_test(overrides=queue) as instance,
        WorkspaceProcessContext(instance, None) as workspace,
        ServerThread(create_app_from_workspace_process_context(workspace)) as served,
    ):
        yield served.url, instance


def queued(instance: DagsterInstance, tags: Mapping[str, str]) -> DagsterRun:
    """A run of `sync` in Dagster's queue."""
    location = GrpcServerCodeLocationOrigin("127.0.0.1", 9, location_name="zk_pipeline")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), "sync")
    status = DagsterRunStatus.QUEUED
    return create_run_for_test(instance, job_name="sync", status=status, tags=tags, remote_job_origin=origin)


def test_a_run_cancelled_in_runs_asks_by_the_name_of_who_did_it_and_is_answered_here(
    browser: Browser, demo_systems: SandboxProcess, tmp_path: Path
):
    from zk_pipeline.defs.run_history import note_cancelled_runs  # noqa: PLC0415 (as above)

    day = date(2025, 10, 7)
    with (
        dagster() as (address, instance),
        standing(tmp_path, demo_systems, [], ZK_DAGSTER_ADDRESS=address) as site,
        window(browser, site, name="cancelled run") as visitor,
    ):
        runtime = Runtime(Settings(_env_file=None), site.database, TokenCipher(generate_key()))
        note_cancelled_runs(runtime, instance)
        run = queued(instance, range_tags(day, day, CHANGE))
        with site.database.transaction() as connection:
            day_requests.ask(connection, [day], CHANGE)
            day_requests.attach(connection, run.run_id, day, day)
        sign_in(visitor, site.email(Role.OPERATOR))
        page = visitor.open("/runs")
        page.get_by_role("button", name="Cancel…").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
        notice(page, "The run is being cancelled.")
        note_cancelled_runs(runtime, instance)  # As the sensor does within seconds.

        page = visitor.open("/reconcile")
        question, number = card(page, "Cancelled: sync again?"), page.locator("[data-section=reconcile] .zk-count")
        expect(question).to_contain_text(re.compile(r"Cancelled by Operator, .*: 7 Oct 2025"))
        expect(number).to_have_text("1")
        assert violations(page) == []
        question.get_by_role("button", name="Sync again").click()
        notice(page, "Days queued")
        expect(question).to_have_count(0)
        expect(number).to_be_hidden()
        asked = "SELECT string_agg(reason, ' ' ORDER BY id) FROM sync.day_requests WHERE claimed_by_run IS NULL"
        assert site.value(asked) == "change person"
