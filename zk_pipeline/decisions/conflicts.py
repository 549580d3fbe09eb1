"""Conflicts: lists, details, and decisions about one or many."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row

from zk_pipeline.audit import trail
from zk_pipeline.decisions import lists
from zk_pipeline.decisions.comparison import FieldComparison, TimesheetCandidate, side_by_side
from zk_pipeline.decisions.lists import ConflictFilter, ConflictGroup
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.periods import in_hours
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.resolutions import EFFECTS, Choice, allowed, needs_why, outcome
from zk_pipeline.domain.write_protection import first_open_day
from zk_pipeline.identity.actors import Actor, StaleError, UnknownError
from zk_pipeline.languages import Language, actors
from zk_pipeline.runtime.links import Links
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.systems import locks_now
from zk_pipeline.store import booking_decisions, conflicts, ledger, plans, progress, target
from zk_pipeline.store.conflicts import DecidedError, DecisionError, UnknownConflictError
from zk_pipeline.store.connectors import ActiveConnectors, active_connectors

# Lists and details of conflicts.


@dataclass(frozen=True, slots=True)
class Conflict:
    """A conflict with its booking. `minutes` are the booking's, 0 without one, and below 0 of an open correction.

    `facts_hash` covers the facts of the conflict; a decision names the hash that was shown. An `uncertain` conflict can
    only be adjusted on its own, since Kimai may bill a different amount.
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
    decision_booking_id: str | None
    decision_why: str
    decided_by: str | None
    decided_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None
    minutes: Decimal
    user_email: str | None
    user_name: str | None
    organization_name: str | None
    customer_name: str | None
    ticket_id: str | None
    ticket_number: str | None
    ticket_title: str | None
    decided_by_name: str
    ticket_url: str | None
    timesheet_url: str | None
    day_url: str


@dataclass(frozen=True, slots=True)
class ConflictList:
    """A page of the conflicts that match a filter, their `total`, and `counts` for all reasons."""

    items: tuple[Conflict, ...]
    total: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ChoiceOption:
    """A possible decision and its effect."""

    choice: Choice
    effect: str


@dataclass(frozen=True, slots=True)
class PastConflict:
    """A past or present conflict about the same booking or time sheet."""

    id: int
    reason: str
    resolution_status: str
    decision: str | None
    decided_by: str | None
    decided_by_name: str
    decided_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReducibleView:
    """A booking that an open correction may reduce; `minutes` are what is left of it.

    `note` says what reducing it means if its time sheet is write-protected.
    """

    booking_id: str
    day: date
    ticket_number: str
    agent: str
    activity: str
    minutes: Decimal
    note: str


@dataclass(frozen=True, slots=True)
class ConflictView:
    """The details of a conflict. The first of the choices is suggested; there are none once it is closed.

    `candidates` are time sheets, `bookings` those that a correction may reduce, each best first. `billed_to` is the
    customer in Kimai who would pay; empty if that is not known yet.
    """

    conflict: Conflict
    billed_to: str
    sides: tuple[FieldComparison, ...]
    candidates: tuple[TimesheetCandidate, ...]
    bookings: tuple[ReducibleView, ...]
    choices: tuple[ChoiceOption, ...]
    history: tuple[PastConflict, ...]


def list_conflicts(runtime: Runtime, wanted: ConflictFilter, limit: int | None = None, offset: int = 0) -> ConflictList:
    """The conflicts that match a filter, oldest day first: all, or one page."""
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        links = Links.of(runtime, names)
        if wanted.search and limit is not None:
            found = lists.search_conflicts(connection, names.source, wanted, limit, offset)
            rows = lists.find_conflicts(connection, names.source, ConflictFilter(status="", ids=found.ids))
            counts = found.counts
        else:
            rows = lists.find_conflicts(connection, names.source, wanted, limit, offset)
            counts = lists.counts(connection, names.source, wanted)
        people = trail.names_of(connection, {row.decided_by for row in rows if row.decided_by})
    total = counts.get(wanted.reason, 0) if wanted.reason else sum(counts.values())
    return ConflictList(tuple(_conflict(row, links, people) for row in rows), total, counts)


