"""What people ask for through the operations is carried out by the real chain: a range, a plan that is approved."""

from typing import Any

import pytest

from zk_pipeline.decisions import comparison, conflicts, plans
from zk_pipeline.decisions.conflicts import list_conflicts
from zk_pipeline.decisions.lists import ConflictFilter, LineFilter, LineSelection
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate import sync
from zk_pipeline.operate.sync import RequestState
from zk_pipeline_tests.defs.world import MONDAY, World, at

OPERATOR = Actor("user:1", Role.OPERATOR)


def test_a_range_that_was_asked_for_is_done_when_a_run_has_carried_it_out(world: World) -> None:
    world.desk.book(15)
    runtime = world.environment.runtime
    asked = sync.request_days(runtime, OPERATOR, MONDAY, MONDAY)
    assert sync.request_state(runtime, asked.id).state is RequestState.WAITING
    report = world.sync()
    done = sync.request_state(runtime, asked.id)
    assert (done.state, done.days_done) == (RequestState.DONE, 1)
    assert [run.run_id for run in done.runs] == list(report.run_ids)
    assert done.runs[0].carried_out
    assert done.runs[0].counts["created"] == 1


@pytest.mark.parametrize("settings", [{"ZK_PUSH_MODE": "review"}], indirect=True)
def test_a_plan_is_made_looked_at_approved_and_then_written(world: World, settings: dict[str, Any]) -> None:
    booking = world.desk.book(15)
    runtime = world.environment.runtime
    world.sync(job="plan")
    assert plans.stored_plan(runtime, MONDAY, MONDAY, 10, 0).sums.creates == 1
    assert world.office.minutes() == {}
    (day,) = plans.days(runtime, MONDAY, MONDAY)
    assert plans.approve(runtime, OPERATOR, {day.day: day.plan_hash}).days == {MONDAY: 1}
    assert world.sync().counts["created"] == 1
    assert world.office.minutes() == {booking: [15]}
    lines, _ = comparison.page(runtime, LineFilter(), 10, 0)
    assert [(line.status, line.carried_out) for line in lines] == [("missing", True)], "the plan that was carried out"


def test_what_was_written_is_missing_no_more_before_the_day_is_planned_again(world: World) -> None:
    world.desk.book(15)
    runtime = world.environment.runtime

    def listed_as(view: LineSelection) -> int:
        return comparison.page(runtime, LineFilter(view), 1, 0)[1]

    world.sync(job="plan")
    assert (listed_as(LineSelection.MISSING), listed_as(LineSelection.MATCHES)) == (1, 0)
    world.sync()
    assert (listed_as(LineSelection.MISSING), listed_as(LineSelection.MATCHES)) == (0, 1)


def test_a_plan_carries_out_nothing(world: World) -> None:
    world.desk.book(15)
    runtime = world.environment.runtime
    asked = sync.request_days(runtime, OPERATOR, MONDAY, MONDAY)
    report = world.sync(job="plan")
    state = sync.request_state(runtime, asked.id)
    assert (state.state, state.days_done) == (RequestState.WAITING, 0)
    assert [(run.run_id, run.carried_out) for run in state.runs] == [(report.run_ids[0], False)]


def test_the_preview_of_a_decision_says_what_the_chain_then_writes(world: World) -> None:
    world.office.type_by_hand(at("09:00"), 15, f"Ticket {world.desk.number()}")
    booking = world.desk.book(15)
    world.sync()
    runtime = world.environment.runtime
    preview = conflicts.preview(runtime, Choice.LINK, ConflictFilter(reason="duplicate"))
    assert (preview.conflicts, preview.links, preview.left) == (1, 1, 0)
    outcome = conflicts.decide_matching(
        runtime, OPERATOR, Choice.LINK, ConflictFilter(reason="duplicate"), digest=preview.digest
    )
    assert outcome.days == (MONDAY,)
    assert world.sync().counts["linked"] == 1
    assert world.office.minutes() == {booking: [15]}
    assert list_conflicts(runtime, ConflictFilter()).total == 0
