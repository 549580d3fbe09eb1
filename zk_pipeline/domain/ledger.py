"""What is remembered of a write: what we asked for, the row as the target returned it, and how it is taken back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.manual_fields import ManualFields
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.domain.rounding import RoundingSample, TimesheetTimes

# What we remember of a write: what we asked for, and the row as the target returned it (the base snapshot).


class PushState(StrEnum):
    """Where a write stands. `intended` without a later state means that its outcome is unknown."""

    INTENDED = "intended"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    PARKED = "parked"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Desired:
    """What we own of a time sheet, as the entry and the mappings want it.

    `begin` is the policy's instant in UTC, before any move that the target's rules make necessary; the project is
    known by number before it has an id.
    """

    user_id: int
    activity_id: int
    project_id: int | None
    project_number: str
    begin: datetime
    seconds: int

    def to_json(self) -> dict[str, Any]:
        """The value for the ledger."""
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
        """The value out of the ledger."""
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
        """A hash that does not change when a project merely gets its id."""
        return stable_hash({**self.to_json(), "project_id": None if self.project_number else self.project_id})

    @property
    def project_key(self) -> str | int | None:
        """What identifies the project: its number, or its id where it has none."""
        return self.project_number or self.project_id


@dataclass(frozen=True, slots=True)
class Original:
    """The time sheet that was written for a booking of this work day; `gone` says that it was deleted since."""

    day: date
    kimai_id: int
    gone: bool


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """The last write of one entry; times are UTC.

    `asked` is what was sent last and `base` what the target returned for it. While a create is unconfirmed there is no
    `base`; an update leaves both as they were confirmed until its own outcome is known. `placed_at` is the begin that a
    create was sent with, after any move that the target's rules made necessary, `sent_hash` is of what was sent last,
    whatever became of it. `as_found`: it was taken as the target
    had it, and nothing was sent. `by_hand` is what people had set there and an update under way sends back.
    """

    source_id: str
    state: PushState
    kimai_id: int | None
    asked: Desired | None
    base: Timesheet | None
    facts_hash: str
    message: str
    as_found: bool = False
    placed_at: datetime | None = None
    sent_hash: str = ""
    by_hand: ManualFields = field(default_factory=ManualFields)

    @property
    def bound(self) -> int | None:
        """The time sheet that was written for the entry, unless we took it back."""
        return None if self.state is PushState.UNDONE else self.kimai_id

    @property
    def is_unanswered(self) -> bool:
        """Whether the target's answer to the last write is not known."""
        return self.base is None or self.state is PushState.INTENDED

    @property
    def answer(self) -> RoundingSample | None:
        """What the target made of the times that were sent, as far as nobody but the target had a part in it."""
        row = self.base
        if self.asked is None or row is None or row.end is None or self.as_found or row.faults or row.break_seconds:
            return None
        begin = self.placed_at or self.asked.begin
        return RoundingSample(int(begin.timestamp()), self.asked.seconds, TimesheetTimes.of(row))


# What is remembered of each write to the target, so that it can be told and taken back.


class Operation(StrEnum):
    """What a write did. `unlink` took the marker off a time sheet again, `tag` and `untag` are about its tags.

    The last four are about master data.
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


MASTER_DATA = frozenset(
    {
        Operation.CREATE_CUSTOMER,
        Operation.CREATE_PROJECT,
        Operation.DELETE_CUSTOMER,
        Operation.DELETE_PROJECT,
    }
)
"""Operations whose `kimai_id` is that of a customer or project."""


@dataclass(frozen=True, slots=True)
class MasterDataName:
    """A customer or project as it was made: our number, and the name it got."""

    number: str
    name: str


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One write: `create` has no `before`, `delete` no `after`; an update or link has both.

    Those of customers and projects have neither, nor a day, but `named`.
    """

    operation: str
    source_id: str | None
    kimai_id: int
    entry_date: date | None
    before: Timesheet | None = None
    after: Timesheet | None = None
    named: MasterDataName | None = None


@dataclass(frozen=True, slots=True)
class StoredJournalEntry:
    """A stored entry of the journal; `undone_by` is the run that took it back."""

    id: int
    run_id: str
    entry: JournalEntry
    written_at: datetime
    undone_by: str | None
