"""The results of a push: each outcome goes into ledger, mirror, conflicts, audit and request log in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import Connection

from zk_pipeline.connectors.errors import ConnectorError, ValidationFailedError
from zk_pipeline.domain import manual_fields
from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.ledger import Desired, JournalEntry, LedgerRow, PushState
from zk_pipeline.domain.manual_fields import NOTHING, ManualFields
from zk_pipeline.domain.plan import Draft, PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.resolutions import Choice
from zk_pipeline.stages.push.delivery import PlannedWrite, RequestRecorder
from zk_pipeline.store import approvals, audit, conflicts, ledger, mappings, plans, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.store.ledger import Write

FAR_AWAY = timedelta(hours=1)
"""No rounding moves a time sheet this far (docs/kimai.md §5)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the target refused an entry, as a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """The row that the target has for a write, and what it had before; `written` is false if it was already so.

    `base` is the row as it was written, if it was edited since.
    """

    planned: PlannedWrite
    row: Timesheet
    before: Timesheet | None = None
    written: bool = True
    base: Timesheet | None = None


class OutcomeRecorder:
    """Records what one run does to one target."""

    def __init__(
        self, database: Database, request_recorder: RequestRecorder, source_name: str, target_name: str, run_id: str
    ) -> None:
        self._database = database
        self._request_recorder = request_recorder
        self._source = source_name
        self._target = target_name
        self._run_id = run_id

    def mirrored(self, kimai_id: int) -> Timesheet | None:
        """A time sheet as it was last read, before this write."""
        with self._database.transaction() as connection:
            return target.timesheets_by_id(connection, self._target, [kimai_id]).get(kimai_id)

    def belongs_to_others(self, kimai_id: int, source_id: str) -> bool:
        """Whether the ledger links a time sheet to another booking than this one."""
        with self._database.transaction() as connection:
            return bool(ledger.rows_of_timesheets(connection, self._target, [kimai_id]).keys() - {source_id})

    def usual_rate(self, planned: PlannedWrite) -> tuple[Decimal | None, str]:
        """The price of an hour where the time sheet would go, as another one there shows, and the currency."""
        desired, kimai_id = planned.draft.desired, planned.line.kimai_id or 0
        with self._database.transaction() as connection:
            place = (desired.user_id, desired.project_id or 0, desired.activity_id)
            sheet = target.newest_priced(connection, self._target, *place, other_than=kimai_id)
            return manual_fields.hourly(sheet) if sheet else None, target.currency_of(
                connection, self._target, place[1]
            )

    def intend(self, planned_writes: Sequence[PlannedWrite], operation: Action, theirs: ManualFields = NOTHING) -> None:
        """Commit that these writes are about to be sent; of an update, also what people had set."""
        writes = [replace(_write(planned, operation), by_hand=theirs) for planned in planned_writes]
        with self._database.transaction() as connection:
            ledger.intend(connection, self._target, writes, self._run_id)

    def confirm(self, done: Sequence[WriteOutcome], event: str, operation: Action) -> None:
        """Commit the rows that the target returned, the rows before, and that the decisions are carried out."""
        if not done:
            return
        writes = [
            replace(
                _write(item.planned, operation),
                asked=_asked(item, operation),
                kimai_id=item.row.id,
                base=item.base or item.row,
            )
            for item in done
        ]
        with self._request_recorder.committed() as connection:
            ledger.confirm(connection, self._target, writes, self._run_id)
            target.save_timesheets(connection, self._target, [item.row for item in done])
            ledger.record(
                connection, self._target, [_entry(item, operation) for item in done if item.written], self._run_id
            )
            mappings.remember(connection, self._source, self._target, [write.source_id for write in writes])
            self._carried_out(connection, [item.planned.line for item in done])
            conflicts.settle_refusals(connection, self._target, [item.planned.line for item in done])
            audit.append(connection, [self._event(event, item.planned, item.row) for item in done])

    def delete(self, line: PlanLine, gone: Timesheet | None, bound: LedgerRow | None) -> None:
        """Commit that a time sheet is gone from the target; `bound` is the ledger row of its booking."""
        kimai_id = line.kimai_id or 0
        with self._request_recorder.committed() as connection:
            if bound is not None:
                ledger.release(connection, self._target, bound.source_id, "The time sheet was deleted.", self._run_id)
            target.mark_timesheets_gone(connection, self._target, [kimai_id])
            if gone is not None:
                source_id = bound.source_id if bound else None
                written = JournalEntry("delete", source_id, kimai_id, line.entry_date, before=gone)
                ledger.record(connection, self._target, [written], self._run_id)
            self._carried_out(connection, [line])
            detail = {"day": str(line.entry_date), "kimai_id": kimai_id, "reason": line.reason, "decided": line.decided}
            event = AuditEvent("kimai.timesheet.deleted", "pipeline", f"timesheet:{kimai_id}", detail, self._run_id)
            audit.append(connection, [event])

    def refuse(
        self, planned: PlannedWrite, operation: Action, refusal: Refusal, *, current: Timesheet | None = None
    ) -> None:
        """Park an entry that the target refused, and open a conflict for it.

        `current` is the time sheet if something was written, but not what was wanted.
        """
        known = planned.line.text
        if planned.line.reason is Reason.REFUSED_BY_KIMAI:
            # Its text is that of the last refusal, so the sentence is not repeated.
            known = known.replace(refusal.text, "").strip() if refusal.text in known else ""
        text = " ".join(part for part in (refusal.text, known) if part)
        line = replace(planned.line, action=Action.REVIEW, reason=Reason.REFUSED_BY_KIMAI, text=text)
        with self._request_recorder.committed() as connection:
            ledger.refuse(connection, self._target, _write(planned, operation), PushState.PARKED, text, self._run_id)
            target.save_timesheets(connection, self._target, [current] if current is not None else [])
            approvals.spend(connection, self._target, [planned.line], self._run_id)
            if planned.line.reason is Reason.REFUSED_BY_KIMAI:
                # A person had decided to try again; the new refusal is a new question.
                conflicts.carry_out(connection, self._target, [planned.line])
            conflicts.open_lines(connection, self._target, [line])
            audit.append(connection, [self._event("kimai.timesheet.refused", planned, None, refusal.text)])

    def fail(self, planned_writes: Sequence[PlannedWrite], operation: Action, message: str) -> None:
        """Record entries that were certainly not written and will be tried again."""
        if not planned_writes:
            return
        with self._request_recorder.committed() as connection:
            for planned in planned_writes:
                write = _write(planned, operation)
                ledger.refuse(connection, self._target, write, PushState.FAILED, message, self._run_id)

    def _carried_out(self, connection: Connection, lines: Sequence[PlanLine]) -> None:
        """What was decided and approved is done, in the transaction of the write's outcome.

        Not with the intent: a process that dies between the two leaves the approval open, and the run that settles the
        unknown outcome writes what was approved, once, and spends it here.
        """
        conflicts.carry_out(connection, self._target, lines)
        plans.carry_out(connection, self._target, lines)
        approvals.spend(connection, self._target, lines, self._run_id)

    def _event(self, event: str, planned: PlannedWrite, row: Timesheet | None, message: str = "") -> AuditEvent:
        detail = {
            "day": str(planned.line.entry_date),
            "kimai_id": row.id if row else None,
            "minutes": str(planned.line.minutes),
            "asked": planned.draft.desired.to_json(),
            "changed": dict(planned.line.diff),
            "message": message,
        }
        return AuditEvent(event, "pipeline", f"booking:{planned.source_id}", detail, self._run_id)


