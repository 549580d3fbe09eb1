"""`zk trace`: the whole story of a booking, a ticket's bookings or a time sheet, and no secret in it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import Result

from zk_pipeline.domain.requests import RequestRecord
from zk_pipeline.store import request_log
from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_sandbox.demo import demo_mappings_csv

DAY = ("--from", "2025-10-01", "--to", "2025-10-03")


@pytest.fixture(scope="module")
def synced(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which the first days of the demo's month were carried over."""
    home = homes.new()
    mappings = tmp_path_factory.mktemp("csv") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    assert Zk(home)("mappings", "import", str(mappings)).exit_code == 0
    assert Zk(home)("sync", *DAY, "--json").exit_code == 3
    return home


@pytest.fixture
def days(synced: Home, homes: Homes, zk: Zk, sandbox: Sandbox) -> Zk:
    """Runs `zk` where these days are in Kimai."""
    return Zk(homes.new(like=synced))


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def written(zk: Zk) -> dict[str, Any]:
    """A row of the ledger that was written."""
    with zk.home.database() as database, database.transaction() as connection:
        query = "SELECT * FROM sync.pushes WHERE state = 'confirmed' ORDER BY source_id LIMIT 1"
        return dict(connection.exec_driver_sql(query).mappings().one())


def story(zk: Zk, reference: str) -> dict[str, Any]:
    (one,) = as_json(zk("trace", reference, "--json"))["stories"]
    return one


def test_a_booking_is_told_from_the_row_in_zammad_to_the_write_in_kimai(days: Zk) -> None:
    ledger = written(days)
    told = story(days, ledger["source_id"])
    assert told["booking"]["first_seen_at"] <= told["booking"]["last_seen_at"]
    assert told["booking"]["gone_at"] is None
    assert told["ticket"]["number"] in told["entry"]["ticket_number"]
    assert told["entry"]["trace"]
    assert [line["action"] for line in told["plan"]] == ["create"]
    assert told["ledger"]["base"]["id"] == ledger["kimai_id"]
    (write,) = told["writes"]
    assert (write["operation"], write["before"], write["after"]["id"]) == ("create", None, ledger["kimai_id"])
    assert [(event["actor"], event["event"]) for event in told["audit"]] == [("pipeline", "kimai.timesheet.created")]
    assert told["runs"][0]["url"].endswith(f"/runs/{ledger['run_id']}")


def test_a_time_sheet_tells_the_story_of_its_booking(days: Zk) -> None:
    ledger = written(days)
    assert story(days, f"kimai:{ledger['kimai_id']}")["source_id"] == ledger["source_id"]


def test_a_ticket_tells_the_story_of_each_of_its_bookings(days: Zk) -> None:
    ledger = written(days)
    number = story(days, ledger["source_id"])["ticket"]["number"]
    told = as_json(days("trace", f"#{number}", "--json"))["stories"]
    assert ledger["source_id"] in [one["source_id"] for one in told]
    assert {one["ticket"]["number"] for one in told} == {number}


def test_the_number_of_a_ticket_is_told_for_what_it_is(days: Zk) -> None:
    number = story(days, written(days)["source_id"])["ticket"]["number"]
    result = days("trace", number)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"No booking {number}. Did you mean ticket #{number}?" in result.stderr


def test_a_person_is_named_and_not_numbered(days: Zk) -> None:
    conflict = as_json(days("conflicts", "list", "--each", "--json"))[0]
    number = str(conflict["id"])
    days("conflicts", "resolve", number, "ignore", "--why", "Goodwill")
    assert days("users", "create", "ada@example.com", "--without-password").exit_code == 0
    with days.home.database() as database, database.transaction() as connection:
        connection.exec_driver_sql("UPDATE sync.conflicts SET decided_by = 'user:1' WHERE decision IS NOT NULL")
    for shown in (days("trace", conflict["source_id"]).stdout, days("conflicts", "show", number).stdout):
        assert "ada@" in shown
        assert "user:1" not in shown
    again = days("conflicts", "resolve", number, "ignore", "--why", "Goodwill")
    assert f"Conflict {number} is no longer open: ada@example.com decided to leave it out." in again.stderr


