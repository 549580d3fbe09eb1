"""How fast the push is, compared with a bare loop that posts the same bodies to the same server.

Both start from the same state of the server and send with the same number of threads; every pair is of new entries.
"""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from benchmarks.harness import ZONE, Measurement, alternate, at_least, deployment, median_ratio
from benchmarks.plan_of_creates import THREADS, kimai_with_people, plan, push, store
from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.kimai.reading import wall_clock
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.runtime.runtime import Runtime
from zk_sandbox.client import SandboxControl
from zk_sandbox.demo import KIMAI_TOKEN
from zk_sandbox.server import SandboxProcess

LATENCY = 0.02
DAY = date(2025, 9, 15)
ASKED_FOR = 100
"""Entries a minute."""


def measure(*, quick: bool) -> Iterator[Measurement]:
    """The push reaches at least 0.95 of the bare loop's rate, at 20 ms latency and four requests at a time."""
    number, pairs = (300, 3) if quick else (2_000, 3)
    days = (DAY + timedelta(days=n) for n in itertools.count())
    first_ids = itertools.count(1, number)
    kimai = kimai_with_people()
    with (
        SandboxProcess(latency=LATENCY) as systems,
        SandboxControl(systems.kimai_url) as control,
        deployment(systems) as environment,
        environment.runtime.target() as target,
    ):

        def bare() -> float:
            control.restore(kimai.state)
            return number / _post(systems.kimai_url, plan(kimai, DAY, next(first_ids), number))

        def pushed() -> float:
            control.restore(kimai.state)
            lines = plan(kimai, next(days), next(first_ids), number)
            return number / _push(environment.runtime, target, lines)

        rates, bare_rates = alternate(pushed, bare, pairs)
    ratios = ", ".join(f"{rate / bare_rate:.2f}" for rate, bare_rate in zip(rates, bare_rates, strict=True))
    yield at_least("Rate of the push / bare loop", median_ratio(rates, bare_rates), 0.95, note=f"pairs: {ratios}")
    bare_loop = f"{60 * median(bare_rates):,.0f} by the bare loop"
    yield at_least("Entries pushed", 60 * median(rates), ASKED_FOR, "a minute", bare_loop)


def _push(runtime: Runtime, target: TargetConnector, lines: list[PlanLine]) -> float:
    """Seconds for the plan of one day, from the plan's first line read to the last outcome booked."""
    store(runtime, target, lines)
    started = time.perf_counter()
    push(runtime, target, lines[0].entry_date, len(lines))
    return time.perf_counter() - started


def _post(url: str, lines: list[PlanLine]) -> float:
    """Seconds for posting the same bodies with nothing around it."""
    bodies = [_body(line.draft) for line in lines if line.draft]
    headers = {"Authorization": f"Bearer {KIMAI_TOKEN}"}
    with httpx.Client(base_url=url, headers=headers) as client, ThreadPoolExecutor(THREADS) as pool:
        started = time.perf_counter()
        answers = list(pool.map(lambda body: client.post("/api/timesheets", json=body), bodies))
        seconds = time.perf_counter() - started
    for answer in answers:
        answer.raise_for_status()
    return seconds


def _body(draft: Draft) -> dict[str, Any]:
    zone = ZoneInfo(ZONE)
    return {
        "user": draft.desired.user_id,
        "project": draft.desired.project_id,
        "activity": draft.desired.activity_id,
        "begin": wall_clock(draft.span.begin, zone),
        "end": wall_clock(draft.span.end, zone),
        "description": draft.description,
        "tags": ",".join(draft.tags),
    }
