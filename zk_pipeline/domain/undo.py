"""Taking writes back: for each write of the journal what undoes it, or why it is left. This is the plan of an undo.

Nothing is undone that is billed, that lies in a closed period, or that somebody edited since.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from zk_pipeline.domain.decision import owned
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.ledger import MASTER_DATA, Desired, JournalEntry, Operation, StoredJournalEntry
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.records import Timesheet, TimesheetChange
from zk_pipeline.domain.write_protection import WriteProtection


class Reversal(StrEnum):
    """What undoes a write. `unlink` takes the marker off again, `untag` a tag, `remove` is about master data."""

    DELETE = "delete"
    RESTORE = "restore"
    UNLINK = "unlink"
    UNTAG = "untag"
    CREATE = "create"
    REMOVE = "remove"
    NOTHING = "nothing"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class UndoStep:
    """What undoes one write, and why, for people; with `already` the target is as it should be and nothing is sent."""

    write: StoredJournalEntry
    reversal: Reversal
    text: str = ""
    already: bool = False

    def to_json(self) -> dict[str, Any]:
        """The step as a line for people and machines."""
        entry = self.write.entry
        name = f"{entry.named.number} {entry.named.name}." if entry.named else ""
        return {
            "day": str(entry.entry_date) if entry.entry_date else None,
            "operation": str(entry.operation),
            "booking": entry.source_id,
            "kimai_id": entry.kimai_id,
            "undo": str(self.reversal),
            "text": f"{name} {self.text}".strip(),
        }

    def left(self, reason: str) -> "UndoStep":
        """The step as one that is left, for this reason."""
        return replace(self, reversal=Reversal.LEAVE, text=reason, already=False)


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo did, by kind, and the writes that it left, each with the reason."""

    run_id: str
    undone: Mapping[str, int]
    left: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What stands now: the time sheets of the writes that still exist, and by the ledger the one of each booking.

    `source` is the source's name in the markers; `hidden` are the time sheets that exist but may not be read, each with
    the target's reason.
    """

    timesheets: Mapping[int, Timesheet]
    bound: Mapping[str, int]
    source: str
    locks: WriteProtection
    hidden: Mapping[int, str] = field(default_factory=dict[int, str])


def plan(writes: Iterable[StoredJournalEntry], present: CurrentState) -> list[UndoStep]:
    """A step for each write that was not undone yet: the newest first, time sheets before what they refer to."""
    wanted = sorted((write for write in writes if write.undone_by is None), key=lambda write: -write.id)
    return [step(write, present) for write in sorted(wanted, key=lambda write: write.entry.operation in MASTER_DATA)]


def step(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    """What undoes one write."""
    judge = _JUDGES.get(write.entry.operation)
    if judge is None:
        return UndoStep(write, Reversal.LEAVE, "An undo is undone by syncing the day again.")
    if write.entry.operation not in MASTER_DATA and write.entry.kimai_id in present.hidden:
        return UndoStep(write, Reversal.LEAVE, present.hidden[write.entry.kimai_id])
    return judge(write, present)


def change_back(entry: JournalEntry) -> TimesheetChange:
    """Our fields that the write changed, with their old values; people's text, tags and billable flag stay."""
    before, after = _both(entry)
    moved = (before.begin, before.duration_seconds) != (after.begin, after.duration_seconds)
    return TimesheetChange(
        user_id=before.user_id if before.user_id != after.user_id else None,
        project_id=before.project_id if before.project_id != after.project_id else None,
        activity_id=before.activity_id if before.activity_id != after.activity_id else None,
        begin=before.begin if moved else None,
        end=before.begin + timedelta(seconds=before.duration_seconds) if moved else None,
    )


def asked_before(asked: Desired, entry: JournalEntry) -> Desired:
    """What counts as asked for when the old values are back, so that the next sync sees what the booking wants."""
    before, after = _both(entry)
    same_project = before.project_id == after.project_id
    return Desired(
        user_id=asked.user_id if before.user_id == after.user_id else before.user_id,
        activity_id=asked.activity_id if before.activity_id == after.activity_id else before.activity_id,
        project_id=asked.project_id if same_project else before.project_id,
        project_number=asked.project_number if same_project else "",
        begin=asked.begin if before.begin == after.begin else before.begin,
        seconds=asked.seconds if before.duration_seconds == after.duration_seconds else before.duration_seconds,
    )


def tags_added(entry: JournalEntry) -> tuple[str, ...]:
    """The tags that the write added."""
    before, after = _both(entry)
    return tuple(tag for tag in after.tags if tag not in before.tags)


def booking_of(entry: JournalEntry, source: str) -> str | None:
    """The booking that a write was for: the ledger's, or that of the time sheet's marker."""
    if entry.source_id is not None:
        return entry.source_id
    row = entry.before or entry.after
    return next(iter(marked_ids(row.description, source)), None) if row else None


