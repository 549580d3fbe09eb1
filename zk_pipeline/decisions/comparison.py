"""The lines of a plan with booking and time sheet side by side, and one line field by field."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from zk_pipeline.decisions import lists
from zk_pipeline.decisions.lists import LineFilter
from zk_pipeline.domain.decision import difference
from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.ledger import Desired
from zk_pipeline.domain.matching import Tier
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.records import TargetDirectory, Timesheet
from zk_pipeline.domain.rounding import WHOLE_MINUTES
from zk_pipeline.identity.actors import UnknownError
from zk_pipeline.runtime.links import Links
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import entries, plans, target
from zk_pipeline.store.connectors import active_connectors

# Booking and time sheet, field by field.


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """One field of both sides. `differs` is set only if both are known and the field is ours."""

    field: str
    wanted: str
    found: str
    differs: bool = False


INSTANT = "%Y-%m-%d %H:%M:%S"
"""How times are written in a comparison, in the business zone."""

NO_NAMES = ("(no organization)", "(no type)", "unknown (", "a new project (")
"""How the values of `DisplayNames` begin that are words of ours; all others are names and texts of people."""


class DisplayNames:
    """Shows ids of the target with their names, and times in the business zone."""

    def __init__(self, directory: TargetDirectory | None, zone: ZoneInfo) -> None:
        self._zone = zone
        self._users = {row.id: row.username for row in directory.users} if directory else {}
        self._projects = {row.id: row.name for row in directory.projects} if directory else {}
        self._activities = {row.id: row.name for row in directory.activities} if directory else {}
        payers = {row.id: row.name for row in directory.customers} if directory else {}
        of_project = {row.id: payers.get(row.customer_id, "") for row in directory.projects} if directory else {}
        self._customers: dict[int, str] = of_project

    def customer_of(self, row: Timesheet | None) -> str:
        """The customer of a time sheet; empty if unknown."""
        return self._customers.get(row.project_id, "") if row else ""

    def of_desired(self, desired: Desired) -> dict[str, str]:
        """The fields that we write, as requested."""
        project = self._projects.get(desired.project_id or 0)
        number = desired.project_id or desired.project_number
        return {
            "user": _named(self._users.get(desired.user_id), desired.user_id),
            "begin": self._time(desired.begin),
            "duration": _duration(desired.seconds),
            "project": f"{project} ({number})" if project else f"a new project ({number})",
            "activity": _named(self._activities.get(desired.activity_id), desired.activity_id),
        }

    def of_draft(self, draft: Draft) -> dict[str, str]:
        """A time sheet as it would be written."""
        return {
            **self.of_desired(draft.desired),
            "begin": self._time(draft.span.begin),
            "description": draft.description,
            "tags": ", ".join(draft.tags),
        }

    def of_entry(self, entry: Entry) -> dict[str, str]:
        """A booking in the terms of the source, if it is not mapped to the target."""
        return {
            "user": f"{entry.user_name} <{entry.user_email}>",
            "begin": self._time(entry.begin_at),
            "duration": f"{entry.time_minutes.normalize():f} min",
            "project": entry.organization_name or "(no organization)",
            "activity": entry.activity_name or "(no type)",
            "description": entry.description,
            "tags": ", ".join(entry.tags),
        }

    def of_timesheet(self, row: Timesheet) -> dict[str, str]:
        """A stored time sheet."""
        return {
            "user": _named(self._users.get(row.user_id), row.user_id),
            "begin": self._time(row.begin),
            "duration": _duration(row.duration_seconds),
            "project": _named(self._projects.get(row.project_id), row.project_id),
            "activity": _named(self._activities.get(row.activity_id), row.activity_id),
            "description": row.description,
            "tags": ", ".join(row.tags),
            "exported": "yes" if row.exported else "no",
        } | ({"break": _duration(row.break_seconds)} if row.break_seconds else {})

    def _time(self, moment: datetime) -> str:
        return moment.astimezone(self._zone).strftime(INSTANT)


def compare_fields(
    wanted: Mapping[str, str], found: Mapping[str, str], differing: Collection[str]
) -> list[FieldComparison]:
    """Both sides field by field; `differing` are our fields with different values."""
    fields = dict.fromkeys((*wanted, *found))
    return [FieldComparison(field, wanted.get(field, ""), found.get(field, ""), field in differing) for field in fields]


def _named(name: str | None, number: int | str) -> str:
    return f"{name} ({number})" if name else f"unknown ({number})"


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


# Both sides of a line of the plan, and candidate time sheets.


@dataclass(frozen=True, slots=True)
class TimesheetCandidate:
    """A time sheet that may belong to the booking. `kind` is `the same` or `similar`, `score` is 0 to 100."""

    timesheet_id: int
    score: int
    kind: str
    fields: Mapping[str, str]
    url: str | None


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Booking and time sheet field by field, and the candidates, best first.

    `billed_to` is the customer in the target who would pay, of the booking or else of the time sheet; empty if unknown.
    """

    sides: tuple[FieldComparison, ...]
    candidates: tuple[TimesheetCandidate, ...]
    billed_to: str


