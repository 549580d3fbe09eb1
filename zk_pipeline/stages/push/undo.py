"""Undoing a run: each of its writes is read again, reversed and committed before the next one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import (
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    StillInUseError,
    ValidationFailedError,
)
from zk_pipeline.domain import undo
from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.ledger import (
    MENDED,
    Desired,
    JournalEntry,
    LedgerRow,
    Operation,
    PushState,
    StoredJournalEntry,
)
from zk_pipeline.domain.manual_fields import ManualFields, set_by_hand
from zk_pipeline.domain.mapping import CustomerPlan, ProjectPlan
from zk_pipeline.domain.markers import marker
from zk_pipeline.domain.normalize import TimeSpan
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.domain.records import MasterDataKind, MasterDataState, Timesheet, TimesheetChange
from zk_pipeline.domain.undo import CurrentState, Reversal, UndoStep, asked_before
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.push.delivery import RequestRecorder
from zk_pipeline.stages.push.unknown_outcomes import ANSWERED_500, LookupGuard, OutcomeResolver, lookup_guard_now
from zk_pipeline.stages.systems import locks_now, push_lock
from zk_pipeline.store import approvals, audit, ledger, plans, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database

# Records an undo: the result of each step goes into ledger, mirror, journal, audit and request log in one transaction.

TAKEN_BACK = "The write was taken back."


@dataclass(frozen=True, slots=True)
class UndoRecorder:
    """Records what one undo does to one target. If nothing had to be sent, `sent` is false."""

    request_recorder: RequestRecorder
    target: str
    run_id: str

    def deleted(self, step: UndoStep, gone: Timesheet | None) -> None:
        """A time sheet that the run had created is gone; `gone` is its last state, if we deleted it."""
        entry = step.write.entry
        with self.request_recorder.committed() as connection:
            self._release(connection, entry)
            target.mark_timesheets_gone(connection, self.target, [entry.kimai_id])
            self._close(connection, step, self._entry(entry, Operation.DELETE, gone, None) if gone else None)

    def restored(self, step: UndoStep, current: Timesheet, row: Timesheet, known: LedgerRow | None) -> None:
        """A time sheet that the run had updated has its old values again."""
        entry = step.write.entry
        with self.request_recorder.committed() as connection:
            if known is not None and known.kimai_id == row.id and entry.entry_date:
                asked = asked_before(known.asked, entry)
                restored = replace(
                    known,
                    state=PushState.CONFIRMED,
                    asked=asked,
                    base=row,
                    message="",
                    operation=Operation.UPDATE,
                    entry_date=entry.entry_date,
                    placed_at=None,
                    by_hand=ManualFields(),
                )
                ledger.confirm(connection, self.target, [restored], self.run_id)
            target.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(entry, Operation.UPDATE, current, row)
            self._close(connection, step, written)

    def unlinked(self, step: UndoStep, current: Timesheet, row: Timesheet) -> None:
        """A time sheet that was typed by hand has its old text again and belongs to no booking."""
        entry = step.write.entry
        with self.request_recorder.committed() as connection:
            self._release(connection, entry)
            target.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(entry, Operation.UNLINK, current, row)
            self._close(connection, step, written)

    def untagged(self, step: UndoStep, current: Timesheet, row: Timesheet) -> None:
        """A time sheet no longer has the tag; its owner and values are unchanged."""
        with self.request_recorder.committed() as connection:
            target.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(step.write.entry, Operation.UNTAG, current, row)
            self._close(connection, step, written)

    def intend(self, write: LedgerRow) -> None:
        """Commit that a time sheet is about to be created again."""
        with self.request_recorder.committed() as connection:
            ledger.intend(connection, self.target, [write], self.run_id)

    def withdraw(self, source_id: str) -> None:
        """Record that a time sheet was certainly not created again."""
        with self.request_recorder.committed() as connection:
            ledger.release(connection, self.target, source_id, TAKEN_BACK, self.run_id)

    def created(self, step: UndoStep, write: LedgerRow, row: Timesheet) -> None:
        """A time sheet that the run had deleted exists again, with another id."""
        entry = JournalEntry(Operation.CREATE, write.source_id, row.id, write.entry_date, after=row)
        with self.request_recorder.committed() as connection:
            ledger.confirm(connection, self.target, [write], self.run_id)
            target.save_timesheets(connection, self.target, [row])
            self._close(connection, step, entry)

    def removed(self, step: UndoStep) -> None:
        """A customer or project that the run had created is gone."""
        made = step.write.entry
        customer = made.operation == Operation.CREATE_CUSTOMER
        operation = Operation.DELETE_CUSTOMER if customer else Operation.DELETE_PROJECT
        entry = JournalEntry(operation, None, made.kimai_id, None, named=made.named)
        with self.request_recorder.committed() as connection:
            if customer:
                target.forget_customer(connection, self.target, made.kimai_id)
            else:
                target.forget_project(connection, self.target, made.kimai_id)
            self._close(connection, step, entry)

    def mended_back(
        self, step: UndoStep, kind: MasterDataKind, current: MasterDataState, found: MasterDataState
    ) -> None:
        """What the run had shown or extended is as before."""
        mended = step.write.entry
        entry = replace(mended, mended_from=current, mended_to=found)
        with self.request_recorder.committed() as connection:
            target.note_state(connection, self.target, kind, mended.kimai_id, found)
            self._close(connection, step, entry)

    def settled(self, step: UndoStep) -> None:
        """There was nothing to undo."""
        with self.request_recorder.committed() as connection:
            self._close(connection, step, None)

    def _release(self, connection: Connection, entry: JournalEntry) -> None:
        """Unlink the time sheet, unless the booking has another one by now."""
        source_id = entry.source_id or ""
        known = ledger.rows_of(connection, self.target, [source_id]).get(source_id)
        if known is not None and known.kimai_id == entry.kimai_id:
            ledger.release(connection, self.target, source_id, TAKEN_BACK, self.run_id)

    def _entry(
        self, entry: JournalEntry, operation: Operation, before: Timesheet | None, after: Timesheet | None
    ) -> JournalEntry:
        return JournalEntry(operation, entry.source_id, entry.kimai_id, entry.entry_date, before, after)

    def _close(self, connection: Connection, step: UndoStep, written: JournalEntry | None) -> None:
        if written is not None:
            ledger.record(connection, self.target, [written], self.run_id)
        ledger.mark_undone(connection, [step.write.id], self.run_id)
        entry = step.write.entry
        if entry.entry_date is not None and entry.operation != Operation.TAG:
            plans.take_back(connection, self.target, entry.entry_date, entry.source_id, entry.kimai_id, self.run_id)
            approvals.revoke(connection, self.target, entry.entry_date, self.run_id)
        audit.append(connection, [self._event(step, written)])

    def _event(self, step: UndoStep, written: JournalEntry | None) -> AuditEvent:
        entry = step.write.entry
        detail: Mapping[str, Any] = {
            "undone_run": step.write.run_id,
            "write": step.write.id,
            "operation": entry.operation,
            "booking": entry.source_id,
            "day": str(entry.entry_date) if entry.entry_date else None,
            "kimai_id": written.kimai_id if written else entry.kimai_id,
            "sent": written is not None,
            "text": step.text,
        }
        kind = {Operation.CREATE_CUSTOMER: "customer", Operation.CREATE_PROJECT: "project", **MENDED}
        subject = f"kimai:{kind[Operation(entry.operation)]}" if entry.operation in kind else "timesheet"
        return AuditEvent("kimai.write.undone", "pipeline", f"{subject}:{entry.kimai_id}", detail, self.run_id)


# Undoing a run: each of its writes is read again, reversed and committed before the next one. A killed undo is simply
# run again: what was sent but not committed is recognized by the target's current state, and a create by its intent and
# marker, as in every push.

REFUSED = (NotFoundError, PermissionDeniedError, StillInUseError, ValidationFailedError)
"""Errors of a single write: it is left, and the others continue."""


SHORTEST_ID = 6
"""The least number of letters of a run's id that may stand for it."""


