"""`zk up` reacting to bookings as real processes: whatever is killed on the way, nothing is lost or doubled."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.dagster_server import DagsterServer
from zk_pipeline.runtime.embedded import DAGSTER_DATABASE, DATABASE, embedded_server
from zk_pipeline_tests.cli.test_up import Up, free_port, processes_of, zk_up
from zk_pipeline_tests.defs.conftest import open_desk, open_office
from zk_pipeline_tests.defs.world import MONDAY, Desk, Office, at

pytestmark = pytest.mark.timeout(600)

SECONDS = 120
SECONDS_TO_REPLACE = 60
"""For what takes some seconds where nothing else runs; a backfill half a minute, since Dagster looks for new ones so
often."""

CONCURRENCY = 4
"""How many writes are under way at a time where nothing else is set (`ZK_KIMAI_CONCURRENCY`)."""

SYSTEMS = ("ZK_ZAMMAD_URL", "ZK_ZAMMAD_TOKEN", "ZK_KIMAI_URL", "ZK_KIMAI_TOKEN")
QUICK = {
    "ZK_TIMEZONE": "Europe/Berlin",
    "ZK_POLL_SECONDS": "5",
    "ZK_RETRY_SECONDS": "3",
    "ZK_KIMAI_TIME_LIMIT": "2",
}
UNFINISHED = "SELECT count(*) FROM runs WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')"
BACKFILL = """mutation ($parameters: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $parameters) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
WRITERS = """(SELECT run_id, start_time, end_time FROM runs
    WHERE run_body::jsonb #> '{run_op_concurrency,all_pools,__set__}' @> '"kimai"')"""
WRITING = f"SELECT count(*) FROM {WRITERS} AS writer JOIN run_tags t USING (run_id) WHERE t.key = 'dagster/backfill'"
TOGETHER = f"""SELECT count(*) FROM {WRITERS} AS one, {WRITERS} AS other
    WHERE one.run_id < other.run_id AND one.start_time < other.end_time AND other.start_time < one.end_time"""
DAYS_BACKFILLED = 40
"""Two days of one backfill, and of the other what takes two runs."""

BACKFILLS_DONE = "SELECT count(*) FROM bulk_actions WHERE status LIKE 'COMPLETED%'"
"""What they carry may be there before: the catching up finds it, too."""

BACKFILL_RUNS = """SELECT json_agg(json_build_array(t.value, run_body::jsonb #> '{asset_selection,__frozenset__}'))
    FROM runs JOIN run_tags b USING (run_id) LEFT JOIN run_tags t
    ON t.run_id = runs.run_id AND t.key = 'dagster/asset_partition_range_start' WHERE b.key = 'dagster/backfill'"""
CHAIN = (
    "zammad/directory",
    "zammad/time_accountings",
    "sync/normalized_entries",
    "kimai/directory",
    "kimai/timesheets",
    "sync/reconciliation_results",
    "sync/kimai_pushes",
)


