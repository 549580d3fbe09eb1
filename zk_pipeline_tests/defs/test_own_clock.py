"""Our own clock jumps between runs, a day or more ahead or back: nothing is lost, doubled or written without need."""

from datetime import UTC, datetime, timedelta

import pytest

from zk_pipeline_tests.defs.own_clock import own_clock_off_by
from zk_pipeline_tests.defs.watching import Watch, watch
from zk_pipeline_tests.defs.world import World, at

__all__ = ["watch"]

JUMPS = [timedelta(days=1), timedelta(days=-1), timedelta(days=200), timedelta(days=-200), timedelta(hours=-1)]
IDS = [f"{jump.total_seconds() / 3600:+.0f} h" for jump in JUMPS]


def writes(world: World) -> int:
    """The writes of another run."""
    return int(world.sync().to_json()["requests"]["kimai"]["write"])


@pytest.mark.parametrize("jump", JUMPS, ids=IDS)
def test_what_is_booked_edited_and_corrected_meanwhile_arrives_once(world: World, jump: timedelta) -> None:
    first, second = world.desk.book(30), world.desk.book(60, at("11:00"))
    world.sync()
    with own_clock_off_by(jump):
        third = world.desk.book(45, at("13:00"), agent="ben")
        world.desk.server.edit(first, units=40)
        world.desk.book(-15, at("14:00"))
        world.sync()
        assert world.office.minutes() == {first: [40], second: [45], third: [45]}
        assert writes(world) == 0
    assert writes(world) == 0
    assert world.office.minutes() == {first: [40], second: [45], third: [45]}
    assert (world.reasons(), set(world.ledger().values())) == ([], {"confirmed"})


@pytest.mark.parametrize("jump", JUMPS, ids=IDS)
def test_a_create_whose_answer_is_lost_while_the_clock_is_wrong_is_found_again(world: World, jump: timedelta) -> None:
    booking = world.desk.book(30)
    world.office.control.add_fault("drop_after", method="POST", path="/api/timesheets$", times=1)
    with own_clock_off_by(jump):
        world.sync()
    world.sync()
    assert world.office.minutes() == {booking: [30]}
    assert writes(world) == 0


@pytest.mark.parametrize("jump", JUMPS, ids=IDS)
def test_the_change_feed_finds_what_is_booked_before_and_after_the_clock_is_right_again(
    watch: Watch, jump: timedelta
) -> None:
    world = watch.world
    with own_clock_off_by(jump):
        before = world.desk.book(30, datetime.now(UTC))
        watch.settle()
    after = world.desk.book(45, datetime.now(UTC), agent="ben")
    watch.settle()
    assert world.office.minutes() == {before: [30], after: [45]}
