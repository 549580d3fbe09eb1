"""How the cost of each stage grows with the bookings of a year, and that of the push with what it writes."""

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from benchmarks.effort import Effort, effort
from benchmarks.harness import Addresses, Measurement, Picture, at_most, deployment, for_information
from benchmarks.plan_of_creates import kimai_with_people, plan, push, store
from benchmarks.plots import Curve, curves
from benchmarks.world import Company, filled_zammad
from zk_pipeline.connectors.zammad.connector import FOUND_BY_SEARCH
from zk_pipeline.domain.approval import writes
from zk_pipeline.domain.changed_days import LONGEST_RANGE
from zk_pipeline.domain.instants import day_ranges, days_between
from zk_pipeline.runtime.runtime import Runtime, open_runtime
from zk_pipeline.stages.read_source import extract_bookings, extract_directory
from zk_pipeline.stages.reconcile import Normalization, Reconciliation
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import with_control
from zk_sandbox.server import SandboxProcess, ServerThread

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
RANGES = day_ranges(FIRST, LAST, LONGEST_RANGE)
NOW = datetime(2026, 1, 15, tzinfo=UTC)
SIZES = (1_000, 10_000, 100_000)
PUSHED, A_DAY = (1_000, 10_000), 500
MEGABYTES = 500
NOISE = 1.15
"""The same work takes so much longer when it is done again on a machine with other things to do."""

AGAIN = "again"
FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage cost at a size."""

    stage: str
    size: int
    effort: Effort


def measure(*, quick: bool) -> Iterator[Measurement | Picture]:
    """From size to size, no stage's cost grows faster than n log n; memory stays within 500 MB."""
    yield from of_sizes(SIZES[:2] if quick else SIZES)
    yield from _pushes([100, 1_000] if quick else PUSHED)


def of_sizes(sizes: Sequence[int]) -> Iterator[Measurement | Picture]:
    """The lines of the table for these sizes, and the picture."""
    costs = [cost for size in sizes for cost in _year(size)]
    for stage in dict.fromkeys(cost.stage for cost in costs):
        yield from _grown([cost for cost in costs if cost.stage == stage])
    for cost in costs:
        if cost.effort.requests:
            limit = _most_requests(cost.size)
            yield at_most(f"Requests to {cost.stage} {cost.size:,}", cost.effort.requests, limit)
    most = max(costs, key=lambda cost: cost.effort.megabytes)
    yield at_most("The most memory of any stage", most.effort.megabytes, MEGABYTES, "MB", f"{most.stage} {most.size:,}")
    yield Picture("growth.svg", _picture(costs))


def _grown(costs: Sequence[Cost]) -> Iterator[Measurement]:
    """A line for each size; from the second on with the limit that the size before it sets."""
    before: Cost | None = None
    for cost in costs:
        spent = cost.effort
        name = f"{cost.stage.capitalize()} {cost.size:,}"
        note = f"{spent.seconds:,.1f} s, {spent.megabytes:.0f} MB, {spent.requests:,} requests"
        if before is None:
            yield for_information(name, spent.processor_seconds, "CPU s", note)
        else:
            limit = before.effort.processor_seconds * _n_log_n(before.size, cost.size)
            yield at_most(name, spent.processor_seconds, round(NOISE * limit, 1), "CPU s", note)
        before = cost


def _n_log_n(smaller: int, larger: int) -> float:
    """By how much something grows that costs n log n."""
    return larger * math.log(larger) / (smaller * math.log(smaller))


def _most_requests(size: int) -> int:
    """What extraction may cost: for each run its window (docs/zammad.md §13) and tickets, and the directory."""
    company = _company(size)
    windows = sum(math.log2(size) + size / len(RANGES) / 1000 + 4 + 1 for _ in RANGES)
    tickets = company.tickets / FOUND_BY_SEARCH + len(RANGES)
    directory = 3 + (company.agents + company.organizations) / 1000 + 2
    return math.ceil(len(RANGES) + windows + tickets + directory)


