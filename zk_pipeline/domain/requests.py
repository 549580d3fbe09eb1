"""Requests to outside systems: what was sent and received, how long it took, and whether a system is reachable."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# Response times: requests counted by kind and status, in histogram buckets of seconds.

BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets in seconds; one more bucket has what took longer."""

UNANSWERED = "none"
"""In place of a status, if no answer came."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of one kind and status: the count per bucket, and their total seconds."""

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
    """The tally of one request."""
    place = bisect_left(BOUNDS, seconds)
    return Tally(tuple(int(number == place) for number in range(len(BOUNDS) + 1)), seconds)


def merged_traffic(parts: Iterable[Traffic]) -> dict[tuple[str, str], Tally]:
    """The sum of all parts."""
    total: dict[tuple[str, str], Tally] = {}
    for part in parts:
        for key, tally in part.items():
            total[key] = total.get(key, NOTHING) + tally
    return total


# One attempt of a request to an outside system and its answer, without secrets.


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One attempt of a request, with its secrets masked.

    `path` includes the query; `asked` is the JSON that was sent. `status` is `None` if no answer came; `answered` is
    the JSON of the answer, `error` the sentence for a failed attempt. `sent_at` is in UTC.
    """

    method: str
    path: str
    asked: Any
    status: int | None
    answered: Any
    error: str
    seconds: float
    sent_at: datetime


# Reachability: since when a system does not answer, and when it may be tried again.

FIRST_PAUSE = timedelta(seconds=3)
LONGEST_PAUSE = timedelta(minutes=1)
"""Between two requests to an unreachable system, unless it names a longer time."""

LONGEST_WAIT = timedelta(hours=1)
"""Longest `Retry-After` that we follow: a misconfigured proxy must not stop everything for a year."""

RUNS_WAIT_FOR = timedelta(minutes=15)
"""No run starts for this long while a system is unreachable. After that, each day is tried at its own pace, because the
sensor's request may fail where a run's would not."""

CLOCKS_DIFFER = timedelta(minutes=1)
"""By so much at most, those of the machines that write here."""

MOST_DOUBLINGS = 10


@dataclass(frozen=True, slots=True)
class Reachability:
    """How a system, by the name of its connector, answered last; instants are in UTC.

    `failing_since` is `None` while it answers. `failures` counts consecutive processes and ticks that could not reach
    it. `asked_to_wait` says that it named the time (`Retry-After`), `problem` is the sentence of the last failure, and
    `refused` says that it rejects our token. It was last noted at `updated_at`.
    """

    connector: str
    last_success_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    not_before: datetime | None = None
    asked_to_wait: bool = False
    problem: str = ""
    refused: bool = False
    updated_at: datetime | None = None

    def wait_until(self, now: datetime) -> datetime | None:
        """Until when no request is sent, or `None` if one may be sent now.

        What was written while our clock was ahead is ignored.
        """
        if self.not_before is None or not now < self.not_before <= now + LONGEST_WAIT:
            return None
        if self.updated_at is not None and self.updated_at > now + CLOCKS_DIFFER:
            return None
        return self.not_before

    def keeps_runs_waiting(self, now: datetime) -> bool:
        """Whether a run started now would only fail because the system is unreachable."""
        if self.failing_since is None:
            return False
        return self.asked_to_wait or now - self.failing_since < RUNS_WAIT_FOR

    def failed(self, at: datetime, problem: str, wait: timedelta | None, *, refused: bool = False) -> "Reachability":
        """The state after another failure; `wait` is how long the system asked us to wait."""
        failures = self.failures + 1
        until = at + min(wait, LONGEST_WAIT) if wait is not None else at + pause_after(failures)
        earlier = self.wait_until(at)
        if earlier is not None and earlier > until:
            until, asked = earlier, self.asked_to_wait
        else:
            asked = wait is not None
        return Reachability(
            self.connector, self.last_success_at, self.failing_since or at, failures, until, asked, problem, refused, at
        )


def pause_after(failures: int) -> timedelta:
    """How long to pause after this many failures: doubled each time, up to a minute."""
    doublings = min(max(0, failures - 1), MOST_DOUBLINGS)
    return min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
