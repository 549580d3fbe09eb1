"""Nothing is written beyond what was planned, approved and within the limits."""

from datetime import timedelta
from typing import Any

import pytest

from zk_pipeline.cli.report import planned_writes
from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.decisions import plans
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline_tests.defs.asking import undo
from zk_pipeline_tests.defs.crashing import KILLED, Child
from zk_pipeline_tests.defs.world import MONDAY, World, at

REVIEW = {"ZK_PUSH_MODE": "review"}
DELETING = {"ZK_ON_SOURCE_DELETE": "delete"}


def approve(world: World) -> int:
    """Approve the plan of the day as it is shown now; how many lines that were."""
    runtime = world.environment.runtime
    shown = plans.stored_plan(runtime, MONDAY, MONDAY, None, 0).lines
    return sum(plans.approve(runtime, Actor("user:1", Role.OPERATOR), plans.hashes(shown)).days.values())


def book(world: World, number: int) -> list[int]:
    return [world.desk.book(15, at(f"{8 + index // 4:02}:{index % 4 * 15 + 1:02}")) for index in range(number)]


def test_a_plan_shows_what_would_be_written_and_writes_nothing(world: World) -> None:
    book(world, 3)
    world.office.control.reset_requests()
    report = world.sync(job="plan")
    plan = planned_writes(world.environment.runtime, (MONDAY, MONDAY))
    assert (plan.creates, plan.updates, plan.deletes, plan.customers, plan.projects) == (3, 0, 0, 1, 1)
    assert plan.minutes == 45
    assert world.office.control.requests().writes == 0
    assert report.counts.get("created", 0) == 0


@pytest.mark.parametrize("settings", [{"ZK_PUSH_MODE": "off"}], indirect=True)
def test_with_the_push_off_nothing_is_ever_written(world: World, settings: dict[str, Any]) -> None:
    book(world, 2)
    world.execute("INSERT INTO sync.day_requests (day, reason) VALUES (:day, 'change')", day=MONDAY)
    report = world.sync()
    assert world.office.control.requests().writes == 0
    assert report.counts["withheld"] == 2, "what was planned and not written is told"
    open_requests = world.value("SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL")
    assert open_requests == 0, "the day was planned, so nobody asks for it again"


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_plan_waits_for_its_approval_and_is_then_carried_out(world: World, settings: dict[str, Any]) -> None:
    booked = book(world, 3)
    waiting = world.sync()
    assert (waiting.counts["unapproved"], waiting.counts.get("created", 0)) == (3, 0)
    assert waiting.needs_people
    assert approve(world) == 3
    assert world.sync().counts["created"] == 3
    assert set(world.office.minutes()) == set(booked)
    assert not world.sync().needs_people


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_booking_edited_after_the_approval_is_left_out_and_the_others_are_written(
    world: World, settings: dict[str, Any]
) -> None:
    first, second = book(world, 2)
    world.sync()
    approve(world)
    world.desk.server.edit(second, units="45")
    report = world.sync()
    assert (report.counts["created"], report.counts["left"]) == (1, 1)
    assert world.office.minutes() == {first: [15]}


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_booking_that_would_be_placed_elsewhere_than_was_approved_waits(
    world: World, settings: dict[str, Any]
) -> None:
    world.office.server.configure({"timesheet.rules.allow_overlapping_records": False})
    booking = world.desk.book(60)
    world.sync()
    approve(world)
    world.office.type_by_hand(at("09:00"), 60, "Own work")
    report = world.sync()
    assert (report.counts.get("created", 0), report.counts["left"]) == (0, 1)
    approve(world)
    assert world.sync().counts["created"] == 1
    assert world.office.sheet(booking).begin == int(at("10:00").timestamp())


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_what_was_approved_written_and_undone_waits_for_a_new_approval_when_its_day_is_asked_for_again(
    world: World, settings: dict[str, Any]
) -> None:
    book(world, 3)
    world.sync()
    approve(world)
    run = world.sync().run_ids[-1]
    undo(run)
    assert world.office.minutes() == {}
    world.execute("INSERT INTO sync.day_requests (day, reason) VALUES (:day, 'decision')", day=MONDAY)
    report = world.sync()
    assert (report.counts["unapproved"], report.counts.get("created", 0)) == (3, 0)
    assert world.office.minutes() == {}
    approve(world)
    assert world.sync().counts["created"] == 3


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
@pytest.mark.parametrize("place", ["after the intent", "after the answer"])
def test_an_approval_lasts_until_the_outcome_of_its_write_is_known(
    world: World, settings: dict[str, Any], place: str
) -> None:
    (booking,) = book(world, 1)
    world.sync()
    approve(world)
    assert Child(MONDAY, killed=place).ended() == KILLED
    assert world.value("SELECT state FROM sync.approved_lines") == "open"
    report = world.sync()
    assert report.counts.get("unapproved", 0) == 0
    assert (world.office.minutes(), world.office.creates_sent()) == ({booking: [15]}, 1)
    assert world.value("SELECT state FROM sync.approved_lines") == "spent"