@dataclass
class Place:
    """Everything running between two simulated systems of this process."""

    up: Up
    desk: Desk
    office: Office
    booked: list[int] = field(default_factory=list)

    def book(self, minutes: int = 15) -> int:
        """Book just now."""
        self.booked.append(self.desk.book(minutes, datetime.now(UTC)))
        return self.booked[-1]

    def has_arrived(self, *bookings: int) -> bool:
        """Whether each of these bookings has one time sheet, within some seconds."""
        return wait_until(lambda: all(self.office.of(booking) for booking in bookings), SECONDS)

    def is_at_rest(self) -> bool:
        """Whether every day that was asked for gets done and no run is left, within some seconds."""
        still_open = "SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL"
        return wait_until(lambda: not self.value(still_open) and not self.value(UNFINISHED, DAGSTER_DATABASE), SECONDS)

    def value(self, query: str, database: str = DATABASE) -> Any:
        """The first value of a query."""
        with embedded_server(self.up.home) as server, psycopg.connect(**server.parameters(database)) as connection:
            row = connection.execute(query).fetchone()
        return row[0] if row else None

    def each_once(self) -> bool:
        """Whether every booking of just now has exactly one time sheet with its minutes."""
        rows, sheets = self.desk.server.state.accountings, self.office.minutes()
        return all(sheets[row.id] == [int(row.time_unit)] for row in rows if row.id in self.booked)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One `zk up` for all tests, which polls as often as it may."""
    home = tmp_path_factory.mktemp("reacting")
    with pytest.MonkeyPatch.context() as patch, open_desk(patch) as desk, open_office(patch) as office:
        variables = {**QUICK, **{name: os.environ[name] for name in SYSTEMS}, "ZK_WEB_PORT": str(free_port())}
        with zk_up(home, variables, free_port()) as up:
            up.wait_for("Press Ctrl-C")
            with embedded_server(home) as server, psycopg.connect(**server.parameters()) as connection:
                connection.execute(
                    "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (%s, %s)",
                    [desk.support, office.activity],
                )
            yield Place(up, desk, office)


@pytest.fixture
def slow_kimai(place: Place) -> Iterator[None]:
    """A Kimai that answers slowly enough to meet a run at its work: it asks a dozen times."""
    place.office.control.set_latency(0.5)
    yield
    place.office.control.set_latency(0)


def run_process(place: Place) -> int:
    """The process of the run: the child of the one that runs are forked from."""
    forked_from = {pid for pid, command in processes_of(place.up.home).items() if "forkserver" in command}
    (run,) = [pid for pid in forked_from if _parent(pid) in forked_from]
    return run


def _parent(pid: int) -> int:
    return int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module", autouse=True)
def backfilled(place: Place) -> dict[int, list[int]]:
    """Old bookings that nothing tells of, and two backfills of their days; Dagster begins both within half a minute."""
    days = [MONDAY + timedelta(days=number) for number in range(DAYS_BACKFILLED)]
    bookings = {place.desk.book(10, at("09:00", day)): [10] for day in (*days[:3], days[-1])}
    for of_one in (days[:2], days[2:]):
        parameters = {
            "assetSelection": [{"path": key.split("/")} for key in CHAIN],
            "partitionNames": list(map(str, of_one)),
        }
        launched = place.up.ask(BACKFILL, parameters=parameters)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return bookings


def test_a_booking_is_in_kimai_within_seconds(place: Place) -> None:
    booking = place.book()
    assert place.has_arrived(booking)
    assert place.is_at_rest()
    assert place.each_once()


def test_a_backfill_from_the_ui_carries_its_days(place: Place, backfilled: dict[int, list[int]]) -> None:
    assert wait_until(lambda: place.value(BACKFILLS_DONE, DAGSTER_DATABASE) == 2, SECONDS)
    assert place.has_arrived(*backfilled)
    assert place.is_at_rest()  # Whatever is killed from here on is nothing of the backfill.
    sheets = place.office.minutes()
    assert {booking: sheets[booking] for booking in backfilled} == backfilled


def test_two_backfills_from_the_ui_do_not_write_together(place: Place, backfilled: dict[int, list[int]]) -> None:
    assert place.value(WRITING, DAGSTER_DATABASE) > 1
    assert place.value(TOGETHER, DAGSTER_DATABASE) == 0


def test_each_run_of_a_backfill_reads_plans_and_pushes_its_own_span(
    place: Place, backfilled: dict[int, list[int]]
) -> None:
    """The directories once for each backfill; then as many runs as there are spans of 31 days, each the whole chain."""
    runs = place.value(BACKFILL_RUNS, DAGSTER_DATABASE)
    chains = [assets for span, assets in runs if span is not None]
    assert (len(runs) - len(chains), len(chains)) == (2, 3), runs
    assert all(len(assets) == len(CHAIN) - 2 for assets in chains), runs


def test_a_daemon_killed_between_the_request_and_the_run_loses_nothing(place: Place) -> None:
    booking = place.book()
    asked = "SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL AND tries > 0"
    assert wait_until(lambda: place.value(asked) > 0, SECONDS)
    os.kill(place.up.child("processes.daemon"), signal.SIGKILL)
    assert place.has_arrived(booking)
    assert place.is_at_rest()
    assert place.each_once()


def test_a_code_server_killed_in_a_run_loses_nothing(place: Place, slow_kimai: None) -> None:
    before = place.value("SELECT count(*) FROM sync.sync_runs")
    booking = place.book()
    assert wait_until(lambda: place.value("SELECT count(*) FROM sync.sync_runs") > before, SECONDS)
    os.kill(place.up.child("processes.code_server"), signal.SIGKILL)
    assert place.has_arrived(booking)
    assert place.is_at_rest()
    assert place.each_once()


def test_a_killed_run_is_done_again(place: Place, slow_kimai: None) -> None:
    before = place.value("SELECT count(*) FROM sync.sync_runs")
    booking = place.book()
    assert wait_until(lambda: place.value("SELECT count(*) FROM sync.sync_runs") > before, SECONDS)
    os.kill(run_process(place), signal.SIGKILL)
    assert place.has_arrived(booking)
    assert place.is_at_rest()
    assert place.each_once()


def test_a_restart_of_the_database_loses_nothing(place: Place) -> None:
    booking = place.book()
    postmaster = place.up.home / "postgres" / "postmaster.pid"
    os.kill(int(postmaster.read_text().split("\n", 1)[0]), signal.SIGINT)
    assert wait_until(lambda: not postmaster.exists(), SECONDS)
    with embedded_server(place.up.home):
        assert place.has_arrived(booking)
    assert place.is_at_rest()
    assert place.each_once()


def test_a_daemon_that_hangs_is_replaced_within_a_minute_and_what_happened_meanwhile_is_made_up_for(
    place: Place,
) -> None:
    edited, deleted = place.book(20), place.book(25)
    assert place.has_arrived(edited, deleted)
    assert place.is_at_rest()
    daemon = place.up.child("processes.daemon")
    os.kill(daemon, signal.SIGSTOP)
    place.desk.server.edit(edited, units="35")
    place.desk.server.delete(deleted)
    asked = f"SELECT reason FROM sync.conflicts WHERE kimai_id = {place.office.sheet(deleted).id}"
    booked = place.book(30)
    assert wait_until(lambda: daemon not in processes_of(place.up.home), SECONDS_TO_REPLACE)
    assert place.has_arrived(booked)
    assert wait_until(lambda: place.office.sheet(edited).duration == 35 * 60, SECONDS)
    assert wait_until(lambda: place.value(asked) == "deleted_in_zammad", SECONDS)
    assert place.is_at_rest()


def at_work(place: Place, bookings: int = 1) -> str:
    """Book just now; the run that has begun with it."""
    since = place.value("SELECT now()")
    for _ in range(bookings):
        place.book()
    run = f"""
        SELECT s.run_id FROM sync.sync_runs s JOIN sync.day_requests r ON r.id = ANY (s.request_ids)
        WHERE s.started_at > '{since}' AND r.claimed_by_run IS NULL AND r.day >= current_date - 1 LIMIT 1
    """
    assert wait_until(lambda: place.value(run) is not None, SECONDS)
    return place.value(run)


def status(place: Place, run_id: str) -> str:
    return place.value(f"SELECT status FROM runs WHERE run_id = '{run_id}'", DAGSTER_DATABASE)


def sync_again(place: Place) -> None:
    """Ask for the days by which a person overrules a cancelled run."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    command = [Path(sys.executable).with_name("zk"), "sync", "--request"]
    subprocess.run(command, env={**environment, **QUICK, "ZK_HOME": str(place.up.home)}, cwd=place.up.home, check=True)


