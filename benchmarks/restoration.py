"""Backing up a database of 200,000 entries and restoring it, with the very commands: seconds, and size of the file."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from tempfile import TemporaryDirectory

from sqlalchemy import text

from benchmarks.console_lists import seed
from benchmarks.harness import Measurement, at_most, deployment, for_information
from zk_pipeline.runtime.runtime import Runtime

ENTRIES = 200_000
SECONDS = 300
"""What still counts as restored at once: starting everything and syncing the days since takes minutes as well."""

ZK = (sys.executable, "-c", "from zk_pipeline.cli.app import main; main()")
COUNTED = ("sync.normalized_entries", "sync.pushes", "kimai.timesheets", "sync.reconciliation_results")


def measure(*, quick: bool) -> Iterator[Measurement]:
    """A database of 200,000 entries is backed up, and restored over itself, within 5 minutes each."""
    entries = 20_000 if quick else ENTRIES
    with deployment() as environment, TemporaryDirectory(prefix="zk-bench-") as folder:
        seed(environment.runtime, entries)
        before, size = _rows(environment.runtime), _megabytes(environment.runtime)
        backup_seconds, told = _timed("backup", "--to", folder, "--json")
        backup = json.loads(told)
        environment.runtime.database.engine.dispose()  # Nobody may be connected to what is restored.
        restore_seconds, _ = _timed("restore", backup["file"], "--replace", "--yes")
        if _rows(environment.runtime) != before:
            raise RuntimeError(f"{before} rows were backed up, but {_rows(environment.runtime)} came back.")
    yield at_most("Backup", backup_seconds, SECONDS, "s", f"{entries:,} entries; examined to its end")
    yield at_most("Restoration", restore_seconds, SECONDS, "s", "over the same databases, examined first")
    yield for_information("Size of our database", size, "MB")
    yield for_information("Size of the backup", backup["bytes"] / 2**20, "MB")


def _timed(*arguments: str) -> tuple[float, str]:
    """The seconds of a command, its start included, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run([*ZK, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return time.perf_counter() - started, done.stdout


def _rows(runtime: Runtime) -> dict[str, int]:
    with runtime.database.transaction() as connection:
        return {table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in COUNTED}


def _megabytes(runtime: Runtime) -> float:
    with runtime.database.transaction() as connection:
        return connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one() / 2**20
