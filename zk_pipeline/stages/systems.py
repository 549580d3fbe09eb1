"""Source and target of one run: opened when first needed, not called while they are unreachable, requests counted."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import Connector, SourceConnector, TargetConnector
from zk_pipeline.connectors.http import LONGEST_WAIT_SECONDS
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.write_protection import WriteProtection, first_open_day
from zk_pipeline.runtime.runtime import Role, Runtime, SetupError, utc_now
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.stages.read_source import Confirmed
from zk_pipeline.store import day_requests, periods, request_log
from zk_pipeline.store.database import DatabaseUnavailableError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunContext:
    """One run of the chain, and the options of its start.

    `span` is its first and last day, if it runs over a range. `by_person` also writes days that are held because
    somebody cancelled a run. `at_once` calls a system even during its waiting time. `overrides_limits` ignores the
    write limits. `in_development` writes to no real system. `reads_all` has nothing confirmed, but reads it.
    """

    id: str
    span: tuple[date, date] | None = None
    by_person: bool = False
    at_once: bool = False
    overrides_limits: bool = False
    in_development: bool = False
    reads_all: bool = False


class ConnectedSystems:
    """Source and target of one run, or of a process without a run."""

    def __init__(self, runtime: Runtime, run: RunContext | None = None, now: Callable[[], datetime] = utc_now) -> None:
        self.runtime, self.run, self.now = runtime, run, now
        self._opened = ExitStack()
        self._source: SourceConnector | None = None
        self._target: TargetConnector | None = None
        self.read_directories: set[Role] = set()
        """Whose directory this run has read; the stages share it."""
        self.confirmed: dict[Role, Confirmed | None] = {}
        """What each system was asked to confirm of the run's days, and whether it did."""

    @property
    def source(self) -> SourceConnector:
        """The connector to the source."""
        if self._source is None:
            self._await("source")
            self._source = self._opened.enter_context(self.runtime.source())
        return self._source

    @property
    def target(self) -> TargetConnector:
        """The connector to the target."""
        if self._target is None:
            self._await("target")
            self._target = self._opened.enter_context(self.runtime.target())
        return self._target

    def close(self) -> None:
        """Record the sent requests and what must wait, and close both."""
        with self._opened:
            self._note_traffic()
            self._note_waiting()
        self._source = self._target = None

    def _connected(self) -> Iterator[Connector]:
        yield from (connector for connector in (self._source, self._target) if connector is not None)

    def _note_traffic(self) -> None:
        """Add the sent requests to the counts of each system; a failing database must not hide the real error."""
        try:
            for connector in self._connected():
                if connector.traffic:
                    with self.runtime.database.transaction() as connection:
                        request_log.add(connection, connector.endpoint.name, connector.traffic)
        except DatabaseUnavailableError as error:
            _log.warning("The requests of this run are not counted. %s", error)

    def _note_waiting(self) -> None:
        """Let the unfinished days of this run wait for the unreachable system rather than for their own pause."""
        span = self.run.span if self.run else None
        for connector in self._connected():
            if span is None or not (connector.system_state and connector.system_state.problem):
                continue
            try:
                with self.runtime.database.transaction() as connection:
                    day_requests.wait_for(connection, connector.endpoint.name, *span)
            except DatabaseUnavailableError as error:
                _log.warning("The days of this run do not wait for %s. %s", connector.endpoint.name, error)

    def _await(self, role: Role) -> None:
        """Wait until a system that asked for a pause may be called, if that is soon. Raises `SetupError` otherwise."""
        if self.run is None or self.run.at_once:
            return
        name = self.runtime.stored(role).name
        with self.runtime.database.transaction() as connection:
            until = request_log.load(connection, name).wait_until(self.now())
        if until is None:
            return
        seconds = (until - self.now()).total_seconds()
        if seconds > LONGEST_WAIT_SECONDS:
            if self.run.span:
                with self.runtime.database.transaction() as connection:
                    day_requests.wait_for(connection, name, *self.run.span)
            raise SetupError(
                f"{name.title()} asked to be left alone until {until.astimezone(UTC):%H:%M:%S} UTC. "
                "The requested days run when it answers again."
            )
        time.sleep(max(0.0, seconds))


@contextmanager
def open_systems(runtime: Runtime, run: RunContext | None = None) -> Iterator[ConnectedSystems]:
    """Both systems for the duration of the block."""
    systems = ConnectedSystems(runtime, run)
    try:
        yield systems
    finally:
        systems.close()


# Write protection at this moment, and the lock that serializes writes to a day.


def push_lock(target_name: str, day: date) -> str:
    """The name of the lock for writing a day to a target; closing a period takes it too, and waits for writes."""
    return f"zk:push:{target_name}:{day}"


def locks_now(connection: Connection, settings: Settings, now: datetime) -> WriteProtection:
    """What may not be written at this moment. Closing a period waits for pushes in progress."""
    first_open = first_open_day(settings.locked_before, local_day(now, settings.zone))
    return WriteProtection(settings.zone, first_open, periods.closed_months(connection))
