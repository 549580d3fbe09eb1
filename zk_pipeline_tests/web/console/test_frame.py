"""What holds for every page: search, visible focus, buttons that answer at once, the lost connection, the manifest."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.web.console import access
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import FIRST, PHONE, Site, below, overflow, serving, sign_in, standing, window
from zk_sandbox.server import SandboxProcess

STYLES = (Path(access.__file__).parent / "assets" / "console.css").read_text(encoding="utf-8")
WIDTHS = (1440, 1024, PHONE)
ENDS = ("first_day", "last_day")


@pytest.fixture(scope="module")
def switched_off(demo_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A day that was written before the writing was switched off."""
    home = tmp_path_factory.mktemp("off")
    with (
        standing(home, demo_systems, [("2025-10-08", "2025-10-08")]) as site,
        serving({**site.variables, "ZK_PUSH_MODE": "off"}, home / "off.log") as url,
    ):
        yield Site(url, site.home, site.variables, site.database)


def ticket(site: Site) -> str:
    return site.value("SELECT ticket_number FROM sync.normalized_entries ORDER BY source_id LIMIT 1")


def found(page: Page, typed: str, name: str) -> str:
    """The address of a result of the search."""
    page.get_by_role("searchbox", name="Search").fill(typed)
    link = page.locator(".zk-found").get_by_role("link").filter(has_text=name).first
    expect(link).to_be_visible()
    return link.get_attribute("href") or ""


@pytest.mark.parametrize("width", WIDTHS)
def test_a_ticket_is_found_with_and_without_its_sign_and_opens_in_the_list(visit: Visit, site: Site, width: int):
    page = visit(Role.VIEWER, width=width).open("/audit")
    number = ticket(site).removeprefix("#")
    address = f"/reconcile?view=all&ticket={number}"
    assert found(page, number, f"#{number}") == found(page, f"#{number}", f"#{number}") == address
    assert overflow(page) <= 0
    page.get_by_role("searchbox", name="Search").press("Enter")
    page.wait_for_url(f"**{address}")
    expect(page.get_by_role("button", name=f"#{number}").first).to_be_visible()


