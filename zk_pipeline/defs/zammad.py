"""The assets `zammad/directory` and `zammad/time_accountings`."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import dagster as dg

from zk_pipeline.connectors.contract import SweepReport
from zk_pipeline.defs.common import (
    Metadata,
    asset_by_day,
    asset_of_now,
    days_of,
    hours,
    local_time,
    named,
    pipeline_of,
    plotted,
    recorded,
    stopping_on_system_errors,
    table,
    ticket_link,
)
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.normalize import minutes_of
from zk_pipeline.domain.records import Ticket, TimeAccounting
from zk_pipeline.store import source
from zk_pipeline.store.raw_tables import activity_types, agents, organizations
from zk_pipeline.store.raw_tables import time_accountings as time_accountings_table


@asset_of_now("zammad", tables=(agents, organizations, activity_types))
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
        with zk.runtime.database.transaction() as connection:
            known = source.load_directory(connection, zk.source.endpoint.name)
    report, policy, base_url = read.report, zk.runtime.settings.policy, zk.source.endpoint.base_url
    people, names = {agent.id: agent.name for agent in known.agents}, zk.runtime.settings.preview_names
    customers = {row.id: row.name for row in known.organizations}

    def customer(ticket: Ticket | None) -> str | None:
        return (customers.get(ticket.organization_id or "") or ticket.customer_name) if ticket else None

    def metadata(_: date, of_day: Sequence[TimeAccounting]) -> Metadata:
        return {
            "dagster/partition_row_count": len(of_day),
            "hours_booked": plotted(sum((minutes_of(row, policy) for row in of_day), Decimal(0))),
            "agents": len({row.agent_id for row in of_day}),
            "sweep": _sweep(report),
            "complete": report.complete,
            "deleted": len(read.gone),
            "preview": table(
                ("booking", "ticket", "person", "customer", "hours", "booked at"),
                [
                    (
                        row.id,
                        _ticket(row, read.tickets.get(row.ticket_id), base_url),
                        named(people.get(row.agent_id), shown=names),
                        named(customer(read.tickets.get(row.ticket_id)), shown=names),
                        hours(minutes_of(row, policy)),
                        local_time(row.created_at, policy.zone),
                    )
                    for row in of_day
                ],
            ),
        }

    recorded(context, lambda: {day: read.bookings.get(day, ()) for day in days_of(context)}, metadata)


def _sweep(report: SweepReport) -> str:
    read = f"{report.rows} rows in {report.pages} pages"
    return read if report.total_after is None else f"{read}, {report.total_after} in all"


def _ticket(row: TimeAccounting, ticket: Ticket | None, base_url: str) -> str:
    return ticket_link(base_url, f"#{ticket.number}" if ticket else f"id {row.ticket_id}", row.ticket_id)
