"""Dagster's daemon, which bears a clock that is set back: `python -m zk_pipeline.processes.daemon`, options as usual.

Its loops wait until the clock has passed the end of their pause, its sensors until their interval has passed since the
last tick, and its run monitoring until a run has been starting or stopping for too long. A clock that is set back by a
day would keep all of them silent for a day, with all runs behind one that died. So the process ends when that happens,
is started again by what keeps it, and begins with what is of the future.
"""

import logging
import math
import os
import signal
import socket
import threading
import time

from dagster import DagsterError, DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.runtime.dagster_internals import (
    DagsterPostgresException,
    InstigatorType,
    SensorInstigatorData,
    command,
)
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.database import Database, DatabaseUnavailableError
from zk_pipeline.store.day_requests import END, wake

LONGEST_STEP = 5.0
"""Seconds by which a clock may be set back without consequence; so long a pause is borne."""

SECONDS_BETWEEN_TIDYING = 30.0
"""Not only at the start: a tick that a former daemon began while the clock was ahead is resumed, and ends with its own
time."""

SECONDS_BETWEEN_LOOKS = 1.0
_PASSING = [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
_SET_BACK = "The clock was set back, so that nobody knows for how long this run has been at it."

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


def main() -> None:
    """Serve as `dagster-daemon` does."""
    time.time = clock = WatchedClock()
    threading.Thread(target=watch, args=(clock, threading.Event()), name="clock", daemon=True).start()
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
        if record.dagster_run.status is DagsterRunStatus.CANCELING:
            instance.report_run_canceled(record.dagster_run, _SET_BACK)
        else:
            instance.report_run_failed(record.dagster_run, _SET_BACK)
        ended.append(record.dagster_run.run_id)
    return ended


def watch(clock: WatchedClock, ends: threading.Event) -> None:
    """Settle what is of the future, and end the process when the clock was set back."""
    tidied_at = -math.inf
    while not ends.wait(SECONDS_BETWEEN_LOOKS):
        if time.monotonic() - tidied_at > SECONDS_BETWEEN_TIDYING and _settles():
            tidied_at = time.monotonic()
        if (seconds := clock.seconds_set_back()) > LONGEST_STEP:
            _log.error("The clock was set back by %.0f s. The daemon ends, to be started again.", seconds)
            os._exit(1)


def _settles() -> bool:
    """Whether Dagster's storage could be looked at; it may be away just now."""
    try:
        with DagsterInstance.get() as instance:
            for name in forget_ticks_of_the_future(instance, time.time()):
                _log.warning("The clock was set back since the last tick of the sensor %s; it ticks again.", name)
            for run_id in end_runs_of_the_future(instance, time.time()):
                _log.warning("The clock was set back since run %s was to start or stop; it is ended.", run_id)
    except (SQLAlchemyError, DagsterError, DagsterPostgresException) as error:
        _log.warning("Ticks and runs could not be looked at (%s); it is tried again.", type(error).__name__)
        return False
    return True


if __name__ == "__main__":
    main()
