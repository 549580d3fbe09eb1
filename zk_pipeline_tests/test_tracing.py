"""Whether traces are on: by which variable, at which cost while off, and what is said when they cannot be."""

import subprocess
import sys

import pytest

from zk_pipeline.runtime import tracing
from zk_pipeline.runtime.settings import Settings, SettingsError, load_settings
from zk_pipeline_tests.collector import ON, Collector, collecting

STANDARD = "OTEL_EXPORTER_OTLP_ENDPOINT"
LOADED = """
import sys
import zk_pipeline.defs.sync, zk_pipeline.web.app
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (ON, STANDARD):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_standard_variable_counts_where_ours_is_not_set(variables: pytest.MonkeyPatch):
    variables.setenv(STANDARD, "http://collector:4318/")
    assert load_settings().otlp_endpoint == "http://collector:4318"
    variables.setenv(ON, "http://ours:4318")
    assert load_settings().otlp_endpoint == "http://ours:4318"


def test_an_address_with_a_password_is_refused_without_showing_it(variables: pytest.MonkeyPatch):
    variables.setenv(ON, "http://user:hidden@collector:4318")
    with pytest.raises(SettingsError, match="ZK_OTLP_ENDPOINT: contains credentials") as raised:
        load_settings()
    assert "hidden" not in str(raised.value)


def test_without_a_collector_nothing_of_opentelemetry_is_loaded():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_without_the_packages_the_sentence_names_the_remedy(variables: pytest.MonkeyPatch):
    with collecting(variables) as collector:
        variables.delitem(sys.modules, "zk_pipeline.runtime.tracing_export", raising=False)
        variables.setitem(sys.modules, "opentelemetry.sdk.trace", None)
        with pytest.raises(SettingsError, match=r"opentelemetry\.sdk\.trace.*pip install 'zk-pipeline\[tracing\]'"):
            tracing.set_up(Settings(_env_file=None, otlp_endpoint=collector.url))


def test_a_collector_gets_what_waits_when_the_process_ends():
    with pytest.MonkeyPatch.context() as patch, collecting(patch) as collector:
        subprocess.run([sys.executable, "-c", _program(collector)], check=True, timeout=120)
        assert [span.name for span in collector.spans()] == ["outer"]


def _program(collector: Collector) -> str:
    return f"""
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.runtime.runtime import tracing as spans
spans.set_up(Settings(_env_file=None, otlp_endpoint={collector.url!r}))
with spans.span("outer"):
    pass
"""
