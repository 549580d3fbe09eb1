"""What goes wrong while a run writes: one clear message, nothing half written, and no failed read is "no data"."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text

from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.store import ledger
from zk_pipeline_tests.defs.world import MONDAY, World, at

pytestmark = pytest.mark.dagster

CREATE = {"method": "POST", "path": "/api/timesheets$"}
LIST = "/api/v1/time_accountings$"


def failure_of(world: World) -> str:
    """The message of a run that fails."""
    with pytest.raises(SyncFailedError) as failure:
        world.sync()
    return str(failure.value)


@pytest.mark.parametrize(("status", "words"), [(401, ["401", "new API token"]), (429, ["429", "Too many requests"])])
def test_a_create_that_the_whole_system_refuses_stops_the_run_and_loses_nothing(
    world: World, status: int, words: list[str]
) -> None:
    bookings = [world.desk.book(30 + number) for number in range(6)]
    world.office.control.add_fault("respond", **CREATE, status=status, skip=2)
    message = failure_of(world)
    assert [word for word in [str(MONDAY), *words] if word not in message] == []
    assert world.office.creates_sent() <= 2 + 4, "what was under way, and no more"
    world.office.control.clear_faults()
    world.sync()
    assert world.office.minutes() == {booking: [30 + number] for number, booking in enumerate(bookings)}


@pytest.mark.parametrize("settings", [{"ZK_HTTP_ATTEMPTS": 3}], indirect=True)
def test_a_server_that_asks_to_slow_down_is_waited_for(world: World) -> None:
    booking = world.desk.book(30)
    for path in ("/api/users$", "/api/timesheets$"):
        world.office.control.add_fault("respond", path=path, status=429, headers={"Retry-After": "1"}, times=1)
    world.sync()
    assert world.office.minutes() == {booking: [30]}


def test_an_entry_for_which_kimai_always_fails_is_reported_while_the_others_arrive(world: World) -> None:
    broken, good, later = world.desk.book(30), world.desk.book(45, agent="ben"), world.desk.book(60)
    world.office.control.add_fault("respond", **CREATE, body=rf"\[zk-zammad-{broken}\]", status=500)
    for _ in range(2):
        message = failure_of(world)
        assert [word for word in (str(MONDAY), f"Booking {broken}", "500") if word not in message] == []
        assert world.office.minutes() == {good: [45], later: [60]}
        assert world.ledger()[broken] == "failed"
    world.office.control.clear_faults()
    assert world.sync().counts["created"] == 1
    assert world.office.minutes() == {broken: [30], good: [45], later: [60]}


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_time_sheet_on_which_kimai_always_fails_is_reported_while_the_others_follow(
    world: World, method: str
) -> None:
    broken, good = world.desk.book(30), world.desk.book(45)
    world.sync()
    for booking, units in ((broken, 60), (good, 90)):
        world.desk.server.edit(booking, units=units)
    path = f"/api/timesheets/{world.office.sheet(broken).id}$"
    world.office.control.add_fault("respond", method=method, path=path, status=500)
    message = failure_of(world)
    assert [word for word in (str(MONDAY), f"{method} {path[:-1]}", "500") if word not in message] == []
    assert world.office.minutes() == {broken: [30], good: [90]}
    world.office.control.clear_faults()
    assert world.sync().counts["updated"] == 1
    assert world.office.minutes() == {broken: [60], good: [90]}


def test_what_cannot_be_read_waits_for_a_person_and_all_else_arrives(world: World) -> None:
    state = world.desk.server.state
    kept, broken, other = world.desk.book(30), world.desk.book(45), world.desk.book(60, agent="ben", ticket="globex")
    stored = state.accountings
    booking, spoiled = (stored.get(id_) for id_ in (kept, broken))
    assert booking is not None
    assert spoiled is not None
    stored.change(spoiled, time_unit=None)  # As Zammad shows a stored NaN.
    state.tickets[world.desk.tickets["globex"]].title = "half and \x00 nothing"
    world.sync()
    assert world.office.minutes() == {kept: [30], other: [60]}
    assert "half and \ufffd nothing" in (world.office.sheet(other).description or "")
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.source_id) == ("malformed_booking", str(broken))
    number = world.desk.number().lstrip("#")
    assert f"Booking {broken} of ticket {number} cannot be read: its time is no number." in conflict.text
    # What was written stays when its booking, or the time sheet itself, can no longer be read.
    stored.change(spoiled, time_unit=Decimal(50))
    stored.change(booking, time_unit=None)
    world.office.change(world.office.sheet(other), billable=None)
    before = world.office.rows
    world.sync()
    assert world.office.minutes() == {kept: [30], other: [60], broken: [50]}
    assert [row for row in world.office.rows if row in before] == before
    assert sorted(world.reasons()) == ["malformed_booking", "malformed_timesheet"]
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    stored.change(booking, time_unit=Decimal(35))
    world.office.change(world.office.sheet(other), billable=True)
    world.sync()
    assert world.office.minutes() == {kept: [35], other: [60], broken: [50]}
    assert world.reasons() == []


def test_a_doubt_that_cannot_be_looked_up_is_left_to_the_next_run(world: World) -> None:
    booking = world.desk.book(30)
    world.office.control.add_fault("drop_after", **CREATE)
    world.office.control.add_fault("respond", method="GET", path="/api/timesheets$", skip=1, status=500)
    message = failure_of(world)
    assert "Kimai: GET /api/timesheets answered 500" in message
    world.office.control.clear_faults()
    world.sync()
    assert world.office.minutes() == {booking: [30]}
    assert world.office.creates_sent() == 1


def parked_then_repaired(world: World, parked: int, good: int, words: list[str]) -> None:
    """The first runs park one of two bookings, and write nothing for it on the same day again."""
    report = world.sync()
    assert (report.parked, report.conflicts) == (1, 0)
    assert world.office.minutes() == {good: [45]}
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.source_id) == ("refused_by_kimai", str(parked))
    assert [word for word in [*words, "Then sync the day again."] if word not in conflict.text] == []
    again = world.sync().to_json()
    assert (again["requests"]["kimai"]["write"], again["parked"], again["in_sync"]) == (0, 1, 1)


def arrives_now(world: World, booking: int) -> None:
    report = world.sync()
    assert (report.counts["created"], report.parked, world.reasons()) == (1, 0, [])
    assert world.office.sheet(booking).duration == 30 * 60


def test_a_booking_on_a_project_that_has_ended_waits_until_the_project_is_extended(world: World) -> None:
    organization = world.desk.server.state.tickets[world.desk.tickets["globex"]].organization_id
    customer = world.office.server.add_customer("Globex", f"zammad-org-{organization}")
    ended = date(2025, 8, 31)
    number = f"ZO{organization}"
    project = world.office.server.add_project("Support", customer, number, end=ended, timezone="Europe/Berlin")
    parked, good = world.desk.book(30, ticket="globex"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["Project Support ended on 2025-08-31", "extend its end date"])
    world.office.amend("projects", project, end=None)
    arrives_now(world, parked)


def test_a_booking_on_a_hidden_activity_waits_until_the_activity_is_visible(world: World) -> None:
    hidden = world.office.server.add_activity("Travel", visible=False)
    travel = world.desk.server.add_type("Travel")
    world.execute(
        "INSERT INTO sync.activity_mappings (type_id, kimai_activity_id) VALUES (:type, :activity)",
        type=travel,
        activity=hidden,
    )
    parked, good = world.desk.book(30, type_id=travel), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["Activity Travel is hidden", "make it visible"])
    world.office.amend("activities", hidden, visible=True)
    arrives_now(world, parked)


def test_a_booking_of_a_disabled_user_waits_until_the_account_is_enabled(world: World) -> None:
    world.office.amend("users", world.office.users["ben"], enabled=False)
    parked, good = world.desk.book(30, agent="ben"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["user ben is disabled", "enable the account"])
    world.office.amend("users", world.office.users["ben"], enabled=True)
    arrives_now(world, parked)


def test_a_booking_whose_description_is_too_long_waits_until_the_title_is_shortened(world: World) -> None:
    ticket = world.desk.server.state.tickets[world.desk.tickets["globex"]]
    ticket.title = "x" * 70_000
    parked, good = world.desk.book(30, ticket="globex"), world.desk.book(45)
    parked_then_repaired(world, parked, good, ["The description has 700", "65535", "shorten the ticket's title"])
    ticket.title = "VPN"
    ticket.updated_at = at("10:00")
    arrives_now(world, parked)


def test_an_exported_time_sheet_is_never_written(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    row = world.office.sheet(booking)
    world.office.change(row, exported=True)
    billed = world.office.sheet(booking)
    world.desk.server.edit(booking, units=90)
    report = world.sync().to_json()
    assert report["requests"]["kimai"]["write"] == 0
    assert world.reasons() == ["billed"]
    world.desk.server.delete(booking)
    world.desk.book(5)
    world.sync()
    assert world.office.sheet(booking) == billed


def test_a_time_sheet_exported_after_the_plan_was_made_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.edit(booking, units=90)
    world.sync(job="plan")
    world.office.change(world.office.sheet(booking), exported=True)
    billed = world.office.sheet(booking)
    world.sync()
    assert world.office.sheet(booking) == billed


def test_a_deletion_in_zammad_needs_the_proof_of_the_row_itself(world: World) -> None:
    booking, kept = world.desk.book(30), world.desk.book(45)
    world.sync()
    world.desk.server.delete(booking)
    world.desk.control.add_fault("respond", path=rf"/time_accountings/{booking}$", status=500)
    failure_of(world)
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0

    world.desk.control.clear_faults()
    world.sync()
    assert world.value("SELECT id FROM zammad.time_accountings WHERE gone_at IS NOT NULL") == str(booking)
    assert world.reasons() == ["deleted_in_zammad"]
    assert world.office.minutes() == {booking: [30], kept: [45]}, "people decide about the time sheet"


def test_an_incomplete_sweep_deletes_nothing(world: World) -> None:
    booking, kept = world.desk.book(30), world.desk.book(45)
    world.sync()
    world.desk.control.add_fault("respond", path=LIST, skip=1, status=200, text="[]")
    world.sync()
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    assert world.office.minutes() == {booking: [30], kept: [45]}


def test_a_zammad_that_is_suddenly_empty_is_taken_for_broken(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.desk.server.delete(booking)
    message = failure_of(world)
    assert [word for word in ("list of bookings is empty", "right system") if word not in message] == []
    assert world.value("SELECT count(gone_at) FROM zammad.time_accountings") == 0
    assert world.office.minutes() == {booking: [30]}


def test_a_time_sheet_deleted_in_kimai_is_not_written_again_unasked(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    world.office.server.kimai.timesheets.remove(world.office.sheet(booking).id)
    report = world.sync().to_json()
    assert report["requests"]["kimai"]["write"] == 0
    assert world.reasons() == ["deleted_in_kimai"]
    assert world.office.rows == []
    world.office.control.reset_requests()
    world.sync()
    assert world.reasons() == ["deleted_in_kimai"]
    asked = world.office.control.requests().by_route
    assert "GET /api/timesheets/{id}" not in asked, "what is gone once is gone for good"


def test_a_time_sheet_that_vanishes_while_it_is_updated_is_a_matter_of_that_entry(world: World) -> None:
    booking, other = world.desk.book(30), world.desk.book(45)
    world.sync()
    for number in (booking, other):
        world.desk.server.edit(number, units=60)
    sheet = world.office.sheet(booking).id
    not_found = '{"code": 404, "message": "Not Found"}'
    path = f"/api/timesheets/{sheet}$"
    world.office.control.add_fault("respond", method="PATCH", path=path, status=404, text=not_found)
    report = world.sync().to_json()
    assert report["updated"] == 1
    assert world.office.sheet(other).duration == 60 * 60


def test_a_database_that_drops_its_connections_while_a_day_is_written_loses_and_doubles_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = {world.desk.book(30 + number): [30 + number] for number in range(3)}
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "confirm", lambda connection, *_: connection.execute(text(drop)))
        message = failure_of(world)
    assert [word for word in (str(MONDAY), "The database failed", "Run the day again") if word not in message] == []
    assert "SELECT" not in message
    world.sync()
    assert world.office.minutes() == bookings
    assert world.office.creates_sent() == 3
