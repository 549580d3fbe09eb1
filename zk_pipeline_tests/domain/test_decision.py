"""The three-way decision, each cell of its table."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.decision import Action, Decision, Status, decide, decide_unwanted, difference
from zk_pipeline.domain.ledger import Desired, LedgerRow, PushState
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.rounding import ANY, WHOLE_MINUTES, Rounding
from zk_pipeline_tests.domain.builders import BEN, SUPPORT, TRAVEL, at, desired, ledger_row, ours

SAME = desired()
LONGER = desired(seconds=1800)
TWENTY = desired(seconds=1200)
ELSEWHERE = desired(project_id=41, project_number="ZO8")
UNTOUCHED = ours()
LENGTHENED = ours(minutes=30)
SHORTENED = ours(minutes=5)
IN_SYNC = (Status.IN_SYNC, Action.NONE, None)
NEW_BASE = (Status.IN_SYNC, Action.LINK, None)
UPDATE = (Status.MISMATCH, Action.UPDATE, None)


def review(reason: Reason, status: Status = Status.MISMATCH) -> tuple[Status, Action, Reason]:
    return (status, Action.REVIEW, reason)


TABLE = [
    (SAME, UNTOUCHED, IN_SYNC, IN_SYNC),
    (SAME, SHORTENED, review(Reason.KIMAI_EDITED), IN_SYNC),
    (LONGER, UNTOUCHED, UPDATE, review(Reason.BILLED)),
    (LONGER, LENGTHENED, NEW_BASE, NEW_BASE),
    (LONGER, SHORTENED, review(Reason.BOTH_CHANGED), review(Reason.BILLED)),
    (ELSEWHERE, UNTOUCHED, UPDATE, review(Reason.BILLED)),
    (ELSEWHERE, ours(project_id=41), NEW_BASE, NEW_BASE),
    (ELSEWHERE, SHORTENED, review(Reason.BOTH_CHANGED), review(Reason.BILLED)),
]
TABLE_OF_UNWANTED = [
    (UNTOUCHED, Reason.DELETED_IN_ZAMMAD, Reason.BILLED),
    (SHORTENED, Reason.BOTH_CHANGED, Reason.BILLED),
]


def outcome(decision: Decision) -> tuple[Status, Action, Reason | None]:
    return (decision.status, decision.action, decision.reason)


@pytest.mark.parametrize(("wish", "target", "when_open", "when_locked"), TABLE)
def test_each_cell_of_the_table(wish: Desired, target: Timesheet, when_open: Any, when_locked: Any):
    assert outcome(decide(ledger_row(), wish, target, locked=False)) == when_open
    assert outcome(decide(ledger_row(), wish, target, locked=True)) == when_locked


def test_a_break_is_named_beside_the_duration_that_it_shortens():
    paused = ours(minutes=15, duration_seconds=600, break_seconds=300)
    decision = decide(ledger_row(), SAME, paused, locked=False)
    assert outcome(decision) == review(Reason.KIMAI_EDITED)
    assert decision.diff == {"duration": ("900 s", "600 s"), "break": ("0 s", "300 s")}


@pytest.mark.parametrize("rounding", [ANY, WHOLE_MINUTES])
def test_a_break_is_no_rounding(rounding: Rounding):
    hour_and_a_quarter = desired(seconds=4500)
    paused = ours(minutes=75, duration_seconds=3600, break_seconds=900)
    assert difference(hour_and_a_quarter, paused, rounding)["break"] == ("0 s", "900 s")
    assert difference(desired(seconds=3600), paused, rounding) == {}, "what is left of it has the length"
    unanswered = ledger_row(asked=hour_and_a_quarter, base=None, state=PushState.INTENDED)
    assert outcome(decide(unanswered, hour_and_a_quarter, paused, locked=False)) == review(Reason.KIMAI_EDITED)


@pytest.mark.parametrize(("target", "when_open", "when_locked"), TABLE_OF_UNWANTED)
def test_each_cell_of_a_booking_that_is_gone(target: Timesheet, when_open: Reason, when_locked: Reason):
    assert outcome(decide_unwanted(ledger_row(), target, locked=False)) == review(when_open, Status.ORPHANED)
    assert outcome(decide_unwanted(ledger_row(), target, locked=True)) == review(when_locked, Status.ORPHANED)


def test_a_booking_that_is_gone_without_a_ledger_asks_too():
    assert outcome(decide_unwanted(None, UNTOUCHED, locked=False)) == review(Reason.DELETED_IN_ZAMMAD, Status.ORPHANED)


WISHES = st.sampled_from([SAME, LONGER, ELSEWHERE, desired(user_id=BEN.id), desired(begin=at("2025-08-16T09:00"))])
TARGETS = st.sampled_from([UNTOUCHED, LENGTHENED, SHORTENED, ours(user_id=BEN.id), ours(begin="2025-08-16T09:00")])
LEDGERS = st.none() | st.builds(
    ledger_row,
    state=st.sampled_from(PushState),
    asked=WISHES,
    base=st.none() | TARGETS,
    kimai_id=st.none() | st.just(100),
)


@given(LEDGERS, WISHES, TARGETS)
def test_nothing_is_ever_written_to_a_locked_time_sheet(row: LedgerRow | None, wish: Desired, target: Timesheet):
    assert decide(row, wish, target, locked=True).action in {Action.NONE, Action.LINK, Action.REVIEW}
    assert decide_unwanted(row, target, locked=True).action is Action.REVIEW


@given(LEDGERS, WISHES, TARGETS)
def test_an_update_says_what_changes_and_is_done_after_it(row: LedgerRow | None, wish: Desired, target: Timesheet):
    decision = decide(row, wish, target, locked=False)
    assert decision.diff or decision.status is Status.IN_SYNC
    assert not decision.diff or decision.action is not Action.NONE
    if decision.action is Action.UPDATE:
        written = replace(target, **_fields(wish))
        after = ledger_row(asked=wish, base=written)
        assert outcome(decide(after, wish, written, locked=False)) == IN_SYNC


def _fields(wish: Desired) -> dict[str, Any]:
    return {
        "user_id": wish.user_id,
        "activity_id": wish.activity_id,
        "project_id": wish.project_id,
        "begin": wish.begin,
        "duration_seconds": wish.seconds,
    }


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"user_id": BEN.id}, {"user"}),
        ({"activity_id": TRAVEL.id}, {"activity"}),
        ({"project_id": None, "project_number": "ZO8"}, {"project"}),
        ({"begin": at("2025-08-16T08:15")}, {"begin"}),
        ({"seconds": 930}, {"duration"}),
        ({"begin": at("2025-08-16T07:59:30"), "seconds": 870}, {"begin", "duration"}),
    ],
)
def test_an_edit_in_zammad_is_written_exactly_even_below_a_minute(changes: dict[str, Any], fields: set[str]):
    decision = decide(ledger_row(), desired(**changes), UNTOUCHED, locked=False)
    assert (decision.action, decision.diff.keys()) == (Action.UPDATE, fields)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"user_id": BEN.id}, "user"),
        ({"activity_id": TRAVEL.id}, "activity"),
        ({"project_id": 41}, "project"),
        ({"begin": "2025-08-16T08:00:30"}, "begin"),
        ({"duration_seconds": 890}, "duration"),
    ],
)
def test_an_edit_in_kimai_is_shown_as_what_it_was_and_is(changes: dict[str, Any], field: str):
    decision = decide(ledger_row(), SAME, ours(**changes), locked=False)
    assert (decision.reason, decision.diff.keys()) == (Reason.KIMAI_EDITED, {field})


@pytest.mark.parametrize("change", [{"description": "polished"}, {"tags": ("x",)}, {"billable": False}])
def test_description_tags_and_billable_belong_to_kimais_people(change: dict[str, Any]):
    assert outcome(decide(ledger_row(), SAME, ours(**change), locked=False)) == IN_SYNC


def test_kimais_own_rounding_is_nobodys_edit():
    rounded = ours(begin="2025-08-16T07:45", minutes=60)
    row = ledger_row(base=rounded)
    assert outcome(decide(row, SAME, rounded, locked=False)) == IN_SYNC
    assert decide(row, desired(activity_id=TRAVEL.id), rounded, locked=False).diff.keys() == {"activity"}


def test_a_time_sheet_that_was_placed_elsewhere_keeps_its_place_when_it_grows():
    moved = ours(begin="2025-08-16T11:00")
    decision = decide(ledger_row(base=moved), LONGER, moved, locked=False)
    assert (decision.action, decision.diff.keys()) == (Action.UPDATE, {"duration"})


def test_a_time_sheet_placed_elsewhere_can_be_edited_the_same_way():
    moved = ours(begin="2025-08-16T11:00")
    grown = ours(begin="2025-08-16T11:00", minutes=30)
    assert outcome(decide(ledger_row(base=moved), LONGER, grown, locked=False)) == NEW_BASE


@pytest.mark.parametrize(
    ("booked", "found", "expected"),
    [
        (1830, 1860, NEW_BASE),
        (1830, 1800, NEW_BASE),
        (1800, 1850, review(Reason.BOTH_CHANGED)),
        (1800, 1860, review(Reason.BOTH_CHANGED)),
    ],
    ids=["up to a minute", "down to a minute", "some seconds more", "a minute more"],
)
def test_the_same_way_allows_for_rounding_to_whole_minutes_alone(booked: int, found: int, expected: Any):
    sheet = replace(UNTOUCHED, duration_seconds=found, end=UNTOUCHED.begin + timedelta(seconds=found))
    assert outcome(decide(ledger_row(), desired(seconds=booked), sheet, locked=False)) == expected


def test_an_edit_of_one_field_does_not_hide_a_persons_edit_of_another():
    both = replace(LENGTHENED, activity_id=TRAVEL.id)
    decision = decide(ledger_row(), LONGER, both, locked=False)
    assert (decision.reason, decision.diff) == (Reason.BOTH_CHANGED, {"activity": (str(SUPPORT.id), str(TRAVEL.id))})


def test_a_project_that_merely_got_its_id_is_not_written():
    row = ledger_row(asked=desired(project_id=None))
    assert outcome(decide(row, SAME, UNTOUCHED, locked=False)) == IN_SYNC


def test_a_project_that_merely_got_another_number_is_not_written():
    assert outcome(decide(ledger_row(), desired(project_number="NEW"), UNTOUCHED, locked=False)) == NEW_BASE


def test_the_ledger_follows_to_the_copy_that_took_the_place_of_the_original():
    assert outcome(decide(ledger_row(), SAME, ours(101), locked=False)) == NEW_BASE


UNCONFIRMED = {"state": PushState.INTENDED, "kimai_id": None, "base": None}


@pytest.mark.parametrize(
    ("wish", "target", "when_open", "when_locked"),
    [
        (SAME, UNTOUCHED, NEW_BASE, NEW_BASE),
        (SAME, ours(minutes=60), NEW_BASE, NEW_BASE),
        (SAME, ours(minutes=25), review(Reason.KIMAI_EDITED), NEW_BASE),
        (SAME, ours(begin="2025-08-16T07:45", minutes=60), review(Reason.KIMAI_EDITED), NEW_BASE),
        (SAME, ours(user_id=BEN.id), review(Reason.KIMAI_EDITED), NEW_BASE),
        (SAME, ours(project_id=41), review(Reason.KIMAI_EDITED), NEW_BASE),
        (SAME, ours(activity_id=TRAVEL.id), review(Reason.KIMAI_EDITED), NEW_BASE),
        (LONGER, UNTOUCHED, UPDATE, review(Reason.BILLED)),
        (LONGER, LENGTHENED, NEW_BASE, NEW_BASE),
        (TWENTY, LENGTHENED, UPDATE, review(Reason.BILLED)),
        (LONGER, ours(minutes=35), review(Reason.BOTH_CHANGED), review(Reason.BILLED)),
    ],
    ids=[
        "as asked",
        "rounded",
        "lengthened by a person",
        "moved by a person",
        "given to another user",
        "given to another project",
        "given another activity",
        "edited meanwhile",
        "edited the same way",
        "edited meanwhile, rounded",
        "both edited",
    ],
)
def test_a_create_whose_answer_was_lost_is_taken_over(
    wish: Desired, target: Timesheet, when_open: Any, when_locked: Any
):
    row = ledger_row(**UNCONFIRMED)
    assert outcome(decide(row, wish, target, locked=False)) == when_open
    assert outcome(decide(row, wish, target, locked=True)) == when_locked


def test_a_lost_create_is_compared_with_where_it_was_placed():
    row = ledger_row(**UNCONFIRMED, placed_at=at("2025-08-16T11:00"))
    assert outcome(decide(row, SAME, ours(begin="2025-08-16T11:00"), locked=False)) == NEW_BASE
    assert outcome(decide(row, SAME, UNTOUCHED, locked=False)) == review(Reason.KIMAI_EDITED)


def test_what_kimai_returned_before_tells_an_edit_from_its_rounding():
    rounding = Rounding.seen_in([ours(minutes=17)])
    row = ledger_row(**UNCONFIRMED)
    assert outcome(decide(row, SAME, LENGTHENED, locked=False)) == NEW_BASE
    assert outcome(decide(row, SAME, LENGTHENED, locked=False, rounding=rounding)) == review(Reason.KIMAI_EDITED)


@pytest.mark.parametrize(
    ("wish", "target", "expected"),
    [
        (TWENTY, LENGTHENED, NEW_BASE),
        (TWENTY, ours(minutes=35), review(Reason.BOTH_CHANGED)),
        (LONGER, UNTOUCHED, UPDATE),
        (LONGER, LENGTHENED, NEW_BASE),
        (LONGER, SHORTENED, review(Reason.BOTH_CHANGED)),
        (SAME, UNTOUCHED, NEW_BASE),
        (SAME, LENGTHENED, review(Reason.BOTH_CHANGED)),
    ],
    ids=[
        "arrived, rounded",
        "arrived, then edited by a person",
        "did not arrive",
        "arrived",
        "edited by a person",
        "taken back, did not arrive",
        "taken back, arrived",
    ],
)
def test_an_update_whose_answer_was_lost_is_looked_at_before_it_is_written_again(
    wish: Desired, target: Timesheet, expected: Any
):
    sent = LONGER if wish is SAME else wish
    row = ledger_row(state=PushState.INTENDED, sent_hash=sent.hash)
    assert outcome(decide(row, wish, target, locked=False)) == expected


def test_after_a_lost_ledger_what_agrees_is_linked_and_the_rest_asked():
    assert outcome(decide(None, SAME, UNTOUCHED, locked=False)) == NEW_BASE
    assert outcome(decide(None, SAME, SHORTENED, locked=False)) == review(Reason.KIMAI_EDITED)
    assert outcome(decide(None, SAME, SHORTENED, locked=True)) == review(Reason.BILLED)


def test_a_refused_update_is_still_wanted():
    assert outcome(decide(ledger_row(state=PushState.PARKED), LONGER, UNTOUCHED, locked=False)) == UPDATE


def test_a_difference_names_the_project_by_its_number():
    assert difference(desired(project_id=None, project_number="ZO8"), UNTOUCHED) == {"project": ("ZO8", "40")}


def test_a_difference_that_rounding_explains_is_none():
    near = ours(begin="2025-08-16T07:59", minutes=17)
    wish = desired(begin=at("2025-08-16T07:59:40"), seconds=930)
    assert difference(wish, near, WHOLE_MINUTES) == {}
    assert difference(wish, near).keys() == {"begin", "duration"}
    assert difference(replace(wish, seconds=860), near, WHOLE_MINUTES).keys() == {"begin", "duration"}
