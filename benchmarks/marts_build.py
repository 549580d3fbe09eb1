"""Building the marts of 200,000 entries: memory of dbt, a full build, and the incremental build of one day."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import text

from benchmarks.harness import Measurement, at_most, deployment, for_information
from benchmarks.memory_year import FIRST, LAST, SEED, USERS
from zk_pipeline.runtime.runtime import Runtime, open_runtime
from zk_pipeline.stages import marts

ENTRIES = 200_000
CHAIN = Path(__file__).with_suffix(".sql")
CHANGED = "UPDATE sync.pushes SET updated_at = now() WHERE entry_date = DATE '2025-06-16'"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """200,000 entries are built in one run within 500 MB, and a change of one day touches the rows of that day only."""
    entries = 20_000 if quick else ENTRIES
    with deployment() as environment:
        _seed(environment.runtime, entries)
        full = _build()
        rows = _rows(environment.runtime)
        if sum(rows.values()) != entries:
            raise RuntimeError(f"{entries} entries were seeded, but the marts have {sum(rows.values())}.")
        with environment.runtime.database.transaction() as connection:
            connection.execute(text(CHANGED))
        day = _build()
        days = len(_rows(environment.runtime).keys() - rows.keys())
    size = f"{entries:,} entries of {(LAST - FIRST).days + 1} days"
    yield at_most("Peak memory of dbt, all days", full["megabytes"], 500, "MB", size)
    yield at_most("Peak memory of dbt, one day", day["megabytes"], 500, "MB")
    yield at_most("Days that a change of one day touches", days, 1)
    yield for_information("Building all days", full["seconds"], "s", "with all of dbt's tests")
    yield for_information("Building one changed day", day["seconds"], "s", "with all of dbt's tests")


def _seed(runtime: Runtime, entries: int) -> None:
    """A year of bookings, and all that the chain would have made of them."""
    sizes = {"accountings": entries, "users": USERS, "first": FIRST, "last": LAST}
    with runtime.database.transaction() as connection:
        for statement in (SEED.read_text() + ";\n" + CHAIN.read_text()).split(";\n"):
            connection.execute(text(statement), sizes)
    with runtime.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _rows(runtime: Runtime) -> dict[tuple[object, object], int]:
    """The number of rows by day and the moment of their build."""
    query = text("SELECT entry_date, built_at, count(*) FROM marts.fct_time_entries GROUP BY entry_date, built_at")
    with runtime.database.transaction() as connection:
        return {(row[0], row[1]): row[2] for row in connection.execute(query)}


def _build() -> dict[str, float]:
    """Build in a process of its own, whose only child is dbt."""
    command = [sys.executable, "-m", "benchmarks.marts_build"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _work() -> dict[str, float]:
    with open_runtime() as runtime:
        started = time.perf_counter()
        failure = marts.failure_of(marts.build(runtime))
        if failure is not None:
            raise failure
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_work()))
