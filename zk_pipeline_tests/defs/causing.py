"""An installation that is well, in real databases, and what can be done to it: one cause for each failing sign."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
from dagster import DagsterEvent, DagsterEventType
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.test_utils import create_run_for_test
from dagster._daemon.types import DaemonHeartbeat
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy import make_url

from zk_pipeline.connectors.checks import Finding
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.defs.resources import resources_of_settings
from zk_pipeline.defs.sensors import alerts, changed_days
from zk_pipeline.observe.doctor import data
from zk_pipeline.observe.doctor.report import DoctorReport, Examination, Installation, examine
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.source_changes import ChangeFeed
from zk_pipeline_tests.defs.world import World

SENSORS = ("alerts", "demand", "failed_runs", "marts_after_deep_check")
ORIGIN = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("zk_pipeline"), "__repository__")
POOLS = """{"__class__": "RunOpConcurrency", "all_pools": {"__set__": ["kimai"]}, "root_key_counts": {},
    "has_unconstrained_root_nodes": true}"""
WRITES = f"jsonb_set(run_body::jsonb, '{{run_op_concurrency}}', '{POOLS}')::text"
"""The body of a run with a step in the pool of those that write."""


@dataclass
class Scene:
    """An installation that is well, until something is done to it."""

    world: World
    instance: dg.DagsterInstance
    resources: dict[str, dg.ConfigurableResource] = field(default_factory=resources_of_settings)

    @property
    def runtime(self) -> Runtime:
        return self.world.environment.runtime

    def execute(self, statement: str, **values: Any) -> None:
        self.world.execute(statement, **values)

    def in_dagster(self, statement: str) -> None:
        """One statement on Dagster's database."""
        with psycopg.connect(self.dagster_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @property
    def dagster_url(self) -> str:
        url = self.runtime.settings.dagster_url
        assert url is not None
        return make_url(url.get_secret_value()).set(drivername="postgresql").render_as_string(hide_password=False)

    def beat(self, ago: float = 0.0, *, but: tuple[str, ...] = ()) -> None:
        """Signs of life of the daemons."""
        for daemon in set(self.instance.get_required_daemon_types()) - set(but):
            self.instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, daemon, "this"))

    def tick(
        self, sensor: str, status: TickStatus = TickStatus.SKIPPED, ago: float = 0.0, skip_reason: str | None = None
    ) -> None:
        """A tick as the daemon records it."""
        origin = ORIGIN.get_instigator_origin(sensor)
        data = TickData(
            origin.get_id(),
            sensor,
            InstigatorType.SENSOR,
            TickStatus.STARTED,
            time.time() - ago,
            selector_id=origin.get_selector().get_id(),
        )
        error = SerializableErrorInfo("No such column.", [], "ProgrammingError")
        told = {"error": error} if status is TickStatus.FAILURE else {"skip_reason": skip_reason}
        self.instance.update_tick(self.instance.create_tick(data).with_status(status, **told))

    def declare(self, sensor: str, status: InstigatorStatus = InstigatorStatus.DECLARED_IN_CODE) -> None:
        """The state of a sensor as the daemon or a person leaves it."""
        state = InstigatorState(
            ORIGIN.get_instigator_origin(sensor), InstigatorType.SENSOR, status, SensorInstigatorData()
        )
        if self.instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
            self.instance.add_instigator_state(state)
        else:
            self.instance.update_instigator_state(state)

    def run(self, status: dg.DagsterRunStatus, ago: timedelta, **tags: str) -> dg.DagsterRun:
        """A run of the sync that is in this status for so long."""
        run = create_run_for_test(
            self.instance,
            job_name="sync",
            status=status,
            tags=tags,
            remote_job_origin=ORIGIN.get_job_origin("sync"),
        )
        moment = (datetime.now(UTC) - ago).replace(tzinfo=None)
        self.in_dagster(
            f"UPDATE runs SET create_timestamp = '{moment}', start_time = {(datetime.now(UTC) - ago).timestamp()}"
            f", run_body = {WRITES} WHERE run_id = '{run.run_id}'"
        )
        return run

    def be_well(self) -> None:
        """Everything lives, ticks, was read and is carried out."""
        self.beat()
        for sensor in SENSORS:
            self.declare(sensor)
            self.tick(sensor)
        for name in ("zammad", "kimai"):
            self.execute(
                "INSERT INTO sync.sweeps (connector, subject, window_start, window_end, run_id, complete, ended_at) "
                "VALUES (:name, 't', now(), now(), 'r', true, now())",
                name=name,
            )
        self.execute(
            "INSERT INTO sync.sync_runs (run_id, counts, carried_out_until, carried_out_at) "
            "VALUES ('r', '{}', current_date + 1, now())"
        )

    def let_last(self) -> None:
        """Let two minutes pass for what fails by now, and with them the pause for which it is left alone."""
        self.execute(
            "UPDATE sync.reachability SET failing_since = failing_since - interval '2 minutes', not_before = now()"
        )

    def report(self) -> DoctorReport:
        """What the doctor says of the vital signs, and whether it ends with 1."""
        installation = Installation.present(self.runtime, self.world.environment.home)
        return examine((Examination("Vital signs", data.examine_signs),), installation, lambda _name: None)

    def findings(self) -> dict[str, Finding]:
        return {row.subject: row for section in self.report().sections for row in section.findings}

    def tell(self) -> str:
        """A tick of the sensor that alerts; its resources were made when Dagster loaded the code."""
        with dg.build_sensor_context(self.instance, resources=self.resources, last_sensor_start_time=1.0) as context:
            return alerts.evaluate_tick(context).skip_message or ""

    def demand(self) -> str:
        """Why a tick of the sensor that runs changed days requests none."""
        with dg.build_sensor_context(self.instance, resources=self.resources, last_sensor_start_time=1.0) as context:
            return changed_days.evaluate_tick(context).skip_message or ""


