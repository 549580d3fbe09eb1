"""Conflicts: what waits for a person, one open row for each line of the plan and reason."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, or_, select, text, tuple_, update

from zk_pipeline.domain.corrections import CorrectionPair
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import PlanLine, sentence
from zk_pipeline.domain.reasons import EXPLANATIONS, Reason
from zk_pipeline.domain.resolutions import MEANT, RECORDED, Choice, Resolution, allowed, stands
from zk_pipeline.store import audit, booking_decisions, day_requests, plans
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.booking_decisions import ReducibleBooking
from zk_pipeline.store.connectors import active_connectors
from zk_pipeline.store.database import to_json
from zk_pipeline.store.tables import conflicts

LIFE = ("open", "decided", "carried_out", "expired")
"""The states of a conflict. A decision that writes nothing stays in force while it is `carried_out`."""

LEFT_OUT = "left_out"
"""What was left out on purpose and still is, which is a part of what is `decided` or `carried_out`."""

LISTED = (*LIFE, LEFT_OUT)
"""What lists of conflicts can be narrowed to."""

_LARGEST_ID = 2**63 - 1  # PostgreSQL cannot compare a bigint with anything larger.

_LINE = tuple_(conflicts.c.key, conflicts.c.reason, conflicts.c.facts_hash)


class DecisionError(Exception):
    """A decision is not possible; the message names the conflict, the value and what is possible."""


class DecidedError(DecisionError):
    """Somebody decided first: `by`, an actor."""

    def __init__(self, conflict_id: int, decision: str, by: str) -> None:
        self.by = by
        self._facts = (conflict_id, MEANT[Choice(decision)])
        super().__init__(self.sentence(by))

    def sentence(self, name: str) -> str:
        """The sentence, with this name for the actor."""
        conflict_id, decision = self._facts
        return f"Conflict {conflict_id} is no longer open: {name} decided to {decision}."


class UnknownConflictError(DecisionError):
    """There is no such conflict."""


def replace_day(connection: Connection, connector: str, day: date, lines: Sequence[PlanLine]) -> None:
    """Update the day's conflicts to its plan.

    Every line to be reviewed gets a conflict. Conflicts without such a line expire, and so do decisions whose facts
    changed. A decision that needs no write is carried out by being in the plan. The conflict of a refused write that is
    tried again stays open until the write succeeds.
    """
    reviewed = [line for line in lines if line.action is Action.REVIEW and line.reason is not None]
    decided = [line for line in lines if line.decided]
    of_day = (conflicts.c.connector == connector) & (conflicts.c.entry_date == day)
    tried = [line for line in lines if line.reason is Reason.REFUSED_BY_KIMAI and not line.decided]
    asked = tuple_(conflicts.c.key, conflicts.c.reason).in_([(line.key, line.reason) for line in (*reviewed, *tried)])
    holds = _LINE.in_([(line.key, line.reason, line.facts_hash) for line in decided])
    gone = ((conflicts.c.resolution_status == "open") & ~asked) | (_in_force() & ~holds)
    # A decision recorded with the booking is carried out once a plan was made with it, which changed the facts.
    end = case((conflicts.c.decision.in_(RECORDED), "carried_out"), else_="expired")
    connection.execute(update(conflicts).where(of_day & gone).values(resolution_status=end, closed_at=func.now()))
    carry_out(connection, connector, [line for line in decided if line.action is Action.NONE])
    open_lines(connection, connector, reviewed)


def resolutions_of_day(connection: Connection, connector: str, day: date) -> list[Resolution]:
    """The decisions in force about lines of this day, in the order of their conflicts.

    They are locked until the transaction ends: a decision made while the day is planned waits, and is applied next
    time. Another run that plans the day waits too, and then finds carried out what this one carries out.
    """
    of_day = (conflicts.c.connector == connector) & (conflicts.c.entry_date == day)
    unfinished = select(conflicts.c.id).where(of_day, conflicts.c.resolution_status.in_(["open", "decided"]))
    connection.execute(unfinished.order_by(conflicts.c.id).with_for_update())
    query = select(conflicts).where(of_day, _in_force())
    return [
        Resolution(
            row.key,
            Reason(row.reason),
            Choice(row.decision),
            row.facts_hash,
            timesheet_id=row.decision_timesheet_id,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
        )
        for row in connection.execute(query.order_by(conflicts.c.id))
    ]


def carry_out(connection: Connection, connector: str, lines: Iterable[PlanLine]) -> None:
    """Close the decided conflicts of these lines: they are carried out."""
    done = [(line.key, line.reason, line.facts_hash) for line in lines if line.decided]
    if not done:
        return
    connection.execute(
        update(conflicts)
        .where(
            conflicts.c.connector == connector,
            conflicts.c.resolution_status == "decided",
            _LINE.in_(done),
        )
        .values(resolution_status="carried_out", closed_at=func.now())
    )


def settle_refusals(connection: Connection, connector: str, lines: Iterable[PlanLine]) -> None:
    """Close the open conflicts about refused writes of these lines, which have now succeeded."""
    tried = [line.key for line in lines if line.reason is Reason.REFUSED_BY_KIMAI and not line.decided]
    if not tried:
        return
    connection.execute(
        update(conflicts)
        .where(
            conflicts.c.connector == connector,
            conflicts.c.reason == Reason.REFUSED_BY_KIMAI,
            conflicts.c.resolution_status == "open",
            conflicts.c.key.in_(tried),
        )
        .values(resolution_status="expired", closed_at=func.now())
    )


def decide(
    connection: Connection,
    conflict_id: int,
    choice: Choice,
    *,
    actor: str,
    timesheet_id: int | None = None,
    booking_id: str | None = None,
    seen: str | None = None,
    address: str = "",
    one_of_many: bool = False,
    why: str = "",
    at: datetime | None = None,
) -> Row:
    """Decide an open conflict, record it, and request its day; returns the conflict as it was.

    `timesheet_id` is for `link`, `booking_id` for `reduce`. `seen` is the hash of the facts that the person saw, if
    known. With `one_of_many`, nothing is adjusted that Kimai may bill differently; those that are decided together have
    the same `at`. Of two concurrent decisions the first one counts, and the second fails. Raises `DecisionError`.
    """
    row = _undecided(connection, conflict_id, seen)
    source = active_connectors(connection).source
    offered = reducible_by(connection, source, row)
    _require_possible(row, choice, reducible=bool(offered), one_of_many=one_of_many)
    _require_offered_sheet(connection, row, choice, timesheet_id)
    booking_id = _offered_booking(row, choice, booking_id, offered)
    connection.execute(
        update(conflicts)
        .where(conflicts.c.id == conflict_id)
        .values(
            resolution_status="decided",
            decision=choice,
            decision_timesheet_id=timesheet_id,
            decision_booking_id=booking_id,
            decision_why=why,
            decided_by=actor,
            decided_at=at or func.now(),
        )
    )
    about = {"reason": row.reason, "decision": choice, "day": str(row.entry_date), "timesheet": timesheet_id}
    about |= {name: value for name, value in (("booking", booking_id), ("why", why)) if value}
    _record(connection, row, about, "decided", actor, address)
    days = [row.entry_date]
    if choice is Choice.MOVE:
        booking_decisions.move(connection, source, row.source_id, actor)
    if booking_id is not None:
        booking_decisions.pair(connection, source, CorrectionPair(row.source_id, booking_id), actor)
        days += booking_decisions.days_of(connection, source, [booking_id])
    day_requests.ask(connection, days, "decision")
    return row


def reopen(connection: Connection, conflict_id: int, *, actor: str, address: str = "") -> Row:
    """Revert a decision that wrote nothing itself, and request its days; returns the conflict as it was.

    What was ignored or kept is open again at once. What was reduced or moved is asked about by the next plan, unless
    the facts answer it by then. Raises `DecisionError`.
    """
    row = one(connection, conflict_id, lock=True)
    choice = Choice(row.decision) if row.resolution_status in {"decided", "carried_out"} else None
    if choice is None or not (choice in RECORDED or stands(choice, Status(row.status))):
        raise DecisionError(
            f"Conflict {conflict_id} cannot be asked again: only what was left out, kept, reduced or moved is taken "
            "back so, while it holds. What was written to Kimai is taken back by undoing its run."
        )
    source, days = active_connectors(connection).source, [row.entry_date]
    recorded = True
    if choice is Choice.MOVE:
        recorded = booking_decisions.unmove(connection, source, row.source_id)
    if choice is Choice.REDUCE:
        pair = CorrectionPair(row.source_id, row.decision_booking_id)
        recorded = booking_decisions.unpair(connection, source, pair)
        days += booking_decisions.days_of(connection, source, [pair.reduced])
    if not recorded:
        raise DecisionError(f"What was decided about conflict {conflict_id} was taken back before.")
    ended = {"resolution_status": "expired", "closed_at": func.now()}
    connection.execute(update(conflicts).where(conflicts.c.id == conflict_id).values(**ended))
    if choice not in RECORDED:
        asked_again = {column.name: getattr(row, column.name) for column in conflicts.c if column.name in _ASKED}
        connection.execute(_OPEN, {"rows": to_json([asked_again])})
    _record(connection, row, {"reason": row.reason, "decision": choice}, "reopened", actor, address)
    day_requests.ask(connection, days, "decision")
    return row


def reducible_by(connection: Connection, source: str, row: Row) -> list[ReducibleBooking]:
    """The bookings whose time the correction of this conflict may take back, best first; none for another conflict."""
    if row.reason != Reason.UNMATCHED_CORRECTION or row.source_id is None:
        return []
    return booking_decisions.reducible(connection, source, row.source_id)


def _record(connection: Connection, row: Row, about: Mapping[str, Any], event: str, actor: str, address: str) -> None:
    detail = {**about, "address": address} if address else dict(about)
    audit.append(connection, [AuditEvent(f"conflict.{event}", actor, f"conflict:{row.id}", detail)])


def one(connection: Connection, conflict_id: int, *, lock: bool = False) -> Row:
    """One conflict; with `lock` nobody else changes it until the transaction ends. Raises `UnknownConflictError`."""
    query = select(conflicts).where(conflicts.c.id == conflict_id)
    found = connection.execute(query.with_for_update() if lock else query) if conflict_id <= _LARGEST_ID else None
    row = found.first() if found else None
    if row is None:
        raise UnknownConflictError(f"There is no conflict {conflict_id}. The list of conflicts shows all there are.")
    return row


def history(connection: Connection, connector: str, key: str) -> list[Row]:
    """All conflicts that there were about one booking or time sheet, oldest first."""
    query = select(conflicts).where(conflicts.c.connector == connector, conflicts.c.key == key)
    return list(connection.execute(query.order_by(conflicts.c.id)))


def _undecided(connection: Connection, conflict_id: int, seen: str | None) -> Row:
    """The open conflict, as the person saw it. Raises `DecisionError` where it is decided, or changed since."""
    row = one(connection, conflict_id, lock=True)
    if row.resolution_status != "open":
        if row.decision:
            raise DecidedError(conflict_id, row.decision, row.decided_by)
        raise DecisionError(f"Conflict {conflict_id} is no longer open: what it was about changed.")
    if seen not in {None, row.facts_hash}:
        raise DecisionError(f"Conflict {conflict_id} changed meanwhile: look at it again. {row.text}")
    return row


def _require_possible(row: Row, choice: Choice, *, reducible: bool, one_of_many: bool) -> None:
    """Raises `DecisionError` for what this reason does not allow, or not in a decision about many."""
    if one_of_many and choice is Choice.ADJUST and row.uncertain:
        raise DecisionError(
            f"Conflict {row.id}: Kimai may bill another amount than is adjusted. Decide about it by itself. {row.text}"
        )
    possible = allowed(Reason(row.reason), Status(row.status), reducible=reducible)
    if choice not in possible:
        meaning, known = EXPLANATIONS[Reason(row.reason)].meaning, ", ".join(MEANT[each] for each in possible)
        raise DecisionError(f"Conflict {row.id}: {meaning} It is not possible to {MEANT[choice]}; possible: {known}.")


def _require_offered_sheet(connection: Connection, row: Row, choice: Choice, timesheet_id: int | None) -> None:
    """Raise `DecisionError` for a time sheet that was not offered."""
    if timesheet_id is None:
        if choice is Choice.LINK and row.kimai_id is None:
            raise DecisionError(
                f"Conflict {row.id} has several candidates: name the time sheet that is meant. {row.text}"
            )
        return
    if choice is not Choice.LINK:
        raise DecisionError(
            f"Conflict {row.id}: time sheet {timesheet_id} is named to link it, not to {MEANT[choice]}."
        )
    line = plans.line_of(connection, row.connector, row.entry_date, row.key)
    offered = sorted({candidate.timesheet_id for candidate in line.candidates} if line else ())
    if timesheet_id not in offered:
        names = ", ".join(map(str, offered)) or "none"
        raise DecisionError(f"Conflict {row.id}: time sheet {timesheet_id} is not a candidate; candidates: {names}.")


def _offered_booking(
    row: Row, choice: Choice, booking_id: str | None, offered: Sequence[ReducibleBooking]
) -> str | None:
    """The booking to reduce. Raises `DecisionError` if it was not offered, or if several were and none is named."""
    if choice is not Choice.REDUCE:
        if booking_id is not None:
            raise DecisionError(
                f"Conflict {row.id}: booking {booking_id} is named to reduce it, not to {MEANT[choice]}."
            )
        return None
    ids = [each.booking_id for each in offered]
    if booking_id is None and len(ids) > 1:
        raise DecisionError(f"Conflict {row.id} has several candidates: name the booking that is meant. {row.text}")
    if booking_id is not None and booking_id not in ids:
        names = ", ".join(ids)
        raise DecisionError(f"Conflict {row.id}: booking {booking_id} is not a candidate; candidates: {names}.")
    return booking_id or ids[0]


def _in_force() -> ColumnElement[bool]:
    """The decisions that a plan must follow while their facts are unchanged."""
    in_force = [
        (conflicts.c.decision == choice) & (conflicts.c.status == status)
        for choice in Choice
        for status in Status
        if stands(choice, status)
    ]
    carried_out = conflicts.c.resolution_status == "carried_out"
    return (conflicts.c.resolution_status == "decided") | (carried_out & or_(*in_force))


def _suggested(line: PlanLine) -> str:
    """The first possible decision; leaving out is never suggested."""
    choices = allowed(line.reason, line.status, reducible=line.reducible) if line.reason else []
    return next((choice for choice in choices[:1] if choice is not Choice.IGNORE), "")


def open_lines(connection: Connection, connector: str, lines: Iterable[PlanLine]) -> None:
    """Open a conflict for each of these lines, or refresh the open one with the same reason."""
    values = [
        {
            "connector": connector,
            "entry_date": line.entry_date,
            "key": line.key,
            "source_id": line.source_id,
            "kimai_id": line.kimai_id,
            "reason": line.reason,
            "text": sentence(line),
            "suggested_action": _suggested(line),
            "status": line.status,
            "facts_hash": line.facts_hash,
            "uncertain": line.owed is not None and bool(line.owed.doubt),
        }
        for line in lines
    ]
    if values:
        connection.execute(_OPEN, {"rows": to_json(values)})


def open_conflicts(connection: Connection, first: date | None = None, last: date | None = None) -> list[Row]:
    """The open conflicts of these days, oldest day first."""
    query = select(conflicts).where(conflicts.c.resolution_status == "open")
    if first is not None:
        query = query.where(conflicts.c.entry_date >= first)
    if last is not None:
        query = query.where(conflicts.c.entry_date <= last)
    return list(connection.execute(query.order_by(conflicts.c.entry_date, conflicts.c.id)))


def open_of(connection: Connection, reason: Reason) -> list[Row]:
    """The open conflicts of one reason, oldest day first."""
    query = select(conflicts).where(conflicts.c.resolution_status == "open", conflicts.c.reason == reason)
    return list(connection.execute(query.order_by(conflicts.c.entry_date, conflicts.c.id)))


_ASKED = {
    "connector",
    "entry_date",
    "key",
    "source_id",
    "kimai_id",
    "reason",
    "text",
    "suggested_action",
    "facts_hash",
    "status",
    "uncertain",
}
"""What a question is, without what becomes of it."""

# The index's condition is a literal here: as a parameter, a prepared statement could not use the index.
_OPEN = text(
    """
    INSERT INTO sync.conflicts (
        connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status, uncertain
    )
    SELECT
        connector, entry_date, key, source_id, kimai_id, reason, text, suggested_action, facts_hash, status, uncertain
    FROM jsonb_populate_recordset(NULL::sync.conflicts, CAST(:rows AS jsonb))
    ON CONFLICT (connector, key, reason) WHERE resolution_status = 'open' DO UPDATE SET
        entry_date = excluded.entry_date, kimai_id = excluded.kimai_id, text = excluded.text,
        suggested_action = excluded.suggested_action, facts_hash = excluded.facts_hash, status = excluded.status,
        uncertain = excluded.uncertain
    """
)
