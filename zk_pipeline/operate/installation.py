"""Which installation works on a database: one at a time, or several that were given the same name on purpose.

The web app, of which every installation has one, holds a lock under the installation's name. The lock ends within
seconds with its process, machine or network, so what died never keeps the next one out for long.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.runtime.settings import Settings

LOCK = "zk:installation"
LONGEST_NAME = 63
"""Bytes that PostgreSQL shows of the name of a connection."""

_SECONDS_BETWEEN_LOOKS = 2.0


@contextmanager
def hold_database(runtime: Runtime) -> Iterator[None]:
    """Hold the database for this installation for the length of the block. Raises `SetupError` when another has it."""
    with runtime.database.kept_lock(LOCK, installation_name(runtime.settings)) as taken:
        while not taken.wait(_SECONDS_BETWEEN_LOOKS) and not require_unused_database(runtime):
            pass
        yield


def require_unused_database(runtime: Runtime) -> bool:
    """Raise `SetupError` when an installation of another name works on this database; whether one of this name does."""
    holder = runtime.database.holder_of(LOCK)
    if holder is None:
        return False
    if holder.name == installation_name(runtime.settings):
        return True
    raise SetupError(
        f"The installation {holder.name!r} has worked on this database since {holder.since:%Y-%m-%d %H:%M} UTC. Stop "
        "that one, or give this one a database of its own (ZK_DATABASE_URL). If they are to share it, set the same "
        "ZK_INSTALLATION for both."
    )


def installation_name(settings: Settings) -> str:
    """The name that was set or, without one, the machine and the end of the path of its home."""
    if settings.installation:
        return settings.installation
    machine, home = os.uname().nodename[:20], str(settings.home)
    return f"{machine}:{home[-(LONGEST_NAME - len(machine) - 1) :]}".encode("ascii", "replace").decode()
