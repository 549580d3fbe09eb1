"""The measurements behind the vital signs, and a sign as it is shown everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

MEGABYTE = 1_000_000
GIGABYTE = 1000 * MEGABYTE

DATABASE, DISK = "database", "disk"
DAEMONS, AUTOMATIONS, QUEUE, LONG_RUNS = "daemons", "automations", "queue", "long_runs"
REQUESTS, DELIVERIES, SYNC = "day_requests", "webhooks", "sync"
SYSTEMS = {"source": "zammad", "target": "kimai"}
"""The names of their connectors, until these are known."""

TITLES = {
    DATABASE: "Database",
    DISK: "Disk space",
    DAEMONS: "Dagster's daemons",
    AUTOMATIONS: "Sensors and schedules",
    QUEUE: "Queue of runs",
    LONG_RUNS: "Long runs",
    REQUESTS: "Day requests",
    DELIVERIES: "Webhooks",
    SYNC: "Sync",
}


class Level(StrEnum):
    """The severity of a finding or sign."""

    PASS = "pass"  # noqa: S105 (a level, not a password)
    WARN = "warn"
    FAIL = "fail"


SEVERITY = {Level.PASS: 0, Level.WARN: 1, Level.FAIL: 2}


@dataclass(frozen=True, slots=True)
class VitalSign:
    """One vital sign. `title` is its name for people, `name` for machines; `at` is when it was measured.

    While one of the signs that it `follows` fails, its own failure is not reported.
    """

    name: str
    title: str
    level: Level
    text: str
    remedy: str = ""
    detail: str = ""
    follows: tuple[str, ...] = ()
    at: datetime | None = None

    @property
    def sentence(self) -> str:
        """Text and detail, for people who may see addresses."""
        return f"{self.text} {self.detail}".strip()


# ---- What is measured ----


@dataclass(frozen=True, slots=True)
class DatabaseResponse:
    """How the database answered: the seconds it took, or why it did not."""

    seconds: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Space:
    """Space on the disk of one of our directories, in bytes."""

    path: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Automation:
    """A sensor or schedule as Dagster knows it, and its failed ticks since the last good one."""

    name: str
    is_sensor: bool
    is_on: bool
    ticked_at: datetime | None
    failures: int = 0
    failing_since: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run that has not ended, and since when it has its status. One run per `lane` works at a time; "" is no lane."""

    run_id: str
    job: str
    status: str
    since: datetime
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Orchestration:
    """What Dagster's database says: signs of life of the daemons that it needs, and when each lane last `moved`.

    A lane moves when one of its runs ends. `switched` are the schedules that somebody started or stopped in Dagster.
    """

    beats: Mapping[str, datetime | None]
    automations: Sequence[Automation] = ()
    runs: Sequence[UnfinishedRun] = ()
    switched: Mapping[str, bool] = field(default_factory=dict[str, bool])
    moved: Mapping[str, datetime] = field(default_factory=dict[str, datetime])


@dataclass(frozen=True, slots=True)
class System:
    """An outside system: when it was last read successfully, and since when it fails, as seen by our runs and sensors.

    `failed_at` is the last failure, and `refused` says that it rejects our token.
    """

    role: str
    name: str
    read_at: datetime | None
    failing_since: datetime | None = None
    failed_at: datetime | None = None
    problem: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """A backlog: how many wait, since when the oldest is due, and when the oldest was requested."""

    number: int = 0
    due_since: datetime | None = None
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What our own database says. `catch_up_due` is the last catch-up that has had its time.

    `catch_up_on` is what is declared, whatever somebody switched in Dagster. `failure` is what the newest run tells the
    operator, if it failed.
    """

    systems: Sequence[System]
    requests: Backlog
    deliveries: Backlog
    synced_at: datetime | None
    catch_up_due: datetime | None
    catch_up_on: bool = True
    schedule_problem: str = ""
    failure: str = ""


Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Measurement(Generic[Facts]):
    """The newest figures of one instrument, when they were measured, and why the last attempt failed.

    `since` is when the first measurement was due.
    """

    since: datetime
    facts: Facts | None = None
    at: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Measurements:
    """The measurements of all instruments. `dagster` is `None` if the process does not know Dagster's database."""

    database: Measurement[DatabaseResponse]
    disk: Measurement[Sequence[Space]]
    records: Measurement[StoreFigures]
    dagster: Measurement[Orchestration] | None


@dataclass(frozen=True, slots=True)
class PollIntervals:
    """How often each system, by its role, is polled, and each sensor ticks: the thresholds depend on it."""

    polls: Mapping[str, timedelta]
    ticks: Mapping[str, timedelta]
    """The interval of each required sensor."""


def worst(signs: Iterable[VitalSign]) -> Level:
    """The worst level of these signs."""
    return max((sign.level for sign in signs), key=SEVERITY.__getitem__, default=Level.PASS)


def size_text(number: int) -> str:
    """Bytes with a unit, for people."""
    for unit, name in ((GIGABYTE, "GB"), (MEGABYTE, "MB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} bytes"


def duration_text(duration: timedelta) -> str:
    """A duration for people."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
