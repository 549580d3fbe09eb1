"""The plan of a day: what every entry and every time sheet of ours is, and what to do."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.domain import plan_lines
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.ledger import LedgerRow, Original, PushState
from zk_pipeline.domain.plan import DayInputs, PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline_tests.domain.builders import (
    BEN,
    BERLIN,
    DAY,
    SERVER,
    at,
    desired,
    entry,
    excluded,
    inputs,
    ledger_row,
    ours,
    reconciler,
    target_directory,
    timesheet,
)

TOMORROW = DAY + timedelta(days=1)
BY_HAND = timesheet(200, description="Ticket #50 Printer on fire")
NO_OVERLAP = replace(SERVER, allow_overlapping=False)
NO_FUTURE = replace(SERVER, allow_future_times=False)


def only_line(facts: DayInputs, **directory: Any) -> PlanLine:
    [line] = reconciler(**directory).day(facts)
    return line


def verdict(line: PlanLine) -> tuple[Status, Action, Reason | None, int | None]:
    return (line.status, line.action, line.reason, line.kimai_id)


def review(
    status: Status, reason: Reason, kimai_id: int | None = None
) -> tuple[Status, Action, Reason | None, int | None]:
    return (status, Action.REVIEW, reason, kimai_id)


CREATE = (Status.MISSING, Action.CREATE, None, None)


def test_a_new_booking_is_created_for_the_right_person_activity_and_project():
    line = only_line(inputs(entry()))
    assert verdict(line) == CREATE
    assert line.draft is not None
    assert line.draft.desired == desired()
    assert line.draft.span == (at("2025-08-16T08:00"), at("2025-08-16T08:15"))
    assert line.draft.description.endswith("[zk-zammad-6]")
    assert (line.minutes, line.text) == (15, "")


def test_what_was_written_is_in_sync_and_is_not_written_again():
    line = only_line(inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(),)))
    assert verdict(line) == (Status.IN_SYNC, Action.NONE, None, 100)


def test_a_create_whose_answer_was_lost_is_linked_where_it_arrived_and_sent_where_it_did_not():
    lost = ledger_row(state=PushState.INTENDED, kimai_id=None, base=None)
    assert verdict(only_line(inputs(entry(), ledger=(lost,), timesheets=(ours(),)))) == (
        Status.IN_SYNC,
        Action.LINK,
        None,
        100,
    )
    assert verdict(only_line(inputs(entry(), ledger=(lost,)))) == CREATE


def test_an_edited_booking_updates_its_time_sheet():
    line = only_line(inputs(entry(minutes="30"), ledger=(ledger_row(),), timesheets=(ours(),)))
    assert verdict(line) == (Status.MISMATCH, Action.UPDATE, None, 100)
    assert line.diff == {"duration": ("1800 s", "900 s")}


def test_a_longer_booking_stays_where_kimai_has_it():
    moved = ours(begin="2025-08-16T11:00")
    line = only_line(inputs(entry(minutes="30"), ledger=(ledger_row(base=moved),), timesheets=(moved,)))
    assert line.draft is not None
    assert line.draft.span == (at("2025-08-16T11:00"), at("2025-08-16T11:30"))


def test_a_booking_placed_anew_moves_its_time_sheet():
    line = only_line(inputs(entry(begin="2025-08-16T09:00"), ledger=(ledger_row(),), timesheets=(ours(),)))
    assert (line.action, line.diff.keys()) == (Action.UPDATE, {"begin"})
    assert line.draft is not None
    assert line.draft.span.begin == at("2025-08-16T09:00")


@pytest.mark.parametrize(
    "closed",
    [
        {"timesheets": (ours(exported=True),)},
        {"timesheets": (ours(),), "locked_before": TOMORROW},
        {"timesheets": (ours(begin="2025-08-20T08:00"),), "locked_before": TOMORROW},
    ],
    ids=["exported", "its day is closed", "moved out of a closed day"],
)
def test_a_booking_that_changed_after_billing_is_reviewed_never_written(closed: dict[str, Any]):
    row = ledger_row(base=closed["timesheets"][0])
    line = only_line(inputs(entry(minutes="30"), ledger=(row,), **closed))
    assert verdict(line) == review(Status.MISMATCH, Reason.BILLED, 100)


@pytest.mark.parametrize(
    "row",
    [
        ledger_row(),
        ledger_row(state=PushState.INTENDED),
        ledger_row(state=PushState.PARKED),
        ledger_row(state=PushState.FAILED),
    ],
    ids=lambda row: row.state,
)
def test_a_time_sheet_deleted_in_kimai_is_never_created_again_unasked(row: LedgerRow):
    line = only_line(inputs(entry(), ledger=(row,), gone=frozenset({100})))
    assert verdict(line) == review(Status.MISSING, Reason.DELETED_IN_KIMAI, 100)


@pytest.mark.parametrize("timesheets", [(), (ours(101),), (BY_HAND,)], ids=["nothing", "a copy", "typed by hand"])
@pytest.mark.parametrize("row", [entry(), entry(minutes="30"), excluded()], ids=["same", "edited", "corrected to zero"])
def test_a_time_sheet_out_of_sight_is_neither_created_again_nor_replaced(row: Entry, timesheets: tuple[Timesheet, ...]):
    line, *_ = reconciler().day(inputs(row, ledger=(ledger_row(),), timesheets=timesheets))
    assert verdict(line) == review(Status.MISSING, Reason.UNSEEN_IN_KIMAI, 100)


UNREADABLE_BOOKING = entry(sync_status=SyncStatus.UNREADABLE, trace={"unreadable": "Booking 6: its time is no number."})


@pytest.mark.parametrize(
    ("timesheets", "found"),
    [((), (Status.MISSING, None)), ((ours(),), (Status.MISMATCH, 100))],
    ids=["never written", "written before"],
)
def test_a_booking_that_cannot_be_read_waits_and_its_time_sheet_stays(
    timesheets: tuple[Timesheet, ...], found: tuple[Status, int | None]
):
    ledger = (ledger_row(),) if timesheets else ()
    line = only_line(inputs(UNREADABLE_BOOKING, ledger=ledger, timesheets=timesheets))
    assert verdict(line) == review(found[0], Reason.MALFORMED_BOOKING, found[1])
    assert "its time is no number" in line.text


@pytest.mark.parametrize(
    ("timesheets", "found"),
    [((), (Status.MISSING, None)), ((ours(),), (Status.MISMATCH, 100))],
    ids=["never written", "written before"],
)
def test_a_booking_whose_timer_runs_waits_for_a_reason_of_its_own(
    timesheets: tuple[Timesheet, ...], found: tuple[Status, int | None]
):
    running = entry(sync_status=SyncStatus.UNREADABLE, trace={"running": "Booking 6: its timer still runs."})
    line = only_line(inputs(running, ledger=(ledger_row(),) if timesheets else (), timesheets=timesheets))
    assert verdict(line) == review(found[0], Reason.RUNNING_TIMER, found[1])
    assert "its timer still runs" in line.text


@pytest.mark.parametrize("ledger", [(ledger_row(),), ()], ids=["by the ledger", "by its marker"])
@pytest.mark.parametrize("row", [entry(), entry(minutes="30"), excluded()], ids=["same", "edited", "corrected to zero"])
def test_a_time_sheet_of_ours_that_cannot_be_read_is_neither_written_nor_replaced(
    row: Entry, ledger: tuple[LedgerRow, ...]
):
    unreadable = ours(duration_seconds=0, faults={"duration": "a text came instead of a whole number"})
    line = only_line(inputs(row, ledger=ledger, timesheets=(unreadable,)))
    assert verdict(line) == review(Status.MISMATCH, Reason.MALFORMED_TIMESHEET, 100)


@pytest.mark.parametrize(
    ("changes", "waits"),
    [
        ({"faults": {"description": "it is missing"}}, True),
        ({"faults": {"description": "it is missing", "user": "it is missing"}, "user_id": 0}, True),
        ({"faults": {"description": "it is missing"}, "user_id": BEN.id}, False),
        ({"faults": {"billable": "nothing came instead of true or false"}}, False),
    ],
    ids=["his", "anybody's", "another's", "no marker in it"],
)
def test_nothing_is_created_that_an_unreadable_time_sheet_may_be(changes: dict[str, Any], waits: bool):
    line = only_line(inputs(entry(), timesheets=(timesheet(101, **changes),)))
    expected = (
        review(Status.MISSING, Reason.MALFORMED_TIMESHEET) if waits else (Status.MISSING, Action.CREATE, None, None)
    )
    assert verdict(line) == expected


def test_a_time_sheet_that_the_ledger_gives_to_two_bookings_is_used_once():
    rows = (ledger_row("6"), ledger_row("7", base=ours()))
    first, second = reconciler().day(inputs(entry("6"), entry("7"), ledger=rows, timesheets=(ours(),)))
    assert verdict(first) == (Status.IN_SYNC, Action.NONE, None, 100)
    assert verdict(second) == review(Status.MISSING, Reason.UNSEEN_IN_KIMAI, 100)


def test_the_copy_of_a_deleted_time_sheet_takes_its_place():
    line = only_line(inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(101),), gone=frozenset({100})))
    assert verdict(line) == (Status.IN_SYNC, Action.LINK, None, 101)


def test_what_was_undone_may_be_created_again():
    assert verdict(only_line(inputs(entry(), ledger=(ledger_row(state=PushState.UNDONE),)))) == CREATE


def test_a_time_sheet_typed_by_hand_is_offered_not_doubled():
    line = only_line(inputs(entry(), timesheets=(BY_HAND,)))
    assert verdict(line) == review(Status.DUPLICATE, Reason.DUPLICATE, 200)
    assert [candidate.timesheet_id for candidate in line.candidates] == [200]
    assert "time sheet 200 (score 100)" in line.text


def test_two_of_them_are_ambiguous():
    line = only_line(inputs(entry(), timesheets=(BY_HAND, replace(BY_HAND, id=201))))
    assert verdict(line) == review(Status.DUPLICATE, Reason.AMBIGUOUS)


def test_a_similar_one_is_offered_too():
    line = only_line(inputs(entry(), timesheets=(replace(BY_HAND, duration_seconds=1100),)))
    assert verdict(line) == review(Status.MISSING, Reason.FUZZY_CANDIDATE, 200)


def test_time_sheets_of_others_get_no_line_and_stop_nothing():
    foreign = (replace(BY_HAND, user_id=BEN.id), timesheet(201, description="lunch"), timesheet(202, end=None))
    assert verdict(only_line(inputs(entry(), timesheets=foreign))) == CREATE


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"user_email": "carol@example.org"}, Reason.UNMAPPED_USER),
        ({"activity_type_id": "4"}, Reason.UNMAPPED_ACTIVITY),
        ({"ticket_known": False}, Reason.UNKNOWN_TICKET),
    ],
)
def test_an_unmapped_booking_waits_with_its_reason(change: dict[str, Any], reason: Reason):
    line = only_line(inputs(entry(**change)))
    assert verdict(line) == review(Status.MISSING, reason)
    assert line.draft is None


def test_an_unclear_customer_waits_with_its_reason():
    by_hand = replace(target_directory().customers[0], number=None)
    line = only_line(inputs(entry()), customers=(by_hand,), projects=())
    assert verdict(line) == review(Status.MISSING, Reason.UNMAPPED_CUSTOMER)


def test_a_booking_that_lost_its_mapping_keeps_its_time_sheet():
    facts = inputs(entry(activity_type_id="4"), ledger=(ledger_row(),), timesheets=(ours(),))
    assert verdict(only_line(facts)) == review(Status.MISMATCH, Reason.UNMAPPED_ACTIVITY, 100)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (excluded(), Reason.ZERO),
        (excluded(booked="15"), Reason.CORRECTED_TO_ZERO),
        (excluded(booked="-15"), Reason.CORRECTION),
    ],
)
def test_a_booking_of_which_nothing_is_left_is_excluded(row: Entry, reason: Reason):
    assert verdict(only_line(inputs(row))) == (Status.EXCLUDED, Action.NONE, reason, None)


def test_an_open_correction_waits_for_a_person():
    row = excluded(booked="-30", open_minutes=Decimal("30.00"))
    line = only_line(inputs(replace(row, sync_status=SyncStatus.CORRECTION_OPEN)))
    assert verdict(line) == review(Status.EXCLUDED, Reason.UNMATCHED_CORRECTION)
    assert line.text == "30 minutes of the correction are open. No booking around it has minutes left."
    assert not line.reducible


def test_an_open_correction_names_the_bookings_that_it_may_be_about():
    row = replace(
        excluded(booked="-30", open_minutes=Decimal("30.00")), source_id="6", sync_status=SyncStatus.CORRECTION_OPEN
    )
    alone = only_line(inputs(row))
    line = only_line(replace(inputs(row), reducible={"6": ["11", "12", "13", "14", "15"]}))
    assert line.text == "30 minutes of the correction are open. It may be about booking 11; 12; 13 and 2 more."
    assert line.reducible
    assert line.facts_hash == alone.facts_hash, "what people ignored is asked again with every booking"


def test_what_is_left_of_a_correction_is_another_question():
    row = replace(excluded(booked="-30", open_minutes=Decimal(30)), sync_status=SyncStatus.CORRECTION_OPEN)
    hashes = {only_line(inputs(replace(row, open_minutes=Decimal(left)))).facts_hash for left in (30, 20, 10)}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (ours(), Reason.DELETED_IN_ZAMMAD),
        (ours(minutes=5), Reason.BOTH_CHANGED),
        (ours(exported=True), Reason.BILLED),
    ],
)
def test_a_booking_corrected_to_zero_asks_about_its_time_sheet(target: Timesheet, reason: Reason):
    line = only_line(inputs(excluded(booked="15"), ledger=(ledger_row(),), timesheets=(target,)))
    assert verdict(line) == review(Status.ORPHANED, reason, 100)


def test_a_booking_and_a_time_sheet_both_gone_are_done():
    line = only_line(inputs(excluded(booked="15"), ledger=(ledger_row(),), gone=frozenset({100})))
    assert verdict(line) == (Status.EXCLUDED, Action.NONE, Reason.CORRECTED_TO_ZERO, None)


def test_a_copy_of_our_time_sheet_is_shown_beside_it():
    first, second = reconciler().day(inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(), ours(101))))
    assert verdict(first) == (Status.IN_SYNC, Action.NONE, None, 100)
    assert verdict(second) == review(Status.DUPLICATE, Reason.MARKER_CLONED, 101)
    assert (second.key, second.minutes) == ("kimai:101", 0)


@pytest.mark.parametrize(
    ("copy", "closed", "why"),
    [
        (ours(101, exported=True), frozenset[date](), "It is exported, and so billed."),
        (ours(101), frozenset({DAY.replace(day=1)}), "2025-08 was closed for billing."),
    ],
    ids=["billed", "closed"],
)
def test_a_copy_that_is_billed_or_closed_may_only_be_kept(copy: Timesheet, closed: frozenset[date], why: str):
    facts = inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(), copy), closed_months=closed)
    _, line = reconciler().day(facts)
    assert verdict(line) == review(Status.DUPLICATE, Reason.BILLED_COPY, 101)
    assert why in line.text
    assert line.key == "kimai:101"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (ours(100, "8"), Reason.DELETED_IN_ZAMMAD),
        (ours(100, "8", minutes=5), Reason.BOTH_CHANGED),
        (ours(100, "8", exported=True), Reason.BILLED),
        (timesheet(100), Reason.DELETED_IN_ZAMMAD),
    ],
    ids=["untouched", "edited", "exported", "its marker removed"],
)
def test_the_time_sheet_of_a_booking_gone_from_zammad_is_an_orphan(target: Timesheet, reason: Reason):
    line = only_line(inputs(ledger=(ledger_row("8"),), timesheets=(target,)))
    assert verdict(line) == review(Status.ORPHANED, reason, 100)
    assert (line.source_id, line.key) == (None, "kimai:100")


def test_a_time_sheet_of_a_booking_of_another_day_is_no_orphan():
    facts = inputs(timesheets=(ours(100, "8"),), known_sources=frozenset({"8"}))
    assert reconciler().day(facts) == []


def test_an_orphan_is_shown_on_the_day_on_which_it_lies():
    neighbour = ours(100, "8", begin="2025-08-15T08:00")
    assert reconciler().day(inputs(timesheets=(neighbour,))) == []


def test_an_orphan_with_several_markers_is_shown_once():
    row = ours(100, description="[zk-zammad-98] [zk-zammad-97]")
    assert [line.key for line in reconciler().day(inputs(timesheets=(row,)))] == ["kimai:100"]


def test_a_time_sheet_that_also_carries_a_living_marker_is_no_orphan():
    row = ours(100, description="[zk-zammad-98] [zk-zammad-3]")
    assert reconciler().day(inputs(timesheets=(row,), known_sources=frozenset({"3"}))) == []


def test_a_copy_of_another_days_time_sheet_is_shown_on_the_day_on_which_it_lies():
    copy = ours(101, "8")
    facts = inputs(
        timesheets=(copy,),
        known_sources=frozenset({"8"}),
        originals={"8": Original(DAY - timedelta(days=40), 100, gone=False)},
    )
    line = only_line(facts)
    assert verdict(line) == review(Status.DUPLICATE, Reason.MARKER_CLONED, 101)
    assert line.text == "Time sheet 101 carries the marker of booking 8 of 2025-07-07, which has time sheet 100."
    assert (line.source_id, line.key, line.entry_date) == ("8", "kimai:101", DAY)


def test_a_copy_on_a_neighbouring_day_is_left_to_that_day():
    copy = ours(101, begin="2025-08-15T08:00")
    facts = inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(), copy))
    assert verdict(only_line(facts)) == (Status.IN_SYNC, Action.NONE, None, 100)
    facts = replace(facts, originals={"6": Original(DAY, 100, gone=False)})
    assert plan_lines.days_elsewhere(facts, "zammad", BERLIN) == {101: DAY - timedelta(days=1)}


def test_a_copy_whose_begin_cannot_be_read_is_asked_about_with_its_booking():
    copy = ours(101, begin="2025-01-01T08:00", faults={"begin": "is no instant"})
    _, line = reconciler().day(inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(), copy)))
    assert verdict(line) == review(Status.DUPLICATE, Reason.BILLED_COPY, 101)


@pytest.mark.parametrize(
    ("day", "asked"),
    [(DAY - timedelta(days=1), False), (DAY - timedelta(days=2), True)],
    ids=["its booking looks for it", "out of its booking's reach"],
)
def test_a_copy_whose_original_was_deleted_is_asked_about_unless_the_booking_takes_it(day: date, *, asked: bool):
    facts = inputs(
        timesheets=(ours(101, "8"),),
        known_sources=frozenset({"8"}),
        originals={"8": Original(day, 100, gone=True)},
    )
    assert bool(reconciler().day(facts)) is asked


@pytest.mark.parametrize("kimai_id", [100, 101])
def test_a_time_sheet_with_two_markers_is_a_copy_of_neither_while_a_booking_owns_it(kimai_id: int):
    row = ours(100, description="[zk-zammad-3] [zk-zammad-8]")
    facts = inputs(
        ledger=(ledger_row("3"),),
        timesheets=(row,),
        known_sources=frozenset({"3", "8"}),
        originals={
            "3": Original(DAY - timedelta(days=9), 100, gone=False),
            "8": Original(DAY - timedelta(days=9), kimai_id, gone=False),
        },
    )
    assert reconciler().day(facts) == []
    assert plan_lines.days_elsewhere(replace(facts, day=DAY + timedelta(days=1)), "zammad", BERLIN) == {}
