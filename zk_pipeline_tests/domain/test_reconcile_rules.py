"""The plan under Kimai's rules: closed days, what it refuses, overlaps, future times, and what it cannot take."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.ledger import PushState
from zk_pipeline.domain.mapping import Mappings
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.policy import Policy
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.reconcile import DESCRIPTION_BYTES, Reconciler
from zk_pipeline.domain.resolutions import Choice, Resolution
from zk_pipeline_tests.domain.builders import (
    ACME_PROJECT,
    ANNA,
    BEN,
    DAY,
    POLICY,
    SUPPORT,
    at,
    entry,
    inputs,
    ledger_row,
    ours,
    reconciler,
    resolver,
    timesheet,
)
from zk_pipeline_tests.domain.test_reconcile import CREATE, NO_FUTURE, NO_OVERLAP, TOMORROW, only_line, review, verdict


def test_a_closed_day_takes_no_new_time_sheet():
    line = only_line(inputs(entry(), locked_before=TOMORROW))
    assert verdict(line) == review(Status.MISSING, Reason.LOCKED_PERIOD)
    assert verdict(only_line(inputs(entry(), locked_before=DAY))) == CREATE


def test_a_refused_booking_is_tried_again_once_in_each_run():
    tried = only_line(inputs(entry()))
    parked = ledger_row(
        state=PushState.PARKED, kimai_id=None, base=None, facts_hash=tried.facts_hash, message="The project has ended."
    )
    for day in (TOMORROW, TOMORROW + timedelta(days=1)):
        line = only_line(inputs(entry(), ledger=(parked,), today=day))
        assert verdict(line) == (Status.MISSING, Action.CREATE, Reason.REFUSED_BY_KIMAI, None)
        assert (line.text, line.facts_hash) == ("The project has ended.", tried.facts_hash)
    assert verdict(only_line(inputs(entry(minutes="30"), ledger=(parked,)))) == CREATE
    ignored = Resolution("6", Reason.REFUSED_BY_KIMAI, Choice.IGNORE, tried.facts_hash)
    [line] = reconciler().day(inputs(entry(), ledger=(parked,)), [ignored])
    assert (line.action, line.decided) == (Action.NONE, Choice.IGNORE)


def test_what_is_known_to_stand_in_the_way_is_waited_for():
    disabled = (replace(ANNA, enabled=False), BEN)
    tried = only_line(inputs(entry()), users=disabled)
    parked = ledger_row(state=PushState.PARKED, kimai_id=None, base=None, facts_hash=tried.facts_hash)
    line = only_line(inputs(entry(), ledger=(parked,)), users=disabled)
    assert verdict(line) == review(Status.MISSING, Reason.REFUSED_BY_KIMAI)
    assert verdict(only_line(inputs(entry(), ledger=(parked,)))) == CREATE


def test_a_refused_update_is_tried_again_once_in_each_run():
    facts = inputs(entry(minutes="30"), ledger=(ledger_row(),), timesheets=(ours(),))
    tried = only_line(facts)
    parked = ledger_row(state=PushState.PARKED, facts_hash=tried.facts_hash, message="Maximum exceeded.")
    line = only_line(replace(facts, ledger={"6": parked}))
    assert verdict(line) == (Status.MISMATCH, Action.UPDATE, Reason.REFUSED_BY_KIMAI, 100)
    assert only_line(replace(facts, ledger={"6": parked}, entries=(entry(minutes="45"),))).action is Action.UPDATE


def test_what_kimai_will_refuse_is_tried_and_says_why():
    line = only_line(inputs(entry()), projects=(replace(ACME_PROJECT, end=DAY - timedelta(days=1)),))
    assert verdict(line) == CREATE
    assert line.text.startswith("Project Acme ended on 2025-08-15")


@pytest.mark.parametrize(
    ("letters", "action"), [(DESCRIPTION_BYTES // 2, Action.CREATE), (DESCRIPTION_BYTES // 2 + 1, Action.REVIEW)]
)
def test_an_over_long_description_is_measured_in_bytes_and_not_sent(letters: int, action: Action):
    line = only_line(inputs(entry(description="ü" * letters)))
    assert line.action is action
    assert (line.reason is Reason.REFUSED_BY_KIMAI) == (action is Action.REVIEW)


def spans_of(lines: list[PlanLine]) -> list[tuple[str, str]]:
    return [(f"{line.draft.span.begin:%H:%M:%S}", f"{line.draft.span.end:%H:%M:%S}") for line in lines if line.draft]


def test_where_overlaps_are_forbidden_new_time_sheets_go_to_the_next_free_place():
    taken = timesheet(200, begin="2025-08-16T08:00", minutes=30, description="lunch")
    others = timesheet(201, begin="2025-08-16T08:30", minutes=600, user_id=BEN.id)
    lines = reconciler().day(inputs(entry("7"), entry("6"), server=NO_OVERLAP, timesheets=(taken, others)))
    assert [line.source_id for line in lines] == ["6", "7"]
    assert spans_of(lines) == [("08:30:00", "08:45:00"), ("08:45:00", "09:00:00")]
    assert lines[0].draft is not None
    assert lines[0].draft.desired.begin == at("2025-08-16T08:00")


def test_a_full_day_asks_a_person():
    full = timesheet(200, begin="2025-08-16T00:00", minutes=1440, description="stand-by")
    line = only_line(inputs(entry(), server=NO_OVERLAP, timesheets=(full,)))
    assert verdict(line) == review(Status.MISSING, Reason.NO_FREE_PLACE)


def test_where_future_times_are_forbidden_todays_work_ends_before_it_was_booked():
    assert spans_of([only_line(inputs(entry(), server=NO_FUTURE, today=DAY))]) == [("07:56:00", "08:11:00")]


def test_where_future_times_are_forbidden_past_days_keep_their_places():
    assert spans_of([only_line(inputs(entry(), server=NO_FUTURE))]) == [("08:00:00", "08:15:00")]


def test_what_is_already_there_keeps_its_place_where_overlaps_are_forbidden():
    facts = inputs(entry(), ledger=(ledger_row(),), timesheets=(ours(),), server=NO_OVERLAP)
    assert verdict(only_line(facts)) == (Status.IN_SYNC, Action.NONE, None, 100)


def test_a_booking_near_midnight_stays_on_its_local_day():
    policy = Policy(zone=ZoneInfo("Europe/Berlin"))
    row = replace(entry(begin="2025-08-15T22:15"), entry_date=DAY)
    [line] = Reconciler("zammad", resolver(policy=policy), policy).day(inputs(row, server=NO_OVERLAP))
    assert (line.entry_date, line.action) == (DAY, Action.CREATE)
    assert line.draft is not None
    assert line.draft.span.begin == at("2025-08-15T22:15")


def test_the_operators_decision_about_an_unmapped_type_makes_it_a_create():
    untyped = entry(activity_type_id=None, activity_name=None)
    found = resolver(mappings=Mappings(activities={(None, None): SUPPORT.id}))
    [line] = Reconciler("zammad", found, POLICY).day(inputs(untyped))
    assert verdict(line) == CREATE
