"""One seed from its first event to the judgement, and the seeds that once failed."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zk_pipeline.supervisor.groups import wait_until
from zk_pipeline.syncing import SyncFailedError
from zk_pipeline_tests.chaos.acting import Storm
from zk_pipeline_tests.chaos.oracle import Difference, differences
from zk_pipeline_tests.chaos.place import Place, open_place
from zk_pipeline_tests.chaos.schedule import drawn
from zk_pipeline_tests.commands.test_up import processes_of
from zk_pipeline_tests.defs.reckoning import reckoned

FAILING = Path(__file__).with_name("failing_seeds.txt")
SECONDS_TO_VANISH = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a seed: every event as it went, the differences, and the story of the first of them.

    `seconds` count from the first event to the judgement; `harmed` requests met a fault, `killed` processes died;
    `compared` bookings were compared field by field, and people have a say in the `excused` ones.
    """

    seed: int
    seconds: float
    harmed: int
    killed: int
    compared: int
    excused: int
    events: Sequence[str]
    differences: Sequence[str]
    stories: Sequence[str] = ()


def judged(place: Place, seed: int, seconds: float) -> Verdict:
    """Run a seed on a place."""
    began = time.monotonic()
    place.begin(seed)
    storm = Storm(place)
    storm.run(drawn(seed, seconds))
    try:
        found = differences(place)
    except SyncFailedError as error:
        found = [Difference(f"The catch-up failed: {error}")]
    references = dict.fromkeys(difference.reference for difference in found if difference.reference)
    stories = [_trace(place, reference) for reference in list(references)[:1]]
    sentences = [difference.sentence for difference in found]
    taken = round(time.monotonic() - began, 1)
    books = reckoned(place.world, place.people, place.weeks)
    counts = (storm.harmed, storm.killed, books.compared, books.excused)
    return Verdict(seed, taken, *counts, storm.told, sentences, stories)


def judged_alone(home: Path, seed: int, seconds: float) -> Verdict:
    """Run a seed on a place of its own, and see that nothing outlives it."""
    with open_place(home) as place:
        verdict = judged(place, seed, seconds)
    left = orphans(home)
    return replace(verdict, differences=[*verdict.differences, *left])


def orphans(home: Path) -> list[str]:
    """The processes of a home that should have ended, after a moment to do so."""
    if wait_until(lambda: not processes_of(home), SECONDS_TO_VANISH):
        return []
    return [f"Process {pid} is left: {command}" for pid, command in processes_of(home).items()]


def failing() -> list[tuple[int, float]]:
    """The seeds that failed once, each with the seconds of its faults; CI runs them ever since."""
    lines = (line.partition("#")[0].split() for line in FAILING.read_text(encoding="utf-8").splitlines())
    return [(int(words[0]), float(words[1])) for words in lines if words]


def remember(seed: int, seconds: float) -> None:
    """Keep a seed that failed."""
    if (seed, seconds) not in failing():
        with FAILING.open("a", encoding="utf-8") as file:
            file.write(f"{seed} {seconds:g}\n")


def _trace(place: Place, reference: str) -> str:
    """What `zk trace` tells of a booking or time sheet."""
    command = [Path(sys.executable).with_name("zk"), "trace", reference]
    environment = os.environ | place.variables | {"COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=place.up.home)
    return done.stdout + done.stderr