def test_customers_agents_and_time_sheets_are_found_from_everywhere(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/settings")
    entry = "SELECT {} FROM sync.normalized_entries WHERE {} IS NOT NULL ORDER BY source_id LIMIT 1"
    agent = site.value(entry.format("user_name", "user_name"))
    customer = site.value(entry.format("organization_name", "organization_name"))
    sheet = site.value("SELECT kimai_id FROM sync.pushes WHERE state = 'confirmed' LIMIT 1")
    assert found(page, agent[1:6], agent).startswith("/reconcile?view=all&agent=")
    assert found(page, customer[:5].upper(), customer).startswith("/reconcile?view=all&customer=")
    page.get_by_role("searchbox", name="Search").fill(f"kimai:{sheet}")
    # What was found before may have the number in it, and stays until the answer is there.
    expect(page.locator(f".zk-found a[href='/audit?trace=kimai:{sheet}']")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("nobody at all")
    expect(page.get_by_text("Nothing fits “nobody at all”.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".zk-found")).to_be_hidden()


@pytest.mark.parametrize("address", ["/dashboard", "/reconcile", "/audit", "/settings"])
def test_every_control_that_has_the_focus_shows_it(visit: Visit, address: str):
    page = visit(Role.ADMIN).open(address)
    unseen: list[str] = []
    for _ in range(40):
        page.keyboard.press("Tab")
        state = page.evaluate(
            """() => {
                const one = document.activeElement, around = one.closest(".q-field__control") || one;
                if (one === document.body) return null;
                const style = getComputedStyle(around);
                return [style.outlineStyle, parseFloat(style.outlineWidth), one.outerHTML.slice(0, 160)];
            }"""
        )
        if state and (state[0] == "none" or state[1] < 2):
            unseen.append(state[2])
    assert unseen == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_run_tells_what_it_read_wrote_and_was_refused_and_each_number_leads_there(
    visit: Visit, site: Site, width: int
):
    page = visit(Role.OPERATOR, width=width).open("/runs")
    written = site.value("SELECT run_id FROM sync.writes ORDER BY id LIMIT 1")
    row = page.get_by_role("table", name="Runs").get_by_role("row").filter(has=page.locator(f"a[href*='{written}']"))
    first, last = (site.value(f"SELECT {end} FROM sync.sync_runs WHERE run_id = '{written}'") for end in ENDS)
    days = f"from={first}&to={last}"
    expect(row.get_by_role("link", name="read")).to_have_attribute("href", f"/reconcile?view=all&{days}")
    expect(row.get_by_role("link", name="created")).to_have_attribute("href", f"/audit?run={written}")
    assert overflow(page) <= 0
    row.get_by_role("button").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="What waits on its days")).to_be_visible()
    expect(dialog.locator(".zk-list-row").first.get_by_role("link")).to_have_attribute(
        "href", re.compile("^/reconcile")
    )
    dialog.get_by_role("link", name="created").click()
    expect(page.get_by_text(re.compile(r"Only of the run of \d+ [A-Z][a-z]{2} \d{4}, \d\d:\d\d\."))).to_be_visible()
    about = page.get_by_role("table", name="Audit trail").get_by_role("row").nth(1)
    expect(about).to_contain_text("#")
    assert re.search(r"booking:|user:|timesheet:", page.inner_text("#audit")) is None


def test_a_run_that_was_refused_one_booking_is_not_shown_as_done(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.sync_runs (run_id, first_day, last_day, counts, carried_out_until) "
                'VALUES (\'refused-run\', :day, :day, \'{"entries": 2, "created": 1, "parked": 1}\', :day)'
            ),
            {"day": FIRST},
        )
    try:
        page = visit(Role.OPERATOR).open("/runs")
        row = page.get_by_role("row").filter(has=page.locator("a[href*='refused-run']"))
        expect(row.locator(".zk-chip.zk-warn")).to_have_text("Done, 1 refused")
        address = f"/reconcile?view=conflicts&reason=refused_by_kimai&from={FIRST}&to={FIRST}"
        expect(row.get_by_role("link", name="1 refused")).to_have_attribute("href", address)
    finally:
        with site.database.transaction() as connection:
            connection.execute(text("DELETE FROM sync.sync_runs WHERE run_id = 'refused-run'"))


def test_that_nothing_is_written_stands_on_every_page_and_in_the_undo(
    browser: Browser, switched_off: Site, request: pytest.FixtureRequest
):
    with window(browser, switched_off, name=request.node.name) as visitor:
        sign_in(visitor, switched_off.email(Role.OPERATOR))
        page = visitor.open("/runs")
        expect(page.get_by_text("Writing to Kimai is switched off")).to_be_visible()
        page.get_by_role("button", name="Undo…").first.click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_text("Taking back still writes to Kimai.")).to_be_visible()
        table = dialog.get_by_role("table", name="What is taken back")
        expect(table.get_by_role("row").nth(1)).to_contain_text("#")
        expect(dialog.get_by_text("Time taken back")).to_be_visible()


def test_a_pressed_button_rests_at_once_and_is_busy_until_its_answer(visit: Visit):
    page = visit(Role.OPERATOR).open("/audit")
    page.get_by_role("button", name="Run sync now").click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    expect(dialog).to_be_visible()
    preview = dialog.get_by_role("button", name="Preview")
    classes = preview.evaluate("button => { button.click(); return button.className; }")
    assert "zk-pressed" in classes
    expect(page.get_by_role("alert").filter(has_text="Dagster").first).to_be_visible()
    expect(preview).to_be_enabled()


def test_a_lost_connection_is_said_and_its_end_too(visit: Visit):
    page = visit(Role.VIEWER).open("/audit")
    lost = page.get_by_text("The connection is lost.")
    expect(lost).to_be_hidden()
    page.evaluate("window.socket.io.engine.close()")
    expect(lost).to_be_visible()
    page.wait_for_function("window.socket.connected", timeout=40_000)
    expect(lost).to_be_hidden()


