"""Rounding of begin, end and duration on every write (docs/kimai.md §5)."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.datetimes import local

MODES = ("default", "floor", "ceil", "closest")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class RoundingRule:
    """One rule set; `begin`, `end` and `duration` are minutes, 0 means no rounding."""

    mode: str
    begin: int
    end: int
    duration: int
    days: tuple[str, ...]

    def active_on(self, instant: int, where: ZoneInfo) -> bool:
        """Whether the weekday of an instant is one that is rounded."""
        return WEEKDAYS[local(instant, where).weekday()] in self.days

    def begin_of(self, instant: int) -> int:
        """A begin, rounded; mode `default` rounds it down."""
        return _rounded(instant, self.begin, "floor" if self.mode == "default" else self.mode)

    def end_of(self, instant: int) -> int:
        """An end, rounded; mode `default` rounds it up."""
        return _rounded(instant, self.end, "ceil" if self.mode == "default" else self.mode)

    def duration_of(self, seconds: int) -> int:
        """A duration, rounded; mode `default` rounds it up."""
        return _rounded(seconds, self.duration, "ceil" if self.mode == "default" else self.mode)


def _rounded(value: int, minutes: int, mode: str) -> int:
    step = minutes * 60
    if step <= 0 or value % step == 0:
        return value
    down = value - value % step
    if mode == "floor" or (mode == "closest" and value % step * 2 <= step):
        return down
    return down + step


def rounded_times(rule: RoundingRule, *, begin: int, end: int, pause: int, where: ZoneInfo) -> tuple[int, int, int]:
    """Begin, end and duration as stored; the weekday of the end in `where` decides whether to round at all.

    The duration is rounded after begin and end and does not move them.
    """
    if not rule.active_on(end, where):
        return begin, end, end - begin - pause
    begin, end = rule.begin_of(begin), rule.end_of(end)
    return begin, end, rule.duration_of(end - begin - pause)
