"""What a long span was when it was last read, so that a system can confirm it instead of being read again.

Only a settled span is confirmed: one whose plan has nothing to write and asks nobody, and for which no request waits.
So whatever somebody corrects in a system to settle a question is read.
"""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row

from zk_pipeline.connectors.contract import LastRead
from zk_pipeline.domain.instants import days_window
from zk_pipeline.domain.records import TargetServer, Window
from zk_pipeline.runtime.runtime import Role, Runtime
from zk_pipeline.stages import read_source, read_target
from zk_pipeline.stages.read_source import Confirmed
from zk_pipeline.stages.systems import ConnectedSystems
from zk_pipeline.store import day_requests, plans, sweeps
from zk_pipeline.store import source as source_rows
from zk_pipeline.store import target as target_rows
from zk_pipeline.store import tickets as stored_tickets

OVERLAP = timedelta(minutes=10)
"""The clocks differ, and a change becomes visible at its commit but has the time of its save (docs/zammad.md §8)."""

WORTHWHILE = 1500
"""Rows of a system in the span. To read fewer takes hardly more requests than to have them confirmed."""


def confirmed(systems: ConnectedSystems, role: Role, first: date, last: date) -> Confirmed | None:
    """The span, if it is settled and long, and the system confirms it; else it has to be read."""
    runtime, target = systems.runtime, systems.runtime.stored("target").name
    with runtime.database.transaction() as connection:
        if not plans.is_settled(connection, target, first, last) or day_requests.is_asked(connection, first, last):
            return None
        known = _of_source if role == "source" else _of_target
        read, asked_at = known(connection, runtime, first, last), sweeps.now(connection)
    if read is None:
        return None
    report = (systems.source if role == "source" else systems.target).confirm(read)
    return Confirmed(report, asked_at) if report else None


def server_of(runtime: Runtime) -> TargetServer | None:
    """The target's settings as last read."""
    with runtime.database.transaction() as connection:
        return target_rows.load_server(connection, runtime.stored("target").name)


def _of_source(connection: Connection, runtime: Runtime, first: date, last: date) -> LastRead | None:
    """The bookings of these days. Of tickets that the account may not see, the source does not show changes."""
    name, window = runtime.stored("source").name, days_window(first, last, runtime.settings.zone)
    rows = source_rows.count_within(connection, name, window)
    sweep = sweeps.last_complete(connection, name, read_source.SUBJECT, window) if rows >= WORTHWHILE else None
    if sweep is None:
        return None
    tickets = stored_tickets.tickets_of_days(connection, name, first, last)
    known = all(ticket.complete for ticket in tickets.values())
    return _last_read(window, sweep, rows, tickets=frozenset(tickets)) if known else None


def _of_target(connection: Connection, runtime: Runtime, first: date, last: date) -> LastRead | None:
    """The time sheets around these days."""
    name, window = runtime.stored("target").name, read_target.around(first, last, runtime)
    rows = target_rows.count_within(connection, name, window)
    sweep = sweeps.last_complete(connection, name, read_target.SUBJECT, window) if rows >= WORTHWHILE else None
    if sweep is None:
        return None
    exported = target_rows.count_within(connection, name, window, exported=True)
    return _last_read(window, sweep, rows, exported=exported)


def _last_read(
    window: Window, sweep: Row[Any], rows: int, *, exported: int = 0, tickets: frozenset[str] = frozenset()
) -> LastRead:
    return LastRead(
        window=window,
        since=sweep.started_at - OVERLAP,
        until=sweep.ended_at + OVERLAP,
        total=sweep.total_after,
        rows=rows,
        high_water=sweep.high_water,
        rows_before=sweep.position,
        exported=exported,
        tickets=tickets,
    )