def test_what_waits_for_a_person_is_told_with_the_decision_and_who_took_it(days: Zk) -> None:
    conflict = as_json(days("conflicts", "list", "--each", "--json"))[0]
    days("conflicts", "resolve", str(conflict["id"]), "ignore", "--why", "Goodwill")
    told = story(days, conflict["source_id"])
    assert [(row["reason"], row["decision"]) for row in told["conflicts"]] == [(conflict["reason"], "ignore")]
    assert "conflict.decided" in [event["event"] for event in told["audit"]]


def test_a_time_sheet_without_booking_is_told_as_far_as_it_is_known(days: Zk) -> None:
    with days.home.database() as database, database.transaction() as connection:
        query = "SELECT id FROM kimai.timesheets WHERE position('[zk-' in description) = 0 LIMIT 1"
        strange = connection.exec_driver_sql(query).scalar_one()
    told = story(days, f"kimai:{strange}")
    assert (told["source_id"], [row["id"] for row in told["timesheets"]]) == (None, [strange])


def test_the_table_shows_every_chapter_and_the_address_of_the_run(days: Zk) -> None:
    ledger = written(days)
    shown = days("trace", ledger["source_id"]).stdout
    for chapter in (
        "Zammad: the booking",
        "By which policy",
        "The plan",
        "The ledger",
        "Writes",
        "Requests",
        "Audit",
        "Runs",
    ):
        assert chapter in shown
    assert f"/runs/{ledger['run_id']}" in shown


def test_the_requests_for_a_booking_are_told_with_their_answers(days: Zk) -> None:
    ledger = written(days)
    (request,) = story(days, ledger["source_id"])["requests"]
    assert (request["method"], request["path"], request["status"]) == ("POST", "/api/timesheets", 200)
    assert f"[zk-zammad-{ledger['source_id']}]" in request["asked"]["description"]
    assert (request["answered"]["id"], request["error"]) == (ledger["kimai_id"], "")
    assert request["run_id"] == ledger["run_id"]


def test_a_request_for_no_booking_is_told_with_its_time_sheet(days: Zk) -> None:
    with days.home.database() as database, database.transaction() as connection:
        query = "SELECT id FROM kimai.timesheets WHERE position('[zk-' in description) = 0 LIMIT 1"
        strange = connection.exec_driver_sql(query).scalar_one()
        sent = RequestRecord("DELETE", f"/api/timesheets/{strange}", None, 204, None, "", 0.01, datetime.now(UTC))
        other = replace(sent, path=f"/api/customers/{strange}")
        request_log.append(connection, "kimai", [(None, sent), (None, other)], "run")
    told = story(days, f"kimai:{strange}")["requests"]
    assert [(row["method"], row["path"], row["status"]) for row in told] == [("DELETE", sent.path, 204)]


def test_no_secret_appears(days: Zk) -> None:
    ledger = written(days)
    variables = days.home.variables
    secrets = [variables["ZK_ZAMMAD_TOKEN"], variables["ZK_KIMAI_TOKEN"], variables["ZK_ENCRYPTION_KEY"]]
    with days.home.database() as database, database.transaction() as connection:
        secrets += connection.exec_driver_sql("SELECT token_encrypted FROM sync.connectors").scalars().all()
    for options in ((), ("--json",)):
        told = days("trace", ledger["source_id"], *options).stdout
        assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("99999999", "No booking 99999999. Sync its day"),
        ("#99999999", "No booking on ticket #99999999. Sync its days"),
        ("kimai:99999999", "No time sheet 99999999. Sync its day"),
        ("a99999", "No adjustment a99999. Trace the booking"),
        ("acme", "'acme' cannot be traced. Write 123 for a booking"),
        ("kimai:x", "'kimai:x' cannot be traced."),
        ("9" * 200, "cannot be traced."),
    ],
)
def test_what_nobody_knows_gets_one_sentence(zk: Zk, reference: str, sentence: str) -> None:
    result = zk("trace", reference)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
