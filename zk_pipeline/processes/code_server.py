"""Dagster's code server, whose runs start at once: `python -m zk_pipeline.processes.code_server`, options as usual.

Dagster starts a new interpreter for every run, which imports everything again and takes seconds. Here a run is forked
from a process of one thread that has imported everything and done nothing else.
"""

import gc
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

from zk_pipeline.processes.daemon import end_waiting_tick
from zk_pipeline.processes.health_check import CODE_SERVER, beat, serves
from zk_pipeline.processes.preloaded import OF_RUNS, set_title
from zk_pipeline.runtime import logs
from zk_pipeline.runtime.dagster_internals import PRELOADED, DagsterApiServer, command, replace_api_server
from zk_pipeline.runtime.settings import load_settings

DEFINITIONS = "zk_pipeline.definitions"
_STDERR = 2

SECONDS_BETWEEN_BEATS = 5.0
SECONDS_WITHOUT_A_LOOK = 30.0
"""The server looks after its runs twice a second. When it has not for so long, it is blocked for good."""

_log = logging.getLogger(__name__)


class ForkingApiServer(DagsterApiServer):
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

    def cleanup(self) -> None:
        """As Dagster does, without waiting for a tick that waits itself."""
        end_waiting_tick()
        super().cleanup()

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


def close_directory(socket: Path) -> None:
    """Close the directory of a socket to other accounts, since whoever reaches the code server may start runs."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    socket.parent.chmod(0o700)


def _beat_while_it_answers(home: Path, socket: str) -> None:
    """Note for the supervisor that this server answers. It would need a client's memory to ask itself."""
    while True:
        time.sleep(SECONDS_BETWEEN_BEATS)
        if serves(f"unix:{socket}"):
            with suppress(OSError):  # Whoever looks finds no newer one, and decides.
                beat(home, CODE_SERVER)


def start_forkserver() -> None:
    """Start the process that runs are forked from, by forking it from this one: it has imported what they need."""
    if sys.platform == "linux":
        executed, util.spawnv_passfds = util.spawnv_passfds, _forked
        try:
            forkserver.ensure_running()
        finally:
            util.spawnv_passfds = executed
    else:
        forkserver.ensure_running()


def _forked(_executable: bytes, argv: Sequence[str], kept: Sequence[int]) -> int:
    """Fork what would be executed as `python -c COMMAND` with these file descriptors; the pid."""
    if pid := os.fork():
        return pid
    try:
        for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if number > _STDERR and number not in kept:
                with suppress(OSError):  # That of the listing itself.
                    os.close(number)
        vars(forkserver._forkserver)["_lock"] = threading.Lock()  # noqa: SLF001 (held by the thread that forks)
        logging.getLogger("zk_pipeline").handlers.clear()  # What runs log, Dagster writes.
        set_title(" ".join(("multiprocessing.forkserver", *argv[1:])))
        exec(argv[-1], {})  # noqa: S102 (Python's own command)
    except Exception:  # noqa: BLE001 (nothing that stands above on the stack is this process's)
        traceback.print_exc()
    finally:
        os._exit(0)


def main() -> None:
    """Serve as `dagster api grpc` does."""
    if path := os.environ.get("ZK_CODE_SOCKET"):
        close_directory(Path(path))
    settings = load_settings()
    # What sensors and schedules log by way of Dagster, Dagster writes itself.
    logs.set_up(settings.log_format, "zk_pipeline")
    for name in (*OF_RUNS, *PRELOADED, DEFINITIONS):
        import_module(name)
    # Memory that is never looked at for garbage stays shared with what runs are forked from.
    gc.collect()
    gc.freeze()
    start_forkserver()
    replace_api_server(ForkingApiServer)
    if path:
        threading.Thread(target=_beat_while_it_answers, args=(settings.home, path), name="beats", daemon=True).start()
    sys.argv[1:1] = ["api", "grpc"]
    command("dagster")()


if __name__ == "__main__":
    main()