class UnknownRunError(Exception):
    """A text means no run, or several; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class UndoSettings:
    """The options of an undo. `time_limit` is the target's own limit for one request, in seconds."""

    source: str
    zone: ZoneInfo
    locks: Callable[[Connection], WriteProtection]
    time_limit: float
    lookup_guard: LookupGuard


@dataclass(frozen=True, slots=True)
class TimesheetLookup:
    """Time sheets as the target has them now; `hidden` are those that exist but may not be read, with its reason."""

    timesheets: dict[int, Timesheet] = field(default_factory=dict[int, Timesheet])
    hidden: dict[int, str] = field(default_factory=dict[int, str])

    def read(self, target: TargetConnector, kimai_id: int) -> None:
        """Read one time sheet."""
        try:
            row = target.get(kimai_id)
        except ConnectorError as error:
            if not _is_of_row(error):
                raise
            self.hidden[kimai_id] = str(error)
            return
        if row is not None:
            self.timesheets[kimai_id] = row


def _is_of_row(error: ConnectorError) -> bool:
    """Whether the target refused or failed on this row only, so that the others continue."""
    return isinstance(error, REFUSED) or error.status == ANSWERED_500


def named_run(database: Database, text: str) -> str:
    """The run whose id is, or begins with, the text. Raises `UnknownRunError` for none or several."""
    if len(text) < SHORTEST_ID:
        raise UnknownRunError(f"{text!r} is too short for a run id. Give at least {SHORTEST_ID} letters of its id.")
    with database.transaction() as connection:
        found = ledger.runs_beginning(connection, text)
    if not found:
        raise UnknownRunError(
            f"No run that wrote anything has an id beginning with {text!r}. The list of runs shows the last ones."
        )
    if len(found) > 1:
        raise UnknownRunError(f"{text!r} could be {', '.join(found)}. Give more of the id.")
    return found[0]


