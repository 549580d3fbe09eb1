"""What would be written into tickets now, which of it waits for a person, approving it, and taking it back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.invoicing import CANCELED, BillingState
from zk_pipeline.domain.periods import last_day, month_name
from zk_pipeline.domain.records import Invoice
from zk_pipeline.domain.write_back import (
    Because,
    JournalRow,
    Standing,
    TicketMonth,
    WriteBackLimits,
    WriteBackLine,
    WriteBackMode,
    WriteBackState,
    WriteKind,
    WriteOperation,
    due_again,
    planned,
    taken_off,
)
from zk_pipeline.identity.actors import Actor, OperationError, StaleError, UnknownError
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import audit, invoices, write_backs
from zk_pipeline.store.connectors import ActiveConnectors, active_connectors
from zk_pipeline.store.write_backs import Booked

SHORTEST_ID = 6
"""Characters of a run's id that name it."""


SETTLES_AFTER = timedelta(seconds=90)
"""A request whose answer was lost may take effect until then; nothing is sent again before."""


class LineState(StrEnum):
    """What happens to a line of the plan: written by the next run, or by a person's approval, or tried again later."""

    DUE = "due"
    APPROVED = "approved"
    WAITS = "waits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """A line of the plan and what happens to it. `message` is the source's refusal, tried again at `again_at` (UTC)."""

    line: WriteBackLine
    state: LineState
    message: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WriteBackPlan:
    """What would be written into tickets now.

    `exceeded` says that what has the mode `auto` waits all the same, because there is more of it than the limits allow.
    """

    rows: tuple[PlannedWrite, ...] = ()
    exceeded: bool = False

    def of(self, *states: LineState) -> list[WriteBackLine]:
        """The lines to which that happens."""
        return [row.line for row in self.rows if row.state in states]


def plan(runtime: Runtime, now: datetime | None = None) -> WriteBackPlan:
    """What would be written now; nothing where no kind is switched on."""
    with runtime.database.transaction() as connection:
        return plan_now(connection, runtime, now or datetime.now(UTC))


def plan_now(connection: Connection, runtime: Runtime, now: datetime) -> WriteBackPlan:
    """The plan by what this transaction sees."""
    settings = runtime.settings
    if not settings.writes_back:
        return WriteBackPlan()
    names = active_connectors(connection)
    lines = planned(
        _facts(connection, runtime, names),
        write_backs.standing(connection, names.source),
        settings.writes_back,
        template=settings.write_back_tag,
        language=settings.language,
    )
    journal = write_backs.rows(
        connection, names.source, *(state for state in WriteBackState if state not in _THERE_OR_NOT)
    )
    held = {row.line.facts_hash for row in journal if row.state is WriteBackState.UNDONE}
    lines = [line for line in lines if line.facts_hash not in held]
    automatic = [line for line in lines if settings.write_back_modes[line.kind] is WriteBackMode.AUTO]
    exceeded = WriteBackLimits(settings.write_back_limit, settings.max_deletes).exceeded(automatic)
    by_facts = {row.line.facts_hash: row for row in journal if row.state is not WriteBackState.UNDONE}
    at_once = frozenset() if exceeded else frozenset(line.facts_hash for line in automatic)
    rows = tuple(_state_of(line, by_facts.get(line.facts_hash), at_once, now) for line in lines)
    return WriteBackPlan(rows, exceeded)


_THERE_OR_NOT = (WriteBackState.CONFIRMED, WriteBackState.REMOVED, WriteBackState.LAPSED)


def _state_of(line: WriteBackLine, known: JournalRow | None, at_once: Collection[str], now: datetime) -> PlannedWrite:
    approved = known is not None and known.approved_by is not None and known.line.content == line.content
    if known is not None and known.state is WriteBackState.FAILED:
        again_at = due_again(known.attempts, known.updated_at)
        if again_at > now:
            return PlannedWrite(line, LineState.REFUSED, known.message, again_at)
    if approved:
        return PlannedWrite(line, LineState.APPROVED)
    return PlannedWrite(line, LineState.DUE if line.facts_hash in at_once else LineState.WAITS)


def _facts(connection: Connection, runtime: Runtime, names: ActiveConnectors) -> list[TicketMonth]:
    found = write_backs.booked(connection, names, runtime.settings.write_back_from)
    if WriteKind.NOTE not in runtime.settings.writes_back:
        return [row.fact for row in found]
    made = [row for row in invoices.load(connection, names.target).rows if row.status != CANCELED]
    states: dict[int, set[BillingState]] = {}
    for compared in invoices.checks(connection, names.target):
        states.setdefault(compared.customer_id, set()).add(compared.state)
    exact = {customer for customer, found_states in states.items() if found_states == {BillingState.INVOICED}}
    return [_with_invoice(row, made, exact, runtime) for row in found]


def _with_invoice(row: Booked, made: Sequence[Invoice], exact: Collection[int], runtime: Runtime) -> TicketMonth:
    """The fact with its invoice, where that is certain: Kimai does not say which time is on which invoice.

    It is where all exported time of the customer is invoiced to the cent, by a single invoice since the month began.
    """
    fact = row.fact
    if row.customer_id not in exact or fact.exported != fact.sheets:
        return fact
    start = days_window(fact.month, last_day(fact.month), runtime.settings.zone).start
    since = [
        invoice.number for invoice in made if invoice.customer_id == row.customer_id and invoice.created_at >= start
    ]
    return replace(fact, invoice=since[0]) if len(since) == 1 else fact


