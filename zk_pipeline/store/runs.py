"""Counts of runs: what each run read, wrote and left to people, added up stage by stage; and why a run failed."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection, select, text, update

from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import sync_runs


def add(connection: Connection, run_id: str, first: date | None, last: date | None, counts: Mapping[str, int]) -> None:
    """Add a stage's counts to its run."""
    connection.execute(_ADD, {"run_id": run_id, "first": first, "last": last, "counts": to_json(counts)})


def note_failure(connection: Connection, run_id: str, sentence: str) -> None:
    """Remember what a failed run tells the operator; a run that failed before its first stage is not known here."""
    connection.execute(update(sync_runs).where(sync_runs.c.run_id == run_id).values(failure=sentence))


def counts_of(connection: Connection, run_id: str) -> dict[str, int]:
    """The counts of a run so far; empty for an unknown one."""
    return connection.execute(select(sync_runs.c.counts).where(sync_runs.c.run_id == run_id)).scalar() or {}


_ADD = text(
    """
    INSERT INTO sync.sync_runs AS r (run_id, first_day, last_day, counts)
    VALUES (:run_id, :first, :last, CAST(:counts AS jsonb))
    ON CONFLICT (run_id) DO UPDATE SET
        counts = (
            SELECT COALESCE(jsonb_object_agg(name, number), '{}') FROM (
                SELECT key AS name, sum(value::bigint) AS number
                FROM (
                    SELECT * FROM jsonb_each_text(r.counts) UNION ALL SELECT * FROM jsonb_each_text(excluded.counts)
                ) AS parts
                GROUP BY key
            ) AS sums
        ),
        first_day = LEAST(r.first_day, excluded.first_day),
        last_day = GREATEST(r.last_day, excluded.last_day),
        updated_at = now()
    """
)
