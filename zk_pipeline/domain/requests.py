"""Requests to outside systems: what was sent and came back, how long it took, and whether a system answers."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# How long a system took to answer: requests counted by kind and status, in classes of seconds.

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Up to how many seconds each class reaches; one more class holds what took longer."""

UNANSWERED = "none"
"""In place of a status, where no answer came."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of one kind and status: how many of each class, and the seconds that all of them took."""

    counts: tuple[int, ...]
    seconds: float

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        counts = tuple(one + more for one, more in zip(self.counts, other.counts, strict=True))
        return Tally(counts, self.seconds + other.seconds)


Traffic = Mapping[tuple[str, str], Tally]
"""By kind (`read`, `write`) and HTTP status, `UNANSWERED` without one."""

NOTHING = Tally((0,) * (len(BOUNDS) + 1), 0.0)


def tally_of(seconds: float) -> Tally:
    """One request that took so long."""
    place = bisect_left(BOUNDS, seconds)
    return Tally(tuple(int(number == place) for number in range(len(BOUNDS) + 1)), seconds)


def merged_traffic(parts: Iterable[Traffic]) -> dict[tuple[str, str], Tally]:
    """The traffic of all parts."""
    total: dict[tuple[str, str], Tally] = {}
    for part in parts:
        for key, tally in part.items():
            total[key] = total.get(key, NOTHING) + tally
    return total


# What was sent to an outside system in one attempt, and what came back, as people may see it.


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One attempt of a request, with its secrets masked.

    `path` holds the query, `asked` the JSON that was sent. `status` is `None` when no answer came; `answered` is the
    JSON of the answer, and `error` the sentence for an attempt that failed. `sent_at` is in UTC.
    """

    method: str
    path: str
    asked: Any
    status: int | None
    answered: Any
    error: str
    seconds: float
    sent_at: datetime


# Whether a system answers: since when it does not, and when it may be asked again. Pure decisions.

FIRST_PAUSE = timedelta(seconds=3)
LONGEST_PAUSE = timedelta(minutes=1)
"""Between two asks of a system that is away, unless it names a longer time itself."""

LONGEST_WAIT = timedelta(hours=1)
"""A `Retry-After` is believed up to here: a slip of a proxy must not keep everything waiting for a year."""

RUNS_WAIT_FOR = timedelta(minutes=15)
"""For so long no run is started while a system is away. Afterwards each day is tried at its own pace: what the sensor
asks may fail where a run would not."""

MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Reachability:
    """How a system, by the name of its connector, answered when it was asked last; instants are in UTC.

    `failing_since` is `None` while it answers. `failures` counts the processes and ticks in a row that met it away,
    `asked_to_wait` says that it named the time itself (`Retry-After`), and `problem` is the sentence of the last one;
    `refused` says that it does not take our token.
    """

    connector: str
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    not_before: datetime | None = None
    asked_to_wait: bool = False
    problem: str = ""
    refused: bool = False

    def wait_until(self, now: datetime) -> datetime | None:
        """Until when it is to be left alone, or `None` when it may be asked.

        An instant that lies too far ahead was written while our clock was wrong.
        """
        if self.not_before is None or not now < self.not_before <= now + LONGEST_WAIT:
            return None
        return self.not_before

    def keeps_runs_waiting(self, now: datetime) -> bool:
        """Whether a run that is started now would only meet a closed door."""
        if self.failing_since is None:
            return False
        return self.asked_to_wait or now - self.failing_since < RUNS_WAIT_FOR

    def failed(self, at: datetime, problem: str, wait: timedelta | None, *, refused: bool = False) -> "Reachability":
        """The state after another failure; `wait` is what the system asked for."""
        failures = self.failures + 1
        until = at + min(wait, LONGEST_WAIT) if wait is not None else at + pause_after(failures)
        earlier = self.wait_until(at)
        if earlier is not None and earlier > until:
            until, asked = earlier, self.asked_to_wait
        else:
            asked = wait is not None
        return Reachability(
            self.connector, self.last_success_at, self.failing_since or at, failures, until, asked, problem, refused
        )


def pause_after(failures: int) -> timedelta:
    """How long a system that did not answer so many times is left alone: twice as long each time, up to a minute."""
    doublings = min(max(0, failures - 1), MOST_DOUBLINGS)
    return min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
