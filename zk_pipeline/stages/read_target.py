"""Reading the target's time sheets around some days into the store (docs/kimai.md §2)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from zk_pipeline.connectors.contract import SweepReport, TargetConnector
from zk_pipeline.domain.corrections import ZERO
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.invoicing import Comparison, compared
from zk_pipeline.domain.records import TargetServer, Timesheet, Window
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.stages.read_source import Confirmed, log_unreadable, report_values
from zk_pipeline.store import day_requests, invoices, ledger, sweeps
from zk_pipeline.store import target as rows

SUBJECT = "timesheets"
AROUND = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class TargetRead:
    """The result of one read: the time sheets without raw payload, those of the day before and after included.

    `asked` are time sheets of ours that were not where they were expected.
    """

    report: SweepReport
    timesheets: Sequence[Timesheet]
    asked: int
    gone: int


def around(first: date, last: date, runtime: Runtime) -> Window:
    """The days and one more on each side: placement and people can move a time sheet over midnight."""
    return days_window(first - AROUND, last + AROUND, runtime.settings.zone)


def extract_directory(runtime: Runtime, target: TargetConnector, server: TargetServer | None = None) -> dict[str, int]:
    """Store the server's settings, users, customers, projects and activities; returns their counts.

    `unreadable` rows are counted too. What was stored of them before stays, so that nothing is created in their place.
    `server` are its settings where they are not read again.
    """
    directory = target.refresh_directory(server) if server else target.fetch_directory()
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, target.endpoint.name, directory)
    return {
        "users": len(directory.users),
        "customers": len(directory.customers),
        "projects": len(directory.projects),
        "activities": len(directory.activities),
        "unreadable": log_unreadable(directory.unreadable),
    }


def check_invoices(runtime: Runtime, target: TargetConnector) -> tuple[list[Comparison], str]:
    """Compare exported and billable time with the invoices, for each customer and currency, as both are now.

    No sync reads invoices: its writes do not depend on them, so it must not fail with them. Returns the comparisons,
    which are stored, and why there are none if invoices cannot be read.
    """
    name = target.endpoint.name
    directory, reading = target.fetch_directory(), target.fetch_invoices()
    with runtime.database.transaction() as connection:
        rows.save_directory(connection, name, directory)
        invoices.save(connection, name, reading)
    if reading.problem:
        return [], reading.problem
    customers = {row.id: row.currency for row in directory.customers}
    owners = {row.id: row.customer_id for row in directory.projects}
    billed = target.fetch_billed()
    priced = [row for row in billed if row.project_id in owners and row.rate is not None]
    found = compared(
        (((owners[row.project_id], customers.get(owners[row.project_id], "")), row.rate or ZERO) for row in priced),
        reading.rows,
    )
    with runtime.database.transaction() as connection:
        rows.mark_exported(connection, name, [row.id for row in billed])
        invoices.save_checks(connection, name, found)
    return found, ""


def extract_timesheets(runtime: Runtime, target: TargetConnector, first: date, last: date, run_id: str) -> TargetRead:
    """Store the time sheets of all users around these days as the target has them now.

    One of ours that is missing in the sweep is requested by its id: it was moved out of the window, or a 404 proves
    that it was deleted. Others that are missing in a complete sweep no longer matter. The sweep covers a day more on
    each side than the plan: those days are requested if time sheets on them are gone, because nothing else would
    notice.
    """
    window = around(first, last, runtime)
    with runtime.database.transaction() as connection:
        sweep_id = sweeps.begin_sweep(connection, target.endpoint.name, SUBJECT, window, run_id)
    sweep = target.fetch(window)
    seen: list[Timesheet] = []
    for page in sweep.pages():
        with runtime.database.transaction() as connection:
            saved = rows.save_timesheets(connection, target.endpoint.name, page, sweep_id=sweep_id)
        seen += [replace(row, raw={}) for row in saved]
    with runtime.database.transaction() as connection:
        unseen = rows.timesheets_within(connection, target.endpoint.name, window, sweep_id)
    return _conclude(runtime, target, (first, last), _CollectedTimesheets(sweep_id, sweep.report, seen, unseen))


def keep_timesheets(
    runtime: Runtime, target: TargetConnector, span: tuple[date, date], run_id: str, confirmed: Confirmed
) -> TargetRead | None:
    """As `extract_timesheets`, of time sheets that the target confirmed; those of ours elsewhere are requested.

    `None` if they refer to something that was deleted: then the target changed them and did not say so.
    """
    name, window = target.endpoint.name, confirmed.report.window
    with runtime.database.transaction() as connection:
        if rows.lacks_references(connection, name, window):
            return None
        stored = rows.timesheets_around(connection, name, window, ())
        sweep_id = confirmed.record(connection, name, SUBJECT, run_id)
    return _conclude(runtime, target, span, _CollectedTimesheets(sweep_id, confirmed.report, stored, ()))


@dataclass(frozen=True, slots=True)
class _CollectedTimesheets:
    sweep_id: int
    report: SweepReport
    timesheets: Sequence[Timesheet]
    unseen: Sequence[int]


def _conclude(
    runtime: Runtime, target: TargetConnector, span: tuple[date, date], seen: _CollectedTimesheets
) -> TargetRead:
    name = target.endpoint.name
    with runtime.database.transaction() as connection:
        bound = ledger.rows_of_timesheets(connection, name, seen.unseen).values()
        ours = {row.kimai_id for row in ledger.bound_timesheets(connection, name, *span)}
        ours |= {row.kimai_id for row in bound if row.kimai_id}
        known_gone = rows.gone_timesheets(connection, name, ours)
    missing = sorted(ours - {row.id for row in seen.timesheets} - known_gone)
    found = [row for timesheet_id in missing if (row := target.get(timesheet_id)) is not None]
    gone = set(missing) - {row.id for row in found}
    if seen.report.complete:
        gone |= set(seen.unseen) - {row.id for row in found}
    with runtime.database.transaction() as connection:
        moved = rows.save_timesheets(connection, name, found, sweep_id=seen.sweep_id)
        beside = set(rows.of_timesheets(connection, name, gone).values())
        beside = beside.union(*rows.of_questions(connection, name, gone).values())
        asked = sorted(day for day in beside if not span[0] <= day <= span[1])
        day_requests.ask(connection, asked, day_requests.TARGET_CHANGED)
        rows.mark_timesheets_gone(connection, name, gone)
        sweeps.end_sweep(connection, seen.sweep_id, report_values(seen.report))
    timesheets = [*seen.timesheets, *(replace(row, raw={}) for row in moved)]
    return TargetRead(seen.report, timesheets, len(missing), len(gone))
