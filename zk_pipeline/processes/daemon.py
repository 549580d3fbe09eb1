"""Dagster's daemon, which notices what it does not survive: `python -m zk_pipeline.processes.daemon`, options as usual.

**A clock that is set back.** Its loops wait until the clock has passed the end of their pause, its sensors until their
interval has passed since the last tick, and its run monitoring until a run has been starting or stopping for too long.
A clock that is set back by a day would keep all of them silent for a day, with all runs behind one that died. So the
process ends when that happens, is started again by what keeps it, and begins with what is of the future.

**A loop that hangs.** Dagster's loops are threads of one process, and nothing looks after them. When one does not come
round for a minute, the process ends as well. For those who cannot see that all of it hangs, it writes each second that
it is alive (processes/health_check.py).

**Runs that are stuck.** It ends runs that should have begun, or been cancelled, minutes ago: Dagster looks after no run
that is queued, and one that stays holds up all later ones.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster import DagsterError, DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.defs.run_launcher import is_ours, run_lock
from zk_pipeline.domain.vital_figures import UnfinishedRun
from zk_pipeline.observe.vital_signs import stuck_runs
from zk_pipeline.processes.health_check import DAEMON_LOOPS, beat
from zk_pipeline.runtime.dagster_internals import (
    DAEMONS,
    DagsterPostgresException,
    InstigatorType,
    QueuedRunCoordinatorDaemon,
    SensorInstigatorData,
    command,
    note_each_step,
    opened,
    orchestration,
    ping_less,
    replace_queue_daemon,
    watch_code_server_less,
)
from zk_pipeline.runtime.run_tags import TARGET_POOL
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.database import Database, DatabaseUnavailableError
from zk_pipeline.store.day_requests import END, wake

LONGEST_STEP = 5.0
"""Seconds by which a clock may be set back without consequence; so long a pause is borne."""

SECONDS_BETWEEN_TIDYING = 30.0
"""Not only at the start: a tick that a former daemon began while the clock was ahead is resumed, and ends with its own
time."""

SECONDS_OF_SUSPICION = 60.0
"""For so long a run must be seen stuck before it is ended: after a pause of the daemon, the database or the whole
machine the queue moves again by itself."""

SECONDS_OF_A_LOOP = 55.0
"""For so long a loop of Dagster may take until it comes round. Most take a second."""

SECONDS_BETWEEN_SCHEDULES = 60.0
"""The scheduler sleeps until the next minute in addition."""

SECONDS_BETWEEN_LOOKS = 1.0
_PASSING = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
_QUEUED = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
_SET_BACK = "The clock was set back, so that nobody knows for how long this run has been at it."
_STUCK = "This run did not get on for minutes, and nothing works on it."
_BEGUN = frozenset({"STARTING", "STARTED", "CANCELING"})

_log = logging.getLogger(__name__)


class WatchedClock:
    """Stands in for `time.time`, and remembers how far ahead of the monotonic clock it was ever read.

    One reading of a clock that is ahead for a moment is enough for a loop of Dagster to wait until that time has come.
    Looking at the clock now and then would miss the moment.
    """

    def __init__(self) -> None:
        self._read, self._most_ahead = time.time, float("-inf")

    def __call__(self) -> float:
        """The time in Unix seconds."""
        now = self._read()
        self._most_ahead = max(self._most_ahead, now - time.monotonic())
        return now

    def seconds_set_back(self) -> float:
        """How far the clock is behind its furthest reading."""
        return self._most_ahead - (self._read() - time.monotonic())


class Loops:
    """When each of Dagster's loops last came round."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def note(self, name: str) -> None:
        """The loop of the daemon of this name comes round."""
        self._seen[name] = time.monotonic()

    def have_all_begun(self) -> bool:
        """Whether each of Dagster's daemons has come round."""
        return self._seen.keys() >= set(DAEMONS)

    def hanging(self) -> str | None:
        """The name of one that does not, if there is any."""
        now = time.monotonic()
        for name, seen_at in self._seen.copy().items():
            if now - seen_at > SECONDS_OF_A_LOOP + (SECONDS_BETWEEN_SCHEDULES if name == "SCHEDULER" else 0):
                return name
        return None


class QueueDaemon(QueuedRunCoordinatorDaemon):
    """Asks whether any run is queued before it asks for anything else.

    Dagster's own begins with all unfinished runs. Twice a second, that was half of the daemon's processor time.
    """

    def run_iteration(
        self, workspace_process_context: Any, fixed_iteration_time: float | None = None
    ) -> Generator[Any, None, None]:
        """One look into the queue."""
        if workspace_process_context.instance.get_runs_count(_QUEUED):
            yield from super().run_iteration(workspace_process_context, fixed_iteration_time)


def main() -> None:
    """Serve as `dagster-daemon` does."""
    time.time = clock = WatchedClock()
    loops = Loops()
    note_each_step(loops.note)
    never = threading.Event()
    threading.Thread(target=watch, args=(clock, loops, load_settings().home, never), name="watch", daemon=True).start()
    threading.Thread(target=tidy, args=(never,), name="tidy", daemon=True).start()
    replace_queue_daemon(QueueDaemon)
    watch_code_server_less()
    ping_less()
    # Dagster tells of the database by `logging.warning`, which from then on would print every line twice.
    logging.getLogger().addHandler(logging.NullHandler())
    reader, writer = socket.socketpair()
    writer.settimeout(0)
    # Dagster installs its own handlers; this notices the signals beside them.
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_end_tick_at_signal, args=(reader,), name="signals", daemon=True).start()
    command("dagster-daemon")()


