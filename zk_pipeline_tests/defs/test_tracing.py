"""The traces of real runs, as a collector gets them."""

import logging
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from zk_pipeline.runtime.logs import JsonFormatter
from zk_pipeline_tests.collector import ON, Collector, Told, collecting
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, MONDAY, ZAMMAD_TOKEN, World

pytestmark = pytest.mark.dagster

CHAIN = {
    "zammad/directory",
    "zammad/time_accountings",
    "kimai/directory",
    "kimai/timesheets",
    "sync/normalized_entries",
    "sync/reconciliation_results",
    "sync/kimai_pushes",
}


@pytest.fixture
def collector(surroundings: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting(surroundings) as collector:
        surroundings.setenv(ON, collector.url)
        yield collector


def named(collector: Collector, name: str) -> list[Told]:
    return [span for span in collector.spans() if span.name == name]


def test_a_run_is_one_trace_that_has_its_id(collector: Collector, world: World):
    world.desk.book(15)
    (run_id,) = world.sync().run_ids
    assert collector.paths == {"/v1/traces"}
    (root,) = named(collector, "run sync")
    assert root.trace_id == run_id.replace("-", "")
    assert root.attributes == {"zk.run_id": run_id, "zk.job": "sync"}
    assert root.parent_id == ""
    within = [span for span in collector.spans() if span.trace_id == root.trace_id]
    known = {span.span_id for span in within}
    assert {span.parent_id for span in within} <= known | {""}
    assert [span for span in within if not span.parent_id] == [root]


def test_each_step_tells_its_asset_run_and_days(collector: Collector, world: World):
    (run_id,) = world.sync(MONDAY, MONDAY + timedelta(days=1)).run_ids
    (root,) = named(collector, "run sync")
    steps = {span.name: span for span in collector.spans() if "zk.asset" in span.attributes}
    assert set(steps) == CHAIN
    assert {span.parent_id for span in steps.values()} == {root.span_id}
    assert steps["sync/kimai_pushes"].attributes == {
        "zk.run_id": run_id,
        "zk.asset": "sync/kimai_pushes",
        "zk.days": 2,
        "zk.first_day": "2025-10-06",
        "zk.last_day": "2025-10-07",
    }
    pushed = [span for span in named(collector, "day") if span.parent_id == steps["sync/kimai_pushes"].span_id]
    assert [span.attributes["zk.day"] for span in pushed] == ["2025-10-06", "2025-10-07"]


def test_each_request_to_both_systems_is_a_span_of_its_step(collector: Collector, world: World):
    world.desk.book(15)
    counts = world.sync().counts
    sent = [span for span in collector.spans() if "zk.system" in span.attributes and span.parent_id]
    told = {name: sum(span.attributes["zk.system"] == name for span in sent) for name in ("Zammad", "Kimai")}
    assert told == {"Zammad": counts["zammad_read"], "Kimai": counts["kimai_read"] + counts["kimai_write"]}
    (created,) = [
        span for span in sent if span.name == "POST Kimai" and span.attributes["url.path"] == "/api/timesheets"
    ]
    assert created.attributes["http.response.status_code"] == 200
    assert 0 < created.seconds < 5
    (day,) = [span for span in collector.spans() if span.span_id == created.parent_id]
    assert (day.name, day.attributes) == ("day", {"zk.day": "2025-10-06"})


def test_what_failed_is_marked_without_the_text_of_its_error(collector: Collector, world: World):
    world.desk.book(15)
    world.office.control.add_fault(
        "respond", method="POST", path="/api/timesheets$", status=500, text="anna@example.com"
    )
    with pytest.raises(Exception, match="could not be written"):
        world.sync()
    failed = {span.name: span for span in collector.spans() if span.failed}
    assert set(failed) == {"POST Kimai", "day", "sync/kimai_pushes"}
    assert failed["POST Kimai"].attributes["http.response.status_code"] == 500
    assert failed["sync/kimai_pushes"].attributes["error.type"] == "DayFailedError"
    assert b"anna" not in b"".join(collector.bodies)


def test_no_trace_holds_a_person_a_text_or_a_secret(collector: Collector, world: World):
    world.desk.book(15)
    world.sync()
    sent = b"".join(collector.bodies).lower()
    assert b"sync/kimai_pushes" in sent
    for private in ("anna", "example.com", "acme", "printer", "zk-zammad", KIMAI_TOKEN, ZAMMAD_TOKEN, "user=", "term="):
        assert private.lower().encode() not in sent, private


class _Lines(logging.Handler):
    """Keeps the lines as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Iterator[list[str]]:
    handler = _Lines()
    logger = logging.getLogger("zk_pipeline")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


@pytest.mark.parametrize("settings", [{"ZK_HTTP_ATTEMPTS": "2"}], indirect=True)
def test_the_lines_of_a_run_carry_its_trace(collector: Collector, world: World, lines: list[str]):
    world.office.control.add_fault("respond", method="GET", path="/api/timesheets", status=503, times=1)
    (run_id,) = world.sync().run_ids
    (line,) = [line for line in lines if "Attempt 1 of 2" in line]
    assert f'"trace_id": "{run_id.replace("-", "")}"' in line


def test_a_collector_that_never_answers_holds_no_run_up_and_is_told_of_once(
    collector: Collector, world: World, lines: list[str]
):
    world.desk.book(15)
    collector.silent.set()
    begun = time.monotonic()
    for _ in range(2):
        assert world.sync().counts.get("failed", 0) == 0
    assert time.monotonic() - begun < 20
    assert len(world.office.rows) == 1
    assert [line for line in lines if "opentelemetry" in line] == []
    assert sum(f"Traces do not reach {collector.url}" in line for line in lines) == 1