def side_by_side(
    connection: Connection,
    runtime: Runtime,
    links: Links,
    line: PlanLine | None,
    *,
    source_id: str | None,
    kimai_id: int | None,
) -> SideBySide:
    """A booking and a time sheet side by side, as planned by `line` if there is one."""
    connector = links.addresses.target
    candidates = line.candidates if line else ()
    ids = {kimai_id or 0, *(candidate.timesheet_id for candidate in candidates)}
    sheets = target.timesheets_by_id(connection, connector, ids)
    directory = target.load_directory(connection, connector)
    names = DisplayNames(directory, runtime.settings.zone)
    entry = entries.entry_of(connection, links.addresses.source, source_id or "")
    partners = (
        TimesheetCandidate(
            candidate.timesheet_id,
            candidate.score,
            "the same" if candidate.tier is Tier.SAME else "similar",
            names.of_timesheet(sheets[candidate.timesheet_id]),
            links.timesheet(candidate.timesheet_id),
        )
        for candidate in candidates
        if candidate.timesheet_id in sheets
    )
    sheet = sheets.get(kimai_id or 0)
    customer = line.draft.project.customer.name if line and line.draft else names.customer_of(sheet)
    return SideBySide(tuple(_sides(names, line, entry, sheet)), tuple(partners), customer)


def _sides(
    names: DisplayNames, line: PlanLine | None, entry: Entry | None, sheet: Timesheet | None
) -> list[FieldComparison]:
    """The booking as it would be written, or else in Zammad's terms, beside the time sheet."""
    found = names.of_timesheet(sheet) if sheet else {}
    if line is None or line.draft is None:
        return compare_fields(names.of_entry(entry) if entry else {}, found, ())
    differing = line.diff or (difference(line.draft.desired, sheet, WHOLE_MINUTES) if sheet else {})
    return compare_fields(names.of_draft(line.draft), found, differing.keys())


# Pages of a plan, and single lines.

SECONDS_IN_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class BookingSummary:
    """The booking of a line; `minutes` are after corrections, `begin_at` is in UTC."""

    source_id: str
    ticket_number: str
    ticket_title: str
    ticket_url: str | None
    agent: str
    agent_email: str
    customer: str | None
    activity: str | None
    minutes: Decimal
    begin_at: datetime


