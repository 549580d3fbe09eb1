"""Plans that need approval: the console says what waits, takes the approval, and shows who gave it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.web.console.site import PHONE, Site, accessible, overflow, sign_in, standing, violations, window
from zk_sandbox.server import SandboxProcess

DAY = "2025-10-06"
RUN = "Sync now"


@pytest.fixture(scope="module")
def reviewed(demo_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A day that was run where nothing is written without approval."""
    home = tmp_path_factory.mktemp("reviewed")
    with standing(home, demo_systems, [(DAY, DAY)], ZK_PUSH_MODE="review") as site:
        yield site


@pytest.fixture
def as_role(browser: Browser, reviewed: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    role, width = request.param
    with window(browser, reviewed, width=width, name=request.node.name) as visitor:
        sign_in(visitor, reviewed.email(role))
        yield visitor.open("/runs")


def approvals(site: Site) -> tuple[int, int]:
    """How many approvals were given, and of how many lines."""
    return site.value("SELECT count(*) FROM sync.approvals"), site.value("SELECT count(*) FROM sync.approved_lines")


def requested(site: Site) -> int:
    """How often somebody asked for days."""
    return site.value("SELECT count(*) FROM sync.audit_logs WHERE event = 'days.requested'")


def change(site: Site, found: str) -> None:
    """Make the plan another one than was shown."""
    with site.database.transaction() as connection:
        connection.execute(
            text("UPDATE sync.reconciliation_results SET diff = CAST(:diff AS jsonb) WHERE action = 'create'"),
            {"diff": f'{{"duration": ["9", "{found}"]}}'},
        )


def run_row(page: Page) -> Locator:
    return page.get_by_role("table", name="Runs").get_by_role("row").nth(1)


@pytest.mark.parametrize("as_role", [(Role.VIEWER, 1280)], indirect=True)
def test_what_waits_is_told_and_only_operators_may_approve_it(as_role: Page, reviewed: Site):
    expect(run_row(as_role)).to_contain_text("waiting for approval")
    expect(run_row(as_role)).to_contain_text("not written")
    expect(run_row(as_role)).not_to_contain_text("Nothing")
    assert as_role.get_by_role("button", name="Approve…").count() == 0
    assert reviewed.written(DAY, DAY) == set()
    as_role.goto(f"{reviewed.url}/dashboard")
    expect(as_role.locator(".zk-status")).to_contain_text(" wait for approval.")


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, PHONE)], indirect=True)
def test_lines_are_approved_one_by_one_or_all_at_once_and_carried_out_as_an_act_of_its_own(
    as_role: Page, reviewed: Site
):
    page = as_role
    page.get_by_role("button", name="Approve…").first.click()
    dialog = accessible(page, "Run sync now")
    expect(dialog.get_by_text("Plans need approval here")).to_be_visible()
    expect(dialog.get_by_text("Not approved")).to_be_visible()
    expect(dialog.get_by_role("button", name=RUN)).to_be_disabled()
    assert overflow(page) <= 0
    assert violations(page) == []

    box = dialog.get_by_role("checkbox").first
    box.click()
    expect(box).to_be_checked()
    dialog.get_by_role("button", name="Approve 1 selected").dblclick()
    expect(page.get_by_role("alert").filter(has_text="Approved: 1.")).to_be_visible()
    expect(dialog.get_by_role("button", name=RUN)).to_be_enabled()
    assert approvals(reviewed) == (1, 1), "a double click approves once"

    approve = dialog.get_by_role("button", name="Approve all")
    approve.focus()
    page.keyboard.press("Enter")
    expect(approve).to_be_hidden()
    assert reviewed.written(DAY, DAY) == set(), "nothing is written by an approval"
    assert requested(reviewed) == 0

    dialog.get_by_role("button", name=RUN).dblclick()
    expect(dialog.get_by_text("Waiting for its turn.")).to_be_visible()
    reviewed.sync(DAY, DAY)
    expect(page.get_by_role("alert").filter(has_text="The sync is done.")).to_be_visible()
    assert reviewed.written(DAY, DAY) != set()
    assert requested(reviewed) == 1, "a double click asks once"
    expect(dialog.get_by_text("created")).to_be_visible()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, 1280)], indirect=True)
def test_what_was_undone_is_not_shown_as_the_plan_and_offers_nothing_to_approve(as_role: Page, reviewed: Site):
    expect(run_row(as_role)).to_contain_text("created")
    reviewed.undo(reviewed.value("SELECT run_id FROM sync.writes LIMIT 1"))
    assert reviewed.written(DAY, DAY) == set()
    as_role.reload()
    expect(as_role.get_by_text("All of it was taken back by an undo.")).to_be_visible()
    assert as_role.get_by_role("button", name="Approve…").count() == 0
    reviewed.sync(DAY, DAY)
    assert reviewed.written(DAY, DAY) == set(), "the approval was spent"
    as_role.reload()
    expect(as_role.get_by_role("button", name="Approve…").first).to_be_visible()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, 1280)], indirect=True)
def test_a_plan_that_changed_since_it_was_approved_says_so_and_by_whom_it_was(as_role: Page, reviewed: Site):
    as_role.get_by_role("button", name="Approve…").first.click()
    dialog = as_role.get_by_role("dialog", name="Run sync now")
    dialog.get_by_role("button", name="Approve all").click()
    expect(dialog.get_by_text("Operator,")).to_be_visible()
    change(reviewed, "1")
    as_role.reload()
    as_role.get_by_role("button", name="Approve…").first.click()
    expect(dialog.get_by_text("Changed since approval")).to_be_visible()
    expect(dialog.get_by_text("changed and wait again")).to_be_visible()
    change(reviewed, "2")
    dialog.get_by_role("button", name="Approve all").click()
    expect(as_role.get_by_role("alert").filter(has_text="it has changed since it was shown")).to_be_visible()
    expect(dialog.get_by_role("button", name="Approve all")).to_be_enabled()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, 1280)], indirect=True)
def test_all_lines_of_a_customer_are_selected_at_once(as_role: Page, reviewed: Site):
    as_role.get_by_role("button", name="Approve…").first.click()
    dialog = as_role.get_by_role("dialog", name="Run sync now")
    dialog.get_by_role("combobox", name="Select a customer's lines").click()
    option = as_role.get_by_role("option").first
    number = int(option.inner_text().rpartition("(")[2].rstrip(")"))
    option.click()
    dialog.get_by_role("button", name=f"Approve {number} selected").click()
    expect(as_role.get_by_role("alert").filter(has_text=f"Approved: {number}.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Approve all")).to_be_visible()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, 1280)], indirect=True)
def test_a_day_is_approved_from_its_row(as_role: Page, reviewed: Site):
    as_role.get_by_role("button", name="Approve…").first.click()
    dialog = as_role.get_by_role("dialog", name="Run sync now")
    dialog.get_by_role("button", name="Approve 6 Oct 2025", exact=True).click()
    expect(as_role.get_by_role("alert").filter(has_text="Approved: ")).to_be_visible()
    expect(dialog.get_by_role("button", name="Approve all")).to_be_hidden()
