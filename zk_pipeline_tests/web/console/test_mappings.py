"""People & customers in a real browser: who is who, suggestions, filters, dialogs, and files that are tried first."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.languages import Language
from zk_pipeline.web.console.words import Words
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import PHONE, Site, accessible, overflow, violations, zk
from zk_sandbox.client import SandboxControl

TYPE = "Wartung"
"""Mapped by the demo; Kimai has an activity of the same name."""
TYPES = "?kind=activity"
TYPE_ID = f"SELECT id FROM zammad.activity_types WHERE name = '{TYPE}'"
WEEK = ("2025-10-06", "2025-10-10")
SCRIPT = "<img src=x onerror=\"document.body.dataset.hacked='yes'\">"
HEADER = "kind,zammad,kimai\n"


@pytest.fixture(scope="module", autouse=True)
def planned(site: Site) -> None:
    """A week was planned while a type that was booked in it had no mapping."""
    with site.database.transaction() as connection:
        removed = connection.execute(
            text(f"DELETE FROM sync.activity_mappings WHERE type_id = ({TYPE_ID}) RETURNING 1")
        )
        assert removed.all() == [(1,)]
    zk(Path(site.variables["ZK_HOME"]), site.variables, "sync", "--plan", "--from", WEEK[0], "--to", WEEK[1])


@pytest.fixture(autouse=True)
def unchanged(site: Site, planned: None) -> Iterator[None]:
    """Mappings are afterwards as they were before."""
    tables = ("activity_mappings", "user_mappings", "customer_mappings")
    with site.database.transaction() as connection:
        before = {name: connection.execute(text(f"SELECT * FROM sync.{name}")).mappings().all() for name in tables}
    yield
    with site.database.transaction() as connection:
        for name, rows in before.items():
            connection.execute(text(f"DELETE FROM sync.{name}"))
            for row in rows:
                columns = [str(column) for column in row]
                values = ", ".join(f":{column}" for column in columns)
                connection.execute(text(f"INSERT INTO sync.{name} ({', '.join(columns)}) VALUES ({values})"), dict(row))


@contextmanager
def renamed(site: Site, old: str, new: str) -> Iterator[None]:
    """The simulated Zammad while one of its organizations has another name."""
    with SandboxControl(site.variables["ZK_ZAMMAD_URL"]) as zammad:
        before = zammad.state()
        state = zammad.state()
        next(row for row in _organizations(state) if row["name"] == old)["name"] = new
        zammad.restore(state)
        yield
        zammad.restore(before)


def _organizations(state: dict[str, Any]) -> list[dict[str, Any]]:
    rows = state["state"]["organizations"]
    return list(rows.values()) if isinstance(rows, dict) else rows


def notice(page: Page, part: str) -> None:
    expect(page.get_by_role("alert").filter(has_text=part).first).to_be_visible()


def row_of(page: Page, name: str) -> Locator:
    """What is shown of something in Zammad, or of a user whom no agent is."""
    return page.locator("#mappings tbody").get_by_role("row").filter(has_text=name)


def shows(page: Page, state: str) -> None:
    page.get_by_role("group", name="Show").get_by_role("button", name=re.compile(rf"^{state}\b")).click()


def upload(page: Page, content: str) -> Locator:
    """Have a file tried by the import's dialog; the dialog."""
    page.get_by_role("button", name="Import CSV").click()
    dialog = accessible(page, "Import CSV")
    with page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="Choose a file").click()
    chooser.value.set_files({"name": "mappings.csv", "mimeType": "text/csv", "buffer": content.encode()})
    return dialog


def stored(site: Site, query: str) -> list[Any]:
    with site.database.transaction() as connection:
        return list(connection.execute(text(query)).scalars())


