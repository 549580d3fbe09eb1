"""The record of a write: what we asked for, the row as the target returned it, and how to take it back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.manual_fields import ManualFields
from zk_pipeline.domain.records import MasterDataKind, MasterDataState, Timesheet
from zk_pipeline.domain.rounding import RoundingSample, TimesheetTimes


class PushState(StrEnum):
    """The state of a write. `intended` without a later state means that its outcome is unknown."""

    INTENDED = "intended"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    PARKED = "parked"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Desired:
    """The fields that we own of a time sheet, as the entry and the mappings want them.

    `begin` is the policy's instant in UTC, before any move that the target's rules require. A project without id is
    known by its number.
    """

    user_id: int
    activity_id: int
    project_id: int | None
    project_number: str
    begin: datetime
    seconds: int

    def to_json(self) -> dict[str, Any]:
        """As JSON for the ledger."""
        return {
            "user_id": self.user_id,
            "activity_id": self.activity_id,
            "project_id": self.project_id,
            "project_number": self.project_number,
            "begin": self.begin.astimezone(UTC).isoformat(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Desired":
        """From the ledger's JSON."""
        return cls(
            user_id=value["user_id"],
            activity_id=value["activity_id"],
            project_id=value["project_id"],
            project_number=value["project_number"],
            begin=datetime.fromisoformat(value["begin"]),
            seconds=value["seconds"],
        )

    @property
    def hash(self) -> str:
        """A hash that stays the same when a project only gets its id."""
        return stable_hash({**self.to_json(), "project_id": None if self.project_number else self.project_id})

    @property
    def project_key(self) -> str | int | None:
        """The project's number, or its id if it has none."""
        return self.project_number or self.project_id


@dataclass(frozen=True, slots=True)
class Original:
    """The time sheet that was written for a booking of this work day; `gone` if it was deleted since."""

    day: date
    kimai_id: int
    gone: bool


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The last write of one entry; times are UTC.

    `asked` is what was sent last, `base` what the target returned for it. An unconfirmed create has no `base`; an
    update keeps the confirmed values of both until its own outcome is known. `placed_at` is the begin that a create was
    sent with, after any move that the target's rules required. `sent_hash` is of the last attempt, whatever its
    outcome; storing a row computes it. `by_hand` is what people had set in the target and an update in progress sends
    back.
    """

    source_id: str
    state: PushState
    kimai_id: int | None
    asked: Desired
    base: Timesheet | None
    facts_hash: str
    message: str = ""
    operation: str = ""
    entry_date: date | None = None
    placed_at: datetime | None = None
    sent_hash: str = ""
    by_hand: ManualFields = field(default_factory=ManualFields)

    def asked_json(self) -> dict[str, Any]:
        """What was asked for, and where it was placed, as JSON for the ledger."""
        placed = {"placed_at": self.placed_at.astimezone(UTC).isoformat()} if self.placed_at else {}
        return {**self.asked.to_json(), **placed}

    @property
    def as_found(self) -> bool:
        """Whether an existing time sheet was taken over and nothing was sent."""
        return self.operation == Operation.LINK

    @property
    def bound(self) -> int | None:
        """The id of the entry's time sheet, unless we took it back."""
        return None if self.state is PushState.UNDONE else self.kimai_id

    @property
    def is_unanswered(self) -> bool:
        """Whether the outcome of the last write is unknown."""
        return self.base is None or self.state is PushState.INTENDED

    @property
    def answer(self) -> RoundingSample | None:
        """What the target made of the times we sent, if nobody edited the time sheet since."""
        row = self.base
        if row is None or row.end is None or self.as_found or row.faults or row.break_seconds:
            return None
        begin = self.placed_at or self.asked.begin
        return RoundingSample(int(begin.timestamp()), self.asked.seconds, TimesheetTimes.of(row))


class Operation(StrEnum):
    """What a write did. `unlink` removed the marker from a time sheet; `tag` and `untag` changed its tags.

    The last ones are about master data; `mend` showed it again or moved its end.
    """

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    UNLINK = "unlink"
    TAG = "tag"
    UNTAG = "untag"
    DELETE = "delete"
    CREATE_CUSTOMER = "create_customer"
    CREATE_PROJECT = "create_project"
    DELETE_CUSTOMER = "delete_customer"
    DELETE_PROJECT = "delete_project"
    MEND_CUSTOMER = "mend_customer"
    MEND_PROJECT = "mend_project"
    MEND_ACTIVITY = "mend_activity"

    @classmethod
    def mending(cls, kind: MasterDataKind) -> "Operation":
        """The operation that shows or extends something of this kind."""
        return cls(f"mend_{kind}")


MASTER_DATA = frozenset(
    {
        Operation.CREATE_CUSTOMER,
        Operation.CREATE_PROJECT,
        Operation.DELETE_CUSTOMER,
        Operation.DELETE_PROJECT,
        Operation.MEND_CUSTOMER,
        Operation.MEND_PROJECT,
        Operation.MEND_ACTIVITY,
    }
)
"""Operations whose `kimai_id` is the id of a customer, project or activity."""
MENDED: Mapping[str, MasterDataKind] = {Operation.mending(kind): kind for kind in MasterDataKind}
"""What the operations are about that show or extend something."""


@dataclass(frozen=True, slots=True)
class MasterDataName:
    """A customer or project that we created: our number, and the name it got."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One write: a `create` has no `before`, a `delete` no `after`; an update or link has both.

    Writes of master data have neither, and no day: what was made or deleted is `named`, of what was mended there are
    the states `mended_from` and `mended_to`.
    """

    operation: str
    source_id: str | None
    kimai_id: int
    entry_date: date | None
    before: Timesheet | None = None
    after: Timesheet | None = None
    named: MasterDataName | None = None
    mended_from: MasterDataState | None = None
    mended_to: MasterDataState | None = None


@dataclass(frozen=True, slots=True)
class StoredJournalEntry:
    """A stored entry of the journal; `undone_by` is the id of the run that took it back."""

    id: int
    run_id: str
    entry: JournalEntry
    written_at: datetime
    undone_by: str | None
