"""Everything of Dagster that is used without a promise that it stays: names, methods, messages, tables.

No other module imports from inside Dagster's packages, replaces something of theirs, or names one of Dagster's tables;
a test of the architecture sees to it. After an upgrade, `zk_pipeline_tests/defs/test_dagster_internals.py` names each
part that is gone, with what it is used for.

Importing this module imports nothing of Dagster. A part is imported when it is asked for by its name.

Public ways were looked for. Deleting old runs through the instance would also delete when a day was last materialized.
`python_logs` adds handlers and takes the coloured lines away from nobody. A `TimeWindowPartitionsDefinition` knows the
times of a cron, seven times slower, and another 29 February.
"""

import os
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib import import_module
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, make_url, text

from zk_pipeline.domain.vital_figures import Automation, Orchestration, UnfinishedRun
from zk_pipeline.store.database import Database

# ruff: noqa: PLC0414 (an import "as" itself may be imported from here, by the rule of type checkers)
if TYPE_CHECKING:
    from dagster._core.definitions.run_request import InstigatorType as InstigatorType
    from dagster._core.launcher import CheckRunHealthResult as CheckRunHealthResult
    from dagster._core.launcher import WorkerStatus as WorkerStatus
    from dagster._core.scheduler.instigation import SensorInstigatorData as SensorInstigatorData
    from dagster._core.workspace.context import WorkspaceProcessContext as WorkspaceProcessContext
    from dagster._core.workspace.context import WorkspaceRequestContext as WorkspaceRequestContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget as WorkspaceFileTarget
    from dagster._core.workspace.permissions import LOCATION_SCOPED_PERMISSIONS as LOCATION_SCOPED_PERMISSIONS
    from dagster._core.workspace.permissions import PermissionResult as PermissionResult
    from dagster._core.workspace.permissions import Permissions as Permissions
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
        QueuedRunCoordinatorDaemon as QueuedRunCoordinatorDaemon,
    )
    from dagster._grpc.server import DagsterApiServer as DagsterApiServer
    from dagster._utils.log import create_console_logger as create_console_logger
    from dagster._utils.schedules import has_out_of_range_cron_interval as has_out_of_range_cron_interval
    from dagster._utils.schedules import is_valid_cron_string as is_valid_cron_string
    from dagster._utils.schedules import schedule_execution_time_iterator as schedule_execution_time_iterator
    from dagster_postgres import DagsterPostgresStorage
    from dagster_postgres.event_log import PostgresEventLogStorage as PostgresEventLogStorage
    from dagster_postgres.run_storage import PostgresRunStorage as PostgresRunStorage
    from dagster_postgres.schedule_storage import PostgresScheduleStorage as PostgresScheduleStorage
    from dagster_postgres.utils import DagsterPostgresException as DagsterPostgresException
    from dagster_webserver.app import (
        create_app_from_workspace_process_context as create_app_from_workspace_process_context,
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A name of Dagster's, the module that has it, and what it is used for.

    `members` are the attributes that a class of ours overrides or reads in it.
    """

    module: str
    used_for: str
    members: tuple[str, ...] = ()


_DEAD_RUNS = "telling Dagster that the process of a run died (defs/run_launcher.py)"
_CLOCK = "sensors that tick again after the clock was set back (processes/daemon.py)"
_QUEUE = "looking into an empty queue with one query (processes/daemon.py)"
_LOOPS = "noticing a daemon whose loop hangs (processes/daemon.py)"
_CRON = "checking the cron of a schedule and showing its next times (runtime/schedules.py)"
_CONNECTIONS = "keeping connections to Dagster's database (runtime/dagster_storage.py)"
_TABLES = "making Dagster's tables as a whole (runtime/dagster_storage.py)"
_TABLES_OF = ("RunStorageSqlMetadata", "SqlEventLogStorageMetadata", "ScheduleStorageSqlMetadata")
_WEB = "Dagster's pages behind our sign-in (web/dagster_ui/server.py)"
_ROLES = "offering in Dagster's pages what a role may do (web/dagster_ui/server.py)"

_OF_RUNS = (
    "has_backfill_id_column",
    "has_backfill_tags_table",
    "has_built_index",
    "has_bulk_action_job_name_column",
    "has_bulk_actions_selector_cols",
    "has_run_stats_index_cols",
)
_OF_EVENTS = ("has_asset_key_col", "has_table")
_OF_SCHEDULES = ("has_built_index", "has_instigators_table", "has_secondary_index_table")
"""What the storages are asked about tables, columns and indexes."""

PARTS: Mapping[str, Part] = {
    "CheckRunHealthResult": Part("dagster._core.launcher", _DEAD_RUNS),
    "DefaultRunLauncher": Part("dagster", _DEAD_RUNS, ("_instance", "check_run_worker_health", "terminate")),
    "WorkerStatus": Part("dagster._core.launcher", _DEAD_RUNS, ("FAILED", "RUNNING")),
    "DagsterApiServer": Part(
        "dagster._grpc.server",
        "runs that start at once, by a fork, and a code server that notices when it is blocked "
        "(processes/code_server.py)",
        ("_check_for_orphaned_runs", "_mp_ctx", "_server_termination_event"),
    ),
    "DagsterDaemon": Part("dagster._daemon.daemon", _LOOPS, ("_check_add_heartbeat", "daemon_type")),
    "InstigatorType": Part("dagster._core.definitions.run_request", _CLOCK, ("SENSOR",)),
    "SensorInstigatorData": Part(
        "dagster._core.scheduler.instigation", _CLOCK, ("last_tick_timestamp", "last_tick_start_timestamp")
    ),
    "DagsterPostgresException": Part("dagster_postgres.utils", _CLOCK),
    "PostgresEventLogStorage": Part(
        "dagster_postgres.event_log", _CONNECTIONS, ("_engine", "reindex_assets", "reindex_events", *_OF_EVENTS)
    ),
    "PostgresRunStorage": Part("dagster_postgres.run_storage", _CONNECTIONS, ("_engine", "has_run_stats_index_cols")),
    "PostgresScheduleStorage": Part(
        "dagster_postgres.schedule_storage", _CONNECTIONS, ("_engine", "migrate", "optimize", *_OF_SCHEDULES)
    ),
    "QueuedRunCoordinatorDaemon": Part(
        "dagster._daemon.run_coordinator.queued_run_coordinator_daemon", _QUEUE, ("run_iteration",)
    ),
    "RunStorageSqlMetadata": Part("dagster._core.storage.runs.schema", _TABLES, ("create_all", "sorted_tables")),
    "ScheduleStorageSqlMetadata": Part("dagster._core.storage.schedules.schema", _TABLES),
    "SqlEventLogStorageMetadata": Part("dagster._core.storage.event_log.schema", _TABLES),
    "check_alembic_revision": Part("dagster._core.storage.sql", _TABLES),
    "pg_alembic_config": Part("dagster_postgres.utils", _TABLES),
    "stamp_alembic_rev": Part("dagster._core.storage.sql", _TABLES),
    "has_out_of_range_cron_interval": Part("dagster._utils.schedules", _CRON),
    "is_valid_cron_string": Part("dagster._utils.schedules", _CRON),
    "schedule_execution_time_iterator": Part("dagster._utils.schedules", _CRON),
    "create_console_logger": Part("dagster._utils.log", "what runs and sensors print for people (defs/run_log.py)"),
    "create_app_from_workspace_process_context": Part("dagster_webserver.app", _WEB),
    "WorkspaceFileTarget": Part("dagster._core.workspace.load_target", _WEB),
    "WorkspaceProcessContext": Part(
        "dagster._core.workspace.context", _ROLES, ("create_request_context", "get_current_workspace", "version")
    ),
    "WorkspaceRequestContext": Part(
        "dagster._core.workspace.context", _ROLES, ("permissions", "permissions_for_location")
    ),
    "LOCATION_SCOPED_PERMISSIONS": Part("dagster._core.workspace.permissions", _ROLES),
    "PermissionResult": Part("dagster._core.workspace.permissions", _ROLES),
    "Permissions": Part("dagster._core.workspace.permissions", _ROLES),
}
"""What is imported from inside Dagster, by name."""

REPLACED: Mapping[tuple[str, str], str] = {
    ("dagster._loggers", "create_console_logger"): "runs that print JSON with ZK_LOG_FORMAT=json (defs/run_log.py)",
    ("dagster._core.definitions.instigation_logger", "create_console_logger"): (
        "sensors and schedules that print JSON with ZK_LOG_FORMAT=json (defs/run_log.py)"
    ),
    ("dagster._daemon.controller", "QueuedRunCoordinatorDaemon"): _QUEUE,
    ("dagster._grpc.server_watcher", "WATCH_INTERVAL"): (
        "asking the code server less often whether it is a new one (processes/daemon.py, web/dagster_ui/server.py)"
    ),
    ("dagster._grpc.server", "DagsterApiServer"): "serving our own code server (processes/code_server.py)",
}
"""What of Dagster's modules is replaced by something of ours, as module and name, with what for."""

METHODS: Mapping[str, str] = {
    "all_instigator_state": _CLOCK,
    "update_instigator_state": _CLOCK,
    "report_run_canceled": "ending runs of the time before the clock was set back (processes/daemon.py)",
    "report_run_failed": "ending runs of the time before the clock was set back (processes/daemon.py)",
    "get_latest_storage_id_by_partition": "the days whose newest run failed (defs/run_history.py)",
    "get_latest_planned_materialization_info": "the days whose newest run failed (defs/run_history.py)",
    "get_runs": "the runs of a job (defs/run_history.py)",
}
"""Methods of `DagsterInstance` that it does not call public."""

TIMED_OUT = "Canceling due to exceeding maximum runtime"
"""How Dagster's run monitoring begins its own requests to cancel (`max_runtime_seconds`), which are nobody's wish."""

WILL_RETRY_TAG = "dagster/will_retry"
"""On a failed run that Dagster itself starts again: only the last of them counts."""

PRELOADED = ("dagster._grpc.impl", "dagster._daemon.cli")
"""What a run and the daemon import first; imported once before they are forked (processes/preloaded.py)."""


class DagsterChangedError(ImportError):
    """The installed Dagster lacks a part; the message names it and what it is used for."""


def __getattr__(name: str) -> Any:
    """Import a part of `PARTS`. Raises `DagsterChangedError` if the installed Dagster does not have it."""
    if name not in PARTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    part = PARTS[name]
    return _attribute(part.module, name, part.used_for)


def _attribute(module: str, name: str, used_for: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DagsterChangedError(
            f"Dagster {version('dagster')} has no {module}.{name}. zk_pipeline needs it for {used_for}. Install the "
            "version that constraints.txt names."
        ) from error


def replace_console_loggers(make: Callable[[str, str | int], Any]) -> None:
    """Have runs, sensors and schedules print by the logger that `make` makes of a name and a level.

    `Definitions(loggers=...)` does not: Dagster takes those up only where the configuration of a run names them.
    """
    _replace("create_console_logger", make)


def replace_api_server(server: type) -> None:
    """Have the code server of this process be of our class, a subclass of `DagsterApiServer`."""
    _replace("DagsterApiServer", server)


def replace_queue_daemon(daemon: type) -> None:
    """Have the queue be looked into by our class, a subclass of `QueuedRunCoordinatorDaemon`."""
    _replace("QueuedRunCoordinatorDaemon", daemon)


def note_each_step(note: Callable[[str], None]) -> None:
    """Have `note` be called with the name of a daemon each time its loop comes round."""
    base = _attribute("dagster._daemon.daemon", "DagsterDaemon", _LOOPS)
    check = base._check_add_heartbeat  # noqa: SLF001

    def noted(daemon: Any, *arguments: Any) -> None:
        note(daemon.daemon_type())
        check(daemon, *arguments)

    base._check_add_heartbeat = noted  # noqa: SLF001


def watch_code_server_less() -> None:
    """Have this process ask the code server every three seconds whether it is a new one; Dagster asks each second.

    What is asked of it before that is noticed is tried again.
    """
    _replace("WATCH_INTERVAL", 3.0)


def _replace(name: str, ours: Any) -> None:
    """Put something of ours in the place of a name, wherever `REPLACED` lists it."""
    for (module, replaced), used_for in REPLACED.items():
        if replaced == name:
            _attribute(module, name, used_for)
            setattr(import_module(module), name, ours)


def keep_connections(storage: "DagsterPostgresStorage") -> None:
    """Have the storage use connections that this process keeps.

    Dagster connects for each statement, and PostgreSQL starts a process for each connection. With nothing to do, that
    was half of an installation's processor time.
    """
    parts: tuple[Any, ...] = (storage.run_storage, storage.event_log_storage, storage.schedule_storage)
    for part in parts:
        part._engine = _kept_engine(storage.postgres_url, os.getpid())  # noqa: SLF001


def limit_statements(instance: Any, milliseconds: int) -> None:
    """Have what this process asks Dagster's database fail after so long.

    Dagster's own `optimize_for_webserver` would do so as well, and take connections that do not survive a restart of
    the database: the first who looks at a page afterwards, or cancels a run, is told of an error.
    """
    engine = _kept_engine(instance.run_storage.postgres_url, os.getpid())
    engine.dispose()

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {milliseconds:d}")


def remember_tables(storage: "DagsterPostgresStorage") -> None:
    """Have the storage ask only once whether a table, column or index is there. Dagster asks before nearly each query,
    and PostgreSQL looks through its catalog each time."""
    parts: tuple[Any, ...] = (storage.run_storage, storage.event_log_storage, storage.schedule_storage)
    for part, questions in zip(parts, (_OF_RUNS, _OF_EVENTS, _OF_SCHEDULES), strict=True):
        for question in questions:
            setattr(part, question, partial(_remembered, storage.postgres_url, question, type(part), part))


_IS_THERE = set[tuple[Any, ...]]()


def _remembered(url: str, question: str, kind: Any, part: Any, *about: str) -> bool:
    """What the storage's own class answers; what is there does not go away."""
    key = (url, question, kind, *about)
    if key not in _IS_THERE and getattr(kind, question)(part, *about):
        _IS_THERE.add(key)
    return key in _IS_THERE


def complete_tables(storage: "DagsterPostgresStorage") -> None:
    """Make Dagster's tables, or those that are missing because it was interrupted while they were made.

    Dagster takes one of them for the sign that all are there, and makes each in a transaction of its own. After a power
    cut between two of them no run ever began. Their version is stored last here, and so says that all is done.
    """
    runs: Any = storage.run_storage
    with runs._engine.connect() as connection:  # noqa: SLF001
        if _are_complete(connection):
            return
        # Held until the connection ends, whatever happens to this process.
        connection.execute(text("SELECT pg_advisory_lock(hashtextextended('zk:dagster_tables', 0))"))
        config = __getattr__("pg_alembic_config")(import_module(type(runs).__module__).__file__)
        version, newest = __getattr__("check_alembic_revision")(config, connection)
        if version not in {None, newest} or _are_complete(connection):
            return  # Dagster's own migrations make what is missing, or another process has made it meanwhile.
        for name in _TABLES_OF:
            __getattr__(name).create_all(connection)
        runs.migrate()
        runs.optimize()
        storage.event_log_storage.reindex_events()
        storage.event_log_storage.reindex_assets()
        storage.schedule_storage.migrate()
        storage.schedule_storage.optimize()
        __getattr__("stamp_alembic_rev")(config, connection)


def _are_complete(connection: Connection) -> bool:
    """Whether all tables are there, and their version is stored."""
    wanted = {"alembic_version", *(table.name for name in _TABLES_OF for table in __getattr__(name).sorted_tables)}
    there = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = ANY(:names)"
    if connection.execute(text(there), {"names": sorted(wanted)}).scalar_one() < len(wanted):
        return False
    return connection.execute(text("SELECT EXISTS (SELECT FROM alembic_version)")).scalar_one()


_FEWER_PINGS = threading.Event()
SECONDS_BETWEEN_PINGS = 5.0
"""A server that ends a connection says so at once; one that vanished with its machine or the network does not."""


def ping_less() -> None:
    """Have this process take a kept connection that answered a moment ago, and is open, without asking the server.

    A question before each statement was a quarter of all statements of an idle installation. While the server is ending
    a connection, the next statement on it may fail: only for the daemon, whose loops come round again.
    """
    _FEWER_PINGS.set()


def _with_fewer_pings(engine: Engine) -> Engine:
    ping, answered = engine.dialect.do_ping, WeakKeyDictionary[Any, float]()

    def is_alive(dbapi_connection: Any) -> bool:
        just_now = time.monotonic() - answered.get(dbapi_connection, float("-inf")) < SECONDS_BETWEEN_PINGS
        if just_now and not dbapi_connection.closed and not _has_news(dbapi_connection.fileno()):
            return True
        alive = ping(dbapi_connection)
        answered[dbapi_connection] = time.monotonic()
        return alive

    engine.dialect.do_ping = is_alive
    return engine


def _has_news(descriptor: int) -> bool:
    """Whether the server sent something, such as the end of the connection."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


@lru_cache(maxsize=8)
def _kept_engine(url: str, process: int) -> Engine:
    """One engine for each database and process; a fork must not use its parent's connections."""
    del process
    # Idle connections cost the server memory; only the daemon's loops ask at the same time, day and night.
    kept = 2 if _FEWER_PINGS.is_set() else 1
    engine = create_engine(
        url, isolation_level="AUTOCOMMIT", pool_size=kept, max_overflow=-1, pool_pre_ping=True, pool_recycle=3600
    )
    return _with_fewer_pings(engine) if _FEWER_PINGS.is_set() else engine


def command(name: str) -> Callable[[], None]:
    """A command that Dagster installs, such as `dagster-daemon`, to be called within this process."""
    (found,) = entry_points(group="console_scripts", name=name)
    return found.load()


# Dagster's tables: how its jobs ended, how long runs and ticks took, what waits; and what of its log is deleted.
#
# The queries look at the newest rows by primary key, and at each job by its index, so that years of history cost
# nothing.

DAEMONS = (
    "ASSET",
    "BACKFILL",
    "EVENT_LOG_CONSUMER",
    "FRESHNESS_DAEMON",
    "MONITORING",
    "QUEUED_RUN_COORDINATOR",
    "SCHEDULER",
    "SENSOR",
)
"""The daemons that dagster.yaml asks for."""


@dataclass(frozen=True, slots=True)
class Durations:
    """What a job's runs of the last day, or an automation's ticks of the last hour, took in seconds, by their end."""

    name: str
    status: str
    number: int
    median: float
    longest: float


@dataclass(frozen=True, slots=True)
class LastRun:
    """How a job's newest run ended, and when one last succeeded."""

    job: str
    failed: bool
    succeeded_at: datetime | None


@dataclass(frozen=True, slots=True)
class DagsterFigures:
    """Runs, ticks, and the last run of each job."""

    runs: tuple[Durations, ...]
    ticks: tuple[Durations, ...]
    jobs: tuple[LastRun, ...]


def figures(connection: Connection) -> DagsterFigures:
    """All figures of Dagster."""
    return DagsterFigures(
        runs=tuple(Durations(*row) for row in connection.execute(_RUNS)),
        ticks=tuple(Durations(*row) for row in connection.execute(_TICKS)),
        jobs=tuple(LastRun(*row) for row in connection.execute(_JOBS)),
    )


def switched_schedules(connection: Connection) -> dict[str, bool]:
    """The schedules that somebody started or stopped in Dagster; all others are as the definitions say."""
    if connection.execute(text("SELECT to_regclass('instigators') IS NULL")).scalar_one():
        return {}
    return {row.name: row.status == "RUNNING" for row in connection.execute(_SWITCHED)}


def heartbeats(connection: Connection) -> dict[str, datetime | None]:
    """When each daemon last sent a heartbeat."""
    beats = {row.daemon_type: _instant(row.at) for row in connection.execute(_BEATS)}
    return {name: beats.get(name) for name in DAEMONS}


def orchestration(connection: Connection, pool: str) -> Orchestration:
    """What the vital signs need; of the runs in `pool` one works at a time."""
    if not connection.execute(_IS_MADE).scalar_one():  # Dagster makes its tables when it is first started.
        return Orchestration(dict.fromkeys(DAEMONS))
    return Orchestration(
        beats=heartbeats(connection),
        automations=[
            Automation(
                row.name or "",
                row.instigator_type == "SENSOR",
                row.status in {"RUNNING", "DECLARED_IN_CODE"},
                _instant(row.ticked_at),
                row.failures,
                _instant(row.failing_since),
                row.error or "",
            )
            for row in connection.execute(_AUTOMATIONS)
            if row.name
        ],
        runs=[
            UnfinishedRun(row.run_id, row.job, row.status, datetime.fromtimestamp(row.since, UTC), row.lane or "")
            for row in connection.execute(_UNFINISHED, {"pool": pool})
        ],
        switched=switched_schedules(connection),
        moved={
            row.lane or "": datetime.fromtimestamp(row.ended, UTC) for row in connection.execute(_MOVED, {"pool": pool})
        },
    )


def _instant(at: datetime | None) -> datetime | None:
    """Dagster stores UTC without saying so."""
    return None if at is None else at.replace(tzinfo=UTC)


_IS_MADE = text("SELECT to_regclass('daemon_heartbeats') IS NOT NULL AND to_regclass('job_ticks') IS NOT NULL")
_BEATS = text('SELECT daemon_type, "timestamp" AS at FROM daemon_heartbeats')
_SWITCHED = text(
    """
    SELECT instigator_body::jsonb #>> '{origin,job_name}' AS name, status FROM instigators
    WHERE instigator_type = 'SCHEDULE' AND status IN ('RUNNING', 'STOPPED')
    """
)
# A sensor that the database fails says so as the reason for its skip, without a traceback each time (defs/sensors.py).
_FAILED = """(status = 'FAILURE' OR status = 'SKIPPED' AND COALESCE(tick_body::jsonb ->> 'skip_reason', '') LIKE
        'The database failed just now%')"""
_AUTOMATIONS = text(
    f"""
    SELECT newest.name, i.instigator_type, i.status, newest.at AS ticked_at, newest.error,
        bad.number AS failures, bad.since AS failing_since
    FROM instigators i
    CROSS JOIN LATERAL (
        SELECT "timestamp" AS at, tick_body::jsonb ->> 'job_name' AS name, COALESCE(
            tick_body::jsonb -> 'error' ->> 'cls_name',
            substring(tick_body::jsonb ->> 'skip_reason' FROM 'failed just now .(\\w+).')
        ) AS error
        FROM job_ticks WHERE selector_id = i.selector_id ORDER BY "timestamp" DESC LIMIT 1
    ) AS newest
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min("timestamp") AS since FROM job_ticks
        WHERE selector_id = i.selector_id AND {_FAILED} AND "timestamp" > COALESCE((
            SELECT "timestamp" FROM job_ticks
            WHERE selector_id = i.selector_id AND status IN ('SUCCESS', 'SKIPPED') AND NOT {_FAILED}
            ORDER BY "timestamp" DESC LIMIT 1
        ), '-infinity')
    ) AS bad
    ORDER BY newest.name
    """  # noqa: S608 (our own text)
)
_LANE = """CASE WHEN r.run_body::jsonb #> '{run_op_concurrency,all_pools,__set__}' @> to_jsonb(CAST(:pool AS text))
        THEN CAST(:pool AS text) END AS lane"""
# A status that is reported again and again began with the first of its events.
_UNFINISHED = text(
    f"""
    SELECT r.run_id, r.pipeline_name AS job, r.status, {_LANE}, COALESCE(
        CASE WHEN r.status = 'STARTED' THEN r.start_time END,
        CASE WHEN r.status IN ('STARTING', 'CANCELING') THEN (
            SELECT EXTRACT(EPOCH FROM min(e."timestamp"))::float8 FROM event_logs e
            WHERE e.run_id = r.run_id AND e.dagster_event_type = 'PIPELINE_' || r.status
        ) END,
        EXTRACT(EPOCH FROM r.create_timestamp)::float8
    ) AS since
    FROM runs r
    WHERE r.status IN ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
    ORDER BY r.id LIMIT 1000
    """  # noqa: S608 (our own text)
)
_MOVED = text(
    f"""
    SELECT {_LANE}, max(r.end_time) AS ended
    FROM (SELECT run_body, end_time FROM runs ORDER BY id DESC LIMIT 200) AS r
    WHERE r.end_time IS NOT NULL GROUP BY lane
    """  # noqa: S608 (our own text)
)
_RUNS = text(
    """
    SELECT pipeline_name, status, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), max(seconds)
    FROM (
        SELECT pipeline_name, status, end_time, end_time - COALESCE(start_time, end_time) AS seconds
        FROM runs ORDER BY id DESC LIMIT 2000
    ) AS newest
    WHERE end_time > EXTRACT(EPOCH FROM now()) - 86400 AND status IN ('SUCCESS', 'FAILURE', 'CANCELED')
    GROUP BY pipeline_name, status
    """
)
_TICKS = text(
    """
    SELECT name, status, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), max(seconds)
    FROM (
        SELECT body ->> 'job_name' AS name, status, "timestamp",
            (body ->> 'end_timestamp')::float8 - (body ->> 'timestamp')::float8 AS seconds
        FROM (
            SELECT tick_body::jsonb AS body, status, "timestamp" FROM job_ticks ORDER BY id DESC LIMIT 2000
        ) AS newest
    ) AS ticks
    WHERE "timestamp" > (now() AT TIME ZONE 'UTC') - interval '1 hour' AND name IS NOT NULL AND seconds IS NOT NULL
    GROUP BY name, status
    """
)
_JOBS = text(
    """
    WITH RECURSIVE jobs AS (
        (SELECT pipeline_name AS job FROM runs ORDER BY pipeline_name LIMIT 1)
        UNION ALL
        SELECT (SELECT pipeline_name FROM runs WHERE pipeline_name > job ORDER BY pipeline_name LIMIT 1)
        FROM jobs WHERE job IS NOT NULL
    )
    SELECT job, newest.status = 'FAILURE', to_timestamp(good.end_time)
    FROM jobs
    CROSS JOIN LATERAL (
        SELECT status FROM runs
        WHERE pipeline_name = job AND status IN ('SUCCESS', 'FAILURE') ORDER BY id DESC LIMIT 1
    ) AS newest
    LEFT JOIN LATERAL (
        SELECT end_time FROM runs WHERE pipeline_name = job AND status = 'SUCCESS' ORDER BY id DESC LIMIT 1
    ) AS good ON true
    """
)

STATEMENTS: Mapping[str, tuple[TextClause, str]] = {
    "daemon_heartbeats, job_ticks": (_IS_MADE, "knowing whether Dagster has started (observe/measurements.py)"),
    "daemon_heartbeats": (_BEATS, "signs of life of the daemons (observe/measurements.py)"),
    "instigators, job_ticks": (_AUTOMATIONS, "sensors and schedules that fail or are silent (observe/measurements.py)"),
    "instigators": (_SWITCHED, "schedules that somebody switched in Dagster (observe/measurements.py)"),
    "runs, event_logs": (_UNFINISHED, "runs that wait or work for too long (observe/measurements.py)"),
    "runs": (_MOVED, "whether the queue moves (observe/measurements.py)"),
    "runs, durations": (_RUNS, "the metrics of runs (web/metrics.py)"),
    "job_ticks": (_TICKS, "the metrics of ticks (web/metrics.py)"),
    "runs, newest": (_JOBS, "the metrics of jobs (web/metrics.py)"),
}
"""The queries, by the tables that they read, each with what it is for."""

# Dagster's event log, which Dagster itself never shortens: deleting how a run went, not its result.

PRUNABLE_EVENTS = (
    None,  # What code wrote to the log.
    "ENGINE_EVENT",
    "HANDLED_OUTPUT",
    "HOOK_COMPLETED",
    "HOOK_SKIPPED",
    "LOADED_INPUT",
    "LOGS_CAPTURED",
    "OBJECT_STORE_OPERATION",
    "RESOURCE_INIT_STARTED",
    "RESOURCE_INIT_SUCCESS",
    "STEP_INPUT",
    "STEP_WORKER_STARTED",
    "STEP_WORKER_STARTING",
)
"""Kinds of events that nothing is derived from. All others stay, those of a later Dagster too: assets and their checks
get their state from events, runs and steps their beginning, end and outcome."""


def connected(url: str) -> Database:
    """Dagster's database, by the driver of ours. Whoever asks for it closes it."""
    return Database(make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False))


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """Dagster's database for the length of the block."""
    database = connected(url)
    try:
        yield database
    finally:
        database.close()


def prune_events(connection: Connection, before: datetime, limit: int) -> int:
    """Delete at most so many events of those kinds that are older than the instant; returns how many."""
    moment = before.astimezone(UTC).replace(tzinfo=None)  # Dagster stores UTC without saying so.
    removed = 0
    for kind in PRUNABLE_EVENTS:
        if removed == limit:
            break
        statement = _DELETE if kind is not None else _DELETE_LINES
        values = {"before": moment, "limit": limit - removed, **({"kind": kind} if kind is not None else {})}
        removed += connection.execute(statement, values).rowcount
    return removed


# Events come in the order of their ids, so the oldest of a kind are the first by the index on kind and id: no night has
# to walk past everything that stays.
_TEMPLATE = """
    DELETE FROM event_logs WHERE id IN (
        SELECT id FROM (
            SELECT id, "timestamp" FROM event_logs WHERE dagster_event_type {kind} ORDER BY id LIMIT :limit
        ) AS oldest WHERE "timestamp" < :before
    )
"""
_DELETE = text(_TEMPLATE.format(kind="= :kind"))
_DELETE_LINES = text(_TEMPLATE.format(kind="IS NULL"))
