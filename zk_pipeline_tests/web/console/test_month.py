"""The month in the console: from everything decided to closed, without a terminal, and the way back."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.credits import credited
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import (
    CUSTOMER,
    CUSTOMER_ID,
    FIRST,
    LAST,
    PHONE,
    Site,
    accessible,
    below,
    overflow,
    standing,
    violations,
    zk,
)
from zk_sandbox.server import SandboxProcess

MONTH = FIRST[:7]
MOST_CLICKS = 8
REASONS = "SELECT array_agg(DISTINCT reason) FROM sync.conflicts WHERE resolution_status = 'open'"
EVENTS = f"SELECT string_agg(event, ' ' ORDER BY id) FROM sync.audit_logs WHERE subject = 'period:{MONTH}'"
# The other days of the month, of which the demo has hundreds of bookings, count as read and empty.
READ = """
    INSERT INTO sync.sweeps (connector, subject, window_start, window_end, complete, run_id, ended_at)
    SELECT name, 'tests', '2025-09-30 22:00+00', '2025-10-31 23:00+00', true, 'tests', now()
    FROM unnest(ARRAY['zammad', 'kimai']) AS name
"""
READ_NOW = "UPDATE sync.sweeps SET complete = true, ended_at = now() WHERE subject = 'tests'"
# What the customer had last month: an hour, like one of its bookings of this month.
BEFORE = (
    f"""
    INSERT INTO kimai.timesheets
    SELECT earlier.* FROM kimai.timesheets sheet, jsonb_populate_record(sheet, jsonb_build_object(
        'id', 900002, 'begin_at', '2025-09-10T08:00:00Z')) earlier
    WHERE sheet.id = (
        SELECT min(kimai_id) FROM marts.int_entries_named WHERE customer_id = {CUSTOMER_ID} AND minutes_kimai > 0)
    """,
    f"""
    INSERT INTO marts.fct_time_entries
    SELECT earlier.* FROM marts.fct_time_entries entry, jsonb_populate_record(entry, jsonb_build_object(
        'entry_key', 'earlier', 'entry_date', '2025-09-10', 'kimai_id', 900002,
        'minutes_kimai', 60)) earlier
    WHERE entry.kimai_id = (
        SELECT min(kimai_id) FROM marts.int_entries_named WHERE customer_id = {CUSTOMER_ID} AND minutes_kimai > 0)
    """,
    f"""
    INSERT INTO marts.statement_lines
    SELECT earlier.* FROM marts.statement_lines line, jsonb_populate_record(line, jsonb_build_object(
        'month', '2025-09-01', 'minutes_kimai', 60)) earlier
    WHERE line.ctid = (SELECT min(ctid) FROM marts.statement_lines WHERE customer_id = {CUSTOMER_ID})
    """,
)
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Days of the demo in which everything that waited was left out."""
    home = tmp_path_factory.mktemp("month")
    with SandboxProcess("demo") as systems, standing(home, systems, [(FIRST, LAST)]) as running:
        for reason in running.value(REASONS):
            zk(home, running.variables, "conflicts", "resolve", "ignore", "--reason", reason, "--why", "tests", "--yes")
        running.sync(FIRST, LAST)
        zk(home, running.variables, "statement", MONTH)
        with running.database.transaction() as connection:
            connection.execute(text(READ))
        yield running


@pytest.fixture(autouse=True)
def open_again(site: Site) -> Iterator[None]:
    """After each test the month is open, nobody has reviewed anything, and no day is requested."""
    yield
    change(site, *(f"DELETE FROM sync.{table}" for table in ("closed_statements", "periods", "customer_reviews")))
    change(site, "DELETE FROM sync.adjustments", "DELETE FROM sync.day_requests WHERE claimed_by_run IS NULL")


def change(site: Site, *statements: str) -> None:
    with site.database.transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))


def step(page: Page, name: str) -> Locator:
    return page.locator(f"[data-step={name}]")


