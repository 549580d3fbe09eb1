"""Undoing a run: what that would do, and starting it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Self

from zk_pipeline.domain.entries import Entry
from zk_pipeline.domain.undo import Reversal, UndoStep
from zk_pipeline.identity.actors import Actor, OperationError, UnknownError
from zk_pipeline.operate.runs import launch_once, record_undo_request, unfinished_run
from zk_pipeline.runtime.dagster_server import run_url
from zk_pipeline.runtime.run_tags import REASON_TAG, UNDO_JOB, undo_config
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.undo import UnknownRunError, named_run, planned, undo_settings
from zk_pipeline.store import day_requests, entries
from zk_pipeline.store.connectors import active_connectors


@dataclass(frozen=True, slots=True)
class UndoLine:
    """How one write is undone, or why it is left. `operation` is the write, `undo` its reversal or `leave`.

    Ticket, customer and minutes are those of its booking, if it is of one.
    """

    day: date | None
    operation: str
    booking: str | None
    kimai_id: int
    undo: str
    text: str
    ticket: str = ""
    customer: str = ""
    minutes: Decimal | None = None

    @classmethod
    def of(cls, step: UndoStep, bookings: Mapping[str, Entry]) -> Self:
        """The line for a step of an undo, given the entries of the bookings."""
        entry, shown = step.write.entry, step.to_json()
        line = cls(entry.entry_date, shown["operation"], entry.source_id, entry.kimai_id, shown["undo"], shown["text"])
        booking = bookings.get(entry.source_id or "")
        if booking is None:
            return line
        ticket = f"{booking.ticket_number} {booking.ticket_title}".strip()
        customer = booking.organization_name or booking.customer_name or ""
        return replace(line, ticket=ticket, customer=customer, minutes=booking.time_minutes)


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What undoing a run would do; `left` writes are billed, in a closed month, or edited since."""

    run_id: str
    wanted: tuple[UndoLine, ...]
    left: tuple[UndoLine, ...]


@dataclass(frozen=True, slots=True)
class UndoRun:
    """A run that undoes the run `undoes`; `url` is its page in Dagster."""

    run_id: str
    undoes: str
    url: str


def plan(runtime: Runtime, run: str) -> UndoPlan:
    """What undoing a run would do now, given its id or a prefix. Reads Kimai, writes nothing.

    Raises `UnknownError` and the connector's errors.
    """
    run_id = _named(runtime, run)
    with runtime.target() as target:
        steps = planned(runtime.database, target, undo_settings(runtime, datetime.now(UTC)), run_id)
    with runtime.database.transaction() as connection:
        ids = {id_ for step in steps if (id_ := step.write.entry.source_id)}
        bookings = entries.entries_of(connection, active_connectors(connection).source, ids)
    lines = [(step.reversal is Reversal.LEAVE, UndoLine.of(step, bookings)) for step in steps]
    return UndoPlan(
        run_id,
        tuple(line for is_left, line in lines if not is_left),
        tuple(line for is_left, line in lines if is_left),
    )


def launch(runtime: Runtime, actor: Actor, run: str) -> UndoRun:
    """Start the undo of a run, which checks each write again; returns an unfinished undo of the run if there is one.

    Raises `UnknownError`, `OperationError` if nothing can be undone, the connector's errors, and `DagsterServerError`
    if Dagster does not answer.
    """
    named = _named(runtime, run)
    key = f"undo:{named}"
    with runtime.database.lock(f"zk:{key}"):
        run_id = unfinished_run(runtime, key)
        if run_id is not None:
            return UndoRun(run_id, named, run_url(runtime.settings.dagster_link, run_id))
        found = plan(runtime, named)
        if not found.wanted:
            raise OperationError(f"Run {named} has nothing to undo.")
        record_undo_request(runtime, actor, named)
        tags = {REASON_TAG: day_requests.PERSON}
        run_id = launch_once(runtime, actor, UNDO_JOB, tags, undo_config(named), key=key, about=named)
    return UndoRun(run_id, named, run_url(runtime.settings.dagster_link, run_id))


def _named(runtime: Runtime, run: str) -> str:
    try:
        return named_run(runtime.database, run)
    except UnknownRunError as error:
        raise UnknownError(str(error)) from error
