"""Carrying the plan out: intent before each request, outcome after it, and what was lost is looked up."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from zk_pipeline.connectors.contract import SourceConnector
from zk_pipeline.connectors.errors import ConnectorError, NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.write_back import TicketWriter, writer_of
from zk_pipeline.domain.write_back import (
    Because,
    JournalRow,
    WriteBackLine,
    WriteBackState,
    WriteKind,
    WriteOperation,
    note_marker,
)
from zk_pipeline.runtime.runtime import Runtime, SetupError, utc_now
from zk_pipeline.stages.push.delivery import RequestRecorder
from zk_pipeline.store import audit, write_backs
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.write_back.plans import SETTLES_AFTER, LineState, plan_now

PIPELINE = "pipeline"
GONE = "The ticket is gone."


@dataclass
class WriteBackReport:
    """What a run wrote into tickets: numbers by operation, and why other writes were left, as sentences.

    `unsettled` writes were lost on the way too recently to be looked for.
    """

    done: Counter[str] = field(default_factory=Counter[str])
    left: list[str] = field(default_factory=list[str])
    unsettled: int = 0


def require_writer(source: SourceConnector) -> TicketWriter:
    """What writes into this source's tickets. Raises `SetupError` for a source that is only read."""
    writer = writer_of(source)
    if writer is None:
        raise SetupError(
            f"Nothing can be written into the tickets of {source.endpoint.name}: its connector only reads. Set "
            "ZK_WRITE_BACK=off."
        )
    return writer