def close(page: Page) -> Locator:
    """Open the dialog that closes the month, and type its name."""
    page.get_by_role("button", name="Close October 2025…").click()
    dialog = page.get_by_role("dialog", name="Close October 2025")
    dialog.get_by_label("Type October 2025 to close it").fill("October 2025")
    return dialog


def counting(page: Page) -> Callable[[], int]:
    """How many clicks the page has got from now on, also after it was loaded again."""
    page.add_init_script(
        "addEventListener('click', e => e.isTrusted && e.detail && "
        "sessionStorage.setItem('clicks', 1 + +(sessionStorage.getItem('clicks') || 0)), true)"
    )
    return lambda: int(page.evaluate("sessionStorage.getItem('clicks')") or 0)


def test_from_nothing_waits_to_the_closed_month_takes_few_clicks_and_no_terminal(visit: Visit, site: Site):
    visitor = visit(Role.ADMIN, own=True)
    clicks = counting(visitor.page)
    page = visitor.open("/")
    page.get_by_role("link", name="Month", exact=True).click()
    for name in ("synced", "decided", "balanced"):
        expect(step(page, name)).to_have_class(re.compile("zk-step-done"))
    expect(step(page, "reviewed")).to_have_attribute("aria-current", "step")
    page.get_by_role("button", name=re.compile(r"^Tick all \d+$")).click()
    expect(step(page, "reviewed")).to_contain_text("Every customer is reviewed.")
    dialog = close(page)
    expect(dialog.get_by_text("Nothing is left to do.")).to_be_visible()
    dialog.get_by_role("button", name="Close the month").click()
    expect(page.get_by_text(re.compile(r"^Closed on .* by Admin, and unchanged since\.$"))).to_be_visible()
    assert 3 < clicks() <= MOST_CLICKS
    assert page.request.get(f"{site.url}/api/v1/statements/{MONTH}").json()["stale_days"] == []
    assert site.value("SELECT count(*) FROM sync.periods WHERE reopened_at IS NULL") == 1
    assert site.value(EVENTS).split()[-1] == "period.closed"
    assert site.value("SELECT count(*) FROM sync.customer_reviews") == site.value(
        "SELECT count(DISTINCT (customer_id, customer)) FROM marts.statement_lines WHERE month = '2025-10-01'"
    )


@pytest.fixture
def earlier(site: Site) -> Iterator[None]:
    change(site, *BEFORE)
    yield
    change(site, "DELETE FROM kimai.timesheets WHERE id = 900002")
    change(site, "DELETE FROM marts.statement_lines WHERE month = '2025-09-01'")
    change(site, "DELETE FROM marts.fct_time_entries WHERE entry_key = 'earlier'")


@pytest.mark.usefixtures("earlier")
def test_a_customer_is_ticked_with_its_change_in_view_and_the_tick_lapses_when_its_time_changes(
    visit: Visit, site: Site
):
    page = visit(Role.OPERATOR).open("/statement")
    row = page.get_by_role("row").filter(has_text=CUSTOMER)
    expect(row.locator("td[data-label='Against September 2025']")).to_contain_text(re.compile(r"^\+.* \(\+\d+.%\)"))
    expect(row.locator(".zk-causes")).to_contain_text(re.compile(r"#\d+ \+"))
    tick = page.get_by_role("checkbox", name=f"Reviewed: {CUSTOMER}")
    tick.click()
    expect(row).to_contain_text("Operator, ")
    expect(tick).to_be_checked()
    expect(tick).to_be_focused()
    assert site.value("SELECT customer FROM sync.customer_reviews") == str(site.value(f"SELECT {CUSTOMER_ID}"))
    more = "UPDATE marts.fct_time_entries SET minutes_kimai = minutes_kimai {} 1 WHERE entry_key = '{}'"
    key = site.value(
        f"SELECT max(entry_key) FROM marts.int_entries_named WHERE customer_id = {CUSTOMER_ID} AND minutes_kimai > 1"
        " AND booking_month = '2025-10-01'"
    )
    change(site, more.format("-", key))
    page.reload()
    expect(row).to_contain_text("Changed since Operator looked at it")
    expect(tick).not_to_be_checked()
    change(site, more.format("+", key))
    page.reload()
    expect(tick).to_be_checked()
    tick.click()
    expect(tick).not_to_be_checked()
    expect(row).not_to_contain_text("Operator, ")
    assert site.value("SELECT count(*) FROM sync.customer_reviews") == 0
    assert site.value(EVENTS).split()[-2:] == ["review.made", "review.withdrawn"]


