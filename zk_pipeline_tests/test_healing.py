"""What the supervisor heals: parts that die again and again or do not answer, the database, a blocked code server."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster._grpc.server import DagsterApiServer
from dagster_postgres.utils import DagsterPostgresException

from zk_pipeline.processes import code_server
from zk_pipeline.processes import supervisor as running
from zk_pipeline.processes.home import HomeLock
from zk_pipeline.processes.supervisor import ManagedProcess, Supervisor, SupervisorListener, restart_delay
from zk_pipeline.runtime import embedded
from zk_pipeline.runtime.embedded import EmbeddedDatabase, embedded_server
from zk_pipeline_tests.store.embedded_users import ask, server_pid
from zk_pipeline_tests.test_supervisor import (
    DIES_ONCE,
    KEEPER,
    Told,
    held,
    serving,
    sigterm_as_usual,
    supervise,
)

__all__ = ["held", "sigterm_as_usual"]

DIES_OFTEN = """
import os, signal, sys
from pathlib import Path
journal = Path(sys.argv[1])
with journal.open("a") as file: file.write("x")
if len(journal.read_text()) > 8:
    os.kill(os.getppid(), signal.SIGTERM)
    while True: signal.pause()
import time; time.sleep(0.3)
sys.exit(4)
"""

BLOCKED = """
import threading, time
from zk_pipeline.processes import code_server
code_server.SECONDS_WITHOUT_A_LOOK = 1.0
server = object.__new__(code_server.ForkingApiServer)
server._server_termination_event, server._looked_at = threading.Event(), time.monotonic()
server._end_when_blocked()
"""


def test_a_part_that_dies_again_and_again_is_never_given_up(
    held: HomeLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "LONGEST_DELAY_SECONDS", 0.01)
    journal, told = tmp_path / "journal", Told(stop=False)
    supervise(
        held, told, [ManagedProcess("web", (sys.executable, "-c", DIES_OFTEN, str(journal)), {}, journal.exists, 1)]
    )
    assert told.sentences[:8] == ["The web ended with code 4; it is restarted in 0 s."] * 8


def test_restarts_wait_longer_each_time_and_a_minute_at_most() -> None:
    assert [restart_delay(failures) for failures in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert restart_delay(5000) == 60


def test_what_ran_well_before_it_died_does_not_wait_longer_each_time(
    held: HomeLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SECONDS_OF_HEALTH", 0.1)
    pauses: list[int] = []
    monkeypatch.setattr(running, "restart_delay", lambda failures: pauses.append(failures) or 0.0)
    journal = tmp_path / "journal"
    supervise(
        held,
        Told(stop=False),
        [ManagedProcess("web", (sys.executable, "-c", DIES_OFTEN, str(journal)), {}, journal.exists, 1)],
    )
    assert pauses == [1] * len(pauses)
    assert len(pauses) >= 8


def test_a_part_that_lives_and_does_not_answer_is_ended_and_starts_again(
    held: HomeLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SECONDS_OF_SILENCE", 0.3)
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_QUESTIONS", 0.05)
    journal, told = tmp_path / "journal", Told(stop=False)
    asked = iter([True, True])
    part = ManagedProcess(
        "code server",
        (sys.executable, "-c", DIES_ONCE, str(journal)),
        {},
        journal.exists,
        1,
        answered_at=lambda: time.monotonic() if next(asked, False) else None,
    )
    supervise(held, told, [part])
    assert told.sentences[:2] == [
        "The code server does not answer; it is killed and restarted.",
        "The code server ended by signal 9; it is restarted in 1 s.",
    ]
    assert len(journal.read_text().split()) == 2


def test_a_part_that_is_slow_to_start_is_not_taken_for_silent_whatever_the_one_before_it_answered(
    held: HomeLock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SECONDS_OF_SILENCE", 0.0)
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_QUESTIONS", 0.05)
    told, seen, before = Told(stop=False), iter(range(20)), time.monotonic()

    def never() -> float:
        if next(seen, None) is None:
            os.kill(os.getpid(), signal.SIGINT)
        return before

    part = serving(tmp_path / "journal", "web", 1)
    supervise(held, told, [ManagedProcess(part.name, part.argv, {}, part.ready, 1, answered_at=never)])
    assert not [sentence for sentence in told.sentences if "does not answer" in sentence]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_database_that_died_is_started_again_and_the_others_wait_for_it(
    held: HomeLock, tmp_path: Path, number: signal.Signals
) -> None:
    journal, told = tmp_path / "journal", Told(stop=False)

    def once_it_runs() -> bool:
        if not journal.exists():
            return False
        os.kill(server_pid(held.home), number)
        os.kill(int(journal.read_text().split()[0]), signal.SIGKILL)
        return True

    with embedded_server(held.home) as endpoint:
        part = ManagedProcess("web", (sys.executable, "-c", DIES_ONCE, str(journal)), {}, once_it_runs, 1)
        database = EmbeddedDatabase(held.home)
        Supervisor(held, told.listener(), watchdog=[*KEEPER, str(held.home)], database=database).run([part])
        assert ask(endpoint, "SELECT 'it is back'") == "it is back"
    away, back = (
        next(place for place, sentence in enumerate(told.sentences) if sentence.startswith(beginning))
        for beginning in ("The database ended; it is restarted in 1 s", "The database is back after")
    )
    assert away < back
    assert len(journal.read_text().split()) == 2


def test_a_database_that_does_not_answer_is_ended(held: HomeLock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SECONDS_OF_SILENCE", 0.2)
    monkeypatch.setattr(running, "_SECONDS_BETWEEN_QUESTIONS", 0.05)
    monkeypatch.setattr(embedded, "_SECONDS_TO_ANSWER", 1)
    told, waiting = Told(stop=False), ("sleep", "60")

    def tell(sentence: str) -> None:
        told.sentences.append(sentence)
        if "is back" in sentence:
            os.kill(os.getpid(), signal.SIGINT)

    def once_it_runs() -> bool:
        os.kill(server_pid(held.home), signal.SIGSTOP)
        return True

    with embedded_server(held.home) as endpoint:
        listener = SupervisorListener(tell, lambda *_: None, lambda: None)
        supervisor = Supervisor(
            held, listener, watchdog=[*KEEPER, str(held.home)], database=EmbeddedDatabase(held.home)
        )
        supervisor.run([ManagedProcess("web", waiting, {}, once_it_runs, 1)])
        assert ask(endpoint, "SELECT 'it is back'") == "it is back"
    assert told.sentences[0] == "The database does not answer; it is killed."


def test_the_code_server_outlives_an_error_of_the_database_while_it_looks_after_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []

    def broken(_: object) -> None:
        looks.append(1)
        raise DagsterPostgresException("too many retries for DB connection")

    monkeypatch.setattr(DagsterApiServer, "_check_for_orphaned_runs", broken)
    server = object.__new__(code_server.ForkingApiServer)
    server._looked_at = 0.0
    server._check_for_orphaned_runs()
    assert looks == [1]
    assert server._looked_at > 0


def test_a_code_server_whose_runs_nobody_looks_after_ends_itself(tmp_path: Path) -> None:
    """In a process of its own: the lock of all runs is kept for good."""
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "have not been looked after" in done.stderr
