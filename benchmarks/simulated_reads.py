"""How quickly the simulated systems answer when they hold much: no measurement may be theirs instead of ours."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import perf_counter

import httpx

from benchmarks.harness import ZONE, Measurement, at_most
from benchmarks.world import Company, filled_kimai, filled_zammad
from zk_sandbox.control import with_control
from zk_sandbox.demo import KIMAI_TOKEN, ZAMMAD_TOKEN
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
REPEATED = 5

Query = dict[str, str | int]


def measure(*, quick: bool) -> Iterator[Measurement]:
    """A search for one marker: at most 30 ms. The first, the middle, the last and no entry of the list: 500 ms."""
    sheets, bookings = (5_000, 10_000) if quick else (50_000, 100_000)
    search: Query = {"term": f"zk-a{sheets // 2}z", "user": "all"}
    found = _milliseconds(_filled_kimai(sheets), "/api/timesheets", f"Bearer {KIMAI_TOKEN}", [search])
    yield at_most(f"Simulated Kimai: one marker among {sheets:,}", found, 30, "ms", "the quickest of five")
    company = Company(bookings, bookings // 4, 50, 20, BEGIN, BEGIN + timedelta(days=365))
    order: Query = {"sort_by": "created_at,id", "order_by": "asc,asc", "per_page": 1}
    pages = [order | {"page": page} for page in (1, bookings // 2, bookings, bookings + 1)]
    read = _milliseconds(filled_zammad(company), "/api/v1/time_accountings", f"Token token={ZAMMAD_TOKEN}", pages)
    yield at_most(f"Simulated Zammad: four pages among {bookings:,}", read, 500, "ms", "the quickest of five")


def _filled_kimai(sheets: int) -> KimaiServer:
    kimai, activities = filled_kimai(Company(0, 0, 1, 0, BEGIN, BEGIN))
    user = kimai.add_user("anna", "anna@provider.example", timezone=ZONE)
    row = {"user": user, "project": kimai.add_project("Website", kimai.add_customer("ACME")), "activity": activities[0]}
    kimai.add_timesheets(
        row | {"begin": BEGIN, "end": BEGIN + timedelta(minutes=5), "description": f"Ticket #{number} [zk-a{number}z]"}
        for number in range(sheets)
    )
    return kimai


def _milliseconds(server: KimaiServer | ZammadServer, path: str, authorization: str, asked: list[Query]) -> float:
    """The quickest of several times that all of these were asked over HTTP, one after the other."""
    with ServerThread(with_control(server)) as served, _client(served.url, authorization) as client:
        return 1000 * min(_seconds(lambda: [_read(client, path, query) for query in asked]) for _ in range(REPEATED))


def _client(url: str, authorization: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": authorization}, trust_env=False)


def _read(client: httpx.Client, path: str, query: Query) -> None:
    client.get(path, params=query).raise_for_status()


def _seconds(action: Callable[[], object]) -> float:
    started = perf_counter()
    action()
    return perf_counter() - started
