"""Dagster's code server, whose runs start at once: `python -m zk_pipeline.supervisor.code_server`, options as usual.

Dagster starts a new interpreter for every run, which imports everything again and takes seconds. Here a run is forked
from a process of one thread that has imported everything and done nothing else.
"""

import multiprocessing
from multiprocessing import forkserver
from typing import Any

from dagster._cli.api import grpc_command
from dagster._grpc import server

from zk_pipeline import logs
from zk_pipeline.settings import load_settings

IMPORTED = [
    "dagster._grpc.impl",
    "dagster_postgres",
    "psycopg",
    "psycopg2",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "zk_pipeline.connectors.kimai",
    "zk_pipeline.connectors.zammad",
    "zk_pipeline.definitions",
]


class ForkingApiServer(server.DagsterApiServer):
    """Dagster's API server with another start of its runs; all else, such as their termination, stays."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Should a later Dagster not know this name, runs start as slowly as without it.
        self._mp_ctx = multiprocessing.get_context("forkserver")


def main() -> None:
    """Serve as `dagster api grpc` does."""
    multiprocessing.set_forkserver_preload(IMPORTED)
    forkserver.ensure_running()
    server.DagsterApiServer = ForkingApiServer
    # What sensors and schedules log by way of Dagster, Dagster writes itself.
    logs.set_up(load_settings().log_format, "zk_pipeline")
    grpc_command()


if __name__ == "__main__":
    main()
