"""`zk close`, `zk reopen` and `zk credits`: they ask, do, tell, and name what stands in the way."""

import hashlib
import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import Result
from openpyxl import load_workbook
from sqlalchemy import text

from zk_pipeline.domain.instants import local_day
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.cli.conftest import Sandbox, Zk
from zk_pipeline_tests.credits import credited
from zk_pipeline_tests.defs.world import ZONE

MONTH = "2025-08"


def execute(zk: Zk, statement: str) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(text(statement))


@pytest.fixture
def stated(zk: Zk) -> Zk:
    """Runs `zk` where there is a statement, without a line."""
    with zk.home.database() as database, database.transaction() as connection:
        empty_marts.make(connection)
    return zk


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_a_month_is_closed_after_a_yes_and_shown_in_the_status(stated: Zk) -> None:
    assert stated("close", MONTH, "--as-read", answer="n\n").exit_code == 1
    assert as_json(stated("status", "--json"))["closed_months"] == []
    done = stated("close", MONTH, "--as-read", answer="y\n")
    assert done.exit_code == 0
    assert "2025-08 is closed." in done.stdout
    assert "Closed months: 2025-08." in stated("status").stdout
    assert "already closed" in stated("close", MONTH, "--as-read", "--yes").stderr


@pytest.fixture
def billed(stated: Zk) -> Zk:
    """Runs `zk` where there is a statement with a line."""
    execute(
        stated,
        """
        INSERT INTO marts.statement_lines (month, customer, customer_id, agent, entries, minutes_zammad, minutes_kimai)
        VALUES ('2025-08-01', 'Bäckerei', 7, 'Anna', 2, 82.5, 82.5)
        """,
    )
    return stated


def test_a_closed_statement_is_shown_as_it_was_whatever_changes_afterwards(billed: Zk) -> None:
    before = as_json(billed("statement", MONTH, "--format", "json"))
    closed = as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    same = as_json(billed("statement", MONTH, "--format", "json", "--as-built"))
    assert (same["closing"]["hash"], same["closing"]["differs"]) == (closed["statement_hash"], False)
    execute(billed, "UPDATE marts.statement_lines SET customer = 'Konditorei', minutes_kimai = 60, minutes_zammad = 60")
    kept = as_json(billed("statement", MONTH, "--format", "json", "--closed"))
    assert (kept["customers"], kept["minutes"]) == (before["customers"], before["minutes"])
    assert kept["closing"]["shown"] is True
    today = billed("statement", MONTH, "--as-built").stdout
    assert "This statement differs from the closed one. To see that: zk statement 2025-08 --closed." in today


def local_day_of(closed: dict[str, Any]) -> date:
    return local_day(datetime.fromisoformat(closed["closed_at"]), ZONE)


def name_of(closed: dict[str, Any]) -> str:
    account = closed["closed_by"].removeprefix("cli:")
    return f"{account} (command line)"


def test_each_format_says_that_it_is_as_closed_and_by_whom(billed: Zk, tmp_path: Path) -> None:
    closed = as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    told = f"As closed on {local_day_of(closed)} by {name_of(closed)}."
    shown = " ".join(billed("statement", MONTH, "--closed").stdout.split())
    assert f"{told} Hash of the closed statement: {closed['statement_hash']}." in shown
    assert f",as_closed,{closed['closed_at'][:10]}" in billed("statement", MONTH, "--closed", "--format", "csv").stdout
    path = tmp_path / "statement.xlsx"
    assert told in billed("statement", MONTH, "--closed", "--format", "xlsx", "-o", str(path)).stderr
    assert told in str(load_workbook(path)["Bäckerei"]["A1"].value)


def test_a_statement_of_one_customer_differs_by_that_customer_alone(billed: Zk) -> None:
    execute(
        billed, "INSERT INTO marts.statement_lines (month, customer, customer_id) VALUES ('2025-08-01', 'Globex', 8)"
    )
    as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    execute(billed, "UPDATE marts.statement_lines SET minutes_kimai = 60, minutes_zammad = 60 WHERE customer_id = 7")
    found = {
        number: as_json(billed("statement", MONTH, "--format", "json", "--as-built", "--customer", number))
        for number in ("7", "8")
    }
    assert {number: told["closing"]["differs"] for number, told in found.items()} == {"7": True, "8": False}


def test_a_kept_statement_that_was_changed_is_not_shown_as_the_closed_one(billed: Zk) -> None:
    as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    execute(billed, "UPDATE sync.closed_statements SET content = jsonb_set(content, '{minutes,kimai}', '\"90\"')")
    result = billed("statement", MONTH, "--closed")
    assert (result.exit_code, "was changed, its hash is no longer" in result.stderr) == (1, True)


def test_a_closing_of_before_statements_were_kept_says_so(billed: Zk) -> None:
    closed = as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    execute(billed, "DELETE FROM sync.closed_statements")
    assert f"only its hash {closed['statement_hash']}" in billed("statement", MONTH, "--closed").stderr
    told = " ".join(billed("statement", MONTH, "--as-built").stdout.split())
    assert f"Closed on {local_day_of(closed)} by {name_of(closed)}." in told


