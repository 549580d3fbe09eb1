"""The demand sensor on a world: ticks against real servers, and the runs that they ask for."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import dagster as dg
import pytest

from zk_pipeline.domain.instants import local_day
from zk_pipeline.runtime import run_tags
from zk_pipeline.store import deliveries
from zk_pipeline.store.deliveries import WebhookDelivery
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at

TUESDAY = MONDAY + timedelta(days=1)
RUN_TAGS = {"zk/reason": "change"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def today() -> date:
    return local_day(datetime.now(UTC), ZONE)


@dataclass
class Watch:
    """A world under watch. Time passes for the product by moving what it wrote down into the past."""

    world: World
    instance: dg.DagsterInstance
    numbers: Iterator[int] = field(default_factory=itertools.count)
    seconds_to_wait: float = 0.0
    """How long a tick waits for something to do."""

    @property
    def defs(self) -> dg.Definitions:
        # Importing the definitions takes a second, and the partitions read the settings of the environment.
        from zk_pipeline.definitions import defs  # noqa: PLC0415

        return defs

    def tick(self, *, preview: bool = False) -> Any:
        """One tick of the sensor by the daemon, or a preview as Dagster's UI makes it."""
        sensor = self.defs.resolve_sensor_def("demand")
        resources = self.defs.resources
        from zk_pipeline.defs import sensors  # noqa: PLC0415 (as above)

        with (
            patch.object(sensors, "LONGEST_WAIT", self.seconds_to_wait),
            dg.build_sensor_context(
                instance=self.instance,
                definitions=self.defs,
                resources=resources,
                last_sensor_start_time=None if preview else 1.0,
            ) as context,
        ):
            return sensor.evaluate_tick(context)

    def ranges(self) -> list[tuple[date, date]]:
        """The days of the runs that a tick asks for."""
        return [range_of(request) for request in self.tick().run_requests or []]

    def reason_to_skip(self) -> str:
        """Why a tick asks for nothing."""
        ticked = self.tick()
        assert not ticked.run_requests
        return ticked.skip_message

    def carry_out(self, requests: list[dg.RunRequest]) -> list[bool]:
        """Execute the runs as Dagster would; whether each succeeded."""
        job = self.defs.resolve_job_def("sync")
        results = [
            job.execute_in_process(instance=self.instance, tags=request.tags, run_config=QUIET, raise_on_error=False)
            for request in requests
        ]
        return [result.success for result in results]

    def settle(self) -> list[tuple[date, date]]:
        """Tick and run until nothing is asked for; the days of the runs."""
        done: list[tuple[date, date]] = []
        while requests := list(self.tick().run_requests or []):
            assert all(self.carry_out(requests))
            done += map(range_of, requests)
            assert len(done) < 10
        return done

    def hint(self, *tickets: int) -> None:
        """Deliveries for these tickets."""
        with self.world.environment.runtime.database.transaction() as connection:
            deliveries.save(connection, [self.delivery(ticket) for ticket in tickets])

    def delivery(self, ticket: int) -> WebhookDelivery:
        return WebhookDelivery("zammad", f"delivery-{next(self.numbers)}", ticket, b"{}")

    def let_poll(self) -> None:
        """Let the time between two polls pass."""
        before = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        self.world.execute(
            "UPDATE sync.cursors SET value = jsonb_set(value, '{read_at}', to_jsonb(CAST(:before AS text))) "
            "WHERE subject = 'changes'",
            before=before,
        )

    def let_pause(self) -> None:
        """Let the pause after a failed run pass."""
        self.world.execute("UPDATE sync.day_requests SET not_before = now()")

    def let_ask(self) -> None:
        """Let the pause pass for which a system that did not answer is left alone."""
        self.world.execute("UPDATE sync.reachability SET not_before = now()")

    def requests_to_zammad(self) -> dict[str, int]:
        """What Zammad was asked since the last time."""
        control = self.world.desk.control
        asked = control.requests().by_route
        control.reset_requests()
        return asked

    def open_days(self) -> list[date]:
        """The days that were asked for and not done, one for each request."""
        days = self.world.value(
            "SELECT array_agg(day ORDER BY day) FROM sync.day_requests WHERE claimed_by_run IS NULL"
        )
        return days or []

    def written_down(self) -> tuple[Any, ...]:
        """All that a tick writes down."""
        queries = (
            "SELECT array_agg(id ORDER BY id) FROM sync.webhook_deliveries WHERE processed_at IS NULL",
            "SELECT value FROM sync.cursors WHERE subject = 'changes'",
            "SELECT array_agg(id ORDER BY id) FROM sync.day_requests",
        )
        return tuple(map(self.world.value, queries))


def range_of(request: dg.RunRequest) -> tuple[date, date]:
    span = run_tags.range_of(request.tags)
    assert span is not None
    return span


@contextmanager
def watching(world: World) -> Iterator[Watch]:
    """The watch, after its first look."""
    with dg.DagsterInstance.get() as instance:
        watch = Watch(world, instance)
        watch.tick()
        watch.requests_to_zammad()
        yield watch


@pytest.fixture
def watch(world: World) -> Iterator[Watch]:
    with watching(world) as watch:
        yield watch


@pytest.fixture
def settled(world: World) -> Iterator[Watch]:
    """A watch over two bookings of other days that are in Kimai."""
    world.desk.book(30)
    world.desk.book(45, at("10:00", TUESDAY), agent="ben", ticket="globex")
    world.sync(MONDAY, TUESDAY)
    with watching(world) as watch:
        yield watch
