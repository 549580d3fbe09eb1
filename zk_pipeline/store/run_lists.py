"""Queries for lists of runs: which days each one was about, what it counted, and when days were last carried out."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select
from sqlalchemy import false as sql_false

from zk_pipeline.domain.approval import WRITING
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.store import plans
from zk_pipeline.store.tables import reconciliation_results, sync_runs, writes

LOOKED_BACK = 500
"""Runs among which the last one that carried out its own day is looked for; there are some dozens a day."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What a run left in our tables; instants are in UTC. `updated_at` is when its last stage ended.

    `carried_out_until` is the newest day that it carried out; a plan, or a run that failed, has none. `failure` is what
    a failed run tells the operator, in a sentence or more. `taken_back`: every write of it was undone.
    """

    run_id: str
    first: date | None
    last: date | None
    counts: dict[str, int]
    started_at: datetime
    updated_at: datetime
    carried_out_until: date | None
    failure: str
    taken_back: bool


def page(connection: Connection, limit: int, offset: int) -> list[StoredRun]:
    """The runs of one page, newest first."""
    query = _runs().order_by(sync_runs.c.started_at.desc(), sync_runs.c.run_id).limit(limit).offset(offset)
    return [StoredRun(*row) for row in connection.execute(query)]


def of_ids(connection: Connection, run_ids: Collection[str]) -> list[StoredRun]:
    """Those of these runs that are known, oldest first."""
    query = _runs().where(sync_runs.c.run_id.in_(run_ids)).order_by(sync_runs.c.started_at)
    return [StoredRun(*row) for row in connection.execute(query)]


def count(connection: Connection) -> int:
    """How many runs there are."""
    return connection.execute(select(func.count()).select_from(sync_runs)).scalar_one()


def ahead(connection: Connection, run_ids: Collection[str], first: date, last: date) -> dict[str, int]:
    """Of the plans that these runs made and that still are their days', how many lines were not carried out yet."""
    plan = reconciliation_results.c
    of_runs = plan.run_id.in_(run_ids) & plan.entry_date.between(first, last)
    lines = plan.action.in_(WRITING) | ((plan.action == Action.LINK) & (plan.decided == Choice.LINK))
    query = select(plan.run_id, func.count()).where(of_runs, lines, plans.is_ahead())
    return {row.run_id: row[1] for row in connection.execute(query.group_by(plan.run_id))}


def last_carried_out(connection: Connection, timezone: str) -> datetime | None:
    """When a run last carried out the day on which it did so, in the business zone; `None` when none did recently."""
    recent = select(sync_runs.c.carried_out_at, sync_runs.c.carried_out_until)
    recent = recent.order_by(sync_runs.c.started_at.desc()).limit(LOOKED_BACK).subquery()
    its_day = func.date(func.timezone(timezone, recent.c.carried_out_at))
    return connection.execute(
        select(func.max(recent.c.carried_out_at)).where(recent.c.carried_out_until >= its_day)
    ).scalar()


def _runs() -> Select[Any]:
    run = sync_runs.c
    days = (run.first_day, run.last_day)
    carried_out = (run.started_at, run.updated_at, run.carried_out_until)
    of_run = writes.c.run_id == run.run_id
    taken_back = select(func.bool_and(writes.c.undone_by.is_not(None))).where(of_run).scalar_subquery()
    return select(run.run_id, *days, run.counts, *carried_out, run.failure, func.coalesce(taken_back, sql_false()))
