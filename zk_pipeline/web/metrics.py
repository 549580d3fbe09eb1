"""`/metrics` for Prometheus: how the web app answers, and what the databases say."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import accumulate
from threading import Lock

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.requests import BOUNDS, Traffic
from zk_pipeline.domain.vital_figures import SEVERITY, System, VitalSign
from zk_pipeline.identity.actors import Role
from zk_pipeline.observe import measurements
from zk_pipeline.observe.measurements import SyncFigures
from zk_pipeline.runtime import dagster_internals
from zk_pipeline.runtime.dagster_internals import DagsterFigures, Durations
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import request_log, runs
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.web.authentication import Needs
from zk_pipeline.web.errors import OUTAGES, outage_line

# The figures of the databases in the words of Prometheus: names, explanations and labels.


def gauge(name: str, text: str, value: float) -> Metric:
    """A figure without labels."""
    return GaugeMetricFamily(name, text, value=value)


def of_figures(found: SyncFigures) -> Iterator[Metric]:
    """Entries, conflicts, and what waits."""
    yield _by("zk_entries", "Entries in the ledger by the outcome of their last write.", "outcome", found.entries)
    yield _by_several("zk_conflicts_open", "Conflicts that wait for a person.", ("reason", "age"), found.conflicts)
    yield _by("zk_conflict_oldest_seconds", "Age of the oldest open conflict.", "reason", found.oldest_conflicts)
    yield gauge("zk_days_waiting", "Days that are asked for and not yet run.", found.days_waiting)
    yield _by("zk_day_requests_waiting", "Requests for days that no run has carried out.", "reason", found.requests)
    yield _by("zk_day_request_oldest_seconds", "Age of the oldest of them.", "reason", found.oldest_requests)
    yield gauge("zk_deliveries_waiting", "Webhooks that wait to be looked into.", found.deliveries_waiting)
    yield gauge("zk_failed_logins", "Sign-ins that failed within the last hour.", found.failed_logins)
    if found.last_run is not None:
        run = found.last_run
        yield _by("zk_last_run_entries", "Entries of the last run by result.", "result", run.results)
        yield gauge("zk_last_run_timestamp_seconds", "When the last run began.", run.started_at.timestamp())


def of_traffic(sent: Mapping[str, Traffic]) -> Metric:
    """Requests to each system since the first start: by kind and status, and how long they took."""
    family = HistogramMetricFamily(
        "zk_system_request_seconds",
        "Requests of runs and sensors to each system by kind and status, and how long they took.",
        labels=("system", "kind", "status"),
    )
    bounds = [*map(str, BOUNDS), "+Inf"]
    for system, traffic in sorted(sent.items()):
        for (kind, status), tally in sorted(traffic.items()):
            buckets = list(zip(bounds, map(float, accumulate(tally.counts)), strict=True))
            family.add_metric((system, kind, status), buckets, tally.seconds)
    return family


def of_signs(signs: Sequence[VitalSign], now: datetime) -> Iterator[Metric]:
    """The vital signs."""
    levels = {sign.name: float(SEVERITY[sign.level]) for sign in signs}
    yield _by("zk_vital_sign", "How each vital sign is: 0 is good, 1 a warning, 2 a failure.", "sign", levels)
    ages = {sign.name: max(0.0, (now - sign.at).total_seconds()) for sign in signs if sign.at is not None}
    yield _by("zk_vital_sign_age_seconds", "Since the figures of the sign were measured.", "sign", ages)


def of_tokens(systems: Iterable[System]) -> Metric:
    """Which systems refuse our token."""
    values = {row.name: float(row.refused) for row in systems}
    return _by("zk_token_refused", "Whether the system refused our token when it was last asked.", "system", values)


def of_dagster(found: DagsterFigures) -> Iterator[Metric]:
    """How Dagster's jobs ended, and how long runs and ticks took."""
    yield from _of_durations("zk_runs", "zk_run", "Runs of the last day", "job", found.runs)
    yield from _of_durations("zk_ticks", "zk_tick", "Ticks of the last hour", "automation", found.ticks)
    failed = {run.job: float(run.failed) for run in found.jobs}
    succeeded = {run.job: run.succeeded_at.timestamp() for run in found.jobs if run.succeeded_at is not None}
    yield _by("zk_job_failed", "Whether the newest run of the job failed.", "job", failed)
    yield _by("zk_job_succeeded_timestamp_seconds", "When a run of the job last succeeded.", "job", succeeded)


