"""The example of a third connector: installed as a package of its own, it is found and passes the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zk_pipeline.runtime.environment import PROJECT

EXAMPLE = PROJECT / "examples" / "zk-connector-csv"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which the example was installed, without any network."""
    folder = tmp_path_factory.mktemp("example")
    source, target = folder / "source", folder / "target"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    called(sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source))
    return target


def test_the_example_is_listed_once_it_is_installed(installed: Path):
    told = called(
        sys.executable,
        "-c",
        "from zk_pipeline.connectors.plugins import source_kinds; print(*source_kinds())",
        on=installed,
    )
    assert {"csv", "zammad"} <= set(told.split())


def test_the_example_passes_the_suite_and_its_own_tests(installed: Path, tmp_path: Path):
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE), "--basetemp", str(tmp_path / "pytest"))
    told = called(sys.executable, "-m", "pytest", *options, str(EXAMPLE / "tests"), on=installed)
    assert " passed" in told


def called(*command: str, on: Path | None = None) -> str:
    """What a program printed; it must succeed. `on` is put into its path, before our own code."""
    path = os.pathsep.join(str(one) for one in (on, PROJECT) if one)
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, env=variables, check=False, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
