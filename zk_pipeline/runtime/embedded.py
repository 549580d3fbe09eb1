"""The embedded PostgreSQL server: one per ZK_HOME, running as long as any process uses it.

Three lock files in the home control its life cycle. They are flocks, which the kernel releases however a process
ends, so a `kill -9` leaves nothing to clean up:

- `postgres.users.lock` is shared by all users; a leaving process that can lock it exclusively was the last.
- `postgres.turn.lock` lets one process at a time start or stop the server.
- `postgres.alive.lock` is inherited by the server and held until its last process ends. Unlike the pid in
  `postmaster.pid`, it cannot be mistaken for another process, and other containers see it too.
"""

import hashlib
import os
import re
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from zk_pipeline.runtime.embedded_programs import (
    MAJOR_VERSION,
    OTHERWISE,
    EmbeddedServerError,
    OsAccount,
    account_for,
    can_reach,
    hand_over,
    initialize,
    last_lines,
    program,
    run,
)
from zk_pipeline.store.files import lock_file, locks_at_once, share, turn

__all__ = [
    "DAGSTER_DATABASE",
    "DATABASE",
    "DatabaseEndpoint",
    "EmbeddedDatabase",
    "EmbeddedServerError",
    "embedded_server",
    "stop_unless_used",
]

DATABASE = "zk"
DAGSTER_DATABASE = "dagster"

_ROLE = "zk"
_PORT = 5432  # Only part of the socket's name; there is no TCP listener.
_SECONDS_TO_START = 120  # Includes recovery after a crash.
_SECONDS_TO_STOP = 60
_SECONDS_BETWEEN_LOOKS = 0.01
_SECONDS_TO_ANSWER = 5
_ANSWERS = (0, 1)
"""Of `pg_isready`: it accepts connections, or it rejects them just now."""
_LOG_LIMIT_BYTES = 5_000_000
_SOCKET_PATH_LIMIT = 103  # Bytes, on the strictest system; Linux takes 107.


@dataclass(frozen=True, slots=True)
class DatabaseEndpoint:
    """Where the server listens: the directory of its Unix socket.

    There is no password: only root and the account that owns the data files can enter the directory, and both could
    read the data anyway.
    """

    host: str
    port: int = _PORT
    user: str = _ROLE

    def url(self, database: str = DATABASE) -> str:
        """SQLAlchemy URL for psycopg 3."""
        return self._url("postgresql+psycopg", database)

    def dagster_url(self, database: str = DAGSTER_DATABASE) -> str:
        """SQLAlchemy URL for psycopg2, which drives Dagster's storage."""
        return self._url("postgresql+psycopg2", database)

    def parameters(self, database: str = DATABASE) -> dict[str, Any]:
        """Connection parameters by their libpq names."""
        return {"host": self.host, "port": self.port, "user": self.user, "dbname": database}

    def environment(self) -> dict[str, str]:
        """Variables with which a child process uses this server instead of starting one."""
        return {"ZK_DATABASE_URL": self.url(), "ZK_DAGSTER_URL": self.dagster_url()}

    def _url(self, driver: str, database: str) -> str:
        return f"{driver}://{self.user}@/{database}?host={self.host}&port={self.port}"


@contextmanager
def embedded_server(home: Path, *, joins: bool = False) -> Iterator[DatabaseEndpoint]:
    """Use the server of `home`: start it if needed, and stop it on leaving if no other process uses it.

    Inside the block the databases `zk` and `dagster` exist; whoever `joins` a server that its parent has used takes
    that as given, and spares the memory that finding out needs. A child process gets `DatabaseEndpoint.environment()`
    and does not count as a user, so its parent must outlive it.

    Raises:
        EmbeddedServerError: the server cannot be started, joined or stopped.

    """
    cluster, process = _Cluster(home.expanduser().resolve()), os.getpid()
    with _explained(cluster):
        cluster.home.mkdir(parents=True, exist_ok=True)
        waiting, users = lock_file(cluster.lock("turn")), lock_file(cluster.lock("users"))
    with waiting, users:
        try:
            with turn(waiting), _explained(cluster):
                share(users)
                endpoint = _start_or_join(cluster, joins=joins)
            yield endpoint
        finally:
            if os.getpid() == process:  # A forked child that unwinds through here leaves its parent's server alone.
                with turn(waiting), _explained(cluster):
                    if _is_last(users, cluster):
                        _stop(cluster)


def stop_unless_used(home: Path) -> None:
    """Stop the server of `home` for a process that shared the lock of its users by itself, if nobody else does.

    Raises `EmbeddedServerError`.
    """
    cluster = _Cluster(home.expanduser().resolve())
    with (
        _explained(cluster),
        lock_file(cluster.lock("turn")) as waiting,
        lock_file(cluster.lock("users")) as users,
        turn(waiting),
    ):
        if _is_last(users, cluster):
            _stop(cluster)


