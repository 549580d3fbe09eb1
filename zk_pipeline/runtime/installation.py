"""Which installation uses a database: one at a time, or several with the same name on purpose.

The web app of an installation holds a lock under its name. The lock ends within seconds of its process, machine or
network.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from zk_pipeline.connectors import plugins
from zk_pipeline.connectors.plugins import LatePlugin
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import Settings

LOCK = "zk:installation"
LONGEST_NAME = 63
"""Bytes of a connection's name that PostgreSQL shows."""

_SECONDS_BETWEEN_CHECKS = 2.0


@contextmanager
def hold_database(runtime: Runtime) -> Iterator[None]:
    """Hold the database for this installation. Raises `SetupError` if another one holds it."""
    with runtime.database.kept_lock(LOCK, installation_name(runtime.settings)) as taken:
        while not taken.wait(_SECONDS_BETWEEN_CHECKS) and not require_unused_database(runtime):
            pass
        yield


def require_unused_database(runtime: Runtime) -> bool:
    """Whether an installation of this name uses the database. Raises `SetupError` if one of another name does."""
    holder = runtime.database.holder_of(LOCK)
    if holder is None:
        return False
    if holder.name == installation_name(runtime.settings):
        return True
    raise SetupError(
        f"Stop the installation {holder.name!r}, which has used this database since "
        f"{holder.since:%Y-%m-%d %H:%M} UTC, or give this one its own database (ZK_DATABASE_URL). To share it, set the "
        "same ZK_INSTALLATION for both."
    )


def needing_restart(runtime: Runtime) -> list[LatePlugin]:
    """The plug-ins that the running installation does not use, or not as they are now; none while nothing runs."""
    holder = runtime.database.holder_of(LOCK)
    if holder is None:
        return []
    # In the web app, its own start counts: it may have lost its connection to the database since.
    return plugins.late_plugins(min(plugins.STARTED, holder.since))


def installation_name(settings: Settings) -> str:
    """ZK_INSTALLATION, or else the machine and the end of the path of the home."""
    if settings.installation:
        return settings.installation
    machine, home = os.uname().nodename[:20], str(settings.home)
    return f"{machine}:{home[-(LONGEST_NAME - len(machine) - 1) :]}".encode("ascii", "replace").decode()
