"""The checks that watch the chain, on Dagster's instance in PostgreSQL with its real records."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.defs.checks import FAILED_DAYS, FRESHNESS, WHOLE, days_are_fresh, no_day_is_left_failed, watch
from zk_pipeline.defs.resources import ZkResource, database_of_settings
from zk_pipeline.defs.run_history import CHAIN, PUSHES, failed_days
from zk_pipeline.domain.instants import local_day
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate.schedules import change
from zk_pipeline.runtime.schedules import CATCH_UP, plan_of
from zk_pipeline.runtime.settings import Settings
from zk_pipeline_tests.defs.test_alerts import Watchman
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at
from zk_pipeline_tests.observe.alerts.receiver import Receiver, open_receiver

pytestmark = pytest.mark.dagster

TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
NOW = at("09:00", MONDAY + timedelta(days=7))


class Clock(ZkResource):
    """The product at another moment."""

    moment: str

    def now(self) -> datetime:
        return datetime.fromisoformat(self.moment)


@pytest.fixture
def instance(world: World) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def today() -> date:
    return local_day(datetime.now(ZONE), ZONE)


def watched(instance: dg.DagsterInstance, moment: datetime) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the job as the schedule does, at a moment; what the checks found, by name."""
    definitions = dg.Definitions(
        assets=[dg.AssetSpec(PUSHES)],
        asset_checks=[days_are_fresh, no_day_is_left_failed],
        jobs=[watch],
        resources={"zk": Clock(database=database_of_settings(), moment=moment.isoformat())},
        executor=dg.in_process_executor,
    )
    result = definitions.resolve_job_def("watch").execute_in_process(instance=instance)
    assert result.success
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def materialize(instance: dg.DagsterInstance, *days: date, keys: tuple[dg.AssetKey, ...] = CHAIN) -> None:
    for key in keys:
        for day in days:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day.isoformat()))


def test_days_that_were_run_just_now_are_fresh(instance: dg.DagsterInstance, today: date) -> None:
    materialize(instance, today, today - timedelta(days=1))
    found = watched(instance, datetime.now(ZONE))[FRESHNESS]
    assert found.passed, found.description


def test_both_days_are_stale_on_the_next_morning(instance: dg.DagsterInstance, today: date) -> None:
    materialize(instance, today, today - timedelta(days=1))
    tomorrow = today + timedelta(days=1)
    found = watched(instance, at("09:00", tomorrow))[FRESHNESS]
    assert not found.passed
    assert found.metadata["days"].value == f"{today}, {tomorrow}"
    assert found.description is not None
    assert all(key.to_user_string() in found.description for key in CHAIN)
    assert f"`zk sync --from {today} --to {tomorrow}`" in found.description


def test_the_stale_asset_is_named_alone(instance: dg.DagsterInstance, today: date) -> None:
    materialize(instance, today, today - timedelta(days=1), keys=CHAIN[1:])
    materialize(instance, today - timedelta(days=30))
    found = watched(instance, datetime.now(ZONE))[FRESHNESS]
    assert not found.passed
    assert found.description is not None
    assert [key.to_user_string() for key in CHAIN if key.to_user_string() in found.description] == [
        "zammad/time_accountings"
    ]


def test_an_old_day_run_again_makes_nothing_fresh(instance: dg.DagsterInstance, today: date) -> None:
    materialize(instance, today - timedelta(days=30))
    assert not watched(instance, datetime.now(ZONE))[FRESHNESS].passed


def test_nothing_is_stale_before_the_first_sync(instance: dg.DagsterInstance) -> None:
    assert watched(instance, NOW)[FRESHNESS].passed


def test_nothing_is_stale_while_the_catch_up_is_off(world: World, instance: dg.DagsterInstance) -> None:
    change(world.environment.runtime, Actor("test", Role.ADMIN), CATCH_UP, {"on": False})
    materialize(instance, MONDAY)
    found = watched(instance, NOW)[FRESHNESS]
    assert (found.passed, found.description) == (True, "The regular sync is off, so no day is due.")


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("0 */6 * * *", at("08:00"), at("06:00")),
        ("0 */6 * * *", at("07:59"), at("00:00")),
        ("0 2 * * 0", at("08:00"), at("02:00", MONDAY - timedelta(days=1))),
        ("0 */6 * * *", at("09:00", date(2025, 10, 26)), at("06:00", date(2025, 10, 26))),
        ("0 */6 * * *", at("01:30", date(2025, 3, 30)), at("18:00", date(2025, 3, 29))),
    ],
    ids=["two hours after it", "just before that", "once a week", "a day of 25 hours", "the night before 23 hours"],
)
def test_a_catch_up_has_two_hours_to_finish(cron: str, now: datetime, due: datetime) -> None:
    settings = Settings(_env_file=None, timezone=ZONE.key, catch_up_cron=cron)  # pyright: ignore[reportCallIssue]
    assert plan_of(settings, CATCH_UP, {}).last_due(now) == due


