"""What happens during a seed, and when: drawn in advance, so that a seed always tells the same story."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

SECONDS_BEFORE_TIMEOUT = 2.0
"""How long the product waits for an answer (ZK_HTTP_TIMEOUT)."""

LATEST_EFFECT = 3.0
"""Seconds after which a create that nobody waits for any more takes effect; below ZK_KIMAI_TIME_LIMIT."""


class Kind(StrEnum):
    """What sort of thing happens."""

    ACT = "act"
    BOOK_NOW = "book now"
    DELIVER = "deliver"
    ASK = "ask for days"
    FAULT = "fault"
    CLOCK = "clock"
    KILL = "kill"
    KILL_RUN = "kill run"
    RESTART = "restart database"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens `at` these seconds; `detail` belongs to its kind."""

    at: float
    kind: Kind
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return f"{self.at:5.1f} s  {self.kind} {' '.join(f'{key}={value}' for key, value in self.detail.items())}"


PARTS = ("dagster._daemon", "supervisor.code_server", "web.server", "dagster_webserver")
"""Parts of `zk up`, by what stands in their command lines."""

CREATE = {"method": "POST", "path": "/api/timesheets$"}
FAULTS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("kimai", {"kind": "drop_before", **CREATE, "times": 2}),
    ("kimai", {"kind": "drop_after", **CREATE, "times": 2}),
    ("kimai", {"kind": "truncate", **CREATE, "times": 2}),
    ("kimai", {"kind": "html", **CREATE, "times": 2}),
    ("kimai", {"kind": "late", **CREATE, "times": 1, "seconds": LATEST_EFFECT}),
    ("kimai", {"kind": "delay", **CREATE, "times": 2, "seconds": SECONDS_BEFORE_TIMEOUT + 1}),
    ("kimai", {"kind": "drop_after", "method": "PATCH", "times": 2}),
    ("kimai", {"kind": "drop_before", "method": "PATCH", "times": 2}),
    ("kimai", {"kind": "drop_after", "method": "POST", "path": "/api/(customers|projects|tags)$", "times": 1}),
    ("kimai", {"kind": "respond", "status": 429, "headers": {"Retry-After": "1"}, "times": 8}),
    ("kimai", {"kind": "respond", "status": 500, "times": 6}),
    ("kimai", {"kind": "respond", "status": 503, "method": "POST|PATCH", "times": 6}),
    ("kimai", {"kind": "truncate", "method": "GET", "times": 3}),
    ("kimai", {"kind": "html", "method": "GET", "status": 200, "times": 3}),
    ("kimai", {"kind": "delay", "times": 20, "seconds": 0.3}),
    ("kimai", {"kind": "delay", "method": "GET", "times": 1, "seconds": SECONDS_BEFORE_TIMEOUT + 1}),
    ("zammad", {"kind": "drop_before", "times": 3}),
    ("zammad", {"kind": "drop_after", "times": 3}),
    ("zammad", {"kind": "respond", "status": 429, "headers": {"Retry-After": "1"}, "times": 8}),
    ("zammad", {"kind": "respond", "status": 502, "times": 6}),
    ("zammad", {"kind": "truncate", "times": 3}),
    ("zammad", {"kind": "html", "times": 3}),
    ("zammad", {"kind": "html", "status": 200, "times": 3}),
    ("zammad", {"kind": "delay", "times": 20, "seconds": 0.3}),
    ("zammad", {"kind": "delay", "times": 1, "seconds": SECONDS_BEFORE_TIMEOUT + 1}),
)


def drawn(seed: int, seconds: float) -> list[Event]:
    """The events of a seed within so many seconds, in their order."""
    dice = random.Random(seed)
    events = [
        *_now_and_then(dice, seconds, 0.6, Kind.ACT),
        *_now_and_then(dice, seconds, 1.2, Kind.DELIVER),
        *_now_and_then(dice, seconds, 5, Kind.BOOK_NOW),
        *_now_and_then(dice, seconds, 5, Kind.ASK),
        *(_fault(dice, event) for event in _now_and_then(dice, seconds, 1.0, Kind.FAULT)),
        *_kills(dice, seconds),
        *_clocks(dice, seconds),
    ]
    return sorted(events, key=lambda event: event.at)


def _now_and_then(dice: random.Random, seconds: float, mean_pause: float, kind: Kind) -> Iterator[Event]:
    at = dice.expovariate(1 / mean_pause)
    while at < seconds:
        yield Event(at, kind)
        at += dice.expovariate(1 / mean_pause)


def _fault(dice: random.Random, event: Event) -> Event:
    system, fault = dice.choice(FAULTS)
    return Event(event.at, Kind.FAULT, {"system": system, **fault})


def _kills(dice: random.Random, seconds: float) -> Iterator[Event]:
    """At most one death of each part: what dies too often within ten minutes, `zk up` rightly gives up."""
    for part in dice.sample(PARTS, k=dice.choice((0, 1, 1, 2))):
        yield Event(dice.uniform(0, seconds), Kind.KILL, {"part": part})
    for _ in range(dice.choice((0, 1, 2))):
        yield Event(dice.uniform(0, seconds), Kind.KILL_RUN)
    if dice.random() < 0.4:
        yield Event(dice.uniform(0, seconds), Kind.RESTART, {"signal": dice.choice(("SIGINT", "SIGQUIT"))})


def _clocks(dice: random.Random, seconds: float) -> Iterator[Event]:
    """A clock that stands wrong for a while, often with a change of the zone's offset between."""
    if dice.random() < 0.5:
        return
    system, jump = dice.choice(("zammad", "kimai")), timedelta(hours=dice.choice((-200, -26, -1, 1, 26, 4000)))
    begin = dice.uniform(0, seconds)
    yield Event(begin, Kind.CLOCK, {"system": system, "jump": jump})
    yield Event(dice.uniform(begin, seconds), Kind.CLOCK, {"system": system, "jump": timedelta(0)})
