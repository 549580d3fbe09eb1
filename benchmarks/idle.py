"""What everything running costs while nothing happens: requests to both systems, and the time of a tick."""

import time
from collections.abc import Iterator
from statistics import median

import dagster as dg

from benchmarks.harness import Measurement, at_most, for_information
from benchmarks.running import everything_running

SECONDS_TO_SETTLE = 40


def measure(*, quick: bool) -> Iterator[Measurement]:
    """At most three requests a minute to Zammad and two to Kimai; half of the ticks take at most 200 ms."""
    minutes = 1 if quick else 2
    with everything_running() as running:
        time.sleep(SECONDS_TO_SETTLE)
        running.zammad_control.reset_requests()
        running.kimai_control.reset_requests()
        began = time.time()
        time.sleep(60 * minutes)
        of_zammad, of_kimai = running.zammad_control.requests(), running.kimai_control.requests()
        ticks = _seconds_of_ticks(began)
    note = f"{of_zammad.reads} in {minutes} min"
    yield at_most("Requests to Zammad", of_zammad.reads / minutes, 3, "a minute", note)
    yield at_most("Requests to Kimai", (of_kimai.reads + of_kimai.writes) / minutes, 2, "a minute")
    yield at_most("Tick of the sensor", 1000 * median(ticks), 200, "ms", f"median of {len(ticks)}")
    yield for_information("The longest tick", 1000 * max(ticks), "ms")


def _seconds_of_ticks(since: float) -> list[float]:
    """How long each tick of the demand sensor took, by Dagster's own record."""
    with dg.DagsterInstance.get() as instance:
        (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == "demand"]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
    return [tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp]
