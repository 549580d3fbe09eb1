"""Running sandbox servers: in a thread for tests, or both in a child process for benchmarks and the demo."""

import json
import socket
import subprocess
import sys
import threading
from datetime import date
from types import TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from zk_sandbox.faults import CLOSE_CONNECTION

HOST = "127.0.0.1"
STOP_SECONDS = 15


class _ClosableProtocol(HttpToolsProtocol):
    """Hands the app a way to close the client's socket without answering."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CLOSE_CONNECTION: self.transport.close}  # pyright: ignore[reportGeneralTypeIssues]


class _Server(uvicorn.Server):
    """Tells another thread when start-up has finished or failed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.settled.set()


class ServerThread:
    """An ASGI app served by a thread while the `with` block lasts, by default to this machine; port 0 is a free one.

    Raises OSError if the port is taken.
    """

    def __init__(self, app: ASGIApp, port: int = 0, host: str = HOST) -> None:
        config = uvicorn.Config(
            app,
            http=_ClosableProtocol,
            lifespan="off",
            access_log=False,
            log_level="error",
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._listen_on = (host, port)
        self._thread: threading.Thread | None = None
        self.url = ""

    def __enter__(self) -> Self:
        listener = socket.create_server(self._listen_on, backlog=512)
        self.url = f"http://{self._listen_on[0]}:{listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        self._server.settled.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)


class SandboxProcess:
    """Both sandbox servers in a child process while the `with` block lasts."""

    def __init__(
        self,
        data: str = "empty",
        *,
        ends: date | None = None,
        latency: float = 0.0,
        zammad_port: int = 0,
        kimai_port: int = 0,
    ) -> None:
        self._command = [
            sys.executable, "-m", "zk_sandbox", "--data", data, "--latency", str(latency),
            "--zammad-port", str(zammad_port), "--kimai-port", str(kimai_port),
            *(("--ends", ends.isoformat()) if ends else ()),
        ]  # fmt: skip
        self._process: subprocess.Popen[str] | None = None
        self.zammad_url = self.zammad_token = self.kimai_url = self.kimai_token = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - a fixed command
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"The sandbox ended with code {self._process.wait()} before it listened.")
        access = json.loads(line)
        self.zammad_url, self.zammad_token = access["zammad_url"], access["zammad_token"]
        self.kimai_url, self.kimai_token = access["kimai_url"], access["kimai_token"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
