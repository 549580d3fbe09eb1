"""The deep check of Kimai's side: edits of our time sheets whose days nobody is looking at ask for them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from zk_pipeline.connectors.errors import ConnectorError
from zk_pipeline.runtime.run_tags import checked_days, checked_tag, range_tags
from zk_pipeline.stages.target_changes import TargetChanges, look_for_changes
from zk_pipeline_tests.defs.world import MONDAY, World, at

TUESDAY = MONDAY + timedelta(days=1)


def look(world: World, checked: tuple[date, date] | None = None, now: datetime | None = None) -> TargetChanges:
    runtime = world.environment.runtime
    with runtime.target() as target:
        return look_for_changes(runtime, target, "zammad", now or datetime.now(UTC), checked)


def edit(world: World, booking: int, **columns: Any) -> None:
    """Edit a time sheet as a person in Kimai would; unless told otherwise it becomes five minutes shorter."""
    row = world.office.sheet(booking)
    shorter = {"end": (row.end or 0) - 300, "duration": row.duration - 300}
    world.office.change(row, **(columns or shorter), modified_at=world.office.server.kimai.now())


def asked(world: World) -> list[date]:
    query = "SELECT array_agg(day ORDER BY day) FROM sync.day_requests WHERE reason = 'kimai_changed'"
    return world.value(query) or []


def cursor(world: World) -> str | None:
    return world.value("SELECT value ->> 'until' FROM sync.cursors WHERE subject = 'changes'")


def test_our_own_writes_ask_for_nothing(world: World) -> None:
    world.desk.book(30)
    world.sync(MONDAY)
    assert look(world) == TargetChanges(changed=1, ours=0, days=())
    assert asked(world) == []


def test_an_edit_of_our_fields_asks_for_the_day_of_the_booking(world: World) -> None:
    booking = world.desk.book(30)
    world.desk.book(45, at("09:00", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    edit(world, booking)
    assert look(world) == TargetChanges(changed=2, ours=1, days=(MONDAY,))
    assert asked(world) == [MONDAY]


def test_a_time_sheet_moved_to_another_day_asks_for_the_day_of_its_booking(world: World) -> None:
    booking = world.desk.book(30)
    world.sync(MONDAY)
    row = world.office.sheet(booking)
    edit(world, booking, begin=row.begin + 40 * 86_400, end=(row.end or 0) + 40 * 86_400)
    assert look(world).days == (MONDAY,)


def test_a_deleted_time_sheet_that_a_run_of_the_next_day_misses_asks_for_its_own_day(world: World) -> None:
    booking = world.desk.book(30)
    world.desk.book(45, at("09:00", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    world.office.server.kimai.timesheets.remove(world.office.sheet(booking).id)
    for _ in range(2):
        world.sync(TUESDAY)
        assert asked(world) == [MONDAY], "it is known to be gone from now on, and nobody looks for it again"
    world.sync(MONDAY)
    assert world.reasons() == ["deleted_in_kimai"]


def test_a_note_in_the_description_asks_for_nothing(world: World) -> None:
    booking = world.desk.book(30)
    world.sync(MONDAY)
    edit(world, booking, description=f"{world.office.sheet(booking).description} (seen by Eve)")
    assert look(world).days == ()


def test_what_is_ours_by_its_marker_alone_asks_for_the_day_of_the_booking(world: World) -> None:
    world.desk.book(30)
    world.sync(MONDAY)
    world.execute("DELETE FROM sync.pushes")
    assert look(world).days == (MONDAY,)


def test_a_marker_of_an_unknown_booking_asks_for_the_day_of_the_time_sheet(world: World) -> None:
    world.office.type_by_hand(at("09:00", TUESDAY), 30, "Ticket #50 [zk-zammad-4711]")
    assert look(world) == TargetChanges(changed=1, ours=1, days=(TUESDAY,))


def test_time_sheets_of_others_ask_for_nothing(world: World) -> None:
    world.office.type_by_hand(at("09:00"), 30, "Ticket #50")
    assert look(world) == TargetChanges(changed=1, ours=0, days=())


def test_days_that_are_being_checked_anyway_are_not_asked_for(world: World) -> None:
    monday, tuesday = world.desk.book(30), world.desk.book(45, at("09:00", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    for booking in (monday, tuesday):
        edit(world, booking)
    assert look(world, checked=(TUESDAY, TUESDAY)) == TargetChanges(changed=2, ours=2, days=(MONDAY,))


def test_the_next_look_begins_ten_minutes_before_the_last(world: World) -> None:
    booking = world.desk.book(30)
    world.sync(MONDAY)
    edit(world, booking)
    now = datetime.now(UTC)
    assert look(world, now=now + timedelta(minutes=9)).changed == 1
    assert look(world, now=now + timedelta(minutes=30)).changed == 1, "edited within the overlap"
    assert look(world, now=now + timedelta(minutes=31)).changed == 0


def test_a_failed_read_leaves_the_cursor_and_the_next_look_finds_the_edit(world: World) -> None:
    booking = world.desk.book(30)
    world.sync(MONDAY)
    look(world, now=datetime.now(UTC) - timedelta(hours=1))
    before = cursor(world)
    edit(world, booking)
    world.office.control.add_fault("respond", method="GET", path="/api/timesheets", status=503)
    with pytest.raises(ConnectorError):
        look(world)
    assert cursor(world) == before
    world.office.control.clear_faults()
    assert look(world).days == (MONDAY,)


def test_the_days_of_the_whole_tick_count_as_checked_in_each_of_its_runs() -> None:
    run = range_tags(TUESDAY, TUESDAY, "deep_check")
    assert checked_days(run | checked_tag(MONDAY, TUESDAY)) == (MONDAY, TUESDAY)
    assert checked_days(run) == (TUESDAY, TUESDAY)
    assert checked_days({}) is None


def test_the_job_runs_the_chain_and_tells_what_changed(world: World) -> None:
    from zk_pipeline.definitions import defs  # noqa: PLC0415

    monday, tuesday = world.desk.book(30), world.desk.book(45, at("09:00", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    for booking in (monday, tuesday):
        edit(world, booking)
    with dg.DagsterInstance.get() as instance:
        tags = range_tags(TUESDAY, TUESDAY, "deep_check")
        result = defs.resolve_job_def("deep_check").execute_in_process(instance=instance, tags=tags)
        assert result.success
        (told,) = result.asset_materializations_for_node("kimai__changes")
    assert {name: value.value for name, value in told.metadata.items()} == {
        "changed": 2,
        "ours": 2,
        "days_asked_for": str(MONDAY),
        "invoices": "0 compared, 0 do not match",
    }
    assert asked(world) == [MONDAY]
    assert world.reasons() == ["kimai_edited"], "of Tuesday, which the run itself looked at"


def test_other_jobs_do_not_look_for_changes(world: World) -> None:
    world.sync(MONDAY)
    assert cursor(world) is None
