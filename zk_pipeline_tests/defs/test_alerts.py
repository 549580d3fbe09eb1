"""Alerts of real failed runs of a real instance, delivered to a receiver behind a real socket."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.defs.resources import ZkResource, resources_of_settings
from zk_pipeline.defs.run_history import failure_report
from zk_pipeline.defs.sensors import alerts, failed_runs
from zk_pipeline.operate import runs
from zk_pipeline.operate.overview import ChangeMark, change_mark
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, MONDAY, World
from zk_pipeline_tests.observe.alerts.receiver import TOKEN, Receiver, open_receiver

pytestmark = pytest.mark.dagster

REFUSED = "Kimai refuses the token. Set a new one."
DAYS = {"dagster/asset_partition_range_start": "2025-10-06", "dagster/asset_partition_range_end": "2025-10-07"}


@dataclass
class Watchman:
    """Runs that fail or succeed, and the ticks of both sensors as the daemon makes them."""

    instance: dg.DagsterInstance
    receiver: Receiver
    cursor: str | None = field(default=None)

    def run(self, sentence: str = "", *, job: str = "nightly", tags: dict[str, str] | None = None) -> str:
        """Run a job that fails with this sentence, or succeeds; returns the run's id."""

        @dg.op
        def work() -> None:
            if sentence:
                raise dg.Failure(description=sentence)

        definition = dg.GraphDefinition(job, node_defs=[work]).to_job(name=job)
        return definition.execute_in_process(instance=self.instance, raise_on_error=False, tags=tags or {}).run_id

    def note(self) -> None:
        """A tick of the sensor that notes failed runs."""
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=resources_of_settings(), repository_name="__repository__"
        ) as context:
            data = failed_runs.evaluate_tick(context)
        self.cursor = data.cursor
        assert [reaction.error for reaction in data.dagster_run_reactions or [] if reaction.error] == []

    def send(self) -> str:
        """A tick of the sensor that sends; returns what it says in Dagster's UI."""
        with dg.build_sensor_context(
            self.instance, resources=resources_of_settings(), last_sensor_start_time=1.0
        ) as context:
            return alerts.evaluate_tick(context).skip_message or ""

    def tick(self) -> str:
        """One tick of each."""
        self.note()
        return self.send()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


@pytest.fixture
def watchman(surroundings: pytest.MonkeyPatch, receiver: Receiver, tmp_path: Path) -> Iterator[Watchman]:
    surroundings.setenv("ZK_ALERT_URLS", receiver.url)
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        watchman = Watchman(instance, receiver)
        watchman.note()
        yield watchman


def fail_a_sync(world: World) -> None:
    """A sync of one booking that Kimai does not take."""
    world.desk.book(30)
    world.office.control.add_fault("respond", method="POST", path="/api/timesheets$")
    with pytest.raises(SyncFailedError):
        world.sync(MONDAY)


def change_mark_of(world: World) -> ChangeMark:
    with world.environment.runtime.database.transaction() as connection:
        return change_mark(connection)


def test_a_failed_run_is_told_with_its_sentence_days_and_link(watchman: Watchman) -> None:
    run_id = watchman.run(REFUSED, tags=DAYS)
    watchman.tick()
    (message,) = watchman.receiver.messages
    assert message["title"] == "zk_pipeline: nightly failed for 2025-10-06 to 2025-10-07"
    assert message["message"].splitlines() == [
        REFUSED,
        "Days: 2025-10-06 to 2025-10-07",
        f"http://127.0.0.1:3000/runs/{run_id}",
    ]


@pytest.mark.parametrize(
    ("addresses", "link"),
    [
        ({"ZK_PUBLIC_URL": "https://zk.example.com"}, "https://zk.example.com"),
        (
            {"ZK_PUBLIC_URL": "https://zk.example.com", "ZK_DAGSTER_UI": "https://zk.example.com/dagster"},
            "https://zk.example.com/dagster/runs/{run}",
        ),
    ],
)
def test_an_alert_leads_to_an_address_that_people_have(
    watchman: Watchman, surroundings: pytest.MonkeyPatch, addresses: dict[str, str], link: str
) -> None:
    for name, value in addresses.items():
        surroundings.setenv(name, value)
    run_id = watchman.run(REFUSED)
    watchman.tick()
    (message,) = watchman.receiver.messages
    assert message["message"].splitlines()[-1] == link.format(run=run_id)