# ---- Causes ----


@contextmanager
def dead_daemon(scene: Scene) -> Iterator[None]:
    scene.beat(ago=180)
    yield
    scene.beat()


@contextmanager
def one_dead_daemon(scene: Scene) -> Iterator[None]:
    scene.beat(ago=180)
    scene.beat(but=("SENSOR",))
    yield
    scene.beat()


@contextmanager
def failing_ticks(scene: Scene) -> Iterator[None]:
    for ago in (90, 60, 30):
        scene.tick("demand", TickStatus.FAILURE, ago)
    scene.in_dagster(
        "UPDATE job_ticks SET \"timestamp\" = \"timestamp\" - interval '2 minutes' WHERE status = 'SKIPPED'"
    )
    yield
    scene.tick("demand")


@contextmanager
def ticks_that_the_database_fails(scene: Scene) -> Iterator[None]:
    scene.in_dagster('UPDATE job_ticks SET "timestamp" = "timestamp" - interval \'2 minutes\'')
    # A table that a query names is not there, as after a start that a power cut interrupted.
    scene.in_dagster("ALTER TABLE run_tags RENAME TO gone")
    reason = scene.demand()
    scene.in_dagster("ALTER TABLE gone RENAME TO run_tags")
    for ago in (90, 60, 30):
        scene.tick("demand", ago=ago, skip_reason=reason)
    yield
    scene.tick("demand", skip_reason="No days are requested.")


@contextmanager
def silent_sensor(scene: Scene) -> Iterator[None]:
    scene.in_dagster('UPDATE job_ticks SET "timestamp" = "timestamp" - interval \'6 minutes\'')
    for sensor in SENSORS[2:]:
        scene.tick(sensor)
    yield
    for sensor in SENSORS[:2]:
        scene.tick(sensor)


@contextmanager
def run_that_waits(scene: Scene, status: dg.DagsterRunStatus) -> Iterator[None]:
    run = scene.run(status, timedelta(minutes=6))
    yield
    scene.instance.report_run_canceled(run)


@contextmanager
def run_that_is_cancelled_again_and_again(scene: Scene) -> Iterator[None]:
    run = scene.run(dg.DagsterRunStatus.STARTED, timedelta(minutes=10))
    for _ in range(2):
        event = DagsterEvent(DagsterEventType.RUN_CANCELING.value, job_name="sync")
        scene.instance.report_dagster_event(event, run.run_id)
    scene.in_dagster(
        'UPDATE event_logs SET "timestamp" = "timestamp" - interval \'6 minutes\' WHERE id = ('
        "SELECT min(id) FROM event_logs WHERE dagster_event_type = 'PIPELINE_CANCELING')"
    )
    yield
    scene.instance.report_run_canceled(run)


@contextmanager
def endless_run(scene: Scene) -> Iterator[None]:
    run = scene.run(dg.DagsterRunStatus.STARTED, timedelta(minutes=70))
    yield
    scene.instance.report_run_canceled(run)


@contextmanager
def ageing_request(scene: Scene) -> Iterator[None]:
    scene.execute(
        "INSERT INTO sync.day_requests (day, reason, requested_at, not_before) "
        "VALUES (current_date, 'person', now() - interval '15 minutes', now() - interval '11 minutes')"
    )
    yield
    scene.execute("UPDATE sync.day_requests SET claimed_by_run = 'r'")


