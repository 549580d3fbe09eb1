"""Kimai's rounding: whether it may have made the times that a time sheet shows out of those that were sent.

The API does not tell its settings (docs/kimai.md §5), so what it may do is taken from what it returned before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from zk_pipeline.domain.records import Timesheet

STEPS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
"""Minutes to which begin, end and duration may be rounded."""


class Times(NamedTuple):
    """Begin and end in seconds since 1970, and the duration, which the target's breaks and rounding set apart."""

    begin: int
    end: int
    duration: int

    @classmethod
    def of(cls, row: Timesheet) -> "Times":
        """The times that a time sheet shows."""
        begin = int(row.begin.timestamp())
        return cls(begin, int(row.end.timestamp()) if row.end else begin + row.duration_seconds, row.duration_seconds)


@dataclass(frozen=True, slots=True)
class Rounding:
    """The steps, in minutes, to which the target may round a begin, an end and a duration."""

    begin: tuple[int, ...] = STEPS
    end: tuple[int, ...] = STEPS
    duration: tuple[int, ...] = STEPS

    @classmethod
    def seen_in(cls, rows: Iterable[Timesheet]) -> "Rounding":
        """What these rows leave possible: a value that the target returned beside a step was not rounded to it."""
        seen = zip(*(Times.of(row) for row in rows), strict=True)
        return cls(*(tuple(step for step in STEPS if _all_on(step, values)) for values in seen))

    def explains(self, begin: datetime, seconds: int, row: Timesheet) -> bool:
        """Whether it makes the times of `row` out of a begin and a length in seconds.

        Begin and end are rounded first, each for itself, then the duration between them, which moves neither. What lies
        on a step stays: an hour from nine to ten is never made anything else. A break is no rounding: it lies between
        begin and end, and what is left of them has the length.
        """
        sent, shown, pause = int(begin.timestamp()), Times.of(row), row.break_seconds
        return (
            _may_become(sent, shown.begin, self.begin)
            and _may_become(sent + seconds + pause, shown.end, self.end)
            and _may_become(shown.end - shown.begin - pause, shown.duration, self.duration)
        )


ANY = Rounding()
WHOLE_MINUTES = Rounding((1,), (1,), (1,))
"""The target's default settings."""
NONE = Rounding((), (), ())


def _all_on(step: int, values: Iterable[int]) -> bool:
    return all(value % (step * 60) == 0 for value in values)


def _may_become(value: int, found: int, steps: Iterable[int]) -> bool:
    return value == found or any(found % (step * 60) == 0 and abs(found - value) < step * 60 for step in steps)