def test_a_month_is_closed_by_its_name_alone_tagged_if_dagster_answers_and_reopened_for_a_reason(
    visit: Visit, site: Site
):
    page = visit(Role.ADMIN).open("/statement")
    dialog = close(page)
    expect(dialog.get_by_text(re.compile(r"^Customers not reviewed: \d+\.$"))).to_be_visible()
    dialog.get_by_label("Type October 2025 to close it").fill("September 2025")
    dialog.get_by_role("button", name="Close the month").click()
    expect(dialog.get_by_text("This is not October 2025.")).to_be_visible()
    assert site.value("SELECT count(*) FROM sync.periods") == 0
    dialog.get_by_role("checkbox", name=f"Tag its time sheets in Kimai with billed:{MONTH}").click()
    dialog.get_by_label("Type October 2025 to close it").fill("October 2025")
    dialog.get_by_role("button", name="Close the month").click()
    expect(page.get_by_role("alert").filter(has_text="its time sheets are not tagged")).to_be_visible()
    expect(page.get_by_role("button", name="Tag in Kimai")).to_be_visible()
    assert page.locator("[data-step]").count() == 0
    page.get_by_role("alert").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Reopen…").click()
    dialog = accessible(page, "Reopen October 2025")
    dialog.get_by_role("button", name="Reopen the month").click()
    expect(below(dialog, "Reason")).to_contain_text("Say why it is reopened.")
    dialog.get_by_label("Reason").fill("Travel is missing.")
    dialog.get_by_role("button", name="Reopen the month").click()
    expect(step(page, "closed")).to_be_visible()
    assert site.value("SELECT reopened_reason FROM sync.periods") == "Travel is missing."
    assert site.value(EVENTS).split()[-3:] == ["period.closed", "tagging.requested", "period.reopened"]


@pytest.fixture
def waiting(site: Site) -> Iterator[None]:
    """One decision is open again, as a change of its booking would open it."""
    first = "(SELECT min(id) FROM sync.conflicts WHERE resolution_status <> 'open')"
    was = site.value(f"SELECT resolution_status FROM sync.conflicts WHERE id = {first}")
    number = site.value(f"SELECT {first}")
    change(site, f"UPDATE sync.conflicts SET resolution_status = 'open' WHERE id = {number}")
    yield
    change(site, f"UPDATE sync.conflicts SET resolution_status = '{was}' WHERE id = {number}")


@pytest.mark.usefixtures("waiting")
def test_what_waits_is_told_with_its_hours_and_has_to_be_agreed_to(visit: Visit, site: Site):
    page = visit(Role.ADMIN).open("/statement")
    expect(step(page, "decided")).to_contain_text(re.compile(r"wait\. Bookings: 1\."))
    link = step(page, "decided").get_by_role("link", name="See what waits")
    expect(link).to_have_attribute("href", "/reconcile")
    dialog = close(page)
    dialog.get_by_role("button", name="Close the month").click()
    expect(dialog.get_by_text("Tick “Close with waiting”, or decide first.")).to_be_visible()
    dialog.get_by_role("checkbox", name="Close with waiting").click()
    dialog.get_by_role("button", name="Close the month").click()
    expect(page.get_by_role("button", name="Reopen…")).to_be_visible()
    assert site.value("SELECT count(*) FROM sync.periods") == 1