def end_waiting_tick() -> None:
    """End the tick of `demand` that waits for something to do: daemon and code server end after it."""
    settings = load_settings()
    if settings.database_url is None:
        return
    database = Database(settings.database_url.get_secret_value())
    try:
        with database.transaction() as connection:
            wake(connection, END)
    except (DatabaseUnavailableError, SQLAlchemyError) as error:
        _log.warning("The tick that waits could not be ended (%s); it ends by itself.", type(error).__name__)
    finally:
        database.close()


def _end_tick_at_signal(signals: socket.socket) -> None:
    while number := signals.recv(1):
        if number[0] in {signal.SIGTERM, signal.SIGINT}:
            end_waiting_tick()


def forget_ticks_of_the_future(instance: DagsterInstance, now: float) -> list[str]:
    """Let sensors tick that did so while the clock was ahead; returns their names. `now` is in Unix seconds.

    Schedules wait for their next time and need no help.
    """
    forgotten: list[str] = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if not isinstance(data, SensorInstigatorData):
            continue
        if max(data.last_tick_timestamp or 0.0, data.last_tick_start_timestamp or 0.0) > now + LONGEST_STEP:
            past = data._replace(last_tick_timestamp=now, last_tick_start_timestamp=now)
            instance.update_instigator_state(state.with_data(past))
            forgotten.append(state.instigator_name)
    return forgotten


def end_runs_of_the_future(instance: DagsterInstance, now: float) -> list[str]:
    """End the runs that were starting or stopping while the clock was ahead; returns their ids.

    Most of them are dead, since it was a restart of the machine that set the clock right. One that lives does not begin
    any more, and its days are asked for again.
    """
    ended: list[str] = []
    for record in instance.get_run_records(RunsFilter(statuses=_PASSING)):
        if record.update_timestamp.timestamp() <= now + LONGEST_STEP:
            continue
        _end(instance, record.dagster_run, _SET_BACK)
        ended.append(record.dagster_run.run_id)
    return ended


def _end(instance: DagsterInstance, run: DagsterRun, why: str) -> None:
    if run.status is DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, why)
    else:
        instance.report_run_failed(run, why)


class StuckRuns:
    """Ends our runs that are stuck and that no process works on, once they were seen so for a while.

    What asked for their days asks again. A queued run is left alone while one that is being started or cancelled is in
    its way, since it may begin as soon as that one is gone.
    """

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def end(self, instance: DagsterInstance, now: datetime) -> list[str]:
        """End them; returns their ids. Raises `DatabaseUnavailableError`, and the errors of Dagster's storage."""
        settings = load_settings()
        if settings.database_url is None or settings.dagster_url is None:
            return []
        with opened(settings.dagster_url.get_secret_value()) as dagster, dagster.transaction() as connection:
            facts = orchestration(connection, TARGET_POOL)
        begun = {run.lane for run in facts.runs if run.lane and run.status in _BEGUN}
        stuck = [run for run in stuck_runs(facts, now) if run.status in _BEGUN or run.lane not in begun]
        self._seen = {run.run_id: self._seen.get(run.run_id, time.monotonic()) for run in stuck}
        due = [run for run in stuck if time.monotonic() - self._seen[run.run_id] >= SECONDS_OF_SUSPICION]
        if not due:
            return []
        database = Database(settings.database_url.get_secret_value())
        try:
            return [run.run_id for run in due if _ends(instance, database, run)]
        finally:
            database.close()


def _ends(instance: DagsterInstance, database: Database, stuck: UnfinishedRun) -> bool:
    """End a run, unless it has got on meanwhile, a process works on it, or it is not ours."""
    run = instance.get_run_by_id(stuck.run_id)
    if run is None or run.status.value != stuck.status or not is_ours(run):
        return False
    if database.holder_of(run_lock(run.run_id)) is not None:
        return False
    _end(instance, run, _STUCK)
    return True


def watch(clock: WatchedClock, loops: Loops, home: Path, ends: threading.Event) -> None:
    """Write that the process is alive, and end it when the clock was set back or a loop hangs.

    It asks nobody anything, so nothing keeps it waiting.
    """
    while not ends.wait(SECONDS_BETWEEN_LOOKS):
        with suppress(OSError):  # Whoever looks finds no newer one, and decides.
            beat(home)
            if loops.have_all_begun():
                beat(home, DAEMON_LOOPS)
        if (seconds := clock.seconds_set_back()) > LONGEST_STEP:
            _log.error("The clock was set back by %.0f s. The daemon ends, to be started again.", seconds)
            os._exit(1)
        if (name := loops.hanging()) is not None:
            _log.error("Dagster's loop %s hangs. The daemon ends, to be started again.", name)
            os._exit(1)


def tidy(ends: threading.Event) -> None:
    """Settle what is of the future or stuck, from time to time."""
    stuck = StuckRuns()
    while not ends.wait(SECONDS_BETWEEN_LOOKS):
        if _settles(stuck):
            ends.wait(SECONDS_BETWEEN_TIDYING)


def _settles(stuck: StuckRuns) -> bool:
    """Whether both databases could be looked at; they may be away just now."""
    try:
        with DagsterInstance.get() as instance:
            for name in forget_ticks_of_the_future(instance, time.time()):
                _log.warning("The clock was set back since the last tick of the sensor %s; it ticks again.", name)
            for run_id in end_runs_of_the_future(instance, time.time()):
                _log.warning("The clock was set back since run %s was to start or stop; it is ended.", run_id)
            for run_id in stuck.end(instance, datetime.now(UTC)):
                _log.warning("Run %s did not get on for minutes, and nothing works on it; it is ended.", run_id)
    except (DatabaseUnavailableError, SQLAlchemyError, DagsterError, DagsterPostgresException) as error:
        _log.warning("Ticks and runs could not be looked at (%s); it is tried again.", type(error).__name__)
        return False
    return True


if __name__ == "__main__":
    main()
