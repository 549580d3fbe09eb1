"""The resources: the database, Zammad and Kimai, and what one run shares of them. Each is opened on first use."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime

import dagster as dg
from pydantic import Field, PrivateAttr
from sqlalchemy import make_url

from zk_pipeline.connectors.contract import SourceConnector, TargetConnector
from zk_pipeline.defs.run_launcher import process_name, run_lock
from zk_pipeline.runtime import logs, tracing
from zk_pipeline.runtime.environment import shared_environment
from zk_pipeline.runtime.logs import LogFormat
from zk_pipeline.runtime.run_tags import (
    COMMAND,
    FAILURE_TAG,
    FORMER_OVERRIDE_TAG,
    OVERRIDE_TAG,
    REASON_TAG,
    REQUEST_TAG,
    is_started_by_person,
    range_of,
    range_subject,
)
from zk_pipeline.runtime.runtime import Runtime, SetupError, open_runtime, utc_now
from zk_pipeline.runtime.schedules import DEEP_CHECK
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.systems import ConnectedSystems, RunContext, open_systems
from zk_pipeline.store import runs
from zk_pipeline.store.encryption import EncryptionError

_log = logging.getLogger(__name__)

DEV_CLI = "DAGSTER_IS_DEV_CLI"
"""Set by Dagster in the processes of `dagster dev`."""


class DatabaseResource(dg.ConfigurableResource):
    """PostgreSQL: what was read of both systems, the entries, the plan, the ledger of writes, decisions and audit."""

    address: str = Field(description="Where it is, from ZK_DATABASE_URL.")

    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)
    _runtime: Runtime | None = PrivateAttr(default=None)

    @property
    def runtime(self) -> Runtime:
        """Settings and database."""
        if self._runtime is None:
            if load_settings().database_url is None:
                shared_environment()
            self._runtime = self._opened.enter_context(open_runtime())
        return self._runtime

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close it."""
        del context
        self._opened.close()
        self._runtime = None


class ZammadResource(dg.ConfigurableResource):
    """Zammad, where agents book their time, or the ticket system whose connector is active instead of it.

    It is read. Only what `ZK_WRITE_BACK` switches on is written into its tickets.
    """

    database: DatabaseResource
    url: str = Field(description="ZK_ZAMMAD_URL; the stored connector counts (`zk connectors list`).")
    timeout: float = Field(description="Seconds for an answer: ZK_HTTP_TIMEOUT.")

    @contextmanager
    def connector(self) -> Iterator[SourceConnector]:
        """For an asset of your own. Requests are counted, and pauses that the system requested are kept."""
        with open_systems(self.database.runtime) as systems:
            yield systems.source


class KimaiResource(dg.ConfigurableResource):
    """Kimai, from which the firm bills. Only runs in the pool `kimai` write there, as far as the push mode allows."""

    database: DatabaseResource
    url: str = Field(description="ZK_KIMAI_URL; the stored connector counts (`zk connectors list`).")
    timeout: float = Field(description="Seconds for an answer: ZK_HTTP_TIMEOUT.")
    concurrency: int = Field(description="Writes at the same time: ZK_KIMAI_CONCURRENCY.")
    push_mode: str = Field(description="What may be written: ZK_PUSH_MODE.")

    @contextmanager
    def connector(self) -> Iterator[TargetConnector]:
        """For an asset of your own. Requests are counted, and pauses that the system requested are kept."""
        with open_systems(self.database.runtime) as systems:
            yield systems.target


class ZkResource(dg.ConfigurableResource):
    """What the steps of one run share: settings, database, and both systems with what the run knows of them."""

    database: DatabaseResource

    _run: RunContext | None = PrivateAttr(default=None)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)
    _systems: ConnectedSystems | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Keep the run, if there is one, trace it, and name it in every log line."""
        if context.run is None or context.run.run_id is None:
            return
        tags, settings = context.run.tags, load_settings()
        if tags.get(FAILURE_TAG) and context.instance:  # Copied from the run that this one repeats.
            context.instance.add_run_tags(context.run.run_id, {FAILURE_TAG: ""})
        self._run = RunContext(
            context.run.run_id,
            range_of(tags),
            by_person=is_started_by_person(tags),
            at_once=tags.get(REASON_TAG) == COMMAND,
            in_development=DEV_CLI in os.environ and not settings.dev_push,
            reads_all=context.run.job_name == DEEP_CHECK,
        )
        tracing.set_up(settings)
        self._opened.enter_context(logs.log_context(run_id=self._run.id))
        self._opened.enter_context(tracing.run(self._run.id, context.run.job_name))
        if settings.log_format is LogFormat.JSON:
            logs.set_up(LogFormat.JSON)  # A run begins in its own process, which has no log yet.
        # Wrong settings are reported by the stage that needs them.
        with suppress(SetupError, EncryptionError):
            self._opened.enter_context(self.runtime.database.kept_lock(run_lock(self._run.id), process_name()))
            if FORMER_OVERRIDE_TAG in tags:
                _log.warning("The run tag %s is now %s; the old one goes in 0.3.", FORMER_OVERRIDE_TAG, OVERRIDE_TAG)
            if OVERRIDE_TAG in tags or FORMER_OVERRIDE_TAG in tags:
                self._run = replace(self._run, overrides_limits=self._may_override(self._run, context.run))

    def _may_override(self, run: RunContext, started: dg.DagsterRun) -> bool:
        """Whether an unspent request of somebody who may override the limits is about this run."""
        about = range_subject(*run.span) if run.span else ""
        token = started.tags.get(REQUEST_TAG, "")
        with self.runtime.database.transaction() as connection:
            return runs.spend(connection, token, started.job_name, about, run.id) is not None

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close what was opened."""
        del context
        try:
            if self._systems is not None:
                self._systems.close()
        finally:
            self._opened.close()
            if self._run is not None:
                tracing.flush()  # The process of a run ends without normal teardown.
        self._systems = None

    @property
    def runtime(self) -> Runtime:
        """Settings and database."""
        return self.database.runtime

    @property
    def systems(self) -> ConnectedSystems:
        """Both systems, opened on first use."""
        if self._systems is None:
            self._systems = ConnectedSystems(self.runtime, self._run, self.now)
        return self._systems

    @property
    def source(self) -> SourceConnector:
        """The connector to the source."""
        return self.systems.source

    @property
    def target(self) -> TargetConnector:
        """The connector to the target."""
        return self.systems.target

    def now(self) -> datetime:
        """The current instant, in UTC."""
        return utc_now()


def database_of_settings() -> DatabaseResource:
    """The database as the settings say."""
    url = load_settings().database_url
    if url is None:
        return DatabaseResource(address="embedded, in ZK_HOME")
    where = make_url(url.get_secret_value())
    host, port = where.host or where.query.get("host", "localhost"), where.port or where.query.get("port", 5432)
    return DatabaseResource(address=f"{host}:{port}/{where.database}")


def resources_of_settings() -> dict[str, dg.ConfigurableResource]:
    """All resources by the names under which assets and sensors take them."""
    settings, database = load_settings(), database_of_settings()
    return {
        "database": database,
        "zammad": ZammadResource(database=database, url=settings.zammad_url, timeout=settings.http_timeout),
        "kimai": KimaiResource(
            database=database,
            url=settings.kimai_url,
            timeout=settings.http_timeout,
            concurrency=settings.kimai_concurrency,
            push_mode=settings.push_mode.value,
        ),
        "zk": ZkResource(database=database),
    }
