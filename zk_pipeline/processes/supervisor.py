"""The supervisor: starts, watches, restarts and stops child processes."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

from zk_pipeline.processes.groups import SECONDS_TO_END, end_groups, exists
from zk_pipeline.processes.health_check import SECONDS_OF_SILENCE, SECONDS_TO_START
from zk_pipeline.processes.home import HomeLock, SupervisorError
from zk_pipeline.processes.preloaded import ForkedProcess, Preloader
from zk_pipeline.runtime.embedded import EmbeddedDatabase, EmbeddedServerError
from zk_pipeline.store.files import close_directory

LOG_LIMIT_BYTES = 5_000_000
LONGEST_DELAY_SECONDS = 60.0
SECONDS_OF_HEALTH = 30.0
"""A process that ran longer than this before it ended is restarted as after a first failure."""

_SECONDS_BETWEEN_CHECKS = 0.1
_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_BETWEEN_QUESTIONS = 5.0
_SECONDS_ASLEEP = 10.0  # A longer gap between two checks: this process was suspended, so silence does not count.
_SECONDS_UNTIL_NOTICE = 3.0
_SECONDS_OF_ONE_REQUEST = 1.0
_LOG_LINES_SHOWN = 10
_MOST_DOUBLINGS = 10
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class ManagedProcess:
    """A process to run. Processes of one `order` start and stop together; stopping is in reverse order.

    `ready` says whether it has started, `answered_at` when it last responded by the monotonic clock, `None` if it does
    not. When stopped it gets `seconds_to_finish`. With `ends_on_request`, exit code 0 means that it was asked to
    reload, not a failure.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], bool]
    order: int
    seconds_to_finish: float = SECONDS_TO_END
    ends_on_request: bool = False
    answered_at: Callable[[], float | None] | None = None


@dataclass(frozen=True, slots=True)
class SupervisorListener:
    """Callbacks: `notify` gets sentences, `ready` a process and its seconds, `echo` lines of output."""

    notify: Callable[[str], None]
    ready: Callable[[str, float], None]
    started: Callable[[], None]
    stopping: Callable[[], None] = lambda: None
    echo: Callable[[str, str], None] | None = None


@dataclass(eq=False, slots=True)
class _Child:
    """A running process, and since when it is silent. Until its first answer it has the time to start."""

    part: ManagedProcess
    process: subprocess.Popen[bytes] | ForkedProcess
    started_at: float = field(default_factory=time.monotonic)
    silent_since: float = field(default_factory=lambda: time.monotonic() + SECONDS_TO_START)
    has_answered: bool = False

    def note_answer(self, at: float) -> None:
        if at >= self.started_at:  # Otherwise the process before it answered.
            self.silent_since = max(self.silent_since, at) if self.has_answered else at
            self.has_answered = True

    def is_silent(self, now: float) -> bool:
        return self.part.answered_at is not None and now - self.silent_since > SECONDS_OF_SILENCE


class _StopAsked(Exception):  # noqa: N818 - not an error
    """A signal asked to stop."""


