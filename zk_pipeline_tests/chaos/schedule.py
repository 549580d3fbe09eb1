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

LONG_OUTAGES = {"zammad": 600.0, "kimai": 600.0, "daemon": 300.0}
"""Seconds for which either side or the daemon is away where a seed draws that. One in thirty does."""

LONGEST_START = 12.0
"""Seconds within which `zk up` has usually started everything."""


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
    RESTART = "stop database"
    POWER_CUT = "cut the power"
    OWN_CLOCK = "own clock"
    NO_NAMES = "names do not resolve"
    OUTAGE = "outage"
    LONG_OUTAGE = "long outage"
    NO_DAEMON = "daemon stays dead"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens `at` these seconds; `detail` belongs to its kind."""

    at: float
    kind: Kind
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return f"{self.at:5.1f} s  {self.kind} {' '.join(f'{key}={value}' for key, value in self.detail.items())}"


PARTS = ("processes.daemon", "processes.code_server", "web.server", "web.dagster_ui")
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
        *_power_cuts(dice, seconds),
        *_clocks(dice, seconds),
        *_outages(dice, seconds),
        *_long_outages(random.Random(f"long {seed}"), seconds),
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
    """A death of none, one or two parts, of the runs that are under way, and of the database."""
    for part in dice.sample(PARTS, k=dice.choice((0, 1, 1, 2))):
        yield Event(dice.uniform(0, seconds), Kind.KILL, {"part": part})
    for _ in range(dice.choice((0, 1, 2))):
        yield Event(dice.uniform(0, seconds), Kind.KILL_RUN)
    if dice.random() < 0.4:
        ending = dice.choice(("SIGINT", "SIGQUIT", "SIGKILL", "SIGKILL"))
        yield Event(dice.uniform(0, seconds), Kind.RESTART, {"signal": ending})


def _power_cuts(dice: random.Random, seconds: float) -> Iterator[Event]:
    """Everything dies at once, and starts again as after a restart of the machine; sometimes twice, the second time
    while it starts."""
    if dice.random() < 0.4:
        during_start = round(dice.uniform(0, LONGEST_START), 1) if dice.random() < 0.5 else None
        yield Event(dice.uniform(0, seconds), Kind.POWER_CUT, {"again_after": during_start})


def _outages(dice: random.Random, seconds: float) -> Iterator[Event]:
    """One side away for a while, or all names: what is asked meanwhile is refused, or there is nobody to ask."""
    if dice.random() < 0.3:
        begin = dice.uniform(0, seconds)
        yield Event(begin, Kind.NO_NAMES, {"begins": True})
        yield Event(dice.uniform(begin, seconds), Kind.NO_NAMES, {"begins": False})
    if dice.random() < 0.3:
        system, begin = dice.choice(("zammad", "kimai")), dice.uniform(0, seconds)
        yield Event(begin, Kind.OUTAGE, {"system": system, "begins": True})
        yield Event(dice.uniform(begin, seconds), Kind.OUTAGE, {"system": system, "begins": False})


def _long_outages(dice: random.Random, seconds: float) -> Iterator[Event]:
    """Minutes for which one side or only the daemon is away, whatever else has happened before."""
    if dice.random() < 1 / 30:
        away = dice.choice(tuple(LONG_OUTAGES))
        kind, detail = (Kind.NO_DAEMON, {}) if away == "daemon" else (Kind.LONG_OUTAGE, {"system": away})
        yield Event(dice.uniform(0, seconds), kind, {**detail, "lasts": LONG_OUTAGES[away]})


def _clocks(dice: random.Random, seconds: float) -> Iterator[Event]:
    """A clock that stands wrong for a while, often with a change of the zone's offset between."""
    if dice.random() < 0.4:
        jump, begin = timedelta(hours=dice.choice((-24, -1, 1, 24))), dice.uniform(0, seconds)
        yield Event(begin, Kind.OWN_CLOCK, {"jump": jump})
        yield Event(dice.uniform(begin, seconds), Kind.OWN_CLOCK, {"jump": timedelta(0)})
    if dice.random() < 0.5:
        return
    system, jump = dice.choice(("zammad", "kimai")), timedelta(hours=dice.choice((-200, -26, -1, 1, 26, 4000)))
    begin = dice.uniform(0, seconds)
    yield Event(begin, Kind.CLOCK, {"system": system, "jump": jump})
    yield Event(dice.uniform(begin, seconds), Kind.CLOCK, {"system": system, "jump": timedelta(0)})
