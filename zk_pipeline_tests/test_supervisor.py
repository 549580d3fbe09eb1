"""The supervisor on small processes: order, restarts, and that nothing outlives it."""

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from zk_pipeline.processes import supervisor
from zk_pipeline.processes.code_server import close_directory
from zk_pipeline.processes.groups import end_groups, exists, wait_until
from zk_pipeline.processes.home import HomeLock, SupervisorError, SupervisorRecord, hold_home
from zk_pipeline.processes.programs import HOST, code_socket, free_port, managed_processes, reachable_url
from zk_pipeline.processes.supervisor import ManagedProcess, Supervisor, SupervisorListener, open_log
from zk_pipeline.runtime.dagster_server import LOCATION
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.store.encryption import generate_key

ADDRESS = "http://127.0.0.1:3000"
KEEPER = [sys.executable, "-m", "zk_pipeline.processes.watchdog"]

SERVES = """
import signal, sys
from pathlib import Path
journal, name = Path(sys.argv[1]), sys.argv[2]
def note(what):
    with journal.open("a") as file: file.write(f"{what} {name}\\n")
def stop(*_):
    note("stop")
    sys.exit()
signal.signal(signal.SIGTERM, stop)
note("start")
print("hello from", name, flush=True)
while True: signal.pause()
"""

DIES_ONCE = """
import os, signal, sys
from pathlib import Path
journal = Path(sys.argv[1])
again = journal.exists()
with journal.open("a") as file: file.write(f"{os.getpid()}\\n")
if again: os.kill(os.getppid(), signal.SIGTERM)
while True: signal.pause()
"""

