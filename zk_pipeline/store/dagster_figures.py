"""Queries on Dagster's own database for monitoring: how its jobs ended, and how long runs and ticks took.

They look at the newest rows by primary key, and at each job by its index, so that years of history cost nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


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
