"""Refused deliveries are counted and audited, in few writes and without their content."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store import audit
from zk_pipeline.store.database import Database
from zk_pipeline.web import webhooks
from zk_pipeline.web.webhooks import Reason, Rejections
from zk_pipeline_tests.web.conftest import PAYLOAD, SECRET, Web, web_app

COUNTS = "SELECT connector, reason, number FROM sync.webhook_rejections ORDER BY connector, reason"
EVENTS = """
    SELECT l.event, l.subject, d.detail FROM sync.audit_logs l JOIN sync.audit_details d USING (id) ORDER BY l.id
"""
UNSIGNED = {"x-hub-signature": "sha1=" + "0" * 40}


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    with database.transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_they_are_counted_by_connector_and_reason(database: Database, settings: Settings):
    with web_app(database, settings) as web:
        for _ in range(3):
            web.post(PAYLOAD, UNSIGNED)
        web.post(b"{")
        web.post(PAYLOAD, path="/api/v1/webhooks/nobody")
        web.post(PAYLOAD, UNSIGNED, path="/api/v1/webhooks/2")
    assert rows(database, COUNTS) == [
        ("", "unknown_connector", 1),
        ("zammad", "bad_signature", 4),
        ("zammad", "no_json", 1),
    ]
    assert rows(database, "SELECT DISTINCT day FROM sync.webhook_rejections") == [(datetime.now(UTC).date(),)]


def test_each_reason_is_audited_with_its_number_and_nothing_else(database: Database, settings: Settings):
    with web_app(database, settings) as web:
        for _ in range(3):
            web.post(PAYLOAD, UNSIGNED)
    detail = {"reason": "bad_signature", "number": 3}
    assert rows(database, EVENTS) == [("webhook.rejected", "reason:bad_signature", detail)]
    with database.transaction() as connection:
        assert audit.verify(connection).broken_at is None


def test_a_reason_is_audited_once_a_minute_while_the_count_goes_on(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "SECONDS_BETWEEN_WRITES", 0.01)
    with web_app(database, settings) as web:
        for number in range(1, 4):
            web.post(PAYLOAD, UNSIGNED)
            assert wait_until(lambda: rows(database, COUNTS) == [("zammad", "bad_signature", number)], 90)  # noqa: B023
        assert len(rows(database, EVENTS)) == 1
    assert [row[2]["number"] for row in rows(database, EVENTS)] == [1, 2]


def test_what_cannot_be_written_yet_is_kept_in_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "MOST_CALLED", 3)
    counting = Rejections(Database(f"postgresql+psycopg://zk@/zk?host={tmp_path}"), ZoneInfo("UTC"))

    async def count_while_the_database_is_away() -> None:
        for number in range(50):
            counting.count(f"made-up-{number}", Reason.SIGNATURE)
            await counting._write([Reason.SIGNATURE])

    asyncio.run(count_while_the_database_is_away())
    assert (len(counting._counted), counting._counted.total()) == (4, 50)
    assert counting._unaudited == {Reason.SIGNATURE: 50}


def test_made_up_connectors_end_in_one_row(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "MOST_CALLED", 3)
    with web_app(database, settings) as web:
        for number in range(10):
            web.post(PAYLOAD, UNSIGNED, path=f"/api/v1/webhooks/made-up-{number}")
    assert rows(database, COUNTS) == [("", "bad_signature", 10)]


def test_the_log_has_neither_secret_nor_body(web: Web, caplog: pytest.LogCaptureFixture):
    body = b'{"ticket":{"id":0},"note":"private words"}'
    with caplog.at_level("DEBUG"):
        web.post(body)
        web.post(body, UNSIGNED)
    assert SECRET not in caplog.text
    assert "private words" not in caplog.text
