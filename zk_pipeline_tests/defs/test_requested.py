"""Jobs that pass limits, undo, tag, delete history or restore take a request of ours, whoever launches them."""

from datetime import timedelta

import dagster as dg
import pytest
from sqlalchemy import update

from zk_pipeline.runtime.run_tags import (
    ACTOR_TAG,
    FORMER_OVERRIDE_TAG,
    MEND_TAG,
    MONTH_TAG,
    OVERRIDE_TAG,
    REQUEST_TAG,
    range_subject,
    range_tags,
    undo_config,
)
from zk_pipeline.store import runs
from zk_pipeline.store.tables import run_requests as table
from zk_pipeline_tests.defs.asking import ANNA
from zk_pipeline_tests.defs.world import MONDAY, World

pytestmark = pytest.mark.dagster

TUESDAY = MONDAY + timedelta(days=1)


def launched(world: World, job: str, tags: dict[str, str] | None = None, undone: str = "") -> dg.ExecuteInProcessResult:
    """A run as somebody launches it who reaches the code server, or Dagster's database."""
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    config = undo_config(undone) if undone else None
    with dg.DagsterInstance.get() as instance:
        return defs.resolve_job_def(job).execute_in_process(
            instance=instance, tags=tags or {}, run_config=config, raise_on_error=False
        )


def request(world: World, job: str, about: str) -> str:
    with world.environment.runtime.database.transaction() as connection:
        return runs.ask(connection, ANNA.name, job, about)


def authorized(world: World) -> str | None:
    """Whoever the trail names for the runs that had a request, each with the run."""
    return world.value(
        "SELECT string_agg(actor || ' ' || subject, ', ' ORDER BY id) FROM sync.audit_logs"
        " WHERE event = 'run.authorized'"
    )


def said(result: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    return (told.description or "") if told else ""


@pytest.mark.parametrize(
    ("job", "tags"),
    [
        ("tag_billed", {MONTH_TAG: "2025-10"}),
        ("mend", {MEND_TAG: "show_project:1"}),
        ("apply_retention", {}),
        ("rehearse_backup", {}),
    ],
)
@pytest.mark.parametrize("request_tag", [{}, {REQUEST_TAG: "made-up"}, {REQUEST_TAG: "made-up", ACTOR_TAG: "user:1"}])
def test_without_a_request_of_ours_nothing_is_done(
    world: World, job: str, tags: dict[str, str], request_tag: dict[str, str]
) -> None:
    result = launched(world, job, {**tags, **request_tag})
    assert not result.success
    assert said(result).startswith(f"Nothing was done. {job} is asked for in the console or with `zk`")
    assert authorized(world) is None


def test_an_undo_takes_a_request_for_that_run_and_spends_it(world: World) -> None:
    world.desk.book(30)
    run = world.sync().run_ids[0]
    other = request(world, "undo", "another run")
    for tags in ({}, {REQUEST_TAG: other}, {REQUEST_TAG: request(world, "apply_retention", run)}):
        assert not launched(world, "undo", tags, run).success
        assert len(world.office.rows) == 1
    token = {REQUEST_TAG: request(world, "undo", run)}
    undone = launched(world, "undo", token, run)
    assert undone.success
    assert len(world.office.rows) == 0
    assert authorized(world) == f"cli:anna run:{undone.run_id}"
    assert said(launched(world, "undo", token, run)).endswith("or another run has spent it.")


def test_a_request_does_not_count_for_ever(world: World) -> None:
    token = request(world, "apply_retention", "")
    with world.environment.runtime.database.transaction() as connection:
        connection.execute(update(table).values(asked_at=table.c.asked_at - runs.LIFE))
    assert not launched(world, "apply_retention", {REQUEST_TAG: token}).success


@pytest.mark.parametrize("about", [None, "made-up", range_subject(TUESDAY, TUESDAY), range_subject(MONDAY, TUESDAY)])
def test_the_limits_hold_without_a_request_for_just_these_days(
    world: World, monkeypatch: pytest.MonkeyPatch, about: str | None
) -> None:
    monkeypatch.setenv("ZK_MAX_CHANGES", "0")
    world.desk.book(30)
    tags = {**range_tags(MONDAY, MONDAY, "person"), OVERRIDE_TAG: "yes"}
    if about is not None:
        tags[REQUEST_TAG] = "made-up" if about == "made-up" else request(world, "sync", about)
    result = launched(world, "sync", tags)
    assert "Stopped before the first write" in said(result)
    assert len(world.office.rows) == 0
    assert authorized(world) is None


@pytest.mark.parametrize("tag", [OVERRIDE_TAG, FORMER_OVERRIDE_TAG])
def test_with_one_they_are_overridden_once_and_the_trail_names_who_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    monkeypatch.setenv("ZK_MAX_CHANGES", "0")
    world.desk.book(30)
    tags = {**range_tags(MONDAY, MONDAY, "person"), tag: "yes"}
    tags[REQUEST_TAG] = request(world, "sync", range_subject(MONDAY, MONDAY))
    passed = launched(world, "sync", tags)
    assert passed.success
    assert len(world.office.rows) == 1
    assert authorized(world) == f"cli:anna run:{passed.run_id}"
    world.desk.book(45)
    assert "Stopped before the first write" in said(launched(world, "sync", tags))


@pytest.mark.parametrize("name", ["apply_retention", "rehearse_backup"])
def test_a_schedule_asks_for_its_own_run(world: World, name: str) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    with dg.DagsterInstance.get() as instance:
        tick = defs.resolve_schedule_def(name).evaluate_tick(dg.build_schedule_context(instance))
    (asked,) = tick.run_requests or ()
    result = launched(world, name, dict(asked.tags))
    assert result.success or "Nothing was done" not in said(result)
    assert authorized(world) is None
