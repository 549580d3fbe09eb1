"""Feeds of changes without totals: by tombstones, by comparison, and read only so far."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from zk_pipeline.connectors.contract import ChangedRows, ChangedTickets, RemainingChanges, Sweep, SweepReport
from zk_pipeline.connectors.zammad.connector import ZammadConnector
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.records import BookingKey, Existence, TimeAccounting, Window
from zk_pipeline.stages.source_changes import ChangeFeed, SourceChanges
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at

DELETING = [{"ZK_ON_SOURCE_DELETE": "delete"}]
Feed = Callable[..., None]


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    """The simulated source counts nothing, and its feed says what it is told to say beside its rows.

    Nor do its tickets say that their bookings changed.
    """
    said: dict[str, Any] = {}
    changes, read = ZammadConnector.fetch_changes, ZammadConnector.fetch

    def fetch_changes(source: ZammadConnector, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        return replace(changes(source, since, rest), total=None, **said)

    def fetch(source: ZammadConnector, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        sweep = read(source, window, hint=hint)
        rows = [row for page in sweep.pages() for row in page]
        report: SweepReport = replace(sweep.report, total_before=None, total_after=None)
        return Sweep(lambda: iter([rows, report] if rows else [report]))

    def fetch_changed_tickets(_source: ZammadConnector, _since: datetime) -> ChangedTickets:
        return ChangedTickets((), complete=True)

    def say(**more: Any) -> None:
        said.clear()
        said.update(more)

    monkeypatch.setattr(ZammadConnector, "fetch_changes", fetch_changes)
    monkeypatch.setattr(ZammadConnector, "fetch", fetch)
    monkeypatch.setattr(ZammadConnector, "fetch_changed_tickets", fetch_changed_tickets)
    return say


def poll(world: World, minutes: int = 0) -> SourceChanges:
    return ChangeFeed(world.environment.runtime).poll(datetime.now(UTC) + timedelta(minutes=minutes))


def settled(world: World) -> tuple[int, int]:
    """Two bookings of a Monday that are in Kimai, and nothing new in the feed."""
    made = world.desk.book(30), world.desk.book(45, at("10:00"))
    world.sync()
    poll(world)
    world.sync()
    assert poll(world, 10).days == ()
    return made


@pytest.mark.parametrize("settings", DELETING, indirect=True)
def test_a_tombstone_asks_for_the_day_whose_run_finds_the_proof(
    world: World, settings: dict[str, Any], feed: Feed
) -> None:
    gone, stays = settled(world)
    world.desk.server.delete(gone)
    assert poll(world, 20).days == (), "without totals a deletion does not show by itself"
    feed(gone=(str(gone),))
    assert poll(world, 30).days == (MONDAY,)
    assert poll(world, 40).days == (), "it is asked for once"
    world.sync()
    assert world.office.minutes() == {stays: [45]}


@pytest.mark.parametrize("settings", DELETING, indirect=True)
def test_a_tombstone_alone_deletes_nothing(world: World, settings: dict[str, Any], feed: Feed) -> None:
    one, other = settled(world)
    feed(gone=(str(one), "4711"))
    assert poll(world, 20).days == (MONDAY,)
    world.sync()
    assert world.office.minutes() == {one: [30], other: [45]}


@pytest.mark.parametrize("settings", DELETING, indirect=True)
@pytest.mark.parametrize(("answer", "left"), [(Existence.DOUBT, [30]), (Existence.GONE, [])])
def test_what_a_span_that_was_read_lacks_is_looked_for(
    world: World,
    settings: dict[str, Any],
    feed: Feed,
    monkeypatch: pytest.MonkeyPatch,
    answer: Existence,
    left: list[int],
) -> None:
    gone, stays = settled(world)
    world.desk.server.delete(gone)
    with world.environment.runtime.source() as source:
        rows = source.fetch_of_ticket(str(world.desk.tickets["acme"]))
    feed(whole=days_window(MONDAY, MONDAY, ZONE), rows=tuple(rows))
    assert poll(world, 20).days == (MONDAY,)
    assert poll(world, 30).days == (), "in doubt it is not asked for with every poll"

    def exists(_source: ZammadConnector, _booking: BookingKey) -> Existence:
        return answer

    monkeypatch.setattr(ZammadConnector, "exists", exists)
    world.sync()
    assert world.office.minutes() == ({gone: left} if left else {}) | {stays: [45]}


@pytest.mark.parametrize("settings", DELETING, indirect=True)
def test_a_source_without_totals_that_shows_nothing_is_asked_for_each_booking(
    world: World, settings: dict[str, Any], feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = settled(world)

    def nothing(_source: ZammadConnector, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        del hint
        return Sweep(lambda: iter([SweepReport(window, 1, 0, None, None, None, complete=True)]))

    monkeypatch.setattr(ZammadConnector, "fetch", nothing)
    world.sync()
    assert world.office.minutes() == {one: [30], other: [45]}


def test_the_feed_goes_on_from_where_it_could_be_read(world: World, feed: Feed) -> None:
    hidden = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    feed(until=hidden)
    poll(world)
    query = "SELECT value ->> 'high_water' FROM sync.cursors WHERE subject = 'changes' AND connector = 'zammad'"
    assert datetime.fromisoformat(world.value(query)) == hidden


def test_nothing_is_searched_for_where_nothing_is_counted(world: World, feed: Feed) -> None:
    feed()
    settled(world)
    poll(world, 20)
    query = "SELECT count(*) FROM sync.cursors WHERE subject = 'vanished' AND value <> '{}'"
    assert world.value(query) == 0


def test_days_before_the_start_are_not_asked_for_by_a_tombstone(world: World, feed: Feed) -> None:
    gone, _ = settled(world)
    world.execute(
        "UPDATE zammad.time_accountings SET work_day = :day WHERE id = :id", day=date(2001, 1, 1), id=str(gone)
    )
    feed(gone=(str(gone),))
    assert poll(world, 20).days == ()
