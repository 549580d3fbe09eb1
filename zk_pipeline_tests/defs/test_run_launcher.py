"""Runs whose process died or whose code server has changed: Dagster's run monitoring settles them by our launcher."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import psycopg
import pytest
from dagster import DagsterEvent, DagsterEventType
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.storage.dagster_run import RunOpConcurrency
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.daemon import DagsterDaemon
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from sqlalchemy import event

from zk_pipeline.defs import run_launcher
from zk_pipeline.defs.run_launcher import DIED, LocalRunLauncher, process_name, run_lock
from zk_pipeline.observe.vital_signs import RUN_WAITS_AFTER
from zk_pipeline.processes import daemon
from zk_pipeline.processes.daemon import (
    Loops,
    QueueDaemon,
    StuckRuns,
    WatchedClock,
    end_runs_of_the_future,
    forget_ticks_of_the_future,
)
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.processes.health_check import last_beat
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.store import day_requests
from zk_pipeline_tests.defs.watching import RUN_TAGS, Watch, settled
from zk_pipeline_tests.defs.world import MONDAY

pytestmark = pytest.mark.dagster

__all__ = ["settled"]

HOLDS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)  # A shell starts what it puts in the background without it.
from zk_pipeline.defs.run_launcher import process_name, run_lock
from zk_pipeline.store.database import Database
with Database(sys.argv[1]).kept_lock(run_lock(sys.argv[2]), process_name()):
    print("running", flush=True)
    time.sleep(60)
"""

REPOSITORY = RemoteRepositoryOrigin(GrpcServerCodeLocationOrigin("127.0.0.1", 4000, location_name="zk_pipeline"), "r")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_launcher, "SECONDS_TO_BEGIN", 0.0)
    monkeypatch.setattr(run_launcher, "SECONDS_OF_SUSPICION", 0.0)


@pytest.fixture
def begun(settled: Watch) -> dg.DagsterRun:
    return begin(settled)


def begin(watch: Watch, **options: object) -> dg.DagsterRun:
    """A run that is said to be under way."""
    options = {"job_name": "sync", "tags": RUN_TAGS, **options}
    run = create_run_for_test(watch.instance, status=dg.DagsterRunStatus.STARTING, **options)
    watch.instance.report_dagster_event(DagsterEvent(DagsterEventType.RUN_START.value, run.job_name), run.run_id)
    return run


class _Process:
    """What run monitoring wants of the daemon's process."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def create_request_context(self) -> None:
        """No run of these tests is resumed, so no workspace is needed."""


def monitor(watch: Watch) -> list[object]:
    """One round of Dagster's run monitoring; its errors."""
    return [
        error
        for error in execute_run_monitoring_iteration(_Process(watch.instance), logging.getLogger("test"))  # type: ignore[arg-type]
        if error is not None
    ]


def holder_of(watch: Watch, lock: str) -> str | None:
    holder = watch.world.environment.runtime.database.holder_of(lock)
    return None if holder is None else holder.name


def status_of(watch: Watch, run: dg.DagsterRun) -> str:
    found = watch.instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status.value


@pytest.fixture
def living(settled: Watch, begun: dg.DagsterRun) -> Iterator[subprocess.Popen[str]]:
    """A process that lives for the run."""
    url = os.environ["ZK_DATABASE_URL"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, url, begun.run_id], stdout=subprocess.PIPE, text=True
    ) as process:
        database = settled.world.environment.runtime.database
        assert wait_until(lambda: database.holder_of(run_lock(begun.run_id)) is not None, 90)
        yield process
        process.kill()


def test_the_instance_of_dagster_yaml_has_the_launcher(settled: Watch) -> None:
    assert isinstance(settled.instance.run_launcher, LocalRunLauncher)


