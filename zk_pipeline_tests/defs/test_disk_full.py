"""The disk of the database is full between a write to Kimai and its commit: it is found again, not sent again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from zk_pipeline.runtime.embedded import DatabaseEndpoint, embedded_server
from zk_pipeline.runtime.environment import prepare
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline_tests.defs.conftest import open_desk, open_office, set_surroundings
from zk_pipeline_tests.defs.crashing import Child
from zk_pipeline_tests.defs.world import MONDAY, World
from zk_pipeline_tests.disks import fill, small_disk

SIZE = "400m"
SEGMENTS = 100
"""More segments of the log than such a disk holds."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, SIZE) as mounted:
        yield mounted


@contextmanager
def served(disk: Path, home: Path, patch: pytest.MonkeyPatch) -> Iterator[DatabaseEndpoint]:
    """A server whose files are on the disk, as the environment's."""
    with embedded_server(disk / "server") as server:
        kept = {name: os.environ[name] for name in os.environ if name.startswith(("ZK_ZAMMAD", "ZK_KIMAI"))}
        set_surroundings(server.environment(), home, patch)
        for name, value in kept.items():
            patch.setenv(name, value)
        yield server


def use_up_the_log(server: DatabaseEndpoint) -> None:
    """Begin new segments of the log, until there is no room for another one and the server goes down."""
    with psycopg.connect(**server.parameters(), autocommit=True) as connection:
        for _ in range(SEGMENTS):
            connection.execute("SELECT pg_logical_emit_message(true, 'tests', 'x')")
            connection.execute("SELECT pg_switch_wal()")


def test_a_create_whose_commit_found_no_room_is_taken_over_afterwards(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_desk(monkeypatch) as desk, open_office(monkeypatch) as office:
        with served(disk, tmp_path, monkeypatch) as server:
            with prepare(load_settings()) as environment:
                World(desk, office, environment).map_types()
            booking = desk.book(60)
            child = Child(MONDAY, waits_at="before the commit")
            assert child.reached.wait(90)
            assert office.minutes() == {booking: [60]}
            filler = fill(disk)
            with pytest.raises(psycopg.OperationalError):
                use_up_the_log(server)
            child.go.set()
            assert child.ended() not in {None, 0}
        filler.unlink()
        with served(disk, tmp_path, monkeypatch), prepare(load_settings()) as environment:
            world = World(desk, office, environment)
            assert world.ledger() == {booking: "intended"}
            world.sync()
            assert (office.minutes(), office.creates_sent()) == ({booking: [60]}, 1)
            assert world.ledger() == {booking: "confirmed"}
