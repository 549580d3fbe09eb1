"""What a run writes to its log for machines: one object a line, tied to run, day and booking, and nobody's data."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions import instigation_logger
from dagster._core.definitions.instigation_logger import InstigationLogger

from zk_pipeline.defs.run_log import console_logger
from zk_pipeline.runtime.run_tags import range_tags
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, MONDAY, ZAMMAD_TOKEN, World

pytestmark = pytest.mark.dagster

JSON = {"ZK_LOG_FORMAT": "json", "ZK_HTTP_ATTEMPTS": "2"}
CREATE = {"method": "POST", "path": "/api/timesheets$"}

in_json = pytest.mark.parametrize("settings", [JSON], indirect=True)


@pytest.fixture(autouse=True)
def logging_of_before() -> Iterator[None]:
    """What a run sets up for its process ends with the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of_a_run(capsys: pytest.CaptureFixture[str]) -> tuple[str, list[dict[str, Any]]]:
    """The id of a run of the chain, and everything that it wrote."""
    from zk_pipeline.definitions import defs  # noqa: PLC0415 - the partitions read the settings of the environment

    capsys.readouterr()
    with dg.DagsterInstance.get() as instance:
        job = defs.resolve_job_def("sync")
        tags = range_tags(MONDAY, MONDAY, "command")
        result = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    written = "".join(capsys.readouterr())
    return result.run_id, [json.loads(line) for line in written.splitlines()]


@in_json
def test_every_line_is_an_object_that_names_its_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.desk.book(30)
    run_id, lines = lines_of_a_run(capsys)
    assert {line["run_id"] for line in lines} == {run_id}
    assert all(line["time"].endswith("+00:00") and line["level"] and line["message"] for line in lines)
    assert {"STEP_START", "ASSET_MATERIALIZATION"} <= {line.get("event") for line in lines}


@in_json
def test_what_the_connector_tells_carries_run_day_and_booking(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.control.add_fault("respond", **CREATE, status=429, headers={"Retry-After": "0"}, times=1)
    booking = world.desk.book(30)
    run_id, lines = lines_of_a_run(capsys)
    (told,) = [line for line in lines if line["logger"] == "zk_pipeline.connectors.http"]
    assert (told["level"], told["run_id"]) == ("warning", run_id)
    assert (told["day"], told["entry_id"]) == (MONDAY.isoformat(), str(booking))
    assert "Attempt 1 of 2" in told["message"]


@in_json
def test_a_failed_step_tells_why(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.desk.control.add_fault("respond", path="/api/v1/time_accountings", status=401)
    _, lines = lines_of_a_run(capsys)
    failed = [line for line in lines if line.get("event") == "STEP_FAILURE"]
    assert "time_accountings" in {line["step"].rpartition("__")[2] for line in failed}
    assert all("401" in line["exception"] or "upstream" in line["message"].lower() for line in failed)


@in_json
def test_no_token_no_person_and_no_ticket_is_in_the_log(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.office.control.add_fault("drop_after", **CREATE, times=1)
    world.office.control.add_fault("respond", **CREATE, status=400, skip=1, times=1)
    for agent, ticket in (("anna", "acme"), ("ben", "globex")):
        world.desk.book(30, agent=agent, ticket=ticket)
    _, lines = lines_of_a_run(capsys)
    written = json.dumps(lines, ensure_ascii=False)
    personal = (ZAMMAD_TOKEN, KIMAI_TOKEN, "anna@", "ben@", "@acme", "Anna", "Printer", "VPN", "Globex")
    assert lines
    assert [word for word in personal if word in written] == []


def test_what_a_sensor_tells_names_it(surroundings: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    surroundings.setenv("ZK_LOG_FORMAT", "json")
    surroundings.setattr(instigation_logger, "create_console_logger", console_logger)
    logger = InstigationLogger(repository_name="__repository__", instigator_name="demand")
    logger.info("Changed: %s", MONDAY)
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["automation"], line["message"]) == ("demand", f"Changed: {MONDAY}")


def test_people_get_the_lines_of_dagster(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.desk.book(30)
    with pytest.raises(json.JSONDecodeError):
        lines_of_a_run(capsys)
