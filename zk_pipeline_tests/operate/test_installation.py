"""Two installations on one database: the second one is refused by name, unless both have the same."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from zk_pipeline.runtime.installation import LOCK, hold_database, installation_name, require_unused_database
from zk_pipeline.runtime.runtime import Runtime, SetupError
from zk_pipeline.store.database import Database
from zk_pipeline_tests.cli.conftest import Home, Zk
from zk_pipeline_tests.operate.conftest import runtime_of

REFUSED = (
    r"Stop the installation 'first', which has used this database since \d{4}-\d\d-\d\d \d\d:\d\d UTC, "
    r"or give this one its own database \(ZK_DATABASE_URL\)\. "
    r"To share it, set the same ZK_INSTALLATION for both\."
)


def named(runtime: Runtime, name: str) -> Runtime:
    return replace(runtime, settings=runtime.settings.model_copy(update={"installation": name}))


@pytest.fixture
def runtime(zk_home: Home) -> Iterator[Runtime]:
    with runtime_of(zk_home) as runtime:
        yield runtime


@contextmanager
def first_at_work(home: Home) -> Iterator[None]:
    with runtime_of(home) as runtime, hold_database(named(runtime, "first")):
        yield


def test_a_database_that_nobody_works_on_is_free(runtime: Runtime) -> None:
    require_unused_database(runtime)


def test_another_installation_is_refused_and_one_of_the_same_name_is_not(runtime: Runtime, zk_home: Home) -> None:
    with first_at_work(zk_home):
        with pytest.raises(SetupError, match=REFUSED):
            require_unused_database(named(runtime, "second"))
        with pytest.raises(SetupError, match=REFUSED), hold_database(named(runtime, "second")):
            pytest.fail("Two installations worked on one database.")
        require_unused_database(named(runtime, "first"))
    require_unused_database(named(runtime, "second"))


def test_without_a_name_it_is_the_machine_and_the_home(runtime: Runtime) -> None:
    assert installation_name(runtime.settings) == f"{os.uname().nodename[:20]}:{runtime.settings.home}"[-63:]
    long = runtime.settings.model_copy(update={"home": runtime.settings.home / ("ü" * 80)})
    assert len(installation_name(long).encode()) <= 63


@pytest.mark.parametrize("command", ["up", "migrate"])
def test_the_commands_that_start_an_installation_are_refused_with_one_sentence(
    command: str, zk: Zk, zk_home: Home
) -> None:
    with first_at_work(zk_home):
        refused = zk(command, ZK_INSTALLATION="second", COLUMNS="400")
    assert refused.exit_code == 1
    assert re.search(REFUSED, refused.stderr)


def test_a_refused_start_leaves_the_connectors_of_the_other_as_they_are(zk: Zk, zk_home: Home) -> None:
    """The second one's address and token had replaced the first one's before it was refused."""
    before = zk("connectors", "list", "--json").stdout
    with first_at_work(zk_home):
        refused = zk("up", ZK_INSTALLATION="second", ZK_KIMAI_URL="http://127.0.0.1:9", ZK_KIMAI_TOKEN="other")
    assert refused.exit_code == 1
    assert zk("connectors", "list", "--json").stdout == before


def test_a_web_app_that_is_started_by_itself_is_refused_as_well(zk: Zk, zk_home: Home) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZK_")}
    with first_at_work(zk_home):
        done = subprocess.run(
            [sys.executable, "-m", "zk_pipeline.web.server"],
            env={**environment, **zk_home.variables, "ZK_INSTALLATION": "second"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 1
    assert re.search(REFUSED, done.stderr)


def test_an_installation_that_gives_no_sign_any_more_is_out_within_seconds(
    runtime: Runtime, zk_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its network is gone: its process is stopped, and PostgreSQL itself ends the connection."""
    holds = (
        "import sys, time\n"
        "from zk_pipeline.store import database\n"
        "database.SECONDS_OF_SILENCE = 2\n"
        f"with database.Database(sys.argv[1]).kept_lock({LOCK!r}, 'first') as taken:\n"
        "    taken.wait(); print('held', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", holds, zk_home.variables["ZK_DATABASE_URL"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(SetupError, match=REFUSED):
            require_unused_database(named(runtime, "second"))
        process.send_signal(signal.SIGSTOP)
        with Database(zk_home.variables["ZK_DATABASE_URL"]).kept_lock(LOCK, "second") as taken:
            assert taken.wait(90)
        process.kill()
