"""`/metrics` for Prometheus: its route, how the web app answers, and what the databases say, asked now and then."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from threading import Lock

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.domain.vital_figures import Sign
from zk_pipeline.operations.actors import Role
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import dagster_figures, dagster_logs, reachability, run_lists, traffic, vitals
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.web import metric_families as families
from zk_pipeline.web.access import Needs
from zk_pipeline.web.outages import OUTAGES, told

PATH = "/metrics"
SECONDS_VALID = 10.0
DAGSTER_SECONDS_VALID = 60.0
UNMATCHED = "unmatched"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_log = logging.getLogger(__name__)


class Metrics:
    """The registry of one app, its route, and what its middleware counts in."""

    def __init__(self, runtime: Runtime, signs: Callable[[], Sequence[Sign]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Stored(lambda: families.of_signs(signs(), datetime.now(UTC)), lambda: 0.0))
        self._registry.register(_Stored(lambda: _ours(runtime), lambda: SECONDS_VALID))
        self._registry.register(_Stored(lambda: _of_dagster(runtime), lambda: DAGSTER_SECONDS_VALID))
        self.requests = Histogram(
            "zk_http_request_seconds",
            "Requests of the web app by route, method and status, and how long they took.",
            ("route", "method", "status"),
            buckets=BUCKETS,
            registry=self._registry,
        )
        self.router = APIRouter(tags=["health"])
        self.router.add_api_route(PATH, self.show, methods=["GET"], summary="Figures for Prometheus")

    def show(self, request: Request) -> Response:
        """In Prometheus' text format. From elsewhere than this machine it needs the role viewer."""
        if not is_local(request):
            Needs(Role.VIEWER)(request)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class CountedRequests:
    """Middleware that measures each request by the template of its route: raw paths would be endless, and hold ids."""

    def __init__(self, app: ASGIApp, requests: Histogram) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what is no HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            method = scope["method"] if route != UNMATCHED else ""
            self._requests.labels(route, method, str(status)).observe(time.perf_counter() - begun)


def is_local(request: Request) -> bool:
    """Whether it was sent from this very machine, to it by name, and not through a proxy that stands on it.

    A page of any site can have a browser on this machine ask, under a name of its own that leads here.
    """
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    if request.url.hostname not in LOOPBACK:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _Stored(Collector):
    """What a database says, asked at most every so many seconds however many scrape."""

    def __init__(self, ask: Callable[[], Iterable[Metric]], seconds_valid: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds_valid = seconds_valid
        self._lock = Lock()
        self._metrics: list[Metric] = []
        self._valid_until = 0.0

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every figure. Raises the database's errors."""
        with self._lock:
            if time.monotonic() >= self._valid_until:
                self._metrics = list(self._ask())
                self._valid_until = time.monotonic() + self._seconds_valid()
            known = self._metrics
        yield from known


def _ours(runtime: Runtime) -> Iterator[Metric]:
    """What our database says; while it does not answer the vital signs say so, and there is nothing else to tell."""
    try:
        with runtime.database.transaction() as connection:
            found = vitals.figures(connection)
            sent = traffic.totals(connection)
            systems = reachability.systems(connection)
            synced_at = run_lists.last_carried_out(connection, runtime.settings.timezone)
    except OUTAGES as error:
        _log.warning("There are no figures: %s", told(error))
        return
    yield from families.of_figures(found)
    yield families.of_traffic(sent)
    yield families.of_tokens(systems)
    if synced_at is not None:
        lag = max(0.0, (datetime.now(UTC) - synced_at).total_seconds())
        yield families.gauge("zk_lag_seconds", "Since the last sync that reached its own day.", lag)


def _of_dagster(runtime: Runtime) -> Iterator[Metric]:
    """What Dagster's database says; whether it answers is a figure too, and takes none of the others away."""
    url = runtime.settings.dagster_url
    if url is None:
        return
    try:
        with dagster_logs.opened(url.get_secret_value()) as database, database.transaction() as connection:
            found = dagster_figures.figures(connection)
    except DatabaseUnavailableError:
        yield families.gauge("zk_dagster_up", "Whether Dagster's database answers.", 0)
        return
    yield families.gauge("zk_dagster_up", "Whether Dagster's database answers.", 1)
    yield from families.of_dagster(found)
