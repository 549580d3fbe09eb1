"""The demand sensor: whatever changes in Zammad is asked for once, and what could not be read or run is not lost."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from zk_pipeline.domain.mapping_lines import ActivityMapping
from zk_pipeline.processes.groups import wait_until
from zk_pipeline.store import day_requests, deliveries, mappings
from zk_pipeline_tests.defs.watching import RUN_TAGS, TUESDAY, Watch, range_of, settled, today, watch, watching
from zk_pipeline_tests.defs.world import MONDAY, World, at

__all__ = ["settled", "watch"]

FRIDAY = MONDAY + timedelta(days=4)
POLL = {"GET /api/v1/time_accountings": 1}
LIST = "/api/v1/time_accountings$"


def first_booking(watch: Watch) -> int:
    return min(row.id for row in watch.world.desk.server.state.accountings)


# What asks for a day


def test_a_hint_at_a_booking_brings_it_into_kimai(watch: Watch) -> None:
    booking = watch.world.desk.book(30)
    watch.hint(watch.world.desk.tickets["acme"])
    assert watch.settle() == [(MONDAY, MONDAY)]
    assert watch.world.office.minutes() == {booking: [30]}


def test_a_preview_shows_what_is_due_and_changes_nothing(watch: Watch) -> None:
    watch.hint(watch.world.desk.tickets["acme"])
    watch.world.desk.book(30)
    before = watch.written_down()
    assert watch.tick(preview=True).skip_message == "No days are requested. A preview reads no changes."
    assert watch.written_down() == before
    with watch.world.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, [MONDAY], "change")
    tries = "SELECT array_agg((tries, not_before)::text) FROM sync.day_requests"
    before = watch.world.value(tries)
    (request,) = watch.tick(preview=True).run_requests
    assert (request.tags["dagster/partition"], watch.world.value(tries)) == (str(MONDAY), before)


def test_a_tick_waits_for_something_to_do_and_returns_at_once(watch: Watch) -> None:
    watch.seconds_to_wait = 20.0
    ticket, began = watch.world.desk.tickets["acme"], time.monotonic()
    with ThreadPoolExecutor() as others:
        ticking = others.submit(watch.ranges)
        time.sleep(1.0)
        watch.world.desk.book(30)
        assert not ticking.done()
        watch.hint(ticket)
        assert ticking.result() == [(MONDAY, MONDAY)]
    assert time.monotonic() - began < 5


def test_a_tick_that_waits_ends_with_its_process_and_takes_nothing(watch: Watch) -> None:
    watch.seconds_to_wait = 20.0
    with ThreadPoolExecutor() as others:
        ticking = others.submit(watch.ranges)
        time.sleep(1.0)
        with watch.world.environment.runtime.database.transaction() as connection:
            day_requests.wake(connection, day_requests.END)
            day_requests.ask(connection, [MONDAY], "change")
        assert ticking.result(5) == []
    assert watch.open_days() == [MONDAY]
    assert watch.world.value("SELECT tries FROM sync.day_requests") == 0


def test_the_cursor_in_dagster_says_when_each_system_was_read(watch: Watch) -> None:
    assert json.loads(watch.tick().cursor).keys() == {"kimai", "zammad"}


def test_a_new_booking_is_found_by_polling_alone(watch: Watch) -> None:
    booking = watch.world.desk.book(30, datetime.now(UTC))
    assert watch.ranges() == []
    watch.let_poll()
    assert watch.settle() == [(today(), today())]
    assert watch.world.office.minutes() == {booking: [30]}


@pytest.mark.parametrize("edit", [{"units": "50"}, {"type_id": None}], ids=["units", "type"])
def test_an_edit_of_an_old_booking_is_found_by_polling_alone(settled: Watch, edit: dict[str, Any]) -> None:
    settled.world.desk.server.edit(first_booking(settled), **edit)
    settled.let_poll()
    assert settled.settle() == [(MONDAY, MONDAY)]
    settled.let_poll()
    assert settled.ranges() == []


def test_a_booking_without_an_article_is_found_by_polling_alone(settled: Watch) -> None:
    settled.world.desk.server.book(
        settled.world.desk.tickets["acme"], settled.world.desk.agents["anna"], 20, None, datetime.now(UTC)
    )
    settled.let_poll()
    assert settled.settle() == [(today(), today())]


def test_two_bookings_of_the_same_second_are_both_found(watch: Watch) -> None:
    moment = datetime.now(UTC).replace(microsecond=0)
    first, second = (watch.world.desk.book(minutes, moment) for minutes in (10, 20))
    watch.let_poll()
    assert watch.settle() == [(today(), today())]
    assert watch.world.office.minutes() == {first: [10], second: [20]}


def test_a_booking_that_becomes_visible_late_is_found_within_the_overlap(watch: Watch) -> None:
    watch.world.desk.book(10, datetime.now(UTC))
    watch.let_poll()
    watch.settle()
    late = watch.world.desk.book(20, datetime.now(UTC) - timedelta(minutes=5))
    watch.let_poll()
    assert len(watch.settle()) == 1
    assert watch.world.office.minutes()[late] == [20]


def test_mappings_that_entries_waited_for_ask_for_their_days(world: World) -> None:
    world.execute("DELETE FROM sync.activity_mappings")
    booking = world.desk.book(30)
    world.sync()
    with watching(world) as watch, world.environment.runtime.database.transaction() as connection:
        wanted = [ActivityMapping(str(world.desk.support), None, world.office.activity)]
        mappings.change(connection, wanted, actor="test", source="zammad", target="kimai")
        connection.commit()
        assert watch.settle() == [(MONDAY, MONDAY)]
    assert world.office.minutes() == {booking: [30]}


def test_a_correction_asks_for_the_day_that_it_changes(watch: Watch) -> None:
    booking = watch.world.desk.book(30)
    watch.world.sync()
    watch.world.desk.book(-10, at("09:00", FRIDAY))
    watch.hint(watch.world.desk.tickets["acme"])
    assert watch.settle() == [(FRIDAY, FRIDAY), (MONDAY, MONDAY)]
    assert watch.world.office.minutes() == {booking: [20]}


# Deletions


def test_a_deletion_is_noticed_by_the_total_and_then_by_ids(settled: Watch) -> None:
    booking = first_booking(settled)
    settled.world.desk.server.delete(booking)
    settled.let_poll()
    assert settled.ranges() == [(MONDAY, MONDAY)]
    assert settled.requests_to_zammad()["GET /api/v1/time_accountings"] > 1
    settled.let_poll()
    settled.tick()
    assert settled.requests_to_zammad() == POLL, "compared once"


def test_a_deletion_beside_a_new_booking_is_noticed(settled: Watch) -> None:
    settled.world.desk.server.delete(first_booking(settled))
    settled.world.desk.book(15, datetime.now(UTC))
    settled.let_poll()
    assert settled.ranges() == [(MONDAY, MONDAY), (today(), today())]


def test_an_edit_of_an_old_booking_is_not_taken_for_a_deletion(settled: Watch) -> None:
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    settled.tick()
    assert settled.requests_to_zammad() == POLL


def test_a_deleted_ticket_deletes_nothing_by_itself_and_the_run_proves_it(settled: Watch) -> None:
    booking, ticket = first_booking(settled), settled.world.desk.tickets["acme"]
    settled.world.desk.server.delete_ticket(ticket)
    settled.hint(ticket)
    gone = "SELECT count(*) FROM zammad.time_accountings WHERE gone_at IS NOT NULL"
    requests = list(settled.tick().run_requests)
    assert list(map(range_of, requests)) == [(MONDAY, MONDAY)]
    assert settled.world.value(gone) == 0
    assert settled.world.office.of(booking)
    settled.carry_out(requests)
    assert settled.world.value(gone) == 1


def test_an_unknown_ticket_is_looked_into_and_asks_for_nothing(settled: Watch) -> None:
    settled.hint(987_654)
    assert settled.ranges() == []
    assert settled.world.value("SELECT count(*) FROM sync.webhook_deliveries WHERE processed_at IS NULL") == 0


# What it costs


def test_a_poll_without_changes_is_one_request(settled: Watch) -> None:
    for _ in range(3):
        settled.let_poll()
        settled.tick()
        assert settled.requests_to_zammad() == POLL


def test_between_polls_there_is_no_request(settled: Watch) -> None:
    for _ in range(3):
        settled.tick()
    assert settled.requests_to_zammad() == {}


def test_a_burst_for_many_tickets_ends_in_a_handful_of_runs(watch: Watch) -> None:
    desk = watch.world.desk
    tickets = [desk.server.add_ticket(f"Request {number}") for number in range(50)]
    for number, ticket in enumerate(tickets):
        desk.server.book(ticket, desk.agents["anna"], 5, desk.support, at("08:00", MONDAY + timedelta(days=number % 5)))
    for _ in range(20):
        watch.hint(*tickets)
    assert watch.settle() == [(MONDAY, FRIDAY)]
    assert len(watch.world.office.rows) == 50
    assert watch.requests_to_zammad()["GET /api/v1/tickets/{id}/time_accountings"] == 50


# What fails


FAILURES = {
    "down": ({"kind": "drop_before"}, "connection"),
    "html": ({"kind": "html", "status": 200}, "JSON was expected"),
    "401": ({"kind": "respond", "status": 401}, "401"),
    "500": ({"kind": "respond", "status": 500}, "500"),
    "cut": ({"kind": "truncate"}, "cut off"),
}


@pytest.mark.parametrize("path", [LIST, "/tickets/"], ids=["changes", "ticket"])
@pytest.mark.parametrize(("fault", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_failed_read_is_a_skip_with_its_reason_and_everything_is_done_at_the_next_tick(
    settled: Watch, path: str, fault: dict[str, Any], reason: str
) -> None:
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.hint(settled.world.desk.tickets["acme"])
    before = settled.written_down()
    settled.world.desk.control.add_fault(**fault, path=path)
    assert reason in settled.reason_to_skip()
    assert settled.written_down() == before
    settled.world.desk.control.clear_faults()
    settled.let_ask()
    assert settled.settle() == [(MONDAY, MONDAY)]


def test_no_run_is_started_while_a_system_is_away_and_what_waited_for_it_is_run_at_once(settled: Watch) -> None:
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    (request,) = settled.tick().run_requests
    settled.world.office.control.add_fault("respond", status=503)
    assert settled.carry_out([request]) == [False]
    for _ in range(3):
        settled.let_ask()
        assert "503" in settled.reason_to_skip()
    # The pause of the day itself may have become long by then.
    settled.world.execute("UPDATE sync.day_requests SET not_before = now() + interval '1 hour'")
    settled.world.office.control.clear_faults()
    assert "503" in settled.reason_to_skip(), "left alone until its time"
    settled.let_ask()
    assert settled.settle() == [(MONDAY, MONDAY)]
    assert settled.world.office.minutes()[first_booking(settled)] == [50]


def test_a_read_is_tried_once_so_that_a_tick_stays_short(settled: Watch, surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("ZK_HTTP_ATTEMPTS", "5")
    settled.world.desk.control.add_fault("respond", status=500)
    settled.let_poll()
    assert "500" in settled.reason_to_skip()
    assert settled.requests_to_zammad() == POLL


def test_a_delivery_that_is_committed_after_a_later_one_is_not_lost(settled: Watch) -> None:
    desk = settled.world.desk
    booking = desk.book(20, at("11:00"))
    with settled.world.environment.runtime.database.transaction() as held_open:
        deliveries.save(held_open, [settled.delivery(desk.tickets["acme"])])
        settled.hint(987_654)
        assert settled.ranges() == []
    assert settled.settle() == [(MONDAY, MONDAY)]
    assert settled.world.office.minutes()[booking] == [20]


def test_a_failed_run_is_asked_for_again_after_a_pause_that_grows_and_with_a_new_key(settled: Watch) -> None:
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    keys: list[str] = []
    pauses: list[float] = []
    # A write that fails while everything can be read is the day's own problem.
    settled.world.office.control.add_fault("respond", method="PATCH", status=500)
    for _ in range(3):
        (request,) = settled.tick().run_requests
        asked_at = datetime.now(UTC)
        keys.append(request.run_key)
        pauses.append((settled.world.value("SELECT max(not_before) FROM sync.day_requests") - asked_at).total_seconds())
        assert settled.carry_out([request]) == [False]
        assert settled.ranges() == [], "not before the pause is over"
        settled.let_pause()
    assert pauses == pytest.approx([30, 60, 120], abs=2)
    assert len(set(keys)) == 3
    settled.world.office.control.clear_faults()
    assert settled.settle() == [(MONDAY, MONDAY)]
    assert settled.world.office.minutes()[first_booking(settled)] == [50]


# Once


def test_the_same_tick_twice_asks_once(settled: Watch) -> None:
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    assert settled.ranges() == [(MONDAY, MONDAY)]
    settled.let_poll()
    assert settled.ranges() == []
    assert settled.open_days() == [MONDAY]


def test_while_a_run_is_unfinished_its_day_is_not_asked_for_again(settled: Watch) -> None:
    run = create_run_for_test(settled.instance, job_name="sync", status=dg.DagsterRunStatus.STARTED, tags=RUN_TAGS)
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    assert settled.ranges() == []
    assert settled.open_days() == [MONDAY]
    settled.instance.report_run_failed(run)
    assert settled.ranges() == [(MONDAY, MONDAY)]


def test_what_happens_now_does_not_wait_for_a_backfill_and_goes_before_the_rest_of_it(settled: Watch) -> None:
    create_run_for_test(settled.instance, status=dg.DagsterRunStatus.STARTED)
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    (request,) = settled.tick().run_requests
    assert int(request.tags["dagster/priority"]) > 0


def test_a_request_that_comes_during_a_run_is_not_claimed_by_it(settled: Watch) -> None:
    database = settled.world.environment.runtime.database
    settled.world.desk.server.edit(first_booking(settled), units="50")
    settled.let_poll()
    wanted = list(settled.tick().run_requests)
    taken_on = "SELECT count(*) FROM sync.sync_runs WHERE cardinality(request_ids) > 0"
    with ThreadPoolExecutor(1) as pool:
        with database.lock(f"zk:push:kimai:{MONDAY}"):
            carried_out = pool.submit(settled.carry_out, wanted)
            assert wait_until(lambda: settled.world.value(taken_on) == 1, 90)
            with database.transaction() as connection:
                day_requests.ask(connection, [MONDAY], "person")
        assert carried_out.result() == [True]
    assert settled.open_days() == [MONDAY]
    assert settled.settle() == [(MONDAY, MONDAY)]
    assert settled.open_days() == []


@pytest.mark.parametrize("settings", [{"ZK_START_DATE": str(TUESDAY)}], indirect=True)
def test_days_before_the_start_are_never_asked_for(watch: Watch, settings: object) -> None:
    desk = watch.world.desk
    desk.book(30)
    desk.book(45, at("09:00", TUESDAY))
    watch.hint(desk.tickets["acme"])
    with watch.world.environment.runtime.database.transaction() as connection:
        day_requests.ask(connection, [MONDAY], "mapping")
    assert watch.ranges() == [(TUESDAY, TUESDAY)]
