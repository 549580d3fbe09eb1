"""The place of a seed: both simulated systems, people, and `zk up` between them as real processes."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from zk_pipeline.domain.instants import local_day
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime import embedded_programs
from zk_pipeline.runtime.embedded import DATABASE, DatabaseEndpoint, embedded_server
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import ENV_FILE, load_settings
from zk_pipeline_tests.chaos.schedule import LATEST_EFFECT, SECONDS_BEFORE_TIMEOUT
from zk_pipeline_tests.chaos.shim import sitecustomize
from zk_pipeline_tests.cli.test_up import Up, free_port, processes_of, zk_up
from zk_pipeline_tests.defs.conftest import PREPARED
from zk_pipeline_tests.defs.gate import Gate
from zk_pipeline_tests.defs.people import FIRST, People
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, ZAMMAD_TOKEN, ZONE, Desk, Office, World
from zk_pipeline_tests.store.embedded_users import server_pid
from zk_sandbox.client import SandboxControl
from zk_sandbox.control import Simulated, with_control
from zk_sandbox.kimai import KimaiServer
from zk_sandbox.server import ServerThread
from zk_sandbox.zammad import ZammadServer

SECRET = "signature-token-of-the-fault-matrix"
SECONDS_TO_START = 300
SECONDS_TO_END = 60
DAYS_BEFORE = timedelta(days=30)
"""How long before the others the first booking was made (`People.old`)."""

SHIM = Path(__file__).with_name("shim")

QUICK = {
    "ZK_TIMEZONE": ZONE.key,
    "ZK_POLL_SECONDS": "5",
    "ZK_KIMAI_POLL_SECONDS": "10",
    "ZK_RETRY_SECONDS": "1",
    "ZK_HTTP_TIMEOUT": str(SECONDS_BEFORE_TIMEOUT),
    "ZK_KIMAI_TIME_LIMIT": str(2 * LATEST_EFFECT),
    "ZK_WEBHOOK_SECRET": SECRET,
}


class InTurn:
    """A simulated system that handles no request while a person holds the turn: edits are atomic, as in a database."""

    def __init__(self, simulated: Simulated, turn: threading.RLock) -> None:
        self._simulated, self._turn = simulated, turn
        self.snapshot, self.restore, self.configure = simulated.snapshot, simulated.restore, simulated.configure

    def app(self) -> ASGIApp:
        """The system's own routes, in turn with people."""
        inner = self._simulated.app()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            with self._turn:
                await inner(scope, receive, send)

        return app


@dataclass
class Place:
    """Everything of one home. Each seed has days of its own, upon what the seeds before it left."""

    world: World
    people: People
    turns: tuple[threading.RLock, ...]
    variables: dict[str, str]
    database: DatabaseEndpoint
    home: Path
    seeds: int = 0
    _started: ExitStack = field(default_factory=ExitStack)
    _up: Up | None = None

    @property
    def days(self) -> list[tuple[date, date]]:
        """The ranges of days on which anything was booked: long ago, in the seeds' weeks, and just now."""
        long_ago, today = FIRST - DAYS_BEFORE, local_day(datetime.now(UTC), ZONE)
        return [(long_ago, long_ago), self.weeks, (today - timedelta(days=1), today)]

    @property
    def weeks(self) -> tuple[date, date]:
        """The days of the seeds until now, from the first to the last."""
        return FIRST, self.people.last

    def begin(self, seed: int) -> None:
        """Give the people the dice and the days of another seed."""
        self.people.dice, self.people.first = Random(f"people of {seed}"), FIRST + timedelta(weeks=self.seeds)
        self.seeds += 1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold both systems while a person acts."""
        zammad, kimai = self.turns
        with zammad, kimai:
            yield

    @property
    def up(self) -> Up:
        """The `zk up` that runs now."""
        assert self._up is not None
        return self._up

    def start(self) -> Up:
        """Start `zk up` as a service manager does; it is not waited for."""
        self._up = self._started.enter_context(zk_up(self.home, self.variables, free_port()))
        return self._up

    def stop(self) -> None:
        """Stop it, if it runs."""
        self._started.close()

    def cut_power(self) -> int:
        """Kill everything of the home at once, the database too; how many processes that were."""
        killed = 0
        while pids := [pid for pid in processes_of(self.home) if _lives(pid)]:
            killed += _kill(pids)
        self._started.close()
        return killed

    def set_clock(self, jump: timedelta) -> None:
        """Set the clock of everything in this home, its database included, but not those of the simulated systems.

        On a machine without a C compiler it stays as it is.
        """
        if "CHAOS_CLOCK" not in self.variables:
            return
        with (self.home / "switches" / "clock").open("r+b") as clock:
            clock.write(struct.pack("d", jump.total_seconds()))

    def let_names_resolve(self, *, resolve: bool) -> None:
        """Whether the names of the simulated systems resolve."""
        switch = self.home / "switches" / "no-dns"
        switch.unlink(missing_ok=True) if resolve else switch.touch()

    def rows(self, query: str, database: str = DATABASE) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises psycopg.OperationalError while the database is away."""
        with psycopg.connect(**self.database.parameters(database)) as connection:
            return connection.execute(query.encode()).fetchall()

    def runs(self) -> list[int]:
        """The processes of runs: children of the one that runs are forked from."""
        forks = {pid for pid, command in processes_of(self.home).items() if "forkserver" in command}
        return [pid for pid in forks if _parent(pid) in forks]

    def kill(self, part: str) -> int:
        """Kill a part with everything about it that has this text in its command line; how many processes that were."""
        return _kill(pid for pid, command in processes_of(self.home).items() if part in command)

    def kill_run(self) -> int:
        """Kill the processes of the runs that are under way, if there are any."""
        return _kill(self.runs())

    def end_database(self, number: signal.Signals) -> None:
        """End the database: SIGINT ends its sessions, SIGQUIT is a crash, SIGKILL leaves them to notice by themselves.

        Nobody but the installation itself starts it again. Raises OSError when it is away already.
        """
        pid = server_pid(self.home)
        os.kill(pid, number)
        if not wait_until(lambda: not _lives(pid), SECONDS_TO_END):
            raise RuntimeError(f"The database did not end within {SECONDS_TO_END} s of {number.name}.")


