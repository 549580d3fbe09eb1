"""The webhook intake under load, and what becomes of a burst while the database is restarted."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from sqlalchemy import func, select

from benchmarks.harness import Measurement, at_least, at_most, deployment, for_information
from benchmarks.web_process import SECONDS_TO_START, web_app
from benchmarks.webhook_sender import Order
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.environment import Environment
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store.tables import webhook_deliveries

SECRET = "benchmark-secret"
PATH = "/api/v1/webhooks/zammad"
CONNECTIONS = 16
BURST = 10_000


def measure(*, quick: bool) -> Iterator[Measurement]:
    """500 deliveries a second or more, 99 % within 100 ms, all stored; none lost when the database is restarted."""
    # One address sends everything, so its limit is lifted.
    given = {"ZK_WEBHOOK_SECRET": SECRET, "ZK_WEBHOOK_RATE": "1000000"}
    with deployment() as environment, web_app(**given) as port:
        order = Order(port, PATH, SECRET, "load", CONNECTIONS, seconds=5 if quick else 20)
        load = _finish(_sender(order))
        stored = _stored(environment.runtime, "load")
        burst = _burst(environment, Order(port, PATH, SECRET, "burst", CONNECTIONS, number=BURST))
        kept = _stored(environment.runtime, "burst")
    milliseconds = [1000 * latency for latency in load["latencies"]]
    yield at_least(
        "Deliveries accepted a second", load["accepted"] / load["seconds"], 500, note=f"{CONNECTIONS} connections"
    )
    yield at_most("99 % are answered within", quantiles(milliseconds, n=100)[98], 100, "ms")
    yield for_information("Half are answered within", median(milliseconds), "ms")
    yield at_most("Accepted but not stored", load["accepted"] - stored, 0)
    again = ", ".join(f"{number} of {status}" for status, number in burst["answers"].items() if status != "202")
    yield at_most("Lost of a burst", BURST - kept, 0, note=f"database restarted; tried again after answers: {again}")


def _burst(environment: Environment, order: Order) -> dict[str, Any]:
    """Send the burst, and restart the database when half of it is accepted."""
    sender = _sender(order)
    assert sender.stdout is not None
    sender.stdout.readline()
    with _restarted(environment.home):
        return _finish(sender)


@contextmanager
def _restarted(home: Path) -> Iterator[None]:
    """Stop the embedded server in the midst of its work, and start it again."""
    pid = int((home / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(pid, signal.SIGINT)
    wait_until(lambda: not (home / "postgres" / "postmaster.pid").exists(), SECONDS_TO_START)
    with embedded_server(home):
        yield


def _sender(order: Order) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.webhook_sender", json.dumps(asdict(order))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _finish(sender: subprocess.Popen[str]) -> dict[str, Any]:
    output, _ = sender.communicate()
    if sender.returncode:
        raise RuntimeError(f"The sender ended with code {sender.returncode}.")
    return json.loads(output.splitlines()[-1])


def _stored(runtime: Runtime, prefix: str) -> int:
    matches = webhook_deliveries.c.delivery_id.startswith(f"{prefix}-")
    with runtime.database.transaction() as connection:
        return connection.execute(select(func.count()).where(matches)).scalar_one()
