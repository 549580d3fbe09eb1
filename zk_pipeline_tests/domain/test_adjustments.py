"""Whatever happens to a booking after closing: closed minutes, adjustments and credits are what it says."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.domain.adjustments import Adjustment, entry_of, is_adjustment
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.entries import Entry, SyncStatus
from zk_pipeline.domain.mapping import Mappings
from zk_pipeline.domain.plan import DayInputs, PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.reconcile import Reconciler
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.resolutions import Choice, Resolution, resolved
from zk_pipeline.domain.rounding import DEFAULT, RoundingRule, RoundingSample, TimesheetTimes
from zk_pipeline_tests.domain.builders import (
    ACME,
    ACME_PROJECT,
    ANNA,
    BEN,
    DAY,
    POLICY,
    SUPPORT,
    TRAVEL,
    at,
    desired,
    entry,
    excluded,
    inputs,
    ledger_row,
    ours,
    resolver,
    target_directory,
    timesheet,
)

CLOSED = frozenset({DAY.replace(day=1)})
LATER = date(2025, 10, 1)
GLOBEX_PROJECT = replace(ACME_PROJECT, id=41, name="Globex", number="ZO8", customer_id=31)
DIRECTORY = target_directory(
    customers=(ACME, replace(ACME, id=31, name="Globex", number="zammad-org-8")),
    projects=(ACME_PROJECT, GLOBEX_PROJECT),
)
MAPPINGS = Mappings(activities={("3", None): SUPPORT.id, ("4", None): TRAVEL.id})
RECONCILER = Reconciler("zammad", resolver(DIRECTORY, MAPPINGS), POLICY)
PROJECTS = {"7": ACME_PROJECT.id, "8": GLOBEX_PROJECT.id}
USERS = {"1": ANNA, "2": BEN}
ACTIVITIES = {"3": SUPPORT.id, "4": TRAVEL.id}

Side = tuple[int, int, int]


@dataclass
class Month:
    """A closed month with one booking, which may have been in Kimai, and what was adjusted since."""

    booking: Entry | None
    sheet: Timesheet | None = field(default_factory=ours)
    made: list[Adjustment] = field(default_factory=list[Adjustment])
    closed: frozenset[date] = CLOSED
    rule: RoundingRule = DEFAULT

    def __post_init__(self) -> None:
        """The target made of the time sheet what its rounding makes of it."""
        if self.sheet is not None:
            self.sheet = replace(self.sheet, duration_seconds=self.billed(self.sheet.duration_seconds))

    def billed(self, seconds: int) -> int:
        """What a booking of so many seconds is billed as."""
        return self.rule.billed(int(at("2025-08-16T08:00").timestamp()), seconds)

    def answers(self) -> list[RoundingSample]:
        """What the target made of other time sheets."""
        begin = int(at("2025-08-16T08:00").timestamp())
        lengths = [60 * minutes for minutes in (4, 8, 10, 15, 50)]
        return [RoundingSample(begin, each, TimesheetTimes(begin, begin + each, self.billed(each))) for each in lengths]

    def facts(self) -> DayInputs:
        return inputs(
            *([self.booking] if self.booking else []),
            ledger=(ledger_row(base=self.sheet),) if self.sheet else (),
            timesheets=(self.sheet,) if self.sheet else (),
            closed_months=self.closed,
            adjusted={"6": self.made} if self.made else {},
            answers=self.answers(),
        )

    def line(self, decisions: Sequence[Resolution] = ()) -> PlanLine | None:
        lines = RECONCILER.day(self.facts(), decisions)
        assert len(lines) <= 1
        return lines[0] if lines else None

    def adjust(self) -> PlanLine | None:
        """Decide `adjust` where somebody is asked, as the stage does; the line as it was decided."""
        waiting = self.line()
        if waiting is None or waiting.action is not Action.REVIEW:
            return waiting
        assert waiting.reason is not None
        decided = self.line([Resolution(waiting.key, waiting.reason, Choice.ADJUST, waiting.facts_hash)])
        assert decided is not None
        assert decided.owed is not None
        assert (decided.action, decided.decided) == (Action.NONE, Choice.ADJUST)
        for amount in decided.owed.amounts:
            row = Adjustment(
                id=len(self.made) + 1,
                source="zammad",
                source_id=decided.owed.source_id,
                kimai_id=decided.owed.kimai_id,
                original_day=DAY,
                minutes=amount.minutes,
                reason=decided.owed.reason,
                entry_date=LATER,
                begin_at=at("2025-10-01T08:00"),
                decided_at=at("2025-10-01T12:00"),
                side=amount.side,
                original=decided.owed.entry,
            )
            self.made.append(row)
        return decided

    def booked(self) -> Counter[Side]:
        """Seconds in Kimai's closed month, of adjustments and of credits, by side."""
        sums: Counter[Side] = Counter()
        if self.sheet is not None:
            row = self.sheet
            sums[row.user_id, row.project_id, row.activity_id] += row.duration_seconds
        for adjustment in self.made:
            side = adjustment.side
            sums[side.user_id, side.project_id or 0, side.activity_id] += adjustment.holding.seconds
        return Counter({side: seconds for side, seconds in sums.items() if seconds})


