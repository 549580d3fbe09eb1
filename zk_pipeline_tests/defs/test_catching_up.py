"""Catching up after a stop of any length, by the feeds alone: what is found, how soon, and at how many requests.

The stages look at the simulated systems over HTTP; the clock is the caller's.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from zk_pipeline.cli.syncing import sync_days
from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.domain.instants import local_day
from zk_pipeline.runtime.run_tags import range_tags
from zk_pipeline.stages import source_changes, target_changes
from zk_pipeline.stages.read_source import extract_bookings
from zk_pipeline.stages.source_changes import ChangeFeed
from zk_pipeline.stages.target_changes import TargetFeed
from zk_pipeline.store import day_requests, deliveries, request_log
from zk_pipeline.store.deliveries import WebhookDelivery
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at

pytestmark = pytest.mark.dagster

TICK = timedelta(seconds=15)
SENSOR = timedelta(seconds=3)
"""How often the sensor ticks; where nothing depends on it, fewer ticks take less time."""

MINUTE = timedelta(minutes=1)
FLAT = "GET /api/v1/time_accountings"
TICKETS = "POST /api/v1/tickets/search"
SHEETS = "GET /api/timesheets"


@dataclass
class Watcher:
    """Both feeds of a world, and a clock that goes on with each tick."""

    world: World
    now: datetime

    def tick(self, passed: timedelta = TICK) -> tuple[date, ...]:
        """A tick of the sensor, as far as it looks; the days that it asks for, and the failures as nothing."""
        self.now += passed
        runtime = self.world.environment.runtime
        days: set[date] = set()
        for feed in (ChangeFeed(runtime), TargetFeed(runtime)):
            try:
                days.update(feed.poll(self.now).days)
            except ConnectorError:
                continue
        return tuple(sorted(days))

    def ticks(self, span: timedelta, every: timedelta = TICK) -> set[date]:
        """The days that are asked for within a span of the clock."""
        return {day for _ in range(int(span / every)) for day in self.tick(every)}

    def counted(self, span: timedelta, every: timedelta = TICK) -> tuple[dict[str, int], dict[str, int]]:
        """How often each system is asked within a span of the clock, by route."""
        controls = (self.world.desk.control, self.world.office.control)
        for control in controls:
            control.reset_requests()
        self.ticks(span, every)
        zammad, kimai = (control.requests().by_route for control in controls)
        return zammad, kimai

    def store(self, first: date = MONDAY, last: date | None = None) -> None:
        """Read the bookings of these days into the store, as a run does."""
        runtime = self.world.environment.runtime
        with runtime.source() as source:
            extract_bookings(runtime, source, first, last or first, "run")

    def standing(self, connector: str) -> request_log.Reachability:
        with self.world.environment.runtime.database.transaction() as connection:
            return request_log.load(connection, connector)


@pytest.fixture
def watcher(world: World) -> Watcher:
    """After its first look, a moment ago."""
    watcher = Watcher(world, datetime.now(UTC) - 2 * TICK)
    watcher.tick()
    return watcher


def yesterday() -> date:
    return local_day(datetime.now(UTC), ZONE) - timedelta(days=1)


# What it costs


def test_an_idle_minute_costs_three_reads_of_zammad_and_two_of_kimai(watcher: Watcher) -> None:
    zammad, kimai = watcher.counted(10 * MINUTE)
    assert zammad == {FLAT: 20, TICKETS: 10}
    assert kimai == {SHEETS: 20}


# After a stop


def test_a_stop_of_months_is_caught_up_in_turns_without_waiting_for_the_pause(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = watcher.world.desk
    first = yesterday() - timedelta(days=99)
    # As if it had been stopped then.
    watcher.now = at("00:00", first).astimezone(UTC)
    watcher.world.execute("DELETE FROM sync.cursors")
    watcher.tick()
    for number in range(12_000):
        moment = at("08:00", first + timedelta(days=number % 100)) + timedelta(seconds=number % 3600)
        if number % 1000 == 0:
            desk.tickets["acme"] = desk.server.add_ticket(f"Request {number}", at=moment)
        desk.server.book(desk.tickets["acme"], desk.agents["anna"], 5, desk.support, moment)
    watcher.now = datetime.now(UTC)
    days: set[date] = set()
    for turn in range(5):
        watcher.world.desk.control.reset_requests()
        days.update(watcher.tick())
        assert watcher.world.desk.control.requests().by_route.get(FLAT, 0) <= 13, f"turn {turn} is short"
    assert days == {first + timedelta(days=number) for number in range(100)}


@pytest.mark.parametrize("longest", [5000, 0], ids=["a short list is read", "a long one is searched"])
def test_a_deletion_of_any_day_is_found_when_it_is_noticed(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    monkeypatch.setattr(source_changes, "LONGEST_COMPARISON", longest)
    desk = watcher.world.desk
    first = MONDAY - timedelta(days=1500)
    bookings = [desk.book(5, at("09:00", first + timedelta(days=number))) for number in range(300)]
    desk.book(5, at("08:00", MONDAY))
    watcher.store(first, first + timedelta(days=99))
    watcher.store(first + timedelta(days=200), first + timedelta(days=299))
    watcher.tick(MINUTE)  # The feed knows the total.
    for gone in (bookings[3], bookings[250], bookings[150]):  # The last is of a day that was never read.
        desk.server.delete(gone)
    zammad, _ = watcher.counted(2 * MINUTE)
    asked = watcher.world.value("SELECT array_agg(day ORDER BY id) FROM sync.day_requests")
    wanted = [first + timedelta(days=3), first + timedelta(days=250)]
    assert [day for day in dict.fromkeys(asked) if day in wanted] == wanted
    assert zammad[FLAT] <= 60


def test_a_search_longer_than_a_tick_goes_on_in_the_next(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_changes, "LONGEST_COMPARISON", 0)
    monkeypatch.setattr(source_changes, "REQUESTS_OF_A_SEARCH", 12)
    desk = watcher.world.desk
    first = MONDAY - timedelta(days=400)
    bookings = [desk.book(5, at("09:00", first + timedelta(days=number))) for number in range(200)]
    watcher.store(first, first + timedelta(days=199))
    watcher.tick(MINUTE)
    for gone in bookings[10], bookings[170]:
        desk.server.delete(gone)
    assert watcher.ticks(2 * MINUTE) == {first + timedelta(days=10), first + timedelta(days=170)}
    assert (
        watcher.world.value("SELECT value FROM sync.cursors WHERE subject = 'vanished' AND connector = 'zammad'") == {}
    )


def test_bookings_that_appear_with_old_times_are_found_when_their_ticket_moves(watcher: Watcher) -> None:
    desk, long_ago = watcher.world.desk, at("09:00", MONDAY)
    ticket = desk.tickets["acme"]
    # As an import makes them: the list of changes does not show them, and the ticket says nothing yet.
    desk.book(15, long_ago)
    desk.server.state.tickets[ticket].updated_at = long_ago
    watcher.tick(MINUTE)
    assert watcher.ticks(2 * MINUTE) == set()
    desk.server.add_article(ticket, desk.agents["anna"], "Anything.")
    desk.server.state.tickets[ticket].updated_at = datetime.now(UTC)
    assert watcher.ticks(2 * MINUTE) == {MONDAY}
    # The same by a webhook, for another ticket.
    desk.book(15, at("10:00", MONDAY + timedelta(days=1)), ticket="globex")
    desk.server.state.tickets[desk.tickets["globex"]].updated_at = long_ago
    with watcher.world.environment.runtime.database.transaction() as connection:
        deliveries.save(connection, [WebhookDelivery("zammad", "hint", desk.tickets["globex"], b"{}")])
    assert watcher.tick() == (MONDAY + timedelta(days=1),)


def test_they_are_found_although_the_ticket_was_changed_in_the_future(watcher: Watcher) -> None:
    desk, ahead = watcher.world.desk, datetime.now(UTC) + timedelta(days=1)
    desk.server.state.tickets[desk.tickets["acme"]].updated_at = ahead
    assert watcher.ticks(2 * MINUTE) == set()
    # Zammad's clock is right again, and the ticket keeps its time.
    desk.book(15, at("09:00", MONDAY))
    assert desk.server.state.tickets[desk.tickets["acme"]].updated_at == ahead
    assert watcher.ticks(2 * MINUTE) == {MONDAY}


@pytest.mark.parametrize("found_by", ["webhook", "sync"])
def test_a_deletion_is_found_although_an_old_booking_appeared_at_the_same_time(watcher: Watcher, found_by: str) -> None:
    desk, tuesday, long_ago = watcher.world.desk, MONDAY + timedelta(days=1), MONDAY - timedelta(days=9)
    tickets = [desk.server.state.tickets[desk.tickets[name]] for name in ("acme", "globex")]

    def nothing_shows() -> None:
        """Zammad's clock is behind: the tickets' times do not move."""
        for ticket in tickets:
            ticket.updated_at = at("09:00", long_ago)

    gone = desk.book(30, at("09:00", MONDAY))
    desk.book(30, at("09:00", tuesday), ticket="globex")
    nothing_shows()
    watcher.store(MONDAY, tuesday)
    watcher.ticks(2 * MINUTE)
    desk.server.delete(gone)
    desk.book(15, at("10:00", tuesday), ticket="globex")
    nothing_shows()
    assert watcher.ticks(2 * MINUTE) == set(), "Zammad has as many bookings as before"
    if found_by == "webhook":
        with watcher.world.environment.runtime.database.transaction() as connection:
            deliveries.save(connection, [WebhookDelivery("zammad", "hint", desk.tickets["globex"], b"{}")])
        assert watcher.tick() == (tuesday,)
    watcher.store(tuesday)
    assert watcher.ticks(2 * MINUTE) == {MONDAY}
    zammad, _ = watcher.counted(2 * MINUTE)
    assert zammad[FLAT] == 4, "searched once"


def test_days_that_are_read_for_the_first_time_start_no_search(watcher: Watcher) -> None:
    desk = watcher.world.desk
    for number in range(4):
        desk.book(15, at("09:00", MONDAY + timedelta(days=number)))
    watcher.ticks(MINUTE)
    watcher.store(MONDAY, MONDAY + timedelta(days=1))
    # A booking that the feed saw is stored later, and one is deleted before it was stored.
    now = datetime.now(UTC)
    seen, deleted = desk.book(15, now), desk.book(15, now)
    watcher.ticks(MINUTE)
    desk.server.delete(deleted)
    watcher.ticks(MINUTE)
    watcher.store(MONDAY + timedelta(days=2), MONDAY + timedelta(days=3))
    watcher.store(local_day(now, ZONE))
    assert str(seen) in watcher.world.value("SELECT array_agg(id) FROM zammad.time_accountings")
    zammad, _ = watcher.counted(2 * MINUTE)
    assert zammad[FLAT] == 4


@pytest.mark.parametrize("wait", [None, timedelta(seconds=1)], ids=["away", "asked to wait"])
def test_a_pause_that_began_while_our_clock_was_an_hour_ahead_is_over(world: World, wait: timedelta | None) -> None:
    now = datetime.now(UTC)
    with world.environment.runtime.database.transaction() as connection:
        request_log.note_failure(connection, "kimai", now + timedelta(hours=1), "Kimai does not answer.", wait)
        assert request_log.load(connection, "kimai").wait_until(now + timedelta(minutes=5)) is None
        request_log.note_failure(connection, "kimai", now, "Kimai does not answer.", timedelta(seconds=30))
        assert request_log.load(connection, "kimai").wait_until(now) == now + timedelta(seconds=30)


# Another customer


def test_a_sync_of_one_day_moves_the_whole_ticket_to_its_new_customer(world: World) -> None:
    days = [MONDAY - timedelta(days=70), MONDAY - timedelta(days=40), MONDAY]
    bookings = [world.desk.book(30, at("09:00", day)) for day in days]
    for day in days:
        world.sync(day)
    before = {world.office.sheet(booking).project for booking in bookings}
    world.desk.server.reassign(world.desk.tickets["acme"], organization_id=world.desk.server.add_organization("New"))
    world.office.change(world.office.sheet(bookings[0]), exported=True)
    world.sync(MONDAY)
    projects = [world.office.sheet(booking).project for booking in bookings]
    assert len(before) == 1
    assert projects[0] in before, "billed, so a person is asked"
    assert projects[1] == projects[2]
    assert projects[2] not in before
    assert world.reasons() == ["billed"]


def test_another_customer_of_a_ticket_asks_for_all_its_days(watcher: Watcher) -> None:
    desk = watcher.world.desk
    days = [MONDAY - timedelta(days=900), MONDAY - timedelta(days=40), MONDAY]
    for day in days:
        desk.book(15, at("09:00", day))
    watcher.store(days[0], MONDAY)
    watcher.ticks(2 * MINUTE)
    watcher.world.execute("UPDATE sync.day_requests SET claimed_by_run = 'run'")
    desk.server.reassign(desk.tickets["acme"], customer_id=desk.agents["ben"])
    assert watcher.ticks(2 * MINUTE) == set(days), "by polling"
    assert watcher.ticks(2 * MINUTE) == set(), "once"
    desk.server.reassign(desk.tickets["acme"], organization_id=None)
    with watcher.world.environment.runtime.database.transaction() as connection:
        deliveries.save(connection, [WebhookDelivery("zammad", "hint", desk.tickets["acme"], b"{}")])
    assert watcher.tick() == tuple(days), "by a webhook"
    # A sync of some days that is first to see it, such as that of the deep check, asks for the others.
    watcher.world.execute("UPDATE sync.day_requests SET claimed_by_run = 'run'")
    desk.server.reassign(desk.tickets["acme"], customer_id=desk.agents["anna"])
    watcher.store(days[1], days[2])
    asked = watcher.world.value("SELECT array_agg(day) FROM sync.day_requests WHERE claimed_by_run IS NULL")
    assert asked == [days[0]]


# People in Kimai


def test_what_people_edit_and_delete_in_kimai_is_noticed_within_two_minutes(watcher: Watcher) -> None:
    world = watcher.world
    days = [MONDAY + timedelta(days=number) for number in range(3)]
    bookings = [world.desk.book(30, at("09:00", day)) for day in days]
    world.sync(days[0], days[-1])
    watcher.now = datetime.now(UTC)
    watcher.ticks(2 * MINUTE)
    world.execute("UPDATE sync.day_requests SET claimed_by_run = 'run'")
    office = world.office
    row = office.sheet(bookings[1])
    office.change(row, end=(row.end or 0) - 300, duration=row.duration - 300, modified_at=office.server.kimai.now())
    office.server.kimai.timesheets.remove(office.sheet(bookings[2]).id)
    office.type_by_hand(at("15:00"), 20, "Somebody else's")
    assert watcher.ticks(2 * MINUTE) == set(days[1:])
    assert watcher.ticks(2 * MINUTE) == set(), "asked once"
    # What others delete of their own costs one more request, and asks for nothing.
    office.server.kimai.timesheets.remove(max(row.id for row in office.rows))
    _, kimai = watcher.counted(2 * MINUTE)
    assert kimai[SHEETS] == 5


def test_what_was_put_back_in_kimai_answers_the_question_about_it(watcher: Watcher) -> None:
    """As we wrote it again, it looked like our own write: the question stayed, and Zammad's edit waited behind it."""
    world, office = watcher.world, watcher.world.office
    booking = world.desk.book(30, at("09:00"))
    world.sync()
    row = office.sheet(booking)
    duration, end = row.duration, row.end or 0
    office.change(row, end=end - 300, duration=duration - 300, modified_at=office.server.kimai.now())
    world.desk.server.edit(booking, units=45)
    world.sync()
    assert world.reasons() == ["both_changed"]
    watcher.now = datetime.now(UTC)
    watcher.ticks(2 * MINUTE)
    world.execute("UPDATE sync.day_requests SET claimed_by_run = 'run'")

    office.change(row, end=end, duration=duration, modified_at=office.server.kimai.now())
    assert watcher.ticks(2 * MINUTE) == {MONDAY}
    assert watcher.ticks(2 * MINUTE) == set(), "asked once"
    world.sync()
    assert world.reasons() == []
    assert office.minutes()[booking] == [45]


