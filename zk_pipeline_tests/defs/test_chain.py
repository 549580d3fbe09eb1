"""The whole chain: bookings arrive once, later edits follow, and everybody else's work is left alone."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from zk_pipeline.cli.report import headline
from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.cli.syncing import SyncFailedError
from zk_pipeline.store import summaries
from zk_pipeline_tests.defs.world import MONDAY, ZONE, World, at

FIRST, LAST = date(2025, 10, 1), date(2025, 10, 31)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
CLOCKS_GO_BACK = date(2025, 10, 26)

ASSETS = (
    ("zammad", "time_accountings"),
    ("sync", "normalized_entries"),
    ("kimai", "timesheets"),
    ("sync", "reconciliation_results"),
    ("sync", "kimai_pushes"),
)


def minutes_by_user(world: World) -> dict[str, int]:
    names = {user: name for name, user in world.office.users.items()}
    totals: dict[str, int] = {}
    for row in world.office.rows:
        totals[names[row.user]] = totals.get(names[row.user], 0) + row.duration // 60
    return totals


def a_month_of_bookings(world: World) -> dict[int, int]:
    """Four bookings on each of the month's days, by their minutes."""
    booked: dict[int, int] = {}
    for day in (FIRST + timedelta(days=number) for number in range(31)):
        for number, (agent, ticket) in enumerate((("anna", "acme"), ("ben", "acme"), ("anna", "globex"))):
            minutes = 5 + day.day + 10 * number
            moment = at(f"{8 + 3 * number:02}:10:30", day)
            booked[world.desk.book(minutes, moment, agent=agent, ticket=ticket)] = minutes
    booked[world.desk.book(45, at("23:57", LAST))] = 45
    return booked


def test_every_booking_of_a_month_arrives_once_and_a_second_run_writes_nothing(world: World) -> None:
    booked = a_month_of_bookings(world)
    first = world.sync(FIRST, LAST)
    assert first.counts["created"] == len(booked)
    assert world.office.minutes() == {booking: [minutes] for booking, minutes in booked.items()}
    assert set(minutes_by_user(world)) == {"anna", "ben"}
    writes = first.to_json()["requests"]["kimai"]["write"]
    assert writes <= 1.05 * len(booked) + 6, (
        "a write for each entry, in addition to two customers, two projects and two tags"
    )

    second = world.sync(FIRST, LAST).to_json()
    assert (second["created"], second["updated"], second["in_sync"]) == (0, 0, len(booked))
    assert second["requests"]["kimai"]["write"] == 0
    assert second["requests"]["kimai"]["read"] + second["requests"]["zammad"]["read"] <= 30


def test_a_run_of_one_day_leaves_the_other_days_alone(world: World) -> None:
    monday, tuesday = world.desk.book(30), world.desk.book(45, at("09:00", TUESDAY))
    world.sync(MONDAY)
    assert world.office.minutes() == {monday: [30]}
    world.sync(TUESDAY)
    assert world.office.minutes() == {monday: [30], tuesday: [45]}


@pytest.mark.dagster
def test_a_range_records_each_of_its_days_for_every_asset(world: World) -> None:
    world.desk.book(30)
    world.desk.book(45, at("09:00", WEDNESDAY))
    world.sync(MONDAY, WEDNESDAY)
    days = {str(MONDAY), str(TUESDAY), str(WEDNESDAY)}
    assert {key: world.recorded_days(*key) for key in ASSETS} == dict.fromkeys(ASSETS, days)


