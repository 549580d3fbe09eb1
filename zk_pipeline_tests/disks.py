"""Small disks to fill: file systems of their own, which only root can make."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """An empty disk of this size, such as `160m`; a test on a machine that lets nobody mount one is skipped."""
    disk = folder / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("Only root can mount a small disk to fill.")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=False)
    if made.returncode:
        pytest.skip("This machine lets nobody mount a small disk to fill.")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path, *, left: int = 0) -> Path:
    """Take all room on the disk but so many bytes; returns the file to remove."""
    filler = disk / "filler"
    filler.write_bytes(b"\0" * max(0, shutil.disk_usage(disk).free - left))
    return filler
