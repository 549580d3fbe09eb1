"""Bookings become unified entries."""

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.attributes import parse_rules
from zk_pipeline.domain.corrections import net
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.normalize import RUNNING, UNREADABLE, Normalizer, minutes_of, movement
from zk_pipeline.domain.policy import Placement, Policy
from zk_pipeline.domain.records import Ticket, TimeAccounting
from zk_pipeline_tests.domain.builders import BERLIN, POLICY, SOURCE_DIRECTORY, at, booking, ticket

UNITS = st.decimals("-999.99", "999.99", places=2)
BOOKINGS = st.lists(
    st.tuples(
        UNITS, st.sampled_from([50, 51]), st.sampled_from([1, 2]), st.sampled_from([3, None]), st.integers(0, 300_000)
    ),
    max_size=20,
).map(
    lambda rows: [
        replace(
            booking(id_, units=str(units), ticket_id=ticket_id, agent_id=agent_id, type_id=type_id),
            created_at=at("2025-08-14T20:00") + timedelta(seconds=offset),
        )
        for id_, (units, ticket_id, agent_id, type_id, offset) in enumerate(rows, start=1)
    ]
)


def normalized(*bookings: TimeAccounting, policy: Policy = POLICY, about: Ticket | None = None) -> list[Entry]:
    netted = net(movement(row, policy) for row in bookings)
    tickets = {"50": about or ticket(), "51": replace(ticket(), id="51", number="51")}
    return Normalizer("zammad", policy, SOURCE_DIRECTORY).entries(bookings, tickets, netted)


def test_the_example_of_the_specification():
    [entry] = normalized(booking())
    assert (entry.source, entry.source_id) == ("zammad", "6")
    assert entry.begin_at.replace(tzinfo=None).isoformat() == "2025-08-16T08:00:00"
    assert entry.end_at.replace(tzinfo=None).isoformat() == "2025-08-16T08:15:00"
    assert entry.entry_date == date(2025, 8, 16)
    assert entry.ticket_number == "#50"
    assert entry.time_minutes == 15
    assert entry.description.startswith("Ticket #50")
    assert entry.sync_status is SyncStatus.PENDING


def test_an_entry_names_everybody_and_everything_it_refers_to():
    [entry] = normalized(booking())
    assert (entry.ticket_id, entry.ticket_title) == ("50", "Printer on fire")
    assert (entry.agent_id, entry.user_email, entry.user_name) == ("1", "anna@example.org", "Anna Agent")
    assert (entry.organization_id, entry.organization_name, entry.customer_name) == ("7", "Acme", "Carl Customer")
    assert (entry.activity_type_id, entry.activity_name) == ("3", "Support")
    assert (entry.group_id, entry.group_name) == ("2", "Support")
    assert entry.tags == ("zammad", "synced")


def test_the_work_day_is_the_local_day_of_the_booking():
    [entry] = normalized(booking(created_at="2025-08-15T22:30"), policy=replace(POLICY, zone=BERLIN))
    assert entry.entry_date == date(2025, 8, 16)
    assert entry.begin_at == at("2025-08-15T22:30")


@pytest.mark.parametrize(
    ("units", "unit", "minutes"), [("0.25", "60", "15"), ("3", "15", "45"), ("0.33", "60", "19.8"), ("1.5", "1", "1.5")]
)
def test_units_become_minutes_exactly(units: str, unit: str, minutes: str):
    [entry] = normalized(booking(units=units), policy=replace(POLICY, minutes_per_unit=Decimal(unit)))
    assert entry.time_minutes == Decimal(minutes)
    assert entry.end_at - entry.begin_at == timedelta(seconds=int(Decimal(minutes) * 60))


def test_a_corrected_booking_is_shortened_and_says_by_which():
    kept, correction = normalized(booking(6, units="120"), booking(7, units="-100", created_at="2025-08-16T09:00"))
    assert (kept.booked_minutes, kept.time_minutes, kept.sync_status) == (120, 20, SyncStatus.PENDING)
    assert kept.trace["time_minutes"] == "reduced by correction 7"
    assert (correction.time_minutes, correction.sync_status) == (0, SyncStatus.EXCLUDED)
    assert correction.trace["time_minutes"] == "a correction of 6"


