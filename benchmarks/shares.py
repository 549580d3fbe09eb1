"""What the time of a run is spent on: Dagster, our code, and waiting for the databases and the two systems."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from benchmarks.harness import Measurement, for_information, sync
from benchmarks.sampler import Place, sampled
from benchmarks.world import Company, booked
from zk_pipeline.runtime.environment import Environment

LATENCY = 0.02
"""Seconds that each request to the two systems takes longer."""

EMPTY_DAY, SINGLE_DAY = date(2025, 8, 1), date(2025, 8, 27)
MONTH = date(2025, 9, 1), date(2025, 9, 30)
TIMES = 5


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Shares of an empty day, of a day of 100 new entries, and of a month of 3,000; each request takes 20 ms more."""
    a_day = 10 if quick else 100
    with booked(_company(a_day), latency=LATENCY) as systems:
        environment = systems.environment
        sync(environment, EMPTY_DAY, EMPTY_DAY)
        empty = [_spent(environment, EMPTY_DAY, EMPTY_DAY, 0) for _ in range(TIMES)]
        days = [SINGLE_DAY + timedelta(days=number) for number in range(TIMES)]
        single = [_spent(environment, day, day, a_day) for day in days]
        month = [_spent(environment, *MONTH, 30 * a_day)]
    yield from _shares("Empty day", empty)
    yield from _shares(f"Day of {a_day}", single)
    yield from _shares(f"Month of {30 * a_day:,}", month)


def _company(a_day: int) -> Company:
    """So many bookings on each local day of the single ones and of the month after them."""
    begin = datetime(2025, 8, 26, 22, tzinfo=UTC)
    days = 35
    return Company(
        bookings=days * a_day,
        tickets=days * a_day // 4,
        agents=30,
        organizations=12,
        begin=begin,
        end=begin + timedelta(days=days),
    )


def _spent(environment: Environment, first: date, last: date, expected: int) -> Mapping[Place, float]:
    with sampled() as seconds:
        report = sync(environment, first, last)
    created = report.counts.get("created", 0)
    if created != expected:
        raise RuntimeError(f"{created} instead of {expected} entries of {first} to {last} were created.")
    return seconds


def _shares(name: str, runs: list[Mapping[Place, float]]) -> Iterator[Measurement]:
    total = sum(sum(run.values()) for run in runs)
    for place in Place:
        seconds = sum(run.get(place, 0.0) for run in runs)
        note = f"{seconds / len(runs):.2f} of {total / len(runs):.2f} s"
        yield for_information(f"{name}: {place}", 100 * seconds / total, "%", note)
