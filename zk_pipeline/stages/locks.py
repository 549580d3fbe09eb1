"""The locks: what may not be written at this moment, and who waits for whom while a day is written."""

from datetime import date, datetime

from sqlalchemy import Connection

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.locks import Locks, first_open_day
from zk_pipeline.settings import Settings
from zk_pipeline.store import periods


def push_lock(target_name: str, day: date) -> str:
    """The name of the lock under which a day is written to a target, by one at a time; who closes it waits for it."""
    return f"zk:push:{target_name}:{day}"


def locks_now(connection: Connection, settings: Settings, now: datetime) -> Locks:
    """What may not be written at this moment. A period that is closed meanwhile waits for the pushes under way."""
    first_open = first_open_day(settings.locked_before, local_day(now, settings.zone))
    return Locks(settings.zone, first_open, periods.closed_months(connection))
