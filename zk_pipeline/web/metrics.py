"""`/metrics` for Prometheus: what waits, and how the web app answers; for viewers, and for this very machine."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from threading import Lock

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.operations.actors import Role
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import run_lists, vitals
from zk_pipeline.store.vitals import Figures
from zk_pipeline.web.access import Needs

PATH = "/metrics"
SECONDS_VALID = 10.0
UNMATCHED = "unmatched"
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The registry of one app, its route, and what its middleware counts in."""

    def __init__(self, runtime: Runtime) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Stored(runtime))
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
    """Whether it was sent from this very machine, not through a proxy that stands on it."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


class _Stored(Collector):
    """What the database says, asked at most every few seconds however many scrape."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
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
                self._metrics = self._asked()
                self._valid_until = time.monotonic() + SECONDS_VALID
            known = self._metrics
        yield from known

    def _asked(self) -> list[Metric]:
        with self._runtime.database.transaction() as connection:
            found = vitals.figures(connection)
            synced_at = run_lists.last_carried_out(connection, self._runtime.settings.timezone)
        metrics = list(_of_figures(found))
        if synced_at is not None:
            lag = max(0.0, (datetime.now(UTC) - synced_at).total_seconds())
            metrics.append(_gauge("zk_lag_seconds", "Since the last sync that reached its own day.", lag))
        return metrics


def _of_figures(found: Figures) -> Iterator[Metric]:
    yield _by("zk_entries", "Entries in the ledger by the outcome of their last write.", "outcome", found.entries)
    yield _by("zk_conflicts_open", "Conflicts that wait for a person.", "reason", found.conflicts)
    yield _by("zk_conflict_oldest_seconds", "Age of the oldest open conflict.", "reason", found.oldest_conflicts)
    yield _gauge("zk_days_waiting", "Days that are asked for and not yet run.", found.days_waiting)
    yield _gauge("zk_deliveries_waiting", "Webhooks that were not looked into yet.", found.deliveries_waiting)
    yield _gauge("zk_failed_logins", "Sign-ins that failed within the last hour.", found.failed_logins)
    if found.last_run is not None:
        run = found.last_run
        yield _by("zk_last_run_entries", "Entries of the last run by result.", "result", run.results)
        yield _gauge("zk_last_run_timestamp_seconds", "When the last run began.", run.started_at.timestamp())


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family
