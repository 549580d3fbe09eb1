"""How long a booking takes from Zammad's accepted delivery to its time sheet in Kimai, with everything running."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median, quantiles

from benchmarks.harness import Measurement, Picture, at_most
from benchmarks.plots import Mark, histogram
from benchmarks.running import Running, everything_running

MEDIAN, NEARLY_ALL = 2.5, 5
"""Limits in seconds."""

LONGEST_WAIT = 60.0
SEED = 20251001
BETWEEN = (0.0, 6.0)
"""Seconds between a time sheet and the next booking: no booking may fall into step with the sensor."""


def measure(*, quick: bool) -> Iterator[Measurement | Picture]:
    """Half of the single bookings arrive within 2.5 s, and 95 of 100 within 5 s."""
    number, pauses = 8 if quick else 50, random.Random(SEED)
    with everything_running() as running:
        seconds = sorted(_seconds_to_arrive(running, pauses.uniform(*BETWEEN)) for _ in range(number))
    middle, nearly_all = median(seconds), quantiles(seconds, n=20, method="inclusive")[-1]
    half = at_most("From delivery to time sheet, median", middle, MEDIAN, "s", f"{number} bookings")
    yield replace(half, values=tuple(round(value, 2) for value in seconds))
    spread = f"{seconds[0]:.1f} to {seconds[-1]:.1f} s"
    yield at_most("The same, 95th percentile", nearly_all, NEARLY_ALL, "s", spread)
    yield Picture("latency.svg", _picture(seconds, middle, nearly_all))


def _picture(seconds: list[float], middle: float, nearly_all: float) -> str:
    marks = [
        Mark(middle, f"half within {middle:.1f} s"),
        Mark(nearly_all, f"95 % within {nearly_all:.1f} s"),
        Mark(MEDIAN, f"limit for half, {MEDIAN} s", limit=True),
        Mark(NEARLY_ALL, f"limit for 95 %, {NEARLY_ALL} s", limit=True),
    ]
    title = "From the webhook's delivery to the time sheet in Kimai"
    return histogram(title, "seconds", seconds, 0.5, marks)


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
