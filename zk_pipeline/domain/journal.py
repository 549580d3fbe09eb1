"""What is remembered of each write to the target, so that it can be told and taken back."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from zk_pipeline.domain.records import Timesheet


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
class Named:
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
    named: Named | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A stored entry of the journal; `undone_by` is the run that took it back."""

    id: int
    run_id: str
    entry: JournalEntry
    written_at: datetime
    undone_by: str | None
