"""Dagster's own tables: queries for monitoring, and deleting of its event log what it never deletes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, make_url, text

from zk_pipeline.domain.vital_figures import Automation, Orchestration, UnfinishedRun
from zk_pipeline.store.database import Database

# Queries on Dagster's own database for monitoring: how its jobs ended, how long runs and ticks took, what waits.
#
# They look at the newest rows by primary key, and at each job by its index, so that years of history cost nothing.

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
    """Everything that is told of Dagster."""
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


def orchestration(connection: Connection, pool: str) -> Orchestration:
    """What the vital signs need; of the runs in `pool` one works at a time."""
    if not connection.execute(_IS_MADE).scalar_one():  # Dagster makes its tables when it is first started.
        return Orchestration(dict.fromkeys(DAEMONS))
    beats = {row.daemon_type: _instant(row.at) for row in connection.execute(_BEATS)}
    return Orchestration(
        beats={name: beats.get(name) for name in DAEMONS},
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
_AUTOMATIONS = text(
    """
    SELECT newest.name, i.instigator_type, i.status, newest.at AS ticked_at, newest.error,
        bad.number AS failures, bad.since AS failing_since
    FROM instigators i
    CROSS JOIN LATERAL (
        SELECT "timestamp" AS at, tick_body::jsonb ->> 'job_name' AS name,
            tick_body::jsonb -> 'error' ->> 'cls_name' AS error
        FROM job_ticks WHERE selector_id = i.selector_id ORDER BY "timestamp" DESC LIMIT 1
    ) AS newest
    CROSS JOIN LATERAL (
        SELECT count(*) AS number, min("timestamp") AS since FROM job_ticks
        WHERE selector_id = i.selector_id AND status = 'FAILURE' AND "timestamp" > COALESCE((
            SELECT "timestamp" FROM job_ticks WHERE selector_id = i.selector_id AND status IN ('SUCCESS', 'SKIPPED')
            ORDER BY "timestamp" DESC LIMIT 1
        ), '-infinity')
    ) AS bad
    ORDER BY newest.name
    """
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

# Dagster's event log, which Dagster itself never shortens: deleting what tells how a run went, not what came of it.

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


def chatter(connection: Connection, before: datetime, limit: int) -> int:
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
