"""One supervisor per home: its locks, and the record it leaves for other processes.

The locks are flocks, which the kernel releases however a process ends:

- `up.lock` is held by the supervisor alone, and holds its record.
- `up.parts.lock` is inherited by its children and the watchdog: while it is held, one of them is still alive.
"""

import json
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Self

from zk_pipeline.processes.groups import end_groups, exists, wait_until
from zk_pipeline.store.files import lock_file, locks_at_once

_SECONDS_TO_HEAL = 30.0
_RECORD_LIMIT_BYTES = 65536


class SupervisorError(Exception):
    """The processes cannot be started or kept running; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class SupervisorRecord:
    """The record of a supervisor: its address, and the process groups to end if it is killed."""

    address: str = ""
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, home: Path) -> Self:
        """The last record of a home. Raises `OSError` if there never was a supervisor."""
        with _lock_path(home).open("rb") as file:
            return cls.read(file)

    @classmethod
    def read(cls, file: IO[bytes]) -> Self:
        """The record in an open lock file, empty if there is none yet."""
        line, _, _ = os.pread(file.fileno(), _RECORD_LIMIT_BYTES, 0).partition(b"\n")
        if not line:
            return cls()
        stored = json.loads(line)
        return cls(stored["address"], tuple(stored["groups"]))

    def write(self, file: IO[bytes]) -> None:
        """Replace the record; a reader after a crash finds the old one or this one."""
        line = json.dumps(asdict(self)).encode() + b"\n"
        os.pwrite(file.fileno(), line, 0)
        os.ftruncate(file.fileno(), len(line))


@dataclass(frozen=True, slots=True)
class HomeLock:
    """A home that this supervisor holds. Children inherit `children_lock`."""

    home: Path
    address: str
    own: IO[bytes]
    children_lock: IO[bytes]

    def record(self, groups: Collection[int]) -> None:
        """Record the process groups to end if this process is killed."""
        SupervisorRecord(self.address, tuple(groups)).write(self.own)


def running_dagster(home: Path) -> str | None:
    """The address of Dagster, if `zk up` runs on this home."""
    try:
        record = SupervisorRecord.of(home)
    except FileNotFoundError:
        return None
    return record.address if any(map(exists, record.groups)) else None


@contextmanager
def hold_home(home: Path, address: str) -> Iterator[HomeLock]:
    """Hold a home, after ending leftover processes, in case supervisor and watchdog were both killed.

    Raises `SupervisorError` if another supervisor holds it, or leftover processes do not end.
    """
    with ExitStack() as stack:
        own, children = (stack.enter_context(lock_file(path)) for path in (_lock_path(home), home / "up.parts.lock"))
        former = SupervisorRecord.read(own)
        if not locks_at_once(own):
            where = f" at {former.address}" if former.address else ""
            raise SupervisorError(f"Use or stop (Ctrl-C) the `zk up` that already runs on {home}{where}.")
        if not locks_at_once(children):
            # At least one is alive, so the numbers are not from before a reboot.
            end_groups(former.groups)
            if not wait_until(lambda: locks_at_once(children), _SECONDS_TO_HEAL):
                raise SupervisorError(
                    f"End the processes of a killed `zk up` on {home}, which do not end by themselves, and try again."
                )
        held = HomeLock(home, address, own, children)
        held.record(())
        try:
            yield held
        finally:
            held.record(())


def _lock_path(home: Path) -> Path:
    return home / "up.lock"
