"""The processes of docker-compose.yml, started by hand on one machine, with the proxy from the system's packages."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from zk_pipeline.processes.groups import end_groups, wait_until
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.deploy.network import HOST, answers, free_ports, listens
from zk_pipeline_tests.deploy.proxy import proxy
from zk_pipeline_tests.tools import missing

PREFIX = "/dagster"
SECONDS_TO_START = 300
SECONDS_TO_STOP = 20.0
TINI = "tini"
PASSWORD = "a-long-enough-password"


class Service:
    """The processes of one container: they die together, and are started again by the same command.

    `asked` is what its health check asks. As in a container, the first process is tini, where this machine has it.
    """

    def __init__(self, name: str, arguments: Sequence[str], asked: str, healthy: Callable[[], bool]) -> None:
        self.name, self._arguments, self._asked, self._healthy = name, arguments, asked, healthy
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, variables: Mapping[str, str]) -> None:
        """Start it, without waiting."""
        # It is not process 1 here. With -s it inherits orphans all the same.
        first = [TINI, "-s", "--"] if shutil.which(TINI) else []
        command = [*first, sys.executable, *self._arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=variables, start_new_session=True, **quiet)

    def await_health(self) -> None:
        """Wait until it is healthy by the measure of docker-compose.yml."""
        assert wait_until(self._healthy, SECONDS_TO_START), f"{self.name} does not become healthy."

    def stop(self) -> None:
        """End all its processes as compose does: asked first, then killed."""
        process, main = self._running(), self._main()
        end_groups([process.pid], SECONDS_TO_STOP)
        end_groups([main], 0)
        process.wait()

    def kill(self) -> None:
        """End all its processes at once, as a crash or a lost machine does."""
        process = self._running()
        for group in (self._main(), process.pid):
            os.killpg(group, signal.SIGKILL)
        process.wait()

    def suspend(self) -> None:
        """Have its main process hang: it is alive, and does nothing."""
        os.kill(self._main(), signal.SIGSTOP)

    def check_health(self, variables: Mapping[str, str], memory: Path) -> int:
        """Call its health check, as Docker does every few seconds; returns the exit code."""
        return check_health(self._asked, self._running().pid, memory, variables)

    def is_ended_by_its_check(self, variables: Mapping[str, str], memory: Path) -> bool:
        """Call its health check; returns whether the container has ended, so that Docker starts it again."""
        return self.check_health(variables, memory) == 1 and self._running().poll() is not None

    def _main(self) -> int:
        """The process that works, which tini has put into a group of its own."""
        first = self._running().pid
        return (first_child(first) if shutil.which(TINI) else None) or first

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was not started."
        return self._process


def first_child(process: int) -> int | None:
    """The oldest child of a process, if it has one."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:  # It has ended.
        return None
    return int(children[0]) if children else None


def needs_tini() -> None:
    """Skip the test, or fail it in CI, where there is nothing that ends with its child as a container does."""
    if shutil.which(TINI) is None:
        missing(f"There is no {TINI}, which is the first process of a container. Install it: apt-get install {TINI}")


def check_health(what: str, init: int, memory: Path, variables: Mapping[str, str]) -> int:
    """Call the health check of a container whose first process is `init`; returns the exit code."""
    command = [sys.executable, "-m", "zk_pipeline.processes.health_check", what]
    options = ["--init", str(init), "--memory", str(memory)]
    return subprocess.run([*command, *options], env=variables, check=False, timeout=120).returncode


def pass_time(memory: Path, seconds: float) -> None:
    """Have all that a health check has noted be as much longer ago."""
    note = json.loads(memory.read_text())
    past = {name: note[name] and note[name] - seconds for name in ("seen_at", "answered_at")}
    memory.write_text(json.dumps({**note, **past}))