def wanted(booking: Entry | None, rule: RoundingRule = DEFAULT) -> Counter[Side]:
    """Seconds that Kimai would bill for what Zammad says, by side."""
    if booking is None or not booking.time_minutes:
        return Counter()
    side = (
        USERS[booking.agent_id].id,
        PROJECTS[booking.organization_id or ""],
        ACTIVITIES[booking.activity_type_id or ""],
    )
    seconds = rule.billed(int(booking.begin_at.timestamp()), int(booking.time_minutes * 60))
    return Counter({side: seconds} if seconds else {})


BOOKINGS = st.none() | st.builds(
    lambda minutes, organization, agent, kind: entry(
        minutes=minutes,
        organization_id=organization,
        agent_id=agent,
        user_email=USERS[agent].email,
        activity_type_id=kind,
        sync_status=SyncStatus.PENDING if Decimal(minutes) else SyncStatus.EXCLUDED,
    ),
    st.sampled_from(["0", "15", "0.25", "18", "60.5", "90"]),
    st.sampled_from(["7", "8"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from(["3", "4"]),
)


RULES = [
    DEFAULT,
    RoundingRule("default", 1, 1, 15),
    RoundingRule("ceil", 1, 1, 6),
    RoundingRule("closest", 1, 1, 10),
    RoundingRule("floor", 1, 1, 5),
]


@given(st.lists(BOOKINGS, min_size=1, max_size=8), st.booleans(), st.booleans(), st.sampled_from(RULES))
def test_closed_minutes_adjustments_and_credits_are_what_kimai_would_have_billed(
    edits: list[Entry | None], was_in_kimai: bool, reopened: bool, rule: RoundingRule
) -> None:
    month = Month(entry(), sheet=ours() if was_in_kimai else None, rule=rule)
    month.adjust()
    closed = month.sheet
    for edit in edits:
        month.booking = edit
        month.adjust()
        assert month.booked() == wanted(edit, rule)
        assert month.sheet == closed
        if reopened and month.made:
            month.closed = frozenset()
        quiet = month.line()
        assert quiet is None or quiet.action in {Action.NONE, Action.LINK}


@pytest.mark.parametrize(
    ("edit", "minutes", "reason"),
    [
        (entry(minutes="60"), [45], "The booking says 60 min, 15 min are billed or adjusted."),
        (entry(minutes="5"), [-10], "The booking says 5 min, 15 min are billed or adjusted."),
        (excluded(booked="15"), [-15], "The booking is gone or was corrected to zero, 15 min are billed or adjusted."),
        (None, [-15], "The booking is gone or was corrected to zero, 15 min are billed or adjusted."),
        (
            entry(organization_id="8", organization_name="Globex"),
            [-15, 15],
            "The booking moved to another person, project or activity, 15 min are billed or adjusted.",
        ),
    ],
    ids=["more", "less", "corrected to zero", "deleted", "moved"],
)
def test_each_change_owes_its_difference_and_says_why(edit: Entry | None, minutes: list[int], reason: str) -> None:
    month = Month(edit)
    waiting = month.line()
    assert waiting is not None
    assert (waiting.action, waiting.reason) == (Action.REVIEW, Reason.BILLED)
    assert waiting.owed is not None
    assert [amount.minutes for amount in waiting.owed.amounts] == minutes
    assert waiting.owed.reason == reason
    assert reason in waiting.text


QUARTERS = RoundingRule("default", 1, 1, 15)


@pytest.mark.parametrize(
    ("edit", "minutes"),
    [
        (entry(minutes="28"), []),
        (entry(minutes="31"), [15]),
        (entry(minutes="15"), [-15]),
        (None, [-30]),
        (entry(minutes="20", organization_id="8", organization_name="Globex"), [-30, 30]),
    ],
    ids=["rounded to the same", "more", "less", "deleted", "moved"],
)
def test_what_is_owed_is_the_difference_of_what_kimai_bills(edit: Entry | None, minutes: list[int]) -> None:
    sheet = ours(minutes=20)
    month = Month(edit, sheet=sheet, rule=QUARTERS)
    asked = ledger_row(base=month.sheet, asked=desired(seconds=20 * 60))
    (line,) = RECONCILER.day(replace(month.facts(), ledger={"6": asked}))
    assert ([amount.minutes for amount in line.owed.amounts] if line.owed else []) == minutes
    if not minutes:
        assert (line.action, line.reason, line.rounding_minutes) == (Action.NONE, Reason.ADJUSTED, 2)
        assert line.text == "The booking says 28 min, which Kimai rounds to 30, 30 min are billed or adjusted."


def test_an_adjustment_that_kimai_would_round_names_both_amounts() -> None:
    linked = replace(ours(), duration_seconds=20 * 60)
    facts = replace(Month(entry(minutes="28"), rule=QUARTERS).facts(), timesheets=[linked])
    (line,) = RECONCILER.day(replace(facts, ledger={"6": ledger_row(base=linked, operation="link")}))
    assert line.action is Action.REVIEW
    assert "To be adjusted: +10 min. Kimai would round the 10 min to 15." in line.text


def test_an_adjustment_under_a_fixed_rate_names_what_it_costs() -> None:
    month = Month(entry(minutes="60"))
    flat = ledger_row(base=replace(ours(), fixed_rate=Decimal(120)))
    (line,) = RECONCILER.day(replace(month.facts(), ledger={"6": flat}))
    assert "The project has a fixed rate: a time sheet of 45 min costs 120 once more, whatever its length." in line.text


def test_where_the_rounding_is_not_certain_all_amounts_are_named() -> None:
    month = Month(entry(minutes="60"))
    begin = int(at("2025-08-16T08:00").timestamp())
    seen = [RoundingSample(begin, 20 * 60, TimesheetTimes(begin, begin + 20 * 60, 30 * 60))]
    (line,) = RECONCILER.day(replace(month.facts(), ledger={"6": ledger_row(operation="link")}, answers=seen))
    assert line.owed is not None
    assert [amount.minutes for amount in line.owed.amounts] == [45]
    (line,) = RECONCILER.day(replace(month.facts(), entries=[entry(minutes="35")], ledger={}, answers=seen))
    assert "By what is known of Kimai's rounding it may also bill" in line.text
    (line,) = RECONCILER.day(
        replace(
            month.facts(),
            ledger={},
            answers=[*seen, RoundingSample(begin, 20 * 60, TimesheetTimes(begin, begin + 900, 61))],
        )
    )
    assert "How Kimai rounds is not known." in line.text


def test_what_the_target_made_of_an_adjustment_counts() -> None:
    month = Month(entry(minutes="60"))
    month.adjust()
    month.made = [replace(made, billed_seconds=3000) for made in month.made]
    waiting = month.line()
    assert waiting is not None
    assert waiting.owed is not None
    assert [amount.minutes for amount in waiting.owed.amounts] == [-5]


def test_what_was_edited_in_the_target_before_it_was_billed_counts_as_billed() -> None:
    edited = replace(ours(), duration_seconds=2700)
    (waiting,) = RECONCILER.day(replace(Month(entry(minutes="60")).facts(), timesheets=[edited]))
    assert waiting.owed is not None
    assert [amount.minutes for amount in waiting.owed.amounts] == [15]


def test_a_difference_that_was_written_off_stays_so_although_the_time_sheet_was_rounded() -> None:
    month = Month(entry(minutes="60"), rule=QUARTERS)
    month.adjust()
    month.booking = entry(minutes="80")
    waiting = month.line()
    assert waiting is not None
    kept = ledger_row(base=month.sheet, operation="link", facts_hash=waiting.facts_hash)
    assert RECONCILER.day(replace(month.facts(), ledger={"6": kept}))[0].action is Action.NONE


def test_an_adjusted_booking_takes_the_copy_of_its_deleted_time_sheet() -> None:
    month = Month(entry(minutes="60"))
    month.adjust()
    copy = ours(101)
    facts = replace(month.facts(), timesheets=[copy], gone=frozenset({100}))
    (line,) = RECONCILER.day(facts)
    assert (line.action, line.kimai_id, line.reason) == (Action.LINK, 101, Reason.ADJUSTED)
    assert line.draft is not None
    deleted = replace(
        facts, entries=[], known_sources=frozenset(), adjusted={"6": [replace(month.made[0], minutes=Decimal(-15))]}
    )
    (line,) = RECONCILER.day(deleted)
    assert (line.action, line.kimai_id, line.reason) == (Action.REVIEW, 101, Reason.BILLED)


def test_a_booking_in_a_closed_month_owes_all_of_itself() -> None:
    waiting = Month(entry(), sheet=None).line()
    assert waiting is not None
    assert (waiting.status, waiting.reason) == (Status.MISSING, Reason.LOCKED_PERIOD)
    assert waiting.owed is not None
    assert [amount.minutes for amount in waiting.owed.amounts] == [15]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"timesheets": (timesheet(200, description="Ticket #50 Printer on fire"),)}, "Candidates: time sheet 200"),
        ({"ledger": (ledger_row(base=ours()),), "gone": frozenset({ours().id})}, "was deleted in Kimai."),
    ],
    ids=["typed by hand", "deleted in Kimai"],
)
def test_what_cannot_be_linked_or_created_in_a_closed_month_can_be_adjusted(found: dict[str, Any], told: str) -> None:
    (line,) = RECONCILER.day(inputs(entry(), closed_months=CLOSED, **found))
    assert line.reason is Reason.LOCKED_PERIOD
    assert told in line.text
    assert line.owed is not None
    assert [amount.minutes for amount in line.owed.amounts] == [15]
    decided = Resolution(line.key, Reason.LOCKED_PERIOD, Choice.ADJUST, line.facts_hash)
    assert resolved([line], [decided])[0].action is Action.NONE