def restart_delay(failures: int) -> float:
    """Seconds before the next restart: doubled with each failure in a row, at most a minute."""
    return min(2.0 ** min(failures - 1, _MOST_DOUBLINGS), LONGEST_DELAY_SECONDS)


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; rotate it first if it is too long."""
    close_directory(path.parent)
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(f"{path}.1")
    return path.open("ab")


class Supervisor:
    """Runs processes and the embedded database, if there is one.

    A process that ends or hangs is restarted after a delay, without limit; while the database is down, restarts wait
    for it. Use it in the main thread, because it handles signals.
    """

    def __init__(
        self,
        held: HomeLock,
        listener: SupervisorListener,
        *,
        watchdog: Sequence[str],
        database: EmbeddedDatabase | None = None,
        preloads: bool = False,
    ) -> None:
        self._held = held
        self._listener = listener
        self._watchdog = watchdog
        self._database = _DatabaseMonitor(database) if database else None
        self._preloads = preloads
        self._preloader: Preloader | None = None
        self._looked_at = time.monotonic()
        self._children: list[_Child] = []
        self._orphans: list[int] = []  # Groups whose first process has ended, but not all others.
        self._failures: Counter[str] = Counter()  # In a row, by process name.
        self._due: list[tuple[float, ManagedProcess]] = []
        self._asked_at = -math.inf
        # From threads and signal handlers: a child that ended, or `None` for a signal to stop.
        self._events: SimpleQueue[_Child | None] = SimpleQueue()

    def run(self, parts: Sequence[ManagedProcess]) -> None:
        """Start the processes in order, keep them running until a signal, then stop them in reverse order.

        Raises `SupervisorError` if one does not start. One that is killed meanwhile is restarted.
        """
        with self._signals(), self._watchdog_running():
            try:
                self._preload(parts)
                ordered = sorted(parts, key=lambda part: part.order)
                for _, together in groupby(ordered, key=lambda part: part.order):
                    self._start_together(list(together))
                self._listener.started()
                self._watch()
            except _StopAsked:
                pass
            finally:
                self._listener.stopping()
                self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        former = {number: signal.signal(number, lambda *_: self._events.put(None)) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextmanager
    def _watchdog_running(self) -> Iterator[None]:
        """Run the watchdog, which ends the children if this process is killed, when its standard input closes."""
        with subprocess.Popen(  # noqa: S603 - our own command
            self._watchdog,
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[self._held.children_lock.fileno()],
        ):
            yield

    def _preload(self, parts: Sequence[ManagedProcess]) -> None:
        """Import once what the processes need, where it can be forked afterwards."""
        if not self._preloads or sys.platform != "linux":
            return
        with open_log(self._held.home / "logs" / "preloaded.log") as log:
            lock = self._held.children_lock.fileno()
            self._preloader = Preloader(
                {name: value for part in parts for name, value in part.environment.items()}, log, [lock]
            )
        began = time.monotonic()
        while not self._preloader.is_settled and time.monotonic() - began < SECONDS_TO_START:
            self._next_end(_SECONDS_BETWEEN_CHECKS)

    def _start_together(self, parts: Sequence[ManagedProcess]) -> None:
        began = tried_at = time.monotonic()
        for part in parts:
            self._start(part)
        waiting = list(parts)
        while waiting:
            ended = self._next_end(_SECONDS_BETWEEN_CHECKS)
            if ended is not None and _failed_to_start(ended, waiting) and not self._database_failed():
                raise SupervisorError(self._exit_report(ended, "ended before it was ready"))
            self._check(ended)
            if ended is not None:  # It is restarted, and has the time to start again.
                tried_at = time.monotonic()
            if time.monotonic() - tried_at > SECONDS_TO_START:
                raise SupervisorError(
                    f"See {self._log(waiting[0])}: the {waiting[0].name} is not ready after {SECONDS_TO_START:.0f} s."
                )
            for part in [part for part in waiting if part.ready()]:
                waiting.remove(part)
                self._listener.ready(part.name, time.monotonic() - began)

    def _watch(self) -> None:
        while True:
            due = min((instant for instant, _ in self._due), default=math.inf)
            self._check(self._next_end(min(_SECONDS_BETWEEN_LOOKS, max(0.0, due - time.monotonic()))))

    def _check(self, ended: _Child | None) -> None:
        """Kill what hangs, and restart what is due unless the database is down."""
        if ended is not None:
            self._plan_restart(ended)
        now = time.monotonic()
        if now - self._looked_at > _SECONDS_ASLEEP or self._database_is_away(now):
            self._reset_silence(time.monotonic())
        self._looked_at = time.monotonic()
        if self._database and self._database.away_since is not None:
            return
        for child in [child for child in self._children if child.is_silent(now)]:
            self._listener.notify(f"The {child.part.name} does not answer; it is killed and restarted.")
            child.silent_since = now + SECONDS_TO_END
            child.process.kill()  # Not its group: its runs continue without the code server.
        for instant, part in list(self._due):
            if instant <= now:
                self._due.remove((instant, part))
                self._start(part)

    def _database_is_away(self, now: float) -> bool:
        """Check the database, and restart it when due."""
        watched = self._database
        return watched is not None and watched.check(now, self._listener.notify)

    def _database_failed(self) -> bool:
        """Whether the database is down or has just recovered, which explains why another process ended."""
        watched = self._database
        if watched is None:
            return False
        return watched.check(time.monotonic(), self._listener.notify) or watched.failures > 0

    def _reset_silence(self, now: float) -> None:
        for child in self._children:
            child.silent_since = max(child.silent_since, now)

    def _plan_restart(self, ended: _Child) -> None:
        now = time.monotonic()
        if ended.part.ends_on_request and ended.process.returncode == 0:
            self._due.append((now, ended.part))
            self._listener.notify(f"The {ended.part.name} ended as requested; it is restarted.")
            return
        if now - ended.started_at > SECONDS_OF_HEALTH:
            self._failures[ended.part.name] = 0
        self._failures[ended.part.name] += 1
        delay = restart_delay(self._failures[ended.part.name])
        self._due.append((now + delay, ended.part))
        how = _exit_text(ended.process)
        self._listener.notify(f"The {ended.part.name} ended {how}; it is restarted in {delay:.0f} s.")

    def _start(self, part: ManagedProcess) -> None:
        log = open_log(self._log(part))
        child = _Child(part, self._forked(part, log) or self._executed(part, log))
        self._children.append(child)
        self._record()
        threading.Thread(target=self._await_end, args=(child,), daemon=True).start()
        if part.answered_at is not None:
            threading.Thread(target=_poll, args=(child, part.answered_at), daemon=True).start()
        if self._listener.echo:
            threading.Thread(target=_copy, args=(child, log, self._listener.echo), daemon=True).start()
        else:
            log.close()

    def _forked(self, part: ManagedProcess, log: IO[bytes]) -> ForkedProcess | None:
        return self._preloader and self._preloader.start(part.argv, None if self._listener.echo else log)

    def _executed(self, part: ManagedProcess, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own command
            part.argv,
            env={**os.environ, **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._listener.echo else log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Its own group, which Ctrl-C in our terminal does not reach.
            pass_fds=[self._held.children_lock.fileno()],
        )

    def _await_end(self, child: _Child) -> None:
        child.process.wait()
        self._events.put(child)

    def _next_end(self, seconds: float | None) -> _Child | None:
        """The next child that ended, `None` on timeout. Raises `_StopAsked` on a signal."""
        try:
            ended = self._events.get(timeout=seconds)
        except Empty:
            return None
        if ended is None:
            return self._raise_on_stop()
        self._children.remove(ended)
        self._orphans.append(ended.process.pid)  # Runs continue without their code server.
        self._record()
        return ended

    def _raise_on_stop(self) -> None:
        now = time.monotonic()
        # A wrapper may pass Ctrl-C on a second time.
        if now - self._asked_at > _SECONDS_OF_ONE_REQUEST:
            self._asked_at = now
            raise _StopAsked

    def _record(self) -> None:
        self._orphans = [group for group in self._orphans if exists(group)]
        self._held.record([*(child.process.pid for child in self._children), *self._orphans])

    def _stop(self) -> None:
        ordered = sorted(self._children, key=lambda child: child.part.order, reverse=True)
        for _, together in groupby(ordered, key=lambda child: child.part.order):
            self._stop_together(list(together))
        end_groups(self._orphans)
        self._record()
        if self._preloader:
            self._preloader.close()

    def _stop_together(self, children: Sequence[_Child]) -> None:
        names = " and the ".join(child.part.name for child in children)
        self._listener.notify(f"Stopping the {names}.")
        for child in children:
            child.process.terminate()  # Not its group: it stops its own children.
        began = time.monotonic()
        patience = max(child.part.seconds_to_finish for child in children)
        with suppress(_StopAsked):  # Asked again: do not wait.
            self._wait_for(children, began + min(patience, _SECONDS_UNTIL_NOTICE))
            if any(child in self._children for child in children):
                self._listener.notify(
                    f"Waiting up to {patience:.0f} s for running work; press Ctrl-C again to end it now."
                )
                self._wait_for(children, began + patience)
        end_groups([child.process.pid for child in children])

    def _wait_for(self, children: Sequence[_Child], deadline: float) -> None:
        while any(child in self._children for child in children) and time.monotonic() < deadline:
            self._next_end(max(0.0, deadline - time.monotonic()))

    def _log(self, part: ManagedProcess) -> Path:
        return self._held.home / "logs" / f"{part.name.replace(' ', '-')}.log"

    def _exit_report(self, ended: _Child, what: str) -> str:
        path = self._log(ended.part)
        lines = "\n".join(path.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:])
        return f"The {ended.part.name} {what} ({_exit_text(ended.process)}); see {path}. Last lines:\n{lines}"


class _DatabaseMonitor:
    """Watches the embedded database, and restarts it."""

    def __init__(self, database: EmbeddedDatabase) -> None:
        self._database = database
        self._started_at = self._answered_at = time.monotonic()
        self._asking: threading.Thread | None = None
        self._due = 0.0
        self.away_since: float | None = None
        self.failures = 0

    def check(self, now: float, notify: Callable[[str], None]) -> bool:
        """Whether the database is down; does and reports what is due."""
        if self.away_since is not None:
            if now >= self._due:
                self._start(now, notify)
            return True
        if not self._database.lives():
            self._plan(now, notify, "The database ended")
            return True
        self._ask(now)
        if now - self._answered_at > SECONDS_OF_SILENCE:
            notify("The database does not answer; it is killed.")
            self._database.kill()
            self._answered_at = now
        return False

    def _plan(self, now: float, notify: Callable[[str], None], what: str) -> None:
        if self.away_since is None and now - self._started_at > SECONDS_OF_HEALTH:
            self.failures = 0
        self.failures += 1
        delay = restart_delay(self.failures)
        self.away_since = now if self.away_since is None else self.away_since
        self._due = now + delay
        notify(f"{what}; it is restarted in {delay:.0f} s, and everything else waits for it.")

    def _start(self, now: float, notify: Callable[[str], None]) -> None:
        try:
            self._database.start()
        except EmbeddedServerError as error:
            self._plan(now, notify, f"The database did not start ({str(error).splitlines()[0]})")
            return
        done = time.monotonic()
        notify(f"The database is back after {done - (self.away_since or now):.0f} s.")
        self.away_since, self._started_at, self._answered_at = None, done, done

    def _ask(self, now: float) -> None:
        """Ask in the background, from time to time."""
        if self._asking is not None and self._asking.is_alive():
            return
        if now - self._answered_at < _SECONDS_BETWEEN_QUESTIONS:
            return
        self._asking = threading.Thread(target=self._note_answer, daemon=True)
        self._asking.start()

    def _note_answer(self) -> None:
        if self._database.answers():
            self._answered_at = time.monotonic()


def _failed_to_start(ended: _Child, waiting: Sequence[ManagedProcess]) -> bool:
    """Whether it ended by itself before it was ready. One that was killed, or was ready, is restarted."""
    return ended.part in waiting and (ended.process.returncode or 0) >= 0


def _poll(child: _Child, answered_at: Callable[[], float | None]) -> None:
    """Record when a child last answered, for as long as it runs."""
    while child.process.returncode is None:
        if (at := answered_at()) is not None:
            child.note_answer(at)
        time.sleep(_SECONDS_BETWEEN_QUESTIONS)


def _copy(child: _Child, log: IO[bytes], echo: Callable[[str, str], None]) -> None:
    """Copy a child's output to its log and to the listener."""
    output = child.process.stdout
    with log:
        for line in output or ():
            log.write(line)
            log.flush()
            echo(child.part.name, line.decode(errors="replace").rstrip())


def _exit_text(process: subprocess.Popen[bytes] | ForkedProcess) -> str:
    code = process.returncode or 0
    return f"by signal {-code}" if code < 0 else f"with code {code}"