class EmbeddedDatabase:
    """The server of a home, watched and restarted by a process inside `embedded_server`."""

    def __init__(self, home: Path) -> None:
        self._cluster = _Cluster(home.expanduser().resolve())

    def lives(self) -> bool:
        """Whether any process of the server is alive; cheap to ask."""
        try:
            return _is_alive(self._cluster)
        except OSError:  # Without its home, nothing is known and nothing could be started.
            return True

    def answers(self) -> bool:
        """Whether it responds within five seconds, even if only to say that it is starting or out of connections."""
        postmaster = _postmaster(self._cluster)
        if postmaster is None:
            return False
        at = postmaster.endpoint
        asked = (program("pg_isready"), "-q", "-h", at.host, "-p", str(at.port), "-U", at.user, "-d", DATABASE)
        # As many seconds again for a program that hangs itself.
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                (*asked, "-t", str(_SECONDS_TO_ANSWER)), check=False, timeout=2 * _SECONDS_TO_ANSWER
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode in _ANSWERS

    def start(self) -> None:
        """Start it if it is not running, and wait until it has recovered. Raises `EmbeddedServerError`."""
        with _explained(self._cluster), lock_file(self._cluster.lock("turn")) as waiting, turn(waiting):
            _start_or_join(self._cluster, joins=True)

    def kill(self) -> None:
        """Kill a server that does not answer; it recovers as after a power cut."""
        postmaster = _postmaster(self._cluster)
        if postmaster and self.lives():
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The files of the server in `home`."""

    home: Path

    @property
    def data(self) -> Path:
        return self.home / "postgres"

    @property
    def pid_file(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    def lock(self, name: str) -> Path:
        return self.home / f"postgres.{name}.lock"


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """The contents of a server's pid file."""

    pid: int
    endpoint: DatabaseEndpoint
    ready: bool

    def listens(self) -> bool:
        """Whether the server accepts connections; its socket alone may be left over."""
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"{self.endpoint.host}/.s.PGSQL.{self.endpoint.port}")
            except OSError:
                return False
            return True


def _start_or_join(cluster: _Cluster, *, joins: bool = False) -> DatabaseEndpoint:
    deadline = time.monotonic() + _SECONDS_TO_START
    log_offset: int | None = None
    while time.monotonic() < deadline:
        with lock_file(cluster.lock("alive")) as alive:
            if locks_at_once(alive):
                if log_offset is not None:
                    raise _failed_start(cluster, log_offset)
                log_offset = _launch(cluster, alive)
        postmaster = _postmaster(cluster)
        if postmaster and postmaster.ready and postmaster.listens():
            if joins:
                return postmaster.endpoint
            try:
                _ensure_databases(postmaster.endpoint)
            except ConnectionError:
                if postmaster.listens():
                    raise
                continue  # It was just killed and is being restarted.
            return postmaster.endpoint
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    raise EmbeddedServerError(
        f"The PostgreSQL server of {cluster.home} runs but cannot be reached from here within {_SECONDS_TO_START} s; "
        f"see {cluster.log}, use it from the container that started it, {OTHERWISE}."
    )


def _stop(cluster: _Cluster) -> None:
    deadline = time.monotonic() + _SECONDS_TO_STOP
    sockets: Path | None = None
    while _is_alive(cluster):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The PostgreSQL server of {cluster.home} does not stop within {_SECONDS_TO_STOP} s; "
                f"see {cluster.log}. The next user of this home joins it."
            )
        postmaster = _postmaster(cluster)
        if postmaster and postmaster.listens():  # Otherwise its pid may belong to another process or another container.
            sockets = Path(postmaster.endpoint.host)
            with suppress(ProcessLookupError):
                os.kill(postmaster.pid, signal.SIGINT)  # Fast shutdown; repeated in case it came too early.
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if sockets:
        with suppress(OSError):  # Kept if it holds anything else.
            sockets.rmdir()


def _launch(cluster: _Cluster, alive: IO[bytes]) -> int:
    """Start a server that inherits the lock `alive`; return the size that its log had before."""
    _refuse_foreign_server(cluster)
    account = account_for(cluster.data)
    if not cluster.data.exists():
        initialize(cluster.home, cluster.data, _ROLE, account, alive)
    hand_over(cluster.data, account)
    _check_version(cluster)
    sockets = _socket_directory(cluster, account)
    # The free lock proves that no server is left: the pid file is stale, even if its pid is in use again.
    for leftover in (cluster.pid_file, *sockets.glob(".s.PGSQL.*")):
        leftover.unlink(missing_ok=True)
    if cluster.log.exists() and cluster.log.stat().st_size > _LOG_LIMIT_BYTES:
        cluster.log.replace(f"{cluster.log}.1")
    arguments: list[str | Path] = ["-p", str(_PORT), "-k", sockets]
    arguments += ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
    cluster.log.touch(0o600)
    with cluster.log.open("ab") as log:
        offset = log.tell()
        run(
            "postgres",
            cluster.data,
            arguments,
            account,
            background=True,
            stdout=log,
            stderr=log,
            pass_fds=[alive.fileno()],
            start_new_session=True,  # Keeps Ctrl-C in our terminal away from the server.
        )
    return offset


