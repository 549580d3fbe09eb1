"""The index of bookings, kept in the database or in memory."""

from datetime import UTC, datetime, timedelta

import pytest

from zk_pipeline.connectors.mirror import MemoryMirror, Mirror
from zk_pipeline.domain.records import MirroredBooking, Window
from zk_pipeline.store.database import Database
from zk_pipeline.store.mirror import StoredMirror

DAY = datetime(2025, 8, 16, tzinfo=UTC)
WINDOW = Window(DAY, DAY + timedelta(days=1))


def row(id_: str, hour: int, ticket_id: str = "7", changed_at: datetime = DAY) -> MirroredBooking:
    return MirroredBooking(id_, ticket_id, DAY + timedelta(hours=hour), changed_at)


@pytest.fixture(params=["stored", "memory"])
def mirror(request: pytest.FixtureRequest) -> Mirror:
    if request.param == "memory":
        return MemoryMirror()
    database: Database = request.getfixturevalue("database")
    StoredMirror(database, "other").save([row("1", 3)], {"2": DAY}, {"at": 9})
    return StoredMirror(database, "jira")


def test_a_new_mirror_knows_nothing(mirror: Mirror) -> None:
    assert (mirror.state(), mirror.count(), mirror.within(WINDOW)) == ({}, 0, [])
    assert (mirror.known(["1"]), mirror.gone(["1", "2"])) == ({}, set())


def test_a_window_holds_its_start_and_not_its_end(mirror: Mirror) -> None:
    rows = [row("1", 23), row("2", 0), row("3", 24), row("4", -1)]
    mirror.save(rows, {})
    assert mirror.within(WINDOW) == [rows[1], rows[0]]
    assert mirror.count() == 4


def test_a_booking_moves(mirror: Mirror) -> None:
    mirror.save([row("1", 3)], {})
    moved = row("1", 30, "8", DAY + timedelta(minutes=1))
    mirror.save([moved], {})
    assert mirror.within(WINDOW) == []
    assert mirror.known(["1", "9"]) == {"1": moved}


def test_what_is_gone_is_not_there_and_stays_gone(mirror: Mirror) -> None:
    mirror.save([row("1", 3), row("2", 4)], {})
    mirror.save([], {"1": DAY, "5": DAY})
    mirror.save([], {"1": DAY + timedelta(minutes=1)})
    assert mirror.within(WINDOW) == [row("2", 4)]
    assert mirror.gone(["1", "2", "5"]) == {"1", "5"}
    assert (mirror.known(["1"]), mirror.count()) == ({}, 1)


def test_the_state_is_kept_until_another_is_given(mirror: Mirror) -> None:
    mirror.save([], {}, {"updated": 5, "projects": {"1": "Acme"}})
    mirror.save([row("1", 3)], {})
    assert mirror.state() == {"updated": 5, "projects": {"1": "Acme"}}
    mirror.save([], {}, {"updated": 6})
    assert mirror.state() == {"updated": 6}


def test_a_page_is_stored_whole(mirror: Mirror) -> None:
    mirror.save([row(str(number), 1) for number in range(1000)], {str(number): DAY for number in range(1000, 2000)})
    assert mirror.count() == 1000
    assert len(mirror.gone([str(number) for number in range(2000)])) == 1000
