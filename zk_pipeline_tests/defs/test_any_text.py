"""Any text goes to Kimai and back: the marker is found, the next run writes nothing, and text stays text."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from zk_pipeline.domain.markers import marked_ids
from zk_pipeline_tests.defs.world import MONDAY, World, at

AWKWARD = (
    "<b>URGENT</b> <script>alert(1)</script> &amp; &lt;",
    "NAS full 😱 👩‍👩‍👧‍👦 🏳️‍🌈 \U0001f1e9\U0001f1ea e\u0301",
    "\u05de\u05d3\u05e4\u05e1\u05ea \u202e\u0645\u0631\u062d\u0628\u0627\u202c 123",
    "\u202etxet a fo dne eht]6-dammaz-kz[",
    "[zk-zammad-1] [zk-zammad-2 zk-zammad-3]",
    "[zk-zam[zk-zammad-6]mad-7]",
    "tab\there, line\nbreak, return\r, bell\x07, nbsp\xa0, bom\ufeff, zero\u200bwidth",
    "'; DROP TABLE sync.pushes; -- \\ {ticket_number} %s ${HOME} #{ticket.id}",
    "=SUM(A1) @x +1 -1",
    " ",
    "x" * 250,
)
TITLES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
MIXED = st.lists(st.sampled_from(AWKWARD) | TITLES, min_size=1, max_size=3).map(lambda parts: " ".join(parts)[:250])
BATCH = st.lists(MIXED, min_size=12, max_size=12)


def book(world: World, title: str, minute: int) -> int:
    """A booking on a ticket of this title, for an organization of this name."""
    server = world.desk.server
    organization = server.add_organization(title)
    person = server.add_user(f"{organization}@customer.example", organization_id=organization)
    ticket = server.add_ticket(title, customer_id=person, organization_id=organization)
    moment = at("08:00") + timedelta(minutes=minute)
    return server.book(ticket, world.desk.agents["anna"], "5", world.desk.support, moment)


def carried(world: World, titles: list[str]) -> list[int]:
    """Bookings with these titles, each with one time sheet whose description has its marker and no other."""
    bookings = [book(world, title, number) for number, title in enumerate(titles)]
    world.sync()
    for booking in bookings:
        description = world.office.sheet(booking).description or ""
        assert marked_ids(description, "zammad") == (str(booking),), description
    return bookings


def assert_in_sync(world: World, bookings: list[int]) -> None:
    """Everything stands as it is: nothing waits, and another run writes nothing."""
    assert world.reasons() == []
    before = world.office.rows
    report = world.sync()
    assert (report.counts["in_sync"], report.to_json()["requests"]["kimai"]["write"]) == (len(before), 0)
    assert world.office.rows == before
    plan = "SELECT count(*) FROM sync.reconciliation_results WHERE status = 'in_sync'"
    assert world.value(plan) == len(before) >= len(bookings)


def test_markup_emoji_right_to_left_text_and_what_looks_like_a_marker_are_text(world: World) -> None:
    assert_in_sync(world, carried(world, list(AWKWARD)))


@settings(
    deadline=None,
    max_examples=3,
    phases=[Phase.generate],  # Each example is two runs: one that fails is looked at as it is.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(titles=BATCH)
def test_any_title_and_name_is_carried_over_once_and_found_again(world: World, titles: list[str]) -> None:
    assert_in_sync(world, carried(world, titles))


@pytest.mark.parametrize("title", [AWKWARD[0], AWKWARD[2]])
def test_a_title_that_changes_does_not_touch_what_kimais_people_own(world: World, title: str) -> None:
    booking = world.desk.book(30)
    world.sync(MONDAY)
    before = world.office.sheet(booking)
    world.desk.server.state.tickets[world.desk.tickets["acme"]].title = title
    world.sync(MONDAY)
    assert world.office.sheet(booking) == before
    assert world.reasons() == []
