"""What the plan of some days would write, as a dialog shows it: sums, the first lines, and who approved what."""

from collections.abc import Sequence

from zk_pipeline.operations.plans import PlanLine, PlannedDay, StoredPlan
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.words import Words

LINES_SHOWN = 10

_SUMS = ("creates", "updates", "deletes", "links", "customers", "projects")


def show(words: Words, plan: StoredPlan) -> None:
    """The sums and the first lines, or that there is nothing to write."""
    if not plan.sums.lines:
        parts.empty(words("sync.nothing"), words("sync.nothing.hint"))
        return
    parts.facts(_sums(words, plan))
    columns = [Column(words(f"sync.{name}")) for name in ("day", "action", "what")]
    columns.append(Column(words("reconcile.minutes"), number=True))
    parts.table(words("sync.lines"), columns, [_line(words, line) for line in plan.lines])
    if plan.sums.lines > len(plan.lines):
        parts.text("p", words("sync.more", number=words.number(plan.sums.lines - len(plan.lines))), "zk-muted")


def show_approvals(words: Words, days: Sequence[PlannedDay]) -> None:
    """Of each day that writes: whether its plan is approved, by whom and when, and what changed since."""
    columns = [Column(words("sync.day")), Column(words("sync.writes"), number=True), Column(words("sync.approval"))]
    rows: list[list[Cell]] = [
        [words.day(day.day), words.number(day.lines), lambda day=day: _approval(words, day)] for day in days
    ]
    parts.table(words("sync.approvals"), columns, rows)


def show_objections(words: Words, objections: Sequence[str], *, may_pass: bool) -> None:
    """Why the run would stop before the first write, and who can let it pass."""
    with parts.box("zk-note zk-warn").props("role=alert"):
        for sentence in objections:
            parts.text("p", sentence)
        parts.text("p", words("sync.stopped.admin" if may_pass else "sync.stopped.operator"))


def _approval(words: Words, day: PlannedDay) -> None:
    with parts.box("zk-row"):
        if day.approved_at is None:
            parts.chip(words("approval.none"), "warn")
            return
        known = {"name": day.approved_by, "at": words.instant(day.approved_at)}
        parts.chip(words("approval.given" if day.approved else "approval.outdated"), "good" if day.approved else "warn")
        parts.text("span", words("approval.by", **known), "zk-muted")
        if day.changed:
            parts.text("span", words("approval.changed", number=words.number(day.changed)), "zk-muted")


def _sums(words: Words, plan: StoredPlan) -> list[tuple[str, Cell]]:
    told: list[tuple[str, Cell]] = [
        (words(f"sync.{name}"), words.number(number)) for name in _SUMS if (number := getattr(plan.sums, name))
    ]
    return [*told, (words("bulk.minutes"), words.minutes(plan.sums.minutes))]


def _line(words: Words, line: PlanLine) -> list[Cell]:
    changed = ", ".join(words.known(f"field.{name}", name) for name in line.changes)
    what = line.description or changed or line.key
    return [words.day(line.day), words.known(f"value.{line.action}", line.action), what, words.number(line.minutes)]
