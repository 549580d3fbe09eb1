"""`zk approve`: whole days, single lines, and the lines of one customer."""

import json
from pathlib import Path

from zk_pipeline_tests.cli.conftest import Zk
from zk_sandbox.demo import demo_mappings_csv

DAY = "2025-10-08"


def test_the_lines_of_a_customer_are_approved_and_no_others(zk: Zk, tmp_path: Path) -> None:
    (tmp_path / "mappings.csv").write_text(demo_mappings_csv(), encoding="utf-8")
    assert zk("mappings", "import", str(tmp_path / "mappings.csv")).exit_code == 0
    assert zk("sync", "--from", DAY, ZK_PUSH_MODE="review").exit_code == 3
    planned = json.loads(zk("sync", "--from", DAY, "--plan", "--json", ZK_PUSH_MODE="review").stdout)["plan"]["lines"]

    unknown = zk("approve", DAY, "--customer", "Nobody", "--yes", ZK_PUSH_MODE="review")
    assert unknown.exit_code == 1
    told, known = unknown.stderr.strip().removesuffix(".").split(" Its customers: ")
    assert told == f"Error: --customer 'Nobody': the plan of {DAY} writes nothing for it."

    customer = known.split(", ")[0].upper()
    approved = zk("approve", DAY, "--customer", customer, "--yes", "--json", ZK_PUSH_MODE="review")
    number = json.loads(approved.stdout)["approved"]
    assert 0 < number < len(planned)
    synced = json.loads(zk("sync", "--from", DAY, "--json", ZK_PUSH_MODE="review").stdout)
    assert synced["created"] == number
