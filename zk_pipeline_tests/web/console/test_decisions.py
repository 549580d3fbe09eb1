"""What people decide in the console is what stands in Kimai after the next run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.identity.actors import Role
from zk_pipeline_tests.web.console.site import Site, sign_in, standing, window
from zk_sandbox.server import SandboxProcess

DAY = "2025-10-09"
TYPED_BY_HAND, ITS_BOOKING = 3, "155"
"""A time sheet that somebody typed into the demo's Kimai, and the booking that it is a duplicate of."""

CORRECTED = ("2025-10-15", "2025-10-21")
"""Days of the demo: a negative booking that fits nothing by itself, and two of other people on its ticket."""


@dataclass(frozen=True)
class Changed:
    """Time sheets of ours by what happened to them since they were written, and the bookings that they are of."""

    updated: int
    kept: int
    gone: int
    orphaned: int
    booking_of: dict[int, str]


@pytest.fixture(scope="module")
def synced(demo_systems: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing(tmp_path_factory.mktemp("decisions"), demo_systems, [(DAY, DAY)]) as site:
        yield site


@pytest.fixture(scope="module")
def changed(synced: Site) -> Changed:
    """Two time sheets edited and one deleted in Kimai, and one whose booking was deleted in Zammad; found by a run."""
    ours = {
        number: marked[0]
        for number, row in sorted(synced.timesheets(DAY, DAY).items())
        if (marked := marked_ids(row["description"] or "", "zammad"))
    }
    updated, kept, gone, orphaned, *_ = ours
    for number in (updated, kept):
        lengthen(synced, synced.timesheets(DAY, DAY)[number])
    kimai(synced, "DELETE", f"/timesheets/{gone}")
    zammad = {"authorization": f"Token token={synced.variables['ZK_ZAMMAD_TOKEN']}"}
    address = f"{synced.variables['ZK_ZAMMAD_URL']}/api/v1/time_accountings/{ours[orphaned]}"
    httpx.delete(address, headers=zammad, trust_env=False).raise_for_status()
    synced.sync(DAY, DAY)
    return Changed(updated, kept, gone, orphaned, ours)


@pytest.fixture
def page(browser: Browser, synced: Site, request: pytest.FixtureRequest) -> Iterator[Page]:
    with window(browser, synced, name=request.node.name) as visitor:
        sign_in(visitor, synced.email(Role.OPERATOR))
        yield visitor.page


def kimai(site: Site, method: str, path: str, body: dict[str, Any] | None = None) -> None:
    headers = {"authorization": f"Bearer {site.variables['ZK_KIMAI_TOKEN']}"}
    address = f"{site.variables['ZK_KIMAI_URL']}/api{path}"
    httpx.request(method, address, json=body, headers=headers, timeout=120, trust_env=False).raise_for_status()


def lengthen(site: Site, row: dict[str, Any]) -> None:
    """Let a time sheet end a minute later, as somebody might by hand."""
    end = datetime.fromisoformat(row["end"]) + timedelta(minutes=1)
    kimai(site, "PATCH", f"/timesheets/{row['id']}", {"end": end.strftime("%Y-%m-%dT%H:%M:%S")})


def decide(page: Page, site: Site, choice: str, *, booking: str = "", timesheet: int = 0) -> None:
    """Open the conflict of this booking or time sheet, and click a decision."""
    of_either = "source_id = :booking OR (source_id IS NULL AND kimai_id = :timesheet)"
    with site.database.transaction() as connection:
        query = text(f"SELECT id FROM sync.conflicts WHERE resolution_status = 'open' AND ({of_either})")
        number = connection.execute(query, {"booking": booking, "timesheet": timesheet}).scalar_one()
    page.goto(f"{site.url}/reconcile?conflict={number}")
    page.locator(".zk-pane").get_by_role("button", name=choice, exact=True).click()
    expect(page.get_by_role("alert").filter(has_text=f"{choice}: decided.").first).to_be_visible()


def test_each_decision_is_done_in_kimai_by_the_next_run(page: Page, synced: Site, changed: Changed):
    edited = synced.timesheets(DAY, DAY)
    decide(page, synced, "Update", booking=changed.booking_of[changed.updated])
    decide(page, synced, "Keep", booking=changed.booking_of[changed.kept])
    decide(page, synced, "Create", booking=changed.booking_of[changed.gone])
    decide(page, synced, "Delete", timesheet=changed.orphaned)
    decide(page, synced, "Link", booking=ITS_BOOKING)
    assert synced.timesheets(DAY, DAY) == edited, "nothing is written by deciding"

    synced.sync(DAY, DAY)
    found = synced.timesheets(DAY, DAY)
    assert found[changed.updated]["duration"] == edited[changed.updated]["duration"] - 60
    assert found[changed.kept] == edited[changed.kept]
    assert changed.gone not in found
    assert changed.booking_of[changed.gone] in synced.written(DAY, DAY), "it was created again"
    assert changed.orphaned not in found
    assert marked_ids(found[TYPED_BY_HAND]["description"], "zammad") == (ITS_BOOKING,)
    assert found[TYPED_BY_HAND]["description"].startswith(edited[TYPED_BY_HAND]["description"])


def test_a_correction_reduces_the_booking_that_is_chosen_until_that_is_taken_back(page: Page, synced: Site):
    synced.sync(*CORRECTED)
    pairs = "SELECT reduced_id FROM sync.corrections"
    with synced.database.transaction() as connection:
        number = connection.execute(
            text("SELECT id FROM sync.conflicts WHERE resolution_status = 'open' AND reason = 'unmatched_correction'")
        ).scalar_one()
    page.goto(f"{synced.url}/reconcile?conflict={number}")
    pane = page.locator(".zk-pane")
    chosen = pane.get_by_role("radio").nth(1)
    told = chosen.get_attribute("aria-label") or ""
    chosen.click()
    pane.get_by_role("button", name="Reduce", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Reduce: decided.").first).to_be_visible()
    with synced.database.transaction() as connection:
        (booking,) = connection.execute(text(pairs)).scalars()
        query = text("SELECT ticket_number FROM sync.normalized_entries WHERE source_id = :id")
        assert connection.execute(query, {"id": str(booking)}).scalar_one() in told

    page.goto(f"{synced.url}/reconcile?conflict={number}")
    page.locator(".zk-pane").get_by_role("button", name="Take the decision back").click()
    expect(page.get_by_role("alert").filter(has_text="Taken back:").first).to_be_visible()
    with synced.database.transaction() as connection:
        assert list(connection.execute(text(pairs)).scalars()) == []


def test_a_conflict_and_a_refusal_speak_german(browser: Browser, synced: Site, request: pytest.FixtureRequest):
    synced.add_user("demoted@example.com", Role.OPERATOR)
    with window(browser, synced, locale="de-DE", name=request.node.name) as visitor:
        sign_in(visitor, "demoted@example.com")
        query = "SELECT id FROM sync.conflicts WHERE resolution_status = 'open' AND kimai_id IS NOT NULL LIMIT 1"
        visitor.page.goto(f"{synced.url}/reconcile?conflict={synced.value(query)}")
        pane = visitor.page.locator(".zk-pane")
        expect(pane.locator("tr").filter(has_text="Exportiert")).to_contain_text("nein")
        with synced.database.transaction() as connection:
            connection.execute(text("UPDATE sync.users SET role = 'viewer' WHERE email = 'demoted@example.com'"))
        pane.locator(".zk-choice button").first.click()
        refusal = visitor.page.get_by_role("alert").filter(has_text="Rolle Bearbeitung nötig; Sie haben Nur lesen")
        expect(refusal).to_be_visible()
