"""Writing into tickets in Dagster and by command: the job, the sensor that asks for it, and that nothing echoes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from zk_pipeline.audit.traces import find_traces
from zk_pipeline.billing import periods
from zk_pipeline.cli.app import app
from zk_pipeline.defs.resources import ZkResource, database_of_settings
from zk_pipeline.defs.write_back import AFTER_A_FAILURE, sensors, write_back, write_back_due
from zk_pipeline.domain.vital_figures import Level
from zk_pipeline.observe.doctor.report import Installation
from zk_pipeline.observe.doctor.systems import examine_write_back
from zk_pipeline.runtime.run_tags import REASON_TAG, WRITE_BACK
from zk_pipeline.stages.source_changes import TICKETS_PAUSE, ChangeFeed
from zk_pipeline.store import deliveries
from zk_pipeline.store.deliveries import WebhookDelivery
from zk_pipeline_tests.defs.billing import ADMIN, Books
from zk_pipeline_tests.defs.world import World
from zk_pipeline_tests.defs.writing_back import ON, TAG, Tickets, empower

PROPOSED = {"ZK_WRITE_BACK": "tag=propose"}


@pytest.fixture
def settings(request: pytest.FixtureRequest, surroundings: pytest.MonkeyPatch) -> dict[str, Any]:
    """Tags are written at once, unless a test gives its own settings."""
    given: dict[str, Any] = getattr(request, "param", ON)
    for name, value in given.items():
        surroundings.setenv(name, str(value))
    return given


@pytest.fixture
def tickets(world: World) -> Tickets:
    """October with a booking of 60 minutes on a ticket, closed."""
    empower(world)
    world.desk.book(60)
    world.sync()
    Books(world).close()
    return Tickets(world)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """A tick of the sensor."""
    resources = {"zk": ZkResource(database=database_of_settings())}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        found = write_back_due(context)
    assert isinstance(found, dg.SensorResult)
    return found


def test_the_sensor_asks_once_and_again_only_when_something_changed(
    tickets: Tickets, instance: dg.DagsterInstance
) -> None:
    asked = tick(instance)
    (request,) = list(asked.run_requests or ())
    assert request.tags[REASON_TAG] == WRITE_BACK
    assert not tick(instance, asked.cursor).run_requests
    resources = {"zk": ZkResource(database=database_of_settings())}
    result = write_back.execute_in_process(instance=instance, resources=resources, tags=dict(request.tags))
    assert result.success
    assert tickets.tags() == [TAG]
    after = tick(instance, asked.cursor)
    assert not after.run_requests
    assert "Nothing has changed" in str(tick(instance, after.cursor).skip_reason)
    periods.reopen(tickets.runtime, ADMIN, "2025-10", "a mistake")
    assert tick(instance, after.cursor).run_requests
    counts = tickets.world.value(f"SELECT counts FROM sync.sync_runs WHERE run_id = '{result.run_id}'")
    assert (counts["written_back"], counts["zammad_write"]) == (1, 1)


@pytest.mark.usefixtures("tickets")
def test_a_run_that_failed_before_its_first_write_is_asked_for_again(instance: dg.DagsterInstance) -> None:
    asked = tick(instance)
    said = json.loads(asked.cursor or "")
    assert datetime.fromisoformat(said["again_at"]) > datetime.now(UTC)
    past = (datetime.now(UTC) - AFTER_A_FAILURE).isoformat()
    assert tick(instance, json.dumps({**said, "again_at": past})).run_requests


@pytest.mark.parametrize("settings", [{}, PROPOSED], indirect=True, ids=["off", "propose"])
def test_there_is_a_sensor_only_where_something_is_switched_on(
    tickets: Tickets, instance: dg.DagsterInstance, settings: dict[str, Any]
) -> None:
    assert len(sensors()) == len(settings)
    assert not tick(instance).run_requests
    assert tickets.tags() == []


def test_what_we_wrote_starts_no_run_when_it_comes_back(tickets: Tickets) -> None:
    world, runtime = tickets.world, tickets.runtime
    desk, now = world.desk, datetime.now(UTC)
    ChangeFeed(runtime).poll(now)
    runs = world.value("SELECT count(*) FROM sync.sync_runs")
    tickets.write()
    ticket = desk.tickets["acme"]
    body = json.dumps({"ticket": {"id": ticket}}).encode()
    with runtime.database.transaction() as connection:
        deliveries.save(connection, [WebhookDelivery("zammad", "tagged", str(ticket), body)])
    desk.control.reset_requests()
    found = ChangeFeed(runtime).poll(now + TICKETS_PAUSE * 2)
    assert (found.hints, found.days) == (1, ())
    assert world.value("SELECT count(*) FROM sync.day_requests") == 0
    # The changes and the changed tickets, which are read anyway; the ticket of the webhook and its bookings.
    assert (tickets.sent(), desk.control.requests().reads) == ({}, 4)
    assert ChangeFeed(runtime).poll(now + timedelta(hours=1)).days == ()
    assert tickets.write().done == {}
    assert (tickets.sent(), world.value("SELECT count(*) FROM sync.sync_runs")) == ({}, runs)


def test_the_trace_of_a_booking_has_what_was_written_into_its_ticket(tickets: Tickets) -> None:
    tickets.write()
    (story,) = find_traces(tickets.runtime, tickets.world.desk.number())
    assert "ticket.written" in {row["event"] for row in story["audit"]}
    assert "/api/v1/tags/add" in {row["path"] for row in story["requests"]}


def test_the_doctor_says_what_is_lacking_before_anything_is_written(
    tickets: Tickets, surroundings: pytest.MonkeyPatch
) -> None:
    def found() -> list[tuple[Level, str]]:
        installation = Installation.present(tickets.runtime, tickets.runtime.settings.home)
        return [(finding.level, finding.remedy) for finding in examine_write_back(installation)]

    assert found() == [(Level.PASS, "")]
    empower(tickets.world, "read")
    ((level, remedy),) = found()
    assert (level, "right 'change'" in remedy) == (Level.WARN, True)
    surroundings.setenv("ZK_WRITE_BACK", "off")
    assert found() == [(Level.PASS, "")]


@pytest.mark.parametrize("settings", [PROPOSED], indirect=True)
def test_the_command_shows_approves_and_takes_back(tickets: Tickets) -> None:
    def zk(*arguments: str, code: int = 0) -> Any:
        answer = CliRunner().invoke(app, ["write-back", *arguments, "--json"])
        assert answer.exit_code == code, answer.output
        return json.loads(answer.stdout)

    (line,) = zk(code=3)["lines"]
    assert (line["content"], line["because"], line["state"], line["minutes"]) == (TAG, "closed", "waits", "60.0000")
    done = zk("approve", "--month", "2025-10", "--yes")
    assert (done["written"], done["left"], tickets.tags()) == ({"tag.add": 1}, [], [TAG])
    assert zk()["lines"] == []
    shown = CliRunner().invoke(app, ["write-back"])
    assert "Nothing is to be written into tickets." in shown.stdout
    assert zk("undo", done["run_id"], "--yes")["written"] == {"tag.remove": 1}
    assert tickets.tags() == []
    again = CliRunner().invoke(app, ["write-back", "approve", "--yes"])
    assert (again.exit_code, "Nothing of that waits for approval" in again.output) == (1, True)
