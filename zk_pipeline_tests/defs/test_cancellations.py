"""Cancelled runs: their days are held until somebody speaks, whatever asks for them and whatever dies meanwhile."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.operate import runs
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.run_tags import AUTOMATIC_REASONS, CHANGE, is_started_by_person, range_tags
from zk_pipeline.runtime.schedules import NAMES
from zk_pipeline.stages.systems import push_lock
from zk_pipeline.store import cancellations, day_requests, sweeps
from zk_pipeline.store.cancellations import HeldRun
from zk_pipeline_tests.defs.watching import TUESDAY, Watch, settled, today, watch
from zk_pipeline_tests.defs.world import MONDAY, at

pytestmark = pytest.mark.dagster

__all__ = ["settled", "watch"]

WEDNESDAY = MONDAY + timedelta(days=2)
THURSDAY = MONDAY + timedelta(days=3)
WAITING_FOR_LOCKS = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def queued(watch: Watch, tags: Mapping[str, str], job: str = "sync") -> dg.DagsterRun:
    """A run that has not begun."""
    return create_run_for_test(watch.instance, job_name=job, tags=dict(tags))


def cancel(watch: Watch, run: dg.DagsterRun, why: str | None = None) -> None:
    """What Dagster records when it takes a run out of the queue."""
    watch.instance.report_run_canceling(run, why)
    watch.instance.report_run_canceled(run)


def cancelled(watch: Watch, request: dg.RunRequest) -> dg.DagsterRun:
    """The run of a request, cancelled before it began."""
    run = queued(watch, request.tags)
    cancel(watch, run)
    return run


def held(watch: Watch) -> list[HeldRun]:
    with watch.world.environment.runtime.database.transaction() as connection:
        return cancellations.held(connection)


def ask(watch: Watch, *days: object) -> None:
    with watch.world.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, days, "change")  # pyright: ignore[reportArgumentType]


def test_a_run_that_is_cancelled_in_the_queue_is_not_asked_for_again_and_a_new_booking_does_not_overrule_it(
    settled: Watch,
) -> None:
    ask(settled, MONDAY)
    (request,) = settled.tick().run_requests
    run = cancelled(settled, request)
    settled.let_pause()
    assert settled.ranges() == []
    booking = settled.world.desk.book(20, at("11:00"))
    settled.hint(settled.world.desk.tickets["acme"])
    assert settled.ranges() == []
    assert settled.world.office.of(booking) == []
    (waiting,) = held(settled)
    assert (waiting.run_id, waiting.days, waiting.asked_by, waiting.changes) == (run.run_id, (MONDAY,), "dagster", 2)
    trail = "SELECT actor || ' ' || subject FROM sync.audit_logs WHERE event = 'days.held'"
    assert settled.world.value(trail) == f"dagster run:{run.run_id}"
    (newest,), _ = runs.page(settled.world.environment.runtime, limit=1, offset=0)
    assert (newest.run_id, newest.first, newest.last, newest.carried_out) == (run.run_id, MONDAY, MONDAY, False)


def test_other_days_go_on_and_a_range_that_bridges_a_held_day_leaves_it_out(settled: Watch) -> None:
    ask(settled, TUESDAY)
    (request,) = settled.tick().run_requests
    cancelled(settled, request)
    bookings = [settled.world.desk.book(5, at("12:00", day)) for day in (MONDAY, TUESDAY, WEDNESDAY)]
    ask(settled, MONDAY, TUESDAY, WEDNESDAY)
    assert settled.settle() == [(MONDAY, WEDNESDAY)]
    assert [len(settled.world.office.of(booking)) for booking in bookings] == [1, 0, 1]
    assert settled.open_days() == [TUESDAY, TUESDAY]
    assert settled.world.value("SELECT counts ->> 'held' FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1") == "1"


def test_only_the_days_that_the_run_did_not_carry_out_are_held(settled: Watch) -> None:
    ask(settled, MONDAY, TUESDAY, WEDNESDAY)
    (request,) = settled.tick().run_requests
    run = queued(settled, request.tags)
    with settled.world.environment.runtime.database.transaction() as connection:
        day_requests.attach(connection, run.run_id, MONDAY, WEDNESDAY)
        # Monday failed by itself.
        day_requests.complete(connection, TUESDAY, run.run_id)
    cancel(settled, run)
    assert settled.ranges() == []
    assert [waiting.days for waiting in held(settled)] == [(MONDAY, WEDNESDAY)]


def test_the_days_are_held_though_nobody_looked_and_the_process_of_the_run_died(settled: Watch) -> None:
    ask(settled, MONDAY)
    (request,) = settled.tick().run_requests
    run = queued(settled, request.tags)
    settled.instance.report_run_canceling(run)
    settled.instance.report_run_failed(run, "The process of this run died.")
    settled.let_pause()
    assert settled.ranges() == []
    assert [waiting.run_id for waiting in held(settled)] == [run.run_id]


@pytest.mark.parametrize("how", ["failed", "timed out", "stopped"])
def test_what_no_person_cancelled_is_asked_for_again(settled: Watch, how: str) -> None:
    ask(settled, MONDAY)
    (request,) = settled.tick().run_requests
    run = queued(settled, request.tags)
    if how == "timed out":  # As Dagster's run monitoring does, where the process is quicker than its report.
        cancel(settled, run, "Canceling due to exceeding maximum runtime of 3600 seconds.")
    else:
        settled.instance.report_run_failed(run)
    settled.let_pause()
    assert settled.ranges() == [(MONDAY, MONDAY)]
    assert held(settled) == []


def test_a_schedule_leaves_held_days_out_and_a_person_carries_them_out(settled: Watch) -> None:
    ask(settled, MONDAY)
    (request,) = settled.tick().run_requests
    cancelled(settled, request)
    assert settled.ranges() == []
    booking = settled.world.desk.book(20, at("11:00"))
    scheduled = settled.defs.resolve_job_def("sync").execute_in_process(
        instance=settled.instance, tags=range_tags(MONDAY, TUESDAY, "catch_up"), raise_on_error=False
    )
    assert scheduled.success
    assert settled.world.office.of(booking) == []
    assert held(settled) != []
    settled.world.sync(MONDAY)
    assert len(settled.world.office.of(booking)) == 1
    assert held(settled) == []
    assert settled.open_days() == []


def test_a_plan_a_cancelled_one_and_what_was_cancelled_before_the_first_look_hold_nothing(settled: Watch) -> None:
    with settled.world.environment.runtime.database.transaction() as connection:
        assert sweeps.load(connection, "dagster", "cancelled_runs") is not None
    cancel(settled, queued(settled, range_tags(MONDAY, TUESDAY, "person"), job="plan"))
    settled.tick()
    assert held(settled) == []
    settled.world.execute("DELETE FROM sync.cursors WHERE subject = 'cancelled_runs'")
    settled.world.execute("DELETE FROM sync.cancelled_runs")
    cancel(settled, queued(settled, range_tags(MONDAY, TUESDAY, CHANGE)))
    settled.tick()
    assert held(settled) == []


def test_days_that_somebody_carried_out_after_the_cancel_are_not_held_by_a_late_look(settled: Watch) -> None:
    run = queued(settled, range_tags(MONDAY, WEDNESDAY, CHANGE))
    cancel(settled, run)
    settled.world.sync(MONDAY, TUESDAY)
    settled.tick()
    assert [waiting.days for waiting in held(settled)] == [(WEDNESDAY,)]


def test_a_day_is_held_by_the_run_that_was_cancelled_last(settled: Watch) -> None:
    for first, last in ((MONDAY, WEDNESDAY), (TUESDAY, THURSDAY)):
        cancel(settled, queued(settled, range_tags(first, last, CHANGE)))
    settled.tick()
    assert [waiting.days for waiting in held(settled)] == [(MONDAY,), (TUESDAY, WEDNESDAY, THURSDAY)]


def test_many_runs_cancelled_at_once_are_noted_each_once(settled: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zk_pipeline.defs.run_history.LOOKED_AT", 2)
    days = [today() - timedelta(days=number) for number in range(5)]
    for day in days:
        cancel(settled, queued(settled, range_tags(day, day, CHANGE)))
    for _ in range(6):
        settled.tick()
    assert sorted(day for waiting in held(settled) for day in waiting.days) == sorted(days)
    assert settled.world.value("SELECT count(*) FROM sync.audit_logs WHERE event = 'days.held'") == 5
    with settled.world.environment.runtime.database.transaction() as connection:
        for waiting in held(settled):
            cancellations.take(connection, waiting.run_id)
    settled.tick()
    assert held(settled) == []


def test_a_command_whose_run_is_cancelled_writes_no_further_day(settled: Watch) -> None:
    bookings = [settled.world.desk.book(20, at("11:00", day)) for day in (MONDAY, TUESDAY)]
    database = settled.world.environment.runtime.database
    planned = "SELECT run_id FROM sync.reconciliation_results WHERE entry_date = '2025-10-07' LIMIT 1"
    before = settled.world.value(planned)
    with ThreadPoolExecutor(1) as pool:
        with database.lock(push_lock("kimai", MONDAY)):
            syncing = pool.submit(settled.world.sync, MONDAY, TUESDAY)
            assert wait_until(lambda: settled.world.value(planned) != before, 90)
            assert wait_until(lambda: settled.world.value(WAITING_FOR_LOCKS) == 1, 90), "Monday's push has begun"
            (run,) = settled.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
            settled.instance.report_run_canceling(run)
            settled.tick()
        with pytest.raises(SyncFailedError, match="Somebody cancelled this run"):
            syncing.result()
    assert [len(settled.world.office.of(booking)) for booking in bookings] == [1, 0]
    assert [waiting.days for waiting in held(settled)] == [(TUESDAY,)]


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ({"zk/reason": CHANGE}, False),
        ({"zk/reason": "catch_up"}, False),
        ({"zk/reason": "command"}, True),
        ({"zk/reason": "command", "dagster/retry_number": "1", "dagster/parent_run_id": "0"}, False),
        ({"zk/reason": CHANGE, "dagster/parent_run_id": "0"}, True),
        ({"dagster/backfill": "b"}, True),
    ],
)
def test_a_run_is_wanted_by_a_person_unless_it_started_of_itself(tags: dict[str, str], wanted: bool) -> None:
    assert is_started_by_person(tags) is wanted
    assert set(NAMES) < AUTOMATIC_REASONS
