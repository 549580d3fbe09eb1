"""How long a system took to answer: requests counted by kind and status, in classes of seconds."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


def single(seconds: float) -> Tally:
    """One request that took so long."""
    place = bisect_left(BOUNDS, seconds)
    return Tally(tuple(int(number == place) for number in range(len(BOUNDS) + 1)), seconds)


def together(parts: Iterable[Traffic]) -> dict[tuple[str, str], Tally]:
    """The traffic of all parts."""
    total: dict[tuple[str, str], Tally] = {}
    for part in parts:
        for key, tally in part.items():
            total[key] = total.get(key, NOTHING) + tally
    return total
