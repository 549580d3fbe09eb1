"""Ending whole process groups, including grandchildren."""

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

SECONDS_TO_END = 10.0
"""Between SIGTERM and SIGKILL."""

_SECONDS_TO_DIE = 5.0  # After SIGKILL only zombies are left, for another process to reap.
_SECONDS_BETWEEN_WAITS = 0.05


def end_groups(groups: Collection[int], seconds: float = SECONDS_TO_END) -> None:
    """End every process of these process groups: SIGTERM, and after `seconds` SIGKILL."""
    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, _SECONDS_TO_DIE)):
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        if wait_until(lambda: not any(map(exists, groups)), patience):
            return


def exists(group: int) -> bool:
    """Whether the group has a process. Reaps our ended children in it, whose exit codes are lost."""
    with suppress(ChildProcessError):  # The first process of a container inherits every orphan.
        os.waitpid(-group, os.WNOHANG)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # Without permission: another account's, not ours.
        return False
    return True


def wait_until(reached: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition; return whether it was met in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_WAITS)
    return True
