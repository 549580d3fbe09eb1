"""What Dagster and we cost when there is nothing to do: a run of an empty day, and the import of the definitions."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from statistics import median

import dagster as dg

from benchmarks.harness import (
    Measurement,
    alternate,
    at_most,
    deployment,
    for_information,
    median_ratio,
    sync,
)
from zk_sandbox.server import SandboxProcess

EMPTY_DAY = date(2025, 12, 1)
COMMAND = "from zk_pipeline.cli.app import main; main()"
IMPORT = "import time; started = time.perf_counter(); import {module}; print(time.perf_counter() - started)"


def measure(*, quick: bool) -> Iterator[Measurement]:
    """A run of an empty day takes at most 1.0 s; importing the definitions at most twice the import of Dagster."""
    runs, imports = (3, 3) if quick else (5, 7)
    with SandboxProcess("demo") as systems, deployment(systems) as environment:
        sync(environment, EMPTY_DAY, EMPTY_DAY)
        with dg.DagsterInstance.get() as instance:
            seconds: list[float] = []
            for _ in range(runs):
                report = sync(environment, EMPTY_DAY, EMPTY_DAY)
                seconds.append(_seconds_in_run(instance, report.run_ids[-1]))
            first_runs = [_seconds_in_run(instance, _sync_command()) for _ in range(3)]
    spread = ", ".join(f"{value:.2f}" for value in sorted(seconds))
    yield at_most("Chain on an empty day", median(seconds), 1.0, "s", f"start to end by the run's record: {spread}")
    yield at_most("The same in a fresh process", median(first_runs), 1.0, "s", "zk sync, start to end of its run")
    ours, dagsters = alternate(
        lambda: _seconds_to_import("zk_pipeline.definitions"), lambda: _seconds_to_import("dagster"), imports
    )
    ratio = median_ratio(ours, dagsters)
    yield at_most("Import of the definitions / Dagster", ratio, 2.0, note=f"median of {imports} pairs")
    yield for_information("Import of the definitions", median(ours), "s", f"Dagster alone: {median(dagsters):.2f} s")


def _sync_command() -> str:
    """Run the chain on the empty day with the command, in a process of its own; returns the run's id."""
    day = EMPTY_DAY.isoformat()
    command = [sys.executable, "-c", COMMAND, "sync", "--from", day, "--to", day, "--json"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)["run_id"]


def _seconds_in_run(instance: dg.DagsterInstance, run_id: str) -> float:
    record = instance.get_run_record_by_id(run_id)
    if record is None or record.start_time is None or record.end_time is None:
        raise RuntimeError(f"Run {run_id} has no start and end in Dagster's record.")
    return record.end_time - record.start_time


def _seconds_to_import(module: str) -> float:
    """Seconds in a fresh interpreter, without its own start, which would flatter the ratio."""
    command = [sys.executable, "-c", IMPORT.format(module=module)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
