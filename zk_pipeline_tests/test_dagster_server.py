"""Dagster's web server as `zk up` runs it: runs are started and followed, and every way to fail is one sentence."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from socket import create_server

import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime import dagster_server
from zk_pipeline.runtime.dagster_server import (
    DagsterServer,
    DagsterServerError,
    DagsterSlowError,
    asset_url,
    partition_url,
    run_url,
)
from zk_pipeline.runtime.run_tags import range_tags
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.test_up import free_port, zk_up
from zk_sandbox.server import SandboxProcess

FIRST, LAST = date(2025, 10, 13), date(2025, 10, 14)
LINK = "https://dagster.example.com"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DagsterServer]:
    with SandboxProcess("demo") as systems:
        variables = {
            "ZK_ZAMMAD_URL": systems.zammad_url,
            "ZK_ZAMMAD_TOKEN": systems.zammad_token,
            "ZK_KIMAI_URL": systems.kimai_url,
            "ZK_KIMAI_TOKEN": systems.kimai_token,
        }
        with zk_up(tmp_path_factory.mktemp("dagster"), variables, free_port()) as up:
            up.wait_for("Press Ctrl-C")
            yield DagsterServer(up.url, up.cipher)


def test_a_run_over_days_is_started_and_followed_to_its_end(server: DagsterServer) -> None:
    run_id = server.launch("plan", range_tags(FIRST, LAST, "api"))
    assert wait_until(lambda: server.run_statuses([run_id])[run_id] in {"SUCCESS", "FAILURE"}, 90)
    assert server.run_statuses([run_id, "unknown"]) == {run_id: "SUCCESS"}


def test_no_runs_have_no_status(server: DagsterServer) -> None:
    assert server.run_statuses([]) == {}


def test_a_job_that_does_not_exist_is_named(server: DagsterServer) -> None:
    with pytest.raises(DagsterServerError, match=r"did not start a run of nothing: .*nothing.*\. Look at its UI\."):
        server.launch("nothing", {})


def test_every_required_daemon_has_just_given_a_sign_of_life(server: DagsterServer) -> None:
    needed = [daemon for daemon in server.daemons() if daemon.required]
    assert {"SCHEDULER", "SENSOR", "QUEUED_RUN_COORDINATOR"} <= {daemon.name for daemon in needed}
    oldest = datetime.now(UTC) - timedelta(minutes=2)
    assert all(daemon.healthy and daemon.heartbeat_at and daemon.heartbeat_at > oldest for daemon in needed)


def test_a_server_that_does_not_answer_is_named_with_the_remedy() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(DagsterServerError, match=rf"Dagster at {address} does not answer \(ConnectError\)\. Restart"):
        DagsterServer(address, TokenCipher(generate_key())).daemons()


def test_a_server_that_does_not_answer_in_time_may_have_done_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagster_server, "_SECONDS_TO_ANSWER", 0.2)
    with create_server(("127.0.0.1", 0)) as silent:
        server = DagsterServer(f"http://127.0.0.1:{silent.getsockname()[1]}", TokenCipher(generate_key()))
        with pytest.raises(DagsterSlowError, match="may have started: look at Runs before you ask again"):
            server.launch("plan", {})


def test_a_program_with_another_key_is_told(server: DagsterServer) -> None:
    with pytest.raises(DagsterServerError, match="Set the same ZK_ENCRYPTION_KEY for all processes"):
        DagsterServer(server.address, TokenCipher(generate_key())).daemons()


def test_links_lead_to_the_pages_of_a_run_an_asset_and_a_day() -> None:
    assert run_url(LINK, "0-1") == f"{LINK}/runs/0-1"
    assert asset_url(LINK, "sync/kimai_pushes") == f"{LINK}/assets/sync/kimai_pushes"
    day = partition_url(LINK, "sync/kimai_pushes", FIRST)
    assert day == f"{LINK}/assets/sync/kimai_pushes?view=partitions&partition=2025-10-13"
