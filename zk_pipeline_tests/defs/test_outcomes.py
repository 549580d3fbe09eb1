"""What happens to bookings and their surroundings in Zammad, and what follows from it in Kimai."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline_tests.defs.world import MONDAY, World, at
from zk_sandbox.kimai.model import Timesheet

PAGE = 1000
"""Rows of a page of Zammad's list, as the connector asks for them."""


@dataclass(frozen=True)
class Filed:
    """Anna's booking with an article on Acme's ticket and Ben's on Globex's, both of them in Kimai."""

    world: World
    booking: int
    other: int

    @property
    def sheet(self) -> Timesheet:
        return self.world.office.sheet(self.booking)

    @property
    def ticket(self) -> int:
        return self.world.desk.tickets["acme"]

    def give_ticket_to_globex(self) -> None:
        """Another customer of another organization gets the ticket."""
        server = self.world.desk.server
        to = server.state.tickets[self.world.desk.tickets["globex"]]
        server.reassign(self.ticket, customer_id=to.customer_id, organization_id=to.organization_id)


@pytest.fixture
def filed(world: World) -> Filed:
    desk = world.desk
    text = "Replaced the fuser"
    booking = desk.server.book(desk.tickets["acme"], desk.agents["anna"], "30", desk.support, at("09:00"), article=text)
    other = desk.book(45, at("15:00"), agent="ben", ticket="globex")
    world.sync()
    assert world.office.minutes() == {booking: [30], other: [45]}
    return Filed(world, booking, other)


def writes_of_a_run(world: World) -> int:
    return int(world.sync().to_json()["requests"]["kimai"]["write"])


def assert_nothing_changes(world: World, reasons: Sequence[str] = ()) -> None:
    """Two runs write nothing, leave Kimai as it is, and people are waited for because of this alone."""
    before = world.office.rows
    for _ in range(2):
        assert writes_of_a_run(world) == 0
        assert (world.office.rows, world.reasons()) == (before, list(reasons))


def assert_one_update(world: World) -> None:
    """One run writes once, and the next one has nothing left to do."""
    assert writes_of_a_run(world) == 1
    assert_nothing_changes(world)


# Deletions


def test_the_time_sheets_of_a_deleted_ticket_stay_and_each_is_asked_about(filed: Filed) -> None:
    world = filed.world
    world.desk.book(20, at("11:00"), agent="ben")
    world.sync()
    world.desk.server.delete_ticket(filed.ticket)
    assert_nothing_changes(world, ["deleted_in_zammad", "deleted_in_zammad"])
    assert len(world.office.rows) == 3


def test_the_time_sheet_of_a_deleted_article_stays_and_is_asked_about(filed: Filed) -> None:
    server = filed.world.desk.server
    accounting = server.state.accountings.get(filed.booking)
    assert accounting is not None
    assert accounting.ticket_article_id is not None
    server.delete_article(accounting.ticket_article_id)
    assert server.state.accountings.get(filed.booking) is None
    assert_nothing_changes(filed.world, ["deleted_in_zammad"])
    assert filed.world.office.minutes() == {filed.booking: [30], filed.other: [45]}


def test_the_time_sheet_of_a_deleted_booking_stays_and_is_asked_about(filed: Filed) -> None:
    filed.world.desk.server.delete(filed.booking)
    assert_nothing_changes(filed.world, ["deleted_in_zammad"])
    assert filed.world.office.minutes() == {filed.booking: [30], filed.other: [45]}


def test_the_time_sheets_of_a_deleted_agent_stay_with_the_one_who_booked(filed: Filed) -> None:
    world = filed.world
    world.desk.server.delete_agent(world.desk.agents["anna"])
    assert_nothing_changes(world)
    assert filed.sheet.user == world.office.users["anna"]


def test_a_new_address_opens_no_conflict_and_new_time_is_the_same_persons(filed: Filed) -> None:
    world = filed.world
    world.desk.server.state.users[world.desk.agents["anna"]].email = "anna@new.example"
    later = world.desk.book(20, at("11:00"))
    assert_one_update(world)
    assert (world.office.sheet(later).user, filed.sheet.user) == (world.office.users["anna"],) * 2