def test_a_correction_that_finds_nothing_is_open():
    [entry] = normalized(booking(units="-30"))
    assert (entry.open_minutes, entry.time_minutes, entry.sync_status) == (30, 0, SyncStatus.CORRECTION_OPEN)


def test_a_negative_booking_that_nobody_netted_is_open_and_takes_no_place():
    policy = replace(POLICY, placement=Placement.SEQUENTIAL)
    rows = [booking(6, units="-30"), booking(7)]
    first, second = Normalizer("zammad", policy, SOURCE_DIRECTORY).entries(rows, {"50": ticket()}, {})
    assert (first.open_minutes, first.sync_status) == (30, SyncStatus.CORRECTION_OPEN)
    assert first.begin_at == first.end_at == second.begin_at == at("2025-08-16T08:00")


def test_a_booking_of_zero_is_excluded():
    [entry] = normalized(booking(units="0.0"))
    assert (entry.sync_status, entry.open_minutes) == (SyncStatus.EXCLUDED, 0)


def test_a_booking_of_an_unreadable_ticket_is_kept_and_says_so():
    [entry] = Normalizer("zammad", POLICY, SOURCE_DIRECTORY).entries([booking()], {}, {})
    assert not entry.ticket_known
    assert entry.ticket_number == "id 50"
    assert entry.description == "Ticket id 50 [zk-zammad-6]"
    assert entry.organization_id is None


def test_a_booking_that_cannot_be_read_says_which_and_why_and_keeps_its_minutes():
    [entry] = normalized(booking(4711, faults={"time_unit": "nothing came instead of a text"}))
    assert (entry.sync_status, entry.time_minutes) == (SyncStatus.UNREADABLE, 15)
    assert entry.trace[UNREADABLE] == "Booking 4711 of ticket 50 cannot be read: its time is no number."


def test_bookings_of_a_ticket_that_cannot_be_read_say_so():
    [entry] = normalized(booking(), about=ticket(faults={"organization_id": "a text came instead of a whole number"}))
    assert entry.sync_status is SyncStatus.UNREADABLE
    assert entry.trace[UNREADABLE] == (
        "Ticket 50 of booking 6 cannot be read: organization id: a text came instead of a whole number."
    )


def test_an_unreadable_organization_stops_nothing_that_does_not_depend_on_it():
    broken = ticket(faults={"organization_id": "it has several organizations"})
    [entry] = normalized(booking(), policy=replace(POLICY, customer_rules=parse_rules("group")), about=broken)
    assert (entry.sync_status, entry.organization_id) == (SyncStatus.PENDING, "group:2")
    by_activity = replace(POLICY, customer_rules=parse_rules("group"), activity_rules=parse_rules("organization, type"))
    [entry] = normalized(booking(), policy=by_activity, about=broken)
    assert entry.sync_status is SyncStatus.UNREADABLE


def test_a_type_is_never_taken_for_the_organization_of_the_same_id():
    crossed = replace(POLICY, customer_rules=parse_rules("type"), activity_rules=parse_rules("organization"))
    [entry] = normalized(booking(type_id="7"), policy=crossed)
    assert (entry.organization_id, entry.activity_type_id) == ("type:7", "organization:7")
    assert entry.trace["organization_id"] == "by the ticket's type"
    assert entry.trace["activity_type_id"] == "by the ticket's organization"


def test_a_booking_of_an_unknown_agent_has_no_email():
    [entry] = normalized(booking(agent_id="99"))
    assert (entry.user_email, entry.user_name) == ("", "agent 99")


def test_a_type_that_zammad_no_longer_names_is_kept_by_its_id():
    [entry] = normalized(booking(type_id="88"))
    assert (entry.activity_type_id, entry.activity_name) == ("88", None)


def test_the_description_follows_the_template_and_ends_with_the_marker():
    policy = replace(POLICY, description="{organization}/{customer}/{activity}/{agent}/{source_id}: {title}")
    [entry] = normalized(booking(), policy=policy)
    assert entry.description == "Acme/Carl Customer/Support/Anna Agent/6: Printer on fire [zk-zammad-6]"


