"""The growth of each stage's cost up to a million bookings a year, for half an hour that is to spare."""

from collections.abc import Iterator

from benchmarks import growth
from benchmarks.harness import Measurement, Picture


def measure(*, quick: bool) -> Iterator[Measurement | Picture]:
    """As `growth`, with ten times the bookings."""
    yield from growth.of_sizes(growth.SIZES[1:] if quick else [*growth.SIZES, 1_000_000])