@pytest.fixture
def undecided(site: Site) -> Iterator[None]:
    """Every question is open, one of them about a correction that fits nothing; one is about no booking."""
    kept = ("sync.conflicts", "sync.normalized_entries")
    change(site, *(f"CREATE TABLE public.kept_{table[5:]} AS TABLE {table}" for table in kept))
    change(
        site,
        """UPDATE sync.conflicts SET resolution_status = 'open' WHERE id IN (
            SELECT max(id) FROM sync.conflicts GROUP BY connector, key, reason)""",
        """UPDATE sync.conflicts SET reason = 'unmatched_correction' WHERE id = (
            SELECT min(id) FROM sync.conflicts WHERE source_id IS NOT NULL)""",
        """UPDATE sync.normalized_entries SET booked_minutes = -30, time_minutes = 0, open_minutes = 30
            WHERE source_id = (SELECT source_id FROM sync.conflicts WHERE reason = 'unmatched_correction' LIMIT 1)""",
        "UPDATE sync.conflicts SET key = 'kimai:1', source_id = NULL WHERE id = (SELECT max(id) FROM sync.conflicts)",
    )
    yield
    change(
        site,
        "UPDATE sync.conflicts now SET resolution_status = was.resolution_status, reason = was.reason, key = was.key, "
        "source_id = was.source_id FROM public.kept_conflicts was WHERE was.id = now.id",
        "UPDATE sync.normalized_entries now SET booked_minutes = was.booked_minutes, time_minutes = was.time_minutes, "
        "open_minutes = was.open_minutes FROM public.kept_normalized_entries was WHERE was.source_id = now.source_id",
        *(f"DROP TABLE public.kept_{table[5:]}" for table in kept),
    )


@pytest.mark.usefixtures("undecided")
def test_home_and_month_tell_the_same_of_what_waits(visit: Visit, site: Site):
    page = visit(Role.VIEWER).open("/statement")
    said = step(page, "decided").locator(".zk-muted")
    expect(said).to_contain_text("wait. Bookings:")
    found = re.fullmatch(r"(.+) wait\. Bookings: (\d+)\.", said.inner_text())
    assert found is not None
    assert int(found[2]) > 1
    page.goto(f"{site.url}/dashboard")
    expect(page.locator(".zk-status")).to_contain_text(f"October 2025: {found[1]} in {found[2]} bookings wait.")


@pytest.fixture
def unread(site: Site) -> Iterator[None]:
    """Of the month only the three synced days were read."""
    change(site, "UPDATE sync.sweeps SET complete = false, ended_at = NULL WHERE subject = 'tests'")
    yield
    change(site, READ_NOW)


@pytest.mark.usefixtures("unread")
def test_days_that_were_not_read_are_asked_for_and_block_nothing_else(visit: Visit, site: Site):
    page = visit(Role.OPERATOR).open("/statement")
    expect(step(page, "synced")).to_contain_text("Days that were not read yet: 28.")
    page.get_by_role("button", name="Sync the month").click()
    expect(page.get_by_role("alert").filter(has_text="The days are queued.")).to_be_visible()
    assert site.value("SELECT count(DISTINCT day) FROM sync.day_requests WHERE claimed_by_run IS NULL") == 31
    change(site, READ_NOW)
    page.reload()
    expect(step(page, "synced")).to_contain_text("Days queued for a sync: 31.")
    expect(step(page, "synced").get_by_role("link", name="Runs")).to_have_attribute("href", "/runs")
    expect(step(page, "closed")).to_contain_text("Finish the steps above first.")


