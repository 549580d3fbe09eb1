"""Creates spans and sends them to the collector by OTLP over HTTP, in the background, without slowing runs down."""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

from opentelemetry import trace
from opentelemetry.context import attach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, StatusCode

from zk_pipeline import __version__
from zk_pipeline.connectors.request_records import RequestAttempt
from zk_pipeline.runtime import logs

PATH = "/v1/traces"
SECONDS_TO_SEND = 2.0
SECONDS_TO_FLUSH = 2.0
SECONDS_TO_PAUSE = 30.0
"""How long nothing is sent after a failure; spans of that time are dropped."""

_PRODUCT = "zk_pipeline"
_log = logging.getLogger(__name__)

# It logs every batch that fails; we log once, when that begins.
logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

_run_that_begins: ContextVar[UUID | None] = ContextVar("run_that_begins", default=None)


class RunIds(RandomIdGenerator):
    """Gives a run's trace the id of the run, so that either leads to the other."""

    def generate_trace_id(self) -> int:
        """The id of the run that is starting, otherwise a random one."""
        run_id = _run_that_begins.get()
        return super().generate_trace_id() if run_id is None else run_id.int

    def is_trace_id_random(self) -> bool:
        """No: some bits of a UUID are fixed."""
        return False


class PatientExporter(SpanExporter):
    """Pauses while a collector does not answer, and logs that once."""

    def __init__(self, exporter: SpanExporter, endpoint: str) -> None:
        self._exporter = exporter
        self._endpoint = endpoint
        self._failing = False
        self._pause_ends = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans, or drop them during a pause."""
        if time.monotonic() < self._pause_ends:
            return SpanExportResult.FAILURE
        result = self._exporter.export(spans)
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self._pause_ends = time.monotonic() + SECONDS_TO_PAUSE
        if failed and not self._failing:
            _log.warning(
                "Traces do not reach %s and are dropped; nothing else suffers. See whether the collector runs, or "
                "correct ZK_OTLP_ENDPOINT.",
                self._endpoint,
            )
        self._failing = failed
        return result

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


class Tracing:
    """Creates and exports the spans of this process to one collector."""

    def __init__(self, endpoint: str) -> None:
        address = endpoint.removesuffix(PATH) + PATH
        name = os.environ.get("OTEL_SERVICE_NAME", _PRODUCT)
        self._provider = TracerProvider(
            # Spans are few; sampling belongs in the collector, which sees whole traces.
            sampler=ALWAYS_ON,
            resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: __version__}),
            id_generator=RunIds(),
            # Its own shutdown waits for half a minute.
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(address, timeout=SECONDS_TO_SEND)
        self._provider.add_span_processor(BatchSpanProcessor(PatientExporter(exporter, endpoint)))
        self._tracer = self._provider.get_tracer(_PRODUCT)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        """A span around the block, below the current one."""
        # Error texts may name people, so OpenTelemetry must not record them.
        with (
            self._tracer.start_as_current_span(
                name, attributes=attributes, record_exception=False, set_status_on_exception=False
            ) as span,
            logs.log_context(trace_id=_trace_id(span)),
        ):
            try:
                yield
            except BaseException as error:
                _fail(span, type(error.__cause__ or error).__name__)
                raise

    @contextmanager
    def run(self, run_id: str, name: str, attributes: Mapping[str, str | int]) -> Iterator[None]:
        """The span of a run, current for its steps; it may end in another context than it began in."""
        before = get_current()
        span = self._begin_run(UUID(run_id), name, attributes)
        # Detaching by a token needs the same context, which Dagster does not keep (as in `logs.log_context`).
        attach(trace.set_span_in_context(span, before))
        try:
            with logs.log_context(trace_id=_trace_id(span)):
                yield
        finally:
            attach(before)
            span.end()

    def _begin_run(self, run_id: UUID, name: str, attributes: Mapping[str, str | int]) -> Span:
        token = _run_that_begins.set(run_id)
        try:
            return self._tracer.start_span(name, attributes=attributes)
        finally:
            _run_that_begins.reset(token)

    def exchange(self, attempt: RequestAttempt) -> None:
        """The span of a finished request to another system."""
        begin = int(attempt.sent_at.timestamp() * 1_000_000) * 1000
        span = self._tracer.start_span(
            f"{attempt.method} {attempt.system}",
            kind=SpanKind.CLIENT,
            start_time=begin,
            attributes={
                "zk.system": attempt.system,
                "http.request.method": attempt.method,
                "url.path": attempt.path,
                **({} if attempt.status is None else {"http.response.status_code": attempt.status}),
            },
        )
        if attempt.failed:
            _fail(span, str(attempt.status or "no answer"))
        span.end(begin + int(attempt.seconds * 1_000_000) * 1000)

    def note(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes to the current span."""
        trace.get_current_span().set_attributes(attributes)

    def flush(self) -> None:
        """Send pending spans, but return in time whatever the collector does."""
        sending = threading.Thread(target=self._provider.force_flush, name="traces", daemon=True)
        sending.start()
        sending.join(SECONDS_TO_FLUSH)


def _trace_id(span: Span) -> str:
    return trace.format_trace_id(span.get_span_context().trace_id)


def _fail(span: Span, kind: str) -> None:
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", kind)
