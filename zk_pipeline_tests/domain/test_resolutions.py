"""What may be decided about each reason, what comes of it, and how long it holds."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.adjustments import OutstandingAdjustment, Posting, PostingKey
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import ALLOWED, EFFECTS, Choice, Resolution, allowed, resolved, stands
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline_tests.domain.builders import DAY, ZONE_UTC, entry, inputs, ours, reconciler, timesheet

PAGE = Path(__file__).parents[2] / "docs" / "conflicts.md"
DRAFT = reconciler().day(inputs(entry()))[0].draft

HELD = Posting(PostingKey(10, 40, "ZO7", 20), 900)
OWED = OutstandingAdjustment("6", 100, DAY, "The booking says 30 min.", (HELD,), (HELD,))

OUTCOMES: dict[tuple[Reason, Status], dict[Choice, Action]] = {
    (Reason.UNMAPPED_USER, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.UNMAPPED_ACTIVITY, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.UNMAPPED_CUSTOMER, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.UNKNOWN_TICKET, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.DUPLICATE, Status.DUPLICATE): {
        Choice.LINK: Action.LINK,
        Choice.CREATE: Action.CREATE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.AMBIGUOUS, Status.DUPLICATE): {
        Choice.LINK: Action.LINK,
        Choice.CREATE: Action.CREATE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.FUZZY_CANDIDATE, Status.MISSING): {
        Choice.LINK: Action.LINK,
        Choice.CREATE: Action.CREATE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.KIMAI_EDITED, Status.MISMATCH): {Choice.UPDATE: Action.UPDATE, Choice.KEEP: Action.LINK},
    (Reason.BOTH_CHANGED, Status.MISMATCH): {Choice.UPDATE: Action.UPDATE, Choice.KEEP: Action.LINK},
    (Reason.BOTH_CHANGED, Status.ORPHANED): {Choice.DELETE: Action.DELETE, Choice.KEEP: Action.NONE},
    (Reason.DELETED_IN_KIMAI, Status.MISSING): {Choice.CREATE: Action.CREATE, Choice.IGNORE: Action.NONE},
    (Reason.UNSEEN_IN_KIMAI, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.MALFORMED_BOOKING, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.RUNNING_TIMER, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.MALFORMED_TIMESHEET, Status.MISMATCH): {Choice.IGNORE: Action.NONE},
    (Reason.DELETED_IN_ZAMMAD, Status.ORPHANED): {Choice.DELETE: Action.DELETE, Choice.KEEP: Action.NONE},
    (Reason.BILLED, Status.MISMATCH): {
        Choice.ADJUST: Action.NONE,
        Choice.KEEP: Action.LINK,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.BILLED, Status.ORPHANED): {
        Choice.ADJUST: Action.NONE,
        Choice.KEEP: Action.NONE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.LOCKED_PERIOD, Status.MISSING): {Choice.ADJUST: Action.NONE, Choice.IGNORE: Action.NONE},
    (Reason.NO_FREE_PLACE, Status.MISSING): {Choice.IGNORE: Action.NONE},
    (Reason.UNMATCHED_CORRECTION, Status.EXCLUDED): {Choice.REDUCE: Action.NONE, Choice.IGNORE: Action.NONE},
    (Reason.MERGED_TICKET, Status.EXCLUDED): {Choice.MOVE: Action.NONE, Choice.KEEP: Action.NONE},
    (Reason.REFUSED_BY_KIMAI, Status.MISSING): {
        Choice.CREATE: Action.CREATE,
        Choice.ADJUST: Action.NONE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.REFUSED_BY_KIMAI, Status.MISMATCH): {
        Choice.UPDATE: Action.UPDATE,
        Choice.ADJUST: Action.NONE,
        Choice.IGNORE: Action.NONE,
    },
    (Reason.MARKER_CLONED, Status.DUPLICATE): {Choice.DELETE: Action.DELETE, Choice.KEEP: Action.NONE},
    (Reason.CHANGED_AFTER_BILLING, Status.MISMATCH): {Choice.KEEP: Action.LINK},
    (Reason.BILLED_COPY, Status.DUPLICATE): {Choice.KEEP: Action.NONE},
}
COPIES = {Reason.MARKER_CLONED, Reason.BILLED_COPY}
EXPLAINED_ONLY = {Reason.ZERO, Reason.CORRECTED_TO_ZERO, Reason.CORRECTION, Reason.ADJUSTED}


def line(reason: Reason, status: Status, **changes: Any) -> PlanLine:
    """A line that waits for a person."""
    orphan = status in {Status.ORPHANED, Status.EXCLUDED} or reason in COPIES
    row = PlanLine(
        DAY,
        "6",
        100,
        status,
        Action.REVIEW,
        Decimal(15),
        reason,
        draft=None if orphan else DRAFT,
        facts_hash="f",
        owed=OWED,
    )
    return replace(row, **changes)


def decision(about: PlanLine, choice: Choice, **changes: Any) -> Resolution:
    assert about.reason is not None
    row = Resolution(about.key, about.reason, choice, about.facts_hash)
    return replace(row, **changes)


CELLS = [(reason, status, choice) for reason, status in OUTCOMES for choice in Choice]


@pytest.mark.parametrize(("reason", "status", "choice"), CELLS)
def test_each_decision_on_each_reason_does_what_the_table_says_or_nothing(
    reason: Reason, status: Status, choice: Choice
) -> None:
    waiting = line(reason, status)
    (result,) = resolved([waiting], [decision(waiting, choice)])
    action = OUTCOMES[reason, status].get(choice)
    assert (choice in allowed(reason, status)) == (action is not None)
    if action is None:
        assert result == waiting
    else:
        assert (result.action, result.decided) == (action, choice)


def test_a_correction_without_a_booking_to_reduce_is_only_ignored() -> None:
    assert allowed(Reason.UNMATCHED_CORRECTION, Status.EXCLUDED, reducible=False) == (Choice.IGNORE,)


@pytest.mark.parametrize("reason", list(ALLOWED), ids=str)
def test_the_page_on_conflicts_names_the_decisions_on_each_reason(reason: Reason) -> None:
    choices = ", ".join(f"`{choice}`" for choice in ALLOWED[reason])
    assert f"| `{reason}` | {choices} |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("choice", list(EFFECTS), ids=str)
def test_the_page_on_conflicts_says_what_each_decision_does(choice: Choice) -> None:
    assert f"| `{choice}` | {EFFECTS[choice]} |" in PAGE.read_text(encoding="utf-8")


def test_every_reason_that_waits_for_a_person_has_a_decision() -> None:
    assert {reason for reason, _ in OUTCOMES} == set(Reason) - EXPLAINED_ONLY
    assert set(EFFECTS) == set(Choice)


@pytest.mark.parametrize(("reason", "status", "choice"), CELLS)
def test_when_the_facts_change_the_line_is_open_again(reason: Reason, status: Status, choice: Choice) -> None:
    waiting = line(reason, status)
    changed = replace(waiting, facts_hash="other")
    assert resolved([changed], [decision(waiting, choice)]) == [changed]


def test_link_takes_the_time_sheet_that_was_named() -> None:
    waiting = line(Reason.AMBIGUOUS, Status.DUPLICATE, kimai_id=None)
    assert resolved([waiting], [decision(waiting, Choice.LINK, timesheet_id=7)])[0].kimai_id == 7


def test_on_a_closed_day_only_decisions_that_write_nothing_hold() -> None:
    for (reason, status), outcomes in OUTCOMES.items():
        waiting = line(reason, status)
        for choice in outcomes:
            (result,) = resolved(
                [waiting], [decision(waiting, choice)], WriteProtection(ZONE_UTC, DAY + timedelta(days=1))
            )
            writes_nothing = {Choice.ADJUST, Choice.REDUCE, Choice.MOVE, Choice.KEEP, Choice.IGNORE}
            assert bool(result.decided) == (choice in writes_nothing)


def test_what_has_no_draft_is_not_written() -> None:
    waiting = line(Reason.REFUSED_BY_KIMAI, Status.MISSING, draft=None)
    assert resolved([waiting], [decision(waiting, Choice.CREATE)]) == [waiting]


@pytest.mark.parametrize(
    ("choice", "status", "expected"),
    [
        (Choice.IGNORE, Status.MISMATCH, True),
        (Choice.KEEP, Status.ORPHANED, True),
        (Choice.KEEP, Status.MISMATCH, False),
        (Choice.UPDATE, Status.MISMATCH, False),
        (Choice.CREATE, Status.MISSING, False),
        (Choice.DELETE, Status.ORPHANED, False),
        (Choice.LINK, Status.DUPLICATE, False),
    ],
)
def test_only_what_leaves_the_question_as_it_is_goes_on_holding(choice: Choice, status: Status, expected: bool) -> None:
    assert stands(choice, status) is expected


LINES = st.builds(
    line,
    reason=st.sampled_from([reason for reason, _ in OUTCOMES]),
    status=st.sampled_from(Status),
    source_id=st.sampled_from(["6", "7", None]),
    kimai_id=st.sampled_from([100, 101]),
    facts_hash=st.sampled_from(["f", "g"]),
    action=st.sampled_from(Action),
)
RESOLUTIONS = st.builds(
    Resolution,
    key=st.sampled_from(["6", "7", "kimai:100", "kimai:101"]),
    reason=st.sampled_from(list(Reason)),
    choice=st.sampled_from(Choice),
    facts_hash=st.sampled_from(["f", "g"]),
    timesheet_id=st.none() | st.just(5),
)


@given(st.lists(LINES, max_size=6), st.lists(RESOLUTIONS, max_size=6))
def test_a_decision_never_touches_a_line_of_other_facts(lines: list[PlanLine], resolutions: list[Resolution]) -> None:
    about = {(one.key, one.reason, one.facts_hash) for one in resolutions}
    for before, after in zip(lines, resolved(lines, resolutions), strict=True):
        meant = (before.key, before.reason, before.facts_hash) in about
        assert after == before or (meant and before.action is Action.REVIEW)
        assert resolved([after], resolutions) == [after]


def test_an_edit_of_a_time_sheet_without_booking_opens_its_decision_again() -> None:
    def stray(**changes: Any) -> PlanLine:
        (found,) = reconciler().day(inputs(timesheets=[ours(**changes)]))
        return found

    waiting = stray()
    kept = decision(waiting, Choice.KEEP)
    assert resolved([stray()], [kept])[0].decided == Choice.KEEP
    assert resolved([stray(minutes=20)], [kept])[0].decided == ""


def test_a_decided_create_is_placed_where_there_is_room() -> None:
    offered = inputs(
        entry(),
        timesheets=[timesheet(description="#50")],
        server=replace(inputs().server, allow_overlapping=False),
    )
    (waiting,) = reconciler().day(offered)
    (result,) = reconciler().day(offered, [decision(waiting, Choice.CREATE)])
    assert result.draft is not None
    assert (result.action, result.draft.span.begin) == (Action.CREATE, timesheet().end)
