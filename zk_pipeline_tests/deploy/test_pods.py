"""Runs as pods: the launcher of Dagster's chart is in the image, and a run whose pod died is failed, not kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

RUNNING = {"active": 1}
DEAD = {"failed": 1}


class Cluster:
    """What of a Kubernetes API the launcher asks for: the state of a job, or that there is none."""

    def __init__(self) -> None:
        self.status: dict[str, Any] | None = RUNNING
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        if self.status is None:
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        return 200, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "run"}, "status": self.status}


@contextmanager
def served(cluster: Cluster) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = cluster.answer(self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture(scope="module")
def context(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkspaceProcessContext]:
    """A daemon of Dagster's as the chart sets it up, in a cluster that answers as told."""
    home = tmp_path_factory.mktemp("pods")
    with served(cluster) as url:
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": url}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        (home / "kubeconfig").write_text(yaml.safe_dump(access))
        launcher = {
            "service_account_name": "dagster",
            "instance_config_map": "dagster-instance",
            "postgres_password_secret": "zk-dagster-database",
            "dagster_home": "/opt/dagster/dagster_home",
            "job_image": "zk_pipeline:0.2.0",
            "load_incluster_config": False,
            "kubeconfig_file": str(home / "kubeconfig"),
        }
        overrides = {
            "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": launcher},
            "run_monitoring": {"enabled": True},
        }
        with (
            dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance,
            WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as made,
        ):
            yield made


@pytest.mark.parametrize(
    ("status", "became"),
    [(RUNNING, DagsterRunStatus.STARTED), (DEAD, DagsterRunStatus.FAILURE), (None, DagsterRunStatus.FAILURE)],
    ids=["alive", "dead", "gone"],
)
def test_a_run_is_failed_when_its_pod_is_dead_or_gone(
    context: WorkspaceProcessContext, cluster: Cluster, status: dict[str, Any] | None, became: DagsterRunStatus
):
    from dagster_k8s import K8sRunLauncher  # noqa: PLC0415 (a second in each process that collects tests)

    instance = context.instance
    assert isinstance(instance.run_launcher, K8sRunLauncher)
    run = create_run_for_test(instance, job_name="sync", status=DagsterRunStatus.STARTED)
    cluster.status = status
    logger = dg.get_dagster_logger("monitoring")
    for _ in execute_run_monitoring_iteration(context, logger):
        pass
    assert any(run.run_id in path for path in cluster.asked)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is became
