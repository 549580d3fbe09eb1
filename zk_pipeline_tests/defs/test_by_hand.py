"""What people set in Kimai survives our writes: the simulated one resets it on a move, as the real one does."""

from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline_tests.defs.deciding import assert_settled, decide, writes
from zk_pipeline_tests.defs.test_undo import undo
from zk_pipeline_tests.defs.world import World
from zk_sandbox.kimai.model import Timesheet

NO_RATES = {"permissions": {"ROLE_SUPER_ADMIN": {"edit_rate_other_timesheet": False}}}


@pytest.fixture
def priced(world: World) -> World:
    """A world in which an hour of Acme costs 140, and one of Globex 90: both are known from a first booking of each."""
    rates = {world.desk.book(30): "140", world.desk.book(30, ticket="globex"): "90"}
    world.sync()
    for booking, rate in rates.items():
        row = world.office.sheet(booking)
        world.office.server.add_rate("projects", row.project, rate)
        world.office.server.edit_timesheet(row.id, description=f"{row.description} ")
    world.sync()
    return world


def _booked(world: World) -> int:
    """An hour for Acme that is in Kimai."""
    booking = world.desk.book(60)
    world.sync()
    assert world.office.sheet(booking).rate == 140
    return booking


def _set(world: World, booking: int, **columns: Any) -> None:
    world.office.server.edit_timesheet(world.office.sheet(booking).id, **columns)


def _to(world: World, ticket: str) -> None:
    """The ticket goes to the organization of another one."""
    organization = world.desk.server.state.tickets[world.desk.tickets[ticket]].organization_id
    world.desk.server.reassign(world.desk.tickets["acme"], organization_id=organization)


def _charged(row: Timesheet) -> tuple[bool, Decimal]:
    return row.billable, row.rate


def test_a_move_by_us_keeps_what_people_set(priced: World) -> None:
    booking = _booked(priced)
    _set(priced, booking, billable=False, hourly_rate=Decimal(200))
    before = priced.office.sheet(booking)
    _to(priced, "globex")
    priced.sync()
    moved = priced.office.sheet(booking)
    assert moved.project != before.project
    assert _charged(moved) == (False, Decimal(200))
    assert_settled(priced)


def test_without_anything_set_kimai_reckons_anew(priced: World) -> None:
    booking = _booked(priced)
    _to(priced, "globex")
    priced.sync()
    assert _charged(priced.office.sheet(booking)) == (True, Decimal(90))
    assert_settled(priced)


def test_it_is_kept_also_after_other_writes_and_a_second_move(priced: World) -> None:
    booking = _booked(priced)
    _set(priced, booking, billable=False, hourly_rate=Decimal(200))
    priced.desk.server.edit(booking, units="30")
    priced.sync()
    assert _charged(priced.office.sheet(booking)) == (False, Decimal(100))
    for ticket in ("globex", "acme"):
        organization = priced.desk.server.add_organization(f"Again {ticket}")
        priced.desk.server.reassign(priced.desk.tickets["acme"], organization_id=organization)
        priced.sync()
        assert _charged(priced.office.sheet(booking)) == (False, Decimal(100)), ticket


def test_an_undo_keeps_it_too(priced: World) -> None:
    booking = _booked(priced)
    _to(priced, "globex")
    run = priced.sync().run_ids[-1]
    _set(priced, booking, billable=False, fixed_rate=Decimal(500))
    assert undo(run).left == []
    assert _charged(priced.office.sheet(booking)) == (False, Decimal(500))


def test_a_lost_answer_to_the_move_does_not_lose_it(priced: World) -> None:
    booking = _booked(priced)
    _set(priced, booking, billable=False, hourly_rate=Decimal(200))
    _to(priced, "globex")
    # The move arrives, its answer does not, and what was reset is not sent again by that run.
    sheet = priced.office.sheet(booking).id
    priced.office.control.add_fault("drop_after", method="PATCH", path=f"/{sheet}$", times=1)
    with pytest.raises(SyncFailedError, match="could not be written for now"):
        priced.sync()
    assert _charged(priced.office.sheet(booking)) == (True, Decimal(90))
    priced.sync()
    assert _charged(priced.office.sheet(booking)) == (False, Decimal(200))
    assert_settled(priced)


def test_a_rate_that_cannot_be_kept_is_a_question_with_both_amounts(priced: World) -> None:
    booking = _booked(priced)
    _set(priced, booking, hourly_rate=Decimal(200))
    before = priced.office.sheet(booking)
    priced.office.server.configure(NO_RATES)
    _to(priced, "globex")
    report = priced.sync()
    assert priced.office.sheet(booking) == before
    assert report.parked == 1
    (conflict,) = priced.conflicts()
    assert "it costs 200.00 EUR with that" in conflict.text
    assert "it would cost 90.00 EUR at Kimai's own rate" in conflict.text
    assert "edit_rate_other_timesheet" in conflict.text
    decide(priced, Choice.UPDATE)
    priced.sync()
    assert _charged(priced.office.sheet(booking)) == (True, Decimal(90))
    assert priced.reasons() == []


def test_once_the_account_may_the_question_is_gone(priced: World) -> None:
    booking = _booked(priced)
    _set(priced, booking, hourly_rate=Decimal(200))
    priced.office.server.configure(NO_RATES)
    _to(priced, "globex")
    priced.sync()
    priced.office.server.configure({"permissions": {}})
    assert writes(priced.sync()) == 2
    assert _charged(priced.office.sheet(booking)) == (True, Decimal(200))
    assert_settled(priced)
