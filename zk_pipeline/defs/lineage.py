"""Column lineage: of which columns upstream each column is made, from Zammad's fields to the marts.

It is kept by hand, because nothing that reads SQL is installed. Tests hold it against the tables, and against what
PostgreSQL says that each model reads. Dagster's own server shows no lineage of columns, so descriptions name it, too. A
column of an asset with several tables has the table before it, such as `tickets.number`.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

BOOKINGS, DIRECTORY = "zammad/time_accountings", "zammad/directory"
ENTRIES, PLAN = "sync/normalized_entries", "sync/reconciliation_results"
TIMESHEETS, KIMAI = "kimai/timesheets", "kimai/directory"
MINUTES = (
    *("minutes_zammad", "minutes_kimai", "minutes_waiting", "minutes_excluded", "minutes_rounding"),
    *("minutes_corrections_open", "minutes_netted", "minutes_agreed", "minutes_adjusted", "minutes_unexplained"),
    *("minutes_billable", "minutes_billed", "minutes_to_be_billed"),
)
_IN_KIMAI = "marts/stg_timesheets.duration_seconds"
_LEFT = f"marts/stg_plan_lines.minutes marts/stg_adjustments.minutes {_IN_KIMAI} marts/stg_plan_lines.action"
_WRITTEN = "marts/stg_ledger.asked_seconds marts/stg_ledger.base_seconds marts/stg_entries.time_minutes"

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    ENTRIES: {
        "source": f"{BOOKINGS}.connector",
        "source_id": f"{BOOKINGS}.id",
        "ticket_number": f"{BOOKINGS}.tickets.number",
        "ticket_id": f"{BOOKINGS}.ticket_id",
        "ticket_title": f"{BOOKINGS}.tickets.title",
        "description": f"{BOOKINGS}.id {BOOKINGS}.tickets.number {BOOKINGS}.tickets.title {DIRECTORY}.agents.name",
        "booked_minutes": f"{BOOKINGS}.units",
        "time_minutes": f"{BOOKINGS}.units",
        "open_minutes": f"{BOOKINGS}.units",
        "activity_type_id": f"{BOOKINGS}.type_id",
        "activity_name": f"{DIRECTORY}.activity_types.name",
        "agent_id": f"{BOOKINGS}.agent_id",
        "user_email": f"{DIRECTORY}.agents.email",
        "user_name": f"{DIRECTORY}.agents.name",
        "organization_id": f"{BOOKINGS}.tickets.organization_id",
        "organization_name": f"{DIRECTORY}.organizations.name",
        "customer_name": f"{BOOKINGS}.tickets.customer_name",
        "entry_date": f"{BOOKINGS}.work_day",
        "begin_at": f"{BOOKINGS}.created_at {BOOKINGS}.units",
        "end_at": f"{BOOKINGS}.created_at {BOOKINGS}.units",
        "created_at": f"{BOOKINGS}.created_at",
        "updated_at": f"{BOOKINGS}.updated_at",
    },
    PLAN: {
        "entry_date": f"{ENTRIES}.entry_date {TIMESHEETS}.begin_at",
        "key": f"{ENTRIES}.source_id {TIMESHEETS}.id",
        "source_id": f"{ENTRIES}.source_id",
        "kimai_id": f"{TIMESHEETS}.id",
        "status": f"{ENTRIES}.time_minutes {TIMESHEETS}.duration_seconds {TIMESHEETS}.description",
        "action": f"{ENTRIES}.time_minutes {TIMESHEETS}.duration_seconds {TIMESHEETS}.exported",
        "minutes": f"{ENTRIES}.time_minutes",
        "diff": f"{ENTRIES}.time_minutes {ENTRIES}.begin_at {TIMESHEETS}.duration_seconds {TIMESHEETS}.begin_at",
        "draft": " ".join(
            f"{ENTRIES}.{name}"
            for name in ("user_email", "begin_at", "time_minutes", "description", "activity_type_id", "organization_id")
        ),
    },
    "sync/kimai_pushes": {
        "source_id": f"{PLAN}.source_id",
        "operation": f"{PLAN}.action",
        "entry_date": f"{PLAN}.entry_date",
        "asked": f"{PLAN}.draft",
    },
    "marts/stg_bookings": {
        "source_id": f"{BOOKINGS}.id",
        "entry_date": f"{BOOKINGS}.work_day",
        "minutes_booked": f"{BOOKINGS}.units",
        "is_gone": f"{BOOKINGS}.gone_at",
        "organization_id": f"{BOOKINGS}.tickets.organization_id",
    },
    "marts/stg_entries": {
        "source_id": f"{ENTRIES}.source_id",
        "time_minutes": f"{ENTRIES}.time_minutes",
        "open_minutes": f"{ENTRIES}.open_minutes",
        "booked_minutes": f"{ENTRIES}.booked_minutes",
    },
    "marts/stg_plan_lines": {
        "line_key": f"{PLAN}.key",
        "action": f"{PLAN}.action",
        "status": f"{PLAN}.status",
        "reason": f"{PLAN}.reason",
        "minutes": f"{PLAN}.minutes",
        "customer_id": f"{PLAN}.draft",
        "account": f"{PLAN}.draft marts/stg_project_numbers.project_id",
    },
    "marts/stg_project_numbers": {
        "project_number": f"{KIMAI}.projects.number",
        "project_id": f"{KIMAI}.projects.id",
    },
    "marts/stg_ledger": {
        "source_id": "sync/kimai_pushes.source_id",
        "asked_seconds": "sync/kimai_pushes.asked",
        "base_seconds": "sync/kimai_pushes.base",
        "is_linked": "sync/kimai_pushes.operation",
        "is_taken_as_found": f"sync/kimai_pushes.operation {PLAN}.conflicts.decision",
        "is_taken_back": "sync/kimai_pushes.state sync/kimai_pushes.writes.undone_by",
    },
    "marts/stg_timesheets": {
        "kimai_id": f"{TIMESHEETS}.id",
        "account": f"{TIMESHEETS}.user_id {TIMESHEETS}.project_id {TIMESHEETS}.activity_id",
        "is_billed": f"{TIMESHEETS}.exported {TIMESHEETS}.tags",
        "is_billable": f"{TIMESHEETS}.billable",
        "duration_seconds": f"{TIMESHEETS}.duration_seconds",
    },
    "marts/stg_adjustments": {
        "source_id": f"{PLAN}.adjustments.source_id",
        "carried_by": f"{PLAN}.adjustments.id {PLAN}.adjustments.state",
        "minutes": f"{PLAN}.adjustments.minutes",
        "account": f"{PLAN}.adjustments.user_id {PLAN}.adjustments.activity_id marts/stg_plan_lines.account",
    },
    "marts/stg_organization_customers": {
        "organization_id": f"{DIRECTORY}.organizations.id",
        "organization": f"{DIRECTORY}.organizations.name",
        "customer_id": f"{KIMAI}.customers.id",
    },
    "marts/fct_time_entries": {
        "entry_key": "marts/stg_bookings.source_id marts/stg_adjustments.carried_by marts/stg_plan_lines.line_key",
        "source_id": "marts/stg_bookings.source_id marts/stg_ledger.source_id",
        "kimai_id": "marts/stg_timesheets.kimai_id",
        "entry_date": "marts/stg_bookings.entry_date",
        "outcome": "marts/stg_plan_lines.action marts/stg_plan_lines.status marts/stg_ledger.is_taken_back",
        "reason": "marts/stg_plan_lines.reason",
        "organization_id": "marts/stg_bookings.organization_id",
        "kimai_project_id": "marts/stg_timesheets.account marts/stg_adjustments.account",
        "kimai_activity_id": "marts/stg_adjustments.account",
        "planned_customer_id": "marts/stg_plan_lines.customer_id",
        "day_version": "marts/stg_day_versions.day_version",
        "minutes_zammad": "marts/stg_bookings.minutes_booked",
        "minutes_kimai": _IN_KIMAI,
        "minutes_waiting": _LEFT,
        "minutes_excluded": f"{_LEFT} marts/stg_entries.open_minutes",
        "minutes_rounding": _WRITTEN,
        "minutes_corrections_open": "marts/stg_entries.open_minutes",
        "minutes_netted": " ".join(f"marts/stg_entries.{name}_minutes" for name in ("booked", "time", "open")),
        "minutes_agreed": f"{_LEFT} {_WRITTEN}",
        "minutes_adjusted": "marts/stg_adjustments.minutes",
        "minutes_unexplained": f"marts/stg_bookings.minutes_booked {_LEFT} {_WRITTEN}",
        "minutes_billable": f"{_IN_KIMAI} marts/stg_timesheets.is_billable",
        "minutes_billed": f"{_IN_KIMAI} marts/stg_timesheets.is_billed",
        "minutes_to_be_billed": f"{_IN_KIMAI} marts/stg_timesheets.is_billable marts/stg_timesheets.is_billed",
    },
    "marts/int_entries_named": {
        "entry_key": "marts/fct_time_entries.entry_key",
        "booking_month": "marts/fct_time_entries.entry_date",
        "entry_date": "marts/fct_time_entries.entry_date",
        "organization_id": "marts/fct_time_entries.organization_id",
        "customer_id": f"{KIMAI}.projects.customer_id marts/stg_organization_customers.customer_id",
        "customer": f"{KIMAI}.customers.name marts/stg_organization_customers.organization",
        "agent_name": f"marts/dim_agent.agent {KIMAI}.users.name",
        "agent_address": f"marts/dim_agent.agent_email {KIMAI}.users.email",
        "activity": f"marts/dim_activity.activity {KIMAI}.activities.name",
        **{name: f"marts/fct_time_entries.{name}" for name in MINUTES},
    },
    "marts/dim_customer": {
        "customer_key": f"{KIMAI}.customers.id marts/stg_organization_customers.organization_id",
        "customer": f"{KIMAI}.customers.name marts/stg_organization_customers.organization",
        "organization_ids": "marts/stg_organization_customers.organization_id",
    },
    "marts/dim_agent": {
        "agent_id": f"{DIRECTORY}.agents.id",
        "agent": f"{DIRECTORY}.agents.name",
        "agent_email": f"{DIRECTORY}.agents.email",
        "kimai_user_id": f"{KIMAI}.users.id {DIRECTORY}.agents.email",
    },
    "marts/dim_activity": {
        "activity_type_id": f"{DIRECTORY}.activity_types.id",
        "activity": f"{DIRECTORY}.activity_types.name",
        "kimai_activity_id": f"{KIMAI}.activities.id",
    },
    "marts/sync_health": {
        "hours_since_complete_read": f"{BOOKINGS}.sweeps.ended_at",
        "writes_failed": "sync/kimai_pushes.state",
        "writes_parked": "sync/kimai_pushes.state",
        "writes_in_doubt": "sync/kimai_pushes.state",
        "conflicts_open": f"{PLAN}.conflicts.resolution_status",
        "oldest_conflict_days": f"{PLAN}.conflicts.opened_at",
        "median_conflict_days": f"{PLAN}.conflicts.opened_at",
        "minutes_unexplained": "marts/fct_time_entries.minutes_unexplained",
    },
}
_SUMS = {"agg_daily_by_agent", "agg_monthly_by_customer", "statement_lines"}
_SUMMED = {
    "month": "booking_month",
    "agent": "agent_name",
    "agent_email": "agent_address",
    **{name: name for name in ("entry_date", "customer_id", "customer", "organization_id", "activity", *MINUTES)},
}
"""The columns of sums over `int_entries_named`, and what they are there."""


def origins(asset: str, column: str) -> tuple[tuple[str, str], ...]:
    """The assets and columns that a column is made of; none where it is made by us, such as an instant."""
    group, _, name = asset.partition("/")
    if name in _SUMS and group == "marts":
        named = _SUMMED.get(column)
        return (("marts/int_entries_named", named),) if named else ()
    parts = (text.partition(".") for text in _COLUMNS.get(asset, {}).get(column, "").split())
    return tuple((upstream, field) for upstream, _, field in parts)


def described(asset: str, columns: Sequence[dg.TableColumn]) -> dict[str, object]:
    """Schema and lineage of an asset's columns, as its metadata."""
    deps = {column.name: origins(asset, column.name) for column in columns}
    schema = dg.TableSchema(columns=[_with_origin(column, deps[column.name]) for column in columns])
    lineage = dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey(key.split("/")), field) for key, field in found]
            for name, found in deps.items()
            if found
        }
    )
    return {"dagster/column_schema": schema, "dagster/column_lineage": lineage}


def _with_origin(column: dg.TableColumn, found: Sequence[tuple[str, str]]) -> dg.TableColumn:
    if not found:
        return column
    origin = ", ".join(f"`{field}` of `{key}`" for key, field in found)
    return dg.TableColumn(column.name, column.type, f"{column.description} From {origin}.", column.constraints)
