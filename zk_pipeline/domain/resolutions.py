"""Resolutions: what a person can decide about a line of the plan, and the line after that decision.

A decision holds only for the facts it was made about: when either side changes, the line is open again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import PlanLine
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.domain.write_protection import WriteProtection


class Choice(StrEnum):
    """A person's decision.

    `create` writes a new time sheet, `update` writes the source's version, `link` takes over a time sheet typed by
    hand, `delete` deletes the time sheet, `adjust` books the difference of billed or closed time elsewhere, `reduce`
    names the booking that a correction reduces, `move` counts a booking on the ticket that its own was merged into,
    `keep` accepts the target's version, `ignore` leaves both sides alone.
    """

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    DELETE = "delete"
    ADJUST = "adjust"
    REDUCE = "reduce"
    MOVE = "move"
    KEEP = "keep"
    IGNORE = "ignore"


MEANT: Mapping[Choice, str] = {
    Choice.CREATE: "create the time sheet",
    Choice.UPDATE: "update the time sheet",
    Choice.LINK: "link the time sheet",
    Choice.DELETE: "delete the time sheet",
    Choice.ADJUST: "adjust the difference",
    Choice.REDUCE: "reduce the booking",
    Choice.MOVE: "move the booking",
    Choice.KEEP: "keep it as it is in Kimai",
    Choice.IGNORE: "leave it out",
}
"""What somebody decided, as a part of a sentence."""

ALLOWED: Mapping[Reason, tuple[Choice, ...]] = {
    Reason.UNMAPPED_USER: (Choice.IGNORE,),
    Reason.UNMAPPED_ACTIVITY: (Choice.IGNORE,),
    Reason.UNMAPPED_CUSTOMER: (Choice.IGNORE,),
    Reason.UNKNOWN_TICKET: (Choice.IGNORE,),
    Reason.MALFORMED_BOOKING: (Choice.IGNORE,),
    Reason.RUNNING_TIMER: (Choice.IGNORE,),
    Reason.MALFORMED_TIMESHEET: (Choice.IGNORE,),
    Reason.DUPLICATE: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.AMBIGUOUS: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.FUZZY_CANDIDATE: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.KIMAI_EDITED: (Choice.UPDATE, Choice.KEEP),
    Reason.BOTH_CHANGED: (Choice.UPDATE, Choice.DELETE, Choice.KEEP),
    Reason.DELETED_IN_KIMAI: (Choice.CREATE, Choice.IGNORE),
    Reason.UNSEEN_IN_KIMAI: (Choice.IGNORE,),
    Reason.DELETED_IN_ZAMMAD: (Choice.DELETE, Choice.KEEP),
    Reason.BILLED: (Choice.ADJUST, Choice.KEEP, Choice.IGNORE),
    Reason.CHANGED_AFTER_BILLING: (Choice.KEEP,),
    Reason.LOCKED_PERIOD: (Choice.ADJUST, Choice.IGNORE),
    Reason.NO_FREE_PLACE: (Choice.IGNORE,),
    Reason.UNMATCHED_CORRECTION: (Choice.REDUCE, Choice.IGNORE),
    Reason.REFUSED_BY_KIMAI: (Choice.CREATE, Choice.UPDATE, Choice.ADJUST, Choice.IGNORE),
    Reason.MARKER_CLONED: (Choice.DELETE, Choice.KEEP),
    Reason.BILLED_COPY: (Choice.KEEP,),
    Reason.MERGED_TICKET: (Choice.MOVE, Choice.KEEP),
}
"""The choices for each reason that waits for a person, the suggested one first."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision about the line with this key and reason, made for these facts, and who made it."""

    key: str
    reason: Reason
    choice: Choice
    facts_hash: str
    timesheet_id: int | None = None
    decided_by: str = ""
    decided_at: datetime | None = None


EFFECTS: Mapping[Choice, str] = {
    Choice.CREATE: "A new time sheet is written for the booking.",
    Choice.UPDATE: "What the booking says is written to the fields of the time sheet that differ.",
    Choice.LINK: "The time sheet becomes the booking's: the marker is added to its text, all else stays.",
    Choice.DELETE: "The time sheet is deleted in Kimai.",
    Choice.ADJUST: (
        "The difference is booked as a new time sheet in the open period, or stands on the credit list. "
        "The billed time sheet stays."
    ),
    Choice.REDUCE: (
        "The correction takes back time of the booking that you name. Its time sheet follows; if it is billed, you "
        "are asked whether to adjust it."
    ),
    Choice.MOVE: (
        "The booking counts on the ticket into which its own was merged. Its time sheet follows; if it is billed, "
        "you are asked whether to adjust it."
    ),
    Choice.KEEP: "The time sheet stays as it is. Nothing is written.",
    Choice.IGNORE: (
        "The booking is left out: it is not billed, and both sides stay as they are. Above an hour, say why."
    ),
}
"""What each decision does, for people."""