def conflict_view(runtime: Runtime, conflict_id: int) -> ConflictView:
    """One conflict with both sides, candidates, choices and history. Raises `UnknownError`."""
    with runtime.database.transaction() as connection:
        names = active_connectors(connection)
        links = Links.of(runtime, names)
        conflict = _one(connection, links, conflict_id)
        line = plans.line_of(connection, conflict.connector, conflict.entry_date, conflict.key)
        line = line if line is not None and line.reason == conflict.reason else None
        both = side_by_side(connection, runtime, links, line, source_id=conflict.source_id, kimai_id=conflict.kimai_id)
        history = conflicts.history(connection, conflict.connector, conflict.key)
        people = trail.names_of(connection, {row.decided_by for row in history if row.decided_by})
        bookings = _reducible(connection, runtime, names, conflict)
    choices = options(conflict, reducible=bool(bookings))
    past = tuple(_past(row, people) for row in history)
    return ConflictView(conflict, both.billed_to, both.sides, both.candidates, bookings, choices, past)


def options(conflict: Conflict, *, reducible: bool) -> tuple[ChoiceOption, ...]:
    """The possible decisions about an open conflict, the suggested one first."""
    is_open = conflict.resolution_status == "open"
    possible = allowed(Reason(conflict.reason), Status(conflict.status), reducible=reducible) if is_open else ()
    return tuple(ChoiceOption(choice, EFFECTS[choice]) for choice in possible)


def _reducible(
    connection: Connection, runtime: Runtime, names: ActiveConnectors, conflict: Conflict
) -> tuple[ReducibleView, ...]:
    if conflict.resolution_status != "open" or conflict.reason != Reason.UNMATCHED_CORRECTION:
        return ()
    found = booking_decisions.reducible(connection, names.source, conflict.source_id or "")
    written = ledger.rows_of(connection, names.target, [str(row.booking_id) for row in found])
    bound = {source_id: row.bound or 0 for source_id, row in written.items()}
    stored = target.timesheets_by_id(connection, names.target, set(bound.values()))
    locks = locks_now(connection, runtime.settings, datetime.now(UTC))
    views: list[ReducibleView] = []
    for row in found:
        sheet = stored.get(bound.get(str(row.booking_id), 0))
        locked = (locks.why(sheet) if sheet else "") or locks.why_day(row.day)
        note = f"{locked} The change becomes a conflict, to be adjusted in the open period." if locked else ""
        views.append(ReducibleView(**row._asdict(), note=note))
    return tuple(views)


def _one(connection: Connection, links: Links, conflict_id: int) -> Conflict:
    try:
        conflicts.one(connection, conflict_id)
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    wanted = ConflictFilter(status="", ids=frozenset({conflict_id}))
    (row,) = lists.find_conflicts(connection, links.addresses.source, wanted)
    return _conflict(row, links, trail.names_of(connection, {row.decided_by or ""}))


def _conflict(row: Row[Any], links: Links, people: Mapping[str, str]) -> Conflict:
    return Conflict(
        **row._mapping,  # noqa: SLF001 (public despite its name)
        decided_by_name=people.get(row.decided_by or "", row.decided_by or ""),
        ticket_url=links.ticket(row.ticket_id),
        timesheet_url=links.timesheet(row.kimai_id),
        day_url=links.day(row.entry_date),
    )


def _past(row: Row[Any], people: Mapping[str, str]) -> PastConflict:
    by = row.decided_by or ""
    return PastConflict(
        row.id,
        row.reason,
        row.resolution_status,
        row.decision,
        row.decided_by,
        people.get(by, by),
        row.decided_at,
        row.opened_at,
        row.closed_at,
    )


# Decisions about one or many conflicts, and their preview.

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DecidedConflict:
    """A decided conflict. The next run of its day, which is requested, carries the decision out."""

    id: int
    choice: Choice
    day: date


