"""The console in a real browser: what it shows, that everybody can use it, and what decisions lead to."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.store import cancellations, day_requests, runs
from zk_pipeline.store.cancellations import RunCancellation
from zk_pipeline.web.console.shell import SECTIONS
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import FIRST, PHONE, Site, accessible, overflow, violations

ADDRESSES = [f"/{one.name}" for section in SECTIONS for one in (section, *section.parts)]
SCRIPT = "<img src=x onerror=\"document.body.dataset.hacked='yes'\"><script>alert(1)</script> **bold** {{ 7 * 7 }}"
MAPPED = """
    SELECT agents.name, users.name FROM sync.audit_logs JOIN sync.audit_details USING (id)
    JOIN zammad.agents ON agents.id::text = detail -> 'after' ->> 'agent'
    JOIN kimai.users ON users.id::text = detail -> 'after' ->> 'kimai_user_id'
    WHERE event = 'mapping.set' AND subject = 'mapping:user' ORDER BY audit_logs.id DESC LIMIT 1
"""
"""Whom the newest mapping of an agent is about."""


def small_conflicts(site: Site) -> list[int]:
    """The open questions about at most an hour, which may be left out without a reason."""
    with site.database.transaction() as connection:
        rows = connection.execute(
            text(
                "SELECT c.id FROM sync.conflicts c JOIN sync.normalized_entries e USING (source_id)"
                " WHERE c.resolution_status = 'open' AND e.time_minutes <= 60 ORDER BY c.entry_date DESC, c.key DESC"
            )
        )
        return [row[0] for row in rows]


def decision_of(site: Site, conflict_id: int) -> tuple[str, str, str]:
    with site.database.transaction() as connection:
        query = text("SELECT resolution_status, decision, decided_by FROM sync.conflicts WHERE id = :id")
        return tuple(connection.execute(query, {"id": conflict_id}).one())


def notice(page: Page, part: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=part).first).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_section_is_reachable_by_its_own_address(visit: Visit, address: str):
    page = visit(Role.ADMIN).open(address)
    (of_parts,) = [section.name for section in SECTIONS if section.parts]
    is_part = f"/{of_parts}" != address and all(section.name != address[1:] for section in SECTIONS)
    shown = [section.get_attribute("id") for section in page.locator(".zk-section").all()]
    assert shown == [of_parts if is_part else address[1:]]
    assert page.locator("h1").count() == 1
    assert page.locator("main, [role=main]").count() == 1
    assert page.locator(".zk-failed").count() == 0


def test_the_first_page_has_all_sections_and_loads_each_when_it_comes_into_view(visit: Visit):
    page = visit(Role.ADMIN).open("/")
    assert [section.get_attribute("id") for section in page.locator(".zk-section").all()] == [
        section.name for section in SECTIONS
    ]
    last = page.locator("#audit")
    assert last.locator("table").count() == 0
    page.get_by_role("link", name="Audit").click()
    expect(last.locator("table").first).to_be_visible()
    expect(page.get_by_role("link", name="Audit")).to_have_attribute("aria-current", "location")


@pytest.mark.parametrize("name", ["dashboard", "mappings", "reconcile", "statement", "audit"])
def test_the_old_anchors_lead_to_their_sections(visit: Visit, name: str):
    page = visit(Role.ADMIN).open(f"/#{name}")
    expect(page.locator(f"#{name}")).to_be_in_viewport()
    expect(page.locator(f"#{name} .zk-panel:visible").first).to_be_visible()


def test_the_settings_have_a_tab_for_each_part_and_each_part_an_address(visit: Visit):
    page = visit(Role.ADMIN).open("/#connectors")
    settings = page.locator("#settings")
    expect(settings.get_by_role("link", name="Connectors")).to_have_attribute("aria-current", "true")
    expect(settings.locator(".zk-connector").first).to_be_in_viewport()
    settings.get_by_role("link", name="Schedule").click()
    expect(settings.get_by_label("Cron").first).to_be_visible()
    expect(settings.locator(".zk-connector").first).to_be_hidden()
    page = visit(Role.ADMIN).open("/schedule")
    expect(page.get_by_role("link", name="Schedule")).to_have_attribute("aria-current", "true")
    page = visit(Role.OPERATOR).open("/settings")
    expect(page.get_by_role("link", name="Connectors")).to_be_visible()
    assert page.get_by_role("link", name="Schedule").count() == 0


def test_the_navigation_says_how_much_there_is_to_do(visit: Visit, site: Site):
    waiting = site.value("SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'open'")
    page = visit(Role.VIEWER).open("/audit")
    expect(page.get_by_role("link", name="To do")).to_contain_text(str(waiting))


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_page_scrolls_sideways_on_a_phone(visit: Visit, address: str):
    page = visit(Role.ADMIN, width=PHONE).open(address)
    assert overflow(page) <= 0
    assert violations(page) == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_either_theme_nor_with_text_of_twice_the_size(
    visit: Visit, site: Site, address: str, theme: str
):
    visitor = visit(Role.ADMIN)
    visitor.context.add_cookies([{"name": "zk_theme", "value": theme, "url": site.url}])
    page = visitor.open(address)
    for size in ("100%", "200%"):
        page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
        assert overflow(page) <= 0
        assert violations(page) == []


@pytest.mark.parametrize(("locale", "title"), [("en-GB", "Home"), ("de-DE", "Start"), ("fr-FR", "Accueil")])
def test_the_page_speaks_the_language_of_the_browser(visit: Visit, locale: str, title: str):
    page = visit(Role.ADMIN, locale=locale).open("/dashboard")
    expect(page.get_by_role("heading", level=2).first).to_contain_text(title)
    assert page.locator("html").get_attribute("lang", timeout=60_000).startswith(locale[:2])


def test_a_chosen_language_and_colour_are_remembered(visit: Visit):
    visitor = visit(Role.VIEWER)
    page = visitor.open("/audit")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("body.body--dark")).to_be_attached()
    page.get_by_role("button", name="Language").click()
    page.get_by_text("Deutsch").click()
    expect(page.get_by_role("heading", name="Protokoll", level=2)).to_be_visible()
    expect(page.locator("body.body--dark")).to_be_attached()


def test_html_and_script_in_a_ticket_title_are_shown_as_text(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        entry = connection.execute(
            text("SELECT source_id, ticket_title FROM sync.normalized_entries ORDER BY entry_date DESC LIMIT 1")
        ).one()
        set_title = text("UPDATE sync.normalized_entries SET ticket_title = :title WHERE source_id = :id")
        connection.execute(set_title, {"title": SCRIPT, "id": entry.source_id})
    page = visit(Role.VIEWER).open("/reconcile?view=all")
    title = page.get_by_role("button", name=SCRIPT)
    expect(title).to_be_visible()
    title.click()
    expect(page.locator(".zk-pane").get_by_text(SCRIPT).first).to_be_visible()
    assert page.locator("body").get_attribute("data-hacked") is None
    with site.database.transaction() as connection:
        connection.execute(set_title, {"title": entry.ticket_title, "id": entry.source_id})


def test_a_conflict_is_resolved_with_the_keyboard_alone(visit: Visit, site: Site):
    number = small_conflicts(site)[0]
    page = visit(Role.OPERATOR).open(f"/reconcile?conflict={number}")
    pane = page.locator(".zk-pane")
    expect(pane).to_be_visible()
    page.wait_for_function("document.querySelector('.zk-pane').contains(document.activeElement)")
    page.keyboard.press("o")
    expect(page.locator(".zk-snack")).to_contain_text("will not be billed.")
    expect(pane).to_be_hidden()
    state, decision, by = decision_of(site, number)
    assert (state, decision) == ("decided", "ignore")
    assert by.startswith("user:")


def test_the_pane_gives_the_focus_back_when_it_closes(visit: Visit):
    page = visit(Role.OPERATOR).open("/reconcile?view=all")
    opener = page.locator(".zk-open").nth(1)
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".zk-pane")).to_be_visible()
    page.wait_for_function("document.querySelector('.zk-pane').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(page.locator(".zk-pane")).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_second_of_two_operators_is_told_by_name_that_somebody_was_faster(visit: Visit, site: Site):
    number = small_conflicts(site)[0]
    first, second = (visit(Role.OPERATOR).open(f"/reconcile?conflict={number}") for _ in range(2))
    for page in (first, second):
        expect(page.locator(".zk-pane")).to_be_visible()
    first.get_by_role("button", name="Leave out: ").click()
    expect(first.locator(".zk-snack")).to_be_visible()
    second.get_by_role("button", name="Leave out: ").click()
    notice(second, f"Conflict {number} is no longer open: Operator decided to leave it out.")


def test_the_list_is_narrowed_and_says_what_to_do_where_nothing_fits(visit: Visit):
    page = visit(Role.VIEWER).open("/reconcile?view=matches")
    expect(page.get_by_text("Carried out", exact=True).first).to_be_visible()
    page.get_by_label("Agent", exact=True).fill("Nobody At All")
    expect(page.get_by_text("Widen or clear the filter")).to_be_visible()
    page.get_by_label("Agent", exact=True).fill("")
    page.get_by_label("To", exact=True).fill(FIRST)
    expect(page.get_by_text("In sync", exact=True).first).to_be_visible()


def test_a_part_of_a_name_offers_those_that_have_it_with_the_numbers_of_their_bookings(visit: Visit, site: Site):
    """The list is the browser's own, whose keys Playwright cannot press: what it offers is typed."""
    name, number = site.value(
        "SELECT ARRAY[max(organization_name), count(*)::text] FROM sync.normalized_entries "
        "WHERE organization_name ILIKE '%kanzlei%' GROUP BY organization_name ORDER BY count(*) DESC LIMIT 1"
    )
    page = visit(Role.VIEWER).open("/reconcile?view=all")
    field = page.locator("#reconcile").get_by_label("Customer")
    field.press_sequentially("kanzlei")
    offered = page.locator(f"datalist option[label='{name} ({number})']")
    expect(offered).to_have_attribute("value", name)
    assert field.get_attribute("list") == offered.locator("..").get_attribute("id")
    field.fill(name)
    expect(page.locator("#reconcile .zk-pager")).to_contain_text(f"of {number}")
    assert violations(page) == []


