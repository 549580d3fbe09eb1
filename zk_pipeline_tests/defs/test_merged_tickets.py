"""After a merge Zammad leaves bookings behind: people are offered to move them, and nothing moves by itself."""

from dataclasses import dataclass

import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import conflicts
from zk_pipeline_tests.defs.billing import Books
from zk_pipeline_tests.defs.deciding import assert_settled, decide, states
from zk_pipeline_tests.defs.world import World, at

ARTICLES = "GET /api/v1/ticket_articles/{id}"


@dataclass(frozen=True)
class Merged:
    """Anna booked on Acme's ticket, which is merged into Globex's; Ben has booked on that one."""

    world: World
    booking: int
    other: int

    def merge(self) -> None:
        self.world.desk.server.merge(self.world.desk.tickets["acme"], self.world.desk.tickets["globex"])

    def projects(self) -> tuple[int, int]:
        office = self.world.office
        return office.sheet(self.booking).project, office.sheet(self.other).project


@pytest.fixture
def filed(world: World) -> Merged:
    desk = world.desk
    booking = desk.server.book(desk.tickets["acme"], desk.agents["anna"], "30", desk.support, at("09:00"), article="x")
    return Merged(world, booking, desk.book(45, at("15:00"), agent="ben", ticket="globex"))


def test_a_merge_is_offered_with_its_evidence_and_the_booking_is_carried_over_meanwhile(filed: Merged) -> None:
    world = filed.world
    filed.merge()
    report = world.sync()
    assert world.office.minutes() == {filed.booking: [30], filed.other: [45]}
    here, there = filed.projects()
    assert here != there
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.suggested_action) == ("merged_ticket", "move")
    article = world.value(f"SELECT article_id FROM zammad.time_accountings WHERE id = '{filed.booking}'")
    acme, globex = world.desk.number(), world.desk.number("globex")
    assert (
        f"Ticket {acme} was merged into {globex}: article {article}, with which time was booked, lies there now. "
        f"30 minutes of this booking are booked on {acme} for Acme; {globex} belongs to Globex."
    ) in conflict.text
    assert (report.outcomes["created"], report.outcomes["conflicts"], report.conflicts) == (2, 0, 1)
    before = world.office.rows
    for _ in range(2):
        world.sync()
        assert (world.office.rows, world.reasons()) == (before, ["merged_ticket"])


@pytest.mark.parametrize("written", [True, False])
def test_a_moved_booking_is_billed_as_the_surviving_ticket(filed: Merged, *, written: bool) -> None:
    world = filed.world
    if written:
        world.sync()
    filed.merge()
    world.sync(job="sync" if written else "plan")
    decide(world, Choice.MOVE)
    world.sync()
    here, there = filed.projects()
    assert here == there
    assert states(world) == ["carried_out"]
    query = f"SELECT ticket_number FROM sync.normalized_entries WHERE source_id = '{filed.booking}'"
    assert world.value(query) == world.desk.number("globex")
    assert_settled(world)


def test_what_is_kept_stays_and_is_not_asked_again(filed: Merged) -> None:
    filed.merge()
    filed.world.sync()
    before = filed.projects()
    decide(filed.world, Choice.KEEP)
    filed.world.sync()
    assert filed.projects() == before
    assert_settled(filed.world)


def test_a_billed_booking_that_is_moved_becomes_the_usual_question(filed: Merged) -> None:
    world = filed.world
    world.sync()
    here, there = filed.projects()
    world.office.change(world.office.sheet(filed.booking), exported=True)
    filed.merge()
    world.sync()
    assert world.reasons() == ["merged_ticket"]
    decide(world, Choice.MOVE)
    world.sync()
    assert world.reasons() == ["billed"]
    books = Books(world)
    books.adjust()
    assert filed.projects() == (here, there)
    assert books.credits() == [30]
    assert [(minutes, project) for _, minutes, project in books.booked()] in ([], [(30, there)])


def test_a_move_is_taken_back(filed: Merged) -> None:
    world = filed.world
    filed.merge()
    world.sync()
    before = filed.projects()
    conflict = decide(world, Choice.MOVE)
    world.sync()
    assert filed.projects() != before
    with world.environment.runtime.database.transaction() as connection:
        conflicts.reopen(connection, conflict, actor="cli:anna")
    world.sync()
    assert (filed.projects(), world.reasons()) == (before, ["merged_ticket"])


def test_a_moved_booking_follows_the_customer_of_the_surviving_ticket(filed: Merged) -> None:
    world, desk = filed.world, filed.world.desk
    filed.merge()
    world.sync()
    decide(world, Choice.MOVE)
    world.sync()
    acme = desk.server.state.tickets[desk.tickets["acme"]]
    desk.server.reassign(desk.tickets["globex"], customer_id=acme.customer_id, organization_id=acme.organization_id)
    world.sync()
    here, there = filed.projects()
    assert here == there
    query = f"SELECT organization_name FROM sync.normalized_entries WHERE source_id = '{filed.booking}'"
    assert world.value(query) == "Acme"


def test_tickets_of_one_customer_are_merged_without_a_question(world: World) -> None:
    desk = world.desk
    acme = desk.server.state.tickets[desk.tickets["acme"]]
    again = desk.server.add_ticket("Again", customer_id=acme.customer_id, organization_id=acme.organization_id)
    desk.server.book(again, desk.agents["anna"], "30", desk.support, at("09:00"), article="x")
    desk.server.merge(again, desk.tickets["acme"])
    world.sync()
    assert_settled(world)


def test_a_merge_is_known_though_later_bookings_have_no_article(filed: Merged) -> None:
    world, desk = filed.world, filed.world.desk
    filed.merge()
    world.sync()
    assert world.reasons() == ["merged_ticket"]
    desk.book(10, at("11:00", at("09:00").date().replace(day=7)))
    world.sync(at("09:00").date().replace(day=7))
    assert world.reasons() == ["merged_ticket", "merged_ticket"]


def test_only_merged_tickets_cost_a_request_each(filed: Merged) -> None:
    world = filed.world
    world.desk.control.reset_requests()
    world.sync()
    assert not any("ticket_articles" in route for route in world.desk.control.requests().by_route)
    filed.merge()
    world.desk.control.reset_requests()
    world.sync()
    routes = world.desk.control.requests().by_route
    assert [number for route, number in routes.items() if "ticket_articles" in route] == [1]
