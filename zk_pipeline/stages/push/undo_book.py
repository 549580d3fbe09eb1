"""The undo's bookkeeping: what a step did goes into ledger, mirror, journal, audit and request log at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from zk_pipeline.domain.journal import JournalEntry, Operation
from zk_pipeline.domain.ledger import LedgerRow
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.undo import Step, asked_before
from zk_pipeline.stages.push.exchanges import Exchanges
from zk_pipeline.store import approvals, audit, journal, ledger, plans
from zk_pipeline.store import target as rows
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.ledger import Write

TAKEN_BACK = "The write was taken back."


@dataclass(frozen=True, slots=True)
class UndoBook:
    """Writes down what one undo does to one target. Where nothing had to be sent, `sent` is false."""

    exchanges: Exchanges
    target: str
    run_id: str

    def deleted(self, step: Step, gone: Timesheet | None) -> None:
        """A time sheet that the run had created is no longer there; `gone` is what it was, if we deleted it."""
        entry = step.write.entry
        with self.exchanges.committed() as connection:
            self._release(connection, entry)
            rows.mark_timesheets_gone(connection, self.target, [entry.kimai_id])
            self._close(connection, step, self._entry(entry, Operation.DELETE, gone, None) if gone else None)

    def restored(self, step: Step, current: Timesheet, row: Timesheet, known: LedgerRow | None) -> None:
        """A time sheet that the run had updated has its old values again."""
        entry = step.write.entry
        with self.exchanges.committed() as connection:
            if known is not None and known.asked is not None and known.kimai_id == row.id and entry.entry_date:
                asked = asked_before(known.asked, entry)
                write = Write(known.source_id, Operation.UPDATE, entry.entry_date, asked, known.facts_hash, row.id, row)
                ledger.confirm(connection, self.target, [write], self.run_id)
            rows.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(entry, Operation.UPDATE, current, row)
            self._close(connection, step, written)

    def unlinked(self, step: Step, current: Timesheet, row: Timesheet) -> None:
        """A time sheet that was typed by hand has its old text again and is nobody's."""
        entry = step.write.entry
        with self.exchanges.committed() as connection:
            self._release(connection, entry)
            rows.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(entry, Operation.UNLINK, current, row)
            self._close(connection, step, written)

    def untagged(self, step: Step, current: Timesheet, row: Timesheet) -> None:
        """A time sheet no longer has the tag; who it belongs to and what it says did not change."""
        with self.exchanges.committed() as connection:
            rows.save_timesheets(connection, self.target, [row])
            written = None if row is current else self._entry(step.write.entry, Operation.UNTAG, current, row)
            self._close(connection, step, written)

    def intend(self, write: Write) -> None:
        """Commit that a time sheet is about to be created again."""
        with self.exchanges.committed() as connection:
            ledger.intend(connection, self.target, [write], self.run_id)

    def withdraw(self, source_id: str) -> None:
        """Record that a time sheet was certainly not created again."""
        with self.exchanges.committed() as connection:
            ledger.release(connection, self.target, source_id, TAKEN_BACK, self.run_id)

    def created(self, step: Step, write: Write, row: Timesheet) -> None:
        """A time sheet that the run had deleted is there again, under another id."""
        entry = JournalEntry(Operation.CREATE, write.source_id, row.id, write.entry_date, after=row)
        with self.exchanges.committed() as connection:
            ledger.confirm(connection, self.target, [write], self.run_id)
            rows.save_timesheets(connection, self.target, [row])
            self._close(connection, step, entry)

    def removed(self, step: Step) -> None:
        """A customer or project that the run had made is gone."""
        made = step.write.entry
        customer = made.operation == Operation.CREATE_CUSTOMER
        operation = Operation.DELETE_CUSTOMER if customer else Operation.DELETE_PROJECT
        entry = JournalEntry(operation, None, made.kimai_id, None, named=made.named)
        with self.exchanges.committed() as connection:
            if customer:
                rows.forget_customer(connection, self.target, made.kimai_id)
            else:
                rows.forget_project(connection, self.target, made.kimai_id)
            self._close(connection, step, entry)

    def settled(self, step: Step) -> None:
        """There was nothing to take back."""
        with self.exchanges.committed() as connection:
            self._close(connection, step, None)

    def _release(self, connection: Connection, entry: JournalEntry) -> None:
        """Let go of the time sheet, unless the booking has another one by now."""
        source_id = entry.source_id or ""
        known = ledger.rows_of(connection, self.target, [source_id]).get(source_id)
        if known is not None and known.kimai_id == entry.kimai_id:
            ledger.release(connection, self.target, source_id, TAKEN_BACK, self.run_id)

    def _entry(
        self, entry: JournalEntry, operation: Operation, before: Timesheet | None, after: Timesheet | None
    ) -> JournalEntry:
        return JournalEntry(operation, entry.source_id, entry.kimai_id, entry.entry_date, before, after)

    def _close(self, connection: Connection, step: Step, written: JournalEntry | None) -> None:
        if written is not None:
            journal.record(connection, self.target, [written], self.run_id)
        journal.mark_undone(connection, [step.write.id], self.run_id)
        entry = step.write.entry
        if entry.entry_date is not None and entry.operation != Operation.TAG:
            plans.take_back(connection, self.target, entry.entry_date, entry.source_id, entry.kimai_id, self.run_id)
            approvals.revoke(connection, self.target, entry.entry_date, self.run_id)
        audit.append(connection, [self._event(step, written)])

    def _event(self, step: Step, written: JournalEntry | None) -> AuditEvent:
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
        kind = {Operation.CREATE_CUSTOMER: "customer", Operation.CREATE_PROJECT: "project"}
        subject = f"kimai:{kind[Operation(entry.operation)]}" if entry.operation in kind else "timesheet"
        return AuditEvent("kimai.write.undone", "pipeline", f"{subject}:{entry.kimai_id}", detail, self.run_id)