def test_a_type_is_mapped_by_its_suggestion_and_no_longer_waits(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    query = "SELECT {} FROM sync.normalized_entries e JOIN sync.conflicts c USING (source_id)"
    query += f" WHERE activity_type_id = ({TYPE_ID}) AND c.reason = 'unmapped_activity'"
    (number,), (minutes,) = (stored(site, query.format(what)) for what in ("count(*)", "sum(e.time_minutes)"))
    row = row_of(page, TYPE)
    expect(row).to_contain_text("Not mapped")
    waiting = f"{number} · {Words(Language.ENGLISH, ZoneInfo('UTC')).hours(minutes)}"
    expect(row.get_by_role("cell").nth(4)).to_have_text(waiting)
    row.get_by_role("button", name=f"Map {TYPE} to {TYPE}").click()
    notice(page, "Mapped.")
    expect(row).to_contain_text("By hand")
    expect(row.get_by_role("cell").nth(4)).to_have_text("")
    assert stored(site, f"SELECT kimai_activity_id FROM sync.activity_mappings WHERE type_id = ({TYPE_ID})") != []
    asked = "SELECT DISTINCT day FROM sync.day_requests WHERE reason = 'mapping' AND day BETWEEN '{}' AND '{}'"
    assert stored(site, asked.format(*WEEK)) != []
    page.wait_for_function("document.querySelector('#mappings').contains(document.activeElement)")


def test_what_has_no_fitting_suggestion_is_mapped_by_searching(visit: Visit):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    row_of(page, TYPE).get_by_role("button", name=f"Choose …: {TYPE}").click()
    dialog = accessible(page, f"Map {TYPE}")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Search: Activity in Kimai").fill("sonst")
    expect(dialog).to_contain_text("1 found")
    dialog.get_by_role("radio", name="Sonstiges").click()
    dialog.get_by_role("button", name="Save").click()
    notice(page, "Mapped.")
    expect(row_of(page, TYPE)).to_contain_text("Sonstiges")


def test_a_mapping_for_one_organization_is_added_changed_and_deleted(visit: Visit):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    page.get_by_role("button", name="Add", exact=True).click()
    accessible(page, "Map an activity type")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio", name="Beratung").click()
    dialog.get_by_role("radio", name="Sonstiges").click()
    dialog.get_by_text("Only for one organization").click()
    dialog.get_by_label("Search: Organization in Zammad").fill("hartmann")
    expect(dialog).to_contain_text("1 found")
    dialog.get_by_role("radio", name="Hartmann Maschinenbau AG").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    row = row_of(page, "only for Hartmann Maschinenbau AG")
    expect(row).to_contain_text("Sonstiges")
    row.get_by_role("button", name="Change: Beratung").click()
    dialog.get_by_role("radio", name="Remote-Support").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text("Remote-Support")
    row.get_by_role("button", name="Delete: Beratung").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    notice(page, "Deleted.")
    expect(row).to_have_count(0)


def test_filters_find_parts_of_names_on_both_sides_and_say_how_many(visit: Visit):
    page = visit(Role.VIEWER).open("/mappings")
    rows = page.locator("#mappings tbody").get_by_role("row")
    everybody = page.get_by_role("button", name=re.compile(r"^All \("))
    before = everybody.inner_text()
    page.get_by_role("textbox", name="Search").fill("berg ann")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Anna Berger")
    expect(everybody).to_have_text("All (1)")
    page.get_by_role("textbox", name="Search").fill("nobody is called anything so")
    expect(page.locator("#mappings")).to_contain_text("Search for something else, or show all.")
    page.get_by_role("textbox", name="Search").fill("")
    expect(everybody).to_have_text(before)
    shows(page, "Without partner")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Tim Reuter")
    expect(rows).to_contain_text("Unknown e-mail")
    shows(page, "Automatic")
    expect(rows.first).to_contain_text("E-mail")
    expect(row_of(page, "Tim Reuter")).to_have_count(0)


def test_it_says_how_each_agent_is_known_and_since_when(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open("/mappings")
    (agent, since) = (
        stored(site, query)[0]
        for query in (
            "SELECT a.name FROM zammad.agents a JOIN sync.carried_agents c ON c.agent_id = a.id ORDER BY a.id",
            "SELECT c.updated_at FROM zammad.agents a JOIN sync.carried_agents c ON c.agent_id = a.id ORDER BY a.id",
        )
    )
    row = row_of(page, agent)
    expect(row).to_contain_text("E-mail")
    words = Words(Language.ENGLISH, ZoneInfo("Europe/Berlin"))
    expect(row).to_contain_text(words.day(since.astimezone(words.zone).date()))
    page.get_by_role("button", name="Customers").click()
    expect(row_of(page, "Stadtwerke Auental")).to_contain_text("1 Oct 2025")


def test_customers_are_chosen_among_those_of_the_same_name(visit: Visit):
    page = visit(Role.OPERATOR).open("/mappings?kind=customer")
    expect(page.get_by_role("button", name="Customers (1 open)")).to_have_attribute("aria-pressed", "true")
    row = row_of(page, "Hartmann Maschinenbau AG")
    expect(row).to_contain_text("Same name")
    row.get_by_role("button", name="Map Hartmann Maschinenbau AG to Hartmann Maschinenbau AG").click()
    expect(row).to_contain_text("By hand")
    expect(page.get_by_role("button", name="Customers", exact=True)).to_be_visible()


def test_that_two_agents_are_one_user_is_confirmed_and_stays_to_be_seen(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open("/mappings?kind=user")
    row_of(page, "Tim Reuter").get_by_role("button", name="Choose …: Tim Reuter").click()
    dialog = page.get_by_role("dialog").filter(has_text="User in Kimai")
    dialog.get_by_role("radio", name="Anna Berger").click()
    dialog.get_by_role("button", name="Save").click()
    question = page.get_by_role("dialog").filter(has_text="Two agents would be one Kimai user")
    expect(question).to_contain_text("would get the time of")
    agent = "(SELECT id FROM zammad.agents WHERE name = 'Tim Reuter')"
    query = f"SELECT kimai_user_id FROM sync.user_mappings WHERE agent_id = {agent}"
    assert stored(site, query) == []
    question.get_by_role("button", name="They are one person").click()
    shows(page, "To check")
    expect(row_of(page, "also Anna Berger")).to_contain_text("Tim Reuter")
    expect(row_of(page, "also Tim Reuter")).to_contain_text("Anna Berger")
    assert len(stored(site, query)) == 1


def test_what_is_only_likely_is_confirmed_with_one_click(visit: Visit, site: Site):
    change = "UPDATE kimai.users SET email = '{}' WHERE username = 'anna.berger' RETURNING id"
    (address,) = stored(site, "SELECT email FROM kimai.users WHERE username = 'anna.berger'")
    (user,) = stored(site, change.format("new@nordlicht-it.example"))
    try:
        page = visit(Role.OPERATOR).open("/mappings")
        row = row_of(page, "Anna Berger")
        expect(row).to_contain_text("Earlier time")
        expect(row).to_contain_text("likely")
        row.get_by_role("button", name="Confirm: Anna Berger").click()
        notice(page, "Mapped.")
        expect(row).to_contain_text("By hand")
        agent = "(SELECT id FROM zammad.agents WHERE name = 'Anna Berger')"
        assert stored(site, f"SELECT kimai_user_id FROM sync.user_mappings WHERE agent_id = {agent}") == [user]
    finally:
        stored(site, change.format(address))


def test_customers_and_robots_are_not_offered_as_people(visit: Visit, site: Site):
    with SandboxControl(site.variables["ZK_ZAMMAD_URL"]) as zammad:
        rows = zammad.state()["state"]["users"]
    people = list(rows.values()) if isinstance(rows, dict) else rows
    customer = next(row for row in people if "ticket.customer" in row["permissions"])
    (robot,) = stored(
        site, "UPDATE kimai.users SET system_account = true WHERE username = 'jens.krueger' RETURNING name"
    )
    page = visit(Role.OPERATOR).open("/mappings")
    page.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Search: Agent in Zammad").fill(f"{customer['firstname']} {customer['lastname']}".strip())
    expect(dialog).to_contain_text("0 found")
    dialog.get_by_label("Search: User in Kimai").fill(robot)
    expect(dialog.get_by_text("0 found")).to_have_count(2)
    stored(site, "UPDATE kimai.users SET system_account = false RETURNING id")


def test_a_file_is_tried_first_and_each_bad_line_is_named(visit: Visit):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    dialog = upload(page, f"{HEADER}activity,{TYPE},Sonstiges\nactivity,Segeln,Sonstiges\nuser,,anna.berger\n")
    expect(dialog).to_contain_text("Correct 2 lines")
    lines = dialog.get_by_role("listitem")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("Line 3, column zammad: no activity type in Zammad fits 'Segeln'")
    expect(lines.last).to_contain_text("Line 4, column zammad: the value is missing")
    expect(dialog.get_by_role("button", name="Apply")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()
    expect(row_of(page, TYPE)).to_contain_text("Not mapped")


def test_nothing_of_a_file_changes_before_it_is_taken_over(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    dialog = upload(page, f"{HEADER}activity,{TYPE},Sonstiges\nactivity,Beratung,Consulting\n")
    expect(dialog).to_contain_text("1 new, 0 changed, 1 unchanged")
    changes = dialog.get_by_role("row").filter(has_text=TYPE)
    expect(changes).to_contain_text("Sonstiges")
    query = f"SELECT type_id FROM sync.activity_mappings WHERE type_id = ({TYPE_ID})"
    assert stored(site, query) == []
    dialog.get_by_role("button", name="Apply").click()
    expect(row_of(page, TYPE)).to_contain_text("Sonstiges")
    assert len(stored(site, query)) == 1


def test_what_was_imported_is_exported_and_can_be_imported_again(visit: Visit, tmp_path: Path):
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    dialog = upload(page, f"{HEADER}activity,{TYPE},Sonstiges\n")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog).to_have_count(0)
    expect(row_of(page, TYPE)).to_contain_text("Sonstiges")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    content = file.read_text(encoding="utf-8")
    assert file.name == "mappings.csv"
    assert [line.count("id:") for line in content.splitlines() if line.endswith(f",{TYPE},Sonstiges")] == [2]
    dialog = upload(page, content)
    expect(dialog).to_contain_text("0 new, 0 changed")
    expect(dialog).to_contain_text("Everything in the file is set already.")


def test_html_in_an_organizations_name_is_shown_as_text(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open("/mappings?kind=customer")
    with renamed(site, "Hartmann Maschinenbau AG", SCRIPT):
        page.get_by_role("button", name="Read the names of both systems again").click()
        notice(page, "The names of both systems were read again.")
        page.get_by_role("button", name="Add", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Search: Organization in Zammad").fill("<img")
        expect(dialog).to_contain_text("1 found")
        dialog.get_by_role("radio", name=SCRIPT).click()
        dialog.get_by_role("radio", name="A new customer of its own").click()
        dialog.get_by_role("button", name="Save").click()
        expect(dialog).to_have_count(0)
        expect(row_of(page, SCRIPT)).to_be_visible()
        page.get_by_role("button", name=f"Delete: {SCRIPT}").click()
        expect(page.get_by_role("dialog").get_by_text(SCRIPT)).to_be_visible()
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("body").get_attribute("data-hacked") is None


def test_before_both_systems_are_connected_it_says_what_to_do_first(visit: Visit, site: Site):
    switch = text("UPDATE sync.connectors SET active = :active WHERE name = 'kimai'")
    with site.database.transaction() as connection:
        connection.execute(switch, {"active": False})
    page = visit(Role.OPERATOR).open(f"/mappings{TYPES}")
    expect(page.locator("#mappings")).to_contain_text("Connect Zammad and Kimai first")
    expect(page.locator("#mappings").get_by_role("link", name="Set up the connectors")).to_have_attribute(
        "href", "/connectors"
    )
    with site.database.transaction() as connection:
        connection.execute(switch, {"active": True})


def test_two_operators_do_not_undo_each_others_change(visit: Visit):
    slow, quick = visit(Role.OPERATOR).open(f"/mappings{TYPES}"), visit(Role.ADMIN).open(f"/mappings{TYPES}")
    for page in (slow, quick):
        page.get_by_role("button", name="Change: Beratung").click()
    for page, target in ((quick, "Sonstiges"), (slow, "Remote-Support")):
        page.get_by_role("dialog").get_by_role("radio", name=target).click()
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        if page is quick:
            notice(page, "Mapped.")
    notice(slow, "this mapping was changed meanwhile, to Sonstiges.")


def test_viewers_see_everything_and_can_change_nothing(visit: Visit):
    page = visit(Role.VIEWER).open(f"/mappings{TYPES}")
    expect(row_of(page, TYPE)).to_be_visible()
    expect(page.get_by_role("link", name="Export CSV")).to_be_visible()
    assert page.get_by_role("row").get_by_role("button").count() == 0
    for name in ("Add", "Import CSV", "Read the names of both systems again"):
        assert page.get_by_role("button", name=name, exact=True).count() == 0


def test_the_dialogs_fit_a_phone_and_name_their_controls(visit: Visit):
    page = visit(Role.OPERATOR, width=PHONE).open(f"/mappings{TYPES}")
    page.get_by_role("button", name="Add", exact=True).press("Enter")
    expect(page.get_by_role("dialog").get_by_role("radio", name="Beratung")).to_be_visible()
    assert overflow(page) <= 0
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Add", exact=True)).to_be_focused()