MOST_WITHOUT_WHY = Decimal(60)
"""Minutes that may be left out without a reason."""

RECORDED = frozenset({Choice.REDUCE, Choice.MOVE})
"""These change how the booking itself is read, from the decision until somebody reverts it."""

_LEAVES_THE_TIMESHEET = frozenset({Choice.ADJUST, Choice.KEEP, Choice.IGNORE, *RECORDED})
"""An adjustment is an entry of its own, with its own line in the plan."""


def allowed(reason: Reason, status: Status, *, reducible: bool = True) -> tuple[Choice, ...]:
    """The choices that make sense for a line of this reason and status, the suggested one first.

    A correction needs a booking that it can reduce.
    """
    senseless = _senseless(reason, status)
    return tuple(
        choice
        for choice in ALLOWED.get(reason, ())
        if choice not in senseless and (reducible or choice is not Choice.REDUCE)
    )


def needs_why(choice: Choice, minutes: Decimal) -> bool:
    """Whether a decision about bookings of these minutes needs a reason: more than an hour would not be billed."""
    return choice is Choice.IGNORE and abs(minutes) > MOST_WITHOUT_WHY


def stands(choice: Choice, status: Status) -> bool:
    """Whether a decision stays valid after it was carried out, until the facts change.

    Once something was written or linked, the question is answered; the same question later is a new one.
    """
    return choice is Choice.IGNORE or (choice is Choice.KEEP and status is not Status.MISMATCH)


def resolved(
    lines: Iterable[PlanLine], resolutions: Iterable[Resolution], locks: WriteProtection | None = None
) -> list[PlanLine]:
    """The plan with all decisions applied that still match; a line whose facts changed stays open.

    On a closed day only decisions that write nothing are applied.
    """
    decisions = {(resolution.key, resolution.reason, resolution.facts_hash): resolution for resolution in resolutions}
    return [_resolved(line, decisions, locks) for line in lines]


def _senseless(reason: Reason, status: Status) -> frozenset[Choice]:
    match reason:
        case Reason.BOTH_CHANGED:
            # A time sheet without booking is not updated, one with a booking not deleted.
            return frozenset({Choice.UPDATE if status is Status.ORPHANED else Choice.DELETE})
        case Reason.REFUSED_BY_KIMAI:
            # A retry repeats the refused write: never a second time sheet for a refused update.
            return frozenset({Choice.CREATE if status is Status.MISMATCH else Choice.UPDATE})
        case _:
            return frozenset()


def outcome(reason: Reason, status: Status, choice: Choice, *, drafted: bool, closed: bool) -> Action | None:
    """What a decision does to a line, or `None` if it is not allowed.

    `drafted`: the plan knows what would be written. `closed`: the day is closed, so only decisions that write nothing
    are allowed.
    """
    if choice not in allowed(reason, status):
        return None
    unwritable = closed or (not drafted and choice is not Choice.DELETE)
    if unwritable and choice not in _LEAVES_THE_TIMESHEET:
        return None
    if choice is Choice.KEEP:
        # A kept time sheet is in sync from now on; an orphan is only left alone.
        return Action.LINK if status is Status.MISMATCH and drafted else Action.NONE
    return Action.NONE if choice in _LEAVES_THE_TIMESHEET else Action(choice)


def _resolved(
    line: PlanLine, decisions: Mapping[tuple[str, Reason, str], Resolution], locks: WriteProtection | None
) -> PlanLine:
    if line.action is not Action.REVIEW or line.reason is None:
        return line
    decision = decisions.get((line.key, line.reason, line.facts_hash))
    if decision is None:
        return line
    closed = locks is not None and locks.is_closed(line.entry_date)
    choice = decision.choice
    if choice is Choice.ADJUST and not (line.owed and line.owed.amounts):
        choice = Choice.KEEP  # No minutes differ, so there is nothing to book.
    action = outcome(line.reason, line.status, choice, drafted=line.draft is not None, closed=closed)
    if action is None:
        return line
    timesheet = decision.timesheet_id if choice is Choice.LINK else None
    return replace(line, action=action, decided=choice, kimai_id=timesheet or line.kimai_id)
