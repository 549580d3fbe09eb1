"""`python -m benchmarks`: one table of all measurements; exit code 1 when a limit is missed."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    console_lists,
    console_paint,
    growth,
    growth_million,
    idle,
    intake,
    marts_build,
    memory_year,
    push_rate,
    reaction,
    requests_month,
    requests_window,
    restoration,
    run_overhead,
    shares,
    simulated_reads,
)
from benchmarks.harness import Measurement, Picture

BENCHMARKS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        simulated_reads,
        requests_window,
        requests_month,
        push_rate,
        run_overhead,
        shares,
        reaction,
        idle,
        intake,
        marts_build,
        memory_year,
        console_lists,
        console_paint,
        restoration,
        growth,
        growth_million,
    )
}
WHEN_NAMED = {"growth_million"}
"""Takes so long that it is measured only where it is asked for."""

PRINTED_WIDTH = 140
"""Columns when the table goes into a file."""


def main() -> int:
    """Measure, print, and say by the exit code whether all limits were kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="smaller sizes and fewer repetitions")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the pictures of what is measured into it")
    options = parser.parse_args()
    # What embedded servers and runs say on the way goes to standard error, so that the result stays readable.
    progress = Console(stderr=True)
    measured: list[tuple[str, Measurement]] = []
    for name in options.only or [name for name in BENCHMARKS if name not in WHEN_NAMED]:
        for result in _announced(name, progress, quick=options.quick):
            if isinstance(result, Measurement):
                measured.append((name, result))
            elif options.plots:
                (options.plots / result.name).write_text(result.svg)
    if options.json:
        lines = [{"benchmark": name, **asdict(measurement)} for name, measurement in measured]
        sys.stdout.write(json.dumps({"quick": options.quick, "measurements": lines}, ensure_ascii=False) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else PRINTED_WIDTH).print(_table(measured))
    return 0 if all(measurement.ok for _, measurement in measured) else 1


def _announced(name: str, progress: Console, *, quick: bool) -> Iterator[Measurement | Picture]:
    with progress.status(f"{name}: {BENCHMARKS[name].__doc__}"):
        yield from BENCHMARKS[name].measure(quick=quick)


def _table(measured: list[tuple[str, Measurement]]) -> Table:
    busy = f"{os.getloadavg()[0]:.1f} processes wanted {os.cpu_count()} cores in the last minute"
    table = Table("benchmark", "name", caption=f"Seconds and rates are those of this machine: {busy}.")
    for heading in ("measured", "limit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ok")
    table.add_column("note")
    last = ""
    for benchmark, line in measured:
        if benchmark != last:
            table.add_section()
        verdict = ("[green]yes[/]" if line.ok else "[bold red]NO[/]") if line.limit else ""
        value = f"{line.value:,.2f}".removesuffix(".00")
        table.add_row(
            benchmark if benchmark != last else "", line.name, f"{value} {line.unit}".strip(), line.limit, verdict,
            line.note,
        )  # fmt: skip
        last = benchmark
    return table


if __name__ == "__main__":
    sys.exit(main())
