"""What a piece of work costs: seconds, processor seconds of this process and of the database, requests, memory."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import sysconf
from pathlib import Path

PROC = Path("/proc")
TICKS = sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM, _OF_ENDED_CHILDREN = 1, 11, 12, 14
"""Places in /proc/PID/stat behind the name of the program; the last one is that of their system time."""


@dataclass(slots=True)
class Effort:
    """Filled when its block ends.

    `processor_seconds` say less of what else the machine does than `seconds`; the work of the simulated systems is not
    among them. `megabytes` are the most that the process ever had, `requests` are for whoever sends them to add.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    megabytes: float = 0.0
    requests: int = 0


@contextmanager
def effort(home: Path) -> Iterator[Effort]:
    """The effort of the block; `home` is the deployment's, where the embedded database is."""
    spent = Effort()
    started, of_database, ours = time.perf_counter(), _database_seconds(home), time.process_time()
    yield spent
    spent.seconds = time.perf_counter() - started
    spent.processor_seconds = time.process_time() - ours + _database_seconds(home) - of_database
    spent.megabytes = peak_megabytes()


@dataclass(frozen=True, slots=True)
class AllProcesses:
    """What an installation's processes, PostgreSQL's among them, used so far, and their memory now.

    Memory that several share counts once.
    """

    number: int
    processor_seconds: float
    megabytes: float


def of_all_processes(parent: int, home: Path) -> AllProcesses:
    """The process `parent`, all that descend from it, and the embedded database of this home. Linux only."""
    stats = {process.name: _stat(process.name) for process in PROC.glob("[0-9]*")}
    found = {str(parent), (home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]}
    while more := {pid for pid, stat in stats.items() if stat and stat[_PARENT] in found} - found:
        found |= more
    alive = [pid for pid in found if stats.get(pid)]
    ticks = sum(sum(map(int, stats[pid][_USER : _OF_ENDED_CHILDREN + 1])) for pid in alive)
    return AllProcesses(len(alive), ticks / TICKS, sum(map(_shared_out, alive)) / 1024)


def _shared_out(pid: str) -> int:
    """KiB of a process, what it shares with others divided among them; 0 if it has just ended."""
    try:
        lines = (PROC / pid / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def peak_megabytes() -> float:
    """The most memory that this process ever had resident.

    On Linux from /proc: `ru_maxrss` there begins with the size of the parent that the process was forked from.
    """
    status = PROC / "self" / "status"
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _database_seconds(home: Path) -> float:
    """Processor seconds of PostgreSQL's processes so far, also of those that have ended; 0 where there is no /proc."""
    if not PROC.exists():
        return 0.0
    server = (home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]
    ticks = sum(map(int, _stat(server)[_USER : _OF_ENDED_CHILDREN + 1]))
    for process in PROC.glob("[0-9]*"):
        found = _stat(process.name)
        if found and found[_PARENT] == server:
            ticks += int(found[_USER]) + int(found[_SYSTEM])
    return ticks / TICKS


def _stat(pid: str) -> list[str]:
    """What /proc tells of a process behind its name; nothing of one that has just ended."""
    try:
        text = (PROC / pid / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()
