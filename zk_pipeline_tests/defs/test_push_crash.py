"""A process may be killed anywhere around a write: the next run leaves each booking in Kimai exactly once."""

from datetime import date, timedelta

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.stages.push.outcomes import PushReport
from zk_pipeline.stages.push.pusher import Pusher
from zk_pipeline_tests.defs.crashing import KILLED, Child, before
from zk_pipeline_tests.defs.world import MONDAY, World, at

CREATE = {"method": "POST", "path": "/api/timesheets$"}


def three_bookings(world: World) -> dict[int, list[int]]:
    """Bookings of both agents, and what Kimai should hold for them."""
    minutes = {30: "anna", 45: "ben", 60: "anna"}
    return {world.desk.book(number, agent=agent): [number] for number, agent in minutes.items()}


def kill(place: str) -> None:
    """Run the chain over the day in a process that is killed there."""
    assert Child(MONDAY, killed=place).ended() == KILLED


@pytest.mark.parametrize(
    "place",
    [
        "before the intent",
        "within the intent's commit",
        "after the intent",
        "when the POST was sent",
        "when the answer began",
        "after the answer",
        "before the commit",
        "within the commit",
        "at the end of the commit",
        "after the commit",
    ],
)
def test_a_run_after_a_crash_leaves_each_booking_exactly_once(world: World, place: str) -> None:
    expected = three_bookings(world)
    kill(place)
    world.sync()
    assert world.office.minutes() == expected
    assert set(world.ledger().values()) == {"confirmed"}
    assert [row.begin for row in world.office.rows] == [int(at("09:00").timestamp())] * 3


def test_a_create_that_never_took_effect_is_sent_again_after_the_servers_time_limit(world: World) -> None:
    booking = world.desk.book(30)
    world.office.control.add_fault("drop_before", **CREATE, times=1)
    kill("when the POST was sent")
    assert world.office.rows == []
    assert world.sync().counts["created"] == 1
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 2


@pytest.mark.parametrize("settings", [{"ZK_KIMAI_TIME_LIMIT": 3}], indirect=True)
def test_a_create_that_takes_effect_after_a_crash_is_found_and_not_sent_again(world: World) -> None:
    booking = world.desk.book(30)
    world.office.gate.hold(until_look_ups=2)
    kill("when the POST was sent")
    assert world.office.rows == []
    report = world.sync().to_json()
    assert (report["linked"], report["created"]) == (1, 0)
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 1


@pytest.mark.parametrize("settings", [{"ZK_KIMAI_CONCURRENCY": 1, "ZK_KIMAI_TIME_LIMIT": 1.5}], indirect=True)
def test_a_create_that_was_sent_long_after_its_intent_gets_the_whole_time_limit(world: World) -> None:
    first, second = world.desk.book(30), world.desk.book(45, agent="ben")
    world.office.control.add_fault("delay", **CREATE, body=rf"\[zk-zammad-{first}\]", seconds=2)
    world.office.gate.hold(until_look_ups=3, body=rf"\[zk-zammad-{second}\]")
    kill("when the second POST was sent")
    world.sync()
    assert world.office.minutes() == {first: [30], second: [45]}
    assert world.office.creates_sent() == 2


@pytest.mark.parametrize("settings", [{"ZK_HTTP_TIMEOUT": 1, "ZK_KIMAI_TIME_LIMIT": 3}], indirect=True)
def test_a_create_that_takes_effect_after_the_client_gave_up_is_found_within_the_same_run(world: World) -> None:
    booking = world.desk.book(30)
    world.office.gate.hold(until_look_ups=2)
    report = world.sync().to_json()
    assert (report["linked"], report["created"], report["failed"]) == (1, 0, 0)
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 1
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


@pytest.mark.parametrize("settings", [{"ZK_HTTP_TIMEOUT": 1, "ZK_KIMAI_TIME_LIMIT": 3}], indirect=True)
def test_a_crash_while_the_client_looks_for_a_lost_create_leaves_the_doubt_to_the_next_run(world: World) -> None:
    booking = world.desk.book(30)
    world.office.gate.hold(until_look_ups=3)
    kill("while in doubt")
    assert world.ledger() == {booking: "intended"}
    assert world.sync().counts["adopted"] == 1
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 1


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "html"])
def test_a_lost_answer_is_looked_up_before_the_create_is_sent_again(world: World, fault: str) -> None:
    expected = three_bookings(world)
    world.office.control.add_fault(fault, **CREATE, times=2)  # type: ignore[arg-type]
    report = world.sync()
    assert report.to_json()["failed"] == 0
    assert world.office.minutes() == expected


