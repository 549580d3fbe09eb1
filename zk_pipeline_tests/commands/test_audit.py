"""`zk audit`: the trail as a file, and whether it is whole."""

import csv
import io
import json
from pathlib import Path

import pytest
from sqlalchemy import text

from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline_tests.commands.conftest import Zk
from zk_pipeline_tests.databases import without_guards


@pytest.fixture
def trailed(zk: Zk) -> Zk:
    """Three rows."""
    events = [AuditEvent("conflict.decided", "user:1", f"conflict:{id_}", {"note": "=1+1"}) for id_ in range(1, 4)]
    with zk.home.database() as database, database.transaction() as connection:
        audit.append(connection, events)
    return zk


def test_without_a_file_the_trail_goes_to_standard_output(trailed: Zk) -> None:
    rows = list(csv.DictReader(io.StringIO(trailed("audit", "export", "--event", "conflict.").stdout)))
    assert [row["subject"] for row in rows] == ["conflict:1", "conflict:2", "conflict:3"]


def test_json_lines_are_written_to_a_file(trailed: Zk, tmp_path: Path) -> None:
    file = tmp_path / "trail.jsonl"
    result = trailed("audit", "export", str(file), "--format", "jsonl", "--subject", "conflict:2")
    (row,) = map(json.loads, file.read_text().splitlines())
    assert (result.exit_code, row["detail"]) == (0, {"note": "=1+1"})


def test_a_span_that_ends_before_it_begins_is_refused(trailed: Zk) -> None:
    result = trailed("audit", "export", "--from", "2026-02-01", "--to", "2026-01-01")
    assert result.exit_code == 1
    assert "is not before to=" in result.stderr


def test_a_broken_chain_is_told_with_exit_code_1(trailed: Zk) -> None:
    with trailed.home.database() as database, database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'nobody' WHERE id = 2"))
    result = trailed("audit", "verify")
    assert result.exit_code == 1
    assert "Row 2 of the audit trail does not fit" in result.stderr
