"""The figures of the dashboard: connectors, open work, synced minutes, and how recent they are."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from zk_pipeline.domain.instants import local_day
from zk_pipeline.identity.actors import OperationError
from zk_pipeline.operate import overview, runs
from zk_pipeline.operate.overview import SyncedMinutes
from zk_pipeline.operate.runs import RunDetails
from zk_pipeline.operate.sync import SyncSummary, summary_of
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import runs as run_lists
from zk_pipeline.store.connectors import active_connectors

DAYS_SHOWN = 30
LONGEST_SERIES = 366


@dataclass(frozen=True, slots=True)
class Kpi:
    """Minutes are those of bookings with a time sheet in Kimai, by work day in the business zone.

    `last_run` is the newest run of any kind; `series` has the days with bookings.
    """

    active_connectors: int
    minutes_today: Decimal
    minutes_this_month: Decimal
    status: SyncSummary
    last_run: RunDetails | None
    series: tuple[SyncedMinutes, ...]


def figures(runtime: Runtime, first: date | None = None, last: date | None = None) -> Kpi:
    """The current figures, and the minutes per day from `first` to `last`; default: this month and 30 days.

    Raises `OperationError` for a range that is empty or too long.
    """
    settings = runtime.settings
    today = local_day(datetime.now(UTC), settings.zone)
    until = last or today
    month = today.replace(day=1)
    since = first or min(month, _days_before(until, DAYS_SHOWN - 1))
    _check(since, until)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        number = overview.active_connectors(connection)
        waiting = overview.open_work(connection)
        synced_at = run_lists.last_carried_out(connection, settings.timezone)
        newest = run_lists.page(connection, 1, 0)
        series = overview.minutes_by_day(connection, names, since, until)
        covered = since <= month and today <= until
        of_month = series if covered else overview.minutes_by_day(connection, names, month, today)
    synced = {row.day: row.synced for row in of_month if month <= row.day <= today}
    return Kpi(
        active_connectors=number,
        minutes_today=synced.get(today, overview.ZERO),
        minutes_this_month=sum(synced.values(), overview.ZERO),
        status=summary_of(synced_at, waiting),
        last_run=next(iter(runs.to_runs(runtime, newest)), None),
        series=tuple(series),
    )


def _days_before(day: date, number: int) -> date:
    """The day `number` days earlier, at the earliest `date.min`."""
    return date.fromordinal(max(1, day.toordinal() - number))


def _check(since: date, until: date) -> None:
    if until < since:
        raise OperationError(f"to {until} is before from {since}. Swap them.")
    number = (until - since).days + 1
    if number > LONGEST_SERIES:
        raise OperationError(f"from {since} to {until} are {number} days. Choose at most {LONGEST_SERIES}.")
