"""`zk close`, `zk reopen` and `zk credits`: they ask, do, tell, and name what stands in the way."""

import hashlib
import json
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import text

from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.commands.conftest import Zk

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
    assert stated("close", MONTH, answer="n\n").exit_code == 1
    assert as_json(stated("status", "--json"))["closed_months"] == []
    done = stated("close", MONTH, answer="y\n")
    assert done.exit_code == 0
    assert "2025-08 is closed." in done.stdout
    assert "Closed months: 2025-08." in stated("status").stdout
    assert "closed already" in stated("close", MONTH, "--yes").stderr


def test_the_hash_of_a_closing_is_computed_from_the_statement_that_was_kept(stated: Zk) -> None:
    execute(
        stated,
        """
        INSERT INTO marts.statement_lines (month, customer, customer_id, agent, entries, minutes_zammad, minutes_kimai)
        VALUES ('2025-08-01', 'Bäckerei', 7, 'Anna', 2, 82.5, 82.5)
        """,
    )
    kept = as_json(stated("statement", MONTH, "--format", "json"))
    told = as_json(stated("close", MONTH, "--yes", "--json"))
    for moment in ("built_at", "stale_days", "conflicts"):
        del kept[moment]
    for customer in kept["customers"]:
        del customer["conflicts"]
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert [customer["minutes"]["zammad"] for customer in kept["customers"]] == ["82.5"]
    assert told["statement_hash"] == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_month_is_opened_again_for_a_reason(stated: Zk) -> None:
    assert as_json(stated("close", MONTH, "--yes", "--json"))["closed"] is True
    assert stated("reopen", MONTH).exit_code == 2
    assert as_json(stated("reopen", MONTH, "--reason", "a mistake", "--json"))["reopened_reason"] == "a mistake"
    assert "is not closed" in stated("reopen", MONTH, "--reason", "again").stderr


def test_a_closed_month_is_tagged_by_a_run_of_its_own(stated: Zk) -> None:
    told = as_json(stated("close", "2025-10", "--tag", "--yes", "--json"))
    assert (told["closed"], told["tagged"], told["left"]) == (True, 0, [])
    assert as_json(stated("close", "2025-10", "--tag", "--yes", "--json"))["run_id"] != told["run_id"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("close", "2025-13", "--yes"), "'2025-13' is no month"),
        (("close", MONTH, "--yes"), "There is no statement yet"),
        (("close", MONTH, "--json"), "Add --yes to close"),
        (("credits", "--month", "August"), "'August' is no month"),
        (("credits", "settle", "5", "--note", "x"), "There is no credit 5"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(zk: Zk, arguments: tuple[str, ...], sentence: str) -> None:
    result = zk(*arguments)
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_credits_are_listed_with_their_sum_and_settled(zk: Zk) -> None:
    execute(
        zk,
        """
        INSERT INTO sync.adjustments (
            connector, source_id, kimai_id, original_day, original_month, minutes, reason, entry_date, begin_at,
            user_id, project_number, activity_id, facts_hash, decided_by, decided_at, state
        ) VALUES (
            'zammad', '6', 7, '2025-08-16', '2025-08-01', -15, 'The booking is gone.', '2025-10-01', now(),
            10, 'ZO7', 20, 'f', 'cli:anna', now(), 'open'
        )
        """,
    )
    assert "1 credits, 15 minutes." in zk("credits").stdout
    (credit,) = as_json(zk("credits", "--month", MONTH, "--json"))
    assert as_json(zk("credits", "settle", str(credit["id"]), "--note", "note 12", "--json"))["state"] == "settled"
    assert as_json(zk("credits", "--json")) == []
    assert [row["note"] for row in as_json(zk("credits", "--all", "--json"))] == ["note 12"]
    assert "settled already" in zk("credits", "settle", str(credit["id"]), "--note", "again").stderr
    assert "The booking is gone." in zk("trace", "6").stdout
def test_no_month_is_closed_for_tags_that_are_never_written(stated: Zk) -> None:
    refused = stated("close", "2025-10", "--tag", "--yes", ZK_PUSH_MODE="off")
    assert refused.exit_code == 1
    assert "ZK_PUSH_MODE is off, so nothing is written to Kimai, and no tag either." in refused.stderr
    assert as_json(stated("status", "--json"))["closed_months"] == []


