"""The way of a month to its closing, and how a customer's time differs from the month before."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from zk_pipeline.domain.month_steps import Cause, Finding, MonthFacts, Step, change_of, review_hash, steps_of
from zk_pipeline.domain.periods import StatementTotals
from zk_pipeline.domain.statement import CustomerStatement
from zk_pipeline.domain.statement_rows import Amounts, StatementCustomer, StatementItem, StatementLine

AUGUST = date(2025, 8, 1)
EVEN = StatementTotals(12, 40, Decimal(0), Decimal(0))
READY = MonthFacts(
    month=AUGUST,
    today=date(2025, 9, 1),
    totals=EVEN,
    unread=0,
    read_early=False,
    waiting=0,
    minutes_waiting=Decimal(0),
    customers=3,
    reviewed=3,
    closed=False,
)
ACME = StatementCustomer("Acme", 1)


def found(facts: MonthFacts, **totals: Any) -> dict[Step, Finding]:
    return {state.step: state.finding for state in steps_of(replace(facts, totals=replace(facts.totals, **totals)))}


def test_a_month_of_which_all_is_done_is_ready_and_then_closed() -> None:
    states = found(READY)
    assert states.pop(Step.CLOSED) is Finding.READY
    assert set(states.values()) == {Finding.DONE}
    assert found(replace(READY, closed=True))[Step.CLOSED] is Finding.DONE
    assert [state.is_done for state in steps_of(READY)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("facts", "totals", "expected"),
    [
        (READY, {"lines": None}, Finding.UNMADE),
        (READY, {"lines": 0}, Finding.UNMADE),
        (replace(READY, today=date(2025, 8, 31)), {}, Finding.NOT_OVER),
        (replace(READY, today=date(2025, 8, 31), unread=9), {"stale_days": [AUGUST]}, Finding.STALE),
        (replace(READY, unread=2, read_early=True), {"stale_days": [AUGUST]}, Finding.UNREAD),
        (replace(READY, read_early=True), {"asked_days": [AUGUST]}, Finding.REQUESTED),
        (replace(READY, read_early=True), {"stale_days": [AUGUST]}, Finding.READ_EARLY),
        (READY, {"stale_days": [AUGUST]}, Finding.STALE),
    ],
)
def test_what_is_to_be_done_first_until_everything_is_synced(
    facts: MonthFacts, totals: dict[str, Any], expected: Finding
) -> None:
    assert found(facts, **totals)[Step.SYNCED] is expected


@pytest.mark.parametrize(
    ("waiting", "minutes", "totals", "told"),
    [
        (3, Decimal(45), EVEN, (Finding.OPEN, 3, Decimal(45))),
        (1, Decimal(15), replace(EVEN, questions=4, minutes_in_question=Decimal(90)), (Finding.OPEN, 1, Decimal(15))),
        (1, Decimal(0), replace(EVEN, corrections_open=Decimal(30)), (Finding.OPEN, 1, Decimal(0))),
        (0, Decimal(0), replace(EVEN, questions=2, minutes_in_question=Decimal(45)), (Finding.QUESTIONS, 2, 0)),
    ],
)
def test_what_waits_is_told_in_minutes_and_may_be_closed_with(
    waiting: int, minutes: Decimal, totals: StatementTotals, told: tuple[Finding, int, Decimal]
) -> None:
    facts = replace(READY, waiting=waiting, minutes_waiting=minutes, totals=totals)
    states = {state.step: state for state in steps_of(facts)}
    state = states[Step.DECIDED]
    assert (state.finding, state.number, state.minutes) == told
    assert states[Step.CLOSED].finding is Finding.WITH_WAITING


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        ({"minutes_unexplained": Decimal("0.5")}, Finding.UNEXPLAINED),
        ({"lost_in_netting": Decimal(1)}, Finding.NETTING),
    ],
)
def test_a_minute_that_is_not_explained_blocks_the_closing(totals: dict[str, Any], expected: Finding) -> None:
    states = found(READY, **totals)
    assert (states[Step.BALANCED], states[Step.CLOSED]) == (expected, Finding.BLOCKED)


def test_before_the_statement_nothing_else_is_known_and_without_customers_nothing_is_to_be_reviewed() -> None:
    states = found(READY, lines=None)
    assert {states[step] for step in (Step.DECIDED, Step.BALANCED, Step.REVIEWED)} == {Finding.LATER}
    assert states[Step.CLOSED] is Finding.BLOCKED
    assert found(replace(READY, customers=0, reviewed=0))[Step.REVIEWED] is Finding.NOBODY


def test_customers_not_reviewed_are_counted_and_do_not_block() -> None:
    states = {state.step: state for state in steps_of(replace(READY, reviewed=1))}
    assert (states[Step.REVIEWED].finding, states[Step.REVIEWED].number) == (Finding.OPEN, 2)
    assert states[Step.CLOSED].finding is Finding.READY


def item(minutes: int, *, agent: str = "Anna", activity: str = "Support", ticket: str = "1") -> StatementItem:
    return StatementItem(
        customer=ACME,
        day=AUGUST,
        ticket=ticket,
        title="VPN",
        agent=agent,
        agent_email="",
        activity=activity,
        minutes=Decimal(minutes),
        billable=True,
        amount=None,
        currency="EUR",
        booking=ticket,
        timesheet=int(ticket),
    )


def account(*items: StatementItem) -> CustomerStatement:
    minutes = sum((each.minutes for each in items), Decimal(0))
    line = StatementLine(ACME, "Anna", "", "Support", Amounts(1, zammad=minutes, kimai=minutes))
    return CustomerStatement(ACME, (line,), items=items)


def test_a_change_names_the_person_activity_and_ticket_that_changed_most_in_its_direction() -> None:
    now = account(item(300, agent="Ben", ticket="2"), item(60, activity="Travel", ticket="3"), item(30))
    change = change_of(now, account(item(90), item(60, activity="Phone", ticket="4")))
    assert (change.now, change.before, change.minutes, change.percent) == (390, 150, 240, 160)
    assert change.person == Cause("Ben", Decimal(300))
    assert change.activity == Cause("Support", Decimal(240))
    assert change.ticket == Cause("2", Decimal(300))


def test_less_time_has_causes_that_became_less_and_a_single_person_is_no_cause() -> None:
    change = change_of(account(item(30)), account(item(90), item(15, ticket="2")))
    assert (change.minutes, change.percent) == (-75, -71)
    assert (change.person, change.activity, change.ticket) == (None, None, Cause("1", Decimal(-60)))


def test_the_same_time_has_no_cause_and_a_new_customer_no_percent() -> None:
    assert change_of(account(item(30)), account(item(30, ticket="2"))).ticket is None
    assert change_of(account(item(30)), None).percent is None


def test_a_review_holds_for_names_that_change_and_lapses_with_the_minutes() -> None:
    seen = review_hash(account(item(30), item(15, ticket="2")))
    assert review_hash(account(item(15, ticket="2", agent="A person"), item(30))) == seen
    assert review_hash(account(item(30), item(16, ticket="2"))) != seen
    assert review_hash(account(item(30), item(15, ticket="3"))) != seen
