"""Tagging a month's time sheets as billed: each is read again first, so that other tags are kept."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from zoneinfo import ZoneInfo

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import ConnectorError, NotFoundError, PermissionDeniedError, ValidationFailedError
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.ledger import JournalEntry, Operation
from zk_pipeline.domain.periods import billed_tag, last_day, month_name
from zk_pipeline.domain.records import Timesheet, TimesheetChange
from zk_pipeline.domain.undo import tags_added
from zk_pipeline.runtime.settings import PushMode
from zk_pipeline.stages.push.delivery import RequestRecorder
from zk_pipeline.stages.push.unknown_outcomes import ANSWERED_500
from zk_pipeline.stages.systems import push_lock
from zk_pipeline.store import audit, ledger, periods, target
from zk_pipeline.store.audit import AuditEvent
from zk_pipeline.store.database import Database
from zk_pipeline.store.ledger import BoundTimesheet


class MonthOpenError(Exception):
    """The month is not closed, or was reopened meanwhile; the message has the remedy."""


class WritesDisabledError(Exception):
    """Nothing is written to Kimai in this mode; the message says the remedy."""


def require_writing(mode: PushMode) -> None:
    """Raise `WritesDisabledError` in push mode `off`. In the other modes a person's request is enough to set a tag."""
    if mode is PushMode.OFF:
        raise WritesDisabledError(
            "ZK_PUSH_MODE is off, so nothing is written to Kimai, and no tag either. "
            "Set it to review or auto to tag time sheets, or close the month without tags."
        )


@dataclass
class TagResult:
    """How many time sheets got the tag, and why others did not, as sentences."""

    tagged: int = 0
    left: list[str] = field(default_factory=list[str])


class BilledTagger:
    """Sets a month's tag on the time sheets of its bookings that are not exported, for one run."""

    def __init__(self, database: Database, target: TargetConnector, zone: ZoneInfo, run_id: str) -> None:
        self._database = database
        self._target = target
        self._name = target.endpoint.name
        self._zone = zone
        self._run_id = run_id
        self._request_recorder = RequestRecorder(database, self._name, run_id)

    def carry_out(self, month: date) -> TagResult:
        """Tag the month. Tagged time sheets are left alone, so it can be repeated; raises what stops it.

        The tag is made visible first, because Kimai drops unknown ones (docs/kimai.md §9). Raises `MonthOpenError`:
        reopening the month waits for the day in progress, and the days after it are not tagged.
        """
        self._require_closed(month)
        tag, done = billed_tag(month), TagResult()
        untagged = self._untagged(month, tag)
        if untagged:
            self._target.ensure_tags([tag])
        for day, sheets in groupby(untagged, key=lambda sheet: sheet.day):
            with self._database.lock(push_lock(self._name, day)), self._request_recorder.kept():
                self._require_closed(month)
                for sheet in sheets:
                    self._tag(sheet, tag, done)
        return done

    def _require_closed(self, month: date) -> None:
        with self._database.transaction() as connection:
            if month in periods.closed_months(connection):
                return
        name = month_name(month)
        raise MonthOpenError(f"{name} is not closed. Close it first.")

    def _untagged(self, month: date, tag: str) -> list[BoundTimesheet]:
        """The time sheets of the month's bookings that lack the tag, or whose tag is not in the journal, by day.

        A booking is billed with the month of its work day, even if its time sheet was moved to another one.
        """
        with self._database.transaction() as connection:
            ours = ledger.bound_timesheets(connection, self._name, month, last_day(month))
        journalled = self._journalled([sheet.source_id for sheet in ours], tag)
        pages = self._target.fetch(days_window(month, last_day(month), self._zone)).pages()
        settled = {
            row.id for page in pages for row in page if row.exported or (_has(row, tag) and row.id in journalled)
        }
        return [sheet for sheet in ours if sheet.kimai_id not in settled]

    def _tag(self, sheet: BoundTimesheet, tag: str, done: TagResult) -> None:
        try:
            change = self._sent(sheet, tag)
        except ConnectorError as error:
            of_row = isinstance(error, NotFoundError | PermissionDeniedError | ValidationFailedError)
            if not of_row and error.status != ANSWERED_500:
                raise
            done.left.append(f"Time sheet {sheet.kimai_id} could not be tagged. {error}")
            return
        if change is None:
            return
        before, row = change
        if not _has(row, tag):
            done.left.append(f"Time sheet {row.id}: Kimai dropped the tag {tag}. Make it visible in Kimai.")
            return
        self._commit(sheet, before, row)
        done.tagged += 1

    def _sent(self, sheet: BoundTimesheet, tag: str) -> tuple[Timesheet, Timesheet] | None:
        """The time sheet without and with the tag, or `None` if there is nothing to do."""
        current = self._target.get(sheet.kimai_id)
        if current is None or current.exported or current.faults:
            return None
        if not _has(current, tag):
            with self._request_recorder.of(sheet.source_id):
                return current, self._target.update(current, TimesheetChange(tags=(*current.tags, tag)))
        if sheet.kimai_id in self._journalled([sheet.source_id], tag):
            return None
        # An earlier run died between the write and its commit, or a person set the tag.
        others = tuple(name for name in current.tags if not _is(name, tag))
        return replace(current, tags=others), current

    def _journalled(self, source_ids: Collection[str], tag: str) -> set[int]:
        """The time sheets of these bookings that we tagged, as an undo will find them."""
        with self._database.transaction() as connection:
            written = ledger.tagged(connection, self._name, source_ids)
        return {write.entry.kimai_id for write in written if any(_is(name, tag) for name in tags_added(write.entry))}

    def _commit(self, sheet: BoundTimesheet, before: Timesheet, row: Timesheet) -> None:
        written = JournalEntry(Operation.TAG, sheet.source_id, row.id, sheet.day, before, row)
        detail = {"day": str(sheet.day), "kimai_id": row.id, "before": list(before.tags), "after": list(row.tags)}
        event = AuditEvent("kimai.timesheet.tagged", "pipeline", f"booking:{sheet.source_id}", detail, self._run_id)
        with self._request_recorder.committed() as connection:
            target.save_timesheets(connection, self._name, [row])
            ledger.record(connection, self._name, [written], self._run_id)
            audit.append(connection, [event])


def _has(row: Timesheet, tag: str) -> bool:
    return any(_is(name, tag) for name in row.tags)


def _is(name: str, tag: str) -> bool:
    """Whether both are the same tag; Kimai ignores letter case (docs/kimai.md §9)."""
    return name.casefold() == tag.casefold()