def test_what_is_created_and_deleted_between_two_looks_is_noticed(watcher: Watcher) -> None:
    world = watcher.world
    days = [MONDAY + timedelta(days=number) for number in range(3)]
    bookings = [world.desk.book(30, at("09:00", day)) for day in days]
    world.sync(days[0], days[-1])
    kimai = world.office.server.kimai
    for booking in bookings[1:]:  # The last one leaves no newer time sheet behind.
        kimai.timesheets.remove(world.office.sheet(booking).id)
    watcher.now = datetime.now(UTC)
    assert watcher.ticks(2 * MINUTE) == set(days[1:])
    assert watcher.ticks(2 * MINUTE) == set(), "asked once"
    world.sync(days[0], days[-1])
    assert world.reasons() == ["deleted_in_kimai"] * 2


def test_what_people_did_in_kimai_during_a_long_stop_is_read_in_turns(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_changes, "PAGES_OF_A_TURN", 2)
    office = watcher.world.office
    for number in range(700):
        office.type_by_hand(at("09:00"), 5, f"Note {number}")
    office.type_by_hand(at("10:00"), 5, "Ticket #50 [zk-zammad-4711]")
    watcher.tick(MINUTE)
    watcher.world.execute(
        "UPDATE sync.cursors SET value = jsonb_build_object('until', '2026-01-01T00:00:00+00:00') "
        "WHERE connector = 'kimai' AND subject = 'changes'"
    )
    watcher.world.execute("DELETE FROM sync.day_requests")
    office.control.reset_requests()
    asked = [watcher.tick() for _ in range(8)]
    assert [days for days in asked if days] == [(MONDAY,)]
    assert (
        watcher.world.value("SELECT value ? 'turn' FROM sync.cursors WHERE connector = 'kimai' AND subject = 'changes'")
        is False
    )
    assert office.control.requests().by_route[SHEETS] <= 12


