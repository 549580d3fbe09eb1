"""`zk alerts test` against a receiver behind a real socket."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from zk_pipeline.cli import output
from zk_pipeline.cli.app import app
from zk_pipeline.runtime.settings import ENV_FILE
from zk_pipeline_tests.observe.alerts.receiver import TOKEN, Receiver, open_receiver

Try = Callable[..., Result]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as receiver:
        yield receiver


@pytest.fixture
def try_alerts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Try:
    """Runs the command with these addresses and no other setting."""
    for name in [name for name in os.environ if name.startswith("ZK_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(ENV_FILE, os.devnull)
    for terminal in (output.out, output.err):
        monkeypatch.setattr(terminal, "_width", 200)

    def run(urls: str, *options: str) -> Result:
        monkeypatch.setenv("ZK_ALERT_URLS", urls)
        return CliRunner().invoke(app, ["alerts", "test", *options], catch_exceptions=False)

    return run


def test_each_address_gets_a_test_alert(try_alerts: Try, receiver: Receiver) -> None:
    result = try_alerts(f"{receiver.url},{receiver.url}/second")
    assert result.exit_code == 0, result.output
    assert receiver.titles == ["zk_pipeline: test alert"] * 2
    assert result.output.count("sent") == 2


def test_an_address_that_fails_is_shown_with_its_reason_and_the_others_still_get_theirs(
    try_alerts: Try, receiver: Receiver
) -> None:
    result = try_alerts(f"pigeon://{TOKEN},{receiver.url}", "--json")
    assert result.exit_code == 1
    assert TOKEN not in result.output
    broken, good = json.loads(result.stdout)
    assert (broken["address"], broken["kind"], broken["ok"]) == (1, "pigeon", False)
    assert "Correct address 1 in ZK_ALERT_URLS" in broken["problem"]
    assert (good["kind"], good["ok"], good["problem"]) == ("json", True, None)
    assert len(receiver.messages) == 1


def test_without_addresses_the_setting_is_named(try_alerts: Try) -> None:
    result = try_alerts("")
    assert result.exit_code == 1
    assert "Set ZK_ALERT_URLS" in result.output
