"""The assets `kimai/directory` and `kimai/timesheets`."""

from datetime import date

import dagster as dg

from zk_pipeline.defs.common import asset_by_day, asset_of_now
from zk_pipeline.defs.days import Metadata, counted_requests, days_of, each_day, stopping_on_system_errors
from zk_pipeline.defs.preview import cell, named, table, timesheet_link
from zk_pipeline.defs.resources import ZkResource
from zk_pipeline.domain.instants import local_day
from zk_pipeline.domain.markers import has_marker
from zk_pipeline.domain.records import Timesheet
from zk_pipeline.stages.kimai import around, extract_directory, extract_timesheets
from zk_pipeline.store import target as rows


@asset_of_now("kimai")
def directory(context: dg.AssetExecutionContext, zk: ZkResource) -> dg.MaterializeResult:
    """Customers, projects, activities, users and server settings as Kimai has them now."""
    with stopping_on_system_errors(), counted_requests(context, zk, zk.target):
        return dg.MaterializeResult(metadata=extract_directory(zk.runtime, zk.target))


@asset_by_day("kimai")
def timesheets(context: dg.AssetExecutionContext, zk: ZkResource) -> None:
    """The time sheets of all users around the day (one day before to one after), as Kimai has them now."""
    span = days_of(context)
    with stopping_on_system_errors(), counted_requests(context, zk, zk.target):
        extraction = extract_timesheets(zk.runtime, zk.target, span[0], span[-1], context.run.run_id)
    certificate = extraction.certificate
    if not certificate.complete:
        context.log.warning("The sweep is not complete, so nothing counts as deleted: %s", certificate.reason)
    name, zone = zk.target.endpoint.name, zk.runtime.settings.zone
    with zk.runtime.database.transaction() as connection:
        stored = rows.timesheets_around(connection, name, around(span[0], span[-1], zk.runtime), [])
    by_day: dict[date, list[Timesheet]] = {}
    for row in stored:
        by_day.setdefault(local_day(row.begin, zone), []).append(row)
    base_url, names = zk.target.endpoint.base_url, zk.runtime.settings.preview_names

    def metadata(day: date) -> Metadata:
        of_day = by_day.get(day, [])
        return {
            "dagster/partition_row_count": len(of_day),
            "ours": sum(has_marker(row.description) for row in of_day),
            "exported": sum(row.exported for row in of_day),
            "sweep": f"{certificate.rows} rows in {certificate.pages} pages around the days of the run",
            "complete": certificate.complete,
            "preview": table(
                ("time sheet", "user", "begin", "minutes", "description"),
                [
                    (
                        timesheet_link(base_url, row.id),
                        row.user_id,
                        cell(row.begin),
                        row.duration_seconds // 60,
                        named(row.description, shown=names),
                    )
                    for row in of_day
                ],
            ),
        }

    each_day(context, metadata)