def test_a_bad_day_of_a_range_is_left_failed_until_it_is_run_again(world: World, instance: dg.DagsterInstance) -> None:
    _, bad, _ = (world.desk.book(30, at("09:00", day)) for day in (MONDAY, TUESDAY, WEDNESDAY))
    world.office.control.add_fault("respond", method="POST", path="/api/timesheets$", body=rf"\[zk-zammad-{bad}\]")
    with pytest.raises(SyncFailedError):
        world.sync(MONDAY, WEDNESDAY)
    found = watched(instance, NOW)[FAILED_DAYS]
    assert not found.passed
    assert found.metadata["days"].value == str(TUESDAY)
    assert f"`zk sync --from {TUESDAY} --to {TUESDAY}`" in str(found.description)

    world.office.control.clear_faults()
    world.sync(TUESDAY)
    assert watched(instance, NOW)[FAILED_DAYS].passed


def test_all_days_of_a_run_that_a_system_stopped_are_left_failed(world: World, instance: dg.DagsterInstance) -> None:
    world.desk.control.add_fault("respond", method="GET", status=503)
    with pytest.raises(SyncFailedError):
        world.sync(MONDAY, TUESDAY)
    assert failed_days(instance, [MONDAY, TUESDAY, WEDNESDAY]) == {MONDAY, TUESDAY}
    assert watched(instance, at("09:00", MONDAY + timedelta(days=70)))[FAILED_DAYS].passed, "the days are long past"


def test_a_day_that_was_pushed_without_a_read_says_what_to_materialize(
    world: World, instance: dg.DagsterInstance
) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    world.sync(TUESDAY)
    alone = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection={PUSHES})
    for day in (MONDAY, TUESDAY):
        result = alone.execute_in_process(instance=instance, partition_key=str(day), raise_on_error=False)
        assert result.success is (day == TUESDAY)
    found = watched(instance, NOW)[FAILED_DAYS]
    assert (found.passed, found.metadata["days"].value) == (False, str(MONDAY))
    unread = f"{MONDAY}: This day was not read from zammad: materialize what is upstream too, or launch the job sync."
    assert str(found.description).endswith(unread)

    world.sync(MONDAY)
    assert watched(instance, NOW)[FAILED_DAYS].passed


def test_a_day_that_is_being_run_again_is_not_left_failed(world: World, instance: dg.DagsterInstance) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    world.desk.control.add_fault("respond", method="GET", status=503)
    with pytest.raises(SyncFailedError):
        world.sync(MONDAY)
    tags = dict.fromkeys(("dagster/asset_partition_range_start", "dagster/asset_partition_range_end"), str(MONDAY))
    instance.create_run_for_job(defs.resolve_job_def("sync"), tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert failed_days(instance, [MONDAY]) == set()


def test_a_plan_that_failed_leaves_no_day_failed(world: World, instance: dg.DagsterInstance) -> None:
    world.desk.control.add_fault("respond", method="GET", status=503)
    with pytest.raises(SyncFailedError):
        world.sync(MONDAY, job="plan")
    assert failed_days(instance, [MONDAY]) == set()


def test_people_are_told_of_a_failed_check_and_of_its_end(
    world: World, instance: dg.DagsterInstance, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_ALERT_AFTER", "5")
    with open_receiver() as receiver:
        surroundings.setenv("ZK_ALERT_URLS", receiver.url)
        watchman = Watchman(instance, receiver)
        world.desk.control.add_fault("respond", method="GET", status=503)
        with pytest.raises(SyncFailedError):
            world.sync(MONDAY)
        for _ in range(2):
            watched(instance, NOW)
            watchman.send()
        _assert_told(receiver, [f"zk_pipeline: {FAILED_DAYS} failed for {MONDAY}"])
        world.desk.control.clear_faults()
        world.sync(MONDAY)
        watched(instance, NOW)
        watchman.send()
        assert receiver.titles[-1] == f"zk_pipeline: {FAILED_DAYS} works again"


def _assert_told(receiver: Receiver, titles: list[str]) -> None:
    assert [title for title in receiver.titles if FRESHNESS not in title] == titles


def test_the_chain_runs_without_the_checks_that_watch_it() -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    steps = {name: {node.name for node in defs.resolve_job_def(name).nodes} for name in ("sync", "plan", "deep_check")}
    assert {name for names in steps.values() for name in names if FRESHNESS in name or FAILED_DAYS in name} == set()
    assert len(steps["sync"]) == 7 + 1, "and the check that stands between plan and push"
    assert all(any(WHOLE in name for name in names) for names in steps.values())
    assert len(list(defs.resolve_job_def("watch").nodes)) == 2
