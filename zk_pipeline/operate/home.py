"""Whether everything is all right: a month's time, the two systems, the last sync and the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import last_day, month_of
from zk_pipeline.domain.vital_figures import System
from zk_pipeline.operate import overview, schedules
from zk_pipeline.operate.overview import SyncedMinutes, TimeShares
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.schedules import ScheduleError
from zk_pipeline.store import request_log
from zk_pipeline.store import runs as run_lists
from zk_pipeline.store.connectors import active_connectors


@dataclass(frozen=True, slots=True)
class Home:
    """The state of a month; times are in UTC.

    `months` are those that can be chosen, newest first. `in_target` are the minutes that the target itself adds up to,
    and `amounts` what they cost, by currency. `days` has each day of the month up to today, with the target's own
    minutes as `synced`. `elsewhere` counts open questions about other months, or about no booking. `failure` is the
    sentence of the newest run, if it failed. `next_sync_at` is `None` while no schedule is on.
    """

    month: date
    months: tuple[date, ...]
    shares: TimeShares
    in_target: Decimal
    amounts: tuple[tuple[str, Decimal], ...]
    days: tuple[SyncedMinutes, ...]
    systems: tuple[System, ...]
    days_queued: int
    elsewhere: int
    failure: str
    last_sync_at: datetime | None
    next_sync_at: datetime | None


def home(runtime: Runtime, wanted: date | None = None) -> Home:
    """The state of the wanted month; by default of the newest one with bookings."""
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        months = _months(overview.days_with_bookings(connection, names.source), today)
        month = next((month for month in months if month == wanted), months[0])
        until = last_day(month)
        shares = overview.time_shares(connection, names, month, until)
        there = overview.minutes_in_target(connection, names, month, until)
        amounts = overview.amounts_in_target(connection, names, month, until)
        booked = {row.day: row.booked for row in overview.minutes_by_day(connection, names, month, until)}
        systems = tuple(request_log.systems(connection))
        work = overview.open_work(connection)
        elsewhere = overview.open_elsewhere(connection, names, month, until)
        newest = run_lists.page(connection, 1, 0)
        last_sync_at = run_lists.last_sync(connection)
    return Home(
        month=month,
        months=months,
        shares=shares,
        in_target=sum(there.values(), overview.ZERO),
        amounts=amounts,
        days=_each_day(booked, there, month, min(until, max(today, month))),
        systems=systems,
        days_queued=work.days,
        elsewhere=elsewhere,
        failure=newest[0].failure if newest else "",
        last_sync_at=last_sync_at,
        next_sync_at=_next_sync(runtime),
    )


def _months(days: tuple[date, date] | None, today: date) -> tuple[date, ...]:
    """The months from the first to the last with bookings, newest first; this month where there are none."""
    first, month = (month_of(day) for day in days or (today, today))
    found = [month]
    while month > first:
        month = month_of(month - timedelta(days=1))
        found.append(month)
    return tuple(found)


def _each_day(
    booked: Mapping[date, Decimal], there: Mapping[date, Decimal], first: date, last: date
) -> tuple[SyncedMinutes, ...]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return tuple(SyncedMinutes(day, booked.get(day, overview.ZERO), there.get(day, overview.ZERO)) for day in days)


def _next_sync(runtime: Runtime) -> datetime | None:
    """When the next schedule is due; the settings say what is wrong with one that cannot be read."""
    now = datetime.now(UTC)
    try:
        due = [plan.next_runs(now, 1) for plan in schedules.list_plans(runtime) if plan.on]
    except ScheduleError:
        return None
    return min((runs[0] for runs in due if runs), default=None)
