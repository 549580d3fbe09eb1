"""The one resource of the assets: runtime and connectors, opened when first used and shared by a run's steps."""

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime

import dagster as dg
from pydantic import PrivateAttr

from zk_pipeline import logs
from zk_pipeline.connectors.base import SourceConnector, TargetConnector
from zk_pipeline.connectors.http import LONGEST_WAIT_SECONDS
from zk_pipeline.defs.run_launcher import process_name, run_lock
from zk_pipeline.logs import LogFormat
from zk_pipeline.run_tags import COMMAND, REASON_TAG, range_of
from zk_pipeline.runtime import Role, Runtime, SetupError, open_runtime
from zk_pipeline.settings import load_settings
from zk_pipeline.store import reachability, requests, traffic
from zk_pipeline.store.database import DatabaseUnavailableError
from zk_pipeline.store.encryption import EncryptionError
from zk_pipeline.tracing import spans

_log = logging.getLogger(__name__)


class ZkResource(dg.ConfigurableResource):
    """Database, source and target of this deployment, as the environment and the stored connectors give them."""

    _run_id: str | None = PrivateAttr(default=None)
    _tags: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)
    _runtime: Runtime | None = PrivateAttr(default=None)
    _source: SourceConnector | None = PrivateAttr(default=None)
    _target: TargetConnector | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run, if it is for one, trace it, and name it in every line of the log."""
        self._run_id = context.run.run_id if context.run else None
        if context.run is None or self._run_id is None:
            return
        self._tags = context.run.tags
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
            self._note_waiting()
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

    def _note_waiting(self) -> None:
        """What this run leaves undone because a system is away waits for that system, not for a pause of its own."""
        span = range_of(self._tags)
        for connector in (self._source, self._target):
            if span is None or connector is None or not (connector.standing and connector.standing.problem):
                continue
            try:
                with self.runtime.database.transaction() as connection:
                    requests.wait_for(connection, connector.endpoint.name, *span)
            except DatabaseUnavailableError as error:
                _log.warning("The days of this run do not wait for %s. %s", connector.endpoint.name, error)

    def _await(self, role: Role) -> None:
        """Wait until a system that asked to be left alone may be asked. Whoever started the run by hand does not."""
        if self._run_id is None or self._tags.get(REASON_TAG) == COMMAND:
            return
        name = self.runtime.stored(role).name
        with self.runtime.database.transaction() as connection:
            until = reachability.load(connection, name).wait_until(self.now())
        if until is None:
            return
        seconds = (until - self.now()).total_seconds()
        if seconds > LONGEST_WAIT_SECONDS:
            if span := range_of(self._tags):
                with self.runtime.database.transaction() as connection:
                    requests.wait_for(connection, name, *span)
            raise SetupError(
                f"{name.title()} asked to be left alone until {until.astimezone(UTC):%H:%M:%S} UTC. "
                "The days that were asked for are run when it answers again; `zk sync` asks it at once."
            )
        time.sleep(max(0.0, seconds))

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
            self._await("source")
            self._source = self._opened.enter_context(self.runtime.source())
        return self._source

    @property
    def target(self) -> TargetConnector:
        """The connector to the target."""
        if self._target is None:
            self._await("target")
            self._target = self._opened.enter_context(self.runtime.target())
        return self._target

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return datetime.now(UTC)
