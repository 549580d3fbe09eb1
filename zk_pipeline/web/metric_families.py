"""The figures of the databases in the words of Prometheus: names, explanations and labels."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate

from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from zk_pipeline.domain.traffic import BOUNDS, Traffic
from zk_pipeline.domain.vital_figures import SEVERITY, Sign, System
from zk_pipeline.store.dagster_figures import DagsterFigures, Durations
from zk_pipeline.store.vitals import Figures


def gauge(name: str, text: str, value: float) -> Metric:
    """A figure without labels."""
    return GaugeMetricFamily(name, text, value=value)


def of_figures(found: Figures) -> Iterator[Metric]:
    """What there is and what waits."""
    yield _by("zk_entries", "Entries in the ledger by the outcome of their last write.", "outcome", found.entries)
    yield _by_several("zk_conflicts_open", "Conflicts that wait for a person.", ("reason", "age"), found.conflicts)
    yield _by("zk_conflict_oldest_seconds", "Age of the oldest open conflict.", "reason", found.oldest_conflicts)
    yield gauge("zk_days_waiting", "Days that are asked for and not yet run.", found.days_waiting)
    yield _by("zk_day_requests_waiting", "Requests for days that no run has carried out.", "reason", found.requests)
    yield _by("zk_day_request_oldest_seconds", "Age of the oldest of them.", "reason", found.oldest_requests)
    yield gauge("zk_deliveries_waiting", "Webhooks that were not looked into yet.", found.deliveries_waiting)
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


def of_signs(signs: Sequence[Sign], now: datetime) -> Iterator[Metric]:
    """The vital signs, as they are judged everywhere."""
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
