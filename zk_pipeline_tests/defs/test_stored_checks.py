"""The checks on what is stored, after the real chain: what turns each of them red, and what it tells people to do."""

from datetime import datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from zk_pipeline.defs.checks import ANSWERED, MAPPED, MARKERS, READS, UNITS, of_stored_rows
from zk_pipeline.defs.resources import database_of_settings
from zk_pipeline_tests.defs.test_checks import Clock
from zk_pipeline_tests.defs.world import MONDAY, World, at

pytestmark = pytest.mark.dagster

NOW = at("09:00", MONDAY + timedelta(days=1))


def checked(now: datetime = NOW) -> dict[str, dg.AssetCheckEvaluation]:
    """Run the checks as the job does, at a moment; what they found, by name."""
    keys = {key.asset_key for check in of_stored_rows for key in check.check_keys}
    definitions = dg.Definitions(
        assets=[dg.AssetSpec(key) for key in keys],
        asset_checks=of_stored_rows,
        jobs=[dg.define_asset_job("look", selection=dg.AssetSelection.checks(*of_stored_rows))],
        resources={"zk": Clock(database=database_of_settings(), moment=now.isoformat())},
        executor=dg.in_process_executor,
    )
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def("look").execute_in_process(instance=instance)
    assert result.success
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def red(found: dict[str, dg.AssetCheckEvaluation]) -> dict[str, str]:
    """What failed, with its sentence."""
    return {name: check.description or "" for name, check in found.items() if not check.passed}


def test_all_are_green_after_a_run(world: World) -> None:
    for minutes in (15, 30, 45, 60, 20):
        world.desk.book(minutes)
    world.sync()
    found = checked()
    assert found.keys() == {READS, UNITS, MARKERS, MAPPED, ANSWERED}
    assert red(found) == {}


def sweep(world: World, moment: datetime, *, complete: bool) -> None:
    """The report of a read of Monday."""
    world.execute(
        "INSERT INTO sync.sweeps (connector, subject, window_start, window_end, complete, reason, run_id, started_at) "
        "VALUES ('zammad', 'time_accountings', :start, :end, :complete, 'Its totals moved.', 'run', :at)",
        start=at("00:00"),
        end=at("00:00", MONDAY + timedelta(days=1)),
        complete=complete,
        at=moment,
    )


def test_a_day_that_was_not_read_completely_is_named_with_the_reason(world: World) -> None:
    sweep(world, NOW - timedelta(hours=2), complete=False)
    sentence = red(checked())[READS]
    assert sentence.startswith("2025-10-06 to 2025-10-06 was not read completely: Its totals moved. Sync these days")


def test_a_later_complete_read_makes_it_good(world: World) -> None:
    sweep(world, NOW - timedelta(hours=3), complete=False)
    sweep(world, NOW - timedelta(hours=2), complete=True)
    assert READS not in red(checked())


def test_a_read_that_is_under_way_is_not_judged(world: World) -> None:
    sweep(world, NOW - timedelta(minutes=2), complete=False)
    assert READS not in red(checked())


def test_hours_taken_for_minutes_are_noticed(world: World) -> None:
    for hours in ("0.25", "0.5", "1.5", "0.75", "2"):
        world.desk.book(hours)
    world.sync()
    found = checked()
    assert found[UNITS].severity is dg.AssetCheckSeverity.WARN
    sentence = red(found)[UNITS]
    assert "ZK_MINUTES_PER_UNIT" in sentence
    assert sentence.endswith("set ZK_MINUTES_PER_UNIT to its minutes, and run zk rederive.")


def test_a_copied_time_sheet_is_named_with_its_booking(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    sheet = world.office.sheet(booking)
    copy = world.office.type_by_hand(at("14:00"), 30, sheet.description or "")
    world.sync()
    sentence = red(checked())[MARKERS]
    assert sentence.startswith(f"Booking {booking} stands in the time sheets {sheet.id}, {copy}. Delete the copies")


def test_bookings_without_mapping_are_counted_once_they_are_many(world: World) -> None:
    world.desk.agents["carla"] = world.desk.server.add_agent("carla@example.com", firstname="Carla")
    world.desk.book(45, agent="carla")
    world.desk.book(30)
    world.sync()
    found = checked()
    assert (found[MAPPED].severity, found[READS].severity) == (dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR)
    sentence = red(found)[MAPPED]
    assert sentence.startswith("1 of 2 bookings since 2025-08-06 (45 minutes) have no mapping. See which with")


@pytest.mark.parametrize(("hours", "told"), [(2, True), (0.5, False)])
def test_a_day_that_waits_longer_than_an_hour_is_named(world: World, hours: float, told: bool) -> None:
    since: Any = datetime.now(at("00:00").tzinfo) - timedelta(hours=hours)
    world.execute(
        "INSERT INTO sync.day_requests (day, reason, requested_at) VALUES (:day, 'webhook', :since)",
        day=MONDAY,
        since=since,
    )
    found = red(checked())
    assert (ANSWERED in found) is told
    if told:
        assert found[ANSWERED].startswith(f"{MONDAY} waits since {since:%Y-%m-%d %H:%M}. See in Dagster whether")
