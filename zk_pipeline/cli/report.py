"""The tables of a sync: per agent, per customer, and what waits for a person."""

from collections.abc import Mapping, Sequence
from datetime import date

from rich.markup import escape

from zk_pipeline.audit import trail
from zk_pipeline.cli.output import called, hours, out, said, show_table, words
from zk_pipeline.cli.sync_report import SyncReport
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import plans, summaries
from zk_pipeline.store.plans import PlannedWrites
from zk_pipeline.store.summaries import DaySpan, Summary
from zk_pipeline.web.console import details

LINES_SHOWN = 40

OUTCOME_WORDS = {
    "created": "created",
    "updated": "updated",
    "linked": "linked",
    "by_another_run": "by another run",
    "in_sync": "in sync before",
    "left_out": "left out",
    "conflicts": "conflicts",
    "parked": "parked",
    "failed": "failed",
    "not_written": "not written",
}
"""The outcomes of entries, as shown."""

ALWAYS_IN_PLAN = frozenset({"in_sync", "conflicts", "parked", "not_written"})
ALWAYS_IN_SYNC = frozenset({"created", "updated", "linked", "in_sync", "conflicts", "parked"})
"""Shown even if zero."""


def show_sync(runtime: Runtime, report: SyncReport, *, planned_only: bool) -> None:
    """Show the result of a sync, and what is open now."""
    span = DaySpan(report.first, report.last)
    with runtime.database.transaction() as connection:
        target = runtime.stored("target").name
        agents = summaries.by_agent(connection, target, span, report.run_ids)
        customers = summaries.by_customer(connection, target, span, report.run_ids)
        waiting = summaries.waiting_by_reason(connection, target, span)
    _show("Per agent", "agent", agents)
    _show("Per customer", "customer", customers)
    if waiting:
        cells = [(called("reason", row.reason), row.entries, hours(row.minutes), row.example) for row in waiting]
        columns = ("reason", "entries", "hours", "for example")
        show_table("Waiting for you", columns, cells, right=columns[1:3])
    if planned_only:
        show_plan(runtime, planned_writes(runtime, span))
    out.print(f"[bold]{escape(said(headline(report, planned_only=planned_only)))}[/]", soft_wrap=True)


def planned_writes(runtime: Runtime, span: tuple[date, date]) -> PlannedWrites:
    """What the stored plan of these days would write."""
    with runtime.database.transaction() as connection:
        return plans.planned_writes(connection, runtime.stored("target").name, *span)


def show_plan(runtime: Runtime, plan: PlannedWrites) -> None:
    """Show what a plan would write: sums and lines."""
    right = ("creates", "updates", "deletes", "links", "new customers", "new projects", "hours")
    sums = (plan.creates, plan.updates, plan.deletes, plan.links, plan.customers, plan.projects, hours(plan.minutes))
    show_table("Would be written", right, [sums], right=right)
    lines = plan.lines[:LINES_SHOWN]
    changes = changes_of(runtime, [line.diff for line in lines])
    rows = [
        (
            line.entry_date,
            line.key,
            called("value", line.action),
            line.kimai_id,
            hours(line.minutes),
            change or (line.draft.description if line.draft else ""),
        )
        for line, change in zip(lines, changes, strict=True)
    ]
    columns = ("day", "booking", "action", "time sheet", "hours", "what")
    show_table("Line by line", columns, rows, right=("booking", "time sheet", "hours"))
    if len(plan.lines) > LINES_SHOWN:
        out.print(f"… and {len(plan.lines) - LINES_SHOWN} more; --json has all")


def changes_of(runtime: Runtime, differences: Sequence[Mapping[str, tuple[str, str]]]) -> list[str]:
    """What changes by each of these differences, with names for numbers; empty if nothing does."""
    changes = [{"changed": {name: list(both) for name, both in difference.items()}} for difference in differences]
    names = trail.names(runtime, {mark for detail in changes for mark in details.marks_of(detail)})
    return ["; ".join(value for _, value in details.facts(words(), detail, names)) for detail in changes]


def headline(report: SyncReport, *, planned_only: bool) -> str:
    """One line: the outcomes, which add up to the entries, and what else was done."""
    counts, outcomes = report.counts, report.outcomes
    words = OUTCOME_WORDS | {"not_written": "would be written"} if planned_only else OUTCOME_WORDS
    always = ALWAYS_IN_PLAN if planned_only else ALWAYS_IN_SYNC
    listed = ", ".join(f"{number} {words[name]}" for name, number in outcomes.items() if number or name in always)
    what = " nothing was written (--plan):" if planned_only else ""
    more = [
        (counts.get("unapproved", 0), "wait for zk approve"),
        (counts.get("deleted", 0), "time sheets deleted"),
        (
            report.conflicts + report.parked - outcomes["conflicts"] - outcomes["parked"],
            "more conflicts, about copies, time sheets without a booking, or merged tickets",
        ),
    ]
    zammad, kimai, writes = (counts.get(name, 0) for name in ("zammad_read", "kimai_read", "kimai_write"))
    return " ".join(
        [
            f"{report.first} to {report.last}: {report.entries} entries:{what} {listed}.",
            *(f"{number} {name}." for number, name in more if number > 0),
            f"{zammad} reads of Zammad, {kimai} of Kimai, {writes} writes, {report.seconds:.1f} s.",
        ]
    )


def _show(title: str, name: str, rows: Sequence[Summary]) -> None:
    columns = (name, "entries", "hours", "created", "updated", "in sync", "excluded", "waiting for you")
    cells = [
        (
            row.name,
            row.entries,
            hours(row.minutes),
            row.created,
            row.updated,
            row.in_sync,
            row.excluded,
            ", ".join(f"{number} {called('reason', reason)}" for reason, number in sorted(row.waiting.items())),
        )
        for row in (*rows, sum(rows, Summary("Total")))
    ]
    show_table(title, columns, cells, right=columns[1:-1])
