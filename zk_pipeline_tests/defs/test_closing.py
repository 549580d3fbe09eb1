"""What changes after closing becomes an adjustment or a credit, once, and the closed rows stay as they are."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from threading import Barrier

import pytest
from sqlalchemy import Connection

from zk_pipeline.billing import periods
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.identity.actors import OperationError, StaleError
from zk_pipeline.stages.reconcile import Reconciliation
from zk_pipeline.store import conflicts
from zk_pipeline_tests.defs.billing import ADMIN, Books, today
from zk_pipeline_tests.defs.crashing import KILLED, Child
from zk_pipeline_tests.defs.world import MONDAY, World, at

SEPTEMBER = date(2025, 9, 15)
OCTOBER = "2025-10"


@pytest.fixture
def books(world: World) -> Books:
    return Books(world)


def closed(books: Books, minutes: int = 60) -> int:
    """A booking that is in Kimai and whose month is closed."""
    booking = books.world.desk.book(minutes)
    books.world.sync()
    books.close()
    return booking


def assert_settled(books: Books) -> None:
    """Nothing waits, and another run of both days makes and writes nothing."""
    before, made = books.world.office.rows, len(books.adjustments())
    for day in (MONDAY, today()):
        report = books.world.sync(day).to_json()
        assert (report["requests"]["kimai"]["write"], report["conflicts"]) == (0, 0)
    assert (books.world.office.rows, len(books.adjustments())) == (before, made)
    assert books.world.reasons() == []


def test_an_edit_after_closing_becomes_an_adjustment_in_the_open_period(books: Books) -> None:
    booking = closed(books)
    books.world.desk.server.edit(booking, units=75)
    books.world.sync()
    assert books.world.reasons() == ["billed"]
    books.adjust()
    ((marker, minutes, _),) = books.booked()
    assert (marker, minutes) == ("a1", 15)
    (row,) = [row for row in books.world.office.rows if "[zk-zammad-a1]" in (row.description or "")]
    assert (row.description or "").startswith(f"Adjustment for Ticket {books.world.desk.number()} of {MONDAY}")
    assert "The booking says 75 min, 60 min are billed or adjusted." in (row.description or "")
    books.assert_untouched()
    assert_settled(books)


def test_a_deletion_after_closing_becomes_a_credit(books: Books) -> None:
    books.world.desk.book(5, at("09:00", SEPTEMBER))  # A Zammad without any booking is not believed.
    booking = closed(books)
    books.world.desk.server.delete(booking)
    books.world.sync()
    assert books.world.reasons() == ["billed"]
    books.adjust()
    assert (books.booked(), books.credits()) == ([], [60])
    books.assert_untouched()
    assert_settled(books)


def test_a_correction_after_closing_becomes_a_credit(books: Books) -> None:
    closed(books)
    books.world.desk.book(-20, at("10:00", today()))
    books.world.sync(today())
    books.world.sync()
    books.adjust()
    assert (books.booked(), books.credits()) == ([], [20])
    books.assert_untouched()
    assert_settled(books)


def test_a_booking_that_comes_after_closing_is_booked_in_the_open_period(books: Books) -> None:
    closed(books)
    late = books.world.desk.book(30, at("11:00"))
    books.world.sync()
    assert books.world.reasons() == ["locked_period"]
    books.adjust()
    assert [minutes for _, minutes, _ in books.booked()] == [30]
    books.world.desk.server.delete(late)
    books.world.sync()
    assert books.world.reasons() == ["billed"]
    books.adjust()
    assert books.credits() == [30]
    books.assert_untouched()
    assert_settled(books)


def test_a_ticket_given_to_another_customer_is_credited_there_and_booked_here(books: Books) -> None:
    closed(books)
    (old,) = books.billed.values()
    desk = books.world.desk
    other = desk.server.state.tickets[desk.tickets["globex"]]
    desk.server.reassign(desk.tickets["acme"], customer_id=other.customer_id, organization_id=other.organization_id)
    books.world.sync()
    books.adjust()
    ((_, minutes, project),) = books.booked()
    assert (minutes, books.credits()) == (60, [60])
    assert project != old.project
    assert books.balance() == {project: 60}
    books.assert_untouched()
    assert_settled(books)


def test_a_customer_that_is_renamed_after_closing_changes_nothing(books: Books) -> None:
    closed(books)
    desk = books.world.desk
    organization = desk.server.state.tickets[desk.tickets["acme"]].organization_id
    desk.server.state.organizations[organization or 0].name = "Acme International"
    books.world.sync()
    assert books.world.reasons() == []
    books.assert_untouched()


def test_two_months_closed_out_of_order_keep_their_rows(books: Books) -> None:
    world = books.world
    september, october = world.desk.book(45, at("09:00", SEPTEMBER)), world.desk.book(60)
    world.sync(SEPTEMBER)
    world.sync()
    books.close(MONDAY)
    world.desk.server.edit(september, units=50)
    world.sync(SEPTEMBER)
    assert world.office.sheet(september).duration == 50 * 60
    books.close(SEPTEMBER)
    for booking in (september, october):
        world.desk.server.edit(booking, units=70)
    world.sync(SEPTEMBER)
    world.sync()
    books.adjust()
    assert sorted(minutes for _, minutes, _ in books.booked()) == [10, 20]
    books.assert_untouched()


def test_what_is_tagged_as_billed_or_exported_is_not_rewritten_in_an_open_month(books: Books) -> None:
    world = books.world
    booking = world.desk.book(60)
    world.sync()
    tag = world.office.server.add_tag("billed:2025-10")
    world.office.change(world.office.sheet(booking), tags=(tag,))
    before = world.office.rows
    world.desk.server.edit(booking, units=75)
    world.sync()
    assert (world.reasons(), world.office.rows) == (["billed"], before)


def test_a_plan_made_before_the_closing_is_not_pushed_after_it(books: Books) -> None:
    world = books.world
    booking = closed(books)
    periods.reopen(world.environment.runtime, ADMIN, OCTOBER, "a forgotten booking")
    world.desk.server.edit(booking, units=75)
    world.desk.book(30, at("11:00"))
    world.sync(job="plan")
    world.execute("UPDATE sync.day_requests SET claimed_by_run = 'test'")
    books.close()
    before = world.office.rows
    report = push_alone(world)
    assert (report, world.office.rows) == (2, before)


def push_alone(world: World) -> int:
    """Push the stored plan of Monday as it is; how many lines were left."""
    from zk_pipeline.stages.push.pusher import Pusher, PushSettings  # noqa: PLC0415
    from zk_pipeline.stages.systems import locks_now  # noqa: PLC0415

    runtime = world.environment.runtime

    def locks(connection: Connection) -> WriteProtection:
        return locks_now(connection, runtime.settings, datetime.now(UTC))

    with runtime.target() as target:
        settings = PushSettings("zammad", locks, concurrency=2, time_limit=1, serial_users=False)
        return Pusher(runtime.database, target, settings, "a-run").day(MONDAY).left


def test_a_repeated_decision_and_repeated_runs_make_one_adjustment(books: Books) -> None:
    booking = closed(books)
    books.world.desk.server.edit(booking, units=75)
    books.world.sync()
    (conflict,) = books.world.conflicts()
    books.adjust(repeated=True)
    with (
        books.world.environment.runtime.database.transaction() as connection,
        pytest.raises(conflicts.DecisionError, match="no longer open"),
    ):
        conflicts.decide(connection, conflict.id, Choice.ADJUST, actor="cli:ben")
    assert len(books.adjustments()) == len(books.booked()) == 1
    assert_settled(books)


def test_two_runs_that_plan_a_day_at_once_make_one_adjustment(books: Books) -> None:
    booking = closed(books)
    books.world.desk.server.edit(booking, units=75)
    books.world.sync()
    (conflict,) = books.world.conflicts()
    runtime = books.world.environment.runtime
    with runtime.database.transaction() as connection:
        conflicts.decide(connection, conflict.id, Choice.ADJUST, actor="cli:anna")
    together = Barrier(2)

    def plan(run: str) -> None:
        reconciliation = Reconciliation(runtime, datetime.now(UTC))
        together.wait(90)
        reconciliation.day(MONDAY, run)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(plan, ["one", "other"]))
    assert len(books.adjustments()) == 1


@pytest.mark.parametrize("place", ["after the adjustment", "after the plan", "when the POST was sent"])
def test_a_killed_run_makes_one_adjustment(books: Books, place: str) -> None:
    booking = closed(books)
    books.world.desk.server.edit(booking, units=75)
    books.world.sync()
    (conflict,) = books.world.conflicts()
    with books.world.environment.runtime.database.transaction() as connection:
        conflicts.decide(connection, conflict.id, Choice.ADJUST, actor="cli:anna")
    assert Child(MONDAY, killed=place).ended() == KILLED
    books.world.sync()
    books.world.sync(today())
    assert len(books.adjustments()) == len(books.booked()) == 1
    books.assert_untouched()
    assert_settled(books)


def test_a_month_that_is_opened_again_is_written_again_except_what_was_adjusted(books: Books) -> None:
    world = books.world
    adjusted, other = world.desk.book(60), world.desk.book(30, agent="ben")
    world.sync()
    books.close()
    world.desk.server.edit(adjusted, units=75)
    world.sync()
    books.adjust()
    periods.reopen(world.environment.runtime, ADMIN, OCTOBER, "the customer asked")
    world.desk.server.edit(other, units=40)
    world.desk.server.edit(adjusted, units=80)
    world.sync()
    assert world.office.sheet(other).duration == 40 * 60
    assert world.office.sheet(adjusted).duration == 60 * 60
    assert world.reasons() == ["billed"]
    books.adjust()
    assert sum(books.balance().values()) == 80 + 40


def test_closing_is_audited_and_needs_a_balanced_statement(books: Books) -> None:
    world = books.world
    world.desk.book(60)
    world.sync()
    runtime = world.environment.runtime
    with pytest.raises(StaleError, match="There is no statement yet"):
        periods.close(runtime, ADMIN, OCTOBER)
    books.state(date(2025, 10, 1), unexplained=(1, -1))
    with pytest.raises(StaleError, match="2 min of 2025-10 are unexplained"):
        periods.close(runtime, ADMIN, OCTOBER)
    books.state(date(2025, 10, 1), waiting=(60, -60))
    with pytest.raises(StaleError, match=r"0 min of 2025-10 wait for people \(entries: 2, open conflicts: 0\)"):
        periods.close(runtime, ADMIN, OCTOBER)
    books.state(date(2025, 10, 1), waiting=(15,))
    with pytest.raises(StaleError, match=r"15 min of 2025-10 wait for people \(entries: 1, open conflicts: 0\)"):
        periods.close(runtime, ADMIN, OCTOBER)
    head = world.value("SELECT hash FROM sync.audit_logs ORDER BY id DESC LIMIT 1")
    period = periods.close(runtime, ADMIN, OCTOBER, with_waiting=True)
    assert (period.audit_head, period.closed_by, period.minutes_waiting) == (head, "cli:anna", 15)
    with pytest.raises(StaleError, match="already closed"):
        periods.close(runtime, ADMIN, OCTOBER)
    with pytest.raises(OperationError, match="reason is missing"):
        periods.reopen(runtime, ADMIN, OCTOBER, " ")
    assert periods.reopen(runtime, ADMIN, OCTOBER, "a mistake").reopened_reason == "a mistake"
    with pytest.raises(StaleError, match="is not closed"):
        periods.reopen(runtime, ADMIN, OCTOBER, "again")
    periods.close(runtime, ADMIN, OCTOBER, with_waiting=True)
    assert [row.closed for row in periods.history(runtime)] == [True, False]
    events = "SELECT string_agg(event, ' ' ORDER BY id) FROM sync.audit_logs WHERE subject = 'period:2025-10'"
    assert world.value(events) == "period.closed period.reopened period.closed"