def test_an_empty_queue_costs_one_query_and_a_run_in_it_is_found(
    settled: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    queue = QueueDaemon(interval_seconds=1)
    monkeypatch.setattr(queue, "_dequeue_run", lambda _1, _2, run, *_, **__: found.append(run.run_id))
    list(queue.run_iteration(_Process(settled.instance)))
    with statements(settled.instance) as asked:
        list(queue.run_iteration(_Process(settled.instance)))
    assert (len(asked), found) == (1, [])
    run = stuck(settled, dg.DagsterRunStatus.QUEUED)
    list(queue.run_iteration(_Process(settled.instance)))
    assert found == [run.run_id]


def test_the_columns_of_runs_are_looked_up_once_and_not_before_each_list(settled: Watch) -> None:
    settled.instance.get_run_records(limit=1)
    with statements(settled.instance) as asked:
        settled.instance.get_run_records(limit=1)
    assert len(asked) == 1


@contextmanager
def statements(instance: dg.DagsterInstance) -> Iterator[list[str]]:
    """The statements that Dagster sends to its database meanwhile."""
    engine, asked = instance.run_storage._engine, list[str]()  # type: ignore[attr-defined]

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def test_a_run_whose_process_died_is_failed_by_dagsters_own_monitoring(
    settled: Watch, begun: dg.DagsterRun, living: subprocess.Popen[str]
) -> None:
    assert monitor(settled) == []
    assert status_of(settled, begun) == "STARTED"
    living.kill()
    living.wait()
    database = settled.world.environment.runtime.database
    assert wait_until(lambda: database.holder_of(run_lock(begun.run_id)) is None, 90)
    assert monitor(settled) == []
    assert status_of(settled, begun) == "FAILURE"
    (failed,) = settled.instance.all_logs(begun.run_id, of_type=DagsterEventType.PIPELINE_FAILURE)
    assert DIED in failed.message or DIED in str(failed.dagster_event)


def test_a_dead_run_is_failed_although_its_code_server_has_another_port_now(settled: Watch) -> None:
    """A power cut: the run was to be cancelled as well, which asked the old port for ever and held up all others."""
    info = '{"host": "127.0.0.1", "port": 1}'
    run = begin(settled, tags={**RUN_TAGS, ".dagster/grpc_info": info})
    assert monitor(settled) == []
    assert status_of(settled, run) == "FAILURE"


def test_a_run_has_time_to_take_the_lock(settled: Watch, begun: dg.DagsterRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_launcher, "SECONDS_TO_BEGIN", 60.0)
    assert monitor(settled) == []
    assert status_of(settled, begun) == "STARTED"


def test_a_run_that_began_while_the_clock_was_ahead_is_found_dead_all_the_same(
    settled: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "SECONDS_TO_BEGIN", 30.0)
    run = begin(settled)
    now = time.time()
    monkeypatch.setattr(run_launcher.time, "time", lambda: now - 86_400)
    assert monitor(settled) == []
    assert status_of(settled, run) == "FAILURE"


def test_sensors_that_ticked_while_the_clock_was_ahead_tick_again(
    settled: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC).timestamp()
    origin = RemoteInstigatorOrigin(REPOSITORY, "demand")
    states = {}
    for name, tick in (("demand", now + 86_400), ("alerts", now - 5)):
        data = SensorInstigatorData(last_tick_timestamp=tick, last_tick_start_timestamp=tick, cursor="kept")
        state = InstigatorState(
            origin._replace(instigator_name=name), InstigatorType.SENSOR, InstigatorStatus.RUNNING, data
        )
        states[name] = settled.instance.add_instigator_state(state)
    assert forget_ticks_of_the_future(settled.instance, now) == ["demand"]
    assert forget_ticks_of_the_future(settled.instance, now) == []
    found = {state.instigator_name: state.instigator_data for state in settled.instance.all_instigator_state()}
    assert (found["demand"].last_tick_start_timestamp, found["demand"].cursor) == (now, "kept")
    assert found["alerts"] == states["alerts"].instigator_data
    # A tick that is resumed after the start of the daemon ends with its own time.
    late = states["demand"].with_data(states["demand"].instigator_data._replace(last_tick_timestamp=now + 3600))
    monkeypatch.setattr(daemon, "SECONDS_BETWEEN_TIDYING", 0.0)
    monkeypatch.setattr(daemon, "SECONDS_BETWEEN_LOOKS", 0.1)
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: nullcontext(settled.instance))
    ends = threading.Event()
    watching = threading.Thread(target=daemon.tidy, args=(ends,))
    watching.start()
    try:
        for _ in range(2):
            settled.instance.update_instigator_state(late)
            assert wait_until(lambda: _ticked_at(settled) < now + 60, 90)
    finally:
        ends.set()
        watching.join()


