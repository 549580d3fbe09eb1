"""A setting that decided stored facts is changed later: nothing goes on with both values, and no minute is lost."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from zk_pipeline.domain.policy import Placement, ProjectStrategy
from zk_pipeline.identity.actors import Actor, Role
from zk_pipeline.operate.rederive import RederiveResult, rederive
from zk_pipeline.runtime.environment import Environment, prepare
from zk_pipeline.runtime.runtime import SetupError
from zk_pipeline.runtime.settings import load_settings
from zk_pipeline.store import source, stored_settings
from zk_pipeline_tests.defs import people
from zk_pipeline_tests.defs.world import World
from zk_sandbox.kimai.model import Timesheet

SATURDAY, SUNDAY = date(2025, 10, 4), date(2025, 10, 5)
ALMOST_MIDNIGHT = datetime(2025, 10, 4, 22, 20, tzinfo=UTC)
"""On Saturday in UTC, twenty minutes into Sunday in Berlin."""

NOON = datetime(2025, 10, 4, 10, 7, tzinfo=UTC)
ADMIN = Actor("cli:tests", Role.ADMIN)
UTC_FIRST = pytest.mark.parametrize("settings", [{"ZK_TIMEZONE": "UTC"}], indirect=True)
NUMBERS = count(1)


def under(world: World, **changed: Any) -> World:
    """The same installation, started with other settings."""
    runtime = world.environment.runtime
    settings = runtime.settings.model_copy(update=changed)
    return replace(world, environment=replace(world.environment, runtime=replace(runtime, settings=settings)))


def sync(world: World, first: date = SATURDAY, last: date = SUNDAY) -> int:
    return people.sync(world, next(NUMBERS), first, last)


def derive(world: World, *, plan: bool = False) -> RederiveResult:
    return rederive(world.environment.runtime, ADMIN, plan=plan)


def asked(world: World) -> set[str]:
    query = "SELECT string_agg(day::text, ' ') FROM sync.day_requests WHERE reason = 'rederived'"
    return set((world.value(query) or "").split())


def bill(world: World, sheet: Timesheet) -> None:
    """Kimai exports a time sheet, and the product reads that."""
    world.office.change(sheet, exported=True)
    sync(world)


def days(world: World) -> dict[int, date]:
    """The day on which each booking counts: as it was read, as an entry, and in the ledger."""
    found: dict[int, date] = {}
    with world.environment.runtime.database.transaction() as connection:
        for booking in source.bookings_of_days(connection, "zammad", SATURDAY, SUNDAY):
            assert booking.work_day is not None
            found[int(booking.id)] = booking.work_day
    for id_, day in found.items():
        assert world.value(f"SELECT entry_date FROM sync.normalized_entries WHERE source_id = '{id_}'") == day
        assert world.value(f"SELECT entry_date FROM sync.pushes WHERE source_id = '{id_}'") in {None, day}
    return found


@UTC_FIRST
def test_a_booking_that_waited_while_the_zone_was_changed_is_not_lost(world: World) -> None:
    world.execute("DELETE FROM sync.activity_mappings")
    booking = world.desk.book(60, ALMOST_MIDNIGHT)
    sync(world)
    assert world.reasons() == ["unmapped_activity"]

    moved = under(world, timezone="Europe/Berlin")
    with pytest.raises(SetupError, match=r"ZK_TIMEZONE was 'UTC' and is 'Europe/Berlin'.*zk rederive --plan"):
        sync(moved)
    done = derive(moved)
    assert (done.moved, done.timesheets, set(map(str, done.days))) == (1, 0, {str(SATURDAY), str(SUNDAY)})
    moved.map_types()
    sync(moved, SUNDAY, SUNDAY)  # The new day before the former one: their questions do not get into each other's way.
    sync(moved, SATURDAY, SATURDAY)
    assert world.office.minutes() == {booking: [60]}
    assert days(world) == {booking: SUNDAY}
    assert world.reasons() == []


@UTC_FIRST
@pytest.mark.parametrize("rerun", [(SATURDAY, SUNDAY), (SUNDAY, SUNDAY)], ids=["both days", "the new day"])
def test_a_pushed_booking_that_is_edited_after_the_zone_was_changed_is_carried(
    world: World, rerun: tuple[date, date]
) -> None:
    booking, noon = world.desk.book(60, ALMOST_MIDNIGHT), world.desk.book(20, NOON)
    sync(world)
    sheet = world.office.sheet(booking)
    moved = under(world, timezone="Europe/Berlin")
    done = derive(moved)
    assert (done.moved, done.changed, done.timesheets) == (1, 0, 0), "The instant is the same, so Kimai stays"
    assert asked(world) == {str(SATURDAY), str(SUNDAY)}

    world.desk.server.edit(booking, units=90)
    assert sync(moved, *rerun) == 1
    assert (world.office.sheet(booking).id, world.office.sheet(booking).begin) == (sheet.id, sheet.begin)
    assert world.office.minutes() == {booking: [90], noon: [20]}
    assert days(world) == {booking: SUNDAY, noon: SATURDAY}
    assert world.reasons() == []


@UTC_FIRST
def test_a_plan_shows_what_would_happen_and_changes_nothing(world: World) -> None:
    world.desk.book(60, ALMOST_MIDNIGHT)
    sync(world)
    before = days(world)
    moved = under(world, timezone="Europe/Berlin")
    planned = derive(moved, plan=True)
    assert (days(world), asked(world)) == (before, set())
    with pytest.raises(SetupError):
        moved.environment.runtime.require_decided()
    assert derive(moved) == planned
    moved.environment.runtime.require_decided()
    assert derive(moved) == RederiveResult(()), "Once is enough"
    audited = "SELECT count(*) FROM sync.audit_logs WHERE event = 'settings.rederived' AND actor = 'cli:tests'"
    assert world.value(audited) == 1


@UTC_FIRST
def test_billed_days_stay_as_they_were_and_later_edits_of_them_are_seen(world: World) -> None:
    booking = world.desk.book(60, ALMOST_MIDNIGHT)
    world.desk.book(60, datetime(2025, 11, 4, 10, 0, tzinfo=UTC))  # So that Zammad is never empty.
    sync(world)
    bill(world, world.office.sheet(booking))
    moved = under(world, timezone="Europe/Berlin", minutes_per_unit=Decimal(2))
    done = derive(moved)
    assert (done.moved, done.kept, done.kept_days) == (0, 1, (SATURDAY,))
    assert sync(moved) == 0
    assert (days(world), world.reasons()) == ({booking: SATURDAY}, [])

    world.execute("DELETE FROM sync.day_requests")
    world.desk.server.edit(booking, units=90)
    sync(moved, SUNDAY, SUNDAY)  # That is where Berlin's clock reads it.
    assert world.value("SELECT day FROM sync.day_requests WHERE reason = 'former_day'") == SATURDAY
    sync(moved, SATURDAY, SATURDAY)
    assert world.reasons() == ["billed"]
    assert world.value("SELECT time_minutes FROM sync.normalized_entries") == 90, "In the unit that it was billed in"

    world.desk.server.delete(booking)
    world.execute("DELETE FROM sync.day_requests")
    sync(moved, SUNDAY, SUNDAY)
    assert world.value("SELECT day FROM sync.day_requests WHERE reason = 'former_day'") == SATURDAY


@UTC_FIRST
def test_nothing_moves_into_a_closed_month(world: World) -> None:
    booking = world.desk.book(60, datetime(2025, 10, 1, 2, 0, tzinfo=UTC))  # In September by New York's clock.
    sync(world, date(2025, 10, 1), date(2025, 10, 1))
    world.execute(
        "INSERT INTO sync.periods (month, closed_by, audit_head, statement_hash, minutes_waiting)"
        " VALUES ('2025-09-01', 'tests', '', '', 0)"
    )
    done = derive(under(world, timezone="America/New_York"))
    assert (done.moved, done.kept) == (0, 1)
    assert world.value("SELECT work_day FROM zammad.time_accountings") == date(2025, 10, 1), booking


def test_another_unit_changes_open_time_sheets_alone(world: World) -> None:
    billed, open_ = world.desk.book(2, NOON), world.desk.book(3, datetime(2025, 10, 5, 10, 0, tzinfo=UTC))
    sync(world)
    bill(world, world.office.sheet(billed))
    hours = under(world, minutes_per_unit=Decimal(60))
    done = derive(hours)
    assert (done.moved, done.changed, done.timesheets, done.kept) == (0, 1, 1, 1)
    assert done.days == (SUNDAY,)
    assert sync(hours) == 1
    assert world.office.minutes() == {billed: [2], open_: [180]}
    assert world.reasons() == []
    assert sync(hours) == 0


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({"grid_minutes": 60}, "10:00"),
        ({"placement": Placement.END}, "09:37"),
        ({"placement": Placement.SEQUENTIAL, "day_start": time(7)}, "05:00"),
    ],
    ids=["grid", "end", "sequential"],
)
def test_another_place_on_the_day_moves_open_time_sheets(world: World, changed: dict[str, Any], begins: str) -> None:
    booking = world.desk.book(30, datetime(2025, 10, 4, 10, 21, tzinfo=UTC) if "grid_minutes" in changed else NOON)
    sync(world)
    placed = under(world, **changed)
    with pytest.raises(SetupError, match=r"ZK_(GRID_MINUTES was '15'|PLACEMENT was 'start')"):
        sync(placed)
    assert derive(placed).timesheets == 1
    assert sync(placed) == 1
    assert f"{datetime.fromtimestamp(world.office.sheet(booking).begin, UTC):%H:%M}" == begins


def test_a_grid_that_nothing_stands_on_may_be_changed(world: World) -> None:
    sequential = under(world, placement=Placement.SEQUENTIAL)
    world.desk.book(30, NOON)
    sync(sequential)
    under(sequential, grid_minutes=60).environment.runtime.require_decided()


def test_another_project_strategy_moves_open_time_sheets_and_no_billed_one(world: World) -> None:
    billed, open_ = world.desk.book(20, NOON), world.desk.book(30, datetime(2025, 10, 5, 10, 0, tzinfo=UTC))
    sync(world)
    project = world.office.sheet(billed).project
    bill(world, world.office.sheet(billed))
    fixed = under(world, project_strategy=ProjectStrategy.FIXED, fixed_project=str(world.office.other_project))
    done = derive(fixed)
    assert (done.timesheets, done.kept, done.days) == (1, 1, (SUNDAY,))
    assert sync(fixed) == 1
    assert world.office.sheet(billed).project == project
    assert world.office.sheet(open_).project == world.office.other_project
    assert world.reasons() == []


def test_a_later_start_leaves_the_days_before_it_alone(world: World) -> None:
    world.desk.book(20, NOON)
    world.desk.book(30, datetime(2025, 10, 5, 10, 0, tzinfo=UTC))
    sync(world)
    later = under(world, start_date=SUNDAY)
    with pytest.raises(SetupError, match=r"ZK_START_DATE was '2020-01-01' and is '2025-10-05'"):
        later.environment.runtime.require_decided()
    done = derive(later)
    assert (done.unfollowed, done.days, done.timesheets) == (1, (), 0)
    assert sync(later, SUNDAY, SUNDAY) == 0


def test_an_earlier_start_asks_for_nothing_by_itself(world: World) -> None:
    world.desk.book(20, NOON)
    sync(world)
    earlier = under(world, start_date=date(2019, 1, 1))
    done = derive(earlier)
    assert (done.days, done.moved, done.unfollowed) == ((), 0, 0)
    assert [change.variable for change in done.changes] == ["ZK_START_DATE"]
    earlier.environment.runtime.require_decided()


@UTC_FIRST
def test_an_installation_from_before_goes_on_with_the_values_then_in_force(world: World) -> None:
    world.desk.book(60, ALMOST_MIDNIGHT)
    sync(world)
    world.execute("UPDATE zammad.time_accountings SET decided_id = NULL")
    world.execute("DELETE FROM sync.decided_settings")
    unset = under(world)
    unset.environment.runtime.settings.model_fields_set.discard("timezone")  # It ran with the default.
    unset.environment.runtime.require_decided()
    with pytest.raises(SetupError, match="ZK_TIMEZONE was 'UTC'"):
        under(world, timezone="Europe/Berlin").environment.runtime.require_decided()


@pytest.fixture
def unzoned(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A fresh installation of which nobody said in which zone it is."""
    monkeypatch.delenv("ZK_TIMEZONE")
    monkeypatch.setenv("TZ", "Europe/Vienna")
    world.execute("DELETE FROM sync.decided_settings")
    runtime = replace(world.environment.runtime, settings=load_settings())
    return replace(world, environment=Environment(runtime, world.environment.home, {}))


def test_nothing_is_read_before_somebody_chose_a_zone(unzoned: World) -> None:
    unzoned.desk.book(60, ALMOST_MIDNIGHT)
    with pytest.raises(SetupError, match=r"ZK_TIMEZONE is not set.*Set ZK_TIMEZONE=Europe/Vienna"):
        sync(unzoned)
    assert unzoned.value("SELECT count(*) FROM zammad.time_accountings") == 0
    with prepare(load_settings()) as ready, ready.runtime.database.transaction() as connection:
        assert stored_settings.latest(connection) is None, "What only looks around decides nothing"


def test_where_the_machine_lives_in_utc_the_zone_of_kimais_account_is_proposed(
    unzoned: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    with pytest.raises(SetupError, match="Set ZK_TIMEZONE=America/New_York"):
        unzoned.environment.runtime.require_zone()
