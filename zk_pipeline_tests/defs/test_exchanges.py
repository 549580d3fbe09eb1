"""The requests of a push as `zk trace` tells them: every attempt for its booking, and no token in any row."""

from typing import Any

import pytest

from zk_pipeline.audit import traces
from zk_pipeline.audit.traces import ConnectorNames, Fields
from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline_tests.defs.asking import undo
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, World

CREATE = {"method": "POST", "path": "/api/timesheets$"}


def requests(world: World, reference: object) -> list[Fields]:
    """What is told of the one story behind a reference. No row of the log holds the token."""
    rows = "SELECT string_agg(request_log::text, '') FROM sync.request_log"
    assert KIMAI_TOKEN not in world.value(rows)
    with world.environment.runtime.database.transaction() as connection:
        (story,) = traces.read_traces(connection, ConnectorNames("zammad", "kimai"), str(reference))
    return story.requests


def told(rows: list[Fields]) -> list[tuple[Any, ...]]:
    return [(row["method"], row["path"].partition("?")[0], row["status"]) for row in rows]


def test_a_created_time_sheet_is_told_with_its_request_and_the_answer(world: World) -> None:
    first, second = world.desk.book(30), world.desk.book(45, agent="ben")
    run = world.sync().run_ids[0]
    for booking in (first, second):
        (request,) = requests(world, booking)
        sheet = world.office.sheet(booking)
        assert told([request]) == [("POST", "/api/timesheets", 200)]
        assert (request["answered"]["id"], request["asked"]["description"]) == (sheet.id, sheet.description)
        assert (request["run_id"], request["error"]) == (run, "")
        assert requests(world, f"kimai:{sheet.id}") == [request]


def test_what_is_made_for_many_bookings_is_kept_without_one(world: World) -> None:
    world.desk.book(30)
    world.sync()
    made = "SELECT string_agg(DISTINCT path, ' ') FROM sync.request_log WHERE source_id IS NULL AND method = 'POST'"
    assert world.value(made) == "/api/customers /api/projects /api/tags"


def test_a_lost_answer_is_told_with_the_look_up_that_found_the_time_sheet(world: World) -> None:
    world.office.control.add_fault("drop_after", **CREATE, times=1)
    booking = world.desk.book(30)
    world.sync()
    lost, look_up = requests(world, booking)
    assert told([lost, look_up]) == [("POST", "/api/timesheets", None), ("GET", "/api/timesheets", 200)]
    assert "connection broke" in lost["error"]
    assert f"zk-zammad-{booking}" in look_up["path"]
    assert [row["id"] for row in look_up["answered"]] == [world.office.sheet(booking).id]


def test_a_doubt_that_stops_the_run_is_kept(world: World) -> None:
    world.office.control.add_fault("drop_after", **CREATE)
    world.office.control.add_fault("respond", method="GET", path="/api/timesheets$", skip=1, status=500)
    booking = world.desk.book(30)
    with pytest.raises(SyncFailedError):
        world.sync()
    assert told(requests(world, booking)) == [("POST", "/api/timesheets", None), ("GET", "/api/timesheets", 500)]


def test_a_refusal_is_told_in_the_words_of_kimai(world: World) -> None:
    refusal = '{"code": 400, "message": "Validation Failed", "errors": {"errors": ["Not today."]}}'
    world.office.control.add_fault("respond", **CREATE, status=400, text=refusal)
    booking = world.desk.book(30)
    world.sync()
    (request,) = requests(world, booking)
    assert (request["status"], request["answered"]["errors"]) == (400, {"errors": ["Not today."]})
    assert "Not today." in request["error"]


def test_an_update_is_told_with_the_fields_that_were_sent(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=45)
    world.sync()
    request = requests(world, booking)[-1]
    assert told([request]) == [("PATCH", f"/api/timesheets/{world.office.sheet(booking).id}", 200)]
    assert set(request["asked"]) == {"begin", "end"}


def test_an_undo_tells_the_deletion_as_the_bookings(world: World) -> None:
    booking = world.desk.book(30)
    report = world.sync()
    sheet = world.office.sheet(booking)
    undo(report.run_ids[0])
    assert told(requests(world, booking)) == [
        ("POST", "/api/timesheets", 200),
        ("DELETE", f"/api/timesheets/{sheet.id}", 204),
    ]
