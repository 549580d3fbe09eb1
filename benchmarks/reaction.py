"""How long a booking takes from Zammad's accepted delivery to its time sheet in Kimai, with everything running."""

import random
import time
from collections.abc import Iterator
from statistics import median, quantiles

from benchmarks.harness import Measurement, at_most
from benchmarks.running import Running, everything_running

LONGEST_WAIT = 60.0
SEED = 20251001
BETWEEN = (0.0, 6.0)
"""Seconds between a time sheet and the next booking: no booking may fall into step with the sensor."""


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Half of the single bookings arrive within 8 s, and 95 of 100 within 12 s."""
    number, pauses = 8 if quick else 50, random.Random(SEED)
    with everything_running() as running:
        seconds = [_seconds_to_arrive(running, pauses.uniform(*BETWEEN)) for _ in range(number)]
    spread = f"{number} bookings, {min(seconds):.1f} to {max(seconds):.1f} s"
    yield at_most("From delivery to time sheet, median", median(seconds), 8, "s", spread)
    yield at_most("The same, 95th percentile", quantiles(seconds, n=20, method="inclusive")[-1], 12, "s")


def _seconds_to_arrive(running: Running, pause: float) -> float:
    time.sleep(pause)
    before = running.bookings_in_kimai()
    running.book(15)
    running.deliver()
    accepted = time.monotonic()
    while running.bookings_in_kimai() == before:
        if time.monotonic() - accepted > LONGEST_WAIT:
            raise RuntimeError(f"A booking was not in Kimai after {LONGEST_WAIT:.0f} s.")
        time.sleep(0.02)
    return time.monotonic() - accepted