def _of_durations(many: str, one: str, what: str, label: str, rows: Sequence[Durations]) -> Iterator[Metric]:
    labels = (label, "status")
    yield _by_several(many, f"{what}, by how they ended.", labels, {(row.name, row.status): row.number for row in rows})
    for measure, text in (("median", "their median"), ("longest", "the longest")):
        seconds = {(row.name, row.status): getattr(row, measure) for row in rows}
        yield _by_several(f"{one}_{measure}_seconds", f"{what}: seconds of {text}.", labels, seconds)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return _by_several(name, text, (label,), {(key,): value for key, value in values.items()})


def _by_several(name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family


# `/metrics` for Prometheus: the route, the requests of the web app, and the figures of the databases.

PATH = "/metrics"
SECONDS_VALID = 10.0
DAGSTER_SECONDS_VALID = 60.0
UNMATCHED = "unmatched"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_log = logging.getLogger(__name__)


class Metrics:
    """One app's registry, route, and counters of its middleware."""

    def __init__(self, runtime: Runtime, signs: Callable[[], Sequence[VitalSign]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Stored(lambda: of_signs(signs(), datetime.now(UTC)), lambda: 0.0))
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
    """Middleware that measures each request by the template of its route; raw paths would be endless and hold ids."""

    def __init__(self, app: ASGIApp, requests: Histogram) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; anything but HTTP passes through."""
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
    """Whether a request was sent from this machine to one of its own names, without a proxy.

    Any web page can make a browser on this machine send a request under another name that leads here.
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
    """A database's figures, read at most once in so many seconds however many scrape."""

    def __init__(self, ask: Callable[[], Iterable[Metric]], seconds_valid: Callable[[], float]) -> None:
        self._ask = ask
        self._seconds_valid = seconds_valid
        self._lock = Lock()
        self._metrics: list[Metric] = []
        self._valid_until = 0.0

    def describe(self) -> list[Metric]:
        """Nothing, since registering must not query the database."""
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
    """Our database's figures; while it does not answer, the vital signs alone."""
    settings, now = runtime.settings, datetime.now(UTC)
    try:
        with runtime.database.transaction() as connection:
            found = measurements.figures(connection, settings.start_date, local_day(now, settings.zone))
            sent = request_log.totals(connection)
            systems = request_log.systems(connection)
            synced_at = runs.last_carried_out(connection, settings.timezone)
    except OUTAGES as error:
        _log.warning("There are no figures: %s", outage_line(error))
        return
    yield from of_figures(found)
    yield of_traffic(sent)
    yield of_tokens(systems)
    if synced_at is not None:
        lag = max(0.0, (now - synced_at).total_seconds())
        yield gauge("zk_lag_seconds", "Since the last sync that reached its own day.", lag)


def _of_dagster(runtime: Runtime) -> Iterator[Metric]:
    """Dagster's figures, and whether its database answers."""
    url = runtime.settings.dagster_url
    if url is None:
        return
    try:
        with dagster_internals.opened(url.get_secret_value()) as database, database.transaction() as connection:
            found = dagster_internals.figures(connection)
    except DatabaseUnavailableError:
        yield gauge("zk_dagster_up", "Whether Dagster's database answers.", 0)
        return
    yield gauge("zk_dagster_up", "Whether Dagster's database answers.", 1)
    yield from of_dagster(found)
