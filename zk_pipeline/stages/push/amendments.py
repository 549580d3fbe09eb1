"""Writes to existing time sheets: each is read again first, and left alone if edited or billed meanwhile."""

from datetime import timedelta

from zk_pipeline.connectors.contract import TargetConnector
from zk_pipeline.connectors.errors import (
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ValidationFailedError,
    WithheldError,
)
from zk_pipeline.domain.decision import Action, owned
from zk_pipeline.domain.ledger import LedgerRow
from zk_pipeline.domain.manual_fields import NOTHING, RESETTING, ManualFields, set_by_hand, unkept_fields_text
from zk_pipeline.domain.markers import has_marker, marker
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.plan_lines import shortened
from zk_pipeline.domain.records import Timesheet, TimesheetChange
from zk_pipeline.domain.rounding import ANY
from zk_pipeline.domain.write_protection import WriteProtection
from zk_pipeline.stages.push.delivery import Outcome
from zk_pipeline.stages.push.outcomes import OutcomeRecorder, PushReport, refusal_of

_SENT_BACK = frozenset({"billable", "hourlyRate", "fixedRate"})


class Amendment:
    """Carries out updates one after another: they are few, and each needs the current row."""

    def __init__(self, target: TargetConnector, recorder: OutcomeRecorder, locks: WriteProtection) -> None:
        self._target = target
        self._recorder = recorder
        self._locks = locks

    def carry_out(self, line: PlanLine, known: LedgerRow | None) -> PushReport:
        """Write our fields that differ. Repeating it is harmless, so an unknown outcome is left to the next run."""
        current = self._target.get(line.kimai_id or 0)
        if current is None or self._locks.why(current) or self._edited_since(current, line, known):
            return PushReport(left=1)
        moves = not line.diff.keys().isdisjoint(RESETTING)
        theirs = set_by_hand(current, known.base if known else None) if moves else NOTHING
        self._recorder.intend([line], Action.UPDATE, theirs)
        try:
            row = self._sent(line, current, theirs)
        except NotFoundError:
            return PushReport(left=1)
        except (ValidationFailedError, PermissionDeniedError) as error:
            self._recorder.refuse(line, Action.UPDATE, self._refusal(line, theirs, error))
            return PushReport(parked=1)
        except ConnectorError as error:
            if not error.outcome_unknown:
                raise
            return PushReport(failed=1, problems=(str(error),))
        if not _reached(line, current, row):
            minutes, wanted = (f"{seconds / 60:g}" for seconds in (row.duration_seconds, line.to_write.desired.seconds))
            why = shortened(row) or "No rounding explains that."
            text = f"Kimai made {minutes} minutes of it instead of {wanted}. {why}"
            self._recorder.refuse(line, Action.UPDATE, text, current=row)
            return PushReport(parked=1)
        self._recorder.confirm([Outcome(line, row, current)], "kimai.timesheet.updated", Action.UPDATE)
        return PushReport(updated=1, minutes=line.minutes)

    def kept(self, line: PlanLine, known: LedgerRow) -> Timesheet | None:
        """The time sheet, if our move took effect but its answer was lost, after restoring what people had set."""
        current = self._target.get(line.kimai_id or 0)
        if current is None or self._locks.why(current):
            return current
        return self._target.update(current, known.by_hand.on(TimesheetChange()))

    def _sent(self, line: PlanLine, current: Timesheet, theirs: ManualFields) -> Timesheet:
        change = _change(line, current)
        try:
            return self._target.update(current, theirs.on(change))
        except WithheldError as error:
            if not (line.decided and error.fields <= _SENT_BACK):
                raise
            # A person decided to move it, although it then gets Kimai's own rate.
            return self._target.update(current, change)

    def _refusal(self, line: PlanLine, theirs: ManualFields, error: ConnectorError) -> str:
        if not isinstance(error, WithheldError) or not error.fields <= _SENT_BACK:
            return refusal_of(error)
        usual, currency = self._recorder.usual_rate(line)
        text = unkept_fields_text(theirs, line.to_write.desired.seconds, usual, currency)
        return f"{text} {error.problem} {error.remedy} Or decide: update moves it and leaves that to Kimai."

    def _edited_since(self, current: Timesheet, line: PlanLine, known: LedgerRow | None) -> bool:
        """Whether somebody edited the time sheet since the plan read it."""
        if line.decided:
            return not _unchanged(current, self._recorder.mirrored(current.id))
        seen = known.base if known is not None and known.base is not None else self._recorder.mirrored(current.id)
        return seen is None or owned(current) != owned(seen)