ENDS_WHEN_ASKED = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
"""

IGNORES_SIGTERM = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: signal.pause()
"""

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline() and child.pid, flush=True)
child.wait()
"""


class Told:
    """A listener that remembers, and ends the supervisor once all parts are ready."""

    def __init__(self, *, stop: bool = True) -> None:
        self.sentences: list[str] = []
        self.ready: list[str] = []
        self.lines: list[tuple[str, str]] = []
        self._stop = stop

    def listener(self, *, echo: bool = False) -> SupervisorListener:
        return SupervisorListener(
            self.sentences.append,
            lambda name, _: self.ready.append(name),
            self._started,
            echo=(lambda name, line: self.lines.append((name, line))) if echo else None,
        )

    def _started(self) -> None:
        if self._stop:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def sigterm_as_usual() -> Iterator[None]:
    """Children inherit that a signal is ignored: so it is of SIGINT in a shell's background job, and Dagster lets
    SIGTERM follow it."""
    former = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, former)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[HomeLock]:
    with hold_home(tmp_path, ADDRESS) as held:
        yield held


def serving(journal: Path, name: str, order: int) -> ManagedProcess:
    argv = (sys.executable, "-c", SERVES, str(journal), name)
    return ManagedProcess(name, argv, {}, lambda: journal.exists() and f"start {name}\n" in journal.read_text(), order)


def supervise(held: HomeLock, told: Told, wanted: Sequence[ManagedProcess], *, echo: bool = False) -> None:
    Supervisor(held, told.listener(echo=echo), watchdog=[*KEEPER, str(held.home)]).run(wanted)


def test_parts_start_in_order_and_stop_in_reverse(held: HomeLock, tmp_path: Path) -> None:
    journal, told = tmp_path / "journal", Told()
    supervise(held, told, [serving(journal, "second", 2), serving(journal, "first", 1)])
    assert journal.read_text().splitlines() == ["start first", "start second", "stop second", "stop first"]
    assert told.ready == ["first", "second"]


def test_output_goes_to_a_log_for_each_part(held: HomeLock, tmp_path: Path) -> None:
    supervise(held, Told(), [serving(tmp_path / "journal", "code server", 1)])
    assert (tmp_path / "logs" / "code-server.log").read_text() == "hello from code server\n"


def test_output_is_shown_as_well_when_asked_for(held: HomeLock, tmp_path: Path) -> None:
    told = Told()
    supervise(held, told, [serving(tmp_path / "journal", "web", 1)], echo=True)
    assert wait_until(lambda: told.lines == [("web", "hello from web")], 90)
    assert (tmp_path / "logs" / "web.log").read_text() == "hello from web\n"


def test_a_part_that_ends_before_it_is_ready_is_reported_with_its_last_lines(held: HomeLock, tmp_path: Path) -> None:
    broken = ManagedProcess("web", (sys.executable, "-c", "print('no such table'); exit(3)"), {}, lambda: False, 1)
    with pytest.raises(
        SupervisorError, match=r"web ended before it was ready \(with code 3\).*web\.log.*\nno such tab"
    ):
        supervise(held, Told(), [broken])


def test_a_part_that_dies_is_started_again(held: HomeLock, tmp_path: Path) -> None:
    journal, told = tmp_path / "journal", Told(stop=False)

    def once_it_waits() -> bool:
        if not journal.exists():
            return False
        os.kill(int(journal.read_text()), signal.SIGKILL)
        return True

    supervise(
        held, told, [ManagedProcess("web", (sys.executable, "-c", DIES_ONCE, str(journal)), {}, once_it_waits, 1)]
    )
    assert len(journal.read_text().split()) == 2
    assert told.sentences[0] == "The web ended by signal 9; it is restarted in 1 s."


def test_a_part_that_is_killed_before_it_is_ready_is_started_again(held: HomeLock, tmp_path: Path) -> None:
    journal, told = tmp_path / "journal", Told(stop=False)
    killed: list[int] = []

    def never_ready() -> bool:
        if journal.exists() and not killed:
            killed.append(int(journal.read_text()))
            os.kill(killed[0], signal.SIGKILL)
        return False

    supervise(held, told, [ManagedProcess("web", (sys.executable, "-c", DIES_ONCE, str(journal)), {}, never_ready, 1)])
    assert told.sentences[0] == "The web ended by signal 9; it is restarted in 1 s."
    assert len(journal.read_text().split()) == 2


def test_a_part_that_was_ready_is_started_again_while_others_start(held: HomeLock) -> None:
    told, ended = Told(), "The web ended with code 1; it is restarted in 1 s."
    web = (sys.executable, "-c", "import time; time.sleep(0.5); exit(1)")
    daemon = (sys.executable, "-c", "import signal; signal.pause()")
    parts = [
        ManagedProcess("web", web, {}, lambda: True, 1),
        ManagedProcess("daemon", daemon, {}, lambda: ended in told.sentences, 2),
    ]
    supervise(held, told, parts)
    assert told.ready == ["web", "daemon"]


def test_a_part_that_was_asked_to_end_is_started_again_at_once_and_uses_up_no_restart(
    held: HomeLock, tmp_path: Path
) -> None:
    journal, told = tmp_path / "journal", Told(stop=False)

    def once_it_is_asked() -> bool:
        if not journal.exists():
            return False
        os.kill(int(journal.read_text()), signal.SIGTERM)
        return True

    code = (sys.executable, "-c", ENDS_WHEN_ASKED + DIES_ONCE, str(journal))
    supervise(held, told, [ManagedProcess("code", code, {}, once_it_is_asked, 1, ends_on_request=True)])
    assert len(journal.read_text().split()) == 2
    assert told.sentences[0] == "The code ended as requested; it is restarted."


def test_a_log_above_the_limit_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "web.log"
    path.parent.mkdir()
    path.write_bytes(b"x" * (supervisor.LOG_LIMIT_BYTES + 1))
    with open_log(path) as log:
        assert log.tell() == 0
    assert (tmp_path / "logs" / "web.log.1").stat().st_size == supervisor.LOG_LIMIT_BYTES + 1


def test_a_grandchild_that_ignores_sigterm_is_killed_with_its_group() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, IGNORES_SIGTERM], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        end_groups([parent.pid], seconds=0.2)
        assert not exists(parent.pid)
        with pytest.raises(ProcessLookupError):
            os.kill(grandchild, 0)


def test_the_keeper_ends_what_a_killed_supervisor_left(held: HomeLock) -> None:
    with sleeper() as left:
        held.record([left.pid])
        with subprocess.Popen([*KEEPER, str(held.home)], stdin=subprocess.PIPE) as watchdog:
            assert watchdog.stdin is not None
            watchdog.stdin.close()
            assert left.wait(90) == -signal.SIGTERM


def test_what_is_left_when_the_keeper_was_killed_too_is_ended_by_the_next_supervisor(tmp_path: Path) -> None:
    with (tmp_path / "up.parts.lock").open("wb") as parts_lock:
        fcntl.flock(parts_lock, fcntl.LOCK_EX)
        left = sleeper(parts_lock.fileno())
    with (tmp_path / "up.lock").open("wb+") as file:
        SupervisorRecord(ADDRESS, (left.pid,)).write(file)
    with left, hold_home(tmp_path, ADDRESS):
        assert not exists(left.pid)


def test_numbers_of_processes_from_before_a_reboot_are_left_alone(tmp_path: Path) -> None:
    with sleeper() as stranger:
        with (tmp_path / "up.lock").open("wb+") as file:
            SupervisorRecord(ADDRESS, (stranger.pid,)).write(file)
        with hold_home(tmp_path, ADDRESS):
            assert stranger.poll() is None
        stranger.kill()


def test_a_second_supervisor_is_told_where_the_first_one_is(held: HomeLock) -> None:
    with (
        pytest.raises(SupervisorError, match=f"already runs on {held.home} at {ADDRESS}"),
        hold_home(held.home, "http://127.0.0.1:4000"),
    ):
        pytest.fail("Two supervisors held one home.")


def test_a_shorter_record_replaces_a_longer_one_whole(tmp_path: Path) -> None:
    with (tmp_path / "up.lock").open("wb+") as file:
        SupervisorRecord(ADDRESS, (11111, 22222)).write(file)
        SupervisorRecord(ADDRESS, (3,)).write(file)
        assert SupervisorRecord.read(file) == SupervisorRecord.of(tmp_path) == SupervisorRecord(ADDRESS, (3,))
        assert json.loads((tmp_path / "up.lock").read_text())["groups"] == [3]


def hold(port: int, choose_with: str) -> None:
    with free_port(HOST, port, choose_with):
        pass


def test_a_taken_port_is_one_sentence_with_the_remedy() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SupervisorError, match=rf"^Stop what uses port {port} .*in use.* with ZK_WEB_PORT\.$"):
            hold(port, "ZK_WEB_PORT")


def test_one_port_for_two_servers_is_noticed() -> None:
    with socket.create_server((HOST, 0)) as server:
        unused_port = server.getsockname()[1]
    with free_port(HOST, unused_port, "ZK_PORT"), pytest.raises(SupervisorError, match=r"with ZK_WEB_PORT\.$"):
        hold(unused_port, "ZK_WEB_PORT")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("zk.example", "http://zk.example:8000"),
    ],
)
def test_a_server_is_reached_where_it_listens(host: str, url: str) -> None:
    assert reachable_url(host, 8000) == url


def test_the_code_server_is_closed_to_other_accounts(tmp_path: Path) -> None:
    with code_socket(tmp_path) as path:
        assert path == tmp_path / "run" / "code.sock"
        close_directory(path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    (code,) = [part for part in of_zk_up(tmp_path / "code.sock") if part.name == "code server"]
    assert code.argv[code.argv.index("--socket") + 1] == str(tmp_path / "code.sock")
    assert not {"-p", "--port", "-h", "--host"} & set(code.argv)


def test_a_home_that_is_too_deep_for_a_socket_has_it_elsewhere_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    with code_socket(tmp_path / ("deep" * 40)) as path:
        assert len(str(path)) < 100
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()


def test_nothing_of_dagsters_is_served_bare() -> None:
    commands = {part.name: part.argv[2] for part in of_zk_up(Path("code.sock"))}
    assert commands["webserver"] == "zk_pipeline.web.dagster_ui.server"
    assert "dagster_webserver" not in commands.values()


def of_zk_up(code: Path) -> list[ManagedProcess]:
    """What `zk up` starts."""
    return managed_processes(
        {"ZK_ENCRYPTION_KEY": generate_key(), "ZK_HOME": "home"}, code, 3000, "http://127.0.0.1:8000"
    )


def test_dagster_reads_our_workspace_whatever_the_current_directory() -> None:
    of_workspace = [part for part in of_zk_up(Path("code.sock")) if "-w" in part.argv]
    assert [part.name for part in of_workspace] == ["webserver", "daemon"]
    assert {part.argv[part.argv.index("-w") + 1] for part in of_workspace} == {str(PROJECT / "workspace.yaml")}


def test_the_location_has_one_name_and_one_module_for_us_and_for_dagsters_own_commands() -> None:
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    assert [entry["grpc_server"]["location_name"] for entry in workspace["load_from"]] == [LOCATION]
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    assert tools["dagster"] == {"module_name": "zk_pipeline.definitions", "code_location_name": LOCATION}
    assert tools["dg"]["project"]["code_location_target_module"] == "zk_pipeline.definitions"


def sleeper(*inherited: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], start_new_session=True, pass_fds=inherited)
