"""The disk of the database is full: what was answered with 202 is there afterwards, and nothing else was promised."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from zk_pipeline.settings import Settings
from zk_pipeline.store.database import Database
from zk_pipeline.store.embedded import embedded_server
from zk_pipeline.store.schema import migrate
from zk_pipeline.store.tables import webhook_deliveries
from zk_pipeline_tests.web.conftest import SECRET, Web, connect, web_app

SIZE = "160m"
LARGE = 200_000
"""Bytes of a delivery, so that few of them fill what is left."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("Only root can mount a small disk to fill.")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], check=False)
    if made.returncode:
        pytest.skip("This machine lets nobody mount a small disk to fill.")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def delivered(web: Web, number: int) -> bool:
    """Send a large delivery; whether it was answered with 202. Whatever else is answered asks to come again."""
    body = b'{"ticket":{"id":%d},"padding":"%s"}' % (number, os.urandom(LARGE // 2).hex().encode())
    answer = web.post(body, {"x-zammad-delivery": f"delivery-{number}"})
    assert answer.status_code in {202, 503}, answer.text
    return answer.status_code == 202


def stored(database: Database) -> set[str]:
    with database.transaction() as connection:
        return set(connection.execute(select(webhook_deliveries.c.delivery_id)).scalars())


def test_nothing_that_was_accepted_is_lost_and_the_rest_is_asked_for_again(small_disk: Path):
    home, filler = small_disk / "home", small_disk / "filler"
    settings = Settings(_env_file=None, webhook_secret=SecretStr(SECRET))
    with embedded_server(home) as endpoint:
        database = Database(endpoint.url())
        migrate(database)
        connect(database)
        with web_app(database, settings) as web:
            accepted = {number for number in range(1, 5) if delivered(web, number)}
            left = shutil.disk_usage(small_disk).free
            filler.write_bytes(b"\0" * (left - 500_000))
            outcomes = {number: delivered(web, number) for number in range(5, 200)}
        database.close()
    accepted |= {number for number, taken in outcomes.items() if taken}
    assert not all(outcomes.values())
    filler.unlink()
    with embedded_server(home) as endpoint:
        database = Database(endpoint.url())
        assert {f"delivery-{number}" for number in accepted} <= stored(database)
        with web_app(database, settings) as web:
            assert delivered(web, 1000)
        database.close()
