"""The spans of the product. While no collector is set they do nothing, and nothing of OpenTelemetry is imported."""

import atexit
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from zk_pipeline.connectors import request_records
from zk_pipeline.runtime.settings import Settings, SettingsError

if TYPE_CHECKING:
    from zk_pipeline.runtime.tracing_export import Tracing

Attributes = Mapping[str, str | int]


@dataclass(slots=True)
class _Process:
    """What this process traces with: nothing until it is set up."""

    tracing: "Tracing | None" = None


_process = _Process()
_setting_up = threading.Lock()


def set_up(settings: Settings) -> None:
    """Trace from now on in this process, if a collector is set; once more changes nothing.

    Raises `SettingsError` when one is set and OpenTelemetry is not installed.
    """
    if not settings.otlp_endpoint:
        return
    with _setting_up:
        if _process.tracing is not None:
            return
        try:
            from zk_pipeline.runtime.tracing_export import Tracing  # noqa: PLC0415 - only who traces pays for it.
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"ZK_OTLP_ENDPOINT={settings.otlp_endpoint!r} needs {error.name}, which is not installed. Install it "
                "with pip install 'zk-pipeline[tracing]', or unset ZK_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT."
            ) from error
        _process.tracing = Tracing(settings.otlp_endpoint)
        request_records.watch(_process.tracing.exchange)
        atexit.register(flush)


@contextmanager
def span(name: str, attributes: Attributes | None = None) -> Iterator[None]:
    """A span around the block, within the one at hand; lines that are logged meanwhile carry its `trace_id`.

    A block that raises makes a span that failed, with the type of the error and never its text.
    """
    if _process.tracing is None:
        yield
        return
    with _process.tracing.span(name, attributes or {}):
        yield


@contextmanager
def run(run_id: str, job: str) -> Iterator[None]:
    """The span of a run of Dagster. Its trace has the id of the run, without the dashes."""
    if _process.tracing is None:
        yield
        return
    with _process.tracing.run(run_id, f"run {job}", {"zk.run_id": run_id, "zk.job": job}):
        yield


def step_attributes(run_id: str, asset: str, days: Sequence[date]) -> Attributes:
    """What the span of a step tells: the run, the asset, and the days if it has any."""
    told: dict[str, str | int] = {"zk.run_id": run_id, "zk.asset": asset}
    if days:
        told |= {"zk.days": len(days), "zk.first_day": min(days).isoformat(), "zk.last_day": max(days).isoformat()}
    return told


def note(attributes: Attributes) -> None:
    """Add to the span at hand what became known meanwhile."""
    if _process.tracing is not None:
        _process.tracing.note(attributes)


def flush() -> None:
    """Send what waits, as far as that goes in a moment: for the end of a process, which nothing else waits for."""
    if _process.tracing is not None:
        _process.tracing.flush()
