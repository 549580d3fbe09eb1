"""Dagster's code server, whose runs start at once: `python -m zk_pipeline.supervisor.code_server`, options as usual.

Dagster starts a new interpreter for every run, which imports everything again and takes seconds. Here a run is forked
from a process of one thread that has imported everything and done nothing else.
"""

import logging
import multiprocessing
import os
import threading
import time
from multiprocessing import forkserver
from typing import Any

from dagster import DagsterInstance
from dagster._cli.api import grpc_command
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._grpc import server

from zk_pipeline import logs
from zk_pipeline.settings import load_settings

IMPORTED = [
    "dagster._grpc.impl",
    "dagster_postgres",
    "psycopg",
    "psycopg2",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "zk_pipeline.connectors.kimai",
    "zk_pipeline.connectors.zammad",
    "zk_pipeline.definitions",
]


SECONDS_BETWEEN_LOOKS_AT_TICKS = 20.0
LATEST_TICK = 60.0
"""Seconds ahead of our clock. A tick beyond was noted while that was wrong."""

SECONDS_WITHOUT_A_LOOK = 30.0
"""The server looks after its runs twice a second. When it has not for so long, it is blocked for good."""

_log = logging.getLogger(__name__)


class ForkingApiServer(server.DagsterApiServer):
    """Dagster's API server with another start of its runs, and whose looking after them outlives the database.

    All else, such as their termination, stays.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._looked_at = time.monotonic()
        super().__init__(*args, **options)
        # Should a later Dagster not know this name, runs start as slowly as without it.
        self._mp_ctx = multiprocessing.get_context("forkserver")
        self._looked_at = time.monotonic()  # Loading the definitions may have taken long.
        threading.Thread(target=self._end_when_blocked, name="watchdog", daemon=True).start()

    def _check_for_orphaned_runs(self) -> None:
        """As Dagster does, whose thread for it dies of the first error: then ended runs count as running for ever."""
        try:
            super()._check_for_orphaned_runs()
        except Exception as error:  # noqa: BLE001 (whatever it is, the next look may find it gone)
            _log.warning("The runs could not be looked after (%s); it is tried again.", type(error).__name__)
        self._looked_at = time.monotonic()

    def _end_when_blocked(self) -> None:
        """End the process when the thread that looks after runs is gone, or somebody keeps the lock of all runs.

        Then runs are neither started nor cancelled any more. Whoever keeps this process starts it again; runs that are
        under way go on.
        """
        looked_at = time.monotonic()
        while not self._server_termination_event.wait(SECONDS_WITHOUT_A_LOOK / 10):
            now, before, looked_at = time.monotonic(), looked_at, time.monotonic()
            asleep = now - before > SECONDS_WITHOUT_A_LOOK / 2  # This process was stopped for a while.
            if not asleep and now - self._looked_at > SECONDS_WITHOUT_A_LOOK:
                _log.error(
                    "The runs have not been looked after for %.0f s. The code server ends.", now - self._looked_at
                )
                os._exit(1)


def forget_ticks_of_the_future(instance: DagsterInstance, now: float) -> list[str]:
    """Let sensors tick that did so while the clock was ahead; returns their names. `now` is in Unix seconds.

    A clock that is set back by a day would keep them silent for a day: Dagster waits until their interval has passed
    since the last tick, and has no way to say otherwise. Schedules wait for their next time and need no help.
    """
    forgotten: list[str] = []
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        data = state.instigator_data
        if not isinstance(data, SensorInstigatorData):
            continue
        if max(data.last_tick_timestamp or 0.0, data.last_tick_start_timestamp or 0.0) > now + LATEST_TICK:
            past = data._replace(last_tick_timestamp=now, last_tick_start_timestamp=now)
            instance.update_instigator_state(state.with_data(past))
            forgotten.append(state.instigator_name)
    return forgotten


def _look_at_ticks() -> None:
    while True:
        try:
            with DagsterInstance.get() as instance:
                forgotten = forget_ticks_of_the_future(instance, time.time())
        except Exception as error:  # noqa: BLE001 (whatever it is, the next look may find it gone)
            _log.warning("The ticks could not be looked at (%s); it is tried again.", type(error).__name__)
        else:
            if forgotten:
                _log.warning("The clock was set back. These sensors tick again: %s.", ", ".join(forgotten))
        time.sleep(SECONDS_BETWEEN_LOOKS_AT_TICKS)


def main() -> None:
    """Serve as `dagster api grpc` does."""
    multiprocessing.set_forkserver_preload(IMPORTED)
    forkserver.ensure_running()
    server.DagsterApiServer = ForkingApiServer
    threading.Thread(target=_look_at_ticks, name="ticks", daemon=True).start()
    # What sensors and schedules log by way of Dagster, Dagster writes itself.
    logs.set_up(load_settings().log_format, "zk_pipeline")
    grpc_command()


if __name__ == "__main__":
    main()
