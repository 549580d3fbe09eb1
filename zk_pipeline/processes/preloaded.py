"""Processes that are forked from one that has imported everything: `python -m zk_pipeline.processes.preloaded`.

Web app, code server, web server and daemon import Dagster or the console, which takes each of them seconds and a
hundred megabytes. Here one process of one thread does it for all. What is forked from it starts at once, and shares its
memory. Where that is not possible, they are started as usual.

The two processes talk over a socket, one JSON object a packet: an argv is answered by a pid with its pidfd; the end of
a process is reported with its exit code. When the socket is closed, the forking process ends; what it forked goes on.
"""

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

OF_RUNS = (
    "dagster_postgres",
    "psycopg",
    "psycopg2",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "zk_pipeline.connectors.kimai.connector",
    "zk_pipeline.connectors.zammad.connector",
    "zk_pipeline.pipeline",
)
"""What runs need. Not the definitions, in which all assets, jobs and schedules come together: they depend on what is
stored, and a restarted code server reads them again."""

OF_ALL = (
    *OF_RUNS,
    "dagster_webserver.app",
    "zk_pipeline.defs.checks",
    "zk_pipeline.defs.housekeeping",
    "zk_pipeline.defs.marts",
    "zk_pipeline.defs.schedules",
    "zk_pipeline.defs.sensors",
    "zk_pipeline.processes.code_server",
    "zk_pipeline.processes.daemon",
    "zk_pipeline.web.dagster_ui.server",
    "zk_pipeline.web.server",
)

NOT_PRELOADED = ("aiohttp", "pygments", "rich")
"""What libraries import when it is there, and can do without: a second client, and colours."""

UNKNOWN_EXIT_CODE = 255
"""Of a process that outlived the one it was forked from."""

_FEW_ARENAS = {"MALLOC_ARENA_MAX": "1"}
"""Each thread would allocate from a heap of its own, though only one of them works at a time."""
_LONGEST_PACKET = 1 << 16
_ARG_START = 45  # Of /proc/self/stat behind the name of the program: where its command line begins and ends.
_LONGEST_TITLE = 500  # Room for the command lines of what is forked.
_SECONDS_TO_END = 5.0
_SECONDS_TO_REPORT = 5.0


class ForkedProcess:
    """A forked process, with what a supervisor needs of `subprocess.Popen`."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = None
        self.returncode: int | None = None
        self.reported: SimpleQueue[int] = SimpleQueue()
        self._pidfd: int | None = pidfd
        self._lock = threading.Lock()

    def wait(self) -> int:
        """Wait for its end, in one thread; the exit code, negative for a signal."""
        if self._pidfd is None:
            return self.returncode or 0
        with selectors.DefaultSelector() as selector:
            selector.register(self._pidfd, selectors.EVENT_READ)
            selector.select()
        with self._lock:
            os.close(self._pidfd)
            self._pidfd = None
        try:
            self.returncode = self.reported.get(timeout=_SECONDS_TO_REPORT)
        except Empty:
            self.returncode = UNKNOWN_EXIT_CODE
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)


class Preloader:
    """Starts the forking process, and has it fork others. Use it in one thread."""

    def __init__(self, environment: Mapping[str, str], log: IO[bytes], pass_fds: Sequence[int] = ()) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._started: SimpleQueue[ForkedProcess | None] = SimpleQueue()
        self._ready, self._ended = threading.Event(), threading.Event()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                (sys.executable, "-m", __name__, " " * _LONGEST_TITLE),
                env={**_FEW_ARENAS, **os.environ, **environment},
                stdin=theirs.fileno(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the forking process."""
        return self._process.pid

    @property
    def is_settled(self) -> bool:
        """Whether it can fork now, or never will."""
        return self._ready.is_set() or self._ended.is_set()

    def start(self, argv: Sequence[str], output: IO[bytes] | None) -> ForkedProcess | None:
        """Fork what `python -m MODULE OPTIONS` would run; `None` where that has to be started as usual.

        Without `output`, the process's `stdout` is a pipe.
        """
        can_fork = self._ready.is_set() and not self._ended.is_set()
        if not can_fork or tuple(argv[:2]) != (sys.executable, "-m"):
            return None
        reader, writer = os.pipe()
        try:
            sent = output.fileno() if output else writer
            socket.send_fds(self._control, [json.dumps(argv[2:]).encode()], [sent])
        except OSError:
            os.close(reader)
            return None
        finally:
            os.close(writer)
        process = self._started.get()
        if process is None or output:
            os.close(reader)
        else:
            process.stdout = os.fdopen(reader, "rb")
        return process

    def close(self) -> None:
        """End the forking process; what it forked goes on."""
        with suppress(OSError):  # It has ended.
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._control.close()

    def _listen(self) -> None:
        """Take what the forking process reports, until it ends."""
        forked: dict[int, ForkedProcess] = {}
        while packet := _receive(self._control):
            message, pidfds = packet
            match message:
                case {"started": pid}:
                    forked[pid] = ForkedProcess(pid, *pidfds)
                    self._started.put(forked[pid])
                case {"ended": pid, "code": code}:
                    forked.pop(pid).reported.put(code)
                case _:
                    self._ready.set()
        self._ended.set()
        self._started.put(None)
        for process in forked.values():
            process.reported.put(UNKNOWN_EXIT_CODE)


