"""The processes of `zk up`: our web app, and Dagster's code server, web server and daemon."""

import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from zk_pipeline.processes.health_check import CODE_SERVER, DAEMON_LOOPS, ask_http, last_beat
from zk_pipeline.processes.home import SupervisorError
from zk_pipeline.processes.supervisor import ManagedProcess
from zk_pipeline.runtime.logs import LogFormat
from zk_pipeline.runtime.project import LOCATION, PROJECT

HOST = "127.0.0.1"
"""Dagster's UI is reachable from this machine only; a proxy opens it to others (docs/deployment.md)."""

_CODE = ("-m", "zk_pipeline.definitions", "--location-name", LOCATION)
_WORKSPACE = ("-w", str(PROJECT / "workspace.yaml"))
_EVERYWHERE = {"0.0.0.0": HOST, "::": "::1"}  # noqa: S104 (recognized, not bound)
_SOCKET = "code.sock"
_LONGEST_PATH = 100  # Bytes.
_SECONDS_TO_ANSWER = 5.0
_FOR_RUNS = 60.0  # Seconds.


def managed_processes(
    variables: Mapping[str, str], code: Path, port: int, web_url: str, log_format: LogFormat = LogFormat.TEXT
) -> list[ManagedProcess]:
    """The processes. `variables` are those of the prepared environment.

    `code` is the socket of the code server, `web_url` the address of our web app.
    """
    listening = {"ZK_CODE_SOCKET": str(code), "ZK_PORT": str(port)}
    shared = {**variables, **listening, "PYTHONUNBUFFERED": "1"}
    dagster = f"http://{HOST}:{port}"
    began, home = time.monotonic(), Path(variables["ZK_HOME"])
    python = (sys.executable, "-m")
    log_options = ("--log-format", "json") if log_format is LogFormat.JSON else ()
    # On SIGTERM `dagster api grpc` ends after its runs; `dagster code-server` around it can take minutes.
    code_server = (*python, "zk_pipeline.processes.code_server", "--socket", str(code), *_CODE, *log_options)
    webserver = (*python, "zk_pipeline.web.dagster_ui.server", *_WORKSPACE, "--host", HOST, "--port", str(port))
    daemon = (*python, "zk_pipeline.processes.daemon", "run", *_WORKSPACE, *log_options)
    web = (*python, "zk_pipeline.web.server")
    ours, theirs = f"{web_url}/api/health", f"{dagster}/healthz"
    return [
        ManagedProcess("web app", web, shared, lambda: _succeeds(ours), 1, answered_at=lambda: _answered(ours)),
        ManagedProcess(
            "code server",
            code_server,
            shared,
            lambda: _listens(code),
            order=1,
            seconds_to_finish=_FOR_RUNS,
            ends_on_request=True,
            answered_at=lambda: last_beat(home, CODE_SERVER),
        ),
        ManagedProcess(
            "webserver", webserver, shared, lambda: _succeeds(theirs), 2, answered_at=lambda: _answered(theirs)
        ),
        ManagedProcess(
            "daemon",
            daemon,
            shared,
            lambda: (last_beat(home, DAEMON_LOOPS) or 0) > began,
            2,
            answered_at=lambda: last_beat(home),
        ),
    ]


@contextmanager
def code_socket(home: Path) -> Iterator[Path]:
    """The socket of the code server, which authenticates nobody, so its directory is closed to other accounts.

    Socket paths are limited to about a hundred bytes; for longer ones a temporary directory is used.
    """
    with ExitStack() as stack:
        directory = home / "run"
        if len(os.fsencode(directory / _SOCKET)) > _LONGEST_PATH:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="zk-")))
        yield directory / _SOCKET


def reachable_url(host: str, port: int) -> str:
    """The URL at which this machine reaches a server that listens on this host and port."""
    host = _EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def free_port(host: str, port: int, choose_with: str) -> Iterator[None]:
    """Hold a port until our server needs it. Raises `SupervisorError` if something else uses it."""
    try:
        held = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise SupervisorError(
            f"Stop what uses port {port} ({reason}), or choose another port with {choose_with}."
        ) from error
    with held:
        yield


def _listens(path: Path) -> bool:
    """Whether the code server listens, that is, has loaded the definitions."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_SECONDS_TO_ANSWER)
        try:
            asking.connect(str(path))
        except OSError:
            return False
    return True


def _answered(url: str) -> float | None:
    """The time, if there is any answer, even that the database is down."""
    answers, _ = ask_http(url)
    return time.monotonic() if answers else None


def _succeeds(url: str) -> bool:
    _, works = ask_http(url)
    return works
