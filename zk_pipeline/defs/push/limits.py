"""The operator's limits for one run, as its days are planned now, and the tag that lets a run pass them."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from zk_pipeline.domain.approval import Limits, objection
from zk_pipeline.domain.instants import days_window
from zk_pipeline.settings import Settings
from zk_pipeline.store import plans, target

ALLOW_TAG = "zk/let-pass"
"""A run with this tag is not stopped by the guard."""


def objection_to(connection: Connection, target_name: str, settings: Settings, days: Sequence[date]) -> str | None:
    """Why a run over these days, as they are planned now, would be stopped; `None` where it would not."""
    window = days_window(days[0], days[-1], settings.zone)
    lines = [line for day in days for line in plans.writes_of_day(connection, target_name, day)]
    timesheets = target.count_within(connection, target_name, window)
    return objection(lines, timesheets, Limits(settings.max_changes, settings.max_deletes))
