"""The account that runs PostgreSQL: for root an unprivileged one, also where directories are closed to it."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint, embedded_server
from zk_pipeline.runtime.embedded_programs import PROGRAMS_FOR_OTHERS, program
from zk_pipeline_tests.store.embedded_users import ROOT, User, refusal, runs, server_pid

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as other accounts")

NOBODY = 65534
# The capability lets it use an interpreter below /root.
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--securebits=+no_setuid_fixup"),
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A new home that every account can get to, unlike pytest's own directories."""
    base = Path(tempfile.mkdtemp(prefix="zk-open-"))
    base.chmod(0o755)
    (base / "home").mkdir()
    yield base / "home"
    shutil.rmtree(base)


def privileges(pid: int) -> dict[str, int]:
    """What a process has of its own and may get, as the kernel shows it."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    shown = ("CapEff", "CapPrm", "CapInh", "CapAmb", "NoNewPrivs")
    return {name: int(status[name], 16) for name in shown}


NONE = {"CapEff": 0, "CapPrm": 0, "CapInh": 0, "CapAmb": 0, "NoNewPrivs": 1}


def without(*names: str) -> tuple[str, ...]:
    """A command prefix that runs root's program with fewer of root's capabilities."""
    return ("setpriv", f"--bounding-set={','.join(f'-{name}' for name in names)}", "--inh-caps=-all")


def test_root_runs_the_server_as_an_unprivileged_account_that_owns_the_data(home: Path) -> None:
    with embedded_server(home):
        owner = (home / "postgres" / "base").stat().st_uid
        assert owner != 0
        assert Path(f"/proc/{server_pid(home)}").stat().st_uid == owner


def test_a_home_copied_by_root_is_handed_to_the_account(home: Path) -> None:
    with embedded_server(home):
        owner = (home / "postgres" / "base").stat().st_uid
    copy = shutil.copytree(home, home.with_name("copy"))
    assert (copy / "postgres" / "base").stat().st_uid == 0
    with embedded_server(copy) as endpoint:
        assert runs(endpoint)
        assert (copy / "postgres" / "base").stat().st_uid == owner


def test_a_home_in_a_closed_directory_works_and_stays_closed(home: Path) -> None:
    home.parent.chmod(0o700)
    with embedded_server(home) as endpoint:
        assert runs(endpoint)
        assert privileges(server_pid(home)) == NONE
        assert Path(f"/proc/{server_pid(home)}").stat().st_uid != 0
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "attack",
    [
        "CREATE TEMP TABLE stolen (line text); COPY stolen FROM '{secret}'",
        "CREATE TEMP TABLE stolen (line text); COPY stolen FROM PROGRAM 'cat {secret}'",
        "SELECT pg_read_file('{secret}')",
        "SELECT pg_read_file('../../secret')",
        "SELECT pg_ls_dir('{closed}')",
        "CREATE TEMP TABLE stolen (line text); COPY stolen FROM PROGRAM 'sudo -n cat {secret}'",
        "COPY (SELECT 'x') TO '{closed}/written'",
    ],
)
def test_the_server_reads_no_file_that_is_roots_alone(closed: tuple[Path, DatabaseEndpoint], attack: str) -> None:
    directory, endpoint = closed
    statement = attack.format(secret=directory / "secret", closed=directory)
    with (
        psycopg.connect(**endpoint.parameters(), autocommit=True) as connection,
        pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ExternalRoutineException)),
    ):
        connection.execute(statement.encode())


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, DatabaseEndpoint]]:
    """A directory that is root's alone, with a secret and a home in it, and the server of that home."""
    directory = tmp_path_factory.mktemp("closed")
    directory.chmod(0o700)
    (directory / "secret").write_text("roots own")
    (directory / "secret").chmod(0o600)
    with embedded_server(directory / "home") as endpoint:
        yield directory, endpoint


def test_programs_in_a_closed_directory_are_copied_to_an_open_one(home: Path, tmp_path: Path) -> None:
    package = program("postgres").parents[2]
    shutil.copytree(package.with_name(f"{package.name}.libs"), tmp_path / f"{package.name}.libs")
    shutil.copytree(program("postgres").parents[1], tmp_path / package.name / "pginstall18")
    (tmp_path / package.name / "__init__.py").touch()
    tmp_path.chmod(0o700)
    with User(home, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}) as user:
        assert runs(user.endpoint())
        running = Path(f"/proc/{server_pid(home)}/exe").readlink()
        assert privileges(server_pid(home)) == NONE
    assert running.is_relative_to(PROGRAMS_FOR_OTHERS)
    ours = [PROGRAMS_FOR_OTHERS, *running.parents, *running.parents[3].rglob("*")]
    assert [
        path for path in ours if path.lstat().st_uid != 0 or (path.lstat().st_mode & 0o022 and not path.is_symlink())
    ] == []


def test_the_capabilities_of_a_plain_container_are_enough(home: Path) -> None:
    home.parent.chmod(0o700)
    with User(home, prefix=without("dac_read_search", "sys_admin", "sys_ptrace")) as user:
        assert runs(user.endpoint())
        assert privileges(server_pid(home)) == NONE


def test_a_home_that_root_itself_cannot_get_to_is_explained(home: Path) -> None:
    home.parent.chmod(0o700)
    with User(home, prefix=without("dac_read_search", "dac_override")) as user:
        answer = user.answer()
    assert str(home) in answer
    assert "or set ZK_DATABASE_URL" in answer


def test_root_joins_the_server_of_a_plain_account(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    with User(home, prefix=AS_NOBODY) as user:
        endpoint = user.endpoint()
        assert (home / "postgres").stat().st_uid == NOBODY
        with embedded_server(home) as joined:
            assert joined == endpoint
            user.leave()
            assert runs(endpoint)
        assert not runs(endpoint)


def test_root_restarts_the_server_of_a_plain_account_as_that_account(home: Path) -> None:
    os.chown(home, NOBODY, NOBODY)
    with User(home, prefix=AS_NOBODY) as user:
        user.endpoint()
    with embedded_server(home):
        assert Path(f"/proc/{server_pid(home)}").stat().st_uid == NOBODY


def test_the_data_of_another_account_are_refused_with_its_id(home: Path) -> None:
    (home / "postgres").mkdir()
    os.chown(home, NOBODY, NOBODY)
    os.chown(home / "postgres", 12345, 12345)
    with User(home, prefix=AS_NOBODY) as user:
        assert "belongs to the account with the id 12345, not to yours" in user.answer()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", tmp_path], check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        assert "No space left on device" in refusal(tmp_path / "home")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