def _refuse_foreign_server(cluster: _Cluster) -> None:
    """Refuse to start beside a server started by hand: it holds none of our locks, and two would destroy the data."""
    postmaster = _postmaster(cluster)
    if postmaster and postmaster.listens():
        raise EmbeddedServerError(
            f"A PostgreSQL server started by hand (process {postmaster.pid}) uses {cluster.data}; "
            f"stop it with `pg_ctl stop -D {cluster.data}`, {OTHERWISE}."
        )


def _check_version(cluster: _Cluster) -> None:
    version = (cluster.data / "PG_VERSION").read_text().strip()
    if version != str(MAJOR_VERSION):
        raise EmbeddedServerError(
            f"{cluster.data} was made by PostgreSQL {version}, but this release brings {MAJOR_VERSION}; run "
            f"`zk backup` with the release that made it, move the directory away, run `zk restore`, {OTHERWISE}."
        )


def _socket_directory(cluster: _Cluster, account: OsAccount | None) -> Path:
    """Make the socket's directory where its path is short enough for a Unix socket.

    Its name survives restarts, so that clients can reconnect. It differs from that of an earlier cluster in the same
    home, whose server may still be shutting down and then removes its socket.
    """
    system_identifier = (cluster.data / "global" / "pg_control").read_bytes()[:8]
    name = f"zk-{hashlib.sha256(system_identifier + os.fsencode(cluster.home)).hexdigest()[:16]}"
    base = tempfile.gettempdir()
    fits = re.fullmatch(r"[\w./-]+", base, re.ASCII) and len(f"{base}/{name}/.s.PGSQL.{_PORT}") <= _SOCKET_PATH_LIMIT
    if not fits or not can_reach(account, Path(base)):
        base = "/tmp"  # noqa: S108 - whose directory it is gets checked below
    directory = Path(base, name)
    with suppress(FileExistsError):
        directory.mkdir(0o700)
    status = directory.lstat()
    private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700
    if not private or status.st_uid not in {os.geteuid(), account.uid if account else os.geteuid()}:
        raise EmbeddedServerError(
            f"{directory}, for the socket of {cluster.home}, belongs to another account or is open to others; "
            f"remove it, point TMPDIR to a directory of your own, {OTHERWISE}."
        )
    hand_over(directory, account)
    return directory


def _postmaster(cluster: _Cluster) -> _Postmaster | None:
    try:
        lines = cluster.pid_file.read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5:  # Still being written.
        return None
    pid, _directory, _start_time, port, host, *rest = lines
    ready = len(rest) == 3 and rest[2].strip() == "ready"
    return _Postmaster(int(pid), DatabaseEndpoint(host=host, port=int(port)), ready)


def _ensure_databases(endpoint: DatabaseEndpoint) -> None:
    """Raises `ConnectionError` if the server does not answer, and `OSError` if it refuses."""
    # Those who join a server that others made keep the memory that its import takes.
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    try:
        with psycopg.connect(**endpoint.parameters("postgres"), autocommit=True, connect_timeout=10) as connection:
            # The session of a user killed while creating one may still be ending: wait for it.
            connection.execute("SELECT pg_advisory_lock(1)")
            existing = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in (DATABASE, DAGSTER_DATABASE):
                if name not in existing:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise ConnectionError(error) from error
    except psycopg.Error as error:
        raise OSError(error) from error


def _failed_start(cluster: _Cluster, log_offset: int) -> EmbeddedServerError:
    with cluster.log.open("rb") as log:
        log.seek(log_offset)
        lines = last_lines(log.read().decode(errors="replace"))
    return EmbeddedServerError(
        f"The PostgreSQL server of {cluster.home} did not start; remove the cause that {cluster.log} names, "
        f"{OTHERWISE}. Its last lines:\n{lines}"
    )


@contextmanager
def _explained(cluster: _Cluster) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(
            f"The embedded PostgreSQL server cannot use {cluster.home}: {error}; "
            f"correct that, choose another ZK_HOME, {OTHERWISE}."
        ) from error


def _is_alive(cluster: _Cluster) -> bool:
    with lock_file(cluster.lock("alive")) as alive:
        return not locks_at_once(alive)


def _is_last(users: IO[bytes], cluster: _Cluster) -> bool:
    """Whether no other process uses the server; if its home was removed, the server ends by itself."""
    with suppress(FileNotFoundError):
        same_home = os.path.samestat(os.fstat(users.fileno()), cluster.lock("users").stat())
        return same_home and locks_at_once(users)
    return False
