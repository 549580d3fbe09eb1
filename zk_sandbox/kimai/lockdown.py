"""The lockdown of past periods, given by relative dates (docs/kimai.md §4)."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.datetimes import local, local_to_epoch, zone

_MONTH_EDGE = re.compile(r"(first|last) day of (last|previous|this|next) month")
_SHIFT = re.compile(r"([+-]\d+) (second|minute|hour|day|week)s?")
_DAYS = {"now": None, "today": 0, "midnight": 0, "yesterday": -1, "tomorrow": 1}
_MONTHS = {"last": -1, "previous": -1, "this": 0, "next": 1}
_TIME = re.compile(r" ?(\d{1,2}):(\d{2})(?::(\d{2}))?$")


def relative(text: str, now: datetime) -> datetime:
    """The naive date-time a relative date means, seen from the naive `now`; ValueError if it is not understood.

    Understood are `first|last day of last|this|next month`, `[+-]N second|minute|hour|day|week[s]`, `now`, `today`,
    `midnight`, `yesterday`, `tomorrow` and ISO dates, each with an optional time of day.
    """
    time = _TIME.search(text)
    words = text[: time.start()] if time else text
    moment = _day_meant(words.strip().lower(), now)
    if time is None:
        return moment
    return moment.replace(hour=int(time[1]), minute=int(time[2]), second=int(time[3] or 0), microsecond=0)


def _day_meant(words: str, now: datetime) -> datetime:
    if edge := _MONTH_EDGE.fullmatch(words):
        return _month_edge(edge[1], _MONTHS[edge[2]], now)
    if shift := _SHIFT.fullmatch(words):
        return now + timedelta(**{f"{shift[2]}s": int(shift[1])})
    if words in _DAYS:
        days = _DAYS[words]
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return now if days is None else midnight + timedelta(days=days)
    return datetime.fromisoformat(words)


def _month_edge(which: str, months: int, now: datetime) -> datetime:
    month = now.year * 12 + now.month - 1 + months + (which == "last")
    first = now.replace(year=month // 12, month=month % 12 + 1, day=1)
    return first - timedelta(days=which == "last")


@dataclass(frozen=True, slots=True)
class Lockdown:
    """The most recent locked period; off unless both edges are set."""

    start: str | None
    end: str | None
    grace: str | None
    timezone: str | None

    def allows(self, begin: int, *, entry_zone: ZoneInfo, now: int, permissions: frozenset[str]) -> bool:
        """Whether an entry that begins then may be written by a caller with these permissions."""
        if not self.start or not self.end or "lockdown_override_timesheet" in permissions:
            return True
        where = zone(self.timezone) if self.timezone else entry_zone
        naive_now = local(now, where).replace(tzinfo=None)
        start, end = relative(self.start, naive_now), relative(self.end, naive_now)
        locked_from, locked_until = local_to_epoch(start, where), local_to_epoch(end, where)
        if begin > locked_until or locked_until < locked_from:
            return True
        if not locked_from < begin < locked_until:
            return False
        grace_end = relative(self.grace, end) if self.grace else end
        return now < local_to_epoch(grace_end, where) or "lockdown_grace_timesheet" in permissions
