"""The three-way decision over base, source and target.

Base is what the target last returned to us, source is what the entry wants now, target is the time sheet as it is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from zk_pipeline.domain.ledger import Desired, LedgerRow, PushState
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.rounding import ANY, NONE, WHOLE_MINUTES, Rounding

Difference = Mapping[str, tuple[str, str]]
"""Field to (wanted, found), as texts."""


Owned = tuple[int, datetime, int, int, int]
"""The fields of a time sheet that we own: user, begin, duration, project and activity."""


class Status(StrEnum):
    """How an entry or a time sheet relates to the other side."""

    IN_SYNC = "in_sync"
    MISSING = "missing"
    MISMATCH = "mismatch"
    DUPLICATE = "duplicate"
    ORPHANED = "orphaned"
    EXCLUDED = "excluded"


class Action(StrEnum):
    """What to do. `link` takes a time sheet into the ledger and writes nothing."""

    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    LINK = "link"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Decision:
    """Status, action and the reason for it."""

    status: Status
    action: Action
    reason: Reason | None = None
    diff: Difference = field(default_factory=dict[str, tuple[str, str]])


def decide(
    ledger: LedgerRow | None, desired: Desired, target: Timesheet, *, locked: bool, rounding: Rounding = ANY
) -> Decision:
    """Decide about an entry whose time sheet exists. Nothing is written to a `locked` (exported or closed) time sheet.

    If the answer to a write was lost, the time sheet is either what `rounding` makes of it, or a person edited it.
    """
    if ledger is None:
        return _without_history(difference(desired, target, WHOLE_MINUTES), locked=locked)
    base = ledger.base or as_sent(ledger.asked, ledger.placed_at, target, rounding)
    target_edited = owned(target) != owned(base)
    update_lost = ledger.base is not None and ledger.state is PushState.INTENDED
    source_edited = update_lost or differs(desired, ledger.asked)
    if not source_edited and (locked or not target_edited):
        return Decision(Status.IN_SYNC, Action.NONE if target.id == ledger.kimai_id else Action.LINK)
    expected = _expected(desired, ledger.asked, base)
    if not source_edited:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.KIMAI_EDITED, difference(expected, target))
    arrived = update_lost and ledger.sent_hash == desired.hash
    made = rounding if arrived else WHOLE_MINUTES
    diff = difference(expected, target, made if target_edited else NONE)
    if not diff:
        return Decision(Status.IN_SYNC, Action.LINK)
    if locked:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.BILLED, diff)
    if target_edited:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.BOTH_CHANGED, diff)
    return Decision(Status.MISMATCH, Action.UPDATE, diff=diff)


def decide_unwanted(ledger: LedgerRow | None, target: Timesheet, *, locked: bool, delete: bool = False) -> Decision:
    """Decide about one of our time sheets whose booking is gone or was corrected to zero.

    With the operator's `delete`, it is deleted without asking if the ledger proves that nobody edited it.
    """
    if locked:
        return Decision(Status.ORPHANED, Action.REVIEW, Reason.BILLED)
    if ledger is not None and ledger.base is not None:
        if owned(target) != owned(ledger.base):
            return Decision(Status.ORPHANED, Action.REVIEW, Reason.BOTH_CHANGED)
        if delete:
            return Decision(Status.ORPHANED, Action.DELETE, Reason.DELETED_IN_ZAMMAD)
    return Decision(Status.ORPHANED, Action.REVIEW, Reason.DELETED_IN_ZAMMAD)


def changed_since(locked: Owned, target: Timesheet) -> Decision | None:
    """The question about a locked time sheet that changed since it was locked; `None` if it did not."""
    if locked == owned(target):
        return None
    user_id, begin, seconds, project_id, activity_id = locked
    before = Desired(user_id, activity_id, project_id, "", begin, seconds)
    diff = difference(before, target)
    return Decision(Status.MISMATCH, Action.REVIEW, Reason.CHANGED_AFTER_BILLING, diff)


def owned(row: Timesheet) -> Owned:
    """The fields of a time sheet that we own: user, begin, duration, project and activity."""
    return (row.user_id, row.begin, row.duration_seconds, row.project_id, row.activity_id)


def differs(desired: Desired, asked: Desired) -> bool:
    """Whether the entry wants something else than the last write; a project that only got its id is the same."""
    return desired.hash != asked.hash


def difference(desired: Desired, target: Timesheet, rounding: Rounding = NONE) -> dict[str, tuple[str, str]]:
    """Our fields that differ, as (wanted, found). Times that `rounding` explains count as equal.

    A break is shown next to the duration that it shortens; bookings have none.
    """
    found: dict[str, tuple[str, str]] = {}
    if desired.user_id != target.user_id:
        found["user"] = (str(desired.user_id), str(target.user_id))
    if desired.activity_id != target.activity_id:
        found["activity"] = (str(desired.activity_id), str(target.activity_id))
    if desired.project_id != target.project_id:
        found["project"] = (desired.project_number or str(desired.project_id), str(target.project_id))
    if rounding.explains(desired.begin, desired.seconds, target):
        return found
    if desired.begin != target.begin:
        found["begin"] = (desired.begin.isoformat(), target.begin.isoformat())
    if desired.seconds != target.duration_seconds:
        found["duration"] = (f"{desired.seconds} s", f"{target.duration_seconds} s")
        if target.break_seconds:
            found["break"] = ("0 s", f"{target.break_seconds} s")
    return found


def as_sent(asked: Desired, placed_at: datetime | None, found: Timesheet, rounding: Rounding = ANY) -> Timesheet:
    """The time sheet that the target made of a create whose answer was lost: `found`, unless it was edited since.

    Values that `rounding` does not explain were edited: the sent values take their place, and a person is asked. That
    row has no payload, because the target never returned it.
    """
    begin, seconds = placed_at or asked.begin, asked.seconds
    if rounding.explains(begin, seconds, found):
        begin, seconds = found.begin, found.duration_seconds
    made = replace(
        found,
        user_id=asked.user_id,
        activity_id=asked.activity_id,
        project_id=found.project_id if asked.project_id is None else asked.project_id,
        begin=begin,
        duration_seconds=seconds,
    )
    return found if owned(made) == owned(found) else replace(made, end=begin + timedelta(seconds=seconds), raw={})


def _expected(desired: Desired, asked: Desired, base: Timesheet) -> Desired:
    """What the time sheet should say: the source's new values, else what the target made of the last ones."""
    same_project = desired.project_key == asked.project_key
    return Desired(
        user_id=base.user_id if desired.user_id == asked.user_id else desired.user_id,
        activity_id=base.activity_id if desired.activity_id == asked.activity_id else desired.activity_id,
        project_id=base.project_id if same_project else desired.project_id,
        project_number=desired.project_number,
        begin=base.begin if desired.begin == asked.begin else desired.begin,
        seconds=base.duration_seconds if desired.seconds == asked.seconds else desired.seconds,
    )


def _without_history(diff: Difference, *, locked: bool) -> Decision:
    """A time sheet with our marker that the ledger does not know: linked if it agrees, else a person decides."""
    if not diff:
        return Decision(Status.IN_SYNC, Action.LINK)
    return Decision(Status.MISMATCH, Action.REVIEW, Reason.BILLED if locked else Reason.KIMAI_EDITED, diff)