@contextmanager
def request_that_fails_for_hours(scene: Scene) -> Iterator[None]:
    scene.execute(
        "INSERT INTO sync.day_requests (day, reason, tries, requested_at, not_before) "
        "VALUES (current_date, 'person', 7, now() - interval '3 hours', now() + interval '50 minutes')"
    )
    yield
    scene.execute("UPDATE sync.day_requests SET claimed_by_run = 'r'")


@contextmanager
def waiting_webhook(scene: Scene) -> Iterator[None]:
    scene.execute(
        "INSERT INTO sync.webhook_deliveries (connector, delivery_id, ticket_id, body, received_at) "
        "VALUES ('zammad', '1', 1, '', now() - interval '11 minutes')"
    )
    yield
    scene.execute("UPDATE sync.webhook_deliveries SET processed_at = now()")


@contextmanager
def lag(scene: Scene) -> Iterator[None]:
    scene.execute("UPDATE sync.sync_runs SET carried_out_at = now() - interval '9 hours'")
    yield
    scene.execute("UPDATE sync.sync_runs SET carried_out_at = now()")


@contextmanager
def system_that_is_away(scene: Scene, status: int) -> Iterator[None]:
    """A real read of a real Kimai that answers so."""
    scene.world.office.control.add_fault("respond", status=status)
    with suppress(ConnectorError), scene.runtime.target() as target:
        target.fetch_directory()
    scene.let_last()
    yield
    scene.world.office.control.clear_faults()
    with scene.runtime.target() as target:
        target.fetch_directory()


@contextmanager
def feed_that_fails(scene: Scene) -> Iterator[None]:
    """The change feed meets a Zammad that is away, and later finds it back, as ticks of its sensor do."""
    scene.world.desk.control.add_fault("respond", status=502)
    with suppress(ConnectorError):
        ChangeFeed(scene.runtime).poll(datetime.now(UTC))
    scene.let_last()
    yield
    scene.world.desk.control.clear_faults()
    ChangeFeed(scene.runtime).poll(datetime.now(UTC))


@contextmanager
def source_that_nobody_reads(scene: Scene) -> Iterator[None]:
    scene.execute("UPDATE sync.sweeps SET ended_at = now() - interval '7 minutes' WHERE connector = 'zammad'")
    yield
    scene.execute("UPDATE sync.sweeps SET ended_at = now()")


@contextmanager
def target_that_nobody_reads(scene: Scene) -> Iterator[None]:
    scene.execute("UPDATE sync.sweeps SET ended_at = now() - interval '9 minutes' WHERE connector = 'kimai'")
    yield
    scene.execute("UPDATE sync.sweeps SET ended_at = now()")


@contextmanager
def without(url: str) -> Iterator[None]:
    """A database that takes nobody, as a server does that is going down."""
    place = make_url(url).set(drivername="postgresql")
    server = place.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{place.database}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [place.database]
        )
        yield
        connection.execute(f'ALTER DATABASE "{place.database}" ALLOW_CONNECTIONS true'.encode())


def dagsters_database_is_down(scene: Scene) -> AbstractContextManager[None]:
    return without(scene.dagster_url)


CAUSES: dict[str, tuple[str, Callable[[Scene], AbstractContextManager[None]]]] = {
    "dead daemon": ("daemons", dead_daemon),
    "one dead daemon": ("daemons", one_dead_daemon),
    "Dagster's database is down": ("daemons", dagsters_database_is_down),
    "failing ticks": ("automations", failing_ticks),
    "ticks that the database fails": ("automations", ticks_that_the_database_fails),
    "silent sensor": ("automations", silent_sensor),
    "queued run": ("queue", lambda scene: run_that_waits(scene, dg.DagsterRunStatus.QUEUED)),
    "starting run": ("queue", lambda scene: run_that_waits(scene, dg.DagsterRunStatus.STARTING)),
    "canceling run": ("queue", run_that_is_cancelled_again_and_again),
    "endless run": ("long_runs", endless_run),
    "ageing request": ("day_requests", ageing_request),
    "request that fails for hours": ("day_requests", request_that_fails_for_hours),
    "waiting webhook": ("webhooks", waiting_webhook),
    "lag": ("sync", lag),
    "503 of Kimai": ("kimai", lambda scene: system_that_is_away(scene, 503)),
    "refused token": ("kimai", lambda scene: system_that_is_away(scene, 401)),
    "failing change feed": ("zammad", feed_that_fails),
    "source that nobody reads": ("zammad", source_that_nobody_reads),
    "target that nobody reads": ("kimai", target_that_nobody_reads),
}
