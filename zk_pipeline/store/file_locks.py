"""Locks on files: they hold between processes, and end with the process that has them however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def lock_file(path: Path) -> IO[bytes]:
    """Open a file to lock it; it is created private."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb+", buffering=0)


def locks_at_once(lock: IO[bytes]) -> bool:
    """Lock the file until it is closed, unless another process has it locked."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(lock: IO[bytes]) -> None:
    """Lock the file until it is closed, together with others that share it."""
    fcntl.flock(lock, fcntl.LOCK_SH)


@contextmanager
def turn(lock: IO[bytes]) -> Iterator[None]:
    """Wait for the file's lock, and hold it for the length of the block."""
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
