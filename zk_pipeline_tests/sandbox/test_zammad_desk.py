"""What changes in the simulated Zammad do to the rows around them (docs/zammad.md §5, §11), and its snapshots."""

from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline_tests.sandbox.conftest import NOON
from zk_sandbox.zammad import ZammadServer
from zk_sandbox.zammad.desk import RefusedError

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def desk():
    server = ZammadServer()
    server.configure({"now": NOON.isoformat()})
    return server


@pytest.fixture
def agent(desk):
    return desk.add_agent("anna@example.net")


@pytest.fixture
def ticket(desk):
    return desk.add_ticket("Case", at=NOON)


def times(desk, entry, ticket):
    return desk.state.accountings.get(entry).updated_at, desk.state.tickets[ticket].updated_at


def test_a_new_number_moves_the_entry_and_the_ticket(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    desk.edit(entry, LATER, units=12)
    assert times(desk, entry, ticket) == (LATER, LATER)
    assert desk.state.tickets[ticket].time_unit == 12


def test_a_new_type_moves_the_entry_but_not_the_ticket(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    desk.edit(entry, LATER, type_id=desk.add_type("Support"))
    assert times(desk, entry, ticket) == (LATER, NOON)


def test_an_edit_that_changes_nothing_moves_nothing(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    desk.edit(entry, LATER, units="10.00")
    assert times(desk, entry, ticket) == (NOON, NOON)


def test_a_booking_of_zero_leaves_the_ticket_as_it_was(desk, agent, ticket):
    desk.book(ticket, agent, 0, None, LATER)
    assert (desk.state.tickets[ticket].updated_at, desk.state.tickets[ticket].time_unit) == (NOON, None)


def test_a_negative_booking_corrects_the_total(desk, agent, ticket):
    desk.book(ticket, agent, 120)
    desk.book(ticket, agent, -100)
    assert desk.state.tickets[ticket].time_unit == 20


def test_a_deleted_entry_leaves_the_total_at_zero_and_its_id_unused(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    desk.delete(entry, LATER)
    assert desk.state.tickets[ticket].time_unit == Decimal(0)
    assert desk.state.tickets[ticket].updated_at == LATER
    assert desk.book(ticket, agent, 10) > entry


def test_a_deleted_article_takes_its_entry_along(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10, article="Done")
    article = desk.state.accountings.get(entry).ticket_article_id
    desk.delete_article(article)
    assert (len(desk.state.accountings), desk.state.tickets[ticket].time_unit) == (0, 0)


def test_a_deleted_ticket_takes_articles_and_entries_along(desk, agent, ticket):
    kept = desk.book(desk.add_ticket("Other"), agent, 5)
    desk.book(ticket, agent, 10, article="Done")
    desk.delete_ticket(ticket)
    assert [row.id for row in desk.state.accountings] == [kept]
    assert desk.state.articles_of(ticket) == []


def test_a_merge_moves_articles_but_neither_entries_nor_totals(desk, agent, ticket):
    target = desk.add_ticket("Target", at=NOON)
    entry = desk.book(ticket, agent, 10, article="Done")
    desk.merge(ticket, target, LATER)
    row = desk.state.accountings.get(entry)
    assert (row.ticket_id, row.updated_at) == (ticket, NOON)
    assert desk.state.articles[row.ticket_article_id].ticket_id == target
    assert (desk.state.tickets[ticket].time_unit, desk.state.tickets[target].time_unit) == (10, None)
    assert desk.state.tickets[ticket].state_id == 5


def test_the_target_of_a_merge_takes_the_sources_entry_along_when_it_is_deleted(desk, agent, ticket):
    target = desk.add_ticket("Target", at=NOON)
    kept = desk.book(ticket, agent, 5)
    desk.book(ticket, agent, 10, article="Done")
    desk.merge(ticket, target, LATER)
    desk.delete_ticket(target)
    assert [row.id for row in desk.state.accountings] == [kept]
    assert desk.state.tickets[ticket].time_unit == 5


def test_a_deleted_customer_takes_their_tickets_and_what_was_booked_along(desk, agent, ticket):
    customer = desk.add_user("kunde@example.com")
    desk.book(desk.add_ticket("Theirs", customer_id=customer), agent, 5)
    kept = desk.book(ticket, agent, 10)
    desk.delete_customer(customer)
    assert [row.id for row in desk.state.accountings] == [kept]


def test_a_reassigned_ticket_moves_its_own_time_only(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    organization = desk.add_organization("New owner")
    desk.reassign(ticket, LATER, organization_id=organization)
    assert times(desk, entry, ticket) == (NOON, LATER)
    assert desk.state.tickets[ticket].organization_id == organization


def test_the_entries_of_a_deleted_agent_become_the_system_users(desk, agent, ticket):
    entry = desk.book(ticket, agent, 10)
    desk.delete_agent(agent, LATER)
    row = desk.state.accountings.get(entry)
    assert (row.created_by_id, row.updated_at) == (1, LATER)


def test_a_renamed_type_changes_no_entry(desk, agent, ticket):
    kind = desk.add_type("Support")
    entry = desk.book(ticket, agent, 10, kind)
    desk.change_type(kind, LATER, name="Help desk")
    assert times(desk, entry, ticket) == (NOON, NOON)


def test_an_article_booked_already_cannot_take_over_another_entry(desk, agent, ticket):
    booked = desk.book(ticket, agent, 10, article="Done")
    other = desk.book(ticket, agent, 5)
    with pytest.raises(RefusedError, match="already been taken"):
        desk.edit(other, article_id=desk.state.accountings.get(booked).ticket_article_id)


def test_instants_are_kept_in_utc_so_that_the_repeated_hour_stays_in_order(desk, agent, ticket):
    berlin = ZoneInfo("Europe/Berlin")
    second = desk.book(ticket, agent, 5, None, datetime(2025, 10, 26, 2, 20, fold=1, tzinfo=berlin))
    first = desk.book(ticket, agent, 5, None, datetime(2025, 10, 26, 2, 40, tzinfo=berlin))
    rows = desk.state.accountings.page([("created_at", False)], 0, 10)
    assert [(row.id, row.created_at.hour, row.created_at.utcoffset()) for row in rows] == [
        (first, 0, timedelta(0)),
        (second, 1, timedelta(0)),
    ]


def test_a_time_without_zone_is_refused(desk, agent, ticket):
    with pytest.raises(ValueError, match="has no offset"):
        desk.book(ticket, agent, 5, None, datetime(2025, 10, 26, 2, 20))  # noqa: DTZ001 - the mistake in question


def test_ids_may_be_chosen_ahead_but_never_twice(desk, agent):
    assert desk.add_ticket("Case", ticket_id=50) == 50
    assert desk.add_ticket("Next") == 51
    with pytest.raises(ValueError, match="50 of tickets was given already"):
        desk.add_ticket("Again", ticket_id=50)


def test_a_snapshot_restores_everything_and_goes_on_with_fresh_ids(desk, agent, ticket):
    kind = desk.add_type("Support")
    desk.add_organization("Müller GmbH")
    desk.add_reader("token")
    entry = desk.book(ticket, agent, "-0.25", kind, NOON - timedelta(days=1), "Note")
    desk.configure({"zone": "Europe/Berlin"})
    copy = ZammadServer()
    copy.restore(desk.snapshot())
    assert copy.snapshot() == desk.snapshot()
    assert copy.state.accountings.get(entry) == desk.state.accountings.get(entry)
    assert copy.book(ticket, agent, 5) == entry + 1
