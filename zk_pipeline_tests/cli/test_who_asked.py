"""The audit trail says who asked for what a run then does: an undo, more than the limits allow, a month's tags."""

import json

import pytest

from zk_pipeline.cli.output import actor
from zk_pipeline_tests import empty_marts
from zk_pipeline_tests.cli.conftest import Homes, Zk
from zk_sandbox.demo import demo_mappings_csv

DAYS = ("--from", "2025-10-07", "--to", "2025-10-07")


@pytest.fixture(scope="module")
def overridden(homes: Homes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Zk, str]:
    """Runs `zk` where a day was synced beyond the limits, and the run's id."""
    zk = Zk(homes.new())
    mappings = tmp_path_factory.mktemp("csv") / "mappings.csv"
    mappings.write_text(demo_mappings_csv())
    assert zk("mappings", "import", str(mappings)).exit_code == 0
    report = json.loads(zk("sync", *DAYS, "--override-limits", "--json", ZK_MAX_CHANGES="1").stdout)
    assert report["created"] > 1
    return zk, report["run_id"]


def asked(zk: Zk, event: str) -> list[tuple[str, str]]:
    """Who asked for what, by the trail."""
    lines = zk("audit", "export", "--format", "jsonl", "--event", event).stdout.splitlines()
    return [(row["actor"], row["subject"]) for row in map(json.loads, lines)]


def test_who_overrides_the_limits_is_in_the_trail(overridden: tuple[Zk, str]) -> None:
    zk, _ = overridden
    assert asked(zk, "limits.overridden") == [(actor(), "days:2025-10-07..2025-10-07")]


def test_a_run_beyond_the_limits_names_the_commands_that_show_and_write_it(overridden: tuple[Zk, str]) -> None:
    zk, _ = overridden
    failed = zk("sync", "--from", "2025-10-08", ZK_MAX_CHANGES="1")
    assert failed.exit_code == 1
    said = " ".join(failed.stderr.split())
    assert "more than ZK_MAX_CHANGES=1." in said
    assert "zk sync --plan with the same days shows it, and zk sync --override-limits writes it." in said
    auf_deutsch = zk("sync", "--from", "2025-10-08", ZK_MAX_CHANGES="1", ZK_LANGUAGE="de").stderr
    assert "zk sync --override-limits schreibt sie." in " ".join(auf_deutsch.split())


def test_who_undoes_a_run_is_in_the_trail(overridden: tuple[Zk, str]) -> None:
    zk, run = overridden
    assert zk("undo", run, "--plan").exit_code == 0
    assert asked(zk, "undo.requested") == []
    assert zk("undo", run[:8], "--yes").exit_code == 0
    assert asked(zk, "undo.requested") == [(actor(), f"run:{run}")]


def test_who_has_a_month_tagged_is_in_the_trail(zk: Zk) -> None:
    with zk.home.database() as database, database.transaction() as connection:
        empty_marts.make(connection)
    assert zk("close", "2025-10", "--as-read", "--yes").exit_code == 0
    assert asked(zk, "tagging.requested") == []
    assert zk("close", "2025-10", "--as-read", "--tag", "--yes").exit_code == 0
    assert asked(zk, "tagging.requested") == [(actor(), "period:2025-10")]
