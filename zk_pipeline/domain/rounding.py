"""Kimai's rounding: whether it explains the times of a time sheet, and what it would make of others.

The API does not show its settings (docs/kimai.md §5), so they are inferred from earlier answers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import product
from typing import NamedTuple, Protocol

from zk_pipeline.domain.records import Timesheet

STEPS = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
"""Minutes to which begin, end and duration can be rounded."""
MODES = ("default", "ceil", "closest", "floor")
"""Kimai's rounding modes, the most likely first."""
FAR_AWAY = 3600
"""Seconds; a time sheet this far from where it was sent was moved later."""


class TimesheetTimes(NamedTuple):
    """Begin and end in seconds since 1970, and the duration, which breaks and rounding make independent of them."""

    begin: int
    end: int
    duration: int

    @classmethod
    def of(cls, row: Timesheet) -> "TimesheetTimes":
        """The times of a time sheet."""
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
        """The steps that these rows leave possible: a value that is not a multiple of a step was not rounded to it."""
        seen = zip(*(TimesheetTimes.of(row) for row in rows), strict=True)
        return cls(*(tuple(step for step in STEPS if _all_on(step, values)) for values in seen))

    def explains(self, begin: datetime, seconds: int, row: Timesheet) -> bool:
        """Whether it can turn a begin and a length in seconds into the times of `row`.

        Begin and end are rounded first, separately, then the duration between them, which moves neither. Multiples of a
        step stay: an hour from nine to ten never changes. A break is not rounding: it lies between begin and end, and
        the rest has the length.
        """
        sent, shown, pause = int(begin.timestamp()), TimesheetTimes.of(row), row.break_seconds
        return (
            _may_become(sent, shown.begin, self.begin)
            and _may_become(sent + seconds + pause, shown.end, self.end)
            and _may_become(shown.end - shown.begin - pause, shown.duration, self.duration)
        )


class RoundingSample(NamedTuple):
    """A begin and a length in seconds that were sent, and what the target made of them."""

    begin: int
    seconds: int
    made: TimesheetTimes


class RoundingRule(NamedTuple):
    """One setting of the target's rounding: the mode, and the steps in minutes, 0 for none."""

    mode: str
    begin: int
    end: int
    duration: int

    def billed(self, begin: int, seconds: int) -> int:
        """The duration of the time sheet that results from a begin and a length in seconds."""
        first = _rounded(begin, self.begin, _begin_mode(self.mode))
        return _rounded(_rounded(begin + seconds, self.end, self.mode) - first, self.duration, self.mode)


DEFAULT = RoundingRule("default", 1, 1, 0)
"""Kimai's default settings."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the target would make of other times, by all settings that fit its answers, the most likely first.

    If none fits, it is assumed to add as much as before (`added`, in seconds).
    """

    rules: tuple[RoundingRule, ...] = (DEFAULT,)
    added: int = 0

    @classmethod
    def of(cls, nearer: Iterable[Sequence[RoundingSample]]) -> "Forecast":
        """By the first group of answers that some settings explain; the last group has the booking's own."""
        groups = list(nearer)
        for answers in filter(None, groups):
            # An update of the duration alone keeps the begin of the time sheet.
            rules = _rules_behind(frozenset(answers)) or _rules_behind(frozenset(answers), in_place=True)
            if rules:
                return cls(rules)
        if not any(groups):
            return cls()
        return cls((), sum(answer.made.duration - answer.seconds for answer in groups[-1]))

    def billed(self, begin: datetime, seconds: int) -> tuple[int, ...]:
        """The durations that can result from a begin and a length in seconds, the most likely first."""
        sent = int(begin.timestamp())
        found = dict.fromkeys(rule.billed(sent, seconds) for rule in self.rules)
        return tuple(found) or (max(seconds + self.added, 0),)


class _Fits(Protocol):
    def __call__(self, answer: RoundingSample, step: int, mode: str) -> bool: ...


@lru_cache(maxsize=16)
def _rules_behind(answers: frozenset[RoundingSample], *, in_place: bool = False) -> tuple[RoundingRule, ...]:
    """The settings that explain all answers. A part that was never seen rounded is assumed not to be."""
    found: list[RoundingRule] = []
    for mode in MODES:
        begins = _steps([answer for answer in answers if not _is_far(answer)], _begin_fits, mode, (1, 0))
        ends = _steps(answers, _end_fits_in_place if in_place else _end_fits, mode, (1, 0))
        durations = _steps(answers, _duration_fits, mode, (0, 1))
        found.extend(RoundingRule(mode, *steps) for steps in product(begins, ends, durations))
        if found and max(found[0][1:]) <= 1:
            return (found[0],)
    return tuple(found)


def _steps(answers: Iterable[RoundingSample], fits: _Fits, mode: str, plain: tuple[int, int]) -> tuple[int, ...]:
    """The steps of one part that explain all answers: only the plain one if it does, else those that round."""
    rows = list(answers)
    for step in plain:
        if all(fits(row, step, mode) for row in rows):
            return (step,)
    return tuple(step for step in STEPS if step > 1 and all(fits(row, step, mode) for row in rows))


def _begin_fits(answer: RoundingSample, step: int, mode: str) -> bool:
    return _rounded(answer.begin, step, _begin_mode(mode)) == answer.made.begin


def _end_fits(answer: RoundingSample, step: int, mode: str) -> bool:
    begin = answer.made.begin if _is_far(answer) else answer.begin
    return _rounded(begin + answer.seconds, step, mode) == answer.made.end


def _end_fits_in_place(answer: RoundingSample, step: int, mode: str) -> bool:
    begins = (answer.begin, answer.made.begin)
    return answer.made.end in {_rounded(begin + answer.seconds, step, mode) for begin in begins}


def _duration_fits(answer: RoundingSample, step: int, mode: str) -> bool:
    return _rounded(answer.made.end - answer.made.begin, step, mode) == answer.made.duration


def _is_far(answer: RoundingSample) -> bool:
    return abs(answer.made.begin - answer.begin) >= FAR_AWAY


def _begin_mode(mode: str) -> str:
    return "floor" if mode == "default" else mode


def _rounded(value: int, step: int, mode: str) -> int:
    """Kimai's algorithm: in mode `closest`, exactly half is rounded down."""
    size = step * 60
    rest = value % size if size else 0
    if not rest or mode == "floor" or (mode == "closest" and rest * 2 <= size):
        return value - rest
    return value - rest + size


ANY = Rounding()
WHOLE_MINUTES = Rounding((1,), (1,), (1,))
"""The target's default settings."""
NONE = Rounding((), (), ())


def _all_on(step: int, values: Iterable[int]) -> bool:
    return all(value % (step * 60) == 0 for value in values)


def _may_become(value: int, found: int, steps: Iterable[int]) -> bool:
    return value == found or any(found % (step * 60) == 0 and abs(found - value) < step * 60 for step in steps)
