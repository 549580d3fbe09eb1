"""Approval and write limits: which lines of a plan may be written, and when a run stops before it writes anything.

An approval covers one execution of one plan. It lasts until the target answers: accepted or refused, the line is used
up. Without an answer (a crash, a lost connection) it stays valid, because the next run resolves that one write: it
finds what was created, or proves that nothing was and sends it again. A line that changes before it is written loses
its approval, and an undo revokes the rest of the day.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from zk_pipeline.domain.decision import Action
from zk_pipeline.domain.entries import stable_hash
from zk_pipeline.domain.plan import PlanLine

WRITING = frozenset({Action.CREATE, Action.UPDATE, Action.DELETE})
DELETED_PERCENT = 5


def writes(line: PlanLine) -> bool:
    """Whether the line writes to the target. Linking a time sheet as it is does not."""
    return line.action in WRITING or (line.action is Action.LINK and line.decided == "link")


def line_hash(line: PlanLine) -> str:
    """A hash of what the line writes; it changes with the booking, its texts, the placement, mappings or time sheet."""
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


def _place(line: PlanLine) -> list[str]:
    """Begin and end of a new time sheet: if overlaps are forbidden, other time sheets of the day move it."""
    if line.draft is None or line.action is not Action.CREATE:
        return []
    return [moment.astimezone(UTC).isoformat() for moment in line.draft.span]


def _texts(line: PlanLine) -> dict[str, Any]:
    """The texts that the line writes: of a new time sheet, and of the project and customer it may create.

    The names of existing ones are included, so that the hash stays the same when another line creates the project.
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
    """A hash of a day's whole plan; `lines` maps the key of each line to its hash."""
    return stable_hash(dict(lines))


def approvable(lines: Sequence[PlanLine]) -> dict[str, str]:
    """What an approval of these lines covers: the key and hash of each line that writes."""
    return {line.key: line_hash(line) for line in lines if writes(line)}


@dataclass(frozen=True, slots=True)
class ApprovalCheck:
    """The lines to write, those that changed since their approval, and those never approved."""

    lines: tuple[PlanLine, ...]
    changed: tuple[PlanLine, ...] = ()
    waiting: tuple[PlanLine, ...] = ()


def permitted(lines: Sequence[PlanLine], approved: Mapping[str, str]) -> ApprovalCheck:
    """Split a plan by its approvals. Lines that write nothing need none."""
    allowed: list[PlanLine] = []
    changed: list[PlanLine] = []
    waiting: list[PlanLine] = []
    for line in lines:
        if not writes(line) or approved.get(line.key) == line_hash(line):
            allowed.append(line)
        elif line.key in approved:
            changed.append(line)
        else:
            waiting.append(line)
    return ApprovalCheck(tuple(allowed), tuple(changed), tuple(waiting))


@dataclass(frozen=True, slots=True)
class Limits:
    """How many writes and deletions one run may make; `None` means no limit."""

    changes: int | None
    deletes: int


def limit_violation(lines: Collection[PlanLine], timesheets: int, limits: Limits) -> str | None:
    """Why a run over these lines must not write, or `None`. `timesheets` is the number of time sheets on its days.

    Deletions that a person decided do not count.
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
