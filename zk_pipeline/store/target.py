"""The target's rows: time sheets, the directory, and the days on which the plan mentions them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from zk_pipeline.domain.records import (
    Activity,
    Customer,
    MasterDataKind,
    MasterDataState,
    Project,
    TargetDirectory,
    TargetServer,
    TargetUser,
    Timesheet,
    Window,
)
from zk_pipeline.domain.source_ids import is_whole_number
from zk_pipeline.store import suppression
from zk_pipeline.store.database import among, upsert
from zk_pipeline.store.raw_tables import activities, customers, kimai_users, projects, servers, timesheets
from zk_pipeline.store.tables import conflicts, normalized_entries, pushes

# Queries on the target's rows: time sheets, and the directory of users, customers, projects and activities.

RATES = ("rate", "hourly_rate", "fixed_rate")


def save_timesheets(
    connection: Connection, connector: str, rows: Iterable[Timesheet], *, sweep_id: int | None = None
) -> list[Timesheet]:
    """Store time sheets as the target has them now, and return them as stored; a row marked as gone is back."""
    saved = suppression.redactor(connection).rows(rows)
    values = [
        {
            "connector": connector,
            "id": row.id,
            "user_id": row.user_id,
            "project_id": row.project_id,
            "activity_id": row.activity_id,
            "begin_at": row.begin,
            "end_at": row.end,
            "duration_seconds": row.duration_seconds,
            "description": row.description,
            "tags": row.tags,
            "exported": row.exported,
            "billable": row.billable,
            "rate": row.rate,
            "break_seconds": row.break_seconds,
            "raw": row.raw,
            "faults": row.faults,
            "sweep_id": sweep_id,
            "gone_at": None,
        }
        for row in saved
    ]
    upsert(connection, timesheets, values, stamped={"last_seen_at": "now()"})
    return saved


def timesheets_around(connection: Connection, connector: str, window: Window, ids: Collection[int]) -> list[Timesheet]:
    """The time sheets that begin within the window, and those with these ids anywhere; none that is gone.

    One with an unreadable begin always counts as within the window. Without raw payload.
    """
    query = select(*(column for column in timesheets.c if column.name != "raw")).where(
        timesheets.c.connector == connector,
        timesheets.c.gone_at.is_(None),
        or_(
            (timesheets.c.begin_at >= window.start) & (timesheets.c.begin_at < window.end),
            among(timesheets.c.id, ids),
            timesheets.c.faults.has_key("begin"),  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType, reportAttributeAccessIssue]
        ),
    )
    return [_timesheet(row) for row in connection.execute(query).mappings()]


def timesheets_by_id(connection: Connection, connector: str, ids: Collection[int]) -> dict[int, Timesheet]:
    """Those of the ids that are stored and not gone."""
    if not ids:
        return {}
    query = select(timesheets).where(
        timesheets.c.connector == connector, timesheets.c.gone_at.is_(None), among(timesheets.c.id, ids)
    )
    return {row["id"]: _timesheet(row) for row in connection.execute(query).mappings()}


def newest_priced(
    connection: Connection, connector: str, user_id: int, project_id: int, activity_id: int, *, other_than: int
) -> Timesheet | None:
    """The newest time sheet of this person, project and activity with a known amount."""
    query = select(timesheets).where(
        timesheets.c.connector == connector,
        timesheets.c.gone_at.is_(None),
        timesheets.c.user_id == user_id,
        timesheets.c.project_id == project_id,
        timesheets.c.activity_id == activity_id,
        timesheets.c.id != other_than,
        timesheets.c.rate.is_not(None),
        timesheets.c.duration_seconds > 0,
    )
    row = connection.execute(query.order_by(timesheets.c.id.desc()).limit(1)).mappings().first()
    return _timesheet(row) if row is not None else None


def currency_of(connection: Connection, connector: str, project_id: int) -> str:
    """The currency of a project's customer; empty if unknown."""
    query = (
        select(customers.c.currency)
        .join(projects, (projects.c.connector == customers.c.connector) & (projects.c.customer_id == customers.c.id))
        .where(projects.c.connector == connector, projects.c.id == project_id)
    )
    return connection.execute(query).scalar() or ""


def marked_timesheets(connection: Connection, connector: str, beginning: str, after: int = 0) -> list[int]:
    """The ids behind `after` of the stored time sheets whose description has this start of a marker, in order."""
    query = select(timesheets.c.id).where(
        timesheets.c.connector == connector,
        timesheets.c.id > after,
        timesheets.c.gone_at.is_(None),
        timesheets.c.description.icontains(beginning, autoescape=True),
    )
    return list(connection.execute(query.order_by(timesheets.c.id)).scalars())


def timesheets_within(connection: Connection, connector: str, window: Window, sweep_id: int) -> list[int]:
    """The ids stored within the window that the sweep did not find: deleted, or moved elsewhere."""
    query = select(timesheets.c.id).where(
        timesheets.c.connector == connector,
        timesheets.c.gone_at.is_(None),
        timesheets.c.begin_at >= window.start,
        timesheets.c.begin_at < window.end,
        timesheets.c.sweep_id.is_distinct_from(sweep_id),
    )
    return list(connection.execute(query.order_by(timesheets.c.id)).scalars())


