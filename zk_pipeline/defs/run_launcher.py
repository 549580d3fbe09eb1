"""Queueing and starting runs, their sign of life, and detecting dead ones, which Dagster's own parts cannot do.

A run holds an advisory lock named by its id while its process lives, and takes it again after a restart of the
database. A run in progress without that lock is dead: Dagster's run monitoring asks `LocalRunLauncher` and marks it as
failed. Otherwise it would block the queue for all later runs.
"""

import logging
import os
import signal
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from zk_pipeline.runtime.dagster_internals import CheckRunHealthResult, WorkerStatus
from zk_pipeline.runtime.dagster_server import LOCATION
from zk_pipeline.runtime.run_tags import REASON_TAG
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store.database import Database, DatabaseUnavailableError

SECONDS_TO_BEGIN = 30.0
"""From the start of a run to its lock."""

SECONDS_OF_SUSPICION = 5.0
"""A living run takes a lost lock again within two seconds."""

DIED = "The process of this run died. Its days are requested again."

_log = logging.getLogger(__name__)


def run_lock(run_id: str) -> str:
    """The name of the lock that a run holds while its process lives."""
    return f"zk:run:{run_id}"


def process_name() -> str:
    """This process as the holder of a lock: its number, and the machine and container where that is valid."""
    return f"{os.getpid()}@{_whereabouts()}"


class PromptRunCoordinator(dg.QueuedRunCoordinator):
    """Dagster's queue, looked at twice a second; its own setting takes whole seconds. Named in dagster.yaml."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limited: set[str] = set()

    def submit_run(self, context: Any) -> dg.DagsterRun:
        """Queue a run, once its pools have their default limits.

        Dagster stores them at the first look at the queue, and keeps them from the second on: the first two runs of an
        installation would write together.
        """
        concurrency = context.dagster_run.run_op_concurrency
        pools = set(concurrency.all_pools or ()) if concurrency else set[str]()
        if missing := pools - self._limited:
            storage = self._instance.event_log_storage
            for pool in missing - storage.get_concurrency_keys():
                storage.initialize_concurrency_limit_to_default(pool)
            self._limited |= missing
        return super().submit_run(context)

    @property
    def dequeue_interval_seconds(self) -> float:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Seconds between two looks."""
        return 0.5


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Starts runs at the code server as Dagster does; named in dagster.yaml.

    In addition it detects a run whose process died, and can stop one whose code server was restarted and no longer
    knows it.
    """

    def __init__(self, inst_data: Any = None) -> None:
        super().__init__(inst_data)
        self._suspected: dict[str, float] = {}
        """The runs that lacked their lock at the last check, and since when."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: the lock shows it."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run lives. Without proof that it died, it counts as alive."""
        if not is_ours(run) or not self._should_have_begun(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if _holder(run.run_id) is not None:
            self._suspected.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        since = self._suspected.setdefault(run.run_id, time.monotonic())
        if time.monotonic() - since < SECONDS_OF_SUSPICION:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._suspected[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, DIED)

    def terminate(self, run_id: str) -> bool:
        """Stop a run: by its code server or, if that no longer knows the run, by its process directly."""
        try:
            if super().terminate(run_id):
                return True
        except dg.DagsterError as error:
            _log.warning("The code server that started run %s does not answer. %s", run_id, error)
        return _interrupt(_holder(run_id))

    def _should_have_begun(self, run_id: str) -> bool:
        record = self._instance.get_run_record_by_id(run_id)
        if record is None or record.start_time is None:
            return False
        elapsed = time.time() - record.start_time  # Negative if the clock was set back since.
        return not 0 <= elapsed <= SECONDS_TO_BEGIN


def is_ours(run: dg.DagsterRun) -> bool:
    """Whether it is a run of this project: started by Dagster from our code location, or by one of our commands."""
    origin = run.remote_job_origin
    return origin.location_name == LOCATION if origin is not None else REASON_TAG in run.tags


def _holder(run_id: str) -> str | None:
    """The process that holds the lock of a run. Raises `DatabaseUnavailableError` if that is unknown."""
    url = load_settings().database_url
    if url is None:
        raise DatabaseUnavailableError("ZK_DATABASE_URL is not set. Give Dagster's processes the same as all others.")
    holder = _database(url.get_secret_value()).holder_of(run_lock(run_id))
    return None if holder is None else holder.name


@cache
def _database(url: str) -> Database:
    return Database(url)


def _interrupt(holder: str | None) -> bool:
    """Interrupt a process of this machine and container, as Dagster does within a run; returns whether it existed."""
    number, _, whereabouts = (holder or "").partition("@")
    if not number.isdecimal() or whereabouts != _whereabouts():
        return False
    with suppress(ProcessLookupError, PermissionError):
        os.kill(int(number), signal.SIGINT)
        return True
    return False


@cache
def _whereabouts() -> str:
    """Identifies this boot of this machine, and this container on it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 (a link that leads to no path)
    except OSError:
        return os.uname().nodename[:40]
