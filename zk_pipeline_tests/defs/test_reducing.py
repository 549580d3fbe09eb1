"""Corrections that fit nothing by themselves: people say which booking they reduce, and can take that back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import booking_decisions, conflicts
from zk_pipeline.store.conflicts import DecisionError
from zk_pipeline.store.quality import lost_in_netting
from zk_pipeline_tests.defs.billing import Books
from zk_pipeline_tests.defs.deciding import assert_settled, decide, states
from zk_pipeline_tests.defs.world import MONDAY, World, at

TUESDAY = MONDAY + timedelta(days=1)


def offered(world: World) -> list[int]:
    """The bookings that the one open correction may be about, best first."""
    (conflict,) = world.conflicts()
    with world.environment.runtime.database.transaction() as connection:
        return [int(row.booking_id) for row in conflicts.reducible_by(connection, "zammad", conflict)]


def reopen(world: World, conflict_id: int) -> None:
    with world.environment.runtime.database.transaction() as connection:
        conflicts.reopen(connection, conflict_id, actor="cli:anna")


def lost(world: World) -> int:
    with world.environment.runtime.database.transaction() as connection:
        return int(lost_in_netting(connection, "zammad"))


def asked_days(world: World) -> set[str]:
    return set(str(world.value("SELECT string_agg(DISTINCT day::text, ' ') FROM sync.day_requests")).split())


def by_another_agent(world: World) -> tuple[int, int]:
    return world.desk.book(60, at("09:00")), world.desk.book(-20, at("11:00"), agent="ben")


def without_a_type(world: World) -> tuple[int, int]:
    booking = world.desk.book(60, at("09:00"))
    desk = world.desk
    return booking, desk.server.book(desk.tickets["acme"], desk.agents["anna"], "-20", None, at("11:00"))


def before_the_booking(world: World) -> tuple[int, int]:
    correction = world.desk.book(-20, at("09:00"))
    return world.desk.book(60, at("11:00")), correction


def on_the_surviving_ticket(world: World) -> tuple[int, int]:
    desk = world.desk
    acme = desk.server.state.tickets[desk.tickets["acme"]]
    again = desk.server.add_ticket("Printer again", customer_id=acme.customer_id, organization_id=acme.organization_id)
    booking = desk.server.book(desk.tickets["acme"], desk.agents["anna"], "60", desk.support, at("09:00"), article="x")
    desk.server.merge(desk.tickets["acme"], again)
    return booking, desk.server.book(again, desk.agents["anna"], "-20", desk.support, at("11:00"))


Case = Callable[[World], tuple[int, int]]
CASES: list[Case] = [by_another_agent, without_a_type, before_the_booking, on_the_surviving_ticket]


@pytest.mark.parametrize("case", CASES)
def test_a_correction_that_fits_nothing_is_offered_the_bookings_and_reduces_the_named_one(
    world: World, case: Case
) -> None:
    booking, correction = case(world)
    world.sync()
    assert world.office.minutes() == {booking: [60]}
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.source_id) == ("unmatched_correction", str(correction))
    assert conflict.suggested_action == "reduce"
    assert f"It may be about booking {booking} (60 min of Anna" in conflict.text
    assert offered(world) == [booking]

    decide(world, Choice.REDUCE, booking=booking)
    world.sync()
    assert world.office.minutes() == {booking: [40]}
    assert states(world) == ["carried_out"]
    assert lost(world) == 0
    assert_settled(world)


def test_the_best_candidate_comes_first_and_one_has_to_be_named(world: World) -> None:
    ben = world.desk.book(20, at("10:59"), agent="ben")
    far, near = world.desk.book(60, at("12:30")), world.desk.book(50, at("12:00"))
    same = world.desk.book(20, at("15:00"))
    elsewhere = world.desk.book(20, at("11:00"), ticket="globex")
    correction = world.desk.book(-20, at("09:00"))
    world.sync()
    assert offered(world) == [same, near, far, ben]
    with pytest.raises(DecisionError, match="several candidates: name the booking that is meant"):
        decide(world, Choice.REDUCE)
    for wrong in (elsewhere, correction):
        with pytest.raises(DecisionError, match=f"booking {wrong} is not a candidate; candidates: {same}, {near}"):
            decide(world, Choice.REDUCE, booking=wrong)
    with pytest.raises(DecisionError, match=f"booking {same} is named to reduce it, not to leave it out"):
        decide(world, Choice.IGNORE, booking=same)


def test_without_a_booking_to_reduce_a_correction_is_only_ignored(world: World) -> None:
    world.desk.book(-20)
    world.sync()
    (conflict,) = world.conflicts()
    assert conflict.suggested_action == "", "leaving out is never suggested"
    with pytest.raises(DecisionError, match="not possible to reduce the booking; possible: leave it out"):
        decide(world, Choice.REDUCE)


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_what_is_left_of_a_correction_is_asked_about_again(world: World, settings: dict[str, Any]) -> None:
    small, large = world.desk.book(10, at("12:00")), world.desk.book(60, at("13:00"))
    world.desk.book(-30, at("09:00"))
    world.sync()
    decide(world, Choice.REDUCE, booking=small)
    world.sync()
    (conflict,) = world.conflicts()
    assert "20 minutes of the correction are open." in conflict.text
    assert offered(world) == [large]
    decide(world, Choice.REDUCE, booking=large)
    world.sync()
    assert world.office.minutes() == {large: [40]}
    assert states(world) == ["carried_out", "carried_out"]
    assert lost(world) == 0


def test_bookings_of_two_days_and_groups_net_together_whichever_day_is_run(world: World) -> None:
    booking = world.desk.book(60, at("09:00", TUESDAY), agent="ben")
    correction = world.desk.book(-20)
    world.sync(MONDAY, TUESDAY)
    decide(world, Choice.REDUCE, booking=booking)
    assert asked_days(world) >= {str(MONDAY), str(TUESDAY)}
    world.sync(TUESDAY)
    assert world.office.minutes() == {booking: [40]}
    world.sync(MONDAY)
    assert world.reasons() == []

    world.desk.server.delete(correction)
    world.sync(MONDAY)
    assert world.office.minutes() == {booking: [60]}
    assert lost(world) == 0


def test_a_correction_is_open_again_once_the_booking_that_it_reduced_is_deleted(world: World) -> None:
    other = world.desk.book(15, at("10:00", TUESDAY), agent="ben", ticket="globex")
    booking = world.desk.book(60, at("09:00", TUESDAY), agent="ben")
    world.desk.book(-20)
    world.sync(MONDAY, TUESDAY)
    decide(world, Choice.REDUCE, booking=booking)
    world.sync(MONDAY, TUESDAY)
    world.desk.server.delete(booking)
    world.sync(TUESDAY)
    assert sorted(world.reasons()) == ["deleted_in_zammad", "unmatched_correction"]
    assert world.office.minutes()[other] == [15]


def test_a_decision_is_taken_back_and_taken_anew(world: World) -> None:
    first, second = world.desk.book(60, at("12:00")), world.desk.book(60, at("14:00"))
    world.desk.book(-20, at("09:00"))
    world.sync()
    conflict = decide(world, Choice.REDUCE, booking=first)
    world.sync()
    assert world.office.minutes() == {first: [40], second: [60]}
    reopen(world, conflict)
    with pytest.raises(DecisionError, match="cannot be asked again"):
        reopen(world, conflict)
    world.sync()
    assert world.office.minutes() == {first: [60], second: [60]}
    decide(world, Choice.REDUCE, booking=second)
    world.sync()
    assert world.office.minutes() == {first: [60], second: [40]}
    assert_settled(world)


def test_what_was_ignored_is_asked_again_when_somebody_wants_that(world: World) -> None:
    world.desk.book(-20)
    world.sync()
    conflict = decide(world, Choice.IGNORE)
    world.sync()
    assert world.reasons() == []
    reopen(world, conflict)
    world.sync()
    assert world.reasons() == ["unmatched_correction"]


@pytest.mark.parametrize("left", [40, 0])
def test_a_billed_booking_becomes_the_usual_question(world: World, left: int) -> None:
    booking = world.desk.book(60, at("09:00"))
    world.desk.book(left - 60, at("11:00"), agent="ben")
    world.sync()
    books = Books(world)
    world.office.change(world.office.sheet(booking), exported=True)
    before = world.office.rows
    decide(world, Choice.REDUCE, booking=booking)
    world.sync()
    assert world.reasons() == ["billed"]
    books.adjust()
    assert books.credits() == [60 - left]
    assert world.office.rows == before
    assert lost(world) == 0


def test_pairs_are_told_by_the_trace_and_by_the_table(world: World) -> None:
    booking, correction = by_another_agent(world)
    world.sync()
    decide(world, Choice.REDUCE, booking=booking)
    world.sync()
    with world.environment.runtime.database.transaction() as connection:
        assert booking_decisions.pairs(connection, "zammad") == [(str(correction), str(booking))]
        (trace,) = connection.execute(
            text("SELECT trace ->> 'time_minutes' FROM sync.normalized_entries WHERE source_id = :id"),
            {"id": str(booking)},
        ).scalars()
    assert trace == f"reduced by correction {correction}"