def count_within(connection: Connection, connector: str, window: Window, *, exported: bool = False) -> int:
    """How many time sheets begin within the window, or of them are exported."""
    query = select(func.count()).where(_begins_within(connector, window))
    return connection.execute(query.where(timesheets.c.exported) if exported else query).scalar_one()


def lacks_references(connection: Connection, connector: str, window: Window) -> bool:
    """Whether a time sheet within the window refers to a user, project or activity that the directory does not have.

    When one of these is deleted, the target moves its time sheets to another one and leaves no trace on them.
    """
    known = [
        exists().where(table.c.connector == connector, table.c.id == timesheets.c[column])
        for table, column in ((kimai_users, "user_id"), (projects, "project_id"), (activities, "activity_id"))
    ]
    query = select(timesheets.c.id).where(_begins_within(connector, window), ~and_(*known))
    return connection.execute(query.limit(1)).first() is not None


def _begins_within(connector: str, window: Window) -> ColumnElement[bool]:
    return and_(
        timesheets.c.connector == connector,
        timesheets.c.gone_at.is_(None),
        timesheets.c.begin_at >= window.start,
        timesheets.c.begin_at < window.end,
    )


def mark_timesheets_gone(connection: Connection, connector: str, ids: Collection[int]) -> None:
    """Record that the target no longer has these time sheets."""
    if not ids:
        return
    connection.execute(
        update(timesheets)
        .where(timesheets.c.connector == connector, among(timesheets.c.id, ids))
        .values(gone_at=func.now())
    )


def mark_exported(connection: Connection, connector: str, ids: Collection[int]) -> None:
    """Mark exactly these billable time sheets as exported."""
    exported = among(timesheets.c.id, ids)
    connection.execute(
        update(timesheets)
        .where(timesheets.c.connector == connector, timesheets.c.billable, timesheets.c.exported != exported)
        .values(exported=exported)
    )


