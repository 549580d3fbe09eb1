"""The traces of webhooks, as a collector gets them."""

from collections.abc import Iterator

import pytest

from zk_pipeline.runtime import tracing
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline_tests.collector import Collector, collecting
from zk_pipeline_tests.web.conftest import PAYLOAD, SECRET, Web, web_app


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting(monkeypatch) as collector:
        yield collector


@pytest.fixture
def traced(database: Database, collector: Collector) -> Iterator[Web]:
    settings = Settings(_env_file=None, webhook_secret=SECRET, otlp_endpoint=collector.url)
    tracing.set_up(settings)
    with web_app(database, settings) as running:
        yield running


def test_a_delivery_that_is_taken_is_a_span_that_names_its_connector(traced: Web, collector: Collector):
    assert traced.post(PAYLOAD).status_code == 202
    tracing.flush()
    (span,) = collector.spans()
    assert (span.name, span.failed) == ("webhook", False)
    assert span.attributes == {"http.response.status_code": 202, "zk.connector": "zammad"}


def test_a_delivery_that_is_refused_is_a_span_that_failed_with_the_reason(traced: Web, collector: Collector):
    assert traced.post(PAYLOAD, path="/api/v1/webhooks/somebody@example.com").status_code == 404
    tracing.flush()
    (span,) = collector.spans()
    assert span.failed
    assert (span.attributes["http.response.status_code"], span.attributes["zk.refused"]) == (404, "unknown_connector")
    assert b"somebody" not in collector.bodies[0]
