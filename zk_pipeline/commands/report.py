"""Tables about a sync for people: per agent, per customer, and what waits for them."""

from collections.abc import Iterable
from decimal import Decimal

from rich.markup import escape

from zk_pipeline.commands.console import out, show_table
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import summaries
from zk_pipeline.store.summaries import Summary
from zk_pipeline.syncing import SyncReport


def show_sync(runtime: Runtime, report: SyncReport, *, planned_only: bool) -> None:
    """What a sync did, and what is open now."""
    with runtime.database.transaction() as connection:
        target = runtime.stored("target").name
        agents = summaries.by_agent(connection, target, report.first, report.last)
        customers = summaries.by_customer(connection, target, report.first, report.last)
        waiting = summaries.waiting_by_reason(connection, target, report.first, report.last)
    _show("Per agent", "agent", agents)
    _show("Per customer", "customer", customers)
    if waiting:
        cells = [(row.reason, row.entries, hours(row.minutes), row.example) for row in waiting]
        show_table("Waiting for you", ("reason", "entries", "hours", "for example"), cells, right=("entries", "hours"))
    out.print(f"[bold]{escape(headline(report, planned_only=planned_only))}[/]")


def headline(report: SyncReport, *, planned_only: bool) -> str:
    """One line: what was written and what was not."""
    counts = report.counts
    written = (
        "nothing was written (--plan)"
        if planned_only
        else f"{counts.get('created', 0)} created, {counts.get('updated', 0)} updated, "
        f"{counts.get('linked', 0) + counts.get('adopted', 0)} linked"
    )
    requests = f"{counts.get('zammad_read', 0)} reads of Zammad, {counts.get('kimai_read', 0)} of Kimai"
    before = f"{counts.get('in_sync', 0)} in sync before"
    waiting = f"{report.conflicts} conflicts, {report.parked} parked"
    return (
        f"{report.first} to {report.last}: {counts.get('entries', 0)} entries; {written}, {before}; {waiting}. "
        f"{requests}, {counts.get('kimai_write', 0)} writes, {report.seconds:.1f} s."
    )


def hours(minutes: Decimal) -> str:
    """Minutes as hours and minutes, exact: 90.5 becomes 1:30:30."""
    seconds = int(minutes * 60)
    sign, seconds = ("-" if seconds < 0 else ""), abs(seconds)
    rest = f":{seconds % 60:02}" if seconds % 60 else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}{rest}"


def _show(title: str, name: str, rows: Iterable[Summary]) -> None:
    listed = list(rows)
    total = sum(listed, Summary("Total"))
    columns = (name, "entries", "hours", "in Kimai", "hours there", "excluded", "waiting")
    cells = [
        (
            row.name,
            row.entries,
            hours(row.minutes),
            row.in_kimai,
            hours(row.minutes_in_kimai),
            row.excluded,
            row.waiting,
        )
        for row in (*listed, total)
    ]
    show_table(title, columns, cells, right=columns[1:])