@dataclass(frozen=True, slots=True)
class TimesheetSummary:
    """The existing time sheet of a line; `begin_at` is in UTC."""

    timesheet_id: int
    url: str | None
    user: str | None
    customer: str | None
    project: str | None
    activity: str | None
    minutes: Decimal
    begin_at: datetime
    exported: bool


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One line of the plan. `differing` names the fields that differ.

    `conflict_id` is its open conflict, `decided` an earlier decision. `carried_out`: Kimai has confirmed the write;
    `taken_back_by` is the undo that reverted it, after which the line is not the plan of its day. `day_url` is the plan
    in Dagster, `reconciled_at` is in UTC.
    """

    day: date
    key: str
    status: str
    action: str
    reason: str | None
    text: str
    differing: tuple[str, ...]
    decided: str
    carried_out: bool
    taken_back_by: str | None
    conflict_id: int | None
    facts_hash: str
    booking: BookingSummary | None
    timesheet: TimesheetSummary | None
    day_url: str
    reconciled_at: datetime


@dataclass(frozen=True, slots=True)
class PlanLineDetail:
    """One line with all fields of both sides, candidates, and the meaning of its reason."""

    line: PlanRow
    meaning: str
    next_step: str
    sides: tuple[FieldComparison, ...]
    candidates: tuple[TimesheetCandidate, ...]


def page(runtime: Runtime, wanted: LineFilter, limit: int, offset: int) -> tuple[tuple[PlanRow, ...], int]:
    """One page of lines, newest day first, and the total."""
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        rows = lists.page(connection, names, wanted, limit, offset)
        total = lists.count(connection, names, wanted)
    return _lines(rows, Links.of(runtime, names)), total


def plan_line_detail(runtime: Runtime, day: date, key: str) -> PlanLineDetail:
    """One line of a day's plan; `key` is a booking's id, or `kimai:7` for a time sheet. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        links = Links.of(runtime, names)
        row = lists.one(connection, names, day, key)
        result = plans.line_of(connection, names.target, day, key)
        if row is None or result is None:
            raise UnknownError(f"The plan of {day} has no line {key}. Plan the day again, or look at another day.")
        both = side_by_side(connection, runtime, links, result, source_id=result.source_id, kimai_id=result.kimai_id)
    (line,) = _lines([row], links)
    explanation = EXPLANATIONS[Reason(line.reason)] if line.reason else None
    return PlanLineDetail(
        line,
        explanation.meaning if explanation else "",
        explanation.next_step if explanation else "",
        both.sides,
        both.candidates,
    )


def _lines(rows: Sequence[Row[Any]], links: Links) -> tuple[PlanRow, ...]:
    return tuple(
        PlanRow(
            day=row.entry_date,
            key=row.key,
            status=row.status,
            action=row.action,
            reason=row.reason,
            text=row.text,
            differing=tuple(row.diff),
            decided=row.decided,
            carried_out=row.carried_out,
            taken_back_by=row.taken_back_by,
            conflict_id=row.conflict_id,
            facts_hash=row.facts_hash,
            booking=_booking(row, links),
            timesheet=_sheet(row, links),
            day_url=links.day(row.entry_date),
            reconciled_at=row.reconciled_at.astimezone(UTC),
        )
        for row in rows
    )


def _booking(row: Row[Any], links: Links) -> BookingSummary | None:
    if row.ticket_number is None:
        return None
    return BookingSummary(
        source_id=row.source_id,
        ticket_number=row.ticket_number,
        ticket_title=row.ticket_title,
        ticket_url=links.ticket(row.ticket_id),
        agent=row.user_name,
        agent_email=row.user_email,
        customer=row.organization_name,
        activity=row.activity_name,
        minutes=row.time_minutes,
        begin_at=row.entry_begin_at.astimezone(UTC),
    )


def _sheet(row: Row[Any], links: Links) -> TimesheetSummary | None:
    if row.sheet_begin_at is None:
        return None
    return TimesheetSummary(
        timesheet_id=row.kimai_id,
        url=links.timesheet(row.kimai_id),
        user=row.username,
        customer=row.sheet_customer,
        project=row.sheet_project,
        activity=row.sheet_activity,
        minutes=Decimal(row.duration_seconds) / SECONDS_IN_A_MINUTE,
        begin_at=row.sheet_begin_at.astimezone(UTC),
        exported=row.exported,
    )
