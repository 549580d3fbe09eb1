"""Runs whose process died: they are reported as failed at the second look, and their days are asked for again."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType
from dagster._core.test_utils import create_run_for_test

from zk_pipeline.defs.automation.dead_runs import bury_dead_runs
from zk_pipeline.defs.resources import run_lock
from zk_pipeline.store import requests
from zk_pipeline_tests.defs.watching import RUN_TAGS, Watch, settled
from zk_pipeline_tests.defs.world import MONDAY

__all__ = ["settled"]


@pytest.fixture
def begun(settled: Watch) -> dg.DagsterRun:
    """A run that is said to be under way."""
    run = create_run_for_test(settled.instance, job_name="sync", status=dg.DagsterRunStatus.STARTING, tags=RUN_TAGS)
    start = DagsterEvent(DagsterEventType.RUN_START.value, job_name="sync")
    settled.instance.report_dagster_event(start, run.run_id)
    return run


def look(watch: Watch, seconds: int) -> list[str]:
    """A look at the runs, so many seconds from now."""
    now = datetime.now(UTC) + timedelta(seconds=seconds)
    return bury_dead_runs(watch.world.environment.runtime, watch.instance, now)


def status_of(watch: Watch, run: dg.DagsterRun) -> str:
    found = watch.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status.value


def test_a_dead_run_is_reported_as_failed_at_the_second_look(settled: Watch, begun: dg.DagsterRun) -> None:
    assert look(settled, 120) == []
    assert status_of(settled, begun) == "STARTED"
    assert look(settled, 125) == [begun.run_id]
    assert status_of(settled, begun) == "FAILURE"
    assert look(settled, 130) == []


def test_a_run_whose_process_holds_the_lock_is_never_dead(settled: Watch, begun: dg.DagsterRun) -> None:
    with settled.world.environment.runtime.database.lock(run_lock(begun.run_id)):
        assert [look(settled, 3600 + number) for number in range(3)] == [[], [], []]
    assert status_of(settled, begun) == "STARTED"


def test_a_run_that_has_the_lock_at_the_second_look_is_suspected_anew(settled: Watch, begun: dg.DagsterRun) -> None:
    assert look(settled, 120) == []
    with settled.world.environment.runtime.database.lock(run_lock(begun.run_id)):
        assert look(settled, 125) == []
    assert look(settled, 130) == []
    assert look(settled, 135) == [begun.run_id]


def test_a_run_has_a_minute_to_take_the_lock(settled: Watch, begun: dg.DagsterRun) -> None:
    assert [look(settled, seconds) for seconds in (10, 20, 30)] == [[], [], []]


def test_the_days_of_a_dead_run_are_asked_for_again(settled: Watch, begun: dg.DagsterRun) -> None:
    with settled.world.environment.runtime.database.transaction() as connection:
        requests.ask(connection, [MONDAY], "person")
        requests.take_on(connection, begun.run_id, MONDAY, MONDAY)
    assert settled.ranges() == []
    look(settled, 120)
    look(settled, 125)
    assert settled.ranges() == [(MONDAY, MONDAY)]


def test_a_run_of_selected_assets_is_watched_and_one_that_takes_no_lock_is_not(settled: Watch) -> None:
    runs = [
        create_run_for_test(
            settled.instance,
            job_name="__ASSET_JOB",
            status=dg.DagsterRunStatus.STARTING,
            asset_selection=frozenset([dg.AssetKey(key)]),
        )
        for key in (["sync", "kimai_pushes"], ["marts", "hours"])
    ]
    for run in runs:
        start = DagsterEvent(DagsterEventType.RUN_START.value, job_name="__ASSET_JOB")
        settled.instance.report_dagster_event(start, run.run_id)
    assert look(settled, 120) == []
    assert look(settled, 125) == [runs[0].run_id]