def test_a_customer_that_is_renamed_owes_nothing() -> None:
    line = Month(entry(organization_name="Acme International", ticket_title="Another title")).line()
    assert line is not None
    assert (line.status, line.action) == (Status.IN_SYNC, Action.NONE)


def test_what_was_adjusted_is_never_created_or_updated_when_its_month_is_opened() -> None:
    for sheet in (ours(), None):
        month = Month(entry(minutes="60"), sheet=sheet)
        month.adjust()
        month.closed = frozenset()
        month.booking = entry(minutes="90")
        waiting = month.line()
        assert waiting is not None
        assert (waiting.action, waiting.reason) == (Action.REVIEW, Reason.BILLED)
        month.adjust()
        assert month.booked() == wanted(month.booking)


def test_a_change_of_mind_asks_again_and_counts_from_the_sum() -> None:
    month = Month(entry(minutes="60"))
    for minutes in ("60", "15", "60"):
        month.booking = entry(minutes=minutes)
        month.adjust()
    assert [adjustment.minutes for adjustment in month.made] == [45, -45, 45]


def test_a_difference_that_a_person_wrote_off_stays_so_until_the_booking_changes() -> None:
    month = Month(entry(minutes="60"))
    month.adjust()
    month.booking = entry(minutes="75")
    waiting = month.line()
    assert waiting is not None
    row = replace(ledger_row(), facts_hash=waiting.facts_hash)
    kept = replace(month.facts(), ledger={"6": row})
    assert RECONCILER.day(kept)[0].action is Action.NONE
    changed = replace(kept, entries=[entry(minutes="80")])
    assert RECONCILER.day(changed)[0].action is Action.REVIEW