@pytest.mark.parametrize(
    "title", ["{agent}", "{0}", "{", "%s", "[zk-zammad-7]", "[zk-zam[zk-zammad-7]mad-8]", "[zk-zammad-7", "#51"]
)
def test_no_title_can_claim_a_time_sheet_or_break_the_template(title: str):
    [entry] = normalized(booking(), about=ticket(title=title))
    assert marked_ids(entry.description, "zammad") == ("6",)
    assert entry.ticket_title == title


def test_what_is_cleaned_out_of_a_title_joins_no_halves_to_a_marker():
    [entry] = normalized(booking(), about=ticket(title="a\x07b \u202etxet [zk-zam\u202emad-7]"))
    assert entry.description == "Ticket #50: a b txet (zk-zammad-7) [zk-zammad-6]"


def test_sequential_placement_looks_at_the_whole_day():
    policy = replace(POLICY, placement=Placement.SEQUENTIAL, day_start=time(9, 0), zone=ZoneInfo("Asia/Kolkata"))
    first, second = normalized(booking(6), booking(7, created_at="2025-08-16T08:00"), policy=policy)
    assert second.begin_at == at("2025-08-16T09:00+05:30")
    assert first.begin_at == at("2025-08-16T09:15+05:30")


@given(BOOKINGS)
def test_every_booking_becomes_one_entry_and_the_minutes_are_kept(bookings: list[TimeAccounting]):
    entries = normalized(*bookings)
    assert [entry.source_id for entry in entries] == [str(row.id) for row in bookings]
    assert sum(entry.time_minutes - entry.open_minutes for entry in entries) == sum(
        minutes_of(row, POLICY) for row in bookings
    )
    assert all((entry.sync_status is SyncStatus.PENDING) == (entry.time_minutes > 0) for entry in entries)


@given(BOOKINGS, st.sampled_from(Placement), st.randoms(use_true_random=False))
def test_the_order_of_the_bookings_does_not_matter(bookings: list[TimeAccounting], placement: Placement, random):
    policy = replace(POLICY, placement=placement, zone=BERLIN)
    shuffled = list(bookings)
    random.shuffle(shuffled)
    assert normalized(*shuffled, policy=policy) == normalized(*bookings, policy=policy)


# Sources that know when the work was done, how long exactly, and what it was


def test_the_work_decides_day_and_begin_and_not_the_moment_of_typing():
    worked = at("2025-08-13T22:40")
    [entry] = normalized(booking(worked_at=worked), policy=replace(POLICY, zone=BERLIN))
    assert (entry.entry_date, entry.begin_at) == (date(2025, 8, 14), at("2025-08-13T22:30"))
    assert entry.created_at == at("2025-08-16T08:11:49.315")
    assert entry.trace["entry_date"] == "local day of worked_at in Europe/Berlin"


def test_a_known_begin_is_kept_where_others_end_when_they_were_typed():
    policy = replace(POLICY, placement=Placement.END)
    typed, worked = normalized(booking(6), booking(7, worked_at=at("2025-08-16T08:00")), policy=policy)
    assert (typed.end_at, worked.begin_at) == (at("2025-08-16T08:11"), at("2025-08-16T08:00"))


@pytest.mark.parametrize("seconds", [1, 59, 100, 5400, 361_800])
def test_exact_seconds_stay_exact_whatever_a_unit_is(seconds: int):
    policy = replace(POLICY, minutes_per_unit=Decimal(60))
    [entry] = normalized(booking(units="0", seconds=seconds), policy=policy)
    assert entry.end_at - entry.begin_at == timedelta(seconds=seconds)
    assert entry.trace["booked_minutes"] == f"{seconds} seconds"


def test_a_running_timer_waits_with_its_reason():
    [entry] = normalized(booking(is_final=False))
    assert entry.sync_status is SyncStatus.UNREADABLE
    assert entry.trace[RUNNING] == "Booking 6 is not complete: its timer still runs."


def test_a_note_may_be_part_of_the_description_and_claims_no_time_sheet():
    policy = replace(POLICY, description="{ticket_number} {note}")
    [entry] = normalized(booking(note=" Toner changed [zk-zammad-7] "), policy=policy)
    assert entry.description.startswith("#50 Toner changed (zk-zammad-7)")
    assert marked_ids(entry.description, "zammad") == ("6",)