def test_a_failed_run_has_its_sentence_as_a_tag_and_a_run_that_repeats_it_has_it_no_more(watchman: Watchman) -> None:
    run_id = watchman.run(f"{REFUSED} Ask anna@example.com.")
    watchman.note()
    failed = watchman.instance.get_run_by_id(run_id)
    assert failed is not None
    assert failed.tags["zk/failure"] == f"{REFUSED} Ask ***."

    @dg.op
    def work(zk: ZkResource) -> None:
        assert zk.runtime

    job = dg.GraphDefinition("nightly", node_defs=[work]).to_job(name="nightly", resource_defs=resources_of_settings())
    done = job.execute_in_process(instance=watchman.instance, tags=failed.tags)
    again = watchman.instance.get_run_by_id(done.run_id)
    assert again is not None
    assert (again.status, again.tags["zk/failure"]) == (dg.DagsterRunStatus.SUCCESS, "")


def test_nothing_is_told_of_a_run_that_succeeds(watchman: Watchman) -> None:
    watchman.run()
    assert watchman.tick() == "Nothing to send."
    assert watchman.receiver.messages == []


def test_the_same_failure_is_told_once_in_the_quiet_period_also_by_another_process(watchman: Watchman) -> None:
    for _ in range(3):
        watchman.run(REFUSED)
        watchman.tick()  # Each tick opens the database again, as a restarted process does.
    watchman.run("Zammad does not answer.")
    watchman.tick()
    assert [message["message"].splitlines()[0] for message in watchman.receiver.messages] == [
        REFUSED,
        "Zammad does not answer.",
    ]


