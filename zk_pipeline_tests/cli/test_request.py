"""`zk sync --request`: asks for days and returns at once. And what it says of days whose run was cancelled."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from zk_pipeline.store import cancellations
from zk_pipeline.store.cancellations import RunCancellation
from zk_pipeline_tests.cli.conftest import Home, Sandbox, Zk


def asked(home: Home) -> list[tuple[date, str]]:
    with home.database() as database, database.transaction() as connection:
        return [
            (row.day, row.reason) for row in connection.execute(text("SELECT * FROM sync.day_requests ORDER BY day"))
        ]


def test_it_asks_for_each_day_in_one_sentence_and_reads_nothing(zk: Zk, sandbox: Sandbox) -> None:
    result = zk("sync", "--request", "--from", "2025-10-06", "--to", "2025-10-08")
    assert result.exit_code == 0
    assert result.output == "Requested 2025-10-06 to 2025-10-08; a running `zk up` runs them.\n"
    assert asked(zk.home) == [(date(2025, 10, day), "person") for day in (6, 7, 8)]
    assert sandbox.zammad.requests().reads + sandbox.kimai.requests().reads == 0


def test_who_asked_is_in_the_audit_trail(zk: Zk) -> None:
    zk("sync", "--request", "--from", "2025-10-06")
    with zk.home.database() as database, database.transaction() as connection:
        row = connection.execute(text("SELECT * FROM sync.audit_logs WHERE event = 'days.requested'")).one()
    assert row.subject == "days:2025-10-06..2025-10-06"
    assert row.actor


def test_for_machines_it_prints_one_object(zk: Zk) -> None:
    result = zk("sync", "--request", "--from", "2025-10-06", "--json")
    assert json.loads(result.output) == {"first": "2025-10-06", "last": "2025-10-06", "days": 1, "reason": "person"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2025-02-30"], ["2025-02-30"]),
        (["--from", "2025-10-07", "--to", "2025-10-06"], ["Swap"]),
        (["--from", "2019-12-31"], ["ZK_START_DATE"]),
        (["--from", "2025-10-07", "--to", str(date.today() + timedelta(days=2))], ["future"]),  # noqa: DTZ011
        (["--from", "2025-10-07", "--plan"], ["--plan", "Use one of"]),
        (["--from", "2025-10-07", "--override-limits"], ["--override-limits", "Use one of"]),
        (["--from", "2025-10-07", "--let-pass"], ["Warning: --let-pass is now --override-limits", "Use one of"]),
    ],
)
def test_what_a_sync_refuses_is_refused_and_asks_for_nothing(zk: Zk, arguments: list[str], words: list[str]) -> None:
    result = zk("sync", "--request", *arguments)
    assert result.exit_code == 1
    assert [word for word in words if word not in result.output] == []
    assert asked(zk.home) == []


def hold(home: Home, run_id: str) -> None:
    """What the sensor notes of a run over three days that is cancelled before it begins."""
    with home.database() as database, database.transaction() as connection:
        cancellations.ask(connection, run_id, "cli:root")
        days = date(2025, 10, 6), date(2025, 10, 8)
        cancellations.note(connection, RunCancellation(run_id, datetime.now(UTC), days))


def test_days_of_a_cancelled_run_are_shown_and_a_sync_of_some_carries_those_out(zk: Zk) -> None:
    zk("sync", "--request", "--from", "2025-10-06", "--to", "2025-10-08")
    hold(zk.home, "3f9c2ab1-0")
    shown = zk("status").output
    assert "Cancelled: sync again?" in shown
    assert "root (command line)" in shown
    assert (
        "To sync again: zk sync --from 2025-10-06 --to 2025-10-08. To leave these days: zk sync --leave 3f9c2ab1."
        in shown
    )
    zk("sync", "--from", "2025-10-06", "--to", "2025-10-07")
    (held,) = json.loads(zk("status", "--json").output)["held"]
    assert (held["days"], held["cancelled_by"], held["changes"]) == (["2025-10-08"], "cli:root", 1)
    assert zk("sync", "--leave", "3f9c2a").output.startswith("Left as they are: 2025-10-08 to 2025-10-08.")
    assert json.loads(zk("status", "--json").output)["held"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--leave", "3f9c2ab1"], "No days of run 3f9c2ab1 wait: they were decided already"),
        (["--leave", "3f9c2ab1", "--plan"], "Use --cancel or --leave without other options"),
        (["--cancel", "3f9c2ab1"], "does not answer"),
    ],
)
def test_a_word_about_no_run_is_one_sentence(zk: Zk, arguments: list[str], sentence: str) -> None:
    result = zk("sync", *arguments, ZK_DAGSTER_ADDRESS="http://127.0.0.1:9")
    assert result.exit_code == 1
    assert sentence in result.output
