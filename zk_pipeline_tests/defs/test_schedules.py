"""The ticks of the schedules on a real Dagster instance: what they ask for, and when they leave it."""

import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.test_utils import create_run_for_test
from dagster._utils.schedules import schedule_execution_time_iterator
from sqlalchemy import text

from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate.schedules import change
from zk_pipeline.runtime.runtime import open_runtime
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline.store import connectors, day_requests, request_log, stored_settings
from zk_pipeline.store.connectors import StoredConnector
from zk_pipeline_tests.defs.world import ZONE

pytestmark = pytest.mark.dagster

SUNDAY_NOON = "2026-06-14T12:00:00+02:00"


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the business zone is set; a test that stores something takes `surroundings` as well."""
    for name in [name for name in os.environ if name.startswith("ZK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(ENV_FILE, os.devnull)
    monkeypatch.setenv("ZK_TIMEZONE", "Europe/Berlin")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def built() -> dict[str, dg.ScheduleDefinition]:
    """The schedules as the definitions would load them now."""
    from zk_pipeline.defs.schedules import build_schedules  # noqa: PLC0415

    return {schedule.name: schedule for schedule in build_schedules()}


def tick(instance: dg.DagsterInstance, name: str, moment: str = SUNDAY_NOON) -> ScheduleExecutionData:
    context = dg.build_schedule_context(instance, datetime.fromisoformat(moment).astimezone(ZONE))
    return built()[name].evaluate_tick(context)


def ranges(data: ScheduleExecutionData) -> list[str]:
    return [
        f"{request.tags['dagster/asset_partition_range_start']}..{request.tags['dagster/asset_partition_range_end']}"
        for request in data.run_requests or []
    ]


def store(name: str, **values: object) -> None:
    with open_runtime() as runtime:
        change(runtime, Actor("test", Role.ADMIN), name, values)


def requested(instance: dg.DagsterInstance, job: str, reason: str, status: dg.DagsterRunStatus) -> str:
    """A run as a tick asked for it."""
    return create_run_for_test(instance, job_name=job, status=status, tags={"zk/reason": reason}).run_id


def test_the_catch_up_asks_for_one_run_over_seven_days(instance: dg.DagsterInstance) -> None:
    (request,) = tick(instance, "catch_up").run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-06-08"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-06-14"
    assert request.tags["zk/reason"] == "catch_up"


def test_the_deep_check_asks_for_two_runs_that_know_of_each_other(instance: dg.DagsterInstance) -> None:
    data = tick(instance, "deep_check")
    assert ranges(data) == ["2026-04-14..2026-05-14", "2026-05-15..2026-06-14"]
    assert {request.tags["zk/checked"] for request in data.run_requests or []} == {"2026-04-14/2026-06-14"}


def test_the_deep_check_reads_older_open_months_of_a_source_that_tells_of_no_edits(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    with open_runtime() as runtime, runtime.database.transaction() as connection:
        source = StoredConnector("freshdesk", "source", "freshdesk", "https://acme.freshdesk.com", "key")
        connectors.save(connection, source, runtime.cipher)
        connection.execute(
            text(
                """
                INSERT INTO sync.sweeps (connector, subject, window_start, window_end, run_id, ended_at, complete)
                VALUES ('freshdesk', 'time_accountings', '2026-02-01T00:00+01', '2026-02-11T00:00+01', 'run',
                    '2026-03-01T00:00Z', true)
                """
            )
        )
    data = tick(instance, "deep_check")
    assert ranges(data) == ["2026-04-14..2026-05-14", "2026-05-15..2026-06-14", "2026-02-01..2026-02-10"]
    assert ["zk/checked" in request.tags for request in data.run_requests or []] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "cron", "day", "ticks"),
    [
        ("deep_check", "30 3 * * *", "2026-03-29", ["03:30+02:00"]),
        ("deep_check", "30 2 * * *", "2026-03-29", ["03:00+02:00"]),
        ("deep_check", "30 2 * * *", "2026-10-25", ["02:30+01:00"]),
        ("catch_up", "0 * * * *", "2026-10-25", ["02:00+02:00", "02:00+01:00"]),
        ("catch_up", "0 */6 * * *", "2026-10-25", ["00:00+02:00", "06:00+01:00", "12:00+01:00", "18:00+01:00"]),
    ],
)
def test_each_tick_of_a_clock_change_asks_for_its_own_day_under_its_own_key(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch, name: str, cron: str, day: str, ticks: list[str]
) -> None:
    store(name, cron=cron, days=1, when_busy="queue")
    asked = [(tick(instance, name, f"{day}T{clock}").run_requests or [])[0] for clock in ticks]
    assert {request.tags["dagster/partition"] for request in asked} == {day}
    assert len({request.run_key for request in asked}) == len(ticks)
    assert [is_a_tick(name, moment) for moment in (f"{day}T{clock}" for clock in ticks)] == [True] * len(ticks)


def is_a_tick(name: str, moment: str) -> bool:
    """Whether Dagster's own scheduler has a tick of the built schedule at this instant."""
    instant = datetime.fromisoformat(moment)
    schedule = built()[name]
    times = schedule_execution_time_iterator(
        instant.timestamp() - 1, schedule.cron_schedule, schedule.execution_timezone
    )
    return next(times).timestamp() == instant.timestamp()