def test_a_viewer_sees_the_steps_and_who_takes_them_and_an_operator_closes_nothing(visit: Visit):
    for role in (Role.VIEWER, Role.OPERATOR):
        page = visit(role).open("/statement")
        expect(step(page, "closed")).to_contain_text("An admin can close it.")
        assert page.get_by_role("button", name="Close October 2025…").count() == 0
    page = visit(Role.VIEWER).open("/statement")
    expect(step(page, "reviewed")).to_be_visible()
    assert page.get_by_role("checkbox").count() == 0
    assert page.get_by_role("button", name=re.compile("^Tick all")).count() == 0


@pytest.fixture
def edited(site: Site) -> Iterator[Callable[[], None]]:
    """Changes a booking of the month when it is called, and takes that back."""
    more = "UPDATE sync.normalized_entries SET time_minutes = time_minutes {} 1 WHERE source_id = '{}'"
    booking, done = site.value("SELECT min(source_id) FROM sync.normalized_entries"), list[str]()

    def edit() -> None:
        change(site, more.format("+", booking))
        done.append(booking)

    yield edit
    for each in done:
        change(site, more.format("-", each))


def test_one_sentence_says_what_changed_since_the_month_was_closed(visit: Visit, edited: Callable[[], None]):
    page = visit(Role.ADMIN).open("/statement")
    close(page).get_by_role("button", name="Close the month").click()
    expect(page.get_by_text("and unchanged since.")).to_be_visible()
    assert page.get_by_role("button", name="Bring up to date").count() == 0
    edited()
    page.reload()
    expect(page.get_by_text("Days that changed since this statement was made: 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Bring up to date")).to_have_count(1)
    assert page.get_by_text("unchanged since").count() == page.get_by_text("changed since.").count() == 0


def test_an_operator_settles_a_credit_and_a_viewer_only_reads_it(visit: Visit, site: Site):
    with site.database.transaction() as connection:
        number = credited(connection)
    viewer = visit(Role.VIEWER).open("/statement")
    expect(viewer.get_by_role("table", name="Credits to settle")).to_contain_text("The booking is gone.")
    assert viewer.get_by_role("button", name=re.compile("Settle")).count() == 0
    page = visit(Role.OPERATOR).open("/statement")
    page.get_by_role("button", name="Settle the credit").click()
    dialog = accessible(page, "Settle the credit of ZO7")
    expect(dialog).to_contain_text("15")
    dialog.get_by_role("button", name="Settle", exact=True).click()
    expect(below(dialog, "How it was settled")).to_contain_text("Say how it was settled.")
    dialog.get_by_label("How it was settled").fill("credit note 2025-113")
    dialog.get_by_role("button", name="Settle", exact=True).click()
    expect(page.get_by_role("table", name="Credits to settle")).to_have_count(0)
    assert site.value(f"SELECT note FROM sync.adjustments WHERE id = {number}") == "credit note 2025-113"
    assert site.value("SELECT count(*) FROM sync.audit_logs WHERE event = 'credit.settled'") == 1


def test_the_address_names_month_and_customer(visit: Visit, site: Site):
    customer = site.value(f"SELECT {CUSTOMER_ID}")
    page = visit(Role.VIEWER).open(f"/statement?month={MONTH}&customer={customer}")
    expect(page.get_by_role("combobox", name="Customer")).to_have_value(CUSTOMER)
    expect(page.get_by_role("table", name="Time by ticket")).to_be_visible()


@pytest.mark.parametrize(("width", "locale"), [(PHONE, "de-DE"), (1280, "en-GB")])
def test_the_month_and_its_closing_fit_the_screen_and_are_readable(visit: Visit, width: int, locale: str):
    page = visit(Role.ADMIN, width=width, locale=locale).open("/statement")
    expect(step(page, "closed")).to_be_visible()
    assert overflow(page) <= 0
    assert violations(page) == []
    step(page, "closed").get_by_role("button").click()
    dialog = accessible(page, {"en-GB": "Close October 2025", "de-DE": "Oktober 2025 abschließen"}[locale])
    box = dialog.locator(".zk-dialog").bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    assert violations(page) == []
