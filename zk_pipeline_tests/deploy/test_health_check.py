"""The health check of a container: what it answers, whom it kills, and whom it leaves alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.processes.health_check import SECONDS_OF_SILENCE, SECONDS_TO_START, beat, last_beat
from zk_pipeline_tests.deploy.network import HOST, free_ports, listens
from zk_pipeline_tests.deploy.stack import TINI, check_health, first_child, needs_tini, pass_time

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.lstrip("/")))
        self.end_headers()

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Container:
    """A web server below its first process, and what its health check says."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, memory: Path) -> None:
        self.process, self._port, self._memory = process, port, memory

    def check(self, status: int = 200) -> int:
        """The exit code of the health check, which asks for an answer with this status."""
        return check_health(f"http://{HOST}:{self._port}/{status}", self.process.pid, self._memory, os.environ)

    def hang(self) -> None:
        child = first_child(self.process.pid)
        assert child is not None
        os.kill(child, signal.SIGSTOP)

    def pass_time(self, seconds: float) -> None:
        pass_time(self._memory, seconds)


@contextmanager
def serving(memory: Path, *first: str) -> Iterator[Container]:
    (port,) = free_ports(1)
    process = subprocess.Popen([*first, sys.executable, "-c", SERVER, str(port)], start_new_session=True)
    try:
        assert wait_until(lambda: listens(port), 60)
        yield Container(process, port, memory)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    needs_tini()
    with serving(tmp_path / "last-answer.json", TINI, "-s", "--") as made:
        yield made


def test_what_answers_is_healthy(container: Container):
    assert container.check() == 0


def test_what_answers_that_its_database_is_down_is_not_healthy_and_not_killed(container: Container):
    assert container.check(503) == 1
    container.pass_time(10 * SECONDS_OF_SILENCE)
    assert container.check(503) == 1
    assert container.process.poll() is None


def test_what_hangs_is_killed_after_its_silence_and_its_container_ends(container: Container):
    assert container.check() == 0
    container.hang()
    assert container.check() == 1
    container.pass_time(SECONDS_OF_SILENCE - 15)
    assert container.check() == 1
    assert container.process.poll() is None
    container.pass_time(15)
    assert container.check() == 1
    assert container.process.wait(30) == 128 + signal.SIGKILL


def test_what_never_answered_has_time_to_start(container: Container):
    container.hang()
    assert container.check() == 1
    container.pass_time(SECONDS_TO_START)
    assert container.check() == 1
    assert container.process.poll() is None
    container.pass_time(SECONDS_OF_SILENCE)
    assert container.check() == 1
    container.process.wait(30)


def test_an_earlier_process_is_no_witness_against_the_next(container: Container, tmp_path: Path):
    note = {"born": "7@1", "seen_at": time.monotonic() - 1_000, "answered_at": time.monotonic() - 1_000}
    (tmp_path / "last-answer.json").write_text(json.dumps(note))
    container.hang()
    assert container.check() == 1
    assert container.process.poll() is None


@pytest.mark.parametrize("note", ["", "[]", '{"born": 1}', "nonsense"])
def test_a_damaged_note_is_no_witness(container: Container, tmp_path: Path, note: str):
    (tmp_path / "last-answer.json").write_text(note)
    container.hang()
    assert container.check() == 1
    assert container.process.poll() is None


def test_without_tini_nothing_is_killed(tmp_path: Path):
    with serving(tmp_path / "note.json", "/bin/sh", "-c", '"$@"; true', "sh") as made:
        made.hang()
        assert made.check() == 1
        assert made.process.poll() is None
        assert not (tmp_path / "note.json").exists()


@pytest.mark.parametrize("url", ["", "postgresql+psycopg2://zk@127.0.0.1:9/dagster"])
def test_a_database_that_says_nothing_of_the_daemon_is_not_its_fault(tmp_path: Path, url: str):
    variables = {**os.environ, "ZK_DAGSTER_URL": url}
    assert check_health("heartbeats", os.getpid(), tmp_path / "note.json", variables) == 0


def test_a_daemon_is_healthy_for_as_long_as_it_notes_that_it_is_alive(container: Container, tmp_path: Path):
    def check() -> int:
        variables = {**os.environ, "ZK_HOME": str(tmp_path)}
        return check_health("daemon", container.process.pid, tmp_path / "daemon.json", variables)

    assert check() == 1
    beat(tmp_path)
    assert check() == 0
    (written,) = (tmp_path / "run").iterdir()
    past = time.monotonic() - SECONDS_OF_SILENCE
    os.utime(written, (past, past))
    pass_time(tmp_path / "daemon.json", SECONDS_OF_SILENCE)
    assert check() == 1
    assert container.process.wait(30) == 128 + signal.SIGKILL


def test_what_a_daemon_noted_before_the_machine_was_restarted_says_nothing_of_the_next(tmp_path: Path):
    beat(tmp_path)
    (written,) = (tmp_path / "run").iterdir()
    future = time.monotonic() + 1_000
    os.utime(written, (future, future))
    assert last_beat(tmp_path) is None


def test_no_code_server_is_not_healthy(tmp_path: Path):
    assert check_health(f"unix:{tmp_path}/code.sock", os.getpid(), tmp_path / "note.json", os.environ) == 1
