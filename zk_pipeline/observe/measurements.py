"""The measurements behind the vital signs: of the disk, of our database and of Dagster's."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Generic

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.vital_figures import (
    Backlog,
    DatabaseResponse,
    Facts,
    Measurement,
    Measurements,
    Orchestration,
    PollIntervals,
    Space,
    StoreFigures,
    VitalSign,
)
from zk_pipeline.observe.vital_signs import judge
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.runtime.run_tags import TARGET_POOL
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.schedules import CATCH_UP, ScheduleError, plan_of
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import request_log, runs, stored_settings
from zk_pipeline.store.database import Database, DatabaseUnavailableError

# Queries for monitoring: few, and each answered by an index or one count.

AGES = ("day", "week", "longer")
"""Age classes: open for less than a day, less than a week, or longer."""

RESULTS = ("created", "updated", "deleted", "linked", "in_sync", "parked", "failed")


@dataclass(frozen=True, slots=True)
class LastSyncRun:
    """The newest sync, and its entries by result."""

    started_at: datetime
    results: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SyncFigures:
    """Counts of stored and waiting rows. Ages of the oldest are in seconds; `last_run` is `None` before the first run.

    `conflicts` are by reason and age class (`AGES`), `requests` are day requests by reason.
    """

    entries: Mapping[str, int]
    conflicts: Mapping[tuple[str, str], int]
    oldest_conflicts: Mapping[str, float]
    days_waiting: int
    requests: Mapping[str, int]
    oldest_requests: Mapping[str, float]
    deliveries_waiting: int
    failed_logins: int
    last_run: LastSyncRun | None


def waiting_requests(connection: Connection, first: date, last: date) -> Backlog:
    """The waiting requests for days of this range; future days cannot run yet."""
    row = connection.execute(_WAITING, {"first": first, "last": last}).one()
    return Backlog(row.number, row.due_since, row.asked_at)


def waiting_deliveries(connection: Connection) -> Backlog:
    """The unprocessed webhooks of active sources."""
    query = text(
        """
        SELECT count(*) AS number, min(d.received_at) AS oldest FROM sync.webhook_deliveries d
        WHERE d.processed_at IS NULL AND d.connector IN (SELECT name FROM sync.connectors WHERE active)
        """
    )
    row = connection.execute(query).one()
    return Backlog(row.number, row.oldest, row.oldest)


def newest_failure(connection: Connection) -> str:
    """The failure of the newest sync, empty if it succeeded."""
    query = text("SELECT failure FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1")
    return connection.execute(query).scalar() or ""


def figures(connection: Connection, first: date, last: date) -> SyncFigures:
    """All figures, counted now; the requests are those for days of this range."""
    days = {"first": first, "last": last}
    by_state = connection.execute(text("SELECT state, count(*) FROM sync.pushes GROUP BY state")).all()
    open_conflicts = connection.execute(_CONFLICTS).all()
    requests = connection.execute(_REQUESTS, days).all()
    waiting = connection.execute(
        text(
            f"""
            SELECT (SELECT count(DISTINCT day) FROM sync.day_requests WHERE {_OPEN}) AS days,
                (SELECT count(*) FROM sync.webhook_deliveries WHERE processed_at IS NULL) AS deliveries,
                (SELECT count(*) FROM sync.failed_logins WHERE at > now() - interval '1 hour') AS logins
            """  # noqa: S608 (a constant of ours)
        ),
        days,
    ).one()
    return SyncFigures(
        entries={row[0]: row[1] for row in by_state},
        conflicts={(row.reason, row.age): row.number for row in open_conflicts},
        oldest_conflicts=_largest((row.reason, row.seconds) for row in open_conflicts),
        days_waiting=waiting.days,
        requests={row.reason: row.number for row in requests},
        oldest_requests={row.reason: row.seconds for row in requests},
        deliveries_waiting=waiting.deliveries,
        failed_logins=waiting.logins,
        last_run=_last_run(connection),
    )


def _largest(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in pairs:
        found[name] = max(value, found.get(name, value))
    return found


def _last_run(connection: Connection) -> LastSyncRun | None:
    query = text("SELECT started_at, counts FROM sync.sync_runs ORDER BY started_at DESC LIMIT 1")
    row = connection.execute(query).first()
    return None if row is None else LastSyncRun(row.started_at, {name: row.counts.get(name, 0) for name in RESULTS})


_CONFLICTS = text(
    """
    SELECT reason, age, count(*) AS number, max(seconds) AS seconds
    FROM (
        SELECT reason, EXTRACT(EPOCH FROM now() - opened_at)::float8 AS seconds,
            CASE WHEN opened_at > now() - interval '1 day' THEN 'day'
                WHEN opened_at > now() - interval '7 days' THEN 'week' ELSE 'longer' END AS age
        FROM sync.conflicts WHERE resolution_status = 'open'
    ) AS waiting
    GROUP BY reason, age
    """
)
_OPEN = """claimed_by_run IS NULL AND day BETWEEN :first AND :last AND NOT EXISTS (
    SELECT FROM sync.cancelled_runs c WHERE sync.day_requests.day = ANY (c.held_days)
)"""
"""Requests that wait for a run. Those for held days wait for a person instead, and future days cannot run yet: the
catch-up asks for them while the clock is ahead."""

_REQUESTS = text(
    f"""
    SELECT reason, count(*) AS number, EXTRACT(EPOCH FROM now() - min(requested_at))::float8 AS seconds
    FROM sync.day_requests WHERE {_OPEN} GROUP BY reason
    """  # noqa: S608 (a constant of ours)
)
_WAITING = text(
    f"""
    SELECT count(*) AS number, min(requested_at) AS asked_at,
        min(GREATEST(requested_at, not_before)) FILTER (WHERE not_before <= now()) AS due_since
    FROM sync.day_requests WHERE {_OPEN}
    """  # noqa: S608 (a constant of ours)
)

# The probes. Nothing is sent to Zammad or Kimai: how they answer is known from our runs and sensors.

SECONDS_BETWEEN_MEASUREMENTS = 10.0
SECONDS_BETWEEN_ANSWERS = 2.0
"""The database is measured more often, for load balancers."""

LONGEST_QUERY = 5000
"""Milliseconds. A query that a lock blocks is cancelled, and counts as not measured."""

OTHER_SENSORS = ("alerts", "failed_runs", "marts_after_deep_check")
"""Sensors beside `demand`, which ticks as ZK_SENSOR_SECONDS says."""

WRITE_BACK = "write_back_due"
"""The sensor that is there only where something is written into tickets."""

OTHER_SENSORS_TICK = timedelta(seconds=30)

_log = logging.getLogger(__name__)


class Probe(Generic[Facts]):
    """Measures one thing. If `take` raises or hangs, only this reading becomes old."""

    def __init__(self, name: str, take: Callable[[], Facts], seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self._take = take
        self.reading: Measurement[Facts] = Measurement(datetime.now(UTC))

    def measure(self) -> None:
        """Measure now. On failure, the last figures stay, with the problem."""
        try:
            facts = self._take()
        except (DatabaseUnavailableError, SQLAlchemyError, OSError) as error:
            self.reading = replace(self.reading, problem=_error_line(error))
        except Exception as error:  # noqa: BLE001 (recorded as the problem, and measured again)
            _log.exception("The vital sign %s cannot be measured.", self.name)
            self.reading = replace(self.reading, problem=f"An unexpected {type(error).__name__}; the log has it.")
        else:
            self.reading = Measurement(self.reading.since, facts, datetime.now(UTC))


class Probes:
    """All probes of a process; `close` releases their connections."""

    def __init__(self, runtime: Runtime) -> None:
        settings = runtime.settings
        self._pace = pace_of(settings)
        self._dagster_database: Database | None = None
        self.database = Probe("database", lambda: _answer(runtime), SECONDS_BETWEEN_ANSWERS)
        self.disk = Probe("disk", lambda: _spaces(settings.home), SECONDS_BETWEEN_MEASUREMENTS)
        self.records = Probe("records", lambda: _records(runtime), SECONDS_BETWEEN_MEASUREMENTS)
        self.dagster: Probe[Orchestration] | None = None
        if settings.dagster_url is not None:
            database = dagster_internals.connected(settings.dagster_url.get_secret_value())
            self._dagster_database = database
            self.dagster = Probe("dagster", lambda: _orchestration(database), SECONDS_BETWEEN_MEASUREMENTS)

    def every(self) -> list[Probe[Any]]:
        """All probes."""
        found: list[Probe[Any] | None] = [self.database, self.disk, self.records, self.dagster]
        return [probe for probe in found if probe is not None]

    def signs(self) -> list[VitalSign]:
        """The vital signs by the newest readings."""
        dagster = self.dagster.reading if self.dagster else None
        measured = Measurements(self.database.reading, self.disk.reading, self.records.reading, dagster)
        return judge(measured, self._pace, datetime.now(UTC))

    def close(self) -> None:
        """Release the connections."""
        if self._dagster_database is not None:
            self._dagster_database.close()


class HealthMonitor:
    """Measures in the background, each probe in its own thread.

    If a measurement hangs, its figures become too old, which is a failed sign.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._probes = Probes(runtime)
        self._end = threading.Event()
        self._first_answer = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, seconds_for_first_answer: float = 2.0) -> None:
        """Start, and wait briefly for the first reading of the database."""
        for probe in self._probes.every():
            # Daemon threads: one that hangs does not keep the process alive.
            thread = threading.Thread(
                target=self._measure_repeatedly, args=(probe,), name=f"watch {probe.name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        self._first_answer.wait(seconds_for_first_answer)

    def stop(self, seconds: float = 2.0) -> None:
        """Stop; waits this long for running measurements."""
        self._end.set()
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._probes.close()

    def signs(self) -> list[VitalSign]:
        """The vital signs by the newest readings; does not block."""
        return self._probes.signs()

    def _measure_repeatedly(self, probe: Probe[Any]) -> None:
        while not self._end.is_set():
            probe.measure()
            if probe is self._probes.database:
                self._first_answer.set()
            self._end.wait(probe.seconds)


@contextmanager
def measure_once(runtime: Runtime) -> Iterator[list[VitalSign]]:
    """The vital signs, all measured once."""
    probes = Probes(runtime)
    try:
        for probe in probes.every():
            probe.measure()
        yield probes.signs()
    finally:
        probes.close()


def pace_of(settings: Settings) -> PollIntervals:
    """The intervals that the limits depend on."""
    others = (*OTHER_SENSORS, *([WRITE_BACK] if settings.writes_back else []))
    sensors = {**dict.fromkeys(others, OTHER_SENSORS_TICK), "demand": timedelta(seconds=settings.sensor_seconds)}
    polls = {"source": settings.poll_seconds, "target": settings.kimai_poll_seconds}
    return PollIntervals({role: timedelta(seconds=seconds) for role, seconds in polls.items()}, sensors)


def _answer(runtime: Runtime) -> DatabaseResponse:
    began = time.monotonic()
    try:
        with runtime.database.transaction() as connection:
            connection.execute(text("SELECT 1"))
    except (DatabaseUnavailableError, SQLAlchemyError) as error:
        _log.warning("The database does not answer: %s", problem := _error_line(error))
        return DatabaseResponse(None, problem)
    return DatabaseResponse(time.monotonic() - began)


def _spaces(home: Path) -> Sequence[Space]:
    """The disk space of the home, and of the embedded database if it is on another file system."""
    home = next(path for path in (home, *home.resolve().parents) if path.exists())
    data = home / "postgres"
    places = [home, data] if data.is_dir() and data.stat().st_dev != home.stat().st_dev else [home]
    usages = [(str(path), shutil.disk_usage(path)) for path in places]
    return [Space(path, usage.free, usage.total) for path, usage in usages]


def _records(runtime: Runtime) -> StoreFigures:
    settings, now = runtime.settings, datetime.now(UTC)
    with runtime.database.transaction() as connection:
        _limit_query_time(connection)
        due, is_on, problem = None, True, ""
        try:
            plan = plan_of(settings, CATCH_UP, stored_settings.load(connection))
            due, is_on = plan.last_due(now), plan.on
        except ScheduleError as error:
            problem = str(error)
        return StoreFigures(
            systems=request_log.systems(connection),
            requests=waiting_requests(connection, settings.start_date, local_day(now, settings.zone)),
            deliveries=waiting_deliveries(connection),
            synced_at=runs.last_carried_out(connection, settings.timezone),
            catch_up_due=due,
            catch_up_on=is_on,
            schedule_problem=problem,
            failure=newest_failure(connection),
        )


def _orchestration(database: Database) -> Orchestration:
    with database.transaction() as connection:
        _limit_query_time(connection)
        return dagster_internals.orchestration(connection, TARGET_POOL)


def _limit_query_time(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL statement_timeout = {LONGEST_QUERY}"))


def _error_line(error: Exception) -> str:
    """The error in one line, without statement and values."""
    text_ = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    return text_.strip().partition("\n")[0]
