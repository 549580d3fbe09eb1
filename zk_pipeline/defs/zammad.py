"""The assets `zammad/directory` and `zammad/time_accountings`."""

from datetime import date
from decimal import Decimal

import dagster as dg

from zk_pipeline.defs.common import (
    Metadata,
    asset_by_day,
    asset_of_now,
    cell,
    days_of,
    minutes,
    pipeline_of,
    recorded,
    stopping_on_system_errors,
    table,
    ticket_link,
)
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.normalize import minutes_of
from zk_pipeline.domain.records import Ticket, TimeAccounting
from zk_pipeline.store import source
from zk_pipeline.store import tickets as stored_tickets
from zk_pipeline.store.raw_tables import time_accountings as time_accountings_table


@asset_of_now("zammad")
def directory(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Activity types as Zammad has them now, and agents with bookings that are not known yet."""
    with stopping_on_system_errors():
        return dg.MaterializeResult(metadata=pipeline_of(context, zk).read_source_directory())


@asset_by_day("zammad", table=time_accountings_table, deps=[("zammad", "directory")])
def time_accountings(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """Every booking whose local work day this is, as Zammad has it now, with proof of the sweep, ticket and agent.

    One sweep reads the whole range of a run, however many days it has.
    """
    with stopping_on_system_errors():
        read = pipeline_of(context, zk).read_bookings()
    report, span = read.report, days_of(context)
    policy, name, base_url = zk.runtime.settings.policy, zk.source.endpoint.name, zk.source.endpoint.base_url
    with zk.runtime.database.transaction() as connection:
        bookings = source.bookings_of_days(connection, name, span[0], span[-1])
        tickets = stored_tickets.tickets_of_days(connection, name, span[0], span[-1])
    by_day: dict[date, list[TimeAccounting]] = {}
    for booking in bookings:
        by_day.setdefault(booking.work_day or local_day(booking.created_at, policy.zone), []).append(booking)

    def metadata(_: date, of_day: list[TimeAccounting]) -> Metadata:
        return {
            "dagster/partition_row_count": len(of_day),
            "minutes": minutes(sum((minutes_of(row, policy) for row in of_day), Decimal(0))),
            "agents": len({row.agent_id for row in of_day}),
            "sweep": f"{report.rows} rows in {report.pages} pages, {report.total_after} in all",
            "complete": report.complete,
            "deleted": len(read.gone),
            "preview": table(
                ("booking", "ticket", "units", "created"),
                [_preview_row(row, tickets.get(row.ticket_id), base_url) for row in of_day],
            ),
        }

    recorded(context, lambda: {day: by_day.get(day, []) for day in span}, metadata)


def _preview_row(row: TimeAccounting, ticket: Ticket | None, base_url: str) -> tuple[object, ...]:
    number = f"#{ticket.number}" if ticket else f"id {row.ticket_id}"
    return row.id, ticket_link(base_url, number, row.ticket_id), row.units, cell(row.created_at)