def _ticked_at(watch: Watch) -> float:
    (found,) = [state for state in watch.instance.all_instigator_state() if state.instigator_name == "demand"]
    return found.instigator_data.last_tick_timestamp


@pytest.mark.parametrize(
    ("reported", "ended"),
    [(DagsterEventType.PIPELINE_STARTING, "FAILURE"), (DagsterEventType.PIPELINE_CANCELING, "CANCELED")],
)
def test_runs_that_were_starting_or_stopping_while_the_clock_was_ahead_do_not_hold_up_all_others(
    settled: Watch, reported: DagsterEventType, ended: str
) -> None:
    run = create_run_for_test(settled.instance, job_name="sync", tags=RUN_TAGS)
    settled.instance.report_dagster_event(DagsterEvent(reported.value, "sync", message="As it began."), run.run_id)
    now = time.time()
    assert end_runs_of_the_future(settled.instance, now) == []
    assert end_runs_of_the_future(settled.instance, now - 86_400) == [run.run_id]
    assert status_of(settled, run) == ended
    assert end_runs_of_the_future(settled.instance, now - 86_400) == []


LATER = RUN_WAITS_AFTER + timedelta(seconds=10)
STUCK = "This run did not get on for minutes, and nothing works on it."


def stuck(watch: Watch, status: dg.DagsterRunStatus, **options: object) -> dg.DagsterRun:
    """A run of the target's lane that is of this status since just now."""
    lane = RunOpConcurrency(root_key_counts={}, has_unconstrained_root_nodes=False, all_pools={"kimai"})
    options = {"job_name": "sync", "tags": RUN_TAGS, **options}
    if status is dg.DagsterRunStatus.QUEUED:
        options["remote_job_origin"] = RemoteJobOrigin(REPOSITORY, "sync")
    run = create_run_for_test(watch.instance, status=status, **options)
    with psycopg.connect(os.environ["ZK_DAGSTER_URL"].replace("+psycopg2", "")) as connection:
        body = dg.serialize_value(run._replace(run_op_concurrency=lane))
        connection.execute("UPDATE runs SET run_body = %s WHERE run_id = %s", [body, run.run_id])
    if status in {dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING}:
        kind = DagsterEventType(f"PIPELINE_{status.value}")
        watch.instance.report_dagster_event(DagsterEvent(kind.value, run.job_name, message="As it began."), run.run_id)
    return run


@pytest.mark.parametrize(
    ("status", "ended"),
    [("QUEUED", "FAILURE"), ("NOT_STARTED", "FAILURE"), ("STARTING", "FAILURE"), ("CANCELING", "CANCELED")],
)
def test_a_stuck_run_that_nothing_works_on_is_ended_and_its_days_are_run_again(
    settled: Watch, monkeypatch: pytest.MonkeyPatch, status: str, ended: str
) -> None:
    with settled.world.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, [MONDAY], "person")
    (request,) = settled.tick().run_requests
    run = stuck(settled, dg.DagsterRunStatus(status), tags=request.tags)
    settled.let_pause()
    assert settled.ranges() == [], "it holds up all others"
    stuck_runs, now = StuckRuns(), datetime.now(UTC)
    assert stuck_runs.end(settled.instance, now) == []
    assert stuck_runs.end(settled.instance, now + LATER) == [], "it may begin by itself in a moment"
    monkeypatch.setattr(daemon, "SECONDS_OF_SUSPICION", 0.0)
    assert stuck_runs.end(settled.instance, now + LATER) == [run.run_id]
    assert status_of(settled, run) == ended
    assert any(STUCK in str(event.dagster_event or event.message) for event in settled.instance.all_logs(run.run_id))
    assert stuck_runs.end(settled.instance, now + LATER) == []
    # Cancelled, it was by a person: its days wait for a word.
    assert settled.ranges() == ([(MONDAY, MONDAY)] if ended == "FAILURE" else [])


