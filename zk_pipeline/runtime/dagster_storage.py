"""Where Dagster keeps its runs and events: in the database that is named, or else in the embedded one."""

import os
from typing import Any

from dagster_postgres import DagsterPostgresStorage

from zk_pipeline.runtime.dagster_internals import complete_tables, keep_connections, remember_tables
from zk_pipeline.runtime.environment import shared_environment


class Storage(DagsterPostgresStorage):
    """PostgreSQL at ZK_DAGSTER_URL. Where that is not set, the embedded server is found or started.

    So `dagster dev` and Dagster's other commands work without `zk up`, which sets the variable for its processes.
    """

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> DagsterPostgresStorage:
        """Called by Dagster. Raises the typed errors of settings, database and encryption."""
        if not os.environ.get("ZK_DAGSTER_URL"):
            shared_environment()
        url = os.environ["ZK_DAGSTER_URL"]
        config: Any = {**config_value, "postgres_url": url, "should_autocreate_tables": False}
        storage = super().from_config_value(inst_data, config)
        if url not in _COMPLETE:  # Each tick of a sensor makes an instance.
            complete_tables(storage)
            _COMPLETE.add(url)
        keep_connections(storage)
        remember_tables(storage)
        return storage


_COMPLETE = set[str]()
"""The databases in which this process has seen all of Dagster's tables."""
