"""Dagster's own commands in a clone after `make setup`: they find what they need, and write to no real system."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from zk_pipeline.defs.resources import DEV_CLI
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.stages.push import pusher
from zk_pipeline_tests.cli.test_up import free_port
from zk_pipeline_tests.defs.world import MONDAY, World

BIN = Path(sys.executable).parent
SECONDS_TO_START = 300
COMMANDS = {"dagster": "dagster._cli", "dg": "dagster_dg_cli.cli"}
"""Dagster's two commands, and the modules with their `main`."""
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from {module} import main
main()
"""
"""A command, also where the tests run in the background and ignore SIGINT: Dagster treats SIGTERM like it."""


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Nothing but what every shell has, and a home; Python finds the project by the folder it is called in."""
    known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**known, "ZK_HOME": str(home), **variables}


def dagster(folder: Path, environment: dict[str, str], *arguments: str, command: str = "dagster") -> str:
    """What one of Dagster's commands prints."""
    done = subprocess.run(
        [BIN / command, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with what Dagster's commands look for in that of the project."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "zk_pipeline").symlink_to(PROJECT / "zk_pipeline")
    for name in ("pyproject.toml", "dagster.yaml", "workspace.yaml"):
        (folder / name).write_text((PROJECT / name).read_text())
    return folder


@contextmanager
def dev(command: str, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """`dagster dev` or `dg dev`; the address of its GraphQL."""
    port = free_port()
    log = folder / "dev.log"
    interruptible = INTERRUPTIBLE.format(module=COMMANDS[command])
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", interruptible, "dev", "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}/graphql"
            assert wait_until(lambda: bool(locations(address)), SECONDS_TO_START), log.read_text()
            yield address
        finally:
            process.terminate()
            wait_until(lambda: process.poll() is not None, SECONDS_TO_START)
            with suppress(ProcessLookupError):  # It is Dagster's own, and leaves some of its children behind.
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(address: str, query: str) -> dict[str, Any]:
    return httpx.post(address, json={"query": query}, timeout=120, trust_env=False).json()["data"]


def locations(address: str) -> list[str]:
    query = "{workspaceOrError{... on Workspace{locationEntries{name loadStatus}}}}"
    try:
        entries = ask(address, query)["workspaceOrError"]["locationEntries"]
    except (httpx.HTTPError, ValueError):
        return []
    return [entry["name"] for entry in entries if entry["loadStatus"] == "LOADED"]


@pytest.mark.timeout(400)
def test_dagsters_commands_work_with_an_empty_environment(clone: Path, tmp_path: Path) -> None:
    empty = environment(tmp_path / "home")
    assert "All code locations passed validation." in dagster(clone, empty, "definitions", "validate")
    assert "sync/kimai_pushes" in dagster(clone, empty, "asset", "list", "-m", "zk_pipeline.definitions")
    own = environment(tmp_path / "home", DAGSTER_HOME=str(clone))
    assert "All code locations passed validation." in dagster(clone, own, "definitions", "validate")
    assert "All definitions loaded successfully." in dagster(clone, empty, "check", "defs", command="dg")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("command", COMMANDS)
def test_its_ui_opens_with_an_empty_environment(command: str, clone: Path, tmp_path: Path) -> None:
    with dev(command, clone, environment(tmp_path / "home")) as address:
        assert (tmp_path / "home" / "postgres" / "postmaster.pid").exists()
        assert locations(address) == ["zk_pipeline"]
        nodes = ask(address, "{assetNodes{assetKey{path}}}")["assetNodes"]
        assert ["zammad", "time_accountings"] in [node["assetKey"]["path"] for node in nodes]
    assert wait_until(lambda: not (tmp_path / "home" / "postgres" / "postmaster.pid").exists(), 90), (
        "it was ours to end"
    )


@pytest.mark.timeout(300)
def test_an_asset_is_materialized_by_dagsters_own_command(world: World, clone: Path) -> None:
    world.desk.book(30)
    variables = {name: value for name, value in os.environ.items() if name.startswith("ZK_")}
    known = environment(world.environment.home, **{**variables, "ZK_HOME": str(world.environment.home)})
    dagster(
        clone,
        known,
        *("asset", "materialize", "-m", "zk_pipeline.definitions"),
        *("--select", "zammad/directory,kimai/directory"),
    )
    dagster(
        clone,
        known,
        *("asset", "materialize", "-m", "zk_pipeline.definitions", "--partition", str(MONDAY)),
        *("--select", "zammad/time_accountings,sync/normalized_entries,kimai/timesheets,sync/reconciliation_results"),
    )
    assert world.value("SELECT action FROM sync.reconciliation_results") == "create"
    shown = subprocess.run([BIN / "zk", "env", "--json"], env=known, capture_output=True, text=True, check=True)
    assert "Run: " in dagster(clone, {**known, **json.loads(shown.stdout)}, "run", "list")


@pytest.mark.dagster
def test_in_development_nothing_is_written_to_what_is_no_sandbox(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.desk.book(30)
    monkeypatch.setenv(DEV_CLI, "1")
    monkeypatch.setattr(pusher, "SANDBOX", "/api/nothing-of-a-sandbox")
    counts = world.sync().counts
    assert (counts.get("created", 0), counts["withheld"]) == (0, 1)
    assert world.office.creates_sent() == 0
    monkeypatch.setenv("ZK_DEV_PUSH", "true")
    assert world.sync().to_json()["created"] == 1


@pytest.mark.dagster
def test_in_development_the_sandbox_is_written_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.desk.book(30)
    monkeypatch.setenv(DEV_CLI, "1")
    assert world.sync().to_json()["created"] == 1