def _company(size: int) -> Company:
    return Company(
        bookings=size,
        tickets=size // 4,
        agents=max(10, size // 1000),
        organizations=max(10, size // 2000),
        begin=datetime(2024, 12, 31, 23, tzinfo=UTC),
        end=datetime(2025, 12, 31, 23, tzinfo=UTC),
        correct_every=100,
    )


def _year(size: int) -> Iterator[Cost]:
    """Each stage in a process of its own over a year of so many bookings; this one serves the simulated Zammad."""
    company = _company(size)
    with (
        ServerThread(with_control(filled_zammad(company))) as zammad,
        deployment(Addresses(zammad.url, "http://kimai.invalid")) as environment,
    ):
        _execute(environment.runtime, "growth_kimai.sql", company)
        for stage in STAGES:
            yield _in_child(stage, size)
        _execute(environment.runtime, "growth_pushed.sql", company)
        yield _in_child(AGAIN, size)


def _execute(runtime: Runtime, name: str, company: Company) -> None:
    sizes = {"agents": company.agents, "organizations": company.organizations}
    with runtime.database.transaction() as connection:
        for statement in (FOLDER / name).read_text().split(";\n"):
            connection.execute(text(statement), sizes)
    with runtime.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _in_child(stage: str, size: int) -> Cost:
    command = [sys.executable, "-m", "benchmarks.growth", stage, str(size)]
    child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(stage, size, Effort(**json.loads(child.stdout)))


def _extract(runtime: Runtime, size: int) -> int:
    with runtime.source() as source:
        extract_directory(runtime, source)
        rows = sum(
            extract_bookings(runtime, source, first, last, f"benchmark {first}").report.rows for first, last in RANGES
        )
        _require(rows, size, "bookings were read")
        return source.requests.reads


def _normalize(runtime: Runtime, size: int, *, again: bool = False) -> int:
    entries = changed = 0
    for first, last in RANGES:
        normalization = Normalization(runtime, first, last)
        for day in days_between(first, last):
            done = normalization.day(day)
            entries, changed = entries + done.entries, changed + done.changed
    _require(entries, size, "entries were normalized")
    _require(changed, 0 if again else size, "entries were changed")
    return 0


def _reconcile(runtime: Runtime, size: int, *, again: bool = False) -> int:
    lines = written = 0
    for first, last in RANGES:
        reconciliation = Reconciliation(runtime, NOW)
        for day in days_between(first, last):
            plan_of_day = reconciliation.day(day, "benchmark")
            lines, written = lines + len(plan_of_day), written + sum(map(writes, plan_of_day))
    _require(lines, size, "lines were planned")
    # A correction writes nothing, and brings none of the others to zero.
    _require(written, 0 if again else size - size // 100, "lines would write")
    return 0


def _again(runtime: Runtime, size: int) -> int:
    """Everything once more, with nothing to do."""
    requests = _extract(runtime, size)
    _normalize(runtime, size, again=True)
    _reconcile(runtime, size, again=True)
    return requests


STAGES: Mapping[str, Callable[[Runtime, int], int]] = {
    "extract": _extract,
    "normalize": _normalize,
    "reconcile": _reconcile,
}


def _require(found: int, expected: int, what: str) -> None:
    if found != expected:
        raise RuntimeError(f"{found:,} instead of {expected:,} {what}.")


def _pushes(sizes: Sequence[int]) -> Iterator[Measurement]:
    costs = [Cost("push", size, _pushed(size)) for size in sizes]
    yield from _grown(costs)
    first, last = (cost.effort.requests / cost.size for cost in (costs[0], costs[-1]))
    yield at_most(f"Requests for each of {sizes[-1]:,} pushed", last, first, note=f"for each of {sizes[0]:,}: {first}")


def _pushed(size: int) -> Effort:
    """The effort of pushing so many new entries into an empty Kimai, some hundred a day."""
    kimai, per_day = kimai_with_people(), min(size, A_DAY)
    days = [FIRST + timedelta(days=number) for number in range(size // per_day)]
    with (
        SandboxProcess() as systems,
        SandboxControl(systems.kimai_url) as control,
        deployment(systems) as environment,
        environment.runtime.target() as target,
    ):
        control.restore(kimai.state)
        for number, day in enumerate(days):
            store(environment.runtime, target, plan(kimai, day, 1 + number * per_day, per_day))
        with effort(environment.home) as spent:
            for day in days:
                push(environment.runtime, target, day, per_day)
        spent.requests = target.requests.reads + target.requests.writes
    return spent


def _picture(costs: Sequence[Cost]) -> str:
    def of(value: Callable[[Effort], float], stages: Sequence[str]) -> list[Curve]:
        return [
            Curve(stage, [(cost.size, value(cost.effort)) for cost in costs if cost.stage == stage]) for stage in stages
        ]

    stages = list(dict.fromkeys(cost.stage for cost in costs))
    return curves(
        "Cost against the bookings of a year",
        "bookings",
        {
            "processor seconds": of(lambda spent: spent.processor_seconds, stages),
            "most memory, MB": of(lambda spent: spent.megabytes, stages),
            "requests to Zammad": of(lambda spent: spent.requests, ["extract", AGAIN]),
        },
    )


def main(stage: str, size: str) -> None:
    """Work off one stage on the deployment that the environment names, and print its effort."""
    work = {**STAGES, AGAIN: _again}[stage]
    with open_runtime() as runtime, effort(runtime.settings.home) as spent:
        spent.requests = work(runtime, int(size))
    sys.stdout.write(json.dumps(asdict(spent)))


if __name__ == "__main__":
    main(*sys.argv[1:])