def test_the_trail_is_narrowed_to_an_act_and_to_an_actor_with_their_numbers_by_keys(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open("/audit")
    writes = site.value("SELECT count(*) FROM sync.audit_logs WHERE event LIKE 'kimai.%'")
    page.locator("#audit").get_by_role("combobox", name="What").click()
    page.get_by_role("option", name=f"Writes to Kimai ({writes})").click()
    expect(page.locator("#audit .zk-pager")).to_contain_text(f"of {writes}")
    who = page.locator("#audit").get_by_role("combobox", name="Who")
    who.press_sequentially("operator")
    expect(page.get_by_role("option")).to_have_count(1)
    who.press("ArrowDown")
    who.press("Enter")
    expect(page.locator("#audit .zk-empty")).to_be_visible()
    assert "actor=user" in (page.get_by_role("link", name="Export as CSV").get_attribute("href") or "")


def test_a_decision_stands_in_the_audit_trail_without_a_reload(visit: Visit, site: Site):
    trail = visit(Role.VIEWER).open("/audit")
    page = visit(Role.OPERATOR).open(f"/reconcile?conflict={small_conflicts(site)[0]}")
    page.get_by_role("button", name="Leave out: ").click()
    expect(page.locator(".zk-snack")).to_be_visible()
    newest = trail.locator(".zk-table tbody tr").first
    expect(newest).to_contain_text("Conflict decided", timeout=60_000)
    expect(newest).to_contain_text("Operator")


def test_the_story_of_a_booking_is_told(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        source_id = connection.execute(
            text("SELECT source_id FROM sync.pushes ORDER BY source_id LIMIT 1")
        ).scalar_one()
    page = visit(Role.VIEWER).open("/audit")
    field = page.get_by_label("Booking, ticket or time sheet")
    field.fill(source_id)
    field.press("Enter")
    dialog = accessible(page, f"History of {source_id}")
    expect(dialog.get_by_role("heading", name="Writes to Kimai")).to_be_visible()
    expect(dialog.get_by_text("Time sheet created").first).to_be_visible()


def test_an_entry_of_the_audit_trail_and_a_run_open_in_full(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/audit")
    page.locator("#audit tbody").get_by_role("button", name="Time sheet created").first.click()
    expect(accessible(page, "Time sheet created")).to_contain_text("Hash")
    page.goto(f"{site.url}/runs")
    page.locator("#runs tbody .zk-open").first.click()
    expect(accessible(page, "Run of").get_by_role("link", name="Dagster").first).to_be_visible()


def test_the_trail_names_what_was_made_in_kimai_and_tells_its_details_in_words(visit: Visit, site: Site):
    name = site.value(
        "SELECT name FROM kimai.projects JOIN sync.audit_logs ON subject = 'kimai:project:' || projects.id "
        "ORDER BY audit_logs.id LIMIT 1"
    )
    page = visit(Role.VIEWER).open("/audit")
    page.locator("#audit").get_by_label("Search").fill("kimai.project.created")
    row = page.locator("#audit tbody tr").filter(has_text=f"Kimai project {name}").first
    expect(row).to_be_visible()
    row.get_by_role("button", name="Project created").click()
    expect(accessible(page, "Project created")).to_contain_text(f"Name{name}")


def test_the_details_of_a_mapping_name_both_sides(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        agent, user = connection.execute(text(MAPPED)).one()
    page = visit(Role.VIEWER).open("/audit")
    page.locator("#audit").get_by_label("Search").fill("mapping:user")
    row = page.locator("#audit tbody tr").filter(has_text="Mapping of an agent").first
    expect(row).to_be_visible()
    row.get_by_role("button", name="Mapping set").click()
    expect(accessible(page, "Mapping set")).to_contain_text(f"Agent: {agent}; User in Kimai: {user}")


def test_a_part_that_fails_says_so_and_leaves_the_rest_alone(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        connection.execute(text("ALTER TABLE sync.sync_runs RENAME COLUMN counts TO counts_gone"))
    try:
        page = visit(Role.VIEWER).open("/")
        expect(page.get_by_role("alert").filter(has_text="This could not be loaded.").first).to_be_visible()
        page.get_by_role("link", name="To do").click()
        expect(page.locator("#reconcile .zk-open").first).to_be_visible()
    finally:
        with site.database.transaction() as connection:
            connection.execute(text("ALTER TABLE sync.sync_runs RENAME COLUMN counts_gone TO counts"))
    page.get_by_role("button", name="Try again").first.click()
    expect(page.locator(".zk-status")).to_be_visible()


def test_a_failed_run_tells_what_to_do_in_the_list_and_in_the_sentence(visit: Visit, site: Site):
    sentence = "Kimai refuses the token. Set a new one."
    with site.database.transaction() as connection:
        runs.add(connection, "failed-run", date.fromisoformat(FIRST), date.fromisoformat(FIRST), {})
        runs.note_failure(connection, "failed-run", sentence)
    try:
        page = visit(Role.VIEWER).open("/dashboard")
        expect(page.locator(".zk-status.zk-bad")).to_contain_text(sentence)
        newest = page.get_by_role("table", name="Runs").get_by_role("row").nth(1)
        expect(newest).to_contain_text(sentence)
        expect(newest.get_by_role("button", name="Sync again")).to_have_count(0)
        page = visit(Role.OPERATOR).open("/runs")
        newest = page.get_by_role("table", name="Runs").get_by_role("row").nth(1)
        newest.get_by_role("button", name="Sync again").click()
        notice(page, "Days queued; they are synced within seconds.")
        assert site.value("SELECT count(*) FROM sync.day_requests WHERE reason = 'person'") == 1
    finally:
        with site.database.transaction() as connection:
            connection.execute(text("DELETE FROM sync.sync_runs WHERE run_id = 'failed-run'"))


def test_what_waits_elsewhere_keeps_home_from_being_green(visit: Visit, site: Site):
    """A time sheet whose booking is gone, or an earlier month, also waits while the month that is shown is done."""
    with site.database.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO sync.conflicts (connector, entry_date, key, reason, text, suggested_action, facts_hash)"
                " VALUES ('kimai', '2024-02-01', 'elsewhere', 'deleted_in_source', '', '', 'x')"
            )
        )
    try:
        said = visit(Role.VIEWER).open("/dashboard").locator(".zk-status")
        waits = site.value(
            "SELECT count(*) FROM sync.conflicts WHERE resolution_status = 'open' AND (entry_date < '2025-10-01'"
            " OR key NOT IN (SELECT source_id FROM sync.normalized_entries))"
        )
        expect(said).to_contain_text(f"{waits} more question{'' if waits == 1 else 's'} wait")
    finally:
        with site.database.transaction() as connection:
            connection.execute(text("DELETE FROM sync.conflicts WHERE key = 'elsewhere'"))


def test_the_chart_can_be_read_as_a_table_in_hours_with_exact_minutes_on_hover(visit: Visit):
    page = visit(Role.VIEWER).open("/dashboard")
    page.get_by_text("Show as a table").click()
    first = page.get_by_role("table", name="Hours of each day").get_by_role("row").nth(1)
    expect(first).to_contain_text("1 Oct 2025")
    booked = first.get_by_role("cell").nth(1).locator("[title]")
    hours, minutes = booked.inner_text().split("\u202fh\u202f")
    exact = (booked.get_attribute("title") or "").removesuffix("\u202fmin").replace(",", "")
    assert abs(Decimal(exact) - int(hours) * 60 - int(minutes)) <= Decimal("0.5")


@pytest.mark.parametrize("width", [1440, 1024, PHONE])
def test_home_says_whether_everything_is_all_right_and_leads_to_what_waits(visit: Visit, site: Site, width: int):
    page = visit(Role.OPERATOR, width=width).open("/dashboard")
    said = page.locator(".zk-status")
    waiting = site.value("SELECT count(DISTINCT key) FROM sync.conflicts WHERE resolution_status = 'open'")
    expect(said).to_contain_text(f"in {waiting} bookings wait.")
    expect(said).to_contain_text("October 2025:")
    expect(said.get_by_role("link", name="Connectors fine.")).to_have_attribute("href", "/connectors")
    expect(said).to_contain_text("Last sync")
    assert overflow(page) <= 0
    waits = page.get_by_role("link", name="Waiting", exact=True)
    expect(waits).to_have_attribute("href", "/reconcile?view=conflicts&from=2025-10-01&to=2025-10-31")
    causes = page.locator(".zk-list-row")
    assert 1 <= causes.count() <= 3
    causes.first.get_by_role("link").click()
    expect(page.get_by_role("heading", name="To do")).to_be_visible()


def test_home_begins_with_the_month_that_has_data_and_leads_to_the_connectors_where_one_is_missing(
    visit: Visit, site: Site
):
    page = visit(Role.VIEWER).open("/dashboard")
    expect(page.get_by_role("combobox", name="Month")).to_have_value("October 2025")
    with site.database.transaction() as connection:
        connection.execute(text("UPDATE sync.connectors SET active = false"))
    try:
        page.reload()
        expect(page.get_by_role("link", name="Connect Zammad and Kimai first.")).to_be_visible()
    finally:
        with site.database.transaction() as connection:
            connection.execute(text("UPDATE sync.connectors SET active = true"))


def test_a_cron_is_checked_and_its_next_runs_are_shown_before_it_is_stored(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/schedule")
    cron = page.get_by_label("Cron").first
    cron.fill("61 * * * *")
    expect(page.get_by_text("is no cron expression")).to_be_visible()
    expect(page.get_by_role("button", name="Save").first).to_be_disabled()
    cron.fill("15 4 * * *")
    expect(page.get_by_text(", 04:15").first).to_be_visible()
    page.get_by_role("button", name="Save").first.click()
    notice(page, "Stored. It takes effect when Dagster has loaded it.")
    with site.database.transaction() as connection:
        stored = connection.execute(text("SELECT value FROM sync.settings WHERE name LIKE '%catch_up%cron%'")).scalar()
    assert stored == "15 4 * * *"


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [("de-DE", "ist kein Cron-Ausdruck"), ("fr-FR", "n'est pas une expression cron")],
)
def test_an_error_speaks_the_language_of_the_page(visit: Visit, locale: str, sentence: str):
    page = visit(Role.ADMIN, locale=locale).open("/schedule")
    page.get_by_label("Cron").first.fill("61 * * * *")
    expect(page.get_by_text(sentence)).to_be_visible()


def test_nothing_is_loaded_from_the_internet(visit: Visit, site: Site):
    visitor = visit(Role.ADMIN)
    asked: set[str] = set()
    visitor.page.on("request", lambda request: asked.add(request.url))
    visitor.open("/")
    assert {url for url in asked if not url.startswith((site.url, site.url.replace("http", "ws"), "data:"))} == set()


def test_a_cancelled_run_asks_whether_to_sync_again_and_one_click_answers(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        for number, first in enumerate((date(2025, 10, 20), date(2025, 10, 22))):
            day_requests.ask(connection, [first], "change")
            run = RunCancellation(f"cancelled-{number}", datetime(2025, 10, 24, 8, tzinfo=UTC), (first, first))
            cancellations.note(connection, run)
    shown = visit(Role.VIEWER).open("/dashboard")
    expect(shown.get_by_text("Cancelled in Dagster, 24 Oct 2025, 10:00: 20 Oct 2025")).to_be_visible()
    expect(shown.get_by_role("button", name="Sync again")).to_have_count(0)
    page = visit(Role.OPERATOR).open("/dashboard")
    page.get_by_role("button", name="Sync again").first.click()
    notice(page, "Days queued")
    expect(page.get_by_role("button", name="Leave it")).to_have_count(1)
    page.get_by_role("button", name="Leave it").click()
    notice(page, "Left as they are.")
    expect(page.get_by_text("Cancelled: sync again?")).to_have_count(0)
    with site.database.transaction() as connection:
        assert cancellations.held(connection) == []
        asked = [request.day for request in day_requests.unclaimed(connection) if request.day.day in {20, 22}]
        assert asked == [date(2025, 10, 20)] * 2
        connection.execute(text("DELETE FROM sync.day_requests WHERE day = '2025-10-20'"))
