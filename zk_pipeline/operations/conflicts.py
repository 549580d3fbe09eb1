"""What waits for a person: the list of conflicts, and everything about one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row

from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import EFFECTS, Choice, allowed
from zk_pipeline.domain.sides import Side
from zk_pipeline.operations.errors import UnknownError
from zk_pipeline.operations.links import Links
from zk_pipeline.operations.sides import Partner, both_sides
from zk_pipeline.runtime import Runtime
from zk_pipeline.stages.locks import locks_now
from zk_pipeline.store import booking_decisions, conflict_lists, conflicts, ledger, plans, target
from zk_pipeline.store.addresses import Addresses, addresses
from zk_pipeline.store.conflict_lists import Filter
from zk_pipeline.store.conflicts import UnknownConflictError


@dataclass(frozen=True, slots=True)
class Conflict:
    """A question to a person, with the booking that it is about. `minutes` are the booking's, 0 where there is none.

    `facts_hash` stands for what the question is about: whoever decides names the one that they saw. An `uncertain` one
    is adjusted by itself alone, since Kimai may bill another amount than is adjusted.
    """

    id: int
    connector: str
    entry_date: date
    key: str
    source_id: str | None
    kimai_id: int | None
    reason: str
    text: str
    suggested_action: str
    facts_hash: str
    status: str
    uncertain: bool
    resolution_status: str
    decision: str | None
    decision_timesheet_id: int | None
    decision_booking_id: int | None
    decided_by: str | None
    decided_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None
    minutes: Decimal
    user_email: str | None
    user_name: str | None
    organization_name: str | None
    customer_name: str | None
    ticket_id: int | None
    ticket_number: str | None
    ticket_title: str | None
    ticket_url: str | None
    timesheet_url: str | None
    day_url: str


@dataclass(frozen=True, slots=True)
class ConflictList:
    """Some conflicts of those that a filter names: `total` of them, `counts` by reason whatever reason it names."""

    items: tuple[Conflict, ...]
    total: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Option:
    """What may be decided, and what that does."""

    choice: Choice
    effect: str


@dataclass(frozen=True, slots=True)
class Past:
    """A conflict that there was, or is, about the same booking or time sheet."""

    id: int
    reason: str
    resolution_status: str
    decision: str | None
    decided_by: str | None
    decided_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReducibleTold:
    """A booking that an open correction may be about; `minutes` are left of it.

    `note` says what reducing it means where its time sheet is not written any more.
    """

    booking_id: int
    day: date
    ticket_number: str
    agent: str
    activity: str
    minutes: Decimal
    note: str


@dataclass(frozen=True, slots=True)
class ConflictTold:
    """Everything about one conflict; the first of the choices is the one suggested, none are left once it is closed.

    `candidates` are time sheets, `bookings` those that a correction may be about, each best first.
    """

    conflict: Conflict
    sides: tuple[Side, ...]
    candidates: tuple[Partner, ...]
    bookings: tuple[ReducibleTold, ...]
    choices: tuple[Option, ...]
    history: tuple[Past, ...]


def listed(runtime: Runtime, wanted: Filter, limit: int | None = None, offset: int = 0) -> ConflictList:
    """The conflicts of a filter, oldest day first: all of them, or one page."""
    with runtime.database.transaction() as connection:
        names = addresses(connection)
        links = Links.of(runtime, names)
        if wanted.search and limit is not None:
            found = conflict_lists.found(connection, names.source, wanted, limit, offset)
            rows = conflict_lists.matching(connection, names.source, Filter(status="", ids=found.ids))
            counts = found.counts
        else:
            rows = conflict_lists.matching(connection, names.source, wanted, limit, offset)
            counts = conflict_lists.counts(connection, names.source, wanted)
    total = counts.get(wanted.reason, 0) if wanted.reason else sum(counts.values())
    return ConflictList(tuple(_conflict(row, links) for row in rows), total, counts)


def told(runtime: Runtime, conflict_id: int) -> ConflictTold:
    """One conflict with both sides, candidates, choices and history. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = addresses(connection)
        links = Links.of(runtime, names)
        conflict = _one(connection, links, conflict_id)
        line = plans.line_of(connection, conflict.connector, conflict.entry_date, conflict.key)
        line = line if line is not None and line.reason == conflict.reason else None
        both = both_sides(connection, runtime, links, line, source_id=conflict.source_id, kimai_id=conflict.kimai_id)
        history = conflicts.history(connection, conflict.connector, conflict.key)
        bookings = _reducible(connection, runtime, names, conflict)
    choices = options(conflict, reducible=bool(bookings))
    past = tuple(_past(row) for row in history)
    return ConflictTold(conflict, both.sides, both.candidates, bookings, choices, past)


def options(conflict: Conflict, *, reducible: bool) -> tuple[Option, ...]:
    """What may be decided about a conflict that is open, the suggested first."""
    is_open = conflict.resolution_status == "open"
    possible = allowed(Reason(conflict.reason), Status(conflict.status), reducible=reducible) if is_open else ()
    return tuple(Option(choice, EFFECTS[choice]) for choice in possible)


def _reducible(
    connection: Connection, runtime: Runtime, names: Addresses, conflict: Conflict
) -> tuple[ReducibleTold, ...]:
    if conflict.resolution_status != "open" or conflict.reason != Reason.UNMATCHED_CORRECTION:
        return ()
    found = booking_decisions.reducible(connection, names.source, conflict.source_id or "")
    written = ledger.rows_of(connection, names.target, [str(row.booking_id) for row in found])
    bound = {source_id: row.bound or 0 for source_id, row in written.items()}
    stored = target.timesheets_by_id(connection, names.target, set(bound.values()))
    locks = locks_now(connection, runtime.settings, datetime.now(UTC))
    told: list[ReducibleTold] = []
    for row in found:
        sheet = stored.get(bound.get(str(row.booking_id), 0))
        locked = (locks.why(sheet) if sheet else "") or locks.why_day(row.day)
        note = f"{locked} What changes is asked about, to be adjusted in the open period." if locked else ""
        told.append(ReducibleTold(**row._asdict(), note=note))
    return tuple(told)


def _one(connection: Connection, links: Links, conflict_id: int) -> Conflict:
    try:
        conflicts.one(connection, conflict_id)
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    wanted = Filter(status="", ids=frozenset({conflict_id}))
    (row,) = conflict_lists.matching(connection, links.addresses.source, wanted)
    return _conflict(row, links)


def _conflict(row: Row[Any], links: Links) -> Conflict:
    return Conflict(
        **row._mapping,  # noqa: SLF001 (public in spite of its name)
        ticket_url=links.ticket(row.ticket_id),
        timesheet_url=links.timesheet(row.kimai_id),
        day_url=links.day(row.entry_date),
    )


def _past(row: Row[Any]) -> Past:
    return Past(**{name: getattr(row, name) for name in Past.__slots__})
