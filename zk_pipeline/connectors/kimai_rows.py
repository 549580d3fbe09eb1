"""Kimai's JSON rows as plain rows (docs/kimai.md §6, §7, §8)."""

from zk_pipeline.connectors.answer import Row
from zk_pipeline.domain.records import Activity, Customer, Project, TargetServer, TargetUser, Timesheet


def timesheet(row: Row) -> Timesheet:
    """One time sheet, from a list or on its own. Tags are sorted: Kimai's order is not stable."""
    return Timesheet(
        id=row.integer("id"),
        user_id=row.integer("user"),
        project_id=row.integer("project"),
        activity_id=row.integer("activity"),
        begin=row.instant("begin"),
        end=row.optional_instant("end"),
        duration_seconds=row.optional_integer("duration") or 0,
        description=row.optional_text("description") or "",
        tags=tuple(sorted(row.texts("tags"))),
        exported=row.boolean("exported"),
        billable=row.boolean("billable"),
        raw=row.raw,
    )


def user(row: Row) -> TargetUser:
    """One user; before 2.45 there is no e-mail address in the row."""
    username = row.text("username")
    return TargetUser(
        id=row.integer("id"),
        username=username,
        email=row.text("email") if row.has("email") else None,
        name=(row.text("alias") if row.has("alias") else "") or username,
        enabled=row.boolean("enabled"),
        timezone=row.text("timezone"),
    )


def customer(row: Row) -> Customer:
    """One customer."""
    return Customer(id=row.integer("id"), name=row.text("name"), number=_number(row), visible=row.boolean("visible"))


def project(row: Row) -> Project:
    """One project; its dates have no time of day."""
    return Project(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        customer_id=row.integer("customer"),
        visible=row.boolean("visible"),
        start=row.optional_date("start"),
        end=row.optional_date("end"),
        global_activities=row.boolean("globalActivities"),
    )


def activity(row: Row) -> Activity:
    """One activity; a global one has no project."""
    return Activity(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        project_id=row.optional_integer("project"),
        visible=row.boolean("visible"),
    )


def server(version: Row, me: Row, config: Row) -> TargetServer:
    """The server and the account, from its three self-descriptions (docs/kimai.md §10)."""
    return TargetServer(
        version=version.text("version"),
        caller_id=me.integer("id"),
        caller_name=me.text("username"),
        caller_timezone=me.text("timezone"),
        tracking_mode=config.text("trackingMode"),
        allow_future_times=config.boolean("isAllowFutureTimes"),
        allow_overlapping=config.boolean("isAllowOverlapping"),
    )


def _number(row: Row) -> str | None:
    return row.text("number") if row.has("number") else None
