"""`zk schedule`: what runs when, and that a change is checked, stored, audited and taken over by a running Dagster."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from zk_pipeline.processes.groups import wait_until
from zk_pipeline_tests.cli.conftest import Home, Zk
from zk_pipeline_tests.cli.test_up import SECONDS_TO_START, Up, free_port, zk_up

SCHEDULES = """{ schedulesOrError(repositorySelector: {
    repositoryName: "__repository__", repositoryLocationName: "zk_pipeline"}) {
  ... on Schedules { results { name cronSchedule executionTimezone defaultStatus } } } }"""
NOT_RUNNING = "Stored. It takes effect when Dagster starts: no `zk up` runs on this home."


def shown(zk: Zk, name: str = "catch_up", **variables: str) -> dict[str, Any]:
    result = zk("schedule", "show", "--json", **variables)
    assert result.exit_code == 0, result.stderr
    return {row["name"]: row for row in json.loads(result.stdout)}[name]


def changed(zk: Zk, *options: str, name: str = "catch_up") -> Result:
    result = zk("schedule", "set", name, *options)
    assert result.exit_code == 0, result.stderr
    return result


def rows(home: Home, query: str) -> list[Any]:
    with home.database() as database, database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_at_first_all_is_as_the_environment_says(zk: Zk) -> None:
    row = shown(zk, ZK_CATCH_UP_DAYS="3")
    assert (row["cron"], row["days"], row["on"], row["when_busy"]) == ("0 */6 * * *", 3, True, "skip")
    assert set(row["from"].values()) == {"environment"}
    assert row["zone"] == "Europe/Berlin"


def test_the_next_five_runs_are_shown_in_the_business_zone(zk: Zk) -> None:
    runs = shown(zk)["next_runs"]
    assert len(runs) == len(set(runs)) == 5
    assert {run[11:13] for run in runs} == {"00", "06", "12", "18"}
    assert {run[19:] for run in runs} <= {"+01:00", "+02:00"}


def test_a_stored_value_wins_over_the_environment_and_says_so(zk: Zk) -> None:
    assert NOT_RUNNING in changed(zk, "--cron", "15 4 * * *", "--days", "9").stdout
    row = shown(zk, ZK_CATCH_UP_CRON="0 1 * * *")
    assert (row["cron"], row["days"]) == ("15 4 * * *", 9)
    assert row["from"] == {"cron": "stored", "days": "stored", "on": "environment", "when_busy": "environment"}


def test_a_change_is_in_the_audit_trail_with_what_was_there_before(zk: Zk) -> None:
    changed(zk, "--days", "9")
    query = "SELECT event, subject, detail FROM sync.audit_logs JOIN sync.audit_details USING (id) ORDER BY id"
    _, (event, subject, detail) = rows(zk.home, query)
    assert (event, subject) == ("schedule.set", "schedule:catch_up")
    assert detail["before"]["days"] == {"value": 7, "from": "environment"}
    assert detail["after"]["days"] == {"value": 9, "from": "stored"}


def test_the_same_again_changes_nothing(zk: Zk) -> None:
    changed(zk, "--days", "9")
    assert "Nothing changed." in changed(zk, "--days", "9").stdout
    assert rows(zk.home, "SELECT count(*) FROM sync.audit_logs WHERE event <> 'audit.bound'") == [(1,)]


def test_a_reset_returns_to_the_environment(zk: Zk) -> None:
    changed(zk, "--cron", "15 4 * * *", "--off", "--when-busy", "queue")
    changed(zk, "--reset")
    assert set(shown(zk)["from"].values()) == {"environment"}
    assert rows(zk.home, "SELECT * FROM sync.settings") == []


def test_a_reset_with_a_value_keeps_only_that(zk: Zk) -> None:
    changed(zk, "--cron", "15 4 * * *")
    changed(zk, "--reset", "--days", "2")
    assert rows(zk.home, "SELECT name, value FROM sync.settings") == [("catch_up.days", 2)]


def test_off_leaves_the_cron_and_has_no_next_runs(zk: Zk) -> None:
    changed(zk, "--preset", "off")
    row = shown(zk)
    assert (row["on"], row["cron"], row["next_runs"]) == (False, "0 */6 * * *", [])
    changed(zk, "--preset", "hourly")
    assert (shown(zk)["on"], shown(zk)["cron"]) == (True, "0 * * * *")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--cron", "whenever"), "Error: catch_up.cron='whenever': is no cron expression; give five fields"),
        (("--cron", "* * * * *"), "Error: catch_up.cron='* * * * *': runs more than once in 5 minutes"),
        (("--days", "0"), "Error: catch_up.days=0: give a number of days from 1 to 366."),
        ((), "Error: Give --preset, --cron"),
    ],
)
def test_a_wrong_value_is_one_sentence_and_stores_nothing(zk: Zk, options: tuple[str, ...], sentence: str) -> None:
    result = zk("schedule", "set", "catch_up", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith(sentence)
    assert len(result.stderr.splitlines()) == 1
    assert rows(zk.home, "SELECT * FROM sync.settings") == []


def test_a_wrong_stored_value_is_named_and_can_be_corrected(zk: Zk) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(text("INSERT INTO sync.settings VALUES ('catch_up.cron', '\"soon\"', 'somebody', now())"))
    assert zk("schedule", "show").stderr.startswith("Error: catch_up.cron='soon': is no cron expression")
    changed(zk, "--cron", "0 5 * * *")
    assert shown(zk)["cron"] == "0 5 * * *"


@pytest.fixture
def running(zk: Zk) -> Iterator[Up]:
    with zk_up(zk.home.path, zk.home.variables, free_port()) as up:
        up.wait_for("Press Ctrl-C")
        yield up


def schedule_of(up: Up, name: str) -> dict[str, Any]:
    return {row["name"]: row for row in up.ask(SCHEDULES)["schedulesOrError"]["results"]}[name]


STATE = """{ scheduleOrError(scheduleSelector: {repositoryName: "__repository__",
    repositoryLocationName: "zk_pipeline", scheduleName: "catch_up"}) {
  ... on Schedule { scheduleState { id status } } } }"""
STOP = """mutation ($id: String!) { stopRunningSchedule(id: $id) {
  ... on ScheduleStateResult { scheduleState { status } } } }"""


def test_what_somebody_switched_in_dagster_is_shown_and_ended_by_the_next_change(zk: Zk, running: Up) -> None:
    state = running.ask(STATE)["scheduleOrError"]["scheduleState"]
    running.ask(STOP, id=state["id"])
    row = shown(zk)
    assert (row["on"], row["from"]["on"], row["next_runs"]) == (False, "dagster", [])
    assert zk("doctor").stdout.count("Switched off in Dagster's UI: catch_up") == 1
    assert shown(zk, "deep_check")["on"]

    changed(zk, "--days", "9")
    assert not shown(zk)["on"]
    changed(zk, "--on")
    assert (shown(zk)["on"], shown(zk)["from"]["on"]) == (True, "stored")
    assert running.ask(STATE)["scheduleOrError"]["scheduleState"]["status"] == "RUNNING"


def test_a_running_dagster_takes_changes_over_without_a_restart_by_hand(zk: Zk, running: Up) -> None:
    assert schedule_of(running, "catch_up")["cronSchedule"] == "0 */6 * * *"

    told = changed(zk, "--cron", "45 5 * * *").stdout
    assert f"In effect. See {running.url}." in told
    assert schedule_of(running, "catch_up")["cronSchedule"] == "45 5 * * *"
    assert "The code server ended as requested; it is restarted." in running.output

    changed(zk, "--off", name="deep_check")
    assert schedule_of(running, "deep_check")["defaultStatus"] == "STOPPED"
    assert schedule_of(running, "catch_up")["executionTimezone"] == "Europe/Berlin"

    run_id = running.launch("plan", "2025-10-14")
    assert wait_until(lambda: running.status(run_id) in {"SUCCESS", "FAILURE"}, SECONDS_TO_START)
    assert running.status(run_id) == "SUCCESS"

    running.stop()
    assert NOT_RUNNING in changed(zk, "--reset").stdout