def test_without_a_quiet_period_every_failure_is_told(watchman: Watchman, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ALERT_QUIET_MINUTES", "0")
    for _ in range(2):
        watchman.run(REFUSED)
    watchman.note()
    watchman.tick()
    assert len(watchman.receiver.messages) == 2


def test_people_are_told_of_the_third_failure_in_a_row_of_the_same_job(
    watchman: Watchman, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_ALERT_AFTER", "3")
    told: list[int] = []
    for sentence in (REFUSED, "", REFUSED, REFUSED, REFUSED):
        watchman.run(REFUSED, job=f"other_{len(told)}")
        watchman.run(sentence)
        watchman.tick()
        told.append(len(watchman.receiver.messages))
    assert told == [0, 0, 0, 0, 1]


def test_a_run_that_dagster_starts_again_is_not_told(watchman: Watchman) -> None:
    run = create_run_for_test(watchman.instance, job_name="sync", tags={"dagster/will_retry": "true"})
    watchman.instance.report_run_failed(run, "The process of this run died.")
    watchman.tick()
    assert watchman.receiver.messages == []


def test_a_run_without_a_failed_step_is_told_by_its_last_word(watchman: Watchman) -> None:
    run = create_run_for_test(watchman.instance, job_name="sync", tags=DAYS)
    watchman.instance.report_run_failed(run, "The process of this run died. Its days are requested again.")
    watchman.tick()
    (message,) = watchman.receiver.messages
    assert message["message"].startswith("The process of this run died. Its days are requested again.\n")


def test_an_unexpected_error_is_named_by_its_type_alone(watchman: Watchman) -> None:
    @dg.op
    def work() -> None:
        raise LookupError("anna@example.com booked 15 minutes")

    dg.GraphDefinition("nightly", node_defs=[work]).to_job().execute_in_process(
        instance=watchman.instance, raise_on_error=False
    )
    watchman.tick()
    (message,) = watchman.receiver.messages
    assert message["message"].startswith("work met an unexpected LookupError. The log of the run has it.\n")


def test_no_secret_and_no_mail_address_is_told(watchman: Watchman, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_KIMAI_TOKEN", KIMAI_TOKEN)
    watchman.run(f"{KIMAI_TOKEN} at https://me:password@kimai.example.com is not of anna@example.com.")
    watchman.tick()
    (message,) = watchman.receiver.messages
    assert message["message"].splitlines()[0] == "*** at https://***@kimai.example.com is not of ***."


def test_what_works_again_is_told_once(watchman: Watchman) -> None:
    watchman.run(REFUSED)
    watchman.tick()
    run_id = watchman.run()
    for _ in range(2):
        watchman.tick()
    assert watchman.receiver.titles == ["zk_pipeline: nightly failed", "zk_pipeline: nightly works again"]
    assert watchman.receiver.messages[-1]["message"].endswith(f"/runs/{run_id}")
    assert watchman.receiver.messages[-1]["type"] == "success"


def test_a_success_before_anybody_was_told_is_not_told(watchman: Watchman, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ALERT_AFTER", "2")
    watchman.run(REFUSED)
    watchman.tick()
    watchman.run()
    watchman.tick()
    assert watchman.receiver.messages == []


def test_time_that_was_changed_after_billing_is_told_once(watchman: Watchman, world: World) -> None:
    booking = world.desk.book(60)
    world.sync()
    world.office.change(world.office.sheet(booking), exported=True)
    world.sync()
    row = world.office.sheet(booking)
    world.office.change(row, end=(row.end or 0) + 1800, duration=row.duration + 1800)
    world.sync()
    for _ in range(2):
        watchman.send()
        (message,) = watchman.receiver.messages
        assert message["title"] == "zk_pipeline: billed time was changed"
        assert f"Time sheet {row.id} of {MONDAY}: " in message["message"]
        assert "Changed after billing: +30 min." in message["message"]
    world.office.change(row)
    world.sync()
    watchman.send()
    world.office.change(row, end=(row.end or 0) + 600, duration=row.duration + 600)
    world.sync()
    watchman.send()
    assert len(watchman.receiver.messages) == 2, "put back, it was no question any more"


def test_an_alert_that_did_not_arrive_is_sent_at_the_next_tick(watchman: Watchman) -> None:
    watchman.receiver.status = 503
    watchman.run(REFUSED)
    said = watchman.tick()
    assert "The alert did not reach address 1 (json)" in said
    assert "503" in said
    assert TOKEN not in said
    watchman.receiver.status = 200
    assert watchman.send() == "Sent 1, waiting 0."
    assert watchman.send() == "Nothing to send."
    assert watchman.receiver.titles == ["zk_pipeline: nightly failed"]


def test_an_address_that_is_down_does_not_keep_the_others_from_theirs(
    watchman: Watchman, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_ALERT_URLS", f"pigeon://{TOKEN},{watchman.receiver.url}")
    for sentence in (REFUSED, "Zammad does not answer."):
        watchman.run(sentence)
        watchman.tick()
    assert len(watchman.receiver.messages) == 2
    surroundings.setenv("ZK_ALERT_URLS", f"{watchman.receiver.url},{watchman.receiver.url}")
    assert watchman.send() == "Sent 2, waiting 0."


def test_without_addresses_nothing_is_kept(watchman: Watchman, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_ALERT_URLS", "")
    watchman.run(REFUSED)
    assert watchman.tick() == "Nobody is alerted: set ZK_ALERT_URLS."
    surroundings.setenv("ZK_ALERT_URLS", watchman.receiver.url)
    assert watchman.send() == "Nothing to send."


def test_a_failure_is_told_even_when_our_database_is_down(watchman: Watchman, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_DATABASE_URL", "postgresql+psycopg://zk:zk@127.0.0.1:1/zk")
    watchman.run(REFUSED)
    watchman.note()
    assert watchman.receiver.titles == ["zk_pipeline: nightly failed"]


def test_a_day_that_is_left_failed_keeps_its_job_from_working_again(
    world: World, receiver: Receiver, surroundings: pytest.MonkeyPatch
) -> None:
    surroundings.setenv("ZK_ALERT_URLS", receiver.url)
    tuesday = MONDAY.replace(day=7)
    with dg.DagsterInstance.get() as instance:
        watchman = Watchman(instance, receiver)
        watchman.note()
        fail_a_sync(world)
        watchman.tick()
        assert receiver.titles == [f"zk_pipeline: sync failed for {MONDAY}"]
        assert "could not be written for now" in receiver.messages[0]["message"]
        world.office.control.clear_faults()
        world.sync(tuesday)
        watchman.tick()
        assert len(receiver.messages) == 1
        world.sync(MONDAY)
        watchman.tick()
        assert receiver.titles[-1] == "zk_pipeline: sync works again"


def test_the_console_and_the_api_tell_why_a_run_failed_whether_or_not_people_are_alerted(
    world: World, surroundings: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    surroundings.setenv("ZK_ALERT_URLS", "")
    with dg.DagsterInstance.get() as instance:
        watchman = Watchman(instance, receiver)
        watchman.note()
        fail_a_sync(world)
        before = change_mark_of(world)
        watchman.note()
    (run,), _ = runs.page(world.environment.runtime, limit=1, offset=0)
    assert "could not be written for now" in run.failure
    assert change_mark_of(world) != before, "open pages of the console take it as a change"
    world.office.control.clear_faults()
    world.sync(MONDAY)
    assert [row.failure for row in runs.page(world.environment.runtime, limit=1, offset=0)[0]] == [""]


def test_a_report_names_the_bad_days_of_a_range_alone(watchman: Watchman) -> None:
    @dg.op
    def work() -> None:
        raise dg.Failure(description="2025-10-07: no.", metadata={"bad_days": "2025-10-07"})

    result = (
        dg.GraphDefinition("sync", node_defs=[work])
        .to_job()
        .execute_in_process(instance=watchman.instance, raise_on_error=False, tags=DAYS)
    )
    events = result.all_events
    steps = [event for event in events if event.is_step_failure]
    assert [str(day) for day in failure_report(result.dagster_run, events[-1], steps).days] == ["2025-10-07"]
