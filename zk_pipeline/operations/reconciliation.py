"""The plan as people look through it: its lines with both sides beside each other, and one line field by field."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.sides import Side
from zk_pipeline.operations.errors import UnknownError
from zk_pipeline.operations.links import Links
from zk_pipeline.operations.sides import Partner, both_sides
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import plan_lines, plans
from zk_pipeline.store.addresses import addresses
from zk_pipeline.store.plan_lines import LineFilter

SECONDS_IN_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Booking:
    """The source's side of a line, in short; `minutes` after corrections, `begin_at` in UTC."""

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
class Sheet:
    """The target's side of a line, in short: a time sheet that is there; `begin_at` in UTC."""

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
class Line:
    """One line of the plan. `differing` names the fields that are not the same on both sides.

    `conflict_id` is the question that waits for a person; `decided` what somebody decided before; `carried_out` whether
    Kimai has confirmed since then what the line wanted, `taken_back_by` the undo that took it back after that: the line
    is not the plan of its day any more. `day_url` is the day's plan in Dagster, `reconciled_at` in UTC.
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
    booking: Booking | None
    timesheet: Sheet | None
    day_url: str
    reconciled_at: datetime


@dataclass(frozen=True, slots=True)
class LineTold:
    """One line with all fields of both sides, the candidates, and what its reason means for whoever looks at it."""

    line: Line
    meaning: str
    next_step: str
    sides: tuple[Side, ...]
    candidates: tuple[Partner, ...]


def page(runtime: Runtime, wanted: LineFilter, limit: int, offset: int) -> tuple[tuple[Line, ...], int]:
    """The lines of one page, newest day first, and how many there are in all."""
    with runtime.database.transaction() as connection:
        names = addresses(connection)
        rows = plan_lines.page(connection, names, wanted, limit, offset)
        total = plan_lines.count(connection, names, wanted)
    return _lines(rows, Links.of(runtime, names)), total


def told(runtime: Runtime, day: date, key: str) -> LineTold:
    """One line of a day's plan; `key` is the booking's id, or `kimai:7` for a time sheet. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = addresses(connection)
        links = Links.of(runtime, names)
        row = plan_lines.one(connection, names, day, key)
        result = plans.line_of(connection, names.target, day, key)
        if row is None or result is None:
            raise UnknownError(f"The plan of {day} has no line {key}. Have the day planned, or look at another day.")
        both = both_sides(connection, runtime, links, result, source_id=result.source_id, kimai_id=result.kimai_id)
    (line,) = _lines([row], links)
    explanation = EXPLANATIONS[Reason(line.reason)] if line.reason else None
    return LineTold(
        line,
        explanation.meaning if explanation else "",
        explanation.next_step if explanation else "",
        both.sides,
        both.candidates,
    )


def _lines(rows: Sequence[Row[Any]], links: Links) -> tuple[Line, ...]:
    return tuple(
        Line(
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


def _booking(row: Row[Any], links: Links) -> Booking | None:
    if row.ticket_number is None:
        return None
    return Booking(
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


def _sheet(row: Row[Any], links: Links) -> Sheet | None:
    if row.sheet_begin_at is None:
        return None
    return Sheet(
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