class WriteBackSender:
    """Carries out what is due and approved, for one run. One at a time, whoever started it."""

    def __init__(
        self, runtime: Runtime, source: SourceConnector, run_id: str, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._runtime, self._run_id, self._now = runtime, run_id, now
        self._writer = require_writer(source)
        self._source = source.endpoint.name
        self._recorder = RequestRecorder(runtime.database, self._source, run_id)
        self._report = WriteBackReport()

    def carry_out(self) -> WriteBackReport:
        """Look up what was lost, then write. Raises the errors that stop a run; what was written until then stays."""
        with self._runtime.database.lock(f"zk:write-back:{self._source}"), self._recorder.kept():
            for row in self._rows(WriteBackState.INTENDED):
                self._settle(row)
            for row in self._approved():
                self._carry_out(row)
            with self._runtime.database.transaction() as connection:
                found = plan_now(connection, self._runtime, self._now())
                under_way = {
                    row.line.key for row in write_backs.rows(connection, self._source, WriteBackState.INTENDED)
                }
            for line in found.of(LineState.DUE, LineState.APPROVED):
                if line.key not in under_way:
                    self._write(line, None)
        return self._report

    def _rows(self, state: WriteBackState) -> list[JournalRow]:
        with self._runtime.database.transaction() as connection:
            return write_backs.rows(connection, self._source, state)

    def _approved(self) -> list[JournalRow]:
        """What a person wants taken back; other approvals hold for the plan alone, and lapse where it has changed."""
        rows = self._rows(WriteBackState.APPROVED)
        with self._runtime.database.transaction() as connection:
            found = plan_now(connection, self._runtime, self._now())
            planned = {(line.facts_hash, line.content) for line in found.of(*LineState)}
            outdated = [
                row.id
                for row in rows
                if row.line.because is not Because.UNDONE and (row.line.facts_hash, row.line.content) not in planned
            ]
            write_backs.lapse(connection, outdated, "It was no longer so when it was to be written.")
        return [row for row in rows if row.line.because is Because.UNDONE]

    def _carry_out(self, row: JournalRow) -> None:
        """Take back what a person wants taken back, if it is still there as we wrote it."""
        with self._runtime.database.transaction() as connection:
            before = write_backs.by_id(connection, self._source, row.line.replaces or 0)
            if before is None or before.state is not WriteBackState.CONFIRMED:
                write_backs.lapse(connection, [row.id], "It was taken off before.")
                return
        self._write(row.line, before.remote_id)

    # What was lost

    def _settle(self, row: JournalRow) -> None:
        """Find out whether a write that was intended took effect."""
        line = row.line
        try:
            remote_id = self._stands(line, row.remote_id)
        except NotFoundError:
            self._gone(line)
            return
        is_there = remote_id is not None
        if is_there == (line.operation is WriteOperation.ADD):
            self._confirm(line, remote_id or None, ours=_is_ours(line))
        elif row.intended_at is not None and self._now() - row.intended_at < SETTLES_AFTER:
            self._report.unsettled += 1
        else:
            self._never_sent(row)

    def _never_sent(self, row: JournalRow) -> None:
        """The write had no effect: it is planned again, and what a person asked for is approved still."""
        with self._runtime.database.transaction() as connection:
            write_backs.lapse(connection, [row.id], "It was never written.")
            if row.approved_by is not None:
                write_backs.approve(connection, self._source, [row.line], row.approved_by)

    def _stands(self, line: WriteBackLine, remote_id: str | None) -> str | None:
        """The id of what is there, empty for a tag; `None` if it is not there."""
        if line.kind is WriteKind.TAG:
            return "" if line.content in self._writer.tags_of(line.ticket_id) else None
        found = self._writer.find_note(line.ticket_id, note_marker(line.month))
        return found if line.operation is WriteOperation.ADD or found == remote_id else None

    # What is written

    def _write(self, line: WriteBackLine, remote_id: str | None) -> None:
        try:
            found = self._stands(line, remote_id)
            if (found is not None) == (line.operation is WriteOperation.ADD):
                # A note with our marker is ours; a tag that nobody's journal knows is not.
                ours = line.kind is WriteKind.NOTE or line.operation is WriteOperation.REMOVE
                self._confirm(line, found or None, ours=ours)
                return
            with self._runtime.database.transaction() as connection:
                write_backs.intend(connection, self._source, line, self._run_id, remote_id)
            with self._recorder.of(f"ticket:{line.ticket_id}"):
                made = self._send(line, remote_id)
        except NotFoundError:
            self._gone(line)
        except PermissionDeniedError as error:
            self._refuse(line, str(error))
        except ConnectorError as error:
            if not (error.outcome_unknown or error.status == _MAY_HAVE_HAD_AN_EFFECT):
                self._unsent(line)
            raise
        else:
            self._confirm(line, made, ours=_is_ours(line))

    def _send(self, line: WriteBackLine, remote_id: str | None) -> str | None:
        writer, ticket = self._writer, line.ticket_id
        match line.kind, line.operation:
            case WriteKind.TAG, WriteOperation.ADD:
                writer.add_tag(ticket, line.content)
            case WriteKind.TAG, _:
                writer.remove_tag(ticket, line.content)
            case _, WriteOperation.ADD:
                return writer.add_note(ticket, line.content)
            case _:
                if remote_id is not None:
                    writer.delete_note(remote_id)
        return remote_id

    def _unsent(self, line: WriteBackLine) -> None:
        """The request certainly had no effect, so nobody has to look for it."""
        for row in self._rows(WriteBackState.INTENDED):
            if row.line.facts_hash == line.facts_hash:
                self._never_sent(row)

    # Outcomes

    def _confirm(self, line: WriteBackLine, remote_id: str | None, *, ours: bool) -> None:
        with self._recorder.committed() as connection:
            write_backs.confirm(connection, self._source, line, self._run_id, ours=ours, remote_id=remote_id)
            self._record(connection, line, ours=ours)
        self._report.done[f"{line.kind}.{line.operation}"] += 1

    def _gone(self, line: WriteBackLine) -> None:
        """Nothing is left on a ticket that is gone."""
        if line.operation is WriteOperation.REMOVE:
            self._confirm(line, None, ours=True)
        else:
            self._refuse(line, GONE)

    def _refuse(self, line: WriteBackLine, why: str) -> None:
        with self._recorder.committed() as connection:
            write_backs.refuse(connection, self._source, line, self._run_id, why)
        self._report.left.append(f"Ticket {line.number}, {line.content}: {why}")

    def _record(self, connection: Connection, line: WriteBackLine, *, ours: bool) -> None:
        detail = {
            "kind": str(line.kind),
            "operation": str(line.operation),
            "content": line.content,
            "because": str(line.because),
            "ours": ours,
        }
        subject = f"ticket:{line.ticket_id}"
        audit.append(connection, [AuditEvent("ticket.written", PIPELINE, subject, detail, self._run_id)])


def _is_ours(line: WriteBackLine) -> bool:
    """Whether the plan may take off again what was written: not what a person had put back."""
    return line.operation is WriteOperation.REMOVE or line.because is not Because.UNDONE


_MAY_HAVE_HAD_AN_EFFECT = 422
"""Zammad answers so whenever its database fails, also after it has stored a note (docs/zammad.md §8)."""
