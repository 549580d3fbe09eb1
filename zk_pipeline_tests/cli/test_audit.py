"""`zk audit`: the trail as a file, and whether it is whole."""

import csv
import io
import json
import os
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import text

from zk_pipeline.audit import anchors
from zk_pipeline.observe import alert_delivery
from zk_pipeline.runtime.runtime import AUDIT_KEY_PURPOSE, open_runtime
from zk_pipeline.store import audit
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.encryption import TokenCipher, generate_key
from zk_pipeline_tests.cli.conftest import Zk
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


def cut(zk: Zk, rows: int) -> None:
    """Put the trail back to so many rows as a whole, as who kept all of the database could."""
    keys = TokenCipher(zk.home.variables["ZK_ENCRYPTION_KEY"]).derived(AUDIT_KEY_PURPOSE)
    with zk.home.database() as database, database.transaction() as connection:
        without_guards(connection)
        connection.execute(text(f"DELETE FROM sync.audit_details WHERE id > {rows}"))
        connection.execute(text(f"DELETE FROM sync.audit_logs WHERE id > {rows}"))
        hashed = connection.execute(text("SELECT hash FROM sync.audit_logs ORDER BY id DESC LIMIT 1")).scalar_one()
        connection.execute(
            text("UPDATE sync.audit_head SET number = :number, hash = :hash, seal = :seal"),
            {"number": rows, "hash": hashed, "seal": audit._seal(keys[0], rows, hashed)},
        )


def test_a_trail_that_was_put_back_is_found_by_an_anchor_that_is_given(trailed: Zk) -> None:
    anchor = json.loads(trailed("audit", "verify", "--json").stdout)
    told = f"{anchor['rows']}:{anchor['head']}"
    assert trailed("audit", "verify", "--anchor", f"2026-01-01T00:00:00+00:00 {told} daily").exit_code == 0
    cut(trailed, 2)
    assert trailed("audit", "verify").exit_code == 0
    result = trailed("audit", "verify", "--anchor", told)
    assert result.exit_code == 1
    assert "Row 3 of the audit trail does not fit: rows that an anchor or a closed month names" in result.stderr


def test_a_trail_that_was_put_back_is_found_by_the_anchors_in_the_home(trailed: Zk) -> None:
    with patch.dict(os.environ, trailed.home.variables), open_runtime() as runtime:
        anchor = anchors.publish(runtime, "daily")
    assert str(anchor) in (trailed.home.path / anchors.FILE).read_text()
    assert trailed("audit", "verify").exit_code == 0
    cut(trailed, 2)
    assert trailed("audit", "verify").exit_code == 1
    anchors.archive(trailed.home.path)
    assert trailed("audit", "verify").exit_code == 0


def test_an_anchor_goes_to_the_log_and_to_the_addresses_of_alerts(
    trailed: Zk, caplog: pytest.LogCaptureFixture
) -> None:
    variables = {**trailed.home.variables, "ZK_ALERT_URLS": "json://127.0.0.1:9"}
    with patch.dict(os.environ, variables), open_runtime() as runtime, caplog.at_level("INFO"):
        anchor = anchors.publish(runtime, "2025-09 closed")
        (waiting,) = alert_delivery.waiting(runtime)
    assert f"zk audit verify --anchor {anchor}" in waiting.message.body
    assert "2025-09 closed" in waiting.message.title
    assert f"{anchor} 2025-09 closed" in caplog.text


@pytest.mark.parametrize("written", ["", "12", "12:abc", "x:" + "0" * 64])
def test_what_is_no_anchor_is_refused(trailed: Zk, written: str) -> None:
    result = trailed("audit", "verify", "--anchor", written)
    assert (result.exit_code, f"anchor={written!r} is not an anchor" in result.stderr) == (1, True)


def test_after_a_rotation_the_trail_verifies_without_the_old_key(trailed: Zk) -> None:
    old, new = trailed.home.variables["ZK_ENCRYPTION_KEY"], generate_key()
    assert trailed("keys", "rotate", ZK_ENCRYPTION_KEY=f"{new},{old}").exit_code == 0
    assert trailed("audit", "verify", ZK_ENCRYPTION_KEY=new).exit_code == 0
    assert trailed("audit", "verify", ZK_ENCRYPTION_KEY=generate_key()).exit_code == 1


def test_a_broken_chain_is_told_with_exit_code_1(trailed: Zk) -> None:
    with trailed.home.database() as database, database.transaction() as connection:
        without_guards(connection)
        connection.execute(text("UPDATE sync.audit_logs SET actor = 'nobody' WHERE id = 2"))
    result = trailed("audit", "verify")
    assert result.exit_code == 1
    assert "Row 2 of the audit trail does not fit" in result.stderr
