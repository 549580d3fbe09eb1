"""The way of a month to its closing: five steps, and how a customer's time differs from the month before."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from zk_pipeline.domain.periods import StatementTotals, closing_obstacles, fingerprint, last_day
from zk_pipeline.domain.statement import CustomerStatement, plain
from zk_pipeline.domain.statement_rows import ZERO, StatementItem


class Step(StrEnum):
    """The steps in their order."""

    SYNCED = "synced"
    DECIDED = "decided"
    BALANCED = "balanced"
    REVIEWED = "reviewed"
    CLOSED = "closed"


class Finding(StrEnum):
    """What was found for a step. `DONE` finishes it; `LATER` depends on an earlier one."""

    DONE = "done"
    LATER = "later"
    NOT_OVER = "not_over"
    UNREAD = "unread"
    READ_EARLY = "read_early"
    REQUESTED = "requested"
    UNMADE = "unmade"
    STALE = "stale"
    OPEN = "open"
    QUESTIONS = "questions"
    UNEXPLAINED = "unexplained"
    NETTING = "netting"
    NOBODY = "nobody"
    BLOCKED = "blocked"
    WITH_WAITING = "with_waiting"
    READY = "ready"


_FINISHED = frozenset({Finding.DONE, Finding.NOBODY})


@dataclass(frozen=True, slots=True)
class StepState:
    """A step and what was found for it, with the days, conflicts or customers, and the minutes, that it is about."""

    step: Step
    finding: Finding
    number: int = 0
    minutes: Decimal = ZERO

    @property
    def is_done(self) -> bool:
        """Whether nothing is left of it."""
        return self.finding in _FINISHED


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What the steps go by.

    `unread` days were never read completely on both sides. `read_early` says that some day was last read before the
    month was over. `waiting` bookings with `minutes_waiting` are neither in the target nor left out. `customers` have
    time in the month, of which `reviewed` were.
    """

    month: date
    today: date
    totals: StatementTotals
    unread: int
    read_early: bool
    waiting: int
    minutes_waiting: Decimal
    customers: int
    reviewed: int
    closed: bool

    @property
    def in_question(self) -> bool:
        """Whether a booking waits, or anything else of the month is undecided."""
        return bool(self.waiting or self.totals.in_question)


def steps_of(facts: MonthFacts) -> tuple[StepState, ...]:
    """The steps with what was found for each."""
    return (_synced(facts), _decided(facts), _balanced(facts), _reviewed(facts), _closed(facts))


def _synced(facts: MonthFacts) -> StepState:
    """Before the statement was made nothing else is known. Of a month that is not over only its age counts."""
    totals = facts.totals
    found = Finding.DONE, last_day(facts.month).day
    if totals.lines is None or (totals.entries and not totals.lines):
        found = Finding.UNMADE, 0
    elif last_day(facts.month) >= facts.today:
        found = (Finding.STALE, len(totals.stale_days)) if totals.stale_days else (Finding.NOT_OVER, 0)
    elif facts.unread:
        found = Finding.UNREAD, facts.unread
    elif totals.asked_days:
        found = Finding.REQUESTED, len(totals.asked_days)
    elif facts.read_early:
        found = Finding.READ_EARLY, 0
    elif totals.stale_days:
        found = Finding.STALE, len(totals.stale_days)
    return StepState(Step.SYNCED, *found)


def _decided(facts: MonthFacts) -> StepState:
    """What waits is counted as on Home; questions only where they are about no booking that waits."""
    if facts.totals.lines is None:
        return StepState(Step.DECIDED, Finding.LATER)
    if facts.waiting:
        return StepState(Step.DECIDED, Finding.OPEN, facts.waiting, facts.minutes_waiting)
    if facts.in_question:
        return StepState(Step.DECIDED, Finding.QUESTIONS, max(facts.totals.questions, 1))
    return StepState(Step.DECIDED, Finding.DONE)