def undo_settings(runtime: Runtime, now: datetime) -> UndoSettings:
    """The settings of this deployment."""
    settings, target_name = runtime.settings, runtime.stored("target").name
    with runtime.database.transaction() as connection:
        lookup_guard = lookup_guard_now(connection, target_name, now)
    return UndoSettings(
        source=runtime.stored("source").name,
        zone=settings.zone,
        locks=lambda connection: locks_now(connection, settings, now),
        time_limit=settings.kimai_time_limit,
        lookup_guard=lookup_guard,
    )


def planned(database: Database, target: TargetConnector, settings: UndoSettings, undone_run: str) -> list[UndoStep]:
    """What undoing the run would do now. Reads the target and writes nothing."""
    name = target.endpoint.name
    with database.transaction() as connection:
        writes = ledger.of_run(connection, name, undone_run)
    found = _sightings(target, [write for write in writes if write.undone_by is None], settings.zone)
    return undo.plan(writes, _present(database, settings, found, _ledger(database, name, settings, writes)))


class UndoExecutor:
    """Undoes the writes of one run, on behalf of another run."""

    def __init__(self, database: Database, target: TargetConnector, settings: UndoSettings, run_id: str) -> None:
        self._database = database
        self._target = target
        self._name = target.endpoint.name
        self._settings = settings
        self._request_recorder = RequestRecorder(database, self._name, run_id)
        self._recorder = UndoRecorder(self._request_recorder, self._name, run_id)
        self._resolver = OutcomeResolver(
            target, self._request_recorder, settings.source, settings.time_limit, settings.lookup_guard
        )

    def carry_out(self, undone_run: str) -> list[UndoStep]:
        """Undo the run; returns a step for each of its writes, with its result.

        Raises the connector's errors for what stops it; what was done until then is committed.
        """
        with self._request_recorder.kept():
            return self._carry_out(undone_run)

    def _carry_out(self, undone_run: str) -> list[UndoStep]:
        days = {write.entry.entry_date for write in self._open(undone_run)}
        steps: list[UndoStep] = []
        for day in sorted((day for day in days if day is not None), reverse=True):
            with self._database.lock(push_lock(self._name, day)):
                steps += [self._timesheet(write) for write in self._open(undone_run) if write.entry.entry_date == day]
        if None in days:
            with self._database.lock(f"zk:masterdata:{self._name}"):
                steps += [self._master_data(write) for write in self._open(undone_run) if not write.entry.entry_date]
        return steps

    def _open(self, undone_run: str) -> list[StoredJournalEntry]:
        """The writes that are not undone yet, newest first."""
        with self._database.transaction() as connection:
            return [write for write in ledger.of_run(connection, self._name, undone_run) if write.undone_by is None]

    def _timesheet(self, write: StoredJournalEntry) -> UndoStep:
        """Undo one write to a time sheet, which is read again first."""
        found = TimesheetLookup()
        if write.entry.operation != Operation.DELETE:
            found.read(self._target, write.entry.kimai_id)
        known = _ledger(self._database, self._name, self._settings, [write])
        step = undo.step(write, _present(self._database, self._settings, found, known))
        source_id = undo.booking_of(write.entry, self._settings.source)
        row = known.get(source_id or "")
        try:
            with self._request_recorder.of(source_id):
                return self._done(step, found.timesheets.get(write.entry.kimai_id), row)
        except ConnectorError as error:
            if not _is_of_row(error):
                raise
            return step.left(str(error))

    def _done(self, step: UndoStep, current: Timesheet | None, known: LedgerRow | None) -> UndoStep:
        match step.reversal:
            case Reversal.DELETE:
                if current is not None:
                    self._target.delete(current.id)
                self._recorder.deleted(step, current)
            case Reversal.RESTORE if current is not None:
                change = TimesheetChange() if step.already else undo.change_back(step.write.entry)
                if (change.user_id, change.project_id, change.activity_id) != (None, None, None):
                    change = set_by_hand(current, _base(known, current) or step.write.entry.after).on(change)
                self._recorder.restored(step, current, self._target.update(current, change), known)
            case Reversal.UNLINK if current is not None:
                before = step.write.entry.before
                change = TimesheetChange(description=before.description if before and not step.already else None)
                self._recorder.unlinked(step, current, self._target.update(current, change))
            case Reversal.UNTAG if current is not None:
                added = undo.tags_added(step.write.entry)
                kept = tuple(tag for tag in current.tags if tag not in added)
                change = TimesheetChange(tags=None if step.already else kept)
                self._recorder.untagged(step, current, self._target.update(current, change))
            case Reversal.CREATE:
                return self._create(step, known)
            case Reversal.NOTHING:
                self._recorder.settled(step)
            case _:
                pass
        return step

    def _create(self, step: UndoStep, known: LedgerRow | None) -> UndoStep:
        """Create a deleted time sheet again. An unknown outcome is looked up when the undo is run again."""
        line = _created_again(step.write, known, self._settings)
        write = LedgerRow(
            source_id=line.entry_id,
            state=PushState.INTENDED,
            kimai_id=None,
            asked=line.to_write.desired,
            base=None,
            facts_hash="",
            operation=Operation.CREATE,
            entry_date=line.entry_date,
        )
        unknown, _ = self._resolver.split([line], {line.entry_id: known} if known else {})
        found, _ = self._resolver.settle(unknown)
        if found:
            row = found[0].timesheet
        else:
            self._recorder.intend(write)
            row = self._sent(line)
        text = f"Time sheet {row.id} stands for it now."
        before = step.write.entry.before
        if before is not None and row.billable != before.billable:
            row, note = self._with_billable(row, billable=before.billable)
            text = f"{text} {note}".strip()
        self._recorder.created(step, replace(write, state=PushState.CONFIRMED, kimai_id=row.id, base=row), row)
        return replace(step, text=text)

    def _sent(self, line: PlanLine) -> Timesheet:
        try:
            return self._target.create(line.to_write.timesheet())
        except ConnectorError as error:
            if not error.outcome_unknown:
                self._recorder.withdraw(line.entry_id)
            raise

    def _with_billable(self, row: Timesheet, *, billable: bool) -> tuple[Timesheet, str]:
        """The row with the flag it had; that may take a permission which nothing else needs."""
        try:
            return self._target.update(row, TimesheetChange(billable=billable)), ""
        except PermissionDeniedError as error:
            return row, f"Its billable flag could not be restored. {error}"

    def _master_data(self, write: StoredJournalEntry) -> UndoStep:
        step = undo.step(write, _present(self._database, self._settings, TimesheetLookup(), {}))
        if step.reversal is Reversal.RESTORE:
            try:
                with self._request_recorder.of(None):
                    return self._mended_back(step, MENDED[write.entry.operation])
            except REFUSED as error:
                return step.left(str(error))
        if step.reversal is not Reversal.REMOVE or write.entry.named is None:
            return step
        delete = (
            self._target.delete_customer
            if write.entry.operation == Operation.CREATE_CUSTOMER
            else self._target.delete_project
        )
        try:
            with self._request_recorder.of(None):
                delete(write.entry.kimai_id, number=write.entry.named.number)
        except REFUSED as error:
            return step.left(str(error))
        self._recorder.removed(step)
        return replace(step, text="")

    def _mended_back(self, step: UndoStep, kind: MasterDataKind) -> UndoStep:
        """Hide it again, or let it end as before, unless somebody changed it since."""
        entry = step.write.entry
        current = self._target.state_of(kind, entry.kimai_id)
        before, after = entry.mended_from, entry.mended_to
        if current is None or before is None or after is None:
            self._recorder.settled(step)
            return replace(step, reversal=Reversal.NOTHING, text=f"The {kind} is gone.")
        if _shown_until(current) == _shown_until(before):
            self._recorder.settled(step)
            return replace(step, text="It is as before already.", already=True)
        if _shown_until(current) != _shown_until(after):
            return step.left(f"Somebody changed the {kind} in Kimai since.")
        found = self._target.mend(kind, entry.kimai_id, current, before)
        self._recorder.mended_back(step, kind, current, found)
        return replace(step, text="")


