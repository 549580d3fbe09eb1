"""What the plan of some days would write, as a dialog shows it: sums, all lines page by page, and who approved what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from nicegui import ui

from zk_pipeline.operations.plans import PlanLine, PlannedDay, StoredPlan
from zk_pipeline.web.console import parts
from zk_pipeline.web.console.parts import Cell, Column
from zk_pipeline.web.console.words import Words

LINES_SHOWN = 10

_SUMS = ("creates", "updates", "deletes", "links", "customers", "projects")


@dataclass(slots=True)
class Selection:
    """The lines that are selected for approval, as they were shown: hashes by day and key, on whatever page."""

    changed: Callable[[], None]
    lines: dict[tuple[date, str], str] = field(default_factory=dict[tuple[date, str], str])

    def box(self, words: Words, line: PlanLine) -> None:
        """The box that selects a line; one that is approved says so."""
        if line.approved:
            parts.chip(words("sync.line.approved"), "good")
            return

        def change() -> None:
            if made.value:
                self.lines[line.day, line.key] = line.hash
            else:
                self.lines.pop((line.day, line.key), None)
            self.changed()

        made = ui.checkbox(value=(line.day, line.key) in self.lines, on_change=change).props("dense")
        made.props["aria-label"] = words("sync.select", what=line.ticket or line.key)


def show(words: Words, plan: StoredPlan, page: int, go: Callable[[int], object], selection: Selection | None) -> None:
    """The sums and one page of the lines, or that there is nothing to write; pages count from 1."""
    if plan.outdated_days:
        days = ", ".join(words.day(day) for day in plan.outdated_days)
        parts.text("p", words("sync.outdated", days=days), "zk-note zk-warn")
    if not plan.sums.lines:
        if not plan.outdated_days:
            parts.empty(words("sync.nothing"), words("sync.nothing.hint"))
        return
    parts.facts(_sums(words, plan))
    columns = [Column(words("sync.selection"))] if selection else []
    columns += [Column(words(f"sync.{name}")) for name in ("day", "action", "what")]
    columns += [Column(words(f"reconcile.{name}")) for name in ("agent", "customer")]
    columns += [Column(words("field.project")), Column(words("reconcile.minutes"), number=True)]
    parts.table(words("sync.lines"), columns, [_line(words, line, selection) for line in plan.lines])
    if plan.sums.lines > LINES_SHOWN:
        parts.pager(words, page, LINES_SHOWN, plan.sums.lines, go)


def show_approvals(words: Words, days: Sequence[PlannedDay]) -> None:
    """Of each day that writes: whether its plan is approved, by whom and when, and what changed since."""
    columns = [Column(words("sync.day")), Column(words("sync.writes"), number=True)]
    columns += [Column(words("reconcile.minutes"), number=True), Column(words("sync.approval"))]
    rows: list[list[Cell]] = [
        [
            words.day(day.day),
            words.number(day.lines),
            words.number(day.minutes),
            lambda day=day: _approval(words, day),
        ]
        for day in days
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
        if day.approved:
            parts.chip(words("approval.given"), "good")
        elif day.changed:
            parts.chip(words("approval.outdated"), "warn")
        else:
            parts.chip(words("approval.partly", number=words.number(day.waiting)), "warn")
        parts.text("span", words("approval.by", name=day.approved_by, at=words.instant(day.approved_at)), "zk-muted")
        if day.changed:
            parts.text("span", words("approval.changed", number=words.number(day.changed)), "zk-muted")


def _sums(words: Words, plan: StoredPlan) -> list[tuple[str, Cell]]:
    told: list[tuple[str, Cell]] = [
        (words(f"sync.{name}"), words.number(number)) for name in _SUMS if (number := getattr(plan.sums, name))
    ]
    return [*told, (words("bulk.minutes"), words.minutes(plan.sums.minutes))]


def _line(words: Words, line: PlanLine, selection: Selection | None) -> list[Cell]:
    changed = ", ".join(words.known(f"field.{name}", name) for name in line.changes)
    what = line.description or changed or line.key
    return [
        *([lambda: selection.box(words, line)] if selection else []),
        words.day(line.day),
        words.known(f"value.{line.action}", line.action),
        what,
        line.agent,
        line.customer,
        line.project,
        words.number(line.minutes),
    ]
