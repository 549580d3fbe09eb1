"""Processes that are forked from one that has imported everything."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zk_pipeline.processes import preloaded
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.processes.preloaded import ForkedProcess, Preloader

MODULE = """
import os, sys, time

def main():
    print("begun", *sys.argv[1:], os.environ["PLACE"], os.getsid(0) == os.getpid(), repr(sys.stdin.read()), flush=True)
    match sys.argv[1]:
        case "wait":
            time.sleep(60)
        case "raise":
            raise ValueError("broken")
        case code:
            sys.exit(int(code))
"""
SECONDS = 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preloaded")
    (folder / "part_of_a_test.py").write_text(MODULE)
    return folder


@pytest.fixture(scope="module")
def preloader(folder: Path) -> Iterator[Preloader]:
    """A process that has imported everything."""
    with (folder / "preloaded.log").open("ab") as log:
        started = Preloader({"PYTHONPATH": str(folder), "PLACE": "here"}, log)
    assert wait_until(lambda: started.is_settled, 90)
    yield started
    started.close()


def forked(preloader: Preloader, *options: str, output: Path | None = None) -> ForkedProcess:
    argv = (sys.executable, "-m", "part_of_a_test", *options)
    if output is None:
        process = preloader.start(argv, None)
    else:
        with output.open("ab") as log:
            process = preloader.start(argv, log)
    assert process is not None
    return process


@pytest.mark.parametrize("code", [0, 3])
def test_it_has_the_exit_code_the_environment_the_options_and_the_session_of_a_process_of_its_own(
    preloader: Preloader, tmp_path: Path, code: int
) -> None:
    output = tmp_path / "output"
    assert forked(preloader, str(code), "--more", output=output).wait() == code
    assert output.read_text() == f"begun {code} --more here True ''\n"


def test_an_error_is_told_as_by_python(preloader: Preloader, tmp_path: Path) -> None:
    output = tmp_path / "output"
    assert forked(preloader, "raise", output=output).wait() == 1
    assert output.read_text().endswith("ValueError: broken\n")


@pytest.mark.parametrize(
    ("end", "number"), [(ForkedProcess.kill, signal.SIGKILL), (ForkedProcess.terminate, signal.SIGTERM)]
)
def test_it_ends_by_a_signal_and_its_output_can_be_read(
    preloader: Preloader, end: Callable[[ForkedProcess], None], number: signal.Signals
) -> None:
    process = forked(preloader, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun wait here True ''\n"
    assert Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(b"part_of_a_test wait\0")
    end(process)
    assert process.wait() == -number
    assert process.stdout.read() == b""
    end(process)  # Whoever ended is not ended again, nor is another process with its number.


def test_what_is_no_module_of_this_python_is_started_as_usual(preloader: Preloader) -> None:
    assert preloader.start(("/bin/true",), None) is None


def test_without_the_forking_process_what_it_forked_goes_on_and_nothing_more_is_forked(folder: Path) -> None:
    with (folder / "preloaded.log").open("ab") as log:
        own = Preloader({"PYTHONPATH": str(folder), "PLACE": "here"}, log)
    assert wait_until(lambda: own.is_settled, 90)
    os.kill(own.pid, signal.SIGTERM)  # As a service manager does to all processes of a service.
    process = forked(own, "wait")
    os.kill(own.pid, signal.SIGKILL)
    assert wait_until(lambda: own.start((sys.executable, "-m", "part_of_a_test", "0"), None) is None, 90)
    assert Path(f"/proc/{process.pid}").exists()
    process.terminate()
    assert process.wait() == preloaded.UNKNOWN_EXIT_CODE
    own.close()


def test_a_process_that_cannot_import_forks_nothing(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise RuntimeError('broken')\n")
    log = tmp_path / "preloaded.log"
    with log.open("ab") as output:
        broken = Preloader({"PYTHONPATH": str(tmp_path)}, output)
    assert wait_until(lambda: broken.is_settled, 90)
    assert broken.start((sys.executable, "-m", "part_of_a_test", "0"), None) is None
    assert "RuntimeError: broken" in log.read_text()
    broken.close()
