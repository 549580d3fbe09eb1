"""The wheel, installed without the repository: its version, and the demo that stays, whose addresses are true."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

import zk_pipeline
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline.stages.marts import MANIFEST
from zk_pipeline_tests.cli.test_up import Up, free_port, processes_of

pytestmark = pytest.mark.timeout(600)

SECONDS_TO_START = 300
FEW_DAYS = """
from zk_pipeline.cli import app, demo
demo.DAYS = 4
app.app()
"""
"""`zk`, with a demo of four days, one of which at least has bookings, instead of a month."""
ALIVE = """query ($where: RepositorySelector!) {
  assetNodes { assetKey { path } isPartitioned freshnessStatusInfo { freshnessStatus } partitionKeys
    assetMaterializations(limit: 1) { runId }
    assetChecksOrError { ... on AssetChecks { checks { name } } } }
  schedulesOrError(repositorySelector: $where) { ... on Schedules { results { name
    scheduleState { ticks(limit: 1) { runIds } } } } }
  sensorsOrError(repositorySelector: $where) { ... on Sensors { results { name
    sensorState { ticks(limit: 1) { status } } } } }
}"""
CHECKED = """query ($asset: AssetKeyInput!, $check: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 5) { status evaluation { description } } }"""
HERE = {"repositoryName": "__repository__", "repositoryLocationName": "zk_pipeline"}
BUILD = "import sys; from hatchling.build import {kind} as build; print(build(sys.argv[1]))"


def built(kind: str, source: Path, folder: Path) -> Path:
    """What the build backend makes of a source: `build_wheel` or `build_sdist`."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD.format(kind=kind), folder], cwd=source, check=True, capture_output=True, text=True
    )
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("build_wheel", PROJECT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of `python` and `zk` of an environment with the wheel, and this one's packages but the product."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    # A plain path: what is installed there as a link to a repository is not followed.
    (site / "packages.pth").write_text(sysconfig.get_path("purelib"))
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", *options, wheel], check=True, capture_output=True)
    return folder / "bin"


def variables(**given: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_", "PYTHON"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **given}


def called(*command: str | Path, cwd: Path, **given: str) -> str:
    """What a program printed; it must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=variables(**given), check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed_files(programs: Path) -> dict[Path, int]:
    """What is installed of ours, and when it was changed."""
    return {path: path.stat().st_mtime_ns for path in programs.parent.glob("lib/*/site-packages/zk_*/**/*")}


def test_the_sdist_makes_the_same_wheel(wheel: Path, tmp_path: Path):
    with tarfile.open(built("build_sdist", PROJECT, tmp_path)) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.glob("zk_pipeline-*/")
    again = built("build_wheel", source, tmp_path)
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {(file.filename, file.CRC) for file in one.filelist} == {
            (file.filename, file.CRC) for file in other.filelist
        }
        names = set(one.namelist())
    assert [name for name in names if "/target/" in name or "/logs/" in name or "__pycache__" in name] == []
    assert {"zk_pipeline/py.typed", "zk_sandbox/py.typed", "zk_pipeline/web/console/assets/console.css"} <= names
    template = PROJECT / "zk_pipeline" / "connectors" / "template"
    assert {path.relative_to(PROJECT).as_posix() for path in template.rglob("files/**/*.*")} <= names


def test_the_version_is_said_without_starting_anything(programs: Path, tmp_path: Path):
    assert called(programs / "zk", "--version", cwd=tmp_path) == f"zk_pipeline {zk_pipeline.__version__}\n"
    told = called(programs / "python", "-c", "import zk_pipeline; print(zk_pipeline.__file__)", cwd=tmp_path)
    assert Path(told).is_relative_to(programs.parent)
    assert list(tmp_path.iterdir()) == []


def test_the_template_of_a_connector_is_part_of_it(programs: Path, tmp_path: Path):
    assert "Written: zk-connector-desk" in called(programs / "zk", "connectors", "new", "desk", cwd=tmp_path)
    wanted = list((PROJECT / "zk_pipeline" / "connectors" / "template" / "files").rglob("*.*"))
    assert len([path for path in tmp_path.rglob("*.*") if path.is_file()]) == len(wanted)


@pytest.fixture(scope="module")
def demo(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`zk demo --serve`, which is what `make dev` runs; no file of the installation changes."""
    home, ports = tmp_path_factory.mktemp("demo"), (free_port(), free_port())
    before = installed_files(programs)
    process = subprocess.Popen(
        [programs / "python", "-c", FEW_DAYS, "demo", "--serve", "--port", str(ports[0]), "--web-port", str(ports[1])],
        env=variables(ZK_HOME=str(home)),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    running = Up(process, home / "demo", f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")
    assert process.stdout is not None
    reader = threading.Thread(target=running.lines.extend, args=(process.stdout,))
    reader.start()
    try:
        running.wait_for("Press Ctrl-C", SECONDS_TO_START)
        yield running
    finally:
        if process.poll() is None:
            running.stop()
        reader.join()
    assert installed_files(programs) == before


def printed(demo: Up, label: str) -> str:
    """What stands behind a label of the output."""
    found = re.search(rf"^{label}:\s+(.+)$", demo.output, re.MULTILINE)
    assert found, demo.output
    return found[1].strip()


def test_the_demo_is_served_by_what_is_installed(demo: Up, programs: Path):
    settings = printed(demo, "To list what waits for you").split()[0].partition("=")
    assert "kimai" in called(programs / "zk", "status", cwd=demo.home.parent, **{settings[0]: settings[2]})
    assert (demo.home / "dbt" / MANIFEST).exists()
    commands = " ".join(processes_of(demo.home).values())
    assert "zk_pipeline/_project/workspace.yaml" in commands
    assert f"{PROJECT}/workspace.yaml" not in commands


def test_the_printed_sign_in_opens_the_console_that_is_printed(demo: Up):
    address = printed(demo, "Web app")
    assert address.rstrip("/") == demo.web_url
    email, password = printed(demo, "Sign in as").split(" / ")
    with httpx.Client(base_url=address, trust_env=False, timeout=120) as client:
        assert client.get("/dashboard").status_code == 303, "nobody comes in without it"
        signed_in = client.post(
            "/api/v1/auth/login",
            json={"email": email, "password": password, "cookies": True},
            headers={"origin": demo.web_url},
        )
        assert signed_in.status_code == 200, signed_in.text
        assert client.get("/api/v1/auth/me").json()["role"] == "admin"
        assert client.get("/dashboard").status_code == 200
        assert client.get("/api/v1/sync/runs").json()["total"] >= 2


def test_the_printed_sign_in_opens_dagsters_ui_as_well(demo: Up):
    address = printed(demo, "Dagster's UI")
    email, password = printed(demo, "Sign in as").split(" / ")
    with httpx.Client(base_url=address, headers={"origin": address}, trust_env=False, timeout=120) as client:
        assert client.get("/server_info").status_code == 401
        assert client.post("/sign-in", data={"email": email, "password": password}).status_code == 303
        assert client.get("/server_info").status_code == 200


def missing(demo: Up) -> str:
    """What a visitor of Dagster's pages would miss."""
    shown = demo.ask(ALIVE, where=HERE)
    for asset in shown["assetNodes"]:
        if not asset["assetMaterializations"] or asset["freshnessStatusInfo"]["freshnessStatus"] != "HEALTHY":
            return f"This is not built, or not fresh: {asset}"
    schedules = {row["name"]: row["scheduleState"]["ticks"] for row in shown["schedulesOrError"]["results"]}
    if not schedules["deep_check"] or not schedules["deep_check"][0]["runIds"]:
        return f"The deep check has no tick: {schedules}"
    sensors = {row["name"]: row["sensorState"]["ticks"] for row in shown["sensorsOrError"]["results"]}
    return "" if sensors["demand"] else f"The sensor has no tick: {sensors}"


def outcome(demo: Up, asset: Any, check: str) -> str:
    """How the check ended last; the deep check may be building the marts once more."""
    rows = demo.ask(CHECKED, asset=asset, check=check)["assetCheckExecutions"]
    return next((row["status"] for row in rows if row["status"] != "IN_PROGRESS"), "")


def test_dagsters_pages_look_alive(demo: Up):
    wait_until(lambda: not missing(demo), 400)
    assert missing(demo) == ""
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    days = [str(today - timedelta(days=ago)) for ago in (3, 2, 1, 0)]
    for asset in demo.ask(ALIVE, where=HERE)["assetNodes"]:
        assert asset["partitionKeys"] == (days if asset["isPartitioned"] else [])
        for check in asset["assetChecksOrError"]["checks"]:
            ended = outcome(demo, asset["assetKey"], check["name"])
            # The demo leaves bookings without mapping, to have something to decide.
            assert ended == "SUCCEEDED" or check["name"] == "bookings_are_mapped", (check, ended)


def test_it_ends_as_a_whole(demo: Up):
    assert processes_of(demo.home) != {}
    demo.process.send_signal(signal.SIGINT)
    demo.process.wait(90)
    assert wait_until(lambda: processes_of(demo.home) == {}, 90), processes_of(demo.home)
