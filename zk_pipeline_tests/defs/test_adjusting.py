"""Adjustments with Kimai's rounding and rates, and after whatever people did to billed time sheets in Kimai."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from zk_pipeline.billing import credit_list
from zk_pipeline.decisions import conflicts
from zk_pipeline.decisions.lists import ConflictFilter
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.operate import overview
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline_tests.defs.billing import ADMIN, Books, today
from zk_pipeline_tests.defs.oracle import minutes_kept
from zk_pipeline_tests.defs.test_closing import SEPTEMBER, assert_settled
from zk_pipeline_tests.defs.test_copies import kimai, moved
from zk_pipeline_tests.defs.test_lost_answers import round_to
from zk_pipeline_tests.defs.world import MONDAY, World, at

LAST = MONDAY + timedelta(days=2)


def bound(world: World, booking: int) -> int:
    """The time sheet that the ledger has for a booking."""
    return world.value(f"SELECT kimai_id FROM sync.pushes WHERE source_id = '{booking}'")


def test_the_customer_pays_what_kimai_would_have_billed(world: World) -> None:
    books, desk = Books(world), world.desk
    round_to(world, 15)
    desk.book(5, at("09:00", SEPTEMBER))  # A Zammad without any booking is not believed.
    alike, longer = desk.book(10, at("09:00")), desk.book(10, at("10:00"))
    deleted, _moved = desk.book(5, at("11:00")), desk.book(10, at("12:00"), ticket="globex")
    world.sync()
    acme, globex = world.office.sheet(alike).project, world.office.sheet(_moved).project
    books.close()
    desk.server.edit(alike, units=13)
    desk.server.edit(longer, units=20)
    desk.server.delete(deleted)
    other = desk.server.state.tickets[desk.tickets["acme"]]
    desk.server.reassign(desk.tickets["globex"], customer_id=other.customer_id, organization_id=other.organization_id)
    world.sync()
    assert world.reasons() == ["billed"] * 3
    assert "which Kimai rounds to 30" in "".join(row.text for row in world.conflicts())
    books.adjust()
    open_lines = "SELECT count(*) FROM sync.reconciliation_results WHERE entry_date = :day AND reason <> 'adjusted'"
    assert world.value(open_lines.replace(":day", f"'{MONDAY}'")) == 0
    assert [(minutes, project) for _, minutes, project in books.booked()] == [(15, acme), (15, acme)]
    assert books.credits() == [15, 15]
    assert books.balance() == {acme: 15 + 30 + 15}
    assert globex != acme
    books.assert_untouched()
    assert_settled(books)


def test_the_minutes_of_an_adjustment_are_counted_once(world: World) -> None:
    books = Books(world)
    adjusted(world, books)
    assert [minutes for _, minutes, _ in books.booked()] == [15]
    with world.environment.runtime.database.transaction() as connection:
        names = active_connectors(connection)
        shares = overview.time_shares(connection, names, MONDAY, today())
        days = overview.minutes_by_day(connection, names, MONDAY, today())
    assert (shares.in_target, shares.waiting, shares.left_out, shares.bookings) == (45, 0, 0, 1)
    assert [(row.day, row.booked, row.synced) for row in days] == [(MONDAY, 45, 45)]
    assert minutes_kept(world) == 45


def test_a_second_flat_fee_is_asked_about(world: World) -> None:
    world.desk.book(10, at("08:00"))
    world.sync()
    (first,) = world.office.rows
    world.office.server.add_rate("projects", first.project, "120", is_fixed=True)
    booking = world.desk.book(30)
    world.sync()
    world.office.change(world.office.sheet(booking), exported=True)
    world.desk.server.edit(booking, units=45)
    world.sync()
    (asked,) = world.conflicts()
    assert "a time sheet of 15 min costs 120 once more" in asked.text
    runtime, wanted = world.environment.runtime, ConflictFilter(reason="billed")
    seen = conflicts.preview(runtime, Choice.ADJUST, wanted)
    assert (seen.conflicts, seen.left, seen.adjusts) == (1, 1, 0)
    (left,) = conflicts.decide_matching(runtime, ADMIN, Choice.ADJUST, wanted, seen.digest).left
    assert "Kimai may bill another amount than is adjusted. Decide about it by itself." in left.why
    conflicts.decide(runtime, ADMIN, asked.id, Choice.ADJUST)
    world.sync()
    assert world.conflicts() == []


def test_a_credit_gives_back_what_was_charged_and_nothing_is_open_where_nothing_was(world: World) -> None:
    hourly, free, flat = (world.desk.book(60, at(clock)) for clock in ("08:00", "10:00", "12:00"))
    world.sync()
    server, project = world.office.server, world.office.sheet(hourly).project
    server.add_rate("projects", project, "92")
    server.edit_timesheet(world.office.sheet(hourly).id)
    world.office.change(world.office.sheet(free), billable=False)
    for booking in (hourly, free, flat):
        world.office.change(world.office.sheet(booking), exported=True)
        world.desk.server.edit(booking, units=40)
    world.sync()
    texts = [row.text for row in world.conflicts()]
    assert sum("-20 min (a credit of 30.67)." in text for text in texts) == 1
    assert sum("-20 min (nothing was charged for it)." in text for text in texts) == 2
    Books(world).adjust()
    rows = credit_list.list_credits(world.environment.runtime, settled=True)
    assert {row.booking: (row.minutes, row.amount, row.currency, row.state) for row in rows} == {
        str(hourly): (20, Decimal("30.6667"), "EUR", "open"),
        str(free): (20, 0, "EUR", "settled"),
        str(flat): (20, 0, "EUR", "settled"),
    }
    assert [row.booking for row in credit_list.list_credits(world.environment.runtime)] == [str(hourly)]
    assert world.conflicts() == []
    assert_settled(Books(world))


def test_an_adjusted_booking_is_bound_to_the_copy_of_its_deleted_time_sheet(world: World) -> None:
    books = Books(world)
    booking = adjusted(world, books)
    original = world.office.sheet(booking)
    copy = kimai(world, f"{original.id}/duplicate")
    world.office.change(original, exported=False)
    world.office.server.kimai.timesheets.remove(original.id)
    world.sync()
    assert (world.reasons(), bound(world, booking)) == ([], copy)
    assert world.sync().to_json()["linked"] == 0


def adjusted(world: World, books: Books) -> int:
    """A booking that was billed with 30 minutes and adjusted to 45."""
    booking = world.desk.book(30)
    world.sync()
    world.office.change(world.office.sheet(booking), exported=True)
    world.desk.server.edit(booking, units=45)
    world.sync()
    books.adjust()
    assert world.reasons() == []
    return booking


@pytest.mark.parametrize("seed", range(10))
def test_whatever_people_do_in_kimai_all_is_settled_or_asked_about(world: World, seed: int) -> None:
    books, random = Books(world), Random(seed)
    bookings = {adjusted(world, books): 45}
    bookings[world.desk.book(20, at("11:00"))] = 20
    world.sync()
    for _ in range(random.randint(3, 7)):
        act(world, random)
    for _ in range(2):
        world.sync(MONDAY, LAST)
        world.sync(today())
    asked = world.conflicts()
    named = {row.kimai_id for row in asked}
    keys = {row.source_id for row in asked} | {row.key for row in asked}
    for row in world.office.rows:
        for source_id in filter(str.isdecimal, marked_ids(row.description or "", "zammad")):
            known = bound(world, int(source_id)) == row.id
            assert known or row.id in named, f"time sheet {row.id} of booking {source_id}"
    for booking, minutes in bookings.items():
        (sheet,) = [row for row in world.office.rows if row.id == bound(world, booking)] or [None]
        made = sum((row.minutes for row in books.adjustments() if row.source_id == str(booking)), Decimal(0))
        held = made + (Decimal(sheet.duration) / 60 if sheet else 0)
        # What was edited in Kimai after it was billed holds.
        agreed = sheet is not None and sheet.exported
        assert held == minutes or agreed or str(booking) in keys, f"booking {booking}: {held} of {minutes}"


def act(world: World, random: Random) -> None:
    """What a person does in Kimai to one of our time sheets."""
    ours = [row for row in world.office.rows if marked_ids(row.description or "", "zammad")]
    if not ours:
        return
    row = random.choice(ours)
    match random.choice(["duplicate", "delete", "export", "move", "restart", "edit", "un-export", "delete"]):
        case "duplicate" if row.end is not None:
            kimai(world, f"{row.id}/duplicate")
        case "restart" if row.end is not None:
            kimai(world, f"{row.id}/restart", copy="all")
        case "delete":
            world.office.server.kimai.timesheets.remove(row.id)
        case "export" | "un-export" as how:
            world.office.change(row, exported=how == "export")
        case "move" if row.end is not None:
            moved(world, row.id, MONDAY + timedelta(days=random.randint(0, 2)))
        case "edit" if row.end is not None:
            world.office.change(row, end=row.end + 600, duration=row.duration + 600)
        case _:
            pass
