"""Approval and guard: which lines of a plan may be written, and when a run must stop before it writes any.

An approval belongs to one carrying out of one plan. It lasts from the person's act to the target's answer: taken or
refused, the line is spent. Without an answer (a crash, a lost connection) it goes on holding, since the next run
settles that one write: it finds what was created, or proves that nothing was and sends it again. What changed before it
was carried out lapses, and an undo revokes what is left of the day.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.plan import Result

WRITING = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE})
DELETED_PERCENT = 5


def writes(line: Result) -> bool:
    """Whether the line writes to the target; taking a time sheet into the ledger as it is does not."""
    return line.action in WRITING or (line.action is Action.LINK and line.decided == "link")


def line_hash(line: Result) -> str:
    """A hash of what the line writes: it changes when the booking, its texts or place, the mappings or the sheet do."""
    return stable_hash(
        {
            "action": line.action,
            "desired": line.draft.desired.hash if line.draft else None,
            "kimai_id": line.kimai_id,
            "diff": line.diff,
            "decided": line.decided,
            "minutes": f"{line.minutes.normalize():f}",
            "texts": _texts(line),
            "place": _place(line),
        }
    )


def _place(line: Result) -> list[str]:
    """Begin and end of a new time sheet: where overlaps are forbidden, other time sheets of the day move it."""
    if line.draft is None or line.action is not Action.CREATE:
        return []
    return [moment.astimezone(UTC).isoformat() for moment in line.draft.span]


def _texts(line: Result) -> dict[str, Any]:
    """The texts that the line writes: of a new time sheet, and of the project and customer that it may have made.

    The names stand there even of what exists, so that a line stays the same when another one makes its project.
    """
    draft = line.draft
    if draft is None:
        return {}
    creates = line.action is Action.CREATE
    texts: dict[str, Any] = {"description": draft.description, "tags": draft.tags} if creates else {}
    if creates or "project" in line.diff:
        customer = draft.project.customer
        texts |= {"project": draft.project.name, "customer": [customer.number, customer.name]}
    return texts


def plan_hash(lines: Mapping[str, str]) -> str:
    """A hash of the whole plan of a day, given as line keys to the hashes of the lines as they are shown."""
    return stable_hash(dict(lines))


def approvable(lines: Sequence[Result]) -> dict[str, str]:
    """What an approval of these lines covers: the key of each writing line, and the hash of what it writes."""
    return {line.key: line_hash(line) for line in lines if writes(line)}


@dataclass(frozen=True, slots=True)
class ApprovalResult:
    """The lines that may be carried out, those that changed since they were approved, and those never approved."""

    lines: tuple[Result, ...]
    changed: tuple[Result, ...] = ()
    waiting: tuple[Result, ...] = ()


def permitted(lines: Sequence[Result], approved: Mapping[str, str]) -> ApprovalResult:
    """Divide a plan by its approval; lines that write nothing need none."""
    allowed: list[Result] = []
    changed: list[Result] = []
    waiting: list[Result] = []
    for line in lines:
        if not writes(line) or approved.get(line.key) == line_hash(line):
            allowed.append(line)
        elif line.key in approved:
            changed.append(line)
        else:
            waiting.append(line)
    return ApprovalResult(tuple(allowed), tuple(changed), tuple(waiting))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one run may write and delete; `None` is no limit."""

    changes: int | None
    deletes: int


def limit_violation(lines: Collection[Result], timesheets: int, limits: Limits) -> str | None:
    """Why a run over these lines should not begin to write, if so; `timesheets` is how many its days hold.

    A deletion that a person decided was thought about and does not count.
    """
    deletes = sum(line.action is Action.DELETE and not line.decided for line in lines)
    changes = sum(writes(line) for line in lines)
    if deletes > limits.deletes:
        return f"It would delete {deletes} time sheets, more than ZK_MAX_DELETES={limits.deletes}."
    if deletes * 100 > timesheets * DELETED_PERCENT and deletes > 1:
        return f"It would delete {deletes} of the {timesheets} time sheets of its days, more than {DELETED_PERCENT} %."
    if limits.changes is not None and changes > limits.changes:
        return f"It would write {changes} time sheets, more than ZK_MAX_CHANGES={limits.changes}."
    return None