@pytest.mark.parametrize("settings", [{"ZK_KIMAI_TIME_LIMIT": 3}], indirect=True)
def test_a_booking_edited_between_crash_and_discovery_gets_its_new_minutes(world: World) -> None:
    booking = world.desk.book(30)
    world.office.gate.hold(until_look_ups=2)
    kill("when the POST was sent")
    world.desk.server.edit(booking, units=45)
    world.sync()
    world.sync()
    assert world.office.minutes() == {booking: [45]}


def test_a_run_after_a_crash_finds_its_own_among_ten_thousand_time_sheets_of_others(world: World) -> None:
    expected = {world.desk.book(5 + number, agent="ben"): [5 + number] for number in range(40)}
    begin = at("10:00")
    world.office.server.add_timesheets(
        {
            "user": world.office.users["anna"],
            "project": world.office.other_project,
            "activity": world.office.activity,
            "begin": begin + timedelta(seconds=number),
            "end": begin + timedelta(seconds=number + 900),
            "description": f"Call [zk-elsewhere-{number}] zk-zammad-{number}0",
        }
        for number in range(10_000)
    )
    kill("after the commit")
    world.sync()
    assert world.office.minutes() == expected
    assert len(world.office.rows) == 10_040


def test_two_runs_of_the_same_day_at_once_write_each_booking_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = three_bookings(world)
    other = Child(MONDAY, waits_at="before its turn")
    with monkeypatch.context() as patch:
        patch.setattr(Pusher, "day", Pusher.day)
        before(Pusher, "day", lambda *_: (other.reached.wait(90), other.go.set()))
        report = world.sync()
    assert other.ended() == 0
    assert world.office.minutes() == expected
    assert world.office.creates_sent() == 3
    assert report.to_json()["failed"] == 0


def test_a_booking_edited_between_the_plans_of_two_runs_at_once_is_not_created_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = world.desk.book(30)
    other = Child(MONDAY, waits_at="before the intent")
    assert other.reached.wait(90)
    world.desk.server.edit(booking, units=45)
    with monkeypatch.context() as patch:
        patch.setattr(Pusher, "day", Pusher.day)
        before(Pusher, "day", lambda *_: other.go.set())
        assert world.sync().counts["left"] == 1
    assert other.ended() == 0
    assert world.office.minutes() == {booking: [30]}
    world.sync()
    assert world.office.minutes() == {booking: [45]}


def test_a_run_that_lost_its_turn_with_its_connection_sends_nothing(world: World) -> None:
    expected = three_bookings(world)
    other = Child(MONDAY, waits_at="before its turn is proven")
    assert other.reached.wait(90)
    world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE locktype = 'advisory' AND datname = current_database()"
    )
    world.sync()
    other.go.set()
    assert other.ended() == 1
    assert world.office.minutes() == expected
    assert world.office.creates_sent() == 3


@pytest.mark.parametrize("place", ["after the intent", "when the PATCH was sent", "when the PATCH was answered"])
def test_a_crash_around_an_update_is_made_good_by_the_next_run(world: World, place: str) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=45)
    kill(place)
    world.sync()
    assert world.office.minutes() == {booking: [45]}
    assert world.ledger() == {booking: "confirmed"}
    assert world.reasons() == []
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


def test_an_update_whose_answers_are_lost_is_made_good_by_the_next_run(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=45)
    world.office.control.add_fault("drop_after", method="PATCH", times=1)
    with pytest.raises(SyncFailedError, match=str(MONDAY)):
        world.sync()
    assert world.sync().counts["linked"] == 1
    assert world.office.minutes() == {booking: [45]}


@pytest.mark.parametrize("settings", [{"ZK_KIMAI_TIME_LIMIT": 0.5}], indirect=True)
def test_a_lost_create_is_not_sent_again_by_an_account_that_could_not_see_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = MONDAY - timedelta(days=30)
    world.desk.book(15, at("09:00", earlier))
    world.sync(earlier)
    booking = world.desk.book(30)
    push = Pusher.day

    def pushed_without_the_right(pusher: Pusher, day: date) -> PushReport:
        world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_other_timesheet": False}}})
        return push(pusher, day)

    monkeypatch.setattr(Pusher, "day", pushed_without_the_right)
    world.office.control.add_fault("drop_after", **CREATE, times=1)
    with pytest.raises(SyncFailedError, match="view_other_timesheet"):
        world.sync()
    assert world.office.minutes()[booking] == [30]
    assert world.office.creates_sent() == 2
