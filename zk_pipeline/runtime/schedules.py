"""What the schedules do: settings of the environment, overlaid by those that people stored in the database."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, local_day
from zk_pipeline.runtime.dagster_internals import (
    has_out_of_range_cron_interval,
    is_valid_cron_string,
    schedule_execution_time_iterator,
)
from zk_pipeline.runtime.settings import Settings, WhenBusy
from zk_pipeline.store import stored_settings
from zk_pipeline.store.database import Database

CATCH_UP = "catch_up"
DEEP_CHECK = "deep_check"
NAMES = (CATCH_UP, DEEP_CHECK)
FIELDS = ("cron", "days", "on", "when_busy")

PRESETS: dict[str, dict[str, Any]] = {
    "hourly": {"cron": "0 * * * *", "on": True},
    "every-6-hours": {"cron": "0 */6 * * *", "on": True},
    "nightly": {"cron": "30 3 * * *", "on": True},
    "off": {"on": False},
}

MOST_DAYS = 366
SHORTEST_PAUSE = timedelta(minutes=5)
CATCH_UP_TAKES = timedelta(hours=2)  # From when it is due to its end.

_CONNECT_SECONDS = "2"  # Loading the definitions must not wait for a database that is down.
_TICKS_TO_COMPARE = 600  # Two days of the most frequent cron that keeps the pause.
_FIRST_COMPARED = datetime(2024, 1, 1, tzinfo=UTC)
_LAST_COMPARED = datetime(2032, 12, 31, tzinfo=UTC)
_BY_CHANCE = re.compile(r"\b[hr]\b", re.IGNORECASE)  # Extensions whose next time nobody can tell.


class ScheduleError(Exception):
    """A schedule cannot be as it was asked for, or what was stored cannot be read; the message says which and why.

    `field` is what is wrong, if it is one of `FIELDS`.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class SchedulePlan:
    """What one schedule does. `cron` is read in `zone`, the business zone, whose `days` it looks back, today included.

    `earliest` is the first day that there is; `stored` names the fields that do not come from the environment. `on` is
    what is declared, or what somebody made of it in Dagster, where it was switched `in_dagster`.
    """

    name: str
    cron: str
    days: int
    on: bool
    when_busy: WhenBusy
    zone: ZoneInfo
    earliest: date
    stored: frozenset[str] = frozenset()
    in_dagster: bool = False

    def ranges(self, tick: datetime) -> list[tuple[date, date]]:
        """The days of a tick as ranges for one run each, oldest first; none if all lie before the earliest day."""
        last = local_day(tick, self.zone)
        first = max(self.earliest, last - timedelta(days=self.days - 1))
        return day_ranges(first, last, LONGEST_RANGE)

    def next_runs(self, after: datetime, number: int = 5) -> list[datetime]:
        """The next executions as Dagster will compute them, in the business zone.

        A time that a clock change skips is made up for at the end of the gap, one that comes twice is taken the second
        time, and an hourly one comes with every hour that passes.
        """
        return _executions(self.cron, self.zone, after, number)

    def last_due(self, now: datetime) -> datetime:
        """The last execution that has had its time to finish (`CATCH_UP_TAKES`)."""
        ticks = dg.TimeWindowPartitionsDefinition(
            start=datetime(2020, 1, 1),  # noqa: DTZ001 (a wall clock time of the zone below)
            fmt="%Y-%m-%dT%H:%M",
            timezone=self.zone.key,
            cron_schedule=self.cron,
        )
        window = ticks.get_prev_partition_window(now - CATCH_UP_TAKES, respect_bounds=False)
        if window is None:
            raise ValueError(f"The schedule {self.cron!r} was never due before {now}.")
        return window.end


