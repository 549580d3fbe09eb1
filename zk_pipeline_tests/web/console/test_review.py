"""Plans that need approval: the console says what waits, takes the approval, and shows who gave it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.operations.actors import Role
from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline_tests.web.console.site import PHONE, Site, examined, sign_in, standing, window

DAY = "2025-10-06"
BUTTON = "Approve and carry it out"


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
        yield visitor.open("/audit")


def run_row(page: Page) -> Locator:
    return page.get_by_role("table", name="Recent runs").get_by_role("row").nth(1)


@pytest.mark.parametrize("as_role", [(Role.VIEWER, 1280)], indirect=True)
def test_what_waits_is_told_and_only_operators_may_approve_it(as_role: Page, reviewed: Site):
    expect(run_row(as_role)).to_contain_text("waiting for approval")
    expect(run_row(as_role)).not_to_contain_text("Nothing")
    assert as_role.get_by_role("button", name="Approve…").count() == 0
    assert reviewed.written(DAY, DAY) == set()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, PHONE)], indirect=True)
def test_a_plan_is_approved_carried_out_and_stands_in_kimai(as_role: Page, reviewed: Site):
    page = as_role
    page.get_by_role("button", name="Approve…").first.click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    expect(dialog.get_by_text("Plans need approval here")).to_be_visible()
    expect(dialog.get_by_text("Not approved")).to_be_visible()
    assert examined(page, "overflow") <= 0
    assert examined(page, "unnamedControls") == []
    approve = dialog.get_by_role("button", name=BUTTON)
    approve.focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Waiting for its turn.")).to_be_visible()
    reviewed.sync(DAY, DAY)
    expect(page.get_by_role("alert").filter(has_text="The sync is done.")).to_be_visible()
    assert reviewed.written(DAY, DAY) != set()
    expect(dialog.get_by_text("created")).to_be_visible()


@pytest.mark.parametrize("as_role", [(Role.OPERATOR, 1280)], indirect=True)
def test_a_plan_that_changed_since_it_was_approved_says_so_and_by_whom_it_was(as_role: Page, reviewed: Site):
    with reviewed.database.transaction() as connection:
        connection.execute(
            text('UPDATE sync.reconciliation_results SET diff = \'{"duration": ["1", "2"]}\' WHERE action = \'create\'')
        )
    as_role.get_by_role("button", name="Approve…").first.click()
    dialog = as_role.get_by_role("dialog", name="Run sync now")
    expect(dialog.get_by_text("Changed since approval")).to_be_visible()
    expect(dialog.get_by_text("left out, since they changed")).to_be_visible()
    expect(dialog.get_by_text("Operator,")).to_be_visible()
    expect(dialog.get_by_role("button", name=BUTTON)).to_be_enabled()