@pytest.mark.parametrize("settings", [REVIEW], indirect=True)
def test_a_refused_line_and_one_that_changed_need_another_approval(world: World, settings: dict[str, Any]) -> None:
    refused, changed = book(world, 2)
    world.sync()
    approve(world)
    text = '{"code": 400, "message": "Validation Failed", "errors": {"errors": ["Not today."]}}'
    world.office.control.add_fault("respond", method="POST", path="/api/timesheets$", status=400, text=text, times=1)
    world.desk.server.edit(changed, units="45")
    assert world.sync().counts["parked"] == 1
    world.desk.server.edit(changed, units="15")
    unapproved = world.sync().counts["unapproved"]
    assert unapproved == 2, "one is as it was approved, but that approval has lapsed; the refused one is tried again"
    assert world.office.minutes() == {}
    states = "SELECT string_agg(key || ' ' || state, ', ' ORDER BY key::bigint) FROM sync.approved_lines"
    assert world.value(states) == f"{refused} spent, {changed} lapsed"


@pytest.mark.parametrize("settings", [{"ZK_MAX_CHANGES": "2"}], indirect=True)
def test_a_run_that_would_write_more_than_the_limit_stops_before_the_first_write_and_can_be_overridden(
    world: World, settings: dict[str, Any]
) -> None:
    book(world, 3)
    message = r"3 time sheets, more than ZK_MAX_CHANGES=2\..*an admin can override the limits there"
    with pytest.raises(SyncFailedError, match=message):
        world.sync()
    assert world.office.control.requests().writes == 0
    assert world.sync(override_limits=True).counts["created"] == 3


@pytest.mark.parametrize("settings", [DELETING], indirect=True)
def test_a_deleted_booking_takes_its_time_sheet_along_when_the_rule_says_so(
    world: World, settings: dict[str, Any]
) -> None:
    kept, gone = book(world, 2)
    world.sync()
    world.desk.server.delete(gone)
    assert world.sync().counts["deleted"] == 1
    assert world.office.minutes() == {kept: [15]}
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


@pytest.mark.parametrize("settings", [DELETING], indirect=True)
def test_a_run_that_would_delete_a_large_part_of_a_day_stops_first(world: World, settings: dict[str, Any]) -> None:
    booked = book(world, 10)
    world.sync()
    for gone in booked[:4]:
        world.desk.server.delete(gone)
    with pytest.raises(SyncFailedError, match=r"would delete 4 of the 10 time sheets"):
        world.sync()
    assert len(world.office.minutes()) == 10
    world.sync(override_limits=True)
    assert set(world.office.minutes()) == set(booked[4:])


@pytest.mark.parametrize("settings", [DELETING], indirect=True)
def test_the_deletions_of_several_days_count_together(world: World, settings: dict[str, Any]) -> None:
    days = [MONDAY + timedelta(days=number) for number in range(2)]
    booked = [world.desk.book(15, at(f"{8 + hour:02}:01", day)) for day in days for hour in range(10)]
    world.sync(days[0], days[1])
    gone = [booked[0], booked[10]]
    for booking in gone:
        world.desk.server.delete(booking)
    with pytest.raises(SyncFailedError, match=r"would delete 2 of the 20 time sheets of its days"):
        world.sync(days[0], days[1])
    assert len(world.office.minutes()) == 20
    assert world.sync(days[0]).counts["deleted"] == 1, "one of a day's ten is within the limits"


@pytest.mark.parametrize("settings", [{**DELETING, "ZK_MAX_DELETES": "1"}], indirect=True)
def test_a_run_that_would_delete_more_than_the_limit_stops_first(world: World, settings: dict[str, Any]) -> None:
    booked = book(world, 40)
    world.sync()
    for gone in booked[:2]:
        world.desk.server.delete(gone)
    with pytest.raises(SyncFailedError, match=r"would delete 2 time sheets, more than ZK_MAX_DELETES=1"):
        world.sync()
    assert len(world.office.minutes()) == 40