def plan_of(settings: Settings, name: str, stored: Mapping[str, Any]) -> SchedulePlan:
    """The plan of a schedule, where `stored` settings win over the environment.

    Raises `ScheduleError` for the first wrong value, naming where it comes from.
    """
    given = {
        "cron": getattr(settings, f"{name}_cron"),
        "days": getattr(settings, f"{name}_days"),
        "on": settings.schedules,
        "when_busy": settings.schedule_when_busy,
    }
    own = {field: stored[key] for field in FIELDS if (key := setting(name, field)) in stored}
    values = given | own
    for field in FIELDS:
        problem = _problem(field, values[field])
        if problem:
            where = setting(name, field) if field in own else f"ZK_{name.upper()}_{field.upper()}"
            raise ScheduleError(f"{where}={values[field]!r}: {problem}", field)
    values["when_busy"] = WhenBusy(values["when_busy"])
    return SchedulePlan(name=name, zone=settings.zone, earliest=settings.start_date, stored=frozenset(own), **values)


def as_switched(plan: SchedulePlan, switched: Mapping[str, bool]) -> SchedulePlan:
    """The plan as Dagster carries it out: a schedule that somebody started or stopped there is on or off."""
    on = switched.get(plan.name, plan.on)
    return plan if on == plan.on else replace(plan, on=on, in_dagster=True)


def read_stored(settings: Settings) -> dict[str, Any]:
    """All stored settings, none without a database. Waits two seconds for the database at most.

    Raises `ScheduleError` and `DatabaseUnavailableError`.
    """
    if settings.database_url is None:
        return {}
    try:
        url = make_url(settings.database_url.get_secret_value()).update_query_dict(
            {"connect_timeout": _CONNECT_SECONDS}
        )
        database = Database(url.render_as_string(hide_password=False))
        try:
            with database.transaction() as connection:
                return stored_settings.load(connection)
        finally:
            database.close()
    except SQLAlchemyError as error:
        raise ScheduleError(
            f"The stored settings cannot be read ({type(error).__name__}). Start `zk up` once."
        ) from error


def preview(cron: str, zone: ZoneInfo, after: datetime, number: int) -> list[datetime]:
    """The first executions of a cron after an instant. Raises `ScheduleError` for a wrong one."""
    problem = _problem("cron", cron)
    if problem:
        raise ScheduleError(f"cron={cron!r}: {problem}")
    return _executions(cron, zone, after, number)


def setting(name: str, field: str) -> str:
    """The name under which a field of a schedule is stored, such as `catch_up.cron`."""
    return f"{name}.{field}"


def _executions(cron: str, zone: ZoneInfo, after: datetime, number: int) -> list[datetime]:
    return list(islice(schedule_execution_time_iterator(after.timestamp(), cron, zone.key), number))


def _problem(field: str, value: Any) -> str:
    """What is wrong with a value and the remedy, or nothing."""
    match field, value:
        case "cron", str():
            return _cron_problem(value)
        case "days", int() if value is not True and value is not False and 1 <= value <= MOST_DAYS:
            return ""
        case "days", _:
            return f"give a number of days from 1 to {MOST_DAYS}."
        case "on", bool():
            return ""
        case "when_busy", str() if value in set(WhenBusy):
            return ""
        case _:
            return "is of the wrong kind; set it again with `zk schedule set`."


@lru_cache(maxsize=64)  # Each tick asks again, and computing hundreds of times takes a tenth of a second.
def _cron_problem(cron: str) -> str:
    example = "such as 0 */6 * * * for every six hours"
    regular = len(cron.split()) == 5 and not _BY_CHANCE.search(cron) and is_valid_cron_string(cron)
    if not regular or has_out_of_range_cron_interval(cron):
        return f"is no cron expression; give five fields (minute, hour, day, month, weekday), {example}."
    try:
        ticks = schedule_execution_time_iterator(_FIRST_COMPARED.timestamp(), cron, "UTC")
        compared = list(takewhile(lambda tick: tick < _LAST_COMPARED, islice(ticks, _TICKS_TO_COMPARE)))
    except ValueError:
        return f"names a day that never comes; give one that does, {example}."
    if any(later - earlier < SHORTEST_PAUSE for earlier, later in pairwise(compared)):
        return f"runs more than once in {SHORTEST_PAUSE.seconds // 60} minutes; make it rarer, {example}."
    return ""
