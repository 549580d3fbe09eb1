"""The demo that stays: it prints both addresses and a sign-in, and these are true."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.test_up import Up, free_port, processes_of

SECONDS_TO_START = 120
ONE_DAY = """
from datetime import date
from zk_pipeline.cli import app, demo
demo.FIRST = demo.LAST = date(2025, 10, 1)
app.app()
"""
"""`zk`, with a demo of one day instead of a month."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`zk demo --serve`, which is what `make dev` runs."""
    home, ports = tmp_path_factory.mktemp("demo"), (free_port(), free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ZK_", "DAGSTER_"))}
    process = subprocess.Popen(
        [sys.executable, "-c", ONE_DAY, "demo", "--serve", "--port", str(ports[0]), "--web-port", str(ports[1])],
        env={**environment, "ZK_HOME": str(home), "PYTHONUNBUFFERED": "1"},
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


def printed(demo: Up, label: str) -> str:
    """What stands behind a label of the output."""
    found = re.search(rf"^{label}:\s+(.+)$", demo.output, re.MULTILINE)
    assert found, demo.output
    return found[1].strip()


def test_the_printed_sign_in_opens_the_console_that_is_printed(demo: Up):
    address = printed(demo, "Web app")
    assert address.rstrip("/") == demo.web_url
    email, password = printed(demo, "Sign in as").split(" / ")
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        assert client.get("/dashboard").status_code == 303, "nobody comes in without it"
        signed_in = client.post(
            "/api/v1/auth/login",
            json={"email": email, "password": password, "cookies": True},
            headers={"origin": demo.web_url},
        )
        assert signed_in.status_code == 200, signed_in.text
        assert client.get("/api/v1/auth/me").json()["role"] == "admin"
        assert client.get("/dashboard").status_code == 200
        assert client.get("/api/v1/sync/runs").json()["total"] == 2


def test_the_printed_sign_in_opens_dagsters_ui_as_well(demo: Up):
    address = printed(demo, "Dagster's UI")
    email, password = printed(demo, "Sign in as").split(" / ")
    with httpx.Client(base_url=address, headers={"origin": address}, trust_env=False, timeout=30) as client:
        assert client.get("/server_info").status_code == 401
        assert client.post("/sign-in", data={"email": email, "password": password}).status_code == 303
        assert client.get("/server_info").status_code == 200


def test_it_ends_as_a_whole(demo: Up):
    assert processes_of(demo.home) != {}
    demo.process.send_signal(signal.SIGINT)
    demo.process.wait(60)
    assert wait_until(lambda: processes_of(demo.home) == {}, 10), processes_of(demo.home)
