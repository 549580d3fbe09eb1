"""The plan's own types: what one day's reconciliation looks at, and the lines it writes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from zk_pipeline.domain.adjustments import Adjustment, OutstandingAdjustment
from zk_pipeline.domain.decision import Action, Difference, Owned, Status
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.ledger import Desired, LedgerRow, Original
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.matching import Candidate
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.records import TargetServer, Timesheet
from zk_pipeline.domain.rounding import ANY, Forecast, Rounding, RoundingSample

MERGE = "merge:"
"""How the keys begin of questions about merged tickets: they stand beside the lines of their bookings."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that a write needs; `span` is where the time sheet will be put."""

    desired: Desired
    span: TimeSpan
    project: ProjectPlan
    description: str
    tags: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The value for the stored plan."""
        return {
            "desired": self.desired.to_json(),
            "begin": self.span.begin.isoformat(),
            "end": self.span.end.isoformat(),
            "project": asdict(self.project),
            "description": self.description,
            "tags": list(self.tags),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Draft":
        """The value out of the stored plan."""
        project: dict[str, Any] = dict(value["project"])
        customer = CustomerPlan(**project.pop("customer"))
        return cls(
            desired=Desired.from_json(value["desired"]),
            span=TimeSpan(datetime.fromisoformat(value["begin"]), datetime.fromisoformat(value["end"])),
            project=ProjectPlan(**project, customer=customer),
            description=value["description"],
            tags=tuple(value["tags"]),
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the plan.

    `source_id` is missing for a time sheet without entry; `minutes` are the entry's; `decided` is what a person
    decided, if anybody did; `owed` is what an adjustment would book, and `again` says that a write which was refused is
    tried again unless a person decided otherwise; `reducible` says of a correction that there are bookings whose time
    it may take back. None of these is stored with the plan. `rounding_minutes` says of a billed booking that is made up
    for how much more than it says is billed for it, since the target rounds.
    """

    entry_date: date
    source_id: str | None
    kimai_id: int | None
    status: Status
    action: Action
    minutes: Decimal
    reason: Reason | None = None
    text: str = ""
    diff: Difference = field(default_factory=dict[str, tuple[str, str]])
    candidates: tuple[Candidate, ...] = ()
    draft: Draft | None = None
    facts_hash: str = ""
    decided: str = ""
    owed: OutstandingAdjustment | None = None
    again: bool = False
    reducible: bool = False
    rounding_minutes: Decimal | None = None

    @property
    def key(self) -> str:
        """What identifies the line within its day."""
        if self.reason is Reason.MERGED_TICKET:
            return f"{MERGE}{self.source_id}"
        if self.source_id is None or self.reason in {Reason.MARKER_CLONED, Reason.BILLED_COPY}:
            return f"kimai:{self.kimai_id}"
        return self.source_id


@dataclass(frozen=True, slots=True)
class SurvivingTicket:
    """The ticket into which that of a booking was merged.

    The evidence is an article of the merged ticket with which time was booked: it lies on the surviving one now.
    """

    merged_number: str
    article_id: int
    ticket_id: int
    number: str
    title: str
    organization_id: int | None
    organization_name: str | None
    customer_name: str | None
    group_id: int | None
    group_name: str | None


@dataclass(frozen=True, slots=True)
class DayInputs:
    """Everything one day's reconciliation looks at.

    `timesheets` are those around the day and those the ledger knows; `ledger` holds the day's entries, bookings of the
    day that are gone, and every other entry to which one of the time sheets belongs;
    `known_sources` are the ids that some stored booking has, whatever its day; `gone` the time sheets that the
    target proved to be deleted; `locked_before` closes all days before it, `closed_months` (by their first days) those
    of closed periods; `adjusted` holds the adjustments of the day's bookings and of strays, by the booking;
    `originals` the time sheets of the bookings, of whatever day, whose markers stand in `timesheets`;
    `reducible` names for each open correction the bookings whose time it may take back, best first; `survivors` are the
    tickets into which those of bookings were merged; `answers` are the newest of the target's to our writes;
    `locked_as` says what time sheets were when they were locked.
    """

    day: date
    entries: Sequence[Entry]
    timesheets: Sequence[Timesheet]
    ledger: Mapping[str, LedgerRow]
    known_sources: frozenset[str]
    gone: frozenset[int]
    server: TargetServer
    today: date
    locked_before: date | None = None
    closed_months: frozenset[date] = frozenset()
    adjusted: Mapping[str, Sequence[Adjustment]] = field(default_factory=dict[str, Sequence[Adjustment]])
    originals: Mapping[str, Original] = field(default_factory=dict[str, Original])
    reducible: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    survivors: Mapping[str, SurvivingTicket] = field(default_factory=dict[str, SurvivingTicket])
    answers: Sequence[RoundingSample] = ()
    locked_as: Mapping[int, Owned] = field(default_factory=dict[int, Owned])

    def bound_to(self, source_id: str) -> int | None:
        """The time sheet that was written for a booking, unless we took it back."""
        ledger = self.ledger.get(source_id)
        return ledger.bound if ledger is not None else None

    def rounding_of(self, source_id: str) -> Rounding:
        """What the target's answers about the day leave possible of its rounding, where a booking's answer was lost."""
        ledger = self.ledger.get(source_id)
        if ledger is None or not ledger.is_unanswered:
            return ANY
        return Rounding.seen_in(row.base for row in self.ledger.values() if row.base is not None)

    def forecast(self, source_id: str) -> Forecast:
        """What the target would make of other times for a booking, by its answers before."""
        ledger = self.ledger.get(source_id)
        near = [row.answer for row in self.ledger.values() if row.answer is not None]
        own = [ledger.answer] if ledger is not None and ledger.answer is not None else []
        return Forecast.of([[*self.answers, *near], near, own])

    def fixed_rate(self, project_id: int | None) -> Decimal | None:
        """What a time sheet of this project costs whatever its length, where one of the day's says so."""
        bases = [row.base for row in self.ledger.values() if row.base is not None]
        rates = (row.fixed_rate for row in bases if row.project_id == project_id)
        return next((rate for rate in rates if rate is not None), None)


def sentence(result: Result) -> str:
    """The reason of a line for people: what it means, the particulars, and the next step."""
    if result.reason is None:
        return result.text
    explanation = EXPLANATIONS[result.reason]
    return " ".join(part for part in (explanation.meaning, result.text, explanation.next_step) if part)