def test_a_later_edit_still_reaches_the_time_sheet_of_a_deleted_agent(filed: Filed) -> None:
    world, before = filed.world, filed.sheet
    world.desk.server.delete_agent(world.desk.agents["anna"])
    world.desk.server.edit(filed.booking, units=50)
    assert_one_update(world)
    assert (filed.sheet.user, filed.sheet.duration) == (before.user, 50 * 60)


def test_a_booking_first_seen_after_its_agent_was_deleted_waits_for_a_person(filed: Filed) -> None:
    world = filed.world
    world.desk.book(20, at("11:00"))
    world.desk.server.delete_agent(world.desk.agents["anna"])
    assert_nothing_changes(world, ["unmapped_user"])


def test_a_page_that_fails_in_the_middle_of_a_read_never_makes_a_booking_gone(world: World) -> None:
    long_ago = at("09:00", MONDAY - timedelta(days=30))
    for _ in range(PAGE - 4):
        world.desk.book(5, long_ago)
    bookings = [world.desk.book(30, at(f"{hour:02}:00")) for hour in range(9, 15)]
    world.sync()
    before = world.office.rows
    world.desk.server.delete(bookings[0])

    world.desk.control.add_fault("respond", path="time_accountings", skip=2, times=1, status=502)
    with pytest.raises(SyncFailedError):
        world.sync()
    failed = [row["query"] for row in world.desk.control.requests().log if row["status"] == 502]
    assert len(failed) == 1
    assert failed[0].endswith("&page=2")
    complete = "SELECT array_agg(complete ORDER BY id) FROM sync.sweeps WHERE subject = 'time_accountings'"
    assert world.value(complete) == [True, False]
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    assert (world.office.rows, world.reasons()) == (before, [])

    world.desk.control.clear_faults()
    assert_nothing_changes(world, ["deleted_in_zammad"])
    assert world.office.rows == before


# Tickets and types


def test_a_merged_ticket_keeps_its_bookings_and_people_are_offered_to_move_them(filed: Filed) -> None:
    world = filed.world
    world.desk.server.merge(filed.ticket, world.desk.tickets["globex"])
    assert_nothing_changes(world, ["merged_ticket"])
    assert world.office.minutes() == {filed.booking: [30], filed.other: [45]}


def test_a_ticket_given_to_another_customer_moves_its_time_sheet_to_the_other_project(filed: Filed) -> None:
    before, project = filed.sheet, filed.world.office.sheet(filed.other).project
    assert before.project != project
    filed.give_ticket_to_globex()
    assert_one_update(filed.world)
    assert facts(filed.sheet) == facts(replace(before, project=project))


def test_a_billed_time_sheet_stays_when_its_ticket_is_given_to_another_customer(filed: Filed) -> None:
    filed.world.office.change(filed.sheet, exported=True)
    filed.give_ticket_to_globex()
    assert_nothing_changes(filed.world, ["billed"])


def test_a_renamed_type_changes_nothing(filed: Filed) -> None:
    filed.world.desk.server.change_type(filed.world.desk.support, name="Help desk")
    assert_nothing_changes(filed.world)


def test_another_type_brings_another_activity(filed: Filed) -> None:
    world, before = filed.world, filed.sheet
    travel, activity = world.desk.server.add_type("Travel"), world.office.server.add_activity("Journeys")
    world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
        type=travel,
        activity=activity,
    )
    world.desk.server.edit(filed.booking, type_id=travel)
    assert_one_update(world)
    assert facts(filed.sheet) == facts(replace(before, activity=activity))


# Bills


def test_an_export_in_bulk_that_moves_no_timestamp_is_respected(filed: Filed) -> None:
    world, before = filed.world, filed.sheet
    world.office.change(before, exported=True)
    assert filed.sheet.modified_at == before.modified_at
    assert_nothing_changes(world)
    world.desk.server.edit(filed.booking, units=50)
    assert_nothing_changes(world, ["billed"])
    assert filed.sheet == replace(before, exported=True)


def facts(row: Timesheet) -> tuple[object, ...]:
    """What people see of a time sheet."""
    return (row.id, row.user, row.project, row.activity, row.begin, row.end, row.description, row.tags, row.billable)
