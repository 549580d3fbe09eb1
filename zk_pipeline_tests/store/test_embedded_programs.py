"""The account that runs PostgreSQL: for root an unprivileged one, also where directories are closed to it."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zk_pipeline.store.embedded import embedded_server
from zk_pipeline.store.embedded_programs import program
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


def capabilities(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("CapEff:")[1].split()[0], 16)


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


def test_the_account_gets_no_capability_where_it_needs_none(home: Path) -> None:
    if subprocess.run(["test", "-x", program("postgres")], check=False, user=NOBODY, cwd="/").returncode:
        pytest.skip("the programs lie in a directory that is closed to other accounts")
    with embedded_server(home):
        assert capabilities(server_pid(home)) == 0


def test_a_home_in_a_closed_directory_works_and_stays_closed(home: Path) -> None:
    home.parent.chmod(0o700)
    with embedded_server(home) as endpoint:
        assert runs(endpoint)
        assert capabilities(server_pid(home)) == 1 << 2
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


def test_programs_in_a_closed_directory_work(home: Path, tmp_path: Path) -> None:
    package = program("postgres").parents[2]
    shutil.copytree(package.with_name(f"{package.name}.libs"), tmp_path / f"{package.name}.libs")
    shutil.copytree(program("postgres").parents[1], tmp_path / package.name / "pginstall18")
    (tmp_path / package.name / "__init__.py").touch()
    tmp_path.chmod(0o700)
    with User(home, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}) as user:
        assert runs(user.endpoint())
        assert Path(f"/proc/{server_pid(home)}/exe").readlink().is_relative_to(tmp_path)


def test_the_capabilities_of_a_plain_container_are_enough(home: Path) -> None:
    home.parent.chmod(0o700)
    with User(home, prefix=without("dac_read_search", "sys_admin", "sys_ptrace")) as user:
        assert runs(user.endpoint())
        assert capabilities(server_pid(home)) == 1 << 1


def test_a_home_that_the_account_cannot_get_to_is_explained(home: Path) -> None:
    home.parent.chmod(0o700)
    with User(home, prefix=without("dac_read_search", "dac_override")) as user:
        answer = user.answer()
    assert "cannot get to one of" in answer
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