def _asked(item: WriteOutcome, operation: Action) -> Desired:
    """What counts as asked for; by a person's decision the row is what the booking wants, whatever it says.

    Of fields that were not sent the row may say what a person decided before.
    """
    line, desired = item.planned.line, item.planned.draft.desired
    if line.decided in {Choice.KEEP, Choice.LINK} or item.base is not None:
        return desired
    found = asked_of(item.planned.draft, item.row)
    if operation is Action.CREATE:
        return found
    return replace(
        desired,
        user_id=found.user_id if "user" in line.diff else desired.user_id,
        activity_id=found.activity_id if "activity" in line.diff else desired.activity_id,
        project_id=found.project_id if "project" in line.diff else desired.project_id,
        project_number=found.project_number if "project" in line.diff else desired.project_number,
        begin=found.begin if "begin" in line.diff else desired.begin,
    )


def _entry(item: WriteOutcome, operation: Action) -> JournalEntry:
    line = item.planned.line
    written = item.base or item.row
    return JournalEntry(operation, line.source_id, item.row.id, line.entry_date, item.before, written)


def asked_of(draft: Draft, row: Timesheet) -> Desired:
    """What counts as asked for, given the row that the target shows.

    A value that differs from the sent one counts, so that the next run sees the difference and corrects it.
    """
    desired = draft.desired
    return replace(
        desired,
        user_id=row.user_id,
        activity_id=row.activity_id,
        project_id=row.project_id,
        project_number=desired.project_number if row.project_id == desired.project_id else "",
        begin=row.begin if abs(row.begin - draft.span.begin) >= FAR_AWAY else desired.begin,
    )


def refusal_of(error: ConnectorError, what: str = "") -> Refusal:
    """A refusal for people: the fields in the target's words and a remedy, or the error's own sentences."""
    text = str(error)
    if isinstance(error, ValidationFailedError) and error.fields:
        fields = "; ".join(f"{name or 'time sheet'}: {' '.join(texts)}" for name, texts in error.fields.items())
        text = f"Kimai says: {fields.rstrip('.')}. {error.remedy}".strip()
    return Refusal(f"{what} {text}".strip())


def _write(planned: PlannedWrite, operation: Action) -> Write:
    """The write before its outcome is known. A new time sheet is not linked to an existing one."""
    line = planned.line
    kimai_id = None if operation is Action.CREATE else line.kimai_id
    return Write(
        planned.source_id,
        operation,
        line.entry_date,
        planned.draft.desired,
        line.facts_hash,
        kimai_id=kimai_id,
        placed_at=planned.draft.span.begin if operation is Action.CREATE else None,
    )


# The result of a push as counts that can be added up.


@dataclass(frozen=True, slots=True)
class PushReport:
    """Entries by outcome, minutes written, and the master data created for them.

    `linked` were taken into the ledger without a write, `adopted` were found by their marker after an unknown outcome,
    `left` changed since they were planned and wait for the next run, `unapproved` wait for an approval.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    linked: int = 0
    adopted: int = 0
    parked: int = 0
    failed: int = 0
    left: int = 0
    unapproved: int = 0
    minutes: Decimal = Decimal(0)
    customers: int = 0
    projects: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, other: "PushReport") -> "PushReport":
        return PushReport(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        )

    @property
    def carried_out(self) -> int:
        """How many lines of the plan were carried out."""
        return self.created + self.updated + self.deleted + self.linked + self.adopted

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return {name: value for field in fields(self) if isinstance(value := getattr(self, name := field.name), int)}
