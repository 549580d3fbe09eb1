"""The operations on homes of the command tests: their embedded PostgreSQL and the demo's simulated systems."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr

from zk_pipeline.runtime.runtime import Runtime, open_runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline_tests.cli.conftest import ZONE, Home, _systems, homes, sandbox, start, zk, zk_home

__all__ = ["_systems", "homes", "sandbox", "start", "zk", "zk_home"]


@contextmanager
def runtime_of(home: Home) -> Iterator[Runtime]:
    """The runtime of a home in which a command has been run, which has stored its connectors."""
    given: dict[str, Any] = {
        "home": home.path,
        "timezone": ZONE,
        "database_url": SecretStr(home.variables["ZK_DATABASE_URL"]),
        "encryption_key": SecretStr(home.variables["ZK_ENCRYPTION_KEY"]),
    }
    settings = Settings(_env_file=None, **given)  # pyright: ignore[reportCallIssue]
    with open_runtime(settings) as runtime:
        yield runtime