@pytest.mark.dagster
def test_a_bad_day_fails_the_run_and_names_itself_while_the_good_days_are_recorded(world: World) -> None:
    good, bad, later = (world.desk.book(30, at("09:00", day)) for day in (MONDAY, TUESDAY, WEDNESDAY))
    world.office.control.add_fault("respond", method="POST", path="/api/timesheets$", body=rf"\[zk-zammad-{bad}\]")
    with pytest.raises(SyncFailedError, match=str(TUESDAY)) as failure:
        world.sync(MONDAY, WEDNESDAY)
    assert str(MONDAY) not in str(failure.value)
    assert world.recorded_days("sync", "kimai_pushes") == {str(MONDAY), str(WEDNESDAY)}
    assert world.office.minutes() == {good: [30], later: [30]}

    world.office.control.clear_faults()
    repaired = world.sync(MONDAY, WEDNESDAY)
    assert (repaired.counts["created"], repaired.counts["in_sync"]) == (1, 2)
    assert world.recorded_days("sync", "kimai_pushes") == {str(MONDAY), str(TUESDAY), str(WEDNESDAY)}
    assert world.office.minutes() == {good: [30], bad: [30], later: [30]}


@pytest.mark.dagster
def test_a_day_shows_what_was_done_in_its_metadata(world: World) -> None:
    world.desk.book(30)
    world.desk.book(45, agent="ben", ticket="globex")
    world.office.type_by_hand(at("13:00"), 15, "Billed already", exported=True)
    world.sync()
    expected = {
        ("zammad", "time_accountings"): {"hours_booked": 1.25, "agents": 2, "complete": True, "deleted": 0},
        ("sync", "normalized_entries"): {"hours_booked": 1.25, "hours": 1.25, "changed": 2},
        ("kimai", "timesheets"): {"ours": 0, "exported": 1, "complete": True},
        ("sync", "reconciliation_results"): {"status/missing": 2, "action/create": 2, "hours_to_write": 1.25},
        ("sync", "kimai_pushes"): {
            "created": 2,
            "parked": 0,
            "customers": 2,
            "projects": 2,
            "hours_written": 1.25,
            "hours_booked": 1.25,
            "hours_in_kimai": 1.25,
            "hours_waiting": 0.0,
        },
    }
    shown = {key: world.metadata(key) for key in ASSETS}
    assert {key: {name: shown[key][name] for name in values} for key, values in expected.items()} == expected
    rows = [shown[key]["dagster/partition_row_count"] for key in ASSETS]
    assert rows == [2, 2, 1, 2, 2]
    desk, office = (world.environment.runtime.stored(role).base_url for role in ("source", "target"))
    ticket = f"[{world.desk.number()}]({desk}/#ticket/zoom/{world.desk.tickets['acme']})"
    booked = shown["zammad", "time_accountings"]["preview"].splitlines()
    assert f"| {ticket} | Anna | Acme | 0.50 | {MONDAY} 09:00 |" in booked[2]
    (row,) = [row for row in world.office.rows if row.exported]
    sheet = f"[{row.id}]({office}/en/team/timesheet/{row.id}/edit)"
    assert shown["kimai", "timesheets"]["preview"].splitlines()[2:] == [
        f"| {sheet} | {MONDAY} 13:00 | anna | Ourselves | 0.25 | Billed already |"
    ]


@pytest.mark.dagster
def test_a_day_lists_what_was_planned_written_and_is_in_kimai_with_names_and_links(world: World) -> None:
    booking = world.desk.book(90)
    world.desk.book(15, agent="ben", type_id=world.desk.server.add_type("Travel"))
    world.sync()
    plan, push = (world.metadata(("sync", name)) for name in ("reconciliation_results", "kimai_pushes"))
    desk, office = (world.environment.runtime.stored(role).base_url for role in ("source", "target"))
    ticket = f"[{world.desk.number()}]({desk}/#ticket/zoom/{world.desk.tickets['acme']})"
    sheet = world.office.sheet(booking).id
    link = f"[{sheet}]({office}/en/team/timesheet/{sheet}/edit)"
    begin = datetime.fromtimestamp(world.office.sheet(booking).begin, ZONE).strftime("%Y-%m-%d %H:%M")
    assert plan["to_write"].splitlines()[2:] == [f"| create | {begin} | {ticket} | Anna | Acme | 1.50 |  |"]
    row = plan["for_review"].splitlines()[2]
    assert row.startswith(f"| {MONDAY} ")
    assert f" | {ticket} | Ben | Acme | 0.25 |  | No Kimai activity" in row
    assert push["written"].splitlines() == [
        "| write | begin | ticket | person | customer | hours | time sheet |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        f"| create | {begin} | {ticket} | Anna | Acme | 1.50 | {link} |",
    ]
    assert (push["dagster/partition_row_count"], push["rows_written"]) == (1, 1)
    assert (push["hours_in_kimai"], push["hours_waiting"]) == (1.5, 0.25)

    world.sync()
    again = world.metadata(("sync", "kimai_pushes"))
    assert len(again["written"].splitlines()) == 2, "this run wrote nothing"
    assert again["in_kimai"].splitlines()[2:] == [f"| {begin} | {ticket} | Anna | Acme | 1.50 | {link} |"]
    assert (again["dagster/partition_row_count"], again["rows_written"]) == (1, 0), "the state, not the run"
    assert (again["hours_written"], again["hours_in_kimai"], again["hours_waiting"]) == (0.0, 1.5, 0.25)


