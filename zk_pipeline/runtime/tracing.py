"""The product's spans. Without a collector they do nothing, and OpenTelemetry is not imported."""

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
    """The tracing of this process: none until it is set up."""

    tracing: "Tracing | None" = None


_process = _Process()
_setting_up = threading.Lock()


def set_up(settings: Settings) -> None:
    """Start tracing in this process if a collector is set; calling it again changes nothing.

    Raises `SettingsError` if one is set but OpenTelemetry is not installed.
    """
    if not settings.otlp_endpoint:
        return
    with _setting_up:
        if _process.tracing is not None:
            return
        try:
            from zk_pipeline.runtime.tracing_export import Tracing  # noqa: PLC0415 - imported only if tracing is on.
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
    """A span around the block, within the current one; lines logged in it carry its `trace_id`.

    If the block raises, the span fails with the type of the error, never its text.
    """
    if _process.tracing is None:
        yield
        return
    with _process.tracing.span(name, attributes or {}):
        yield


@contextmanager
def run(run_id: str, job: str) -> Iterator[None]:
    """The span of a Dagster run. Its trace has the run's id without the dashes."""
    if _process.tracing is None:
        yield
        return
    with _process.tracing.run(run_id, f"run {job}", {"zk.run_id": run_id, "zk.job": job}):
        yield


def step_attributes(run_id: str, asset: str, days: Sequence[date]) -> Attributes:
    """The attributes of a step's span: the run, the asset, and the days if any."""
    attributes: dict[str, str | int] = {"zk.run_id": run_id, "zk.asset": asset}
    if days:
        attributes |= {
            "zk.days": len(days),
            "zk.first_day": min(days).isoformat(),
            "zk.last_day": max(days).isoformat(),
        }
    return attributes


def note(attributes: Attributes) -> None:
    """Add attributes to the current span."""
    if _process.tracing is not None:
        _process.tracing.note(attributes)


def flush() -> None:
    """Send pending spans, for a moment at most: for the end of a process."""
    if _process.tracing is not None:
        _process.tracing.flush()