def test_a_month_that_was_opened_again_still_has_the_statement_that_was_closed(billed: Zk) -> None:
    assert "was never closed" in billed("statement", MONTH, "--closed").stderr
    as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    as_json(billed("reopen", MONTH, "--reason", "a mistake", "--json"))
    kept = as_json(billed("statement", MONTH, "--format", "json", "--closed"))
    assert kept["closing"]["reopened_at"] is not None
    assert as_json(billed("statement", MONTH, "--format", "json", "--as-built"))["closing"] is None


def as_frozen(value: Any) -> Any:
    """Without what goes on changing after a month was closed, as docs/billing.md says it for jq."""
    if isinstance(value, list):
        return [as_frozen(one) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    moving = {"readings", "conflicts", "adjustments", "credits_open", "money", "amount", "billed", "to_be_billed"}
    return {name: as_frozen(one) for name, one in cast("dict[str, Any]", value).items() if name not in moving}


def test_the_hash_of_a_closing_is_computed_from_the_statement_that_was_kept(billed: Zk) -> None:
    kept = as_json(billed("statement", MONTH, "--format", "json"))
    told = as_json(billed("close", MONTH, "--as-read", "--yes", "--json"))
    for moment in ("built_at", "stale_days", "closing"):
        del kept[moment]
    canonical = json.dumps(as_frozen(kept), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert [customer["minutes"]["zammad"] for customer in kept["customers"]] == ["82.5"]
    assert told["statement_hash"] == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_month_is_read_once_more_and_what_was_never_synced_is_in_the_way(stated: Zk) -> None:
    refused = stated("close", "2025-10", "--yes")
    assert refused.exit_code == 1
    assert re.search(r"of 2025-10 wait for people \(entries: \d+, open conflicts: \d+", refused.stderr)
    assert stated("close", "2025-10", "--as-read", "--yes").exit_code == 1, "what was read stays known"


def test_a_month_that_cannot_be_read_once_more_is_closed_by_what_was_read_last(stated: Zk, sandbox: Sandbox) -> None:
    sandbox.kimai.add_fault("respond", status=403, text="")
    refused = stated("close", MONTH, "--yes")
    assert refused.exit_code == 1
    assert "The month is not closed: it could not be read again. Kimai" in refused.stderr
    assert refused.stderr.endswith("To close it as it was last read: --as-read\n")
    assert stated("close", MONTH, "--as-read", "--yes").exit_code == 0


def test_a_month_is_opened_again_for_a_reason(stated: Zk) -> None:
    assert as_json(stated("close", MONTH, "--as-read", "--yes", "--json"))["closed"] is True
    assert stated("reopen", MONTH).exit_code == 2
    assert as_json(stated("reopen", MONTH, "--reason", "a mistake", "--json"))["reopened_reason"] == "a mistake"
    assert "is not closed" in stated("reopen", MONTH, "--reason", "again").stderr


def test_a_closed_month_is_tagged_by_a_run_of_its_own(stated: Zk) -> None:
    told = as_json(stated("close", "2025-10", "--as-read", "--tag", "--yes", "--json"))
    assert (told["closed"], told["tagged"], told["left"]) == (True, 0, [])
    assert as_json(stated("close", "2025-10", "--as-read", "--tag", "--yes", "--json"))["run_id"] != told["run_id"]


def test_no_month_is_closed_for_tags_that_are_never_written(stated: Zk) -> None:
    refused = stated("close", "2025-10", "--as-read", "--tag", "--yes", ZK_PUSH_MODE="off")
    assert refused.exit_code == 1
    assert "ZK_PUSH_MODE is off, so nothing is written to Kimai, and no tag either." in refused.stderr
    assert as_json(stated("status", "--json"))["closed_months"] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("close", "2025-13", "--yes"), "'2025-13' is not a month"),
        (("close", MONTH, "--as-read", "--yes"), "There is no statement yet"),
        (("close", MONTH, "--as-read", "--json"), "Add --yes to close"),
        (("credits", "--month", "August"), "'August' is not a month"),
        (("credits", "settle", "5", "--note", "x"), "Credit 5 does not exist"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(zk: Zk, arguments: tuple[str, ...], sentence: str) -> None:
    result = zk(*arguments)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_credits_are_listed_with_their_sum_and_settled(zk: Zk) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        credited(connection)
    assert "1 credits, 15 min." in zk("credits").stdout
    (credit,) = as_json(zk("credits", "--month", MONTH, "--json"))
    assert as_json(zk("credits", "settle", str(credit["id"]), "--note", "note 12", "--json"))["state"] == "settled"
    assert as_json(zk("credits", "--json")) == []
    assert [row["note"] for row in as_json(zk("credits", "--all", "--json"))] == ["note 12"]
    assert "settled already" in zk("credits", "settle", str(credit["id"]), "--note", "again").stderr
    shown = zk("trace", "6").stdout
    assert "The booking is" in shown
    assert "Credit settled" in shown
