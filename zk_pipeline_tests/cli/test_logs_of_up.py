"""The logs of everything that `zk up` runs, in the form for machines."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.test_reacting import QUICK, SECONDS, SYSTEMS
from zk_pipeline_tests.cli.test_up import Up, free_port, zk_up
from zk_pipeline_tests.defs.conftest import open_desk, open_office
from zk_pipeline_tests.defs.world import KIMAI_TOKEN, ZAMMAD_TOKEN, Desk


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Up, Desk]]:
    """Everything, between two simulated systems."""
    with open_desk(monkeypatch) as desk, open_office(monkeypatch):
        variables = {**QUICK, **{name: os.environ[name] for name in SYSTEMS}, "ZK_LOG_FORMAT": "json"}
        with zk_up(tmp_path, variables, free_port()) as up:
            up.wait_for("Press Ctrl-C")
            yield up, desk


def lines(up: Up) -> dict[str, list[str]]:
    """The whole lines that each process has written so far."""
    return {path.stem: path.read_text().rpartition("\n")[0].splitlines() for path in (up.home / "logs").glob("*.log")}


def test_every_process_writes_objects_and_nobodys_data(running: tuple[Up, Desk]) -> None:
    up, desk = running
    desk.book(15, datetime.now(UTC))
    assert wait_until(lambda: any("PIPELINE_SUCCESS" in line for line in lines(up)["code-server"]), SECONDS)
    written = lines(up)
    objects: dict[str, list[dict[str, Any]]] = {
        name: [json.loads(line) for line in text] for name, text in written.items()
    }
    assert {"web-app", "code-server", "webserver", "daemon"} <= set(objects)
    assert objects.pop("preloaded") == []
    assert all(objects.values())
    assert {"demand", None} <= {line.get("automation") for line in objects["code-server"]}
    text = json.dumps(written)
    assert [word for word in (ZAMMAD_TOKEN, KIMAI_TOKEN, "anna@", "Printer") if word in text] == []