def _balanced(facts: MonthFacts) -> StepState:
    totals = facts.totals
    if totals.lines is None:
        return StepState(Step.BALANCED, Finding.LATER)
    if totals.minutes_unexplained:
        return StepState(Step.BALANCED, Finding.UNEXPLAINED, minutes=totals.minutes_unexplained)
    if totals.lost_in_netting:
        return StepState(Step.BALANCED, Finding.NETTING, minutes=totals.lost_in_netting)
    return StepState(Step.BALANCED, Finding.DONE)


def _reviewed(facts: MonthFacts) -> StepState:
    if facts.totals.lines is None:
        return StepState(Step.REVIEWED, Finding.LATER)
    if not facts.customers:
        return StepState(Step.REVIEWED, Finding.NOBODY)
    left = facts.customers - facts.reviewed
    return StepState(Step.REVIEWED, Finding.OPEN if left else Finding.DONE, left or facts.customers)


def _closed(facts: MonthFacts) -> StepState:
    """Reviewing is not needed for closing, only what would make the closed statement wrong."""
    if facts.closed:
        return StepState(Step.CLOSED, Finding.DONE)
    if closing_obstacles(facts.month, facts.totals, facts.today, with_waiting=True):
        return StepState(Step.CLOSED, Finding.BLOCKED)
    return StepState(Step.CLOSED, Finding.WITH_WAITING if facts.in_question else Finding.READY)


# What a person reviewed of a customer, and how it differs from the month before.


@dataclass(frozen=True, slots=True)
class Cause:
    """A person, an activity or a ticket with the minutes by which it changed."""

    name: str
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class MonthChange:
    """A customer's time in the target in a month and in the one before, with the largest causes of the difference.

    There is at most one cause of each kind, and none that changed the other way. `person` or `activity` is missing
    where there was only one in both months, since it says nothing then.
    """

    now: Decimal
    before: Decimal
    person: Cause | None = None
    activity: Cause | None = None
    ticket: Cause | None = None

    @property
    def minutes(self) -> Decimal:
        """By how much it is more, or less if negative."""
        return self.now - self.before

    @property
    def percent(self) -> int | None:
        """The same in percent of the month before; `None` if that has no time, or less than none."""
        return round(self.minutes * 100 / self.before) if self.before > 0 else None


def change_of(now: CustomerStatement, before: CustomerStatement | None) -> MonthChange:
    """How the time of a customer changed."""
    earlier = before.items if before else ()
    was = before.kimai_in_all if before else ZERO
    difference = now.kimai_in_all - was
    if not difference:
        return MonthChange(now.kimai_in_all, was)

    def largest(name: Callable[[StatementItem], str], least: int) -> Cause | None:
        changed: defaultdict[str, Decimal] = defaultdict(Decimal)
        for sign, items in ((1, now.items), (-1, earlier)):
            for item in items:
                changed[name(item)] += sign * item.minutes
        same = [Cause(key, minutes) for key, minutes in changed.items() if key and minutes * difference > 0]
        return max(same, key=lambda cause: (abs(cause.minutes), cause.name)) if same and len(changed) >= least else None

    return MonthChange(
        now.kimai_in_all,
        was,
        person=largest(lambda item: item.agent, 2),
        activity=largest(lambda item: item.activity, 2),
        ticket=largest(lambda item: item.ticket, 1),
    )


def review_hash(account: CustomerStatement) -> str:
    """The hash of what was reviewed: the minutes of a customer and of each time sheet. Names may change."""
    return fingerprint(
        {
            "minutes": {name: plain(minutes) for name, minutes in account.total.parts.items()},
            "items": _placed(account.items),
        }
    )


def _placed(items: Sequence[StatementItem]) -> list[list[str | int]]:
    return sorted(
        [str(item.day), item.booking, item.timesheet, item.origin or "", plain(item.minutes)] for item in items
    )