def set_title(title: str) -> None:
    """Show this in place of the command line, as far as that is long enough: `ps` would show the same for all."""
    with suppress(OSError, ValueError):
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        first, end = int(fields[_ARG_START]), int(fields[_ARG_START + 1])
        if 0 < first < end:
            shown = title.encode()[: end - first - 1]
            ctypes.memmove(first, shown.ljust(end - first, b"\0"), end - first)


def main() -> None:
    """Import everything, then fork on request until the socket, which is standard input, is closed."""
    control = socket.socket(fileno=os.dup(0))
    # A service manager sends it to every process at once; this one ends after those that it reports on.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    set_title("zk_pipeline.processes.preloaded")
    absent: dict[str, Any] = dict.fromkeys(NOT_PRELOADED)
    sys.modules.update(absent)
    for name in OF_ALL:
        import_module(name)
    for name in import_module("zk_pipeline.runtime.dagster_internals").PRELOADED:
        import_module(name)
    for name in NOT_PRELOADED:  # A process that needs one of them imports it.
        del sys.modules[name]
    _require_pidfds()
    # Memory that is never looked at for garbage stays shared.
    gc.collect()
    gc.freeze()
    _send(control, {"ready": True})
    if argv := _fork_on_request(control):
        module = import_module(argv[0])
        set_title(" ".join(argv))
        sys.argv = [module.__file__ or argv[0], *argv[1:]]
        module.main()


def _require_pidfds() -> None:
    """Fail before anything is forked where it could not be watched: Linux before 5.3, or a sandbox that forbids it."""
    own = os.pidfd_open(os.getpid())
    signal.pidfd_send_signal(own, 0)
    os.close(own)


def _fork_on_request(control: socket.socket) -> list[str] | None:
    """In each forked process, its argv without `python -m`; in this one `None` at the end."""
    with control, selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not control:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    _, status = os.waitpid(key.data, 0)
                    _send(control, {"ended": key.data, "code": os.waitstatus_to_exitcode(status)})
                    continue
                if (packet := _receive(control)) is None:
                    return None
                argv, (output,) = packet
                known, knows = os.pipe()
                if (pid := os.fork()) == 0:
                    for other in selector.get_map().values():
                        if other.fileobj is not control:
                            os.close(other.fd)
                    os.close(knows)
                    if not os.read(known, 1):
                        os._exit(1)  # Nobody would stop it.
                    os.close(known)
                    _become_a_process(output)
                    return argv
                os.close(output)
                os.close(known)
                pidfd = os.pidfd_open(pid)
                selector.register(pidfd, selectors.EVENT_READ, pid)
                if _send(control, {"started": pid}, [pidfd]):
                    os.write(knows, b"1")
                os.close(knows)


def _become_a_process(output: int) -> None:
    """As `subprocess.Popen` has it: a session of its own, nothing to read, and this output."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, wanted in enumerate((nothing, output, output)):
        os.dup2(wanted, number)
    os.close(nothing)
    os.close(output)


def _send(control: socket.socket, message: Mapping[str, Any], fds: Sequence[int] = ()) -> bool:
    """Whether it was taken; whoever asked may be gone, as the next look shows."""
    try:
        socket.send_fds(control, [json.dumps(message).encode()], fds)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _receive(control: socket.socket) -> tuple[Any, list[int]] | None:
    """A packet with its file descriptors, `None` at the end."""
    try:
        packet, fds, *_ = socket.recv_fds(control, _LONGEST_PACKET, 1)
    except OSError:
        return None
    return (json.loads(packet), fds) if packet else None


if __name__ == "__main__":
    main()
