"""The assets `kimai/directory`, `kimai/timesheets` and `kimai/changes`."""

from datetime import date
from decimal import Decimal

import dagster as dg

from zk_pipeline.defs.common import (
    ROWS_SHOWN,
    Metadata,
    asset_by_day,
    asset_of_now,
    days_of,
    hours,
    local_time,
    named,
    pipeline_of,
    recorded,
    stopping_on_system_errors,
    table,
    timesheet_link,
)
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import has_marker
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.runtime.run_tags import checked_days
from zk_pipeline.store import target
from zk_pipeline.store.raw_tables import activities, customers, kimai_users, projects
from zk_pipeline.store.raw_tables import timesheets as timesheets_table


@asset_of_now("kimai", tables=(kimai_users, customers, projects, activities))
def directory(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Customers, projects, activities, users and server settings as Kimai has them now."""
    with stopping_on_system_errors():
        return dg.MaterializeResult(metadata=pipeline_of(context, zk).read_target_directory())


@asset_of_now("kimai")
def changes(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Requests the days of our time sheets that were edited in Kimai since the last time, except those checked anyway.

    Exported time is compared with the invoices too.
    """
    with stopping_on_system_errors():
        pipeline = pipeline_of(context, zk)
        look = pipeline.look_for_changes(checked_days(context.run.tags))
        invoices = pipeline.compare_invoices()
    return dg.MaterializeResult(
        metadata={
            "changed": look.changed,
            "ours": look.ours,
            "invoices": invoices,
            "days_asked_for": ", ".join(map(str, look.days)) or "none",
        }
    )


@asset_by_day("kimai", table=timesheets_table, deps=[("kimai", "directory")])
def timesheets(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The time sheets of all users around the day (one day before to one after), as Kimai has them now."""
    with stopping_on_system_errors():
        read = pipeline_of(context, zk).read_timesheets()
    report, base_url = read.report, zk.target.endpoint.base_url
    zone, names = zk.runtime.settings.zone, zk.runtime.settings.preview_names
    by_day: dict[date, list[Timesheet]] = {}
    for row in read.timesheets:
        by_day.setdefault(local_day(row.begin, zone), []).append(row)
    shown = [row.id for of_day in by_day.values() for row in of_day[:ROWS_SHOWN]]
    with stopping_on_system_errors(), zk.runtime.database.transaction() as connection:
        about = target.names_of(connection, zk.target.endpoint.name, shown)

    def metadata(_: date, of_day: list[Timesheet]) -> Metadata:
        return {
            "dagster/partition_row_count": len(of_day),
            "ours": sum(has_marker(row.description) for row in of_day),
            "exported": sum(row.exported for row in of_day),
            "sweep": f"{report.rows} rows in {report.pages} pages around the days of the run",
            "complete": report.complete,
            "preview": table(
                ("time sheet", "begin", "person", "customer", "hours", "description"),
                [
                    (
                        timesheet_link(base_url, row.id),
                        local_time(row.begin, zone),
                        *(named(name, shown=names) for name in about.get(row.id, ("", ""))),
                        hours(Decimal(row.duration_seconds) / 60),
                        named(row.description, shown=names),
                    )
                    for row in of_day
                ],
            ),
        }

    recorded(context, lambda: {day: by_day.get(day, []) for day in days_of(context)}, metadata)
