"""Seeds from their first event to the judgement, several places at once, and the seeds that once failed."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.chaos.acting import Storm
from zk_pipeline_tests.chaos.oracle import Difference, differences, late
from zk_pipeline_tests.chaos.place import Place, open_place
from zk_pipeline_tests.chaos.schedule import drawn
from zk_pipeline_tests.cli.test_up import processes_of
from zk_pipeline_tests.defs.reckoning import reckoned

FAILING = Path(__file__).with_name("failing_seeds.txt")
SECONDS_TO_VANISH = 10


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed, and for how many seconds its faults last."""

    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a seed: every event as it went, the differences, and the story of the first of them.

    `seconds` count from the first event to the judgement, `catching_up` from the last fault until nothing was left to
    do; `harmed` requests met a fault, `killed` processes died; `compared` bookings were compared field by field, and
    people have a say in the `excused` ones.
    """

    seed: Seed
    seconds: float
    catching_up: float
    harmed: int
    killed: int
    compared: int
    excused: int
    events: Sequence[str]
    differences: Sequence[str]
    stories: Sequence[str] = ()


def judged(place: Place, seed: Seed) -> Verdict:
    """Run a seed on a place."""
    began = time.monotonic()
    place.begin(seed.number)
    storm = Storm(place)
    storm.run(drawn(seed.number, seed.seconds))
    calm = time.monotonic()
    found = late(place)
    caught_up = time.monotonic()
    try:
        found = found or differences(place)
    except SyncFailedError as error:
        found = [Difference(f"The catch-up failed: {error}")]
    references = dict.fromkeys(difference.reference for difference in found if difference.reference)
    stories = [_trace(place, reference) for reference in list(references)[:1]]
    books = reckoned(place.world, place.people, place.weeks)
    return Verdict(
        seed,
        seconds=round(time.monotonic() - began, 1),
        catching_up=round(caught_up - calm, 1),
        harmed=storm.harmed,
        killed=storm.killed,
        compared=books.compared,
        excused=books.excused,
        events=storm.told,
        differences=[difference.sentence for difference in found],
        stories=stories,
    )


def judged_on_one_place(home: Path, seeds: Sequence[Seed]) -> list[Verdict]:
    """Run seeds one after the other on a place of their own, and see that nothing outlives it.

    What breaks the place itself is the difference of its seed; the seeds after it are not judged.
    """
    verdicts: list[Verdict] = []
    with open_place(home) as place:
        for seed in seeds:
            try:
                verdicts.append(judged(place, seed))
            except Exception:  # noqa: BLE001 (whatever it is, the seeds before it were judged)
                lost = [traceback.format_exc(), place.up.output]
                verdicts.append(Verdict(seed, 0, 0, 0, 0, 0, 0, [], lost))
                break
    last = verdicts[-1]
    return [*verdicts[:-1], replace(last, differences=[*last.differences, *_orphans(home)])]


def judged_in_time(seeds: Sequence[Seed], ends_at: float) -> list[Verdict]:
    """The verdicts on seeds on a place of their own, none when it is too late to begin; the home of one that fails is
    kept, and so is its number."""
    if time.monotonic() > ends_at:
        return []
    home = Path(tempfile.mkdtemp(prefix=f"zk-chaos-{seeds[0].number}-"))
    verdicts = judged_on_one_place(home, seeds)
    failed = [verdict for verdict in verdicts if verdict.differences]
    for verdict in failed:
        remember(verdict.seed)
        (home / f"events-{verdict.seed.number}.txt").write_text("\n".join(verdict.events), encoding="utf-8")
        sys.stderr.write(f"The home of seed {verdict.seed.number} is kept in {home}.\n")
    if not failed:
        shutil.rmtree(home)
    return verdicts


def processes(number: int) -> ProcessPoolExecutor:
    """So many processes to judge seeds in, a new one for each place, since a place sets its environment."""
    return ProcessPoolExecutor(number, mp_context=get_context("spawn"), max_tasks_per_child=1)


def failing() -> list[Seed]:
    """The seeds that failed once, each with the seconds of its faults; CI runs them ever since."""
    lines = (line.partition("#")[0].split() for line in FAILING.read_text(encoding="utf-8").splitlines())
    return [Seed(int(words[0]), float(words[1])) for words in lines if words]


def remember(seed: Seed) -> None:
    """Keep a seed that failed."""
    if seed not in failing():
        with FAILING.open("a", encoding="utf-8") as file:
            file.write(f"{seed.number} {seed.seconds:g}\n")


def _orphans(home: Path) -> list[str]:
    """The processes of a home that should have ended, after a moment to do so."""
    if wait_until(lambda: not processes_of(home), SECONDS_TO_VANISH):
        return []
    return [f"Process {pid} is left: {command}" for pid, command in processes_of(home).items()]


def _trace(place: Place, reference: str) -> str:
    """What `zk trace` tells of a booking or time sheet."""
    command = [Path(sys.executable).with_name("zk"), "trace", reference]
    environment = os.environ | place.variables | {"COLUMNS": "200"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=place.up.home)
    return done.stdout + done.stderr