@contextmanager
def open_place(home: Path) -> Iterator[Place]:
    """A place where `zk up` is ready; afterwards everything is stopped."""
    with furnished_place(home) as place:
        try:
            place.start().wait_for("Press Ctrl-C", SECONDS_TO_START)
            yield place
        finally:
            place.stop()


@contextmanager
def furnished_place(home: Path) -> Iterator[Place]:
    """Both systems furnished and activities mapped, with nothing running between them yet."""
    turns = (threading.RLock(), threading.RLock())
    zammad, kimai = ZammadServer({"zone": ZONE.key}), KimaiServer()
    zammad.add_reader(ZAMMAD_TOKEN)
    gate = Gate(with_control(InTurn(kimai, turns[1])))
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="zk-switches-") as switches,
        ServerThread(with_control(InTurn(zammad, turns[0]))) as zammad_server,
        ServerThread(gate) as kimai_server,
        SandboxControl(zammad_server.url) as zammad_control,
        SandboxControl(kimai_server.url) as kimai_control,
    ):
        desk, office = Desk(zammad, zammad_control), Office(kimai, kimai_control, gate)
        desk.furnish()
        office.furnish()
        variables = QUICK | {
            ENV_FILE: os.devnull,
            "ZK_HOME": str(home),
            "ZK_ZAMMAD_URL": zammad_server.url.replace("127.0.0.1", "desk.test"),
            "ZK_ZAMMAD_TOKEN": ZAMMAD_TOKEN,
            "ZK_KIMAI_URL": kimai_server.url.replace("127.0.0.1", "office.test"),
            "ZK_KIMAI_TOKEN": KIMAI_TOKEN,
        }
        _set(patch, variables)
        patch.setattr(socket, "getaddrinfo", sitecustomize.getaddrinfo)
        machine = _machine(home, Path(switches))
        for name in sitecustomize.CLOCK & machine.keys():
            patch.setitem(embedded_programs._ENVIRONMENT, name, machine[name])
        with embedded_server(home) as database, prepare(load_settings()) as environment:
            world = World(desk, office, environment)
            world.map_types()
            yield Place(world, People(world, Random()), turns, variables | machine, database, home)


def _machine(home: Path, switches: Path) -> dict[str, str]:
    """The variables by which the processes of a home have a clock and a resolver of their own.

    The switches are outside of the home, which is closed to the account that runs PostgreSQL for root.
    """
    switches.chmod(0o755)
    (home / "switches").symlink_to(switches)
    path = os.pathsep.join(filter(None, (str(SHIM), os.environ.get("PYTHONPATH", ""))))
    machine = {"PYTHONPATH": path, "CHAOS_SWITCHES": str(switches)}
    library = _clock_library()
    if library is None:
        return machine
    (switches / "clock").write_bytes(struct.pack("d", 0.0))
    return machine | {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(switches / "clock")}


@cache
def _clock_library() -> Path | None:
    """The library by which a test sets the clock of processes, `None` on a machine without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    directory = Path(tempfile.mkdtemp(prefix="zk-clock-"))
    directory.chmod(0o755)  # PostgreSQL is another account's where root runs the tests.
    library = directory / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SHIM / "clock.c", "-ldl"], check=True)
    return library


def _set(patch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    """Have nothing but these of our variables, and give all back afterwards, those too that preparing sets."""
    for name in [name for name in os.environ if name.startswith(("ZK_", "DAGSTER_"))]:
        patch.delenv(name)
    for name in PREPARED:
        patch.setenv(name, "")
    for name, value in variables.items():
        patch.setenv(name, value)


def _parent(pid: int) -> int:
    try:
        return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0  # It has ended meanwhile.


def _lives(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _kill(pids: Iterable[int]) -> int:
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed
