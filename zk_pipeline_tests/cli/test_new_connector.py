"""`zk connectors new`: the package that it writes passes the suite, is found once installed, and can be stored."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zk_pipeline.cli.app import app
from zk_pipeline.connectors.contract import Connector, SourceConnector
from zk_pipeline.connectors.template.package import LONGEST_NAME, TemplateError, write_package
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.cli.conftest import Homes, Sandbox, Zk
from zk_pipeline_tests.cli.test_connectors import NO_SYSTEMS

pytestmark = pytest.mark.timeout(300)

NAME, FOLDER, PACKAGE = "red-mine", "zk-connector-red-mine", "zk_connector_red_mine"
OPTIONS = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check")


def called(*command: str | Path, on: Path | None = None, cwd: Path | None = None) -> str:
    """What a program printed; it must succeed. `on` is put into its path, before our own code."""
    path = os.pathsep.join(str(one) for one in (on, PROJECT) if one)
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, env=variables, cwd=cwd, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package that the command wrote."""
    parent = tmp_path_factory.mktemp("new")
    done = CliRunner().invoke(app, ["connectors", "new", NAME, "--in", str(parent)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert f"Written: {parent / FOLDER}" in done.stdout
    assert [entry.name for entry in parent.iterdir()] == [FOLDER]
    return parent / FOLDER


@pytest.fixture(scope="module")
def installed(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory into which it was installed, without any network."""
    folder = tmp_path_factory.mktemp("installed")
    source, target = folder / "source", folder / "target"
    shutil.copytree(written, source)
    called(sys.executable, "-m", "pip", "install", *OPTIONS, "--target", target, source)
    return target


def test_it_passes_the_suite_and_its_own_tests_as_it_was_written(
    written: Path, installed: Path, tmp_path: Path
) -> None:
    options = ("-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "pytest")
    told = called(sys.executable, "-m", "pytest", *options, on=installed, cwd=written)
    passed = re.search(r"(\d+) passed", told)
    assert passed, told
    assert int(passed[1]) >= 30
    assert "failed" not in told


def test_nothing_is_left_to_fill_in_by_the_command_and_all_that_is_left_to_people_is_marked(written: Path) -> None:
    texts = {path.relative_to(written).as_posix(): path.read_text() for path in written.rglob("*") if path.is_file()}
    assert set(texts) >= {
        "pyproject.toml",
        "README.md",
        f"{PACKAGE}/__init__.py",
        f"{PACKAGE}/connector.py",
        "tests/test_conformance.py",
        "tests/desk/bookings.json",
    }
    python = {name: text for name, text in texts.items() if name.endswith(".py")}
    assert [name for name, text in python.items() if "$" in text or "template" in name] == []
    assert {name for name, text in python.items() if "FILL IN" in text} == {
        f"{PACKAGE}/{module}.py" for module in ("connector", "dialect", "rows")
    }


def test_it_keeps_to_our_style_and_types(written: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(written, tmp_path / FOLDER))
    config = copy / "ruff.toml"
    config.write_text(
        f"extend = '{PROJECT / 'pyproject.toml'}'\n"
        "[lint.per-file-ignores]\n'tests/**' = ['D1', 'INP001', 'N802', 'S']\n"
        f"[lint.isort]\nknown-first-party = ['{PACKAGE}']\n"
    )
    ruff = Path(sys.executable).with_name("ruff")
    called(ruff, "check", "--no-cache", ".", cwd=copy)
    called(ruff, "format", "--no-cache", "--check", ".", cwd=copy)
    called(Path(sys.executable).with_name("pyright"), "--pythonpath", sys.executable, PACKAGE, on=copy, cwd=copy)


def test_every_method_of_the_contract_is_written_or_explained(written: Path) -> None:
    source = "".join((written / PACKAGE / name).read_text() for name in ("connector.py", "dialect.py"))
    readme = (written / "README.md").read_text()
    contract = {
        name
        for kind in (Connector, SourceConnector)
        for name, value in vars(kind).items()
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property) or name == "webhooks")
    }
    of_the_client = {"requests", "close"}
    missing = {name for name in contract - of_the_client if f"def {name}(" not in source and f"`{name}`" not in readme}
    assert missing == set()


@pytest.fixture
def desk(written: Path) -> Iterator[str]:
    """The address of the written files, served by the package's own server."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import desk_server as d; s = d.server(d.FOLDER); print(s.server_port, flush=True); s.serve_forever()",
        ],
        cwd=written / "tests",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.terminate()
    process.wait(30)
    process.stdout.close()


def test_installed_it_is_listed_stored_and_tested_by_the_command_line(
    installed: Path, desk: str, homes: Homes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed)
    zk = Zk(homes.new())
    rows = json.loads(zk("connectors", "kinds", "--json", **NO_SYSTEMS).stdout)
    found = {"kind": NAME, "role": "source", "package": f"{FOLDER} 0.1.0", "problem": None}
    assert found in rows
    stored = zk("connectors", "set", NAME, desk, answer="the-token-of-the-tests\n", **NO_SYSTEMS)
    assert (stored.exit_code, stored.stderr) == (0, "")
    systems = {name: value for name, value in zk.home.variables.items() if name.startswith("ZK_KIMAI")}
    tested = json.loads(zk("connectors", "test", "--json", **{**NO_SYSTEMS, **systems}).stdout)
    assert tested["source"]["ok"], tested
    assert (tested["source"]["version"], tested["source"]["account"]) == ("1.4", "Ada Agent")
    sections = json.loads(zk("doctor", "--json", **{**NO_SYSTEMS, **systems}).stdout)["sections"]
    told = [row["text"] for section in sections for row in section["findings"] if row["subject"] == "plug-ins"]
    assert told == [f"Installed connectors of other packages: {NAME} ({FOLDER} 0.1.0)."]


def test_its_bookings_go_through_the_chain(
    installed: Path, desk: str, homes: Homes, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed)
    zk = Zk(homes.new())
    systems = {name: "" for name in NO_SYSTEMS if name.startswith("ZK_ZAMMAD")}
    assert zk("connectors", "set", NAME, desk, answer="the-token-of-the-tests\n", **systems).exit_code == 0
    done = zk("sync", "--from", "2025-08-15", "--to", "2025-08-19", "--json", **systems)
    assert done.exit_code in {0, 3}, done.output
    told = json.loads(done.stdout)
    assert (told["entries"], told["failed"]) == (3, 0), told
    traced = zk("trace", "b-2", **systems)
    assert traced.exit_code == 0
    assert "Printer on fire" in traced.stdout


@pytest.mark.parametrize(
    "name",
    ["", "Redmine", "red_mine", "red--mine", "-red", "red-", "9lives", "../red", "röd", "x" * (LONGEST_NAME + 1)],
)
def test_a_bad_name_is_refused_in_one_sentence_with_the_remedy(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["connectors", "new", "--in", str(tmp_path), "--", name], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {name[:80]!r} cannot be the kind of a connector. Use up to 40 lowercase")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_kind_that_is_installed_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["connectors", "new", "zammad", "--in", str(tmp_path)], catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (1, "Error: The kind 'zammad' is installed already. Choose another name.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_exists_is_refused_and_stays(kind: str, tmp_path: Path) -> None:
    there = tmp_path / FOLDER
    if kind == "folder":
        there.mkdir()
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to(tmp_path / "nowhere")
    before = there.lstat()
    done = CliRunner().invoke(app, ["connectors", "new", NAME, "--in", str(tmp_path)], catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: {there} exists already. Remove it, or choose another name or folder.\n"
    assert (list(tmp_path.iterdir()), there.lstat()) == ([there], before)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["connectors", "new", NAME, "--in", str(tmp_path / "no")], catch_exceptions=False)
    assert done.exit_code == 1
    assert "cannot be written: No such file or directory. Choose another folder." in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_half_written_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = Path.write_text, threading.Semaphore(5)

    def write_text(path: Path, *content: str, **options: str) -> int:
        if not room.acquire(blocking=False):
            raise OSError(28, "No space left on device")
        return write(path, *content, **options)

    monkeypatch.setattr(Path, "write_text", write_text)
    with pytest.raises(TemplateError, match="cannot be written: No space left on device"):
        write_package(NAME, tmp_path, [])
    assert list(tmp_path.iterdir()) == []