# While a system is away

AWAY = {
    "no answer": ({"kind": "drop_before"}, 14),
    "503 for two minutes": ({"kind": "respond", "status": 503, "headers": {"Retry-After": "120"}}, 5),
}


@pytest.mark.parametrize(("fault", "asks"), AWAY.values(), ids=AWAY)
def test_ten_minutes_of_outage_cost_a_handful_of_asks_and_the_first_success_resumes_at_once(
    watcher: Watcher, fault: dict[str, Any], asks: int
) -> None:
    world = watcher.world
    controls = {"zammad": world.desk.control, "kimai": world.office.control}
    watcher.tick(MINUTE)
    for control in controls.values():
        control.add_fault(**fault)
    watcher.tick(MINUTE)
    began = watcher.now
    asked = watcher.counted(10 * MINUTE - SENSOR, SENSOR)
    assert [sum(routes.values()) for routes in asked] == [asks - 1, asks - 1], "after the first"
    for number, (system, control) in enumerate(controls.items()):
        standing = watcher.standing(system)
        assert (standing.failing_since, standing.failures) == (began, asks)
        assert standing.keeps_runs_waiting(watcher.now)
        assert standing.wait_until(watcher.now) is not None, "stored, for every process"
        world.execute(
            "INSERT INTO sync.day_requests (day, reason, tries, not_before, waits_for) VALUES "
            "(:day, 'change', 5, :later, :system), (:other, 'change', 5, :later, NULL)",
            day=MONDAY + timedelta(days=number),
            other=MONDAY + timedelta(days=10),
            later=watcher.now + timedelta(hours=1),
            system=system,
        )
        control.clear_faults()
    watcher.now = max(watcher.standing(system).not_before or watcher.now for system in controls)
    watcher.tick(timedelta(0))
    for system in controls:
        standing = watcher.standing(system)
        assert (standing.failing_since, standing.last_success_at) == (None, watcher.now)
    due = f"SELECT array_agg(day ORDER BY day) FROM sync.day_requests WHERE not_before <= '{watcher.now.isoformat()}'"
    assert world.value(due) == [MONDAY, MONDAY + timedelta(days=1)], "and no day that fails for a reason of its own"


def test_a_run_waits_for_a_system_that_asked_for_it_but_whoever_asks_by_hand_does_not(watcher: Watcher) -> None:
    world = watcher.world
    world.desk.book(30)
    now = datetime.now(UTC)
    with world.environment.runtime.database.transaction() as connection:
        request_log.note_failure(connection, "kimai", now, "Kimai: too many requests.", timedelta(minutes=10))
        day_requests.ask(connection, [MONDAY], "change")
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    world.office.control.reset_requests()
    with dg.DagsterInstance.get() as instance:
        tags = range_tags(MONDAY, MONDAY, "change")
        result = defs.resolve_job_def("sync").execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    assert not result.success
    assert world.office.control.requests().by_route == {}
    assert world.value("SELECT waits_for FROM sync.day_requests WHERE claimed_by_run IS NULL") == "kimai"
    told: list[str] = []
    sync_days(world.environment.runtime, defs.resolve_job_def("sync"), MONDAY, MONDAY, told.append)
    assert any("Kimai asked for a pause until" in line for line in told)
    assert list(world.office.minutes().values()) == [[30]]
    assert watcher.standing("kimai").failing_since is None