@pytest.mark.dagster
@pytest.mark.parametrize(
    ("change", "missing"), [("RETURN NULL", "30"), ("NEW.minutes := NEW.minutes * 2; RETURN NEW", "-30")]
)
def test_nothing_is_pushed_by_a_plan_that_lost_a_booking_or_changed_its_minutes(
    world: World, change: str, missing: str
) -> None:
    """Something in the database corrupts the plan as it is stored."""
    booking = world.desk.book(30)
    world.desk.book(45, agent="ben")
    world.execute(
        f"CREATE FUNCTION sync.corrupt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change}; END $$;"
        "CREATE TRIGGER corrupt BEFORE INSERT ON sync.reconciliation_results "
        f"FOR EACH ROW WHEN (NEW.source_id = '{booking}') EXECUTE FUNCTION sync.corrupt()"
    )
    with pytest.raises(SyncFailedError, match="plan_is_whole"):
        world.sync()
    assert world.office.rows == []
    with dg.DagsterInstance.get() as instance:
        key = dg.AssetCheckKey(dg.AssetKey(["sync", "reconciliation_results"]), "plan_is_whole")
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    found = record.event.dagster_event.event_specific_data
    assert found.description.startswith(f"Booking {booking} of {MONDAY}: {missing} minutes are not planned.")

    world.execute("DROP TRIGGER corrupt ON sync.reconciliation_results")
    world.sync()
    assert len(world.office.rows) == 2


def test_the_plan_job_writes_nothing(world: World) -> None:
    world.desk.book(30)
    planned = world.sync(job="plan").to_json()
    assert planned["requests"]["kimai"]["write"] == 0
    assert world.value("SELECT action FROM sync.reconciliation_results") == "create"
    assert world.office.rows == []


def test_the_report_counts_the_requests_that_the_servers_saw(world: World) -> None:
    world.desk.book(30)
    report = world.sync().to_json()["requests"]
    zammad, kimai = world.desk.control.requests(), world.office.control.requests()
    assert report == {"zammad": {"read": zammad.reads}, "kimai": {"read": kimai.reads, "write": kimai.writes}}


