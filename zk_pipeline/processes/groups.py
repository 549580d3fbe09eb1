"""Ending whole process groups, so that no grandchild is left."""

import os
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress

SECONDS_TO_END = 10.0
"""Between SIGTERM and SIGKILL."""

_SECONDS_TO_DIE = 5.0  # After SIGKILL only zombies are left, which another process has to reap.
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
    """Whether the group has a process. An ended child of ours in it is reaped, and its exit code lost."""
    with suppress(ChildProcessError):  # As a container's first process we are heir to every orphan.
        os.waitpid(-group, os.WNOHANG)
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # Without permission it belongs to another account, so not to us.
        return False
    return True


def wait_until(reached: Callable[[], bool], seconds: float) -> bool:
    """Whether a state that nothing announces was reached in this time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_WAITS)
    return True