@pytest.mark.parametrize("before", ["STARTED", "CANCELING"])
def test_a_run_that_waits_behind_another_one_that_works_is_not_ended(
    settled: Watch, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(daemon, "SECONDS_OF_SUSPICION", 0.0)
    working = stuck(settled, dg.DagsterRunStatus(before))
    waiting = stuck(settled, dg.DagsterRunStatus.QUEUED)
    database = settled.world.environment.runtime.database
    with database.kept_lock(run_lock(working.run_id), process_name()):
        assert wait_until(lambda: database.holder_of(run_lock(working.run_id)) is not None, 90)
        assert StuckRuns().end(settled.instance, datetime.now(UTC) + LATER) == []
    assert (status_of(settled, working), status_of(settled, waiting)) == (before, "QUEUED")


def test_a_run_that_a_process_works_on_and_one_of_somebody_else_are_left_alone(
    settled: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "SECONDS_OF_SUSPICION", 0.0)
    begins = stuck(settled, dg.DagsterRunStatus.STARTING)
    stuck(settled, dg.DagsterRunStatus.STARTING, job_name="somebody_elses", tags={})
    database = settled.world.environment.runtime.database
    with database.kept_lock(run_lock(begins.run_id), process_name()):
        assert wait_until(lambda: database.holder_of(run_lock(begins.run_id)) is not None, 90)
        assert StuckRuns().end(settled.instance, datetime.now(UTC) + LATER) == []
    assert StuckRuns().end(settled.instance, datetime.now(UTC) + LATER) == [begins.run_id]


def test_a_run_is_suspected_for_a_while_before_it_is_failed(
    settled: Watch, begun: dg.DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_launcher, "SECONDS_OF_SUSPICION", 3600.0)
    for _ in range(2):
        assert monitor(settled) == []
    assert status_of(settled, begun) == "STARTED"
    monkeypatch.setattr(run_launcher, "SECONDS_OF_SUSPICION", 0.0)
    assert monitor(settled) == []
    assert status_of(settled, begun) == "FAILURE"


def test_a_living_run_takes_its_lock_again_when_the_database_ended_its_connection(settled: Watch) -> None:
    database = settled.world.environment.runtime.database
    with database.kept_lock("zk:run:of-a-test", process_name()):
        assert wait_until(lambda: holder_of(settled, "zk:run:of-a-test") == process_name(), 90)
        with psycopg.connect(os.environ["ZK_DATABASE_URL"].replace("+psycopg", "")) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [process_name()]
            )
        assert wait_until(lambda: database.holder_of("zk:run:of-a-test") is None, 90)
        assert wait_until(lambda: holder_of(settled, "zk:run:of-a-test") == process_name(), 90)
    assert database.holder_of("zk:run:of-a-test") is None


def test_a_run_that_is_cancelled_after_its_code_server_restarted_is_interrupted_itself(
    settled: Watch, begun: dg.DagsterRun, living: subprocess.Popen[str]
) -> None:
    settled.instance.add_run_tags(begun.run_id, {".dagster/grpc_info": '{"host": "127.0.0.1", "port": 1}'})
    assert settled.instance.run_launcher.terminate(begun.run_id)
    assert living.wait(90) == -signal.SIGINT
    assert status_of(settled, begun) == "CANCELING"


def test_cancelling_a_run_that_is_gone_ends_soon(settled: Watch, begun: dg.DagsterRun) -> None:
    """Dagster itself reports it as cancelled after the timeout of dagster.yaml, and its place in the queue is free."""
    settled.instance.add_run_tags(begun.run_id, {".dagster/grpc_info": '{"host": "127.0.0.1", "port": 1}'})
    assert not settled.instance.run_launcher.terminate(begun.run_id)
    assert status_of(settled, begun) == "CANCELING"
    assert settled.instance.run_monitoring_cancel_timeout_seconds == 30
    _let_pass(settled, begun, 31)
    assert monitor(settled) == []
    assert status_of(settled, begun) == "CANCELED"


def test_a_process_of_another_machine_is_left_alone(settled: Watch, begun: dg.DagsterRun) -> None:
    database = settled.world.environment.runtime.database
    with database.kept_lock(run_lock(begun.run_id), f"{os.getpid()}@elsewhere"):
        assert wait_until(lambda: database.holder_of(run_lock(begun.run_id)) is not None, 90)
        assert not settled.instance.run_launcher.terminate(begun.run_id)


def test_the_days_of_a_dead_run_are_asked_for_again(settled: Watch, begun: dg.DagsterRun) -> None:
    with settled.world.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, [MONDAY], "person")
        day_requests.attach(connection, begun.run_id, MONDAY, MONDAY)
    assert settled.ranges() == []
    assert monitor(settled) == []
    assert settled.ranges() == [(MONDAY, MONDAY)]


