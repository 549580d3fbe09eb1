"""The plan of an undo: for each write in the journal what reverses it, or why it is left.

Nothing is undone that is billed, in a closed period, or edited since.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from zk_pipeline.domain.decision import owned
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.ledger import MASTER_DATA, MENDED, Desired, JournalEntry, Operation, StoredJournalEntry
from zk_pipeline.domain.markers import marked_ids
from zk_pipeline.domain.records import Timesheet, TimesheetChange
from zk_pipeline.domain.write_protection import WriteProtection


class Reversal(StrEnum):
    """What reverses a write. `unlink` removes the marker, `untag` a tag; `remove` is for master data."""

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
    """What reverses one write, and why; with `already`, the target is as it should be and nothing is sent."""

    write: StoredJournalEntry
    reversal: Reversal
    text: str = ""
    already: bool = False

    def to_json(self) -> dict[str, Any]:
        """The step as JSON for people and machines."""
        entry = self.write.entry
        name = f"{entry.named.number} {entry.named.name}." if entry.named else ""
        name = f"{entry.mended_to.name}." if entry.mended_to else name
        return {
            "day": str(entry.entry_date) if entry.entry_date else None,
            "operation": str(entry.operation),
            "booking": entry.source_id,
            "kimai_id": entry.kimai_id,
            "undo": str(self.reversal),
            "text": f"{name} {self.text}".strip(),
        }

    def left(self, reason: str) -> "UndoStep":
        """The step, not carried out for this reason."""
        return replace(self, reversal=Reversal.LEAVE, text=reason, already=False)


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What an undo reversed, by kind, and the writes that it left, each with the reason."""

    run_id: str
    undone: Mapping[str, int]
    left: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CurrentState:
    """The current state: the time sheets of the writes that still exist, and each booking's one by the ledger.

    `source` is the source's name in the markers; `hidden` are existing time sheets that we may not read, each with the
    target's reason.
    """

    timesheets: Mapping[int, Timesheet]
    bound: Mapping[str, int]
    source: str
    locks: WriteProtection
    hidden: Mapping[int, str] = field(default_factory=dict[int, str])


def plan(writes: Iterable[StoredJournalEntry], present: CurrentState) -> list[UndoStep]:
    """A step for each write that was not undone yet: newest first, time sheets before what they refer to."""
    wanted = sorted((write for write in writes if write.undone_by is None), key=lambda write: -write.id)
    return [step(write, present) for write in sorted(wanted, key=lambda write: write.entry.operation in MASTER_DATA)]


def step(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    """What reverses one write."""
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
    """The wanted values after the old ones are back, so that the next sync sees what the booking wants."""
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
    """The booking of a write, from the ledger or the time sheet's marker."""
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
    # The tag itself marks it as billed: only an export or a closed month prevents removal, even the booking's month.
    obstacle = present.locks.why(replace(current, tags=before.tags))
    day = write.entry.entry_date
    return _unless(write, Reversal.UNTAG, obstacle or (present.locks.why_day(day) if day else ""))


def _deleted(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    before, source_id = write.entry.before, booking_of(write.entry, present.source)
    if before is None or source_id is None:
        return UndoStep(write, Reversal.LEAVE, "It carried no marker: create it in Kimai by hand.")
    other = present.bound.get(source_id)
    if other is not None:
        return UndoStep(
            write, Reversal.LEAVE, f"Booking {source_id} has the time sheet {other}; a second one is not created."
        )
    return _unless(write, Reversal.CREATE, _closed(before, present))


def _made(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    del present
    return UndoStep(write, Reversal.REMOVE, "If nothing refers to it by then.")


def _mended(write: StoredJournalEntry, present: CurrentState) -> UndoStep:
    del present
    return UndoStep(write, Reversal.RESTORE, "If nobody changes it by then.")


_JUDGES: Mapping[str, Callable[[StoredJournalEntry, CurrentState], UndoStep]] = {
    Operation.CREATE: _created,
    Operation.UPDATE: _updated,
    Operation.LINK: _linked,
    Operation.TAG: _tagged,
    Operation.DELETE: _deleted,
    Operation.CREATE_CUSTOMER: _made,
    Operation.CREATE_PROJECT: _made,
    **dict.fromkeys(MENDED, _mended),
}


def _unless(write: StoredJournalEntry, reversal: Reversal, obstacle: str) -> UndoStep:
    return UndoStep(write, Reversal.LEAVE, obstacle) if obstacle else UndoStep(write, reversal)


def _obstacle(current: Timesheet, after: Timesheet, present: CurrentState) -> str:
    """Why the time sheet is left as it is; empty if it is not."""
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
    """People's changes to a new time sheet besides our fields, which deleting it would lose; empty without any."""
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
    """The time sheet before and after. Raises `ValueError` for a write without both."""
    if entry.before is None or entry.after is None:
        raise ValueError(
            f"The journal's {entry.operation} of time sheet {entry.kimai_id} does not say what it changed."
        )
    return entry.before, entry.after