def _shown_until(state: MasterDataState) -> tuple[bool, date | None]:
    """What a mend changes."""
    return state.visible, state.end


def _base(known: LedgerRow | None, current: Timesheet) -> Timesheet | None:
    return known.base if known is not None and known.kimai_id == current.id else None


def _present(
    database: Database, settings: UndoSettings, found: TimesheetLookup, known: dict[str, LedgerRow]
) -> CurrentState:
    bound = {source_id: row.kimai_id for source_id, row in known.items() if row.kimai_id is not None}
    with database.transaction() as connection:
        locks = settings.locks(connection)
    return CurrentState(found.timesheets, bound, settings.source, locks, found.hidden)


def _ledger(
    database: Database, target_name: str, settings: UndoSettings, writes: Iterable[StoredJournalEntry]
) -> dict[str, LedgerRow]:
    """The ledger of the bookings that these writes were for."""
    bookings = {undo.booking_of(write.entry, settings.source) for write in writes}
    with database.transaction() as connection:
        return ledger.rows_of(connection, target_name, [booking for booking in bookings if booking is not None])


def _sightings(target: TargetConnector, writes: Sequence[StoredJournalEntry], zone: ZoneInfo) -> TimesheetLookup:
    """The time sheets of these writes as they are now: read day by day, and those moved elsewhere one by one."""
    wanted = {write.entry.kimai_id: write.entry.entry_date for write in writes if write.entry.after is not None}
    found = TimesheetLookup()
    for day in sorted({day for day in wanted.values() if day is not None}):
        rows = (row for page in target.fetch(days_window(day, day, zone)).pages() for row in page)
        found.timesheets.update({row.id: row for row in rows if row.id in wanted})
    for kimai_id in sorted(wanted.keys() - found.timesheets.keys()):
        found.read(target, kimai_id)
    return found


def _created_again(write: StoredJournalEntry, known: LedgerRow | None, settings: UndoSettings) -> PlanLine:
    """The deleted time sheet as a create: with the old values, and with the marker even if it had lost it."""
    before, day = write.entry.before, write.entry.entry_date
    source_id = undo.booking_of(write.entry, settings.source)
    if before is None or day is None or source_id is None:
        raise ValueError(f"The journal does not say what the write {write.id} deleted.")
    asked = known.asked if known else None
    number = asked.project_number if asked and asked.project_id == before.project_id else ""
    mark = marker(settings.source, source_id)
    text = before.description if mark in before.description else f"{before.description} {mark}".strip()
    desired = Desired(
        before.user_id, before.activity_id, before.project_id, number, before.begin, before.duration_seconds
    )
    span = TimeSpan(before.begin, before.begin + timedelta(seconds=before.duration_seconds))
    project = ProjectPlan(before.project_id, number, "", CustomerPlan(None, "", ""))
    draft = Draft(desired, span, project, text, before.tags)
    minutes = Decimal(before.duration_seconds) / 60
    return PlanLine(day, source_id, None, Status.MISSING, Action.CREATE, minutes, draft=draft)
