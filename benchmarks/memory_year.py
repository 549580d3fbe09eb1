"""Peak memory of normalizing and reconciling a full year of a large company, day by day as the assets do."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from benchmarks.effort import peak_megabytes
from benchmarks.harness import Measurement, at_most, deployment, for_information
from zk_pipeline.runtime.runtime import Runtime, open_runtime
from zk_pipeline.stages.reconcile import Normalization, Reconciliation

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
ACCOUNTINGS, USERS = 100_000, 1_000
SEED = Path(__file__).with_suffix(".sql")


def measure(*, quick: bool) -> Iterator[Measurement]:
    """100,000 accountings of 1,000 users over a year stay within 500 MB in the process that works on them."""
    accountings = 10_000 if quick else ACCOUNTINGS
    with deployment() as environment:
        _seed(environment.runtime, accountings)
        command = [sys.executable, "-m", "benchmarks.memory_year"]
        child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(child.stdout)
    if result["entries"] != accountings or result["lines"] < accountings:
        raise RuntimeError(f"{accountings} accountings were seeded, but the year gave {result}.")
    size = f"{accountings:,} accountings, {USERS:,} users, {result['lines']:,} lines of the plan"
    yield at_most("Peak memory of a full year", result["megabytes"], 500, "MB", size)
    yield for_information("Normalizing a full year", result["normalizing"], "s")
    yield for_information("Reconciling a full year", result["reconciling"], "s")


def _seed(runtime: Runtime, accountings: int) -> None:
    """Everything that the extractions would have stored, a fifth of the bookings typed into Kimai by hand as well."""
    sizes = {"accountings": accountings, "users": USERS, "first": FIRST, "last": LAST}
    with runtime.database.transaction() as connection:
        for statement in SEED.read_text().split(";\n"):
            connection.execute(text(statement), sizes)
    with runtime.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _work() -> dict[str, float]:
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    with open_runtime() as runtime:
        started = time.perf_counter()
        normalization = Normalization(runtime, FIRST, LAST)
        entries = sum(normalization.day(day).entries for day in days)
        normalized = time.perf_counter()
        reconciliation = Reconciliation(runtime, datetime(2026, 1, 15, tzinfo=UTC))
        lines = sum(len(reconciliation.day(day, "benchmark")) for day in days)
        reconciled = time.perf_counter()
    return {
        "entries": entries,
        "lines": lines,
        "normalizing": normalized - started,
        "reconciling": reconciled - normalized,
        "megabytes": peak_megabytes(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_work()))
