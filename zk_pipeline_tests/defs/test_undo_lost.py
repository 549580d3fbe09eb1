"""Undoing when processes die, answers are lost and Kimai refuses."""

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline_tests.defs.crashing import KILLED, undo_killed
from zk_pipeline_tests.defs.test_undo import PLACES, decide, deleted, names, restore_to_before, state, sync, undo
from zk_pipeline_tests.defs.world import World, at


@pytest.mark.parametrize(
    ("place", "number"), [*((PLACES[0], number) for number in (1, 2, 3, 4)), *((place, 2) for place in PLACES[1:])]
)
def test_an_undo_of_creates_that_is_killed_at_any_write_goes_on_when_run_again(
    world: World, place: str, number: int
) -> None:
    bookings = [world.desk.book(30), world.desk.book(45, agent="ben")]
    before = names(world)
    run = sync(world)
    after_sync = state(world), names(world)
    assert undo_killed(run, place, number) == KILLED
    assert undo(run).left == []
    assert world.office.rows == []
    assert names(world) == before
    assert world.ledger() == dict.fromkeys(bookings, "undone")
    sync(world)
    assert (state(world), names(world)) == after_sync
    assert world.reasons() == []


@pytest.mark.parametrize("place", PLACES)
def test_an_undo_of_an_update_that_is_killed_goes_on_when_run_again(world: World, place: str) -> None:
    booking = world.desk.book(30)
    sync(world)
    world.desk.server.edit(booking, units=45)
    run = sync(world)
    assert undo_killed(run, place) == KILLED
    assert undo(run).left == []
    assert world.office.minutes() == {booking: [30]}
    sync(world)
    assert world.office.minutes() == {booking: [45]}
    assert world.reasons() == []


@pytest.mark.parametrize("place", PLACES)
def test_an_undo_of_a_link_that_is_killed_goes_on_when_run_again(world: World, place: str) -> None:
    booking = world.desk.book(30)
    world.office.type_by_hand(at("09:00"), 30, f"{world.desk.number()} paper")
    sync(world)
    text = world.office.rows[0].description
    decide(world, Choice.LINK)
    run = sync(world)
    assert undo_killed(run, place) == KILLED
    assert undo(run).left == []
    assert [row.description for row in world.office.rows] == [text]
    assert world.ledger() == {booking: "undone"}


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
@pytest.mark.parametrize("place", [*PLACES, "after the intent"])
def test_an_undo_of_a_delete_that_is_killed_creates_it_once(world: World, place: str) -> None:
    booking, run = deleted(world)
    assert undo_killed(run, place) == KILLED
    assert undo(run).left == []
    assert world.office.minutes()[booking] == [30]
    assert set(world.ledger().values()) == {"confirmed"}


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_a_create_whose_answer_is_lost_fails_the_undo_and_is_found_by_the_next(world: World) -> None:
    booking, run = deleted(world)
    world.office.control.add_fault("drop_after", method="POST", path="/api/timesheets$", times=1)
    with pytest.raises(SyncFailedError, match="POST /api/timesheets"):
        undo(run)
    assert undo(run).undone == {"create": 1}
    assert world.office.minutes()[booking] == [30]


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_an_undo_that_a_restored_database_has_forgotten_creates_nothing_twice(world: World) -> None:
    booking, run = deleted(world)
    undo(run)
    restore_to_before(world, booking, run)
    assert undo(run).undone == {"create": 1}
    assert world.office.minutes()[booking] == [30]
    assert set(world.ledger().values()) == {"confirmed"}


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_an_undo_creates_nothing_that_an_account_may_merely_not_see(world: World) -> None:
    booking, run = deleted(world)
    undo(run)
    restore_to_before(world, booking, run)
    world.office.server.configure({"permissions": {"ROLE_SUPER_ADMIN": {"view_other_timesheet": False}}})
    (left,) = undo(run).left
    assert "view_other_timesheet" in left["text"]
    assert world.office.minutes()[booking] == [30]


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_what_kimai_refuses_to_take_again_is_left_with_its_words(world: World) -> None:
    booking, run = deleted(world)
    world.office.amend("activities", world.office.activity, visible=False)
    (line,) = undo(run).left
    assert "activity" in line["text"]
    assert world.office.of(booking) == []
    assert world.ledger()[booking] == "undone"


@pytest.mark.parametrize("settings", [{"ZK_ON_SOURCE_DELETE": "delete"}], indirect=True)
def test_a_time_sheet_that_is_created_again_has_its_billable_flag(world: World) -> None:
    booking, _ = world.desk.book(30), world.desk.book(45, agent="ben")
    sync(world)
    world.office.change(world.office.sheet(booking), billable=False)
    world.desk.server.delete(booking)
    run = sync(world)
    undo(run)
    assert world.office.sheet(booking).billable is False


def test_an_unknown_run_fails_with_a_sentence(world: World) -> None:
    with pytest.raises(SyncFailedError, match="No run that wrote anything has an id beginning with 'nothing-like-it'"):
        undo("nothing-like-it")
