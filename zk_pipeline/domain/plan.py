"""The types of the plan: the inputs of one day's reconciliation, and the lines it produces."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from zk_pipeline.domain.adjustments import Adjustment, OutstandingAdjustment
from zk_pipeline.domain.decision import Action, Difference, Owned, Status
from zk_pipeline.domain.entries import Entry, stable_hash
from zk_pipeline.domain.ledger import Desired, LedgerRow, Original
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.matching import Candidate
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.records import TargetServer, Timesheet, TimesheetDraft
from zk_pipeline.domain.rounding import ANY, Forecast, Rounding, RoundingSample

MERGE = "merge:"
"""Prefix of the keys of questions about merged tickets, which stand next to the lines of their bookings."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything that a write needs; `span` is where the time sheet will be placed.

    `obstacles` are reasons why the target may refuse it, as sentences. They are not stored with the plan.
    """

    desired: Desired
    span: TimeSpan
    project: ProjectPlan
    description: str
    tags: tuple[str, ...]
    obstacles: str = field(default="", compare=False)

    @property
    def facts_hash(self) -> str:
        """Identifies a refusal of this write: it changes with the wanted values and with the obstacles."""
        return stable_hash({"desired": self.desired.hash, "obstacles": self.obstacles})

    def timesheet(self) -> TimesheetDraft:
        """The body of a new time sheet."""
        return TimesheetDraft(
            user_id=self.desired.user_id,
            project_id=self.desired.project_id or 0,
            activity_id=self.desired.activity_id,
            begin=self.span.begin,
            end=self.span.end,
            description=self.description,
            tags=self.tags,
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON for the stored plan."""
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
        """From the stored plan's JSON."""
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
class PlanLine:
    """One line of the plan.

    `source_id` is missing for a time sheet without entry; `minutes` are the entry's. `decided` is a person's decision,
    `owed` what an adjustment would book; `again` says that a refused write is tried again unless a person decided
    otherwise; `reducible` says that a correction has bookings whose time it can take back. These four are not stored
    with the plan. `rounding_minutes` is how much more than the booking says is billed for an adjusted booking, because
    the target rounds.
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
    def entry_id(self) -> str:
        """The id of the entry that the line is for; empty for a time sheet without entry."""
        return self.source_id or ""

    @property
    def to_write(self) -> Draft:
        """The draft of a line that is written. Raises `ValueError` if the plan has none."""
        if self.draft is None:
            raise ValueError(f"The plan's line {self.key} of {self.entry_date} is to be written but has no draft.")
        return self.draft

    @property
    def key(self) -> str:
        """Identifies the line within its day."""
        if self.reason is Reason.MERGED_TICKET:
            return f"{MERGE}{self.source_id}"
        if self.source_id is None or self.reason in {Reason.MARKER_CLONED, Reason.BILLED_COPY}:
            return f"kimai:{self.kimai_id}"
        return self.source_id


@dataclass(frozen=True, slots=True)
class SurvivingTicket:
    """The ticket into which a booking's ticket was merged.

    The evidence is an article of the merged ticket with which time was booked: it now belongs to the surviving ticket.
    """

    merged_number: str
    article_id: str
    ticket_id: str
    number: str
    title: str
    organization_id: str | None
    organization_name: str | None
    customer_name: str | None
    group_id: str | None
    group_name: str | None


@dataclass(frozen=True, slots=True)
class DayInputs:
    """The inputs of one day's reconciliation.

    `timesheets` are those around the day and those in the ledger. `ledger` has the day's entries, bookings of the day
    that are gone, and every other entry that owns one of the time sheets. `known_sources` are the ids of all stored
    bookings; `gone` are time sheets that the target proved to be deleted. `locked_before` closes all days before it,
    `closed_months` (by their first days) those of closed periods. `adjusted` has the adjustments of the day's bookings
    and of strays, by booking; `originals` the time sheets, of any day, of the bookings whose markers are in
    `timesheets`; `reducible` for each open correction the bookings whose time it can take back, best first; `survivors`
    the tickets into which those of bookings were merged; `answers` the target's newest answers to our writes;
    `locked_as` the state of time sheets when they were locked.
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
        """The id of a booking's time sheet, unless we took it back."""
        ledger = self.ledger.get(source_id)
        return ledger.bound if ledger is not None else None

    def rounding_of(self, source_id: str) -> Rounding:
        """The rounding that the target's answers of the day leave possible, if a booking's answer was lost."""
        ledger = self.ledger.get(source_id)
        if ledger is None or not ledger.is_unanswered:
            return ANY
        return Rounding.seen_in(row.base for row in self.ledger.values() if row.base is not None)

    def forecast(self, source_id: str) -> Forecast:
        """What the target would make of other times for a booking, judged by its earlier answers."""
        ledger = self.ledger.get(source_id)
        near = [row.answer for row in self.ledger.values() if row.answer is not None]
        own = [ledger.answer] if ledger is not None and ledger.answer is not None else []
        return Forecast.of([[*self.answers, *near], near, own])

    def fixed_rate(self, project_id: int | None) -> Decimal | None:
        """The fixed price of a time sheet of this project, if one of the day's has one."""
        bases = [row.base for row in self.ledger.values() if row.base is not None]
        rates = (row.fixed_rate for row in bases if row.project_id == project_id)
        return next((rate for rate in rates if rate is not None), None)


def sentence(result: PlanLine) -> str:
    """The reason of a line for people: what it means, the details, and the next step."""
    if result.reason is None:
        return result.text
    explanation = EXPLANATIONS[result.reason]
    return " ".join(part for part in (explanation.meaning, result.text, explanation.next_step) if part)
