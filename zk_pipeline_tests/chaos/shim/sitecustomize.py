"""What a test does to the machine of a place, in each Python process there: names that do not resolve, and its clock.

`CHAOS_SWITCHES` is a directory: while the file `no-dns` is in it, the names of the simulated systems resolve no more.
"""

import os
import socket
from pathlib import Path
from typing import Any

NAMES = ("desk.test", "office.test")
CLOCK = {"LD_PRELOAD", "CHAOS_CLOCK"}
SWITCHES = Path(os.environ["CHAOS_SWITCHES"]) if "CHAOS_SWITCHES" in os.environ else None

_resolve = socket.getaddrinfo


def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    """As usual, but for the simulated systems, which live on this machine."""
    if host not in NAMES:
        return _resolve(host, *arguments, **options)
    if SWITCHES is not None and (SWITCHES / "no-dns").exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _resolve("127.0.0.1", *arguments, **options)


socket.getaddrinfo = getaddrinfo

if "LD_PRELOAD" in os.environ:
    # PostgreSQL is started with an environment of its own, and has the same clock as everything on its machine.
    from zk_pipeline.runtime import embedded_programs

    embedded_programs._ENVIRONMENT.update({name: os.environ[name] for name in ("LD_PRELOAD", "CHAOS_CLOCK")})