@pytest.mark.parametrize("status", ["STARTING", "STARTED", "CANCELING"])
def test_a_tick_is_skipped_while_a_run_of_an_earlier_one_is_unfinished(
    instance: dg.DagsterInstance, status: str
) -> None:
    run_id = requested(instance, "sync", "catch_up", dg.DagsterRunStatus[status])
    data = tick(instance, "catch_up")
    assert data.run_requests == []
    assert run_id in (data.skip_message or "")


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_finished_run_holds_up_no_tick(instance: dg.DagsterInstance, status: str) -> None:
    requested(instance, "sync", "catch_up", dg.DagsterRunStatus[status])
    assert len(ranges(tick(instance, "catch_up"))) == 1


@pytest.mark.parametrize(("job", "reason"), [("sync", "change"), ("deep_check", "deep_check")])
def test_runs_that_something_else_asked_for_hold_up_no_tick(
    instance: dg.DagsterInstance, job: str, reason: str
) -> None:
    requested(instance, job, reason, dg.DagsterRunStatus.STARTED)
    assert len(ranges(tick(instance, "catch_up"))) == 1


def test_where_it_shall_queue_a_tick_asks_in_spite_of_an_unfinished_run(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    requested(instance, "sync", "catch_up", dg.DagsterRunStatus.STARTED)
    store("catch_up", when_busy="queue")
    assert len(ranges(tick(instance, "catch_up"))) == 1


def test_what_is_off_is_stopped_until_somebody_starts_it_in_dagster(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    store("catch_up", on=False)
    assert built()["catch_up"].default_status is dg.DefaultScheduleStatus.STOPPED
    assert built()["deep_check"].default_status is dg.DefaultScheduleStatus.RUNNING
    assert len(ranges(tick(instance, "catch_up"))) == 1


def test_the_environment_turns_both_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_SCHEDULES", "false")
    assert {schedule.default_status for schedule in built().values()} == {dg.DefaultScheduleStatus.STOPPED}


def test_the_definitions_have_the_stored_cron_in_the_business_zone(surroundings: pytest.MonkeyPatch) -> None:
    store("deep_check", cron="15 1 * * *")
    schedule = built()["deep_check"]
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("15 1 * * *", "Europe/Berlin")


def test_a_look_back_counts_from_the_next_tick_on_without_a_reload(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    schedule = built()["catch_up"]
    store("catch_up", days=2)
    moment = datetime.fromisoformat(SUNDAY_NOON)
    assert ranges(schedule.evaluate_tick(dg.build_schedule_context(instance, moment))) == ["2026-06-13..2026-06-14"]


def test_a_database_that_is_down_leaves_the_definitions_as_the_environment_says_and_skips_the_tick(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store("catch_up", cron="0 5 * * *")
    surroundings.setenv("ZK_DATABASE_URL", "postgresql+psycopg://nobody:secret@127.0.0.1:9/zk")
    with caplog.at_level("WARNING", "zk_pipeline"):
        assert built()["catch_up"].cron_schedule == "0 */6 * * *"
    assert "The schedules are as the environment says. PostgreSQL at" in caplog.text
    assert "does not answer" in (tick(instance, "catch_up").skip_message or "")
    assert "secret" not in caplog.text


def test_a_host_that_swallows_everything_costs_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        monkeypatch.setenv("ZK_DATABASE_URL", f"postgresql+psycopg://nobody@127.0.0.1:{server.getsockname()[1]}/zk")
        began = time.monotonic()
        assert built()["catch_up"].cron_schedule == "0 */6 * * *"
        assert time.monotonic() - began < 4


def test_while_a_system_is_away_a_tick_leaves_its_days_to_the_sensor(
    instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_CATCH_UP_DAYS", "2")
    with open_runtime() as runtime, runtime.database.transaction() as connection:
        connectors.save(
            connection, StoredConnector("kimai", "target", "kimai", "http://kimai.test", "t"), runtime.cipher
        )
        request_log.note_failure(connection, "kimai", datetime.now(UTC), "Kimai does not answer.", None)
    skipped = tick(instance, "catch_up").skip_message
    assert skipped == "Kimai does not answer. The days are requested, and run when it answers."
    with open_runtime() as runtime, runtime.database.transaction() as connection:
        assert [str(row.day) for row in day_requests.unclaimed(connection, "catch_up")] == ["2026-06-13", "2026-06-14"]
        request_log.note_success(connection, "kimai", datetime.now(UTC))
    assert ranges(tick(instance, "catch_up")) == ["2026-06-13..2026-06-14"]


def test_without_a_database_the_environment_decides(instance: dg.DagsterInstance) -> None:
    assert built()["catch_up"].cron_schedule == "0 */6 * * *"
    assert len(ranges(tick(instance, "catch_up"))) == 1


def test_a_wrong_stored_value_leaves_the_definitions_as_the_environment_says(
    surroundings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with open_runtime() as runtime, runtime.database.transaction() as connection:
        stored_settings.save(connection, "catch_up.cron", "whenever", "test")
    assert built()["catch_up"].cron_schedule == "0 */6 * * *"
    assert "catch_up.cron='whenever': is no cron expression" in caplog.text
