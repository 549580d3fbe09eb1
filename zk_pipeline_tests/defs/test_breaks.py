"""A break that people enter in Kimai: it is asked about by its name, kept, and never taken for rounding."""

import json

import pytest

from zk_pipeline.domain.resolutions import Choice
from zk_pipeline_tests.defs.deciding import assert_settled, booked, decide
from zk_pipeline_tests.defs.world import World


@pytest.fixture
def paused(world: World) -> int:
    """An hour in which somebody entered a break of a quarter."""
    booking = booked(world, 60)
    world.office.server.edit_timesheet(world.office.sheet(booking).id, pause=900)
    world.sync()
    return booking


def test_a_break_is_asked_about_by_its_name(world: World, paused: int) -> None:
    (conflict,) = world.conflicts()
    assert (conflict.reason, world.office.sheet(paused).duration) == ("kimai_edited", 2700)
    assert f"A break of 15 minutes shortens time sheet {world.office.sheet(paused).id}." in conflict.text


def test_a_later_change_reaches_its_minutes_beside_the_break(world: World, paused: int) -> None:
    decide(world, Choice.KEEP)
    world.sync()
    world.desk.server.edit(paused, units="90")
    assert world.sync().to_json()["updated"] == 1
    sheet = world.office.sheet(paused)
    assert (sheet.duration, sheet.pause, (sheet.end or 0) - sheet.begin) == (5400, 900, 6300)
    assert_settled(world)


def test_the_bookings_minutes_are_written_beside_the_break_where_people_decide_so(world: World, paused: int) -> None:
    decide(world, Choice.UPDATE)
    world.sync()
    sheet = world.office.sheet(paused)
    assert (sheet.duration, sheet.pause) == (3600, 900)
    assert_settled(world)


def test_an_update_that_does_not_reach_its_minutes_is_not_done(world: World) -> None:
    booking = booked(world, 60)
    sheet = world.office.sheet(booking)
    world.desk.server.edit(booking, units="90")
    answer = {
        "id": sheet.id,
        "user": sheet.user,
        "project": sheet.project,
        "activity": sheet.activity,
        "begin": "2025-10-06T09:00:00+0200",
        "end": "2025-10-06T10:30:00+0200",
        "duration": 4500,
        "break": 900,
        "description": sheet.description,
        "tags": [],
        "exported": False,
        "billable": True,
    }
    world.office.control.add_fault("respond", method="PATCH", status=200, text=json.dumps(answer), times=1)
    report = world.sync().to_json()
    assert (report["updated"], report["parked"]) == (0, 1)
    (conflict,) = world.conflicts()
    told = f"Kimai made 75 minutes of it instead of 90. A break of 15 minutes shortens time sheet {sheet.id}."
    assert told in conflict.text