def names_of(connection: Connection, connector: str, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """The names of user and customer of these time sheets; empty where the directory does not have them."""
    theirs = (projects.c.connector == connector) & (projects.c.id == timesheets.c.project_id)
    users = (kimai_users.c.connector == connector) & (kimai_users.c.id == timesheets.c.user_id)
    payers = (customers.c.connector == connector) & (customers.c.id == projects.c.customer_id)
    query = (
        select(timesheets.c.id, func.coalesce(kimai_users.c.name, ""), func.coalesce(customers.c.name, ""))
        .select_from(timesheets.outerjoin(kimai_users, users).outerjoin(projects, theirs).outerjoin(customers, payers))
        .where(timesheets.c.connector == connector, among(timesheets.c.id, ids))
    )
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def gone_timesheets(connection: Connection, connector: str, ids: Collection[int]) -> frozenset[int]:
    """Those of the ids that the target proved to be deleted."""
    if not ids:
        return frozenset()
    query = select(timesheets.c.id).where(
        timesheets.c.connector == connector, among(timesheets.c.id, ids), timesheets.c.gone_at.is_not(None)
    )
    return frozenset(connection.execute(query).scalars())


def save_directory(connection: Connection, connector: str, directory: TargetDirectory) -> None:
    """Store the directory; what the target no longer has is removed. Unreadable rows stay as they were."""
    for what, table, listed in (
        ("user", kimai_users, directory.users),
        ("customer", customers, directory.customers),
        ("project", projects, directory.projects),
        ("activity", activities, directory.activities),
    ):
        named = [row.id for row in directory.unreadable if row.what == what]
        kept = [int(id_) if id_ is not None and is_whole_number(id_) else None for id_ in named]
        _replace(connection, table, connector, listed, kept)
    server = directory.server
    upsert(
        connection, servers, [{"connector": connector, **{name: getattr(server, name) for name in server.__slots__}}]
    )


def save_customer(connection: Connection, connector: str, customer: Customer) -> None:
    """Store one customer that was just found or created."""
    upsert(connection, customers, [_values(customers, connector, customer)])


def save_project(connection: Connection, connector: str, project: Project) -> None:
    """Store one project that was just found or created."""
    upsert(connection, projects, [_values(projects, connector, project)])


def note_state(
    connection: Connection, connector: str, kind: MasterDataKind, record_id: int, state: MasterDataState
) -> None:
    """Store that a customer, project or activity is shown or hidden now, and of a project when it ends."""
    table = {
        MasterDataKind.CUSTOMER: customers,
        MasterDataKind.PROJECT: projects,
        MasterDataKind.ACTIVITY: activities,
    }[kind]
    values: dict[str, Any] = {"visible": state.visible}
    if kind is MasterDataKind.PROJECT:
        values["end"] = state.end
    row = (table.c.connector == connector) & (table.c.id == record_id)
    connection.execute(update(table).where(row).values(**values))


def forget_customer(connection: Connection, connector: str, customer_id: int) -> None:
    """Remove one customer that was just deleted."""
    connection.execute(delete(customers).where(customers.c.connector == connector, customers.c.id == customer_id))


def forget_project(connection: Connection, connector: str, project_id: int) -> None:
    """Remove one project that was just deleted."""
    connection.execute(delete(projects).where(projects.c.connector == connector, projects.c.id == project_id))


def load_server(connection: Connection, connector: str) -> TargetServer | None:
    """The target's settings; `None` before its directory was first read."""
    found = next(iter(_stored(connection, servers, connector)), None)
    return TargetServer(**found) if found else None


def load_directory(connection: Connection, connector: str, *, with_projects: bool = True) -> TargetDirectory | None:
    """The stored directory; `None` before it was first read. There may be very many projects."""

    def rows(table: Table) -> list[dict[str, Any]]:
        return _stored(connection, table, connector)

    server = load_server(connection, connector)
    if server is None:
        return None
    return TargetDirectory(
        server,
        tuple(TargetUser(**row) for row in rows(kimai_users)),
        tuple(Customer(**row) for row in rows(customers)),
        tuple(Project(**row) for row in rows(projects)) if with_projects else (),
        tuple(Activity(**row) for row in rows(activities)),
    )


def timesheet_json(row: Timesheet) -> dict[str, Any]:
    """A time sheet as JSON for the ledger."""
    return {name: getattr(row, name) for name in row.__slots__}


def timesheet_from_json(value: Mapping[str, Any]) -> Timesheet:
    """A time sheet from the ledger's JSON."""
    instants = {name: value[name] and datetime.fromisoformat(value[name]) for name in ("begin", "end")}
    amounts = {name: Decimal(value[name]) for name in RATES if value.get(name) is not None}
    return Timesheet(**{"raw": {}, **value, **instants, **amounts, "tags": tuple(value["tags"])})


def _stored(connection: Connection, table: Table, connector: str) -> list[dict[str, Any]]:
    columns = [column for column in table.c if column.name not in {"connector", "seen_at"}]
    query = select(*columns).where(table.c.connector == connector)
    return [dict(row) for row in connection.execute(query).mappings()]


def _replace(
    connection: Connection, table: Table, connector: str, rows: Iterable[Any], kept: Sequence[int | None]
) -> None:
    values = [_values(table, connector, row) for row in suppression.redactor(connection).rows(rows)]
    if None not in kept:  # A row without id may be any stored one.
        ids = [*(value["id"] for value in values), *kept]
        connection.execute(delete(table).where(table.c.connector == connector, table.c.id.not_in(ids)))
    upsert(connection, table, values, only_if_changed=True)


def _values(table: Table, connector: str, row: object) -> dict[str, Any]:
    fields = [column.name for column in table.c if column.name not in {"connector", "seen_at"}]
    return {"connector": connector, **{name: getattr(row, name) for name in fields}}


def _timesheet(row: Mapping[Any, Any]) -> Timesheet:
    return Timesheet(
        id=row["id"],
        user_id=row["user_id"],
        project_id=row["project_id"],
        activity_id=row["activity_id"],
        begin=row["begin_at"],
        end=row["end_at"],
        duration_seconds=row["duration_seconds"],
        description=row["description"],
        tags=tuple(row["tags"]),
        exported=row["exported"],
        billable=row["billable"],
        raw=row.get("raw", {}),
        faults=row["faults"],
        break_seconds=row["break_seconds"],
        rate=row["rate"],
    )


# The days on which the plan mentions a booking or a time sheet.


def of_timesheets(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> dict[int, date]:
    """The work day of each time sheet that the ledger links to a booking."""
    if not timesheet_ids:
        return {}
    query = select(pushes.c.kimai_id, pushes.c.entry_date).where(
        pushes.c.connector == connector, among(pushes.c.kimai_id, timesheet_ids)
    )
    return {row.kimai_id: row.entry_date for row in connection.execute(query)}


def of_bookings(connection: Connection, source: str, source_ids: Collection[str]) -> dict[str, date]:
    """The work day of each booking with a stored entry."""
    query = select(normalized_entries.c.source_id, normalized_entries.c.entry_date).where(
        normalized_entries.c.source == source, among(normalized_entries.c.source_id, source_ids)
    )
    return {row.source_id: row.entry_date for row in connection.execute(query)}


def questioned(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> set[int]:
    """Those of these time sheets that an open question is about."""
    query = select(conflicts.c.kimai_id).where(
        conflicts.c.connector == connector,
        conflicts.c.kimai_id.in_(timesheet_ids),
        conflicts.c.resolution_status == "open",
    )
    return set(connection.execute(query).scalars())


def of_questions(connection: Connection, connector: str, timesheet_ids: Collection[int]) -> dict[int, set[date]]:
    """The days on which people are asked about a time sheet without a booking: a copy or a stray one."""
    if not timesheet_ids:
        return {}
    query = select(conflicts.c.kimai_id, conflicts.c.entry_date).where(
        conflicts.c.connector == connector,
        conflicts.c.key.in_([f"kimai:{id_}" for id_ in timesheet_ids]),
        conflicts.c.resolution_status == "open",
    )
    days: dict[int, set[date]] = {}
    for row in connection.execute(query):
        days.setdefault(row.kimai_id, set()).add(row.entry_date)
    return days