def _created(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    after, current = write.entry.after, present.timesheets.get(write.entry.kimai_id)
    if after is None or current is None:
        return UndoStep(write, Reversal.DELETE, "It is gone already.", already=True)
    return _unless(write, Reversal.DELETE, _obstacle(current, after, present) or _retouched(current, after))


def _updated(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    before, after = _both(write.entry)
    current = present.timesheets.get(write.entry.kimai_id)
    if current is None:
        return UndoStep(write, Reversal.NOTHING, "The time sheet is gone.", already=True)
    if owned(current) == owned(before):
        return UndoStep(write, Reversal.RESTORE, "It has its old values already.", already=True)
    return _unless(write, Reversal.RESTORE, _obstacle(current, after, present) or _closed(before, present))


def _linked(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    before, after = _both(write.entry)
    current = present.timesheets.get(write.entry.kimai_id)
    if current is None:
        return UndoStep(write, Reversal.NOTHING, "The time sheet is gone.", already=True)
    if current.description == before.description:
        return UndoStep(write, Reversal.UNLINK, "The marker is off already.", already=True)
    obstacle = _obstacle(current, after, present)
    if not obstacle and current.description != after.description:
        obstacle = "Its description was edited since."
    return _unless(write, Reversal.UNLINK, obstacle)


def _tagged(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    before, _ = _both(write.entry)
    current = present.timesheets.get(write.entry.kimai_id)
    if current is None:
        return UndoStep(write, Reversal.NOTHING, "The time sheet is gone.", already=True)
    if not set(tags_added(write.entry)) & set(current.tags):
        return UndoStep(write, Reversal.UNTAG, "The tag is off already.", already=True)
    # The tag itself is what bills it: only an export or a closed month stands in the way, be it the booking's month.
    obstacle = present.locks.why(replace(current, tags=before.tags))
    day = write.entry.entry_date
    return _unless(write, Reversal.UNTAG, obstacle or (present.locks.why_day(day) if day else ""))


def _deleted(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    before, source_id = write.entry.before, booking_of(write.entry, present.source)
    if before is None or source_id is None:
        return UndoStep(write, Reversal.LEAVE, "It carried no marker: create it in Kimai by hand.")
    other = present.bound.get(source_id)
    if other is not None:
        return UndoStep(write, Reversal.LEAVE, f"Booking {source_id} has the time sheet {other}; a second is not made.")
    return _unless(write, Reversal.CREATE, _closed(before, present))


def _made(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    del present
    return UndoStep(write, Reversal.REMOVE, "If nothing refers to it by then.")


_JUDGES: Mapping[str, Callable[[StoredJournalEntry, CurrentState], UndoStep]] = {
    Operation.CREATE: _created,
    Operation.UPDATE: _updated,
    Operation.LINK: _linked,
    Operation.TAG: _tagged,
    Operation.DELETE: _deleted,
    Operation.CREATE_CUSTOMER: _made,
    Operation.CREATE_PROJECT: _made,
}


def _unless(write: StoredJournalEntry, reversal: Reversal, obstacle: str) -> UndoStep:
    return UndoStep(write, Reversal.LEAVE, obstacle) if obstacle else UndoStep(write, reversal)


def _obstacle(current: Timesheet, after: Timesheet, present: CurrentState) -> str:
    """Why the time sheet is left as it is, or nothing."""
    locked = present.locks.why(current)
    if locked:
        return locked
    names = ("user", "begin", "duration", "project", "activity")
    edited = [
        f"{name} {written} → {found}"
        for name, written, found in zip(names, owned(after), owned(current), strict=True)
        if written != found
    ]
    return f"It was edited since: {', '.join(edited)}." if edited else ""


def _retouched(current: Timesheet, after: Timesheet) -> str:
    """What people made of a new time sheet beside our fields, which deleting it would lose; nothing if nothing."""
    touched = {
        "description": current.description != after.description,
        "tags": set(current.tags) != set(after.tags),
        "billable flag": current.billable is not after.billable,
    }
    names = ", ".join(name for name, differs in touched.items() if differs)
    return f"People edited its {names} since." if names else ""


def _closed(row: Timesheet, present: CurrentState) -> str:
    return present.locks.why_day(local_day(row.begin, present.locks.zone))


def _both(entry: JournalEntry) -> tuple[Timesheet, Timesheet]:
    """What was there before and after. Raises `ValueError` for a write that has not both."""
    if entry.before is None or entry.after is None:
        raise ValueError(
            f"The journal's {entry.operation} of time sheet {entry.kimai_id} does not tell what it changed."
        )
    return entry.before, entry.after
