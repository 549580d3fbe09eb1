"""Tables about a sync for people: per agent, per customer, and what waits for them."""

from collections.abc import Sequence
from decimal import Decimal

from rich.markup import escape

from zk_pipeline.commands.console import out, show_table
from zk_pipeline.runtime import Runtime
from zk_pipeline.store import summaries
from zk_pipeline.store.summaries import Span, Summary
from zk_pipeline.syncing import SyncReport


def show_sync(runtime: Runtime, report: SyncReport, *, planned_only: bool) -> None:
    """What a sync did, and what is open now."""
    span = Span(report.first, report.last)
    with runtime.database.transaction() as connection:
        target = runtime.stored("target").name
        agents = summaries.by_agent(connection, target, span, report.run_ids)
        customers = summaries.by_customer(connection, target, span, report.run_ids)
        waiting = summaries.waiting_by_reason(connection, target, span)
    _show("Per agent", "agent", agents)
    _show("Per customer", "customer", customers)
    if waiting:
        cells = [(row.reason, row.entries, amount(row.minutes), row.example) for row in waiting]
        columns = ("reason", "entries", "minutes", "for example")
        show_table("Waiting for you", columns, cells, right=("entries", "minutes"))
    out.print(f"[bold]{escape(headline(report, planned_only=planned_only))}[/]", soft_wrap=True)


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


def amount(minutes: Decimal) -> str:
    """Minutes, exact and without needless zeros: 1,234.5."""
    text = f"{minutes:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _show(title: str, name: str, rows: Sequence[Summary]) -> None:
    columns = (name, "entries", "minutes", "created", "updated", "in sync", "excluded", "waiting for you")
    cells = [
        (
            row.name,
            row.entries,
            amount(row.minutes),
            row.created,
            row.updated,
            row.in_sync,
            row.excluded,
            ", ".join(f"{number} {reason}" for reason, number in sorted(row.waiting.items())),
        )
        for row in (*rows, sum(rows, Summary("Total")))
    ]
    show_table(title, columns, cells, right=columns[1:-1])