def test_cancelling_stops_the_writing_with_what_is_under_way(place: Place) -> None:
    bookings = 40
    before = place.office.creates_sent()
    place.office.control.add_fault("delay", method="POST", path="/api/timesheets$", times=bookings, seconds=2)
    run_id = at_work(place, bookings)
    assert wait_until(lambda: place.office.creates_sent() > before, SECONDS)
    assert DagsterServer(place.up.url, place.up.cipher).cancel(run_id) is None
    sent = place.office.creates_sent()
    assert wait_until(lambda: status(place, run_id) == "CANCELED", SECONDS)
    place.office.control.clear_faults()
    # Each takes two seconds: at most one more in each place, and far from all.
    assert place.office.creates_sent() <= sent + CONCURRENCY < before + bookings
    assert wait_until(lambda: place.value("SELECT count(*) FROM sync.cancelled_runs WHERE held_days <> '{}'"), SECONDS)
    sync_again(place)
    assert place.has_arrived(*place.booked[-bookings:])
    assert place.is_at_rest()
    assert place.each_once()


def test_a_cancelled_run_is_not_overruled_until_somebody_asks(place: Place, slow_kimai: None) -> None:
    run_id = at_work(place)
    assert DagsterServer(place.up.url, place.up.cipher).cancel(run_id) is None
    held = "SELECT count(*) FROM sync.cancelled_runs WHERE held_days <> '{}'"
    assert wait_until(lambda: place.value(held) == 1, SECONDS)
    assert wait_until(lambda: not place.value(UNFINISHED, DAGSTER_DATABASE), SECONDS)
    assert status(place, run_id) == "CANCELED"
    asked = place.value("SELECT max(id) FROM sync.day_requests")
    place.book()
    # It is found, both are due, and the sensor looked again since.
    due = "SELECT count(*) FROM sync.day_requests WHERE claimed_by_run IS NULL AND not_before < now()"
    assert wait_until(lambda: place.value(f"{due} AND id > {asked}") and place.value(due) > 1, SECONDS)
    tick = "SELECT count(*) FROM job_ticks WHERE status = 'SKIPPED'"
    ticks = place.value(tick, DAGSTER_DATABASE)
    assert wait_until(lambda: place.value(tick, DAGSTER_DATABASE) > ticks + 1, SECONDS)
    assert not any(place.office.of(booking) for booking in place.booked[-2:])
    sync_again(place)
    assert place.has_arrived(*place.booked[-2:])
    assert place.is_at_rest()
    assert place.each_once()
    assert place.value(held) == 0


def test_stopping_everything_in_a_run_is_no_cancel(place: Place, slow_kimai: None) -> None:
    run_id = at_work(place)
    place.office.control.set_latency(6)  # The tick that waits is at Kimai, too, and ends before the run.
    place.up.process.send_signal(signal.SIGTERM)
    place.up.wait_for("Waiting up to 60 s")
    place.up.process.send_signal(signal.SIGTERM)
    place.up.process.wait(SECONDS)
    assert place.office.of(place.booked[-1]) == []
    # Nothing of a request to cancel it, so that the next start asks for its day again.
    assert status(place, run_id) == "FAILURE"
    canceling = f"SELECT count(*) FROM event_logs WHERE run_id = '{run_id}'"
    assert place.value(f"{canceling} AND dagster_event_type LIKE 'PIPELINE_CANCEL%'", DAGSTER_DATABASE) == 0
    assert place.value("SELECT count(DISTINCT day) FROM sync.day_requests WHERE claimed_by_run IS NULL") == 1
