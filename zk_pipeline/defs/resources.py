"""The resource of the assets: runtime and connectors, opened on first use and shared by a run's steps."""

import logging
import os
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime

import dagster as dg
from pydantic import PrivateAttr

from zk_pipeline.connectors.contract import SourceConnector, TargetConnector
from zk_pipeline.defs.run_launcher import process_name, run_lock
from zk_pipeline.runtime import logs, tracing
from zk_pipeline.runtime.environment import shared_environment
from zk_pipeline.runtime.logs import LogFormat
from zk_pipeline.runtime.run_tags import (
    COMMAND,
    FORMER_OVERRIDE_TAG,
    OVERRIDE_TAG,
    REASON_TAG,
    REQUEST_TAG,
    is_started_by_person,
    range_of,
    range_subject,
)
from zk_pipeline.runtime.runtime import Runtime, SetupError, open_runtime, utc_now
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.stages.systems import ConnectedSystems, RunContext
from zk_pipeline.store import runs
from zk_pipeline.store.encryption import EncryptionError

_log = logging.getLogger(__name__)

DEV_CLI = "DAGSTER_IS_DEV_CLI"
"""Set by Dagster in the processes of `dagster dev`."""


class ZkResource(dg.ConfigurableResource):
    """Database, source and target of this deployment, from the environment and the stored connectors."""

    _run: RunContext | None = PrivateAttr(default=None)
    _opened: ExitStack = PrivateAttr(default_factory=ExitStack)
    _runtime: Runtime | None = PrivateAttr(default=None)
    _systems: ConnectedSystems | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Keep the run, if there is one, trace it, and name it in every log line."""
        if context.run is None or context.run.run_id is None:
            return
        tags, settings = context.run.tags, load_settings()
        self._run = RunContext(
            context.run.run_id,
            range_of(tags),
            by_person=is_started_by_person(tags),
            at_once=tags.get(REASON_TAG) == COMMAND,
            in_development=DEV_CLI in os.environ and not settings.dev_push,
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
        self._runtime = self._systems = None

    @property
    def runtime(self) -> Runtime:
        """Settings and database."""
        if self._runtime is None:
            if load_settings().database_url is None:
                shared_environment()
            self._runtime = self._opened.enter_context(open_runtime())
        return self._runtime

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
