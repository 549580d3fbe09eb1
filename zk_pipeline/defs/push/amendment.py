"""Updates of time sheets that exist: read again first, and left alone when somebody was faster or billed them."""

from datetime import timedelta

from zk_pipeline.connectors.base import TargetConnector
from zk_pipeline.connectors.errors import (
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    ValidationFailedError,
)
from zk_pipeline.defs.push.book import Book, refusal_of
from zk_pipeline.defs.push.delivery import Parcel
from zk_pipeline.defs.push.report import PushReport
from zk_pipeline.domain.decision import Action, owned
from zk_pipeline.domain.ledger import LedgerRow, PushState
from zk_pipeline.domain.records import Timesheet, TimesheetChange


class Amendment:
    """Carries out updates, one after another: they are few, and each needs the row as it is at that moment."""

    def __init__(self, target: TargetConnector, book: Book) -> None:
        self._target = target
        self._book = book

    def carry_out(self, parcel: Parcel, known: LedgerRow | None) -> PushReport:
        """Write our fields that differ. Repeating it does no harm, so an unknown outcome is left to the next run."""
        current = self._target.get(parcel.line.kimai_id or 0)
        if current is None or current.exported or _edited_since(current, known):
            return PushReport(left=1)
        self._book.intend([parcel], Action.UPDATE)
        try:
            row = self._target.update(current, _change(parcel, current))
        except NotFoundError:
            return PushReport(left=1)
        except (ValidationFailedError, PermissionDeniedError) as error:
            self._book.refuse(parcel, Action.UPDATE, refusal_of(error))
            return PushReport(parked=1)
        except ConnectorError as error:
            if not error.outcome_unknown:
                raise
            return PushReport(failed=1, problems=(str(error),))
        self._book.confirm([(parcel, row)], "kimai.timesheet.updated", Action.UPDATE)
        return PushReport(updated=1, minutes=parcel.line.minutes)


def _edited_since(current: Timesheet, known: LedgerRow | None) -> bool:
    if known is None or known.base is None or known.state is PushState.INTENDED:
        return False
    return owned(current) != owned(known.base)


def _change(parcel: Parcel, current: Timesheet) -> TimesheetChange:
    """Only our fields that differ; what people of the target keep there (text, tags, billable) is not sent."""
    diff, draft = parcel.line.diff, parcel.draft
    begin = draft.span.begin if "begin" in diff else current.begin
    moved = "begin" in diff or "duration" in diff
    return TimesheetChange(
        user_id=draft.desired.user_id if "user" in diff else None,
        project_id=draft.desired.project_id if "project" in diff else None,
        activity_id=draft.desired.activity_id if "activity" in diff else None,
        begin=begin if moved else None,
        end=begin + timedelta(seconds=draft.desired.seconds) if moved else None,
    )