@dataclass(frozen=True, slots=True)
class UndecidedConflict:
    """A conflict that could not be decided, and why."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class BulkResult:
    """The result of deciding many conflicts, each on its own."""

    choice: Choice
    decided: tuple[DecidedConflict, ...]
    left: tuple[UndecidedConflict, ...]

    @property
    def days(self) -> tuple[date, ...]:
        """The requested days."""
        return tuple(sorted({row.day for row in self.decided}))


@dataclass(frozen=True, slots=True)
class DecisionPreview:
    """The effect of a decision about `conflicts` conflicts, of which `left` could not be decided like this.

    `minutes` are those of the creates and updates, `left_out` those that would not be billed. `adjusts` counts the
    conflicts whose difference becomes a new time sheet or a credit; their texts say how many minutes. `digest` covers
    the list and its facts; a decision about a filter names the digest that was shown.
    """

    choice: Choice
    effect: str
    conflicts: int
    left: int
    creates: int
    updates: int
    links: int
    deletes: int
    adjusts: int
    minutes: Decimal
    left_out: Decimal
    digest: str


def decide(
    runtime: Runtime,
    actor: Actor,
    conflict_id: int,
    choice: Choice,
    *,
    timesheet_id: int | None = None,
    booking_id: str | None = None,
    seen: str | None = None,
    one_of_many: bool = False,
    why: str = "",
    at: datetime | None = None,
) -> DecidedConflict:
    """Decide one conflict; `seen` is the hash of the facts that were shown.

    `timesheet_id` is the candidate to link, `booking_id` the booking to reduce, `why` a reason, without which no more
    than an hour is left out. With `one_of_many`, nothing is adjusted that Kimai may bill differently: a person has to
    compare the amounts. Those that are decided together have the same `at`.

    Raises `UnknownError`, and `DecisionError` if it is already decided, the facts changed, or it is not possible.
    """
    try:
        with runtime.database.transaction() as connection:
            row = conflicts.decide(
                connection,
                conflict_id,
                choice,
                actor=actor.name,
                timesheet_id=timesheet_id,
                booking_id=booking_id,
                seen=seen,
                address=actor.address,
                one_of_many=one_of_many,
                why=why,
                at=at,
            )
            if not one_of_many:
                _require_why(connection, choice, [conflict_id], why)
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    except DecidedError as error:
        raise DecisionError(error.sentence(_name_of(runtime, error.by))) from error
    return DecidedConflict(row.id, choice, row.entry_date)


def _name_of(runtime: Runtime, actor: str) -> str:
    with runtime.database.transaction() as connection:
        name = trail.names_of(connection, {actor}).get(actor, actor)
    return actors.called(name, Language.ENGLISH)


def _require_why(connection: Connection, choice: Choice, ids: Collection[int], why: str) -> None:
    """Raise `DecisionError` if more than an hour would not be billed, or corrected, and nobody says why."""
    if choice is not Choice.IGNORE or why.strip():
        return
    minutes = lists.minutes_of(connection, active_connectors(connection).source, ids)
    if needs_why(choice, minutes):
        if minutes < 0:
            corrected = in_hours(-minutes)
            raise DecisionError(f"Say why: {corrected} would not be taken off the bill. Up to an hour needs no reason.")
        raise DecisionError(f"Say why: {in_hours(minutes)} would not be billed. Up to an hour needs no reason.")


def reopen(runtime: Runtime, actor: Actor, conflict_id: int) -> DecidedConflict:
    """Take back a decision that wrote nothing itself, so that the conflict is open again.

    Raises `UnknownError`, and `DecisionError` if there is nothing to take back.
    """
    try:
        with runtime.database.transaction() as connection:
            row = conflicts.reopen(connection, conflict_id, actor=actor.name, address=actor.address)
    except UnknownConflictError as error:
        raise UnknownError(str(error)) from error
    return DecidedConflict(row.id, Choice(row.decision), row.entry_date)


def reopen_many(runtime: Runtime, actor: Actor, ids: Collection[int]) -> tuple[UndecidedConflict, ...]:
    """Take back the decisions about these conflicts, each on its own; returns those that could not be, and why."""
    left: list[UndecidedConflict] = []
    for conflict_id in ids:
        try:
            reopen(runtime, actor, conflict_id)
        except (DecisionError, UnknownError) as error:
            left.append(UndecidedConflict(conflict_id, str(error)))
    return tuple(left)


def carried_out_so_far(runtime: Runtime) -> int:
    """How many conflicts are done of each decision, mapping and other try of which a part is not done yet."""
    with runtime.database.transaction() as connection:
        return progress.carried_out_so_far(connection)


def decide_many(
    runtime: Runtime, actor: Actor, choice: Choice, seen: Mapping[int, str], *, why: str = ""
) -> BulkResult:
    """Decide these conflicts alike, each in its own transaction; `seen` maps ids to hashes of the facts shown.

    Raises `DecisionError` if more than an hour in all would be left out without a reason.
    """
    with runtime.database.transaction() as connection:
        _require_why(connection, choice, seen.keys(), why)
    at = datetime.now(UTC)
    decided: list[DecidedConflict] = []
    left: list[UndecidedConflict] = []
    for conflict_id, facts_hash in seen.items():
        try:
            row = decide(runtime, actor, conflict_id, choice, seen=facts_hash, one_of_many=True, why=why, at=at)
            decided.append(row)
        except (DecisionError, UnknownError) as error:
            left.append(UndecidedConflict(conflict_id, str(error)))
    return BulkResult(choice, tuple(decided), tuple(left))


def decide_matching(
    runtime: Runtime, actor: Actor, choice: Choice, wanted: ConflictFilter, digest: str, *, why: str = ""
) -> BulkResult:
    """Decide alike all conflicts that match a filter, as a preview with this digest showed them.

    Raises `StaleError` if they have changed, and `DecisionError` as `decide_many` does.
    """
    with runtime.database.transaction() as connection:
        source = active_connectors(connection).source
        rows = lists.find_conflicts(connection, source, wanted)
        now = lists.digest(connection, source, wanted)
    if now != digest:
        raise StaleError("Look at the preview again: the conflicts of this filter have changed.")
    return decide_many(runtime, actor, choice, {row.id: row.facts_hash for row in rows}, why=why)


def preview(runtime: Runtime, choice: Choice, wanted: ConflictFilter) -> DecisionPreview:
    """What a decision about all conflicts that match a filter would write."""
    today = local_day(datetime.now(UTC), runtime.settings.zone)
    locked_before = first_open_day(runtime.settings.locked_before, today)
    with runtime.database.transaction() as connection:
        source = active_connectors(connection).source
        groups = lists.groups(connection, source, wanted, locked_before)
        digest = lists.digest(connection, source, wanted)
    actions = [(_action(group, choice), group) for group in groups]
    number = {action: sum(group.number for done, group in actions if done is action) for action in (None, *Action)}
    written = (group.minutes for action, group in actions if action in {Action.CREATE, Action.UPDATE})
    return DecisionPreview(
        choice=choice,
        effect=EFFECTS[choice],
        conflicts=sum(group.number for group in groups),
        left=number[None],
        creates=number[Action.CREATE],
        updates=number[Action.UPDATE],
        links=number[Action.LINK] if choice is Choice.LINK else 0,  # `keep` links too, without writing.
        deletes=number[Action.DELETE],
        adjusts=number[Action.NONE] if choice is Choice.ADJUST else 0,
        minutes=sum(written, ZERO),
        left_out=sum((group.minutes for group in groups), ZERO) if choice is Choice.IGNORE else ZERO,
        digest=digest,
    )


def _action(group: ConflictGroup, choice: Choice) -> Action | None:
    """The action for the conflicts of a group; `None` if each needs its own candidate or amount."""
    asks_each = choice is Choice.REDUCE or (choice is Choice.LINK and not group.bound)
    if asks_each or (choice is Choice.ADJUST and group.uncertain):
        return None
    reason, status = Reason(group.reason), Status(group.status)
    return outcome(reason, status, choice, drafted=group.drafted, closed=group.closed)
