"""Dagster's event log after the nightly job: the chatter is gone, and Dagster knows all that it knew."""

from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.defs import run_history
from zk_pipeline.defs.housekeeping import apply_retention
from zk_pipeline.defs.resources import resources_of_settings
from zk_pipeline.privacy import retention
from zk_pipeline.runtime import dagster_internals
from zk_pipeline_tests.defs.asking import requested
from zk_pipeline_tests.defs.world import MONDAY, World

pytestmark = pytest.mark.dagster

CHAIN = [("zammad", "time_accountings"), ("kimai", "timesheets"), ("sync", "kimai_pushes")]
LINES = "SELECT count(*) FROM event_logs WHERE dagster_event_type IS NULL OR dagster_event_type = 'ENGINE_EVENT'"


def in_dagster(world: World, statement: str) -> Any:
    """The first value of a statement on Dagster's database, if it has one."""
    url = world.environment.runtime.settings.dagster_url
    assert url is not None
    with dagster_internals.opened(url.get_secret_value()) as database, database.transaction() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def knowledge(world: World) -> dict[str, Any]:
    """What Dagster tells of days, assets, runs and steps."""
    with dg.DagsterInstance.get() as instance:
        runs = [run for run in instance.get_runs() if run.job_name == "sync"]
        return {
            "days": {key: world.recorded_days(*key) for key in CHAIN},
            "failed": run_history.failed_days(instance, [MONDAY]),
            "materialized": run_history.materialized_at(instance, [MONDAY]),
            "metadata": world.metadata(CHAIN[-1]),
            "runs": [(run.run_id, run.status, run.tags) for run in runs],
            "stats": [instance.get_run_stats(run.run_id) for run in runs],
            "steps": [instance.get_run_step_stats(run.run_id) for run in runs],
        }


def housekeeping() -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.get() as instance:
        tags = requested(apply_retention.name)
        return apply_retention.execute_in_process(instance=instance, resources=resources_of_settings(), tags=tags)


def removed(result: dg.ExecuteInProcessResult) -> object:
    (output,) = [event for event in result.events_for_node("prune") if event.is_successful_output]
    return output.step_output_data.metadata["dagster_logs"].value


@pytest.fixture
def synced(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A day that was carried through, and once more by a run that failed; what goes takes many batches."""
    monkeypatch.setattr(retention, "BATCH", 3)
    world.desk.book(30)
    world.sync()
    world.office.control.add_fault("respond", path="/api/timesheets", status=401)
    with pytest.raises(SyncFailedError):
        world.sync()
    world.office.control.clear_faults()
    return world


def test_what_was_materialized_and_how_runs_ended_stays(synced: World) -> None:
    in_dagster(synced, "UPDATE event_logs SET timestamp = timestamp - interval '31 days'")
    before, lines = knowledge(synced), in_dagster(synced, LINES)
    assert lines > 0
    assert {status for _, status, _ in before["runs"]} == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert removed(housekeeping()) >= lines
    assert knowledge(synced) == before
    assert in_dagster(synced, LINES + " AND timestamp < now() - interval '30 days'") == 0


def test_a_day_can_be_run_again_without_the_old_lines(synced: World) -> None:
    in_dagster(synced, "UPDATE event_logs SET timestamp = timestamp - interval '31 days'")
    housekeeping()
    assert synced.sync().counts["in_sync"] == 1


def test_what_is_younger_stays(synced: World) -> None:
    lines = in_dagster(synced, LINES)
    assert removed(housekeeping()) == 0
    assert in_dagster(synced, LINES) >= lines
