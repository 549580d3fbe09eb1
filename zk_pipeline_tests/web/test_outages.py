"""A database that is away, busy or restarted, bodies that do not come: the sender is told to try again."""

import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from zk_pipeline.processes.groups import wait_until
from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.schema import migrate
from zk_pipeline.web import webhooks
from zk_pipeline_tests.databases import TRAIL_KEYS
from zk_pipeline_tests.web.conftest import PATH, PAYLOAD, Web, connect, refused, web_app

SENDERS, DELIVERIES = 8, 400
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sync.webhook_deliveries'::regclass"


@contextmanager
def own_server(home: Path, settings: Settings) -> Iterator[Web]:
    """The web app on a server that may be stopped."""
    with embedded_server(home) as endpoint:
        database = Database(endpoint.url(), TRAIL_KEYS)
        try:
            migrate(database)
            connect(database)
            with web_app(database, settings) as web:
                yield web
        finally:
            database.close()


def stop(home: Path) -> None:
    pid_file = home / "postgres" / "postmaster.pid"
    os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGINT)
    assert wait_until(lambda: not pid_file.exists(), 90)


def named(number: int) -> dict[str, str]:
    return {"x-zammad-delivery": f"delivery-{number}"}


def test_a_restarted_database_costs_senders_a_retry_and_no_delivery(tmp_path: Path, settings: Settings):
    with own_server(tmp_path, settings) as web:
        assert web.post(PAYLOAD, named(1)).status_code == 202
        stop(tmp_path)
        answer = web.post(PAYLOAD, named(2))
        refused(answer, 503, "could not be stored just now")
        assert answer.headers["retry-after"] == "5"
        assert wait_until(lambda: web.client.get("/api/health").status_code == 503, 90)
        down = web.client.get("/api/health").json()
        assert (down["status"], down["database"]) == ("fail", "fail")
        refused(web.post(PAYLOAD, {"x-hub-signature": ""}), 401, "X-Hub-Signature")
        with embedded_server(tmp_path):
            assert [web.post(PAYLOAD, named(number)).status_code for number in (1, 2)] == [202, 202]
            assert [row[1] for row in web.stored()] == ["delivery-1", "delivery-2"]


def test_a_restart_amid_a_burst_loses_and_doubles_nothing(tmp_path: Path, settings: Settings):
    def deliver(number: int) -> int:
        """Send until it is accepted, as Zammad does but sooner; returns the attempts."""
        for attempt in range(1, 2000):
            if web.post(PAYLOAD, named(number)).status_code == 202:
                return attempt
        raise AssertionError("The database did not come back.")

    with own_server(tmp_path, settings) as web, ThreadPoolExecutor(SENDERS) as senders:
        attempts = [senders.submit(deliver, number) for number in range(DELIVERIES)]
        attempts[DELIVERIES // 4].result()
        stop(tmp_path)
        assert wait_until(lambda: not web.client.get("/api/health").is_success, 90)
        with embedded_server(tmp_path):
            assert sum(attempt.result() for attempt in attempts) > DELIVERIES
            assert {row[1] for row in web.stored()} == {f"delivery-{number}" for number in range(DELIVERIES)}


def test_while_the_database_keeps_a_batch_waiting_the_app_goes_on(
    web: Web, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "SECONDS_TO_STORE", 0.5)
    with database.transaction() as connection:
        connection.execute(text("LOCK sync.webhook_deliveries"))
        refused(web.post(PAYLOAD, named(1)), 503, "could not be stored just now")
        assert web.client.get("/api/health").status_code == 200
    monkeypatch.setattr(webhooks, "SECONDS_TO_STORE", 20)
    assert web.post(PAYLOAD, named(1)).status_code == 202
    assert [row[1] for row in web.stored()] == ["delivery-1"]


def test_what_waits_together_is_stored_in_one_transaction(web: Web, database: Database):
    with ThreadPoolExecutor(SENDERS) as senders:
        with database.transaction() as connection:
            connection.execute(text("LOCK sync.webhook_deliveries"))
            answers = [senders.submit(web.post, PAYLOAD, named(number)) for number in range(SENDERS)]
            waiting = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sync.webhook_deliveries'::regclass"
            )
            assert wait_until(lambda: web.rows(waiting) == [(1,)], 90)
            assert wait_until(lambda: web.client.get("/api/health").is_success, 90)
        assert [answer.result().status_code for answer in answers] == [202] * SENDERS
    ((transactions,),) = web.rows("SELECT count(DISTINCT xmin::text) FROM sync.webhook_deliveries")
    assert transactions < SENDERS


def test_a_full_queue_is_told(web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "MOST_WAITING", 0)
    refused(web.post(PAYLOAD), 503, "could not be stored just now")


def test_bodies_take_no_more_memory_than_allowed(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(webhooks, "BODIES_LIMIT", 2 * len(PAYLOAD))
    with web_app(database, settings) as web:
        refused(web.post(PAYLOAD + b" " * 2 * len(PAYLOAD)), 503, "Too many deliveries are on their way")
        assert [web.post(PAYLOAD).status_code for _ in range(5)] == [202] * 5


def half_a_delivery(client: httpx.Client) -> socket.socket:
    """A connection on which a delivery was begun."""
    url = client.base_url
    connection = socket.create_connection((url.host, url.port or 0), 10)
    head = f"POST {PATH} HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    connection.sendall(head.encode() + PAYLOAD)
    return connection


def test_a_body_that_stops_is_not_waited_for_for_good(web: Web, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(webhooks, "SECONDS_TO_ARRIVE", 0.2)
    with half_a_delivery(web.client) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")


def test_a_sender_that_hangs_up_causes_no_error(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
):
    with web_app(database, settings) as web:
        half_a_delivery(web.client).close()
        assert web.post(PAYLOAD).status_code == 202
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert web.rows("SELECT reason FROM sync.webhook_rejections") == [("incomplete",)]