@dataclass(frozen=True)
class Stack:
    """The running product: where the proxy is, and what the processes were given."""

    url: str
    plain_url: str
    port: int
    trust: ssl.SSLContext
    variables: Mapping[str, str]
    services: Mapping[str, Service]

    def crash(self, name: str) -> None:
        """Kill one container, and start it again as its restart policy does."""
        self.services[name].kill()
        self.services[name].start(self.variables)

    @contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """A client from outside, which follows no redirect."""
        with httpx.Client(
            base_url=self.url, verify=self.trust, headers=headers, timeout=120, trust_env=False
        ) as client:
            yield client

    @contextmanager
    def signed_in(self, role: str) -> Iterator[httpx.Client]:
        """A browser whose user has this role: with cookies, and on our own pages."""
        email = f"{role}@example.com"
        arguments = ["users", "create", email, "--role", role]
        zk(self.variables, *arguments, answer=f"{PASSWORD}\n{PASSWORD}\n", check=False)
        with self.client(**{"sec-fetch-site": "same-origin"}) as client:
            body = {"email": email, "password": PASSWORD, "cookies": True}
            client.post("/api/v1/auth/login", json=body).raise_for_status()
            yield client


@contextmanager
def running(folder: Path, given: Mapping[str, str], *, daemon: bool = False) -> Iterator[Stack]:
    """What compose would start, on free ports, until the end of the block. `given` are further variables."""
    ports = dict(zip(("dagster", "web", "http", "https"), free_ports(4), strict=True))
    url = f"https://{HOST}:{ports['https']}"
    variables = _variables(folder, given, ports, url)
    zk(variables, "migrate")
    variables.pop("ZK_DATABASE_OWNER_URL", None)  # As in compose, it is for the migration alone.
    services = {service.name: service for service in _services(variables, ports)}
    if not daemon:
        del services["daemon"]
    with ExitStack() as stack:
        code = services["code"]
        for service in services.values():
            service.start(variables)
            stack.callback(service.stop)
            if service is code:
                service.await_health()
        trust = stack.enter_context(proxy(folder, ports))
        for service in services.values():
            service.await_health()
        yield Stack(url, f"http://{HOST}:{ports['http']}", ports["https"], trust, variables, services)


def zk(variables: Mapping[str, str], *arguments: str, answer: str = "", check: bool = True) -> str:
    """Run `zk` as a process; returns what it printed."""
    command = [sys.executable, "-c", "from zk_pipeline.cli.app import main; main()", *arguments]
    done = subprocess.run(
        command, env=variables, input=answer, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout


def _variables(folder: Path, given: Mapping[str, str], ports: Mapping[str, int], url: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    return {
        **others,
        "ZK_ENV_FILE": os.devnull,
        "ZK_TIMEZONE": "UTC",
        "ZK_HOME": str(folder / "home"),
        "DAGSTER_HOME": str(folder / "home" / "dagster"),
        "ZK_PUBLIC_URL": url,
        "ZK_DAGSTER_ADDRESS": f"http://{HOST}:{ports['dagster']}{PREFIX}",
        "ZK_DAGSTER_UI": f"{url}{PREFIX}",
        "ZK_WEB_PORT": str(ports["web"]),
        "ZK_CODE_SOCKET": str(folder / "home" / "run" / "code.sock"),
        "ZK_TRUSTED_PROXIES": f"{HOST}/32",
        "ZK_WEBHOOK_SECRET": "signed",
        "ZK_SCHEDULES": "false",
        **given,
    }


def _services(variables: Mapping[str, str], ports: Mapping[str, int]) -> Iterator[Service]:
    """The services in the order of their dependencies, the code server first."""
    code = Path(variables["ZK_CODE_SOCKET"])
    location = ("-m", "zk_pipeline.definitions", "--location-name", "zk_pipeline")
    served = ["-m", "zk_pipeline.processes.code_server", "--socket", str(code), *location]
    yield Service("code", served, f"unix:{code}", lambda: listens(code))
    workspace = ("-w", str(PROJECT / "workspace.yaml"))
    address = ("--host", HOST, "--port", str(ports["dagster"]), "--prefix", PREFIX)
    well = f"http://{HOST}:{ports['dagster']}{PREFIX}/healthz"
    yield Service("webserver", ["-m", "zk_pipeline.web.dagster_ui.server", *address], well, lambda: answers(well))
    health = f"http://{HOST}:{ports['web']}/api/health"
    yield Service("web", ["-m", "zk_pipeline.web.server"], health, lambda: answers(health))
    daemon = ["-m", "zk_pipeline.processes.daemon", "run", *workspace]
    yield Service("daemon", daemon, "daemon", lambda: _alive(variables))


def _alive(variables: Mapping[str, str]) -> bool:
    command = [sys.executable, "-m", "dagster._daemon", "liveness-check"]
    return subprocess.run(command, env=variables, check=False, capture_output=True, timeout=120).returncode == 0
