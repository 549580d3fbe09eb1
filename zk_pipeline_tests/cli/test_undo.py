"""`zk undo`: looks, asks, takes back, and says what it left."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from zk_pipeline_tests.cli.conftest import Home, Homes, Sandbox, Zk
from zk_sandbox.demo import demo_mappings_csv

DAYS = ("--from", "2025-10-07", "--to", "2025-10-07")


@pytest.fixture(scope="module")
def mapped(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with the demo's mappings."""
    home = homes.new()
    mappings = tmp_path_factory.mktemp("csv") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    assert Zk(home)("mappings", "import", str(mappings)).exit_code == 0
    return home


@pytest.fixture
def synced(mapped: Home, homes: Homes, zk: Zk, sandbox: Sandbox) -> tuple[Zk, str]:
    """Runs `zk` where a day was synced, and the run's id."""
    zk = Zk(homes.new(like=mapped))
    report = json.loads(zk("sync", *DAYS, "--json").stdout)
    assert report["created"] > 1
    return zk, report["run_id"]


def as_json(zk: Zk, *arguments: str, code: int) -> dict[str, Any]:
    result = zk("undo", *arguments, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def writes(sandbox: Sandbox) -> int:
    return sandbox.kimai.requests().writes


def test_the_plan_shows_each_write_and_sends_none(synced: tuple[Zk, str], sandbox: Sandbox) -> None:
    zk, run = synced
    before = writes(sandbox)
    told = as_json(zk, run[:8], "--plan", code=0)
    assert told["run"] == run
    assert {line["undo"] for line in told["planned"]} == {"delete", "remove"}
    shown = zk("undo", run, "--plan").stdout
    assert f"Undo of run {run}" in shown
    assert "If nothing" in shown
    assert "Remove if unused" in shown
    assert writes(sandbox) == before


def test_nothing_is_written_before_the_answer_is_yes(synced: tuple[Zk, str], sandbox: Sandbox) -> None:
    zk, run = synced
    before = writes(sandbox)
    refused = zk("undo", run, answer="n\n")
    assert refused.exit_code == 1
    assert "writes? [y/N]" in refused.stdout
    assert writes(sandbox) == before
    agreed = zk("undo", run, answer="y\n")
    assert agreed.exit_code == 0
    assert "took back:" in agreed.stdout
    assert writes(sandbox) > before


def test_a_run_is_taken_back_once(synced: tuple[Zk, str]) -> None:
    zk, run = synced
    planned = as_json(zk, run, "--plan", code=0)["planned"]
    told = as_json(zk, run, "--yes", code=0)
    assert sum(told["undone"].values()) == len(planned)
    assert told["run_id"] not in {None, run}
    assert as_json(zk, run, "--yes", code=0)["planned"] == []
    assert f"Run {run} has nothing to undo." in zk("undo", run).stdout


def test_what_is_left_is_told_with_exit_code_3(synced: tuple[Zk, str]) -> None:
    zk, run = synced
    result = zk("undo", run, "--yes", ZK_LOCKED_BEFORE="2025-10-08")
    assert result.exit_code == 3
    assert "Left as they are" in result.stdout
    assert "2025-10-07 is closed" in result.stdout


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("abc", "too short"),
        ("never-there", "No run that wrote anything has an id beginning with 'never-there'"),
        ("%%%%%%%", "No run that wrote anything"),
        ("twins-", "'twins-' could be twins-1, twins-2. Give more of the id."),
    ],
)
def test_a_text_that_names_no_single_run_is_refused(
    mapped: Home, zk: Zk, homes: Homes, run: str, sentence: str
) -> None:
    zk = Zk(homes.new(like=mapped))
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(
            text("INSERT INTO sync.sync_runs (run_id, counts) VALUES ('twins-1', '{}'), ('twins-2', '{}')")
        )
    result = zk("undo", run, "--plan")
    assert result.exit_code == 1
    assert sentence in result.stderr


def test_a_whole_id_names_its_run_though_others_begin_so(mapped: Home, zk: Zk, homes: Homes) -> None:
    zk = Zk(homes.new(like=mapped))
    with zk.home.database() as database, database.transaction() as connection:
        connection.execute(
            text("INSERT INTO sync.sync_runs (run_id, counts) VALUES ('twins-1', '{}'), ('twins-12', '{}')")
        )
    assert as_json(zk, "twins-1", "--plan", code=0)["run"] == "twins-1"


def test_json_without_plan_or_yes_is_refused(zk: Zk) -> None:
    result = zk("undo", "whatever", "--json")
    assert result.exit_code == 1
    assert "Add --plan to look or --yes to write" in result.stderr