def test_where_no_minutes_differ_adjust_agrees_to_the_time_sheet() -> None:
    month = Month(entry(begin="2025-08-16T09:00"))
    waiting = month.line()
    assert waiting is not None
    assert waiting.reason is Reason.BILLED
    decided = month.line([Resolution("6", Reason.BILLED, Choice.ADJUST, waiting.facts_hash)])
    assert decided is not None
    assert (decided.action, decided.decided) == (Action.LINK, Choice.KEEP)


def test_the_entry_of_an_adjustment_names_the_original_and_carries_its_own_marker() -> None:
    month = Month(entry(minutes="60"))
    month.adjust()
    (made,) = month.made
    assert made.original is not None
    found = entry_of(made, made.original)
    assert is_adjustment(found.source_id)
    assert found.description == (
        "Adjustment for Ticket #50 of 2025-08-16 (time sheet 100): "
        "The booking says 60 min, 15 min are billed or adjusted. [zk-zammad-a1]"
    )
    assert (found.entry_date, found.time_minutes, found.booked_minutes) == (LATER, 45, 0)
    assert found.end_at - found.begin_at == at("2025-10-01T08:45") - at("2025-10-01T08:00")


def test_an_adjustment_is_planned_beside_bookings_as_one_of_them() -> None:
    month = Month(entry(minutes="60"))
    month.adjust()
    (made,) = month.made
    assert made.original is not None
    adjustment = entry_of(made, made.original)
    facts = replace(inputs(adjustment, entry("7", begin="2025-10-01T09:00")), day=LATER)
    assert [(line.source_id, line.action) for line in RECONCILER.day(facts)] == [
        ("7", Action.CREATE),
        ("a1", Action.CREATE),
    ]