@dataclass(frozen=True, slots=True)
class Due:
    """Whether something is to be written now; if nothing changes, it is to be asked again at `again_at` (UTC)."""

    is_due: bool
    again_at: datetime | None = None


def due(runtime: Runtime, now: datetime) -> Due:
    """Whether a run would write something now, or look for what was lost."""
    with runtime.database.transaction() as connection:
        source = active_connectors(connection).source
        under_way = write_backs.rows(connection, source, WriteBackState.INTENDED)
        asked = write_backs.rows(connection, source, WriteBackState.APPROVED)
        found = plan_now(connection, runtime, now)
    settled_at = [row.intended_at + SETTLES_AFTER for row in under_way if row.intended_at is not None]
    is_due = bool(asked or found.of(LineState.DUE, LineState.APPROVED) or any(at <= now for at in settled_at))
    later = [*settled_at, *(row.again_at for row in found.rows if row.again_at is not None)]
    return Due(is_due, min(later, default=None))


def approve(runtime: Runtime, actor: Actor, *, month: date | None = None, hashes: Collection[str] | None = None) -> int:
    """Approve what waits: of a month, or the lines with these hashes, as they were shown; returns how many.

    Raises `StaleError` if nothing of that waits.
    """
    with runtime.database.transaction() as connection:
        waiting = [
            line
            for line in plan_now(connection, runtime, datetime.now(UTC)).of(LineState.WAITS)
            if month in {None, line.month} and (hashes is None or line_hash(line) in hashes)
        ]
        if not waiting:
            raise StaleError("Nothing of that waits for approval any more.")
        source = active_connectors(connection).source
        number = write_backs.approve(connection, source, waiting, actor.name)
        months = sorted({month_name(line.month) for line in waiting})
        detail = {"months": months, "writes": number, "plan": plan_hash(waiting)}
        audit.append(connection, [actor.audit_event("write_back.approved", f"source:{source}", detail)])
        return number


def line_hash(line: WriteBackLine) -> str:
    """What a person approves of a line: the facts and what is written."""
    return stable_hash([line.facts_hash, str(line.operation), line.content])


def plan_hash(lines: Iterable[WriteBackLine]) -> str:
    """Identifies lines, in any order."""
    return stable_hash(sorted(map(line_hash, lines)))


@dataclass(frozen=True, slots=True)
class TakenBack:
    """A run whose writes are to be taken back: how many, and why others stay, as sentences."""

    run_id: str
    writes: int
    left: tuple[str, ...]


def take_back(runtime: Runtime, actor: Actor, run: str) -> TakenBack:
    """Have the writes of a run taken back, by its id or the beginning of it; the next run carries it out.

    What is taken back stays so until other facts decide. Raises `UnknownError`, or `OperationError` without a writing.
    """
    if len(run) < SHORTEST_ID:
        raise OperationError(f"{run!r} is too short: name the run by its first {SHORTEST_ID} or more characters.")
    with runtime.database.transaction() as connection:
        source = active_connectors(connection).source
        rows = write_backs.of_run(connection, source, run)
        if len({row.run_id for row in rows}) > 1:
            raise OperationError(f"Several runs begin with {run!r}. Give more of the id.")
        if not rows or rows[0].run_id is None:
            raise UnknownError(f"No run {run!r} has written into tickets.")
        wanted = [row for row in rows if row.state is WriteBackState.CONFIRMED and row.ours]
        left = [_why_left(row) for row in rows if row not in wanted and (why := _why_left(row)) and why]
        number = write_backs.approve(connection, source, map(_reversed, wanted), actor.name)
        if number:
            detail = {"run": rows[0].run_id, "writes": number}
            audit.append(connection, [actor.audit_event("write_back.taken_back", f"run:{rows[0].run_id}", detail)])
        return TakenBack(rows[0].run_id, number, tuple(left))


def _reversed(row: JournalRow) -> WriteBackLine:
    line = row.line
    if line.operation is WriteOperation.ADD:
        standing = Standing(row.id, line.ticket_id, line.number, line.month, line.kind, line.content, row.ours)
        return taken_off(standing, Because.UNDONE, line.minutes)
    facts = stable_hash([row.id, "add", str(Because.UNDONE)])
    back = replace(line, operation=WriteOperation.ADD, because=Because.UNDONE, facts_hash=facts)
    return replace(back, replaces=row.id)


def _why_left(row: JournalRow) -> str:
    ticket = f"Ticket {row.line.number}"
    match row.state:
        case WriteBackState.CONFIRMED:
            return f"{ticket} had {row.line.content} before, so it stays."
        case WriteBackState.INTENDED:
            return f"{ticket}: it is not known yet whether {row.line.content} was written. The next run finds out."
        case WriteBackState.UNDONE:
            return f"{ticket}: {row.line.content} was taken back before."
        case _:
            return ""


def journal(runtime: Runtime, limit: int = 100) -> list[JournalRow]:
    """The newest writes."""
    with runtime.database.transaction() as connection:
        return write_backs.page(connection, active_connectors(connection).source, limit)


def by_state(found: WriteBackPlan) -> Mapping[LineState, int]:
    """The number of lines by what happens to them."""
    return {state: len(lines) for state in LineState if (lines := found.of(state))}
