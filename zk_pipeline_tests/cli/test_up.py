"""`zk up` as a process of its own: what it starts, what it heals, and that nothing outlives it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import psycopg
import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.processes.home import SupervisorRecord
from zk_pipeline.runtime.dagster_server import service_token
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.store.encryption import KEY_FILE, TokenCipher
from zk_pipeline_tests.connectors.test_plugins import BROKEN, broken_package
from zk_pipeline_tests.store.embedded_users import server_pid
from zk_sandbox.server import SandboxProcess

SECRET = "zammad-test-key"
SECONDS_TO_START = 300
SECONDS_TO_STOP = 15
SECONDS_UNTIL_ASKED = 6
"""The supervisor asks each part every five seconds whether it answers."""
DAY = "2025-10-14"
MANY_ATTACKS, WIDTH_OF_THE_TABLE = 55, 100

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  ... on RepositoryLocation { repositories { jobs { name } } } } } } } }"""
LAUNCH = """mutation ($parameters: ExecutionParams!) { launchRun(executionParams: $parameters) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
PARTITIONS = """{ assetNodeOrError(assetKey: {path: ["zammad", "time_accountings"]}) {
  ... on AssetNode { partitionDefinition { description } } } }"""


@dataclass
class Up:
    """A running `zk up`, and what it has printed so far."""

    process: subprocess.Popen[str]
    home: Path
    url: str
    web_url: str
    key: str = ""
    lines: list[str] = field(default_factory=list)

    def wait_for(self, text: str, seconds: float = SECONDS_TO_START) -> None:
        wait_until(lambda: text in self.output or self.process.poll() is not None, seconds)
        assert text in self.output, self.output

    @property
    def secret_key(self) -> str:
        """The key of the installation: the given one, or the one that it made."""
        return self.key or (self.home / KEY_FILE).read_text().strip()

    @property
    def cipher(self) -> TokenCipher:
        """What the processes encrypt and sign with."""
        return TokenCipher(self.secret_key)

    @property
    def service(self) -> dict[str, str]:
        """What our own programs show at Dagster's door."""
        return {"authorization": f"Bearer {service_token(self.cipher)}"}

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def ask(self, query: str, **variables: Any) -> Any:
        asked = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=asked, headers=self.service, timeout=120)
        return answer.raise_for_status().json()["data"]

    def launch(self, job: str, day: str) -> str:
        selector = {"repositoryLocationName": "zk_pipeline", "repositoryName": "__repository__", "jobName": job}
        tags = [{"key": "dagster/partition", "value": day}]
        parameters = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
        launched = self.ask(LAUNCH, parameters=parameters)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def status(self, run_id: str) -> str:
        return self.ask(STATUS, id=run_id)["runOrError"]["status"]

    def child(self, text: str) -> int:
        """The process with this text in its command line."""
        (pid,) = [pid for pid, command in processes_of(self.home).items() if text in command]
        return pid

    def stop(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(90)
        return time.monotonic() - began


def processes_of(home: Path) -> dict[int, str]:
    """Processes with this home in their environment, and the embedded database's: pid and command line."""
    found: dict[int, str] = {}
    mark, data = f"ZK_HOME={home}".encode(), str(home / "postgres")
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            environment = (directory / "environ").read_bytes().split(b"\0")
            command = (directory / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue  # It has ended meanwhile, or belongs to the system.
        if mark in environment or data in command:
            found[int(directory.name)] = command
    return found


def surroundings(folder: Path) -> dict[str, str]:
    """The variables of an installation that is worth attacking: a signed webhook, and a plug-in that is broken."""
    broken_package(folder / "plugins", BROKEN["raises"][0])
    path = os.pathsep.join(filter(None, (str(folder / "plugins"), os.environ.get("PYTHONPATH", ""))))
    return {"PYTHONPATH": path, "ZK_WEBHOOK_SECRET": SECRET}


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def zk_up(home: Path, variables: dict[str, str], port: int, *, by_file: bool = False) -> Iterator[Up]:
    """`by_file`: the port stands in the home's `.env`, which is the folder that it is started from."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    web_port = free_port()
    if by_file:
        file = home / ".env"
        file.touch(0o600)
        file.write_text(f"ZK_PORT={port}\n")
    process = subprocess.Popen(
        [Path(sys.executable).with_name("zk"), "up", *([] if by_file else ["--port", str(port)])],
        env={
            **environment,
            "ZK_WEB_PORT": str(web_port),
            "ZK_TIMEZONE": "Europe/Berlin",
            **variables,
            "ZK_HOME": str(home),
            "PYTHONUNBUFFERED": "1",
        },
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    urls = (f"http://127.0.0.1:{port}", f"http://127.0.0.1:{web_port}")
    started = Up(process, home, *urls, variables.get("ZK_ENCRYPTION_KEY", ""))
    assert process.stdout is not None
    reader = threading.Thread(target=started.lines.extend, args=(process.stdout,))
    reader.start()
    try:
        yield started
    finally:
        if process.poll() is None:
            started.stop()
        reader.join()


@pytest.fixture(scope="module")
def systems() -> Iterator[dict[str, str]]:
    """The variables of a deployment on the demo's systems, which answer slowly enough to see a run at work."""
    with SandboxProcess("demo", latency=0.02) as sandbox:
        yield {
            "ZK_ZAMMAD_URL": sandbox.zammad_url,
            "ZK_ZAMMAD_TOKEN": sandbox.zammad_token,
            "ZK_KIMAI_URL": sandbox.kimai_url,
            "ZK_KIMAI_TOKEN": sandbox.kimai_token,
            "ZK_TIMEZONE": "Europe/Berlin",
        }


@pytest.fixture(scope="module")
def service_manager() -> Iterator[socket.socket]:
    """The socket at which systemd listens to a unit of `Type=notify`."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(f"{directory}/notify")
        notify.settimeout(20)
        yield notify


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that somebody made before, in a folder that every account of the machine may look into."""
    with tempfile.TemporaryDirectory(prefix="zk-up-") as directory:
        home = Path(directory) / "home"
        home.parent.chmod(0o755)
        home.mkdir(mode=0o755)
        yield home


@pytest.fixture(scope="module")
def running(systems: dict[str, str], home: Path, service_manager: socket.socket) -> Iterator[Up]:
    """The `zk up` of all tests; the last one kills it."""
    variables = {**systems, **surroundings(home.parent), "NOTIFY_SOCKET": service_manager.getsockname()}
    with zk_up(home, variables, free_port(), by_file=True) as up:
        up.wait_for("Press Ctrl-C")
        yield up


def test_it_tells_each_part_and_ends_with_the_address(running: Up) -> None:
    ready = [line.split()[1] for line in running.lines if line.startswith("ok")]
    assert (ready[0], sorted(ready[1:3]), sorted(ready[3:])) == ("database", ["code", "web"], ["daemon", "webserver"])
    assert running.lines[-3:] == [
        f"Web app:      {running.web_url}\n",
        f"Dagster's UI: {running.url}\n",
        "One sign-in opens both. Press Ctrl-C to stop.\n",
    ]


def test_a_service_manager_hears_that_it_is_ready_once_everything_is(
    running: Up, service_manager: socket.socket
) -> None:
    assert service_manager.recv(100) == b"READY=1"
    assert "Press Ctrl-C" in running.output


def test_it_tells_how_the_first_user_is_made(running: Up) -> None:
    assert "Create an admin, nobody can sign in yet: zk users create EMAIL --role admin\n" in running.output


def test_the_web_app_reaches_the_database(running: Up) -> None:
    assert httpx.get(f"{running.web_url}/api/health").json()["database"] == "ok"


def test_dagster_knows_the_location_and_its_jobs(running: Up) -> None:
    (entry,) = running.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
    (repository,) = entry["locationOrLoadError"]["repositories"]
    assert entry["name"] == "zk_pipeline"
    assert {"sync", "plan"} <= {job["name"] for job in repository["jobs"]}


def test_the_code_server_has_the_zone_of_the_settings(running: Up) -> None:
    assert "Europe/Berlin" in running.ask(PARTITIONS)["assetNodeOrError"]["partitionDefinition"]["description"]


@pytest.mark.timeout(600)
def test_no_attack_breaks_anything(running: Up, systems: dict[str, str]) -> None:
    """All attacks of `make attack`, here where everything runs already. They cost about ten seconds of a processor."""
    # Their module needs this one, to start everything as it is started here.
    from zk_pipeline_tests.attack.__main__ import told, verdicts_on  # noqa: PLC0415
    from zk_pipeline_tests.attack.place import placed  # noqa: PLC0415

    with placed(running, {**systems, "ZK_WEBHOOK_SECRET": SECRET}) as place:
        verdicts = verdicts_on(place)
    broken = [each for verdict in verdicts for each in verdict.tries if not verdict.held and not each.held]
    assert broken == [], told(verdicts)
    assert len(verdicts) >= MANY_ATTACKS
    assert max(map(len, told(verdicts).splitlines())) == WIDTH_OF_THE_TABLE


def test_a_run_launched_in_the_ui_reads_the_systems_and_plans_the_day(running: Up) -> None:
    run_id = running.launch("plan", DAY)
    assert wait_until(lambda: running.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, 90)
    assert running.status(run_id) == "SUCCESS"
    with embedded_server(running.home) as server, psycopg.connect(**server.parameters()) as connection:
        query = "SELECT count(*) FROM sync.normalized_entries WHERE entry_date = %s"
        (entries,) = connection.execute(query, [DAY]).fetchone() or (0,)
    assert entries > 0


def test_a_killed_daemon_is_started_again(running: Up) -> None:
    killed = running.child("processes.daemon")
    os.kill(killed, signal.SIGKILL)
    running.wait_for("The daemon ended by signal 9; it is restarted in 1 s.")
    assert wait_until(lambda: any("processes.daemon" in line for line in processes_of(running.home).values()), 90)
    assert running.child("processes.daemon") != killed


def test_a_killed_database_is_started_again_with_nobody_doing_anything(running: Up) -> None:
    os.kill(server_pid(running.home), signal.SIGKILL)
    running.wait_for("The database ended; it is restarted in 1 s, and everything else waits for it.")
    running.wait_for("The database is back after", 60)
    assert wait_until(lambda: httpx.get(f"{running.web_url}/api/health").status_code == 200, 90)


@pytest.mark.timeout(240)
def test_a_code_server_that_lives_and_does_not_answer_is_replaced_within_a_minute(running: Up) -> None:
    launched_at_last(running)  # After a test before, it may be starting, and has two minutes for that.
    time.sleep(SECONDS_UNTIL_ASKED)
    stopped = running.child("processes.code_server")
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    running.wait_for("The code server does not answer; it is killed and restarted.", 75)
    assert time.monotonic() - began < 60
    assert wait_until(lambda: any("processes.code_server" in line for line in processes_of(running.home).values()), 90)
    run_id = launched_at_last(running)
    assert wait_until(lambda: running.status(run_id) in {"SUCCESS", "FAILURE", "CANCELED"}, 90)
    assert running.status(run_id) == "SUCCESS"


def launched_at_last(up: Up) -> str:
    """The id of a run that was launched as soon as the code server had loaded the definitions again."""
    launched: list[str] = []

    def launches() -> bool:
        try:
            launched.append(up.launch("plan", DAY))
        except (AssertionError, httpx.HTTPError):
            return False
        return True

    assert wait_until(launches, 90)
    return launched[0]


def test_a_second_one_on_the_same_home_is_told_where_the_first_is(running: Up) -> None:
    with zk_up(running.home, {}, free_port()) as second:
        assert second.process.wait(90) == 1
    told = f"Use or stop (Ctrl-C) the `zk up` that already runs on {running.home} at {running.url}."
    assert second.lines[-1] == f"Error: {told}\n"


def test_a_taken_port_is_one_sentence_and_leaves_nothing(running: Up, tmp_path: Path) -> None:
    port = int(running.web_url.rpartition(":")[2])
    with zk_up(tmp_path, {"ZK_WEB_PORT": str(port)}, free_port()) as up:
        assert up.process.wait(90) == 1
    assert f"Error: Stop what uses port {port} (Address already in use)" in up.output
    assert processes_of(tmp_path) == {}


def test_killed_it_leaves_nothing_and_the_next_one_lets_a_run_finish_before_it_stops(
    running: Up, systems: dict[str, str], service_manager: socket.socket
) -> None:
    home = running.home
    service_manager.settimeout(0)
    with suppress(BlockingIOError):  # What the first one told, unless its test has read it.
        service_manager.recv(100)
    service_manager.settimeout(20)
    running.process.kill()
    assert wait_until(lambda: processes_of(home) == {}, 90)
    with zk_up(home, {**systems, "NOTIFY_SOCKET": service_manager.getsockname()}, free_port()) as up:
        up.wait_for("Press Ctrl-C")
        run_id = up.launch("plan", DAY)
        assert wait_until(lambda: up.status(run_id) == "STARTED", 90)
        assert up.stop() < SECONDS_TO_STOP
    assert [service_manager.recv(100) for _ in range(2)] == [b"READY=1", b"STOPPING=1"]
    assert up.process.returncode == 0
    assert up.lines[-1] == "Stopped. Nothing is running any more.\n"
    assert processes_of(home) == {}
    assert SupervisorRecord.of(home).groups == ()
    with embedded_server(home) as server, psycopg.connect(**server.parameters("dagster")) as connection:
        (status,) = connection.execute("SELECT status FROM runs WHERE run_id = %s", [run_id]).fetchone() or ("",)
    assert status == "SUCCESS"
