"""The three-way decision over base, source and target.

Base is what the target returned last, source what the entry wants now, target the time sheet as it is now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from zk_pipeline.domain.ledger import Desired, LedgerRow, PushState
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.records import Timesheet

Difference = Mapping[str, tuple[str, str]]
"""Field to (wanted, found), as texts for people."""

SAME_WAY_SECONDS = 60
EXACT_SECONDS = 1


class Status(StrEnum):
    """What an entry or a time sheet is, seen from the other side."""

    IN_SYNC = "in_sync"
    MISSING = "missing"
    MISMATCH = "mismatch"
    DUPLICATE = "duplicate"
    ORPHANED = "orphaned"
    EXCLUDED = "excluded"


class Action(StrEnum):
    """What shall be done. `link` takes a time sheet into the ledger as it is and writes nothing."""

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


def decide(ledger: LedgerRow | None, desired: Desired, target: Timesheet, *, locked: bool) -> Decision:
    """Decide about an entry whose time sheet exists; nothing is written to a `locked` (exported or closed) one."""
    if ledger is None or ledger.asked is None:
        return _without_history(difference(desired, target), locked=locked)
    source_edited = differs(desired, ledger.asked)
    if ledger.base is None:
        return _after_unconfirmed_create(difference(desired, target), source_edited=source_edited, locked=locked)
    target_edited = owned(target) != owned(ledger.base)
    source_edited = source_edited or ledger.state is PushState.INTENDED
    if not source_edited and (locked or not target_edited):
        return Decision(Status.IN_SYNC, Action.NONE if target.id == ledger.kimai_id else Action.LINK)
    within = SAME_WAY_SECONDS if source_edited and target_edited else EXACT_SECONDS
    diff = difference(_expected(desired, ledger.asked, ledger.base), target, within)
    if not source_edited:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.KIMAI_EDITED, diff)
    if not diff:
        return Decision(Status.IN_SYNC, Action.LINK)
    if locked:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.BILLED, diff)
    if target_edited:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.BOTH_CHANGED, diff)
    return Decision(Status.MISMATCH, Action.UPDATE, diff=diff)


def decide_unwanted(ledger: LedgerRow | None, target: Timesheet, *, locked: bool, delete: bool = False) -> Decision:
    """Decide about a time sheet of ours whose booking is gone or was corrected to zero.

    `delete` is the operator's rule to delete it without asking; it needs a ledger that knows nobody touched it.
    """
    if locked:
        return Decision(Status.ORPHANED, Action.REVIEW, Reason.BILLED)
    if ledger is not None and ledger.base is not None:
        if owned(target) != owned(ledger.base):
            return Decision(Status.ORPHANED, Action.REVIEW, Reason.BOTH_CHANGED)
        if delete:
            return Decision(Status.ORPHANED, Action.DELETE, Reason.DELETED_IN_ZAMMAD)
    return Decision(Status.ORPHANED, Action.REVIEW, Reason.DELETED_IN_ZAMMAD)


def owned(row: Timesheet) -> tuple[int, datetime, int, int, int]:
    """The fields of a time sheet that are ours: user, begin, duration, project and activity."""
    return (row.user_id, row.begin, row.duration_seconds, row.project_id, row.activity_id)


def differs(desired: Desired, asked: Desired) -> bool:
    """Whether the entry wants something else than was asked for last; a project that got its id is the same one."""
    return desired.hash != asked.hash


def difference(desired: Desired, target: Timesheet, within: int = SAME_WAY_SECONDS) -> dict[str, tuple[str, str]]:
    """Our fields that differ, as (wanted, found); times that are less than `within` seconds apart are the same.

    The target's rounding makes less than a minute of difference in its default settings (docs/kimai.md §5).
    """
    found: dict[str, tuple[str, str]] = {}
    if desired.user_id != target.user_id:
        found["user"] = (str(desired.user_id), str(target.user_id))
    if desired.activity_id != target.activity_id:
        found["activity"] = (str(desired.activity_id), str(target.activity_id))
    if desired.project_id != target.project_id:
        found["project"] = (desired.project_number or str(desired.project_id), str(target.project_id))
    if abs((desired.begin - target.begin).total_seconds()) >= within:
        found["begin"] = (desired.begin.isoformat(), target.begin.isoformat())
    if abs(desired.seconds - target.duration_seconds) >= within:
        found["duration"] = (f"{desired.seconds} s", f"{target.duration_seconds} s")
    return found


def _expected(desired: Desired, asked: Desired, base: Timesheet) -> Desired:
    """What the time sheet should say: the new wish where the source changed, else what the target made of the last."""
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
    """A time sheet with our marker that a lost ledger knew: taken over when it agrees, else a person decides."""
    if not diff:
        return Decision(Status.IN_SYNC, Action.LINK)
    return Decision(Status.MISMATCH, Action.REVIEW, Reason.BILLED if locked else Reason.KIMAI_EDITED, diff)


def _after_unconfirmed_create(diff: Difference, *, source_edited: bool, locked: bool) -> Decision:
    """Our create arrived, though its answer was lost; what the booking changed meanwhile is still to be written."""
    if not diff or not source_edited:
        return Decision(Status.IN_SYNC, Action.LINK, diff=diff)
    if locked:
        return Decision(Status.MISMATCH, Action.REVIEW, Reason.BILLED, diff)
    return Decision(Status.MISMATCH, Action.UPDATE, diff=diff)
