"""Files of ZK_HOME: directories closed to other accounts, and locks that end with their process."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def close_directory(directory: Path) -> None:
    """Create a directory that is closed to other accounts, or close an existing one that is ours."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        directory.chmod(0o700)


def lock_file(path: Path) -> IO[bytes]:
    """Open a file to lock it; it is created private."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb+", buffering=0)


def locks_at_once(lock: IO[bytes]) -> bool:
    """Lock the file until it is closed; false if another process has locked it."""
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
    """Wait for the file's lock, and hold it during the block."""
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
