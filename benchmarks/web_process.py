"""The web app as a process of its own on a free port."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from zk_pipeline.processes.groups import wait_until

SECONDS_TO_START = 30


@contextmanager
def web_app(**variables: str) -> Iterator[int]:
    """The port on which it answers, with these variables in addition to those of the deployment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    given = {**os.environ, "ZK_WEB_PORT": str(port), **variables}
    with subprocess.Popen([sys.executable, "-m", "zk_pipeline.web.server"], env=given) as process:
        try:
            if not wait_until(lambda: _is_healthy(port), SECONDS_TO_START):
                raise RuntimeError(f"The web app does not answer within {SECONDS_TO_START} s.")
            yield port
        finally:
            process.terminate()


def _is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/api/health", trust_env=False).is_success
    except httpx.HTTPError:
        return False
