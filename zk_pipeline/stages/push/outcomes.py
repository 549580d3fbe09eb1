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
from zk_pipeline.stages.push.delivery import Outcome, RequestRecorder
from zk_pipeline.store import approvals, audit, conflicts, ledger, mappings, plans, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database

FAR_AWAY = timedelta(hours=1)
"""No rounding moves a time sheet this far (docs/kimai.md §5)."""


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

    def usual_rate(self, line: PlanLine) -> tuple[Decimal | None, str]:
        """The price of an hour where the time sheet would go, as another one there shows, and the currency."""
        desired, kimai_id = line.to_write.desired, line.kimai_id or 0
        with self._database.transaction() as connection:
            place = (desired.user_id, desired.project_id or 0, desired.activity_id)
            sheet = target.newest_priced(connection, self._target, *place, other_than=kimai_id)
            return manual_fields.hourly(sheet) if sheet else None, target.currency_of(
                connection, self._target, place[1]
            )

    def intend(self, lines: Sequence[PlanLine], operation: Action, theirs: ManualFields = NOTHING) -> None:
        """Commit that these writes are about to be sent; of an update, also what people had set."""
        rows = [replace(_row(line, operation), by_hand=theirs) for line in lines]
        with self._database.transaction() as connection:
            ledger.intend(connection, self._target, rows, self._run_id)

    def confirm(self, done: Sequence[Outcome], event: str, operation: Action) -> None:
        """Commit the rows that the target returned, the rows before, and that the decisions are carried out."""
        if not done:
            return
        rows = [
            replace(
                _row(item.line, operation),
                state=PushState.CONFIRMED,
                asked=_asked(item, operation),
                kimai_id=item.timesheet.id,
                base=item.base or item.timesheet,
            )
            for item in done
        ]
        with self._request_recorder.committed() as connection:
            ledger.confirm(connection, self._target, rows, self._run_id)
            target.save_timesheets(connection, self._target, [item.timesheet for item in done])
            ledger.record(
                connection, self._target, [_entry(item, operation) for item in done if item.written], self._run_id
            )
            mappings.remember(connection, self._source, self._target, [row.source_id for row in rows])
            self._carried_out(connection, [item.line for item in done])
            conflicts.settle_refusals(connection, self._target, [item.line for item in done])
            audit.append(connection, [self._event(event, item.line, item.timesheet) for item in done])

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

    def refuse(self, line: PlanLine, operation: Action, refusal: str, *, current: Timesheet | None = None) -> None:
        """Park an entry that the target refused, and open a conflict for it.

        `current` is the time sheet if something was written, but not what was wanted.
        """
        known = line.text
        if line.reason is Reason.REFUSED_BY_KIMAI:
            # Its text is that of the last refusal, so the sentence is not repeated.
            known = known.replace(refusal, "").strip() if refusal in known else ""
        text = " ".join(part for part in (refusal, known) if part)
        question = replace(line, action=Action.REVIEW, reason=Reason.REFUSED_BY_KIMAI, text=text)
        with self._request_recorder.committed() as connection:
            parked = replace(_row(line, operation), state=PushState.PARKED, message=text)
            ledger.refuse(connection, self._target, parked, self._run_id)
            target.save_timesheets(connection, self._target, [current] if current is not None else [])
            approvals.spend(connection, self._target, [line], self._run_id)
            if line.reason is Reason.REFUSED_BY_KIMAI:
                # A person had decided to try again; the new refusal is a new question.
                conflicts.carry_out(connection, self._target, [line])
            conflicts.open_lines(connection, self._target, [question])
            audit.append(connection, [self._event("kimai.timesheet.refused", line, None, refusal)])

    def fail(self, lines: Sequence[PlanLine], operation: Action, message: str) -> None:
        """Record entries that were certainly not written and will be tried again."""
        if not lines:
            return
        with self._request_recorder.committed() as connection:
            for line in lines:
                failed = replace(_row(line, operation), state=PushState.FAILED, message=message)
                ledger.refuse(connection, self._target, failed, self._run_id)

    def _carried_out(self, connection: Connection, lines: Sequence[PlanLine]) -> None:
        """What was decided and approved is done, in the transaction of the write's outcome.

        Not with the intent: a process that dies between the two leaves the approval open, and the run that settles the
        unknown outcome writes what was approved, once, and spends it here.
        """
        conflicts.carry_out(connection, self._target, lines)
        plans.carry_out(connection, self._target, lines)
        approvals.spend(connection, self._target, lines, self._run_id)

    def _event(self, event: str, line: PlanLine, row: Timesheet | None, message: str = "") -> AuditEvent:
        detail = {
            "day": str(line.entry_date),
            "kimai_id": row.id if row else None,
            "minutes": str(line.minutes),
            "asked": line.to_write.desired.to_json(),
            "changed": dict(line.diff),
            "message": message,
        }
        return AuditEvent(event, "pipeline", f"booking:{line.entry_id}", detail, self._run_id)


def _asked(item: Outcome, operation: Action) -> Desired:
    """What counts as asked for; by a person's decision the row is what the booking wants, whatever it says.

    Of fields that were not sent the row may say what a person decided before.
    """
    line, desired = item.line, item.line.to_write.desired
    if line.decided in {Choice.KEEP, Choice.LINK} or item.base is not None:
        return desired
    found = asked_of(item.line.to_write, item.timesheet)
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


def _entry(item: Outcome, operation: Action) -> JournalEntry:
    line = item.line
    written = item.base or item.timesheet
    return JournalEntry(operation, line.source_id, item.timesheet.id, line.entry_date, item.before, written)


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


def refusal_of(error: ConnectorError, what: str = "") -> str:
    """A refusal for people: the fields in the target's words and a remedy, or the error's own sentences."""
    text = str(error)
    if isinstance(error, ValidationFailedError) and error.fields:
        fields = "; ".join(f"{name or 'time sheet'}: {' '.join(texts)}" for name, texts in error.fields.items())
        text = f"Kimai says: {fields.rstrip('.')}. {error.remedy}".strip()
    return f"{what} {text}".strip()


def _row(line: PlanLine, operation: Action) -> LedgerRow:
    """The ledger row before the outcome is known. A new time sheet is not linked to an existing one."""
    creates = operation is Action.CREATE
    return LedgerRow(
        source_id=line.entry_id,
        state=PushState.INTENDED,
        kimai_id=None if creates else line.kimai_id,
        asked=line.to_write.desired,
        base=None,
        facts_hash=line.facts_hash,
        operation=operation,
        entry_date=line.entry_date,
        placed_at=line.to_write.span.begin if creates else None,
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