class Adoption:
    """Takes over time sheets typed by hand, after a person's decision, by adding the marker to their text."""

    def __init__(
        self, target: TargetConnector, recorder: OutcomeRecorder, source_name: str, locks: WriteProtection
    ) -> None:
        self._target = target
        self._recorder = recorder
        self._source_name = source_name
        self._locks = locks

    def carry_out(self, line: PlanLine) -> PushReport:
        """Add the marker; everything else stays as its author wrote it. Repeating it is harmless.

        A time sheet that was billed meanwhile is only linked in the ledger, because nothing may be written to it.
        """
        current = self._target.get(line.kimai_id or 0)
        mark = marker(self._source_name, line.entry_id)
        if current is None or not (mark in current.description or self._is_free(current, line.entry_id)):
            return PushReport(left=1)
        row = current
        if mark not in current.description and not self._locks.why(current):
            try:
                row = self._target.update(current, TimesheetChange(description=f"{current.description} {mark}".strip()))
            except (NotFoundError, ValidationFailedError, PermissionDeniedError) as error:
                return PushReport(left=1, problems=(f"Time sheet {current.id} could not be linked. {error}",))
        done = Outcome(line, row, current, written=row is not current)
        self._recorder.confirm([done], "kimai.timesheet.linked", Action.LINK)
        return PushReport(linked=1)

    def _is_free(self, current: Timesheet, source_id: str) -> bool:
        """Whether it is still as it was offered, and belongs to no other booking.

        A billed one has no marker, so the ledger is asked too.
        """
        if has_marker(current.description) or self._recorder.belongs_to_others(current.id, source_id):
            return False
        return _unchanged(current, self._recorder.mirrored(current.id))


class Removal:
    """Deletes time sheets by the operator's rule or a person's decision, never a billed one."""

    def __init__(self, target: TargetConnector, recorder: OutcomeRecorder, locks: WriteProtection) -> None:
        self._target = target
        self._recorder = recorder
        self._locks = locks

    def carry_out(self, line: PlanLine, bound: LedgerRow | None) -> PushReport:
        """Delete the line's time sheet unless it was edited since the plan; one that is gone already counts."""
        current = self._target.get(line.kimai_id or 0)
        if current is not None:
            locked = self._locks.why(current)
            if locked or not self._is_untouched(current, line, bound):
                why = locked or "It was changed in Kimai since this was planned."
                return PushReport(left=1, problems=(f"Time sheet {current.id} is not deleted. {why}",))
            try:
                self._target.delete(current.id)
            except PermissionDeniedError as error:
                return PushReport(left=1, problems=(f"Time sheet {current.id} could not be deleted. {error}",))
        self._recorder.delete(line, current, bound)
        return PushReport(deleted=1)

    def _is_untouched(self, current: Timesheet, line: PlanLine, bound: LedgerRow | None) -> bool:
        if line.decided:
            return _unchanged(current, self._recorder.mirrored(current.id))
        return bound is None or bound.base is None or owned(current) == owned(bound.base)


def _unchanged(current: Timesheet, seen: Timesheet | None) -> bool:
    """Whether a time sheet is as it was when a person decided about it; changed values need a new decision."""
    return seen is not None and (*owned(current), current.description) == (*owned(seen), seen.description)


def _reached(line: PlanLine, current: Timesheet, row: Timesheet) -> bool:
    """Whether the time sheet has the wanted length, within rounding.

    Somebody may have entered a break between our read and our write.
    """
    sent, moved = line.to_write.desired.seconds, not line.diff.keys().isdisjoint({"begin", "duration"})
    if not moved or row.duration_seconds == sent:
        return True
    return row.break_seconds == current.break_seconds and ANY.explains(row.begin, sent, row)


def _change(line: PlanLine, current: Timesheet) -> TimesheetChange:
    """Only our fields that differ; what people keep there (text, tags, a break) stays.

    A break is subtracted from the time between begin and end.
    """
    diff, draft = line.diff, line.to_write
    begin = draft.span.begin if "begin" in diff else current.begin
    moved = "begin" in diff or "duration" in diff
    length = timedelta(seconds=draft.desired.seconds + current.break_seconds)
    return TimesheetChange(
        user_id=draft.desired.user_id if "user" in diff else None,
        project_id=draft.desired.project_id if "project" in diff else None,
        activity_id=draft.desired.activity_id if "activity" in diff else None,
        begin=begin if moved else None,
        end=begin + length if moved else None,
    )
