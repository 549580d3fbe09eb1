"""The disk of the database is full: what was answered with 202 is there afterwards, and nothing else was promised."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from zk_pipeline.runtime.embedded import embedded_server
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.schema import migrate
from zk_pipeline.store.tables import webhook_deliveries
from zk_pipeline_tests.databases import TRAIL_KEYS
from zk_pipeline_tests.disks import fill, small_disk
from zk_pipeline_tests.web.conftest import SECRET, Web, connect, web_app

SIZE = "160m"
LARGE = 200_000
"""Bytes of a delivery, so that few of them fill what is left."""


def delivered(web: Web, number: int) -> bool:
    """Send a large delivery; whether it was answered with 202. Whatever else is answered asks to come again."""
    body = b'{"ticket":{"id":%d},"padding":"%s"}' % (number, os.urandom(LARGE // 2).hex().encode())
    answer = web.post(body, {"x-zammad-delivery": f"delivery-{number}"})
    assert answer.status_code in {202, 503}, answer.text
    return answer.status_code == 202


def stored(database: Database) -> set[str]:
    with database.transaction() as connection:
        return set(connection.execute(select(webhook_deliveries.c.delivery_id)).scalars())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, SIZE) as mounted:
        yield mounted


def test_nothing_that_was_accepted_is_lost_and_the_rest_is_asked_for_again(disk: Path):
    home = disk / "home"
    settings = Settings(_env_file=None, webhook_secret=SecretStr(SECRET))
    with embedded_server(home) as endpoint:
        database = Database(endpoint.url(), TRAIL_KEYS)
        migrate(database)
        connect(database)
        with web_app(database, settings) as web:
            accepted = {number for number in range(1, 5) if delivered(web, number)}
            filler = fill(disk, left=500_000)
            outcomes = {number: delivered(web, number) for number in range(5, 200)}
        database.close()
    accepted |= {number for number, taken in outcomes.items() if taken}
    assert not all(outcomes.values())
    filler.unlink()
    with embedded_server(home) as endpoint:
        database = Database(endpoint.url(), TRAIL_KEYS)
        assert {f"delivery-{number}" for number in accepted} <= stored(database)
        with web_app(database, settings) as web:
            assert delivered(web, 1000)
        database.close()
