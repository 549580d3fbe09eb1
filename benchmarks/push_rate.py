"""How fast the push is, compared with a bare loop that posts the same bodies to the same server.

Both start from the same state of the server and send with the same number of threads; every pair is of new entries.
"""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from benchmarks.harness import ZONE, Measurement, alternate, at_least, deployment, for_information, median_ratio
from zk_pipeline.connectors.base import TargetConnector
from zk_pipeline.connectors.kimai_times import wall_clock
from zk_pipeline.defs.push.pusher import Pusher, PushSettings
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.ledger import Desired
from zk_pipeline.domain.locks import Locks
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.placement import Span
from zk_pipeline.domain.plan import Draft, Result
from zk_pipeline.runtime import Runtime
from zk_pipeline.sandbox.client import SandboxControl
from zk_pipeline.sandbox.demo import KIMAI_TOKEN
from zk_pipeline.sandbox.kimai import KimaiServer
from zk_pipeline.sandbox.server import SandboxProcess
from zk_pipeline.store import plans

LATENCY = 0.02
THREADS = 4
USERS = 30
DAY = date(2025, 9, 15)
TAGS = ("zammad", "synced")


@dataclass(frozen=True, slots=True)
class _Kimai:
    """The server as each half finds it, and what its entries refer to."""

    url: str
    state: dict[str, Any]
    users: tuple[int, ...]
    activity: int
    project: ProjectPlan


def measure(*, quick: bool) -> Iterator[Measurement]:
    """The push reaches at least 0.8 of the bare loop's rate, at 20 ms latency and four requests at a time."""
    number, pairs = (300, 3) if quick else (2_000, 3)
    days = (DAY + timedelta(days=n) for n in itertools.count())
    first_ids = itertools.count(1, number)
    with (
        SandboxProcess(latency=LATENCY) as systems,
        SandboxControl(systems.kimai_url) as control,
        deployment(systems) as environment,
        environment.runtime.target() as target,
    ):
        kimai = _kimai(systems.kimai_url)

        def bare() -> float:
            control.restore(kimai.state)
            return number / _post(kimai, _plan(kimai, DAY, next(first_ids), number))

        def pushed() -> float:
            control.restore(kimai.state)
            day = next(days)
            return number / _push(environment.runtime, target, _plan(kimai, day, next(first_ids), number))

        rates, bare_rates = alternate(pushed, bare, pairs)
    ratios = ", ".join(f"{rate / bare_rate:.2f}" for rate, bare_rate in zip(rates, bare_rates, strict=True))
    yield at_least("Rate of the push / bare loop", median_ratio(rates, bare_rates), 0.8, note=f"pairs: {ratios}")
    yield for_information("Rate of the push", median(rates), "entries/s", f"bare loop: {median(bare_rates):.0f}")


def _kimai(url: str) -> _Kimai:
    server = KimaiServer()
    server.add_user("zk-sync", "zk-sync@example.net", ["ROLE_SUPER_ADMIN"], ZONE, KIMAI_TOKEN)
    users = tuple(server.add_user(f"agent{n}", f"agent{n}@provider.example", timezone=ZONE) for n in range(USERS))
    activity = server.add_activity("Support")
    customer = CustomerPlan(server.add_customer("Customer", "zammad-org-1"), "zammad-org-1", "Customer")
    project = ProjectPlan(server.add_project("Support", customer.id or 0, "ZO1"), "ZO1", "Support", customer)
    for tag in TAGS:
        server.add_tag(tag)
    return _Kimai(url, server.snapshot(), users, activity, project)


def _plan(kimai: _Kimai, day: date, first_id: int, number: int) -> list[Result]:
    return [_line(kimai, day, first_id + place, place) for place in range(number)]


def _line(kimai: _Kimai, day: date, source_id: int, place: int) -> Result:
    begin = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(minutes=place % 600)
    minutes = 15 + place % 60
    desired = Desired(
        kimai.users[place % USERS], kimai.activity, kimai.project.id, kimai.project.number, begin, minutes * 60
    )
    draft = Draft(
        desired=desired,
        span=Span(begin, begin + timedelta(minutes=minutes)),
        project=kimai.project,
        description=f"Ticket #{71000 + place}: Request {place} {marker('zammad', str(source_id))}",
        tags=TAGS,
    )
    return Result(day, str(source_id), None, Status.MISSING, Action.CREATE, Decimal(minutes), draft=draft)


def _push(runtime: Runtime, target: TargetConnector, lines: list[Result]) -> float:
    """Seconds for the plan of one day, from the plan's first line read to the last outcome booked."""
    day = lines[0].entry_date
    with runtime.database.transaction() as connection:
        plans.replace_day(connection, target.endpoint.name, day, lines, "benchmark")
    locks = Locks(runtime.settings.zone)
    settings = PushSettings("zammad", lambda _: locks, THREADS, time_limit=60, serial_users=False)
    started = time.perf_counter()
    report = Pusher(runtime.database, target, settings, "benchmark").day(day)
    seconds = time.perf_counter() - started
    if report.created != len(lines):
        raise RuntimeError(f"{report.created} of {len(lines)} entries were created: {report}")
    return seconds


def _post(kimai: _Kimai, lines: list[Result]) -> float:
    """Seconds for posting the same bodies with nothing around it."""
    bodies = [_body(line.draft) for line in lines if line.draft]
    headers = {"Authorization": f"Bearer {KIMAI_TOKEN}"}
    with httpx.Client(base_url=kimai.url, headers=headers) as client, ThreadPoolExecutor(THREADS) as pool:
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
