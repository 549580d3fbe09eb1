"""Kimai's JSON rows as plain rows (docs/kimai.md §6, §7, §8)."""

from datetime import UTC, datetime

from zk_pipeline.connectors.answer import Answer, Row
from zk_pipeline.domain.records import Activity, Customer, Invoice, Project, TargetServer, TargetUser, Timesheet

LONGEST_SECONDS = 2**31 - 1
UNKNOWN_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
"""Where a time sheet is kept whose begin cannot be read; it counts for every day."""


def timesheet(row: Row) -> Timesheet:
    """One time sheet, of which only the id must be readable. Tags are sorted: Kimai's order is not stable."""
    faults: dict[str, str] = {}
    end = row.spare(faults, "end", row.optional_instant, None)
    seconds = row.spare(faults, "duration", row.optional_integer, None) or 0
    if abs(seconds) > LONGEST_SECONDS:
        faults["duration"], seconds = f"{seconds} seconds are too many", 0
    pause = row.spare(faults, "break", row.integer, 0) if row.has("break") else 0
    if abs(pause) > LONGEST_SECONDS:
        faults["break"], pause = f"{pause} seconds are too many", 0
    return Timesheet(
        id=row.integer("id"),
        user_id=row.spare(faults, "user", row.integer, 0),
        project_id=row.spare(faults, "project", row.integer, 0),
        activity_id=row.spare(faults, "activity", row.integer, 0),
        begin=row.spare(faults, "begin", row.instant, end or UNKNOWN_MOMENT),
        end=end,
        duration_seconds=seconds,
        description=row.spare(faults, "description", row.optional_text, None) or "",
        tags=tuple(sorted(row.spare(faults, "tags", row.texts, ()))),
        exported=row.spare(faults, "exported", row.boolean, instead=False),
        billable=row.spare(faults, "billable", row.boolean, instead=False),
        raw=row.raw,
        faults=faults,
        break_seconds=pause,
        rate=row.spare(faults, "rate", row.optional_amount, None),
        hourly_rate=row.spare(faults, "hourlyRate", row.optional_amount, None),
        fixed_rate=row.spare(faults, "fixedRate", row.optional_amount, None),
    )


def written(answer: Answer) -> Timesheet:
    """The time sheet that a write answers with. Raises `ProtocolError` where it cannot be read."""
    row = timesheet(answer.row("time sheet"))
    if row.faults:
        raise answer.fault(f"Time sheet {row.id} cannot be read: {', '.join(row.faults)}.")
    return row


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
    return Customer(
        id=row.integer("id"),
        name=row.text("name"),
        number=_number(row),
        visible=row.boolean("visible"),
        currency=row.text("currency") if row.has("currency") else "",
    )


def invoice(row: Row) -> Invoice:
    """One invoice; its customer comes as an object."""
    return Invoice(
        id=row.integer("id"),
        number=row.text("invoiceNumber"),
        customer_id=row.row("customer", "customer").integer("id"),
        currency=row.text("currency"),
        total=row.amount("total"),
        tax=row.amount("tax"),
        vat=row.amount("vat"),
        status=row.text("status"),
        created_at=row.instant("createdAt"),
        due_days=row.integer("dueDays"),
        payment_date=row.optional_date("paymentDate"),
    )


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
        locked_until=row.optional_date("lockedUntil"),
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