def test_every_run_of_ours_is_watched_and_no_other(settled: Watch) -> None:
    ours = begin(settled, job_name="apply_retention", tags={"zk/reason": "command"})
    others = begin(settled, job_name="somebody_elses", tags={})
    assert monitor(settled) == []
    assert (status_of(settled, ours), status_of(settled, others)) == ("FAILURE", "STARTED")


def test_a_run_holds_its_lock_under_the_name_of_its_process(settled: Watch) -> None:
    seen: list[str | None] = []
    database = settled.world.environment.runtime.database

    @dg.op(required_resource_keys={"zk"})
    def looking(context: dg.OpExecutionContext) -> None:
        wait_until(lambda: database.holder_of(run_lock(context.run_id)) is not None, 90)
        seen.append(holder_of(settled, run_lock(context.run_id)))

    @dg.job(resource_defs=dict(settled.defs.resources or {}))
    def looks() -> None:
        looking()

    assert looks.execute_in_process(instance=settled.instance, tags={"zk/reason": "command"}).success
    assert seen == [process_name()]


def _let_pass(watch: Watch, run: dg.DagsterRun, seconds: float) -> None:
    """Move the cancelling of a run into the past."""
    (event,) = watch.instance.all_logs(run.run_id, of_type=DagsterEventType.RUN_CANCELING)
    url = os.environ["ZK_DAGSTER_URL"].replace("+psycopg2", "")
    before = event.timestamp - seconds
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE event_logs SET event = jsonb_set(event::jsonb, '{timestamp}', to_jsonb(%s::float8))::text "
            "WHERE run_id = %s AND dagster_event_type = 'PIPELINE_CANCELING'",
            [before, run.run_id],
        )


def test_a_loop_hangs_when_it_has_not_come_round_for_a_minute_and_the_scheduler_sleeps_as_long_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loops, now = Loops(), time.monotonic()
    assert loops.hanging() is None
    for name in ("SENSOR", "SCHEDULER"):
        loops.note(name)
    hanging: list[str | None] = []
    for seconds in (50, 60, 110, 120):
        monkeypatch.setattr(daemon.time, "monotonic", lambda at=now + seconds: at)
        hanging.append(loops.hanging())
        loops.note("SENSOR")
    assert hanging == [None, None, None, "SCHEDULER"]
    monkeypatch.setattr(daemon.time, "monotonic", lambda: now + 180)
    loops.note("SCHEDULER")
    assert loops.hanging() == "SENSOR"


def test_dagsters_loops_say_when_they_come_round(settled: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    class Daemon(DagsterDaemon):
        @classmethod
        def daemon_type(cls) -> str:
            return "SENSOR"

        def core_loop(self, _context: Any, shutdown_event: threading.Event) -> Iterator[None]:
            yield None
            shutdown_event.set()
            yield None

    seen: list[str] = []
    monkeypatch.setattr(DagsterDaemon, "_check_add_heartbeat", DagsterDaemon._check_add_heartbeat)
    dagster_internals.note_each_step(seen.append)
    with Daemon() as looping:
        looping.run_daemon_loop(SimpleNamespace(instance=settled.instance), "this", threading.Event(), 30, 60)
    assert seen == ["SENSOR", "SENSOR"]
    assert settled.instance.get_daemon_heartbeats()["SENSOR"].daemon_id == "this"


def test_the_process_of_a_loop_that_hangs_ends(tmp_path: Path) -> None:
    code = """
import sys, threading
from pathlib import Path
from zk_pipeline.processes import daemon
daemon.SECONDS_OF_A_LOOP, loops, home = 1.5, daemon.Loops(), Path(sys.argv[1])
loops.note("SENSOR")
daemon.watch(daemon.WatchedClock(), loops, home, threading.Event())
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "Dagster's loop SENSOR hangs. The daemon ends, to be started again.",
    )
    assert last_beat(tmp_path) is not None


def test_one_reading_of_a_clock_that_is_ahead_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = 0.0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead)
    clock = WatchedClock()
    clock()
    assert clock.seconds_set_back() < 1
    ahead = 3600.0
    assert clock() > real() + 3500
    assert clock.seconds_set_back() < 1, "a clock that is set forward is no trouble"
    ahead = 0.0
    assert 3599 < clock.seconds_set_back() < 3601
