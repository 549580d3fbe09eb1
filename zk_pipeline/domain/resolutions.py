"""Resolutions: what a person may decide about a line of the plan, and the line as it stands after the decision.

A decision holds for the facts it was made about, and no longer: when either side changes, the line is open again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from zk_pipeline.domain.decision import Action, Status
from zk_pipeline.domain.plan import Result
from zk_pipeline.domain.reasons import Reason


class Choice(StrEnum):
    """What a person decided.

    `create` writes a new time sheet, `update` writes the source's version, `link` makes a time sheet typed by hand
    ours, `delete` removes the time sheet, `keep` takes the target's version as it is, `ignore` leaves all alone.
    """

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    DELETE = "delete"
    KEEP = "keep"
    IGNORE = "ignore"


ALLOWED: Mapping[Reason, tuple[Choice, ...]] = {
    Reason.UNMAPPED_USER: (Choice.IGNORE,),
    Reason.UNMAPPED_ACTIVITY: (Choice.IGNORE,),
    Reason.UNMAPPED_CUSTOMER: (Choice.IGNORE,),
    Reason.UNKNOWN_TICKET: (Choice.IGNORE,),
    Reason.DUPLICATE: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.AMBIGUOUS: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.FUZZY_CANDIDATE: (Choice.LINK, Choice.CREATE, Choice.IGNORE),
    Reason.KIMAI_EDITED: (Choice.UPDATE, Choice.KEEP),
    Reason.BOTH_CHANGED: (Choice.UPDATE, Choice.DELETE, Choice.KEEP),
    Reason.DELETED_IN_KIMAI: (Choice.CREATE, Choice.IGNORE),
    Reason.UNSEEN_IN_KIMAI: (Choice.IGNORE,),
    Reason.DELETED_IN_ZAMMAD: (Choice.DELETE, Choice.KEEP),
    Reason.BILLED: (Choice.KEEP, Choice.IGNORE),
    Reason.LOCKED_PERIOD: (Choice.IGNORE,),
    Reason.NO_FREE_PLACE: (Choice.IGNORE,),
    Reason.UNMATCHED_CORRECTION: (Choice.IGNORE,),
    Reason.REFUSED_BY_KIMAI: (Choice.CREATE, Choice.IGNORE),
    Reason.MARKER_CLONED: (Choice.DELETE, Choice.KEEP),
}
"""The decisions for each reason that waits for a person; the first is the one suggested."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision about the line of this key and reason, made when it had these facts."""

    key: str
    reason: Reason
    choice: Choice
    facts_hash: str
    timesheet_id: int | None = None


def allowed(reason: Reason, status: Status) -> tuple[Choice, ...]:
    """The decisions that make sense: a time sheet without booking is not updated, one with a booking not deleted."""
    choices = ALLOWED.get(reason, ())
    if reason is not Reason.BOTH_CHANGED:
        return choices
    senseless = Choice.UPDATE if status is Status.ORPHANED else Choice.DELETE
    return tuple(choice for choice in choices if choice is not senseless)


def resolved(lines: Iterable[Result], resolutions: Iterable[Resolution]) -> list[Result]:
    """The plan with the decisions applied that still fit; each line whose facts changed stays open."""
    decisions = {(resolution.key, resolution.reason, resolution.facts_hash): resolution for resolution in resolutions}
    return [_resolved(line, decisions) for line in lines]


def _resolved(line: Result, decisions: Mapping[tuple[str, Reason, str], Resolution]) -> Result:
    if line.action is not Action.REVIEW or line.reason is None:
        return line
    decision = decisions.get((line.key, line.reason, line.facts_hash))
    if decision is None or decision.choice not in allowed(line.reason, line.status):
        return line
    return _decided(line, decision)


def _decided(line: Result, decision: Resolution) -> Result:
    action = _action(line, decision.choice)
    timesheet = decision.timesheet_id if decision.choice is Choice.LINK else None
    return replace(line, action=action, decided=decision.choice, kimai_id=timesheet or line.kimai_id)


def _action(line: Result, choice: Choice) -> Action:
    if choice is Choice.KEEP:
        # A time sheet that keeps its own version is in agreement from now on; an orphan is merely left alone.
        in_ledger = line.status is Status.MISMATCH and line.draft is not None
        return Action.LINK if in_ledger else Action.NONE
    if choice is Choice.IGNORE:
        return Action.NONE
    return Action(choice)