def test_an_edit_in_zammad_changes_our_fields_and_keeps_what_kimais_people_wrote(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    before = world.office.sheet(booking)
    wording = f"Printer repaired on site {before.description}"
    tag = world.office.server.add_tag("urgent")
    world.office.change(before, description=wording, tags=(tag,), billable=False)
    world.desk.server.edit(booking, units=50)

    assert world.sync().counts["updated"] == 1
    after = world.office.sheet(booking)
    assert (after.duration, after.begin) == (50 * 60, before.begin)
    assert (after.description, after.tags, after.billable) == (wording, (tag,), False)
    assert world.sync().to_json()["requests"]["kimai"]["write"] == 0


def test_a_ticket_given_to_another_customer_takes_its_time_along(world: World) -> None:
    booking = world.desk.book(30)
    other = world.desk.book(10, ticket="globex", agent="ben")
    world.sync()
    assert world.office.sheet(booking).project != world.office.sheet(other).project
    organization = world.desk.server.state.tickets[world.desk.tickets["globex"]].organization_id
    world.desk.server.reassign(world.desk.tickets["acme"], organization_id=organization)
    world.sync()
    assert world.office.sheet(booking).project == world.office.sheet(other).project


def test_an_edit_in_kimai_is_shown_to_people_and_not_written_over(world: World) -> None:
    booking = world.desk.book(30)
    world.sync()
    row = world.office.sheet(booking)
    world.office.change(row, end=row.begin + 20 * 60, duration=20 * 60)
    report = world.sync()
    assert world.reasons() == ["kimai_edited"]
    assert report.needs_people
    assert world.office.sheet(booking).duration == 20 * 60


def move_by_weeks(world: World, booking: int, weeks: int) -> None:
    """A person moves a time sheet."""
    row, by = world.office.sheet(booking), weeks * 7 * 24 * 3600
    world.office.change(row, begin=row.begin + by, end=(row.end or 0) + by)


def test_a_time_sheet_moved_to_another_week_is_not_taken_for_deleted_by_the_day_before(world: World) -> None:
    booking = world.desk.book(30, at("09:00", TUESDAY))
    world.sync(TUESDAY)
    move_by_weeks(world, booking, 1)
    world.sync(MONDAY)
    assert world.value("SELECT count(gone_at) FROM kimai.timesheets") == 0
    world.sync(TUESDAY)
    assert world.reasons() == ["kimai_edited"]


def test_a_moved_time_sheet_is_asked_about_as_soon_as_its_booking_is_deleted(world: World) -> None:
    booking, _ = world.desk.book(30), world.desk.book(45, agent="ben")
    world.sync()
    move_by_weeks(world, booking, 1)
    world.sync()
    assert world.reasons() == ["kimai_edited"]
    world.desk.server.delete(booking)
    assert len(world.sync().run_ids) == 2, "the day on which it lies is run as well"
    assert [(row.reason, row.entry_date) for row in world.conflicts()] == [("both_changed", MONDAY + timedelta(7))]
    assert len(world.sync().run_ids) == 1, "it is asked for once"
    assert world.reasons() == ["both_changed"]


@pytest.mark.parametrize("settings", [{"ZK_START_DATE": "2025-10-06"}], indirect=True)
def test_no_day_before_the_start_is_asked_for_whatever_was_moved_there(world: World) -> None:
    booking, _ = world.desk.book(30), world.desk.book(45, agent="ben")
    world.sync()
    move_by_weeks(world, booking, -1)
    world.desk.server.delete(booking)
    assert len(world.sync().run_ids) == 1


def test_a_correction_of_the_same_day_is_netted_before_anything_is_written(world: World) -> None:
    booking = world.desk.book(120)
    world.desk.book(-100, at("09:04"))
    world.sync()
    assert world.office.minutes() == {booking: [20]}
    assert world.reasons() == []


def test_a_correction_of_a_later_day_reduces_the_time_sheet_that_was_written(world: World) -> None:
    booking = world.desk.book(120)
    world.sync(MONDAY)
    world.desk.book(-100, at("09:04", TUESDAY))
    world.sync(TUESDAY)
    assert world.office.minutes() == {booking: [20]}


def test_a_correction_that_is_deleted_gives_the_minutes_of_an_earlier_day_back(world: World) -> None:
    world.desk.book(5, at("08:00", TUESDAY), agent="ben")
    booking, correction = world.desk.book(120), world.desk.book(-100, at("09:04", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    world.desk.server.delete(correction)
    world.sync(TUESDAY)
    assert world.office.minutes()[booking] == [120]


def test_a_correction_that_becomes_a_booking_gives_the_minutes_of_an_earlier_day_back(world: World) -> None:
    booking, correction = world.desk.book(120), world.desk.book(-100, at("09:04", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    world.desk.server.edit(correction, units="30")
    world.sync(TUESDAY)
    assert world.office.minutes() == {booking: [120], correction: [30]}


def test_a_correction_that_gets_another_type_gives_the_minutes_of_an_earlier_day_back(world: World) -> None:
    booking, correction = world.desk.book(120), world.desk.book(-100, at("09:04", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    assert world.office.minutes() == {booking: [20]}
    world.desk.server.edit(correction, type_id=None)
    world.sync(TUESDAY)
    assert world.office.minutes() == {booking: [120]}
    assert world.reasons() == ["unmatched_correction"]


def test_a_booking_that_grows_or_shrinks_changes_what_is_open_of_a_correction_of_another_day(world: World) -> None:
    booking = world.desk.book(60)
    world.desk.book(-100, at("09:04", TUESDAY))
    world.sync(MONDAY, TUESDAY)
    still_open = "SELECT sum(open_minutes) FROM sync.normalized_entries"
    assert (world.value(still_open), world.reasons()) == (40, ["unmatched_correction"])
    for units, left in (("90", 10), ("120", 0), ("70", 30)):
        world.desk.server.edit(booking, units=units)
        world.sync(MONDAY)
        assert world.value(still_open) == left
        assert ("unmatched_correction" in world.reasons()) == (left > 0)
    world.desk.server.delete(booking)
    world.desk.book(5)
    world.sync(MONDAY)
    assert world.value(still_open) == 95


def test_a_time_sheet_typed_by_hand_is_offered_and_not_doubled(world: World) -> None:
    booking = world.desk.book(45, at("12:10"))
    typed = world.office.type_by_hand(at("11:25"), 45, f"Ticket {world.desk.number()}")
    before = world.office.rows
    report = world.sync()
    assert world.office.rows == before
    (conflict,) = world.conflicts()
    assert (conflict.reason, conflict.source_id, conflict.kimai_id) == ("duplicate", str(booking), typed)
    assert conflict.suggested_action == "link"
    assert (report.conflicts, report.parked) == (1, 0)


def test_time_sheets_of_others_are_never_touched(world: World) -> None:
    booking = world.desk.book(30)
    world.office.type_by_hand(at("09:00"), 30, "Standup")
    world.office.type_by_hand(at("10:00"), 60, "Customer visit, see #123456", user="ben", exported=True)
    world.office.type_by_hand(at("13:00"), 15, "[zk-otherdesk-1] from another pipeline")
    before = world.office.rows
    world.sync()
    world.desk.server.edit(booking, units=35)
    world.sync()
    assert [row for row in world.office.rows if row not in world.office.of(booking)] == before
    assert world.office.minutes() == {booking: [35]}


@pytest.mark.parametrize("agent", ["anna", "ben"])
def test_begin_is_right_whatever_the_zones_of_account_and_owner_are(world: World, agent: str) -> None:
    """The account lives in New York, Anna in Berlin, Ben in UTC."""
    booking = world.desk.book(30, at("09:15"), agent=agent)
    world.sync()
    assert _begin(world, booking) == at("09:15")
    world.desk.server.edit(booking, units=40)
    world.sync()
    assert (_begin(world, booking), world.office.sheet(booking).duration) == (at("09:15"), 40 * 60)


@pytest.mark.parametrize("agent", ["anna", "ben"])
def test_both_half_past_two_of_the_night_in_which_clocks_go_back_keep_their_instants(world: World, agent: str) -> None:
    moments = [at("02:30", CLOCKS_GO_BACK, fold=fold) for fold in (0, 1)]
    bookings = [world.desk.book(25, moment, agent=agent) for moment in moments]
    world.sync(CLOCKS_GO_BACK)
    assert [_begin(world, booking) for booking in bookings] == [moment.astimezone(UTC) for moment in moments]
    assert [world.office.sheet(booking).duration for booking in bookings] == [25 * 60] * 2
    for booking in bookings:
        world.desk.server.edit(booking, units=40)
    world.sync(CLOCKS_GO_BACK)
    assert [_begin(world, booking) for booking in bookings] == [moment.astimezone(UTC) for moment in moments]
    assert world.office.minutes() == {booking: [40] for booking in bookings}


def test_a_booking_just_after_midnight_belongs_to_the_local_day(world: World) -> None:
    booking = world.desk.book(15, at("00:04", TUESDAY))
    world.sync(MONDAY)
    assert world.office.rows == []
    world.sync(TUESDAY)
    assert _begin(world, booking) == at("00:00", TUESDAY)


def test_customers_and_projects_are_created_once_under_their_numbers(world: World) -> None:
    for day in (MONDAY, TUESDAY):
        world.desk.book(30, at("09:00", day))
        world.desk.book(10, at("11:00", day), ticket="globex")
        world.sync(day)
    customers = [row.number for row in world.office.server.kimai.customers if row.number.startswith("zammad-org-")]
    projects = [row.number for row in world.office.server.kimai.projects if row.number.startswith("ZO")]
    assert len(set(customers)) == len(customers) == 2
    assert len(set(projects)) == len(projects) == 2


def test_nothing_is_created_for_an_agent_without_an_account(world: World) -> None:
    world.desk.agents["carl"] = world.desk.server.add_agent("carl@example.com", firstname="Carl")
    world.desk.book(30, agent="carl")
    before = world.office.server.snapshot()
    world.sync()
    assert world.reasons() == ["unmapped_user"]
    assert world.office.server.snapshot() == before


def _begin(world: World, booking: int) -> datetime:
    return datetime.fromtimestamp(world.office.sheet(booking).begin, UTC)


PARTS = re.compile(r"(\d+) entries:(?: nothing was written \(--plan\):)? ([^.]*)\.")


def parts_of(report: SyncReport, *, planned_only: bool = False) -> dict[str, int]:
    """The parts of the last sentence, which add up to the entries, as do those for machines."""
    found = PARTS.search(headline(report, planned_only=planned_only))
    assert found
    parts = {name: int(number) for number, name in (part.split(" ", 1) for part in found[2].split(", "))}
    told = report.to_json()
    assert int(found[1]) == sum(parts.values()) == sum(told["outcomes"].values()) == told["entries"]
    return {name: number for name, number in parts.items() if number}


def test_the_parts_of_the_last_sentence_add_up_also_when_another_run_did_the_work(world: World) -> None:
    desk = world.desk
    for minutes in (30, 45, 20, -20):  # The last takes the one before it back.
        desk.book(minutes, ticket="globex" if abs(minutes) == 20 else "acme")
    desk.book(10, type_id=desk.server.add_type("Unmapped"))
    assert parts_of(world.sync(job="plan"), planned_only=True) == {"left out": 2, "conflicts": 1, "would be written": 2}
    others = world.sync()
    assert parts_of(others) == {"created": 2, "left out": 2, "conflicts": 1}
    report = world.sync()
    assert parts_of(report) == {"in sync before": 2, "left out": 2, "conflicts": 1}
    # As if this run had begun before the other one wrote; and then as if it had planned before that, too.
    world.execute("UPDATE sync.sync_runs SET started_at = now() - interval '1 h'")
    assert parts_of(told_now(world, report)) == {"by another run": 2, "left out": 2, "conflicts": 1}
    world.execute(
        "UPDATE sync.reconciliation_results SET action = 'create', carried_out = true, "
        "reconciled_at = now() - interval '1 h' WHERE action = 'none' AND status = 'in_sync'"
    )
    assert parts_of(told_now(world, report)) == {"by another run": 2, "left out": 2, "conflicts": 1}
    desk.server.edit(min(row.id for row in desk.server.state.accountings), units="50")
    assert parts_of(world.sync()) == {"updated": 1, "in sync before": 1, "left out": 2, "conflicts": 1}


def told_now(world: World, report: SyncReport) -> SyncReport:
    with world.environment.runtime.database.transaction() as connection:
        return replace(report, outcomes=summaries.outcomes(connection, "kimai", [MONDAY], report.run_ids))


@pytest.mark.parametrize("settings", [{"ZK_PUSH_MODE": "off"}], indirect=True)
def test_what_is_not_written_is_a_part_of_the_last_sentence(world: World) -> None:
    world.desk.book(30)
    assert parts_of(world.sync()) == {"not written": 1}
