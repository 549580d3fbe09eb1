"""Requests that reading a window costs, wherever it lies and however many other bookings there are."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.harness import Measurement
from benchmarks.world import Company, filled_zammad
from zk_pipeline.connectors.contract import Endpoint
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.records import TimeAccounting, Window
from zk_sandbox.control import with_control
from zk_sandbox.demo import ZAMMAD_TOKEN
from zk_sandbox.server import ServerThread

YEAR = Window(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
DAY = timedelta(days=1)
WINDOWS = {
    "before all bookings": Window(YEAR.start - 3 * DAY, YEAR.start - 2 * DAY),
    "the first day": Window(YEAR.start, YEAR.start + DAY),
    "a day in spring": Window(YEAR.start + 91 * DAY, YEAR.start + 92 * DAY),
    "a week in summer": Window(YEAR.start + 180 * DAY, YEAR.start + 187 * DAY),
    "a month": Window(YEAR.start + 243 * DAY, YEAR.start + 274 * DAY),
    "the last day": Window(YEAR.end - DAY, YEAR.end),
    "after all bookings": Window(YEAR.end + DAY, YEAR.end + 2 * DAY),
    "the whole year": YEAR,
}


@dataclass(frozen=True, slots=True)
class _Cost:
    what: str
    requests: int
    limit: float

    @property
    def over(self) -> float:
        return self.requests - self.limit


def measure(*, quick: bool) -> Iterator[Measurement]:
    """Flat list: at most log2(N) + rows/1000 + 4. Tickets: at most one for each 200."""
    for size in (2_000, 5_000) if quick else (5_000, 50_000):
        company = Company(size, size // 4, 50, 20, YEAR.start, YEAR.end)
        with ServerThread(with_control(filled_zammad(company))) as server:
            flat, tickets = _costs(server.url, size)
        yield _worst(f"Flat list of {size:,}", flat, "log2(N) + rows/1000 + 4")
        yield _worst(f"Tickets of {size:,} bookings", tickets, "tickets/200")


def _costs(url: str, size: int) -> tuple[list[_Cost], list[_Cost]]:
    flat: list[_Cost] = []
    tickets: list[_Cost] = []
    for what, window in WINDOWS.items():
        hint: int | None = None
        for again in ("", ", again"):
            with ZammadConnector(Endpoint("zammad", url, ZAMMAD_TOKEN)) as connector:
                sweep = connector.fetch(window, hint=hint)
                rows: list[TimeAccounting] = [row for page in sweep.pages() for row in page]
                flat_requests = connector.requests.reads
                found = connector.fetch_tickets(rows)
                hint = sweep.report.rows_before
                flat.append(_Cost(what + again, flat_requests, math.log2(size) + len(rows) / 1000 + 4))
                asked = connector.requests.reads - flat_requests
                tickets.append(_Cost(what + again, asked, math.ceil(len(found) / 200)))
    return flat, tickets


def _worst(name: str, costs: list[_Cost], formula: str) -> Measurement:
    """The window that comes closest to its limit; of several the one with the most requests."""
    worst = max(costs, key=lambda cost: (cost.over, cost.requests))
    note = f"{formula}; closest of {len(costs)} reads: {worst.what}"
    return Measurement(name, worst.requests, "requests", f"≤ {worst.limit:.1f}", worst.over <= 0, note)