def test_a_page_that_was_loaded_again_after_a_restart_says_so(visit: Visit):
    page = visit(Role.VIEWER).open("/audit")
    page.evaluate("window.socket.io.reconnection(false); window.socket.io.engine.close()")
    expect(page.get_by_text("The connection is lost.")).to_be_visible()
    page.reload()  # As NiceGUI does where the server has forgotten the page.
    expect(page.get_by_text("the page was loaded again")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Audit", exact=True)).to_be_visible()
    expect(page.get_by_text("the page was loaded again")).to_be_hidden()


@pytest.mark.parametrize("way", ["Close", "Cancel", "Escape"])
def test_a_dialog_closes_is_gone_and_gives_the_focus_back(visit: Visit, way: str):
    page = visit(Role.ADMIN).open("/connectors")
    add = page.get_by_role("button", name="Add a connector")
    for _ in range(2):
        add.press("Enter")
        dialog = page.get_by_role("dialog", name="Add a connector")
        expect(dialog).to_be_visible()
        if way == "Escape":
            page.keyboard.press("Escape")
        else:
            dialog.get_by_role("button", name=way).click()
        expect(page.locator(".q-dialog")).to_have_count(0)
        assert wait_until(lambda: add.evaluate("one => one.contains(document.activeElement)"), 10)


def test_on_a_phone_the_menu_leads_to_a_section_and_gets_out_of_its_way(visit: Visit):
    page = visit(Role.VIEWER, width=PHONE).open("/")
    for name, section in (("Month", "statement"), ("To do", "reconcile"), ("Home", "dashboard")):
        page.get_by_role("button", name="Navigation").click()
        link = page.locator(".zk-nav").get_by_role("link", name=name)
        link.click()
        expect(link).not_to_be_in_viewport()
        expect(page.locator(f"#{section}-title")).to_be_in_viewport()
        expect(page.locator(f"#{section} .zk-section-body [role=status]:has-text('Loading')")).to_have_count(0)


def test_the_console_can_be_installed_on_a_phone(visit: Visit, site: Site):
    visitor = visit(Role.VIEWER, width=PHONE)
    page = visitor.open("/dashboard")
    session = visitor.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert manifest["errors"] == []
    assert '"display": "standalone"' in manifest["data"]
    for size in (192, 512):
        picture = visitor.context.request.get(f"{site.url}/console/assets/icon-{size}.png")
        assert picture.headers["content-type"] == "image/png"
        assert int.from_bytes(picture.body()[16:20]) == size


def test_states_keep_their_borders_where_the_system_sets_the_colours(visit: Visit):
    page = visit(Role.VIEWER).open("/dashboard")
    page.emulate_media(forced_colors="active")
    said = page.locator(".zk-status")
    assert said.evaluate("one => getComputedStyle(one).borderStyle") == "solid"
    shares = page.locator(".zk-share").first
    assert shares.evaluate("one => getComputedStyle(one).forcedColorAdjust") == "none"


def test_what_is_wrong_with_the_days_of_a_sync_stands_below_them(visit: Visit):
    page = visit(Role.OPERATOR).open("/runs")
    page.get_by_role("button", name="Run sync now").click()
    dialog = page.get_by_role("dialog", name="Run sync now")
    preview = dialog.get_by_role("button", name="Preview")
    dialog.get_by_label("From").fill("")
    preview.click()
    expect(below(dialog, "From")).to_contain_text("Choose both days.")
    dialog.get_by_label("From").fill("2025-10-09")
    dialog.get_by_label("To").fill("2025-10-08")
    preview.click()
    expect(below(dialog, "To")).to_contain_text("is before")
    expect(below(dialog, "From")).not_to_contain_text("Choose both days.")


# How the three kinds of colour blindness see a colour: Machado, Oliveira and Fernandes 2009, at full severity.
SIGHTS = {
    "all cones": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
TOLD_APART = 12
"""Distance in CIELAB; 2.3 is just noticeable."""


def lab(colour: str, sight: tuple[tuple[float, ...], ...]) -> tuple[float, float, float]:
    """A colour in CIELAB, as these eyes see it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    red, green, blue = (min(1, max(0, sum(a * b for a, b in zip(row, linear, strict=True)))) for row in sight)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_the_five_hues_of_the_charts_are_told_apart_by_all_eyes(sight: str, theme: int):
    hues = [re.findall(rf"--zk-series-{number}: (#[0-9a-f]{{6}});", STYLES)[theme] for number in range(1, 6)]
    assert re.findall(r"--zk-series-6", STYLES) == []
    seen = {hue: lab(hue, SIGHTS[sight]) for hue in hues}
    near = {
        (one, other): round(distance, 1)
        for one, other in combinations(hues, 2)
        if (distance := sum((a - b) ** 2 for a, b in zip(seen[one], seen[other], strict=True)) ** 0.5) < TOLD_APART
    }
    assert near == {}
