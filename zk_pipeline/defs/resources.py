"""The one resource of the assets: runtime and connectors, opened when first used and shared by a run's steps."""

import logging
from contextlib import ExitStack, suppress
from datetime import UTC, datetime

import dagster as dg
from pydantic import PrivateAttr

from zk_pipeline import logs
from zk_pipeline.connectors.base import SourceConnector, TargetConnector
from zk_pipeline.defs.run_launcher import process_name, run_lock
from zk_pipeline.logs import LogFormat
from zk_pipeline.runtime import Runtime, SetupError, open_runtime
from zk_pipeline.settings import load_settings
from zk_pipeline.store import traffic
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.tracing import spans

_log = logging.getLogger(__name__)


class ZkResource(dg.ConfigurableResource):
    """Database, source and target of this deployment, as the environment and the stored connectors give them."""

    _run_id: str | None = PrivateAttr(default=None)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)
    _runtime: Runtime | None = PrivateAttr(default=None)
    _source: SourceConnector | None = PrivateAttr(default=None)
    _target: TargetConnector | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run, if it is for one, trace it, and name it in every line of the log."""
        self._run_id = context.run.run_id if context.run else None
        if context.run is None or self._run_id is None:
            return
        settings = load_settings()
        spans.set_up(settings)
        self._opened.enter_context(logs.about(run_id=self._run_id))
        self._opened.enter_context(spans.run(self._run_id, context.run.job_name))
        if settings.log_format is LogFormat.JSON:
            logs.set_up(LogFormat.JSON)  # A run begins in a process of its own, which has no log yet.
        # What is wrong with the settings is said by the stage that needs them.
        with suppress(SetupError, EncryptionError):
            self._opened.enter_context(self.runtime.database.kept_lock(run_lock(self._run_id), process_name()))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close what was opened."""
        del context
        try:
            self._note_traffic()
        finally:
            self._opened.close()
            if self._run_id is not None:
                spans.flush()  # The process of a run ends without the usual ceremony.
        self._runtime = self._source = self._target = None

    def _note_traffic(self) -> None:
        """Add what was sent to the counts of each system; a database that is gone has better things to hear."""
        try:
            for connector in (self._source, self._target):
                if connector is not None and connector.traffic:
                    with self.runtime.database.transaction() as connection:
                        traffic.add(connection, connector.endpoint.name, connector.traffic)
        except DatabaseUnavailableError as error:
            _log.warning("The requests of this run are not counted. %s", error)

    @property
    def runtime(self) -> Runtime:
        """Settings and database."""
        if self._runtime is None:
            self._runtime = self._opened.enter_context(open_runtime())
        return self._runtime

    @property
    def source(self) -> SourceConnector:
        """The connector to the source."""
        if self._source is None:
            self._source = self._opened.enter_context(self.runtime.source())
        return self._source

    @property
    def target(self) -> TargetConnector:
        """The connector to the target."""
        if self._target is None:
            self._target = self._opened.enter_context(self.runtime.target())
        return self._target

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)
