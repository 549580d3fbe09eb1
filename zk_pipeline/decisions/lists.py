"""Queries for lists of plan lines and conflicts: filters, pages, counts, and both sides of a line."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    ScalarSelect,
    Select,
    any_,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from zk_pipeline.domain.decision import Status
from zk_pipeline.domain.reasons import Reason
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.store import plans
from zk_pipeline.store.conflicts import LEFT_OUT
from zk_pipeline.store.connectors import ActiveConnectors, active_connectors
from zk_pipeline.store.counted import counted, values_of
from zk_pipeline.store.raw_tables import activities, customers, kimai_users, projects, timesheets
from zk_pipeline.store.tables import IS_LEFT_OUT, conflicts, normalized_entries, periods
from zk_pipeline.store.tables import reconciliation_results as results

# Lists of conflicts.

_ENTRY = (
    "user_email",
    "user_name",
    "organization_name",
    "customer_name",
    "ticket_id",
    "ticket_number",
    "ticket_title",
)


@dataclass(frozen=True, slots=True)
class ConflictFilter:
    """A filter of conflicts; empty fields match everything.

    People and customers match by full name, ignoring case; `search` matches a part of ticket number, title, agent or
    customer.
    """

    status: str = "open"
    reason: str = ""
    first: date | None = None
    last: date | None = None
    agent: str = ""
    customer: str = ""
    search: str = ""
    ids: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class ConflictGroup:
    """Conflicts for which a decision has the same effect.

    `drafted`: the plan knows what would be written; `bound`: there is one time sheet; `closed`: the day is locked;
    `uncertain`: Kimai may bill a different amount than is adjusted. `minutes` are those of the bookings.
    """

    reason: str
    status: str
    drafted: bool
    bound: bool
    closed: bool
    uncertain: bool
    number: int
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class ConflictMatches:
    """The ids of one page, and the number of conflicts for each reason, highest first."""

    ids: frozenset[int]
    counts: dict[str, int]


def find_conflicts(
    connection: Connection, source: str, wanted: ConflictFilter, limit: int | None = None, offset: int = 0
) -> list[Row[Any]]:
    """The matching conflicts, oldest day first, with minutes, agent and customer of their bookings."""
    ordered = select(conflicts.c.id).order_by(conflicts.c.entry_date, conflicts.c.id)
    page = _narrowed(ordered, source, wanted).limit(limit).offset(offset).subquery()
    entry = normalized_entries
    columns = [entry.c[name] for name in _ENTRY]
    joined = _with_entry(conflicts.join(page, page.c.id == conflicts.c.id), source).outerjoin(results, _planned())
    query = select(conflicts, _minutes(), *columns).select_from(joined)
    return list(connection.execute(query.order_by(conflicts.c.entry_date, conflicts.c.id)))


def search_conflicts(
    connection: Connection, source: str, wanted: ConflictFilter, limit: int, offset: int
) -> ConflictMatches:
    """One page of the matching conflicts, in one scan of all of them: no index supports the search."""
    apart = replace(wanted, reason="")
    query = _narrowed(select(conflicts.c.id, conflicts.c.reason, conflicts.c.entry_date), source, apart)
    meant = query.cte("meant").prefix_with("MATERIALIZED", dialect="postgresql")
    page = select(meant.c.id).order_by(meant.c.entry_date, meant.c.id).limit(limit).offset(offset)
    if wanted.reason:
        page = page.where(meant.c.reason == wanted.reason)
    counted = select(meant.c.reason, func.count().label("number")).group_by(meant.c.reason).subquery()
    numbers = select(func.jsonb_object_agg(counted.c.reason, counted.c.number)).scalar_subquery()
    ids = func.array(page.scalar_subquery(), type_=ARRAY(BigInteger))
    row = connection.execute(select(ids, numbers)).one()
    most_first = sorted((row[1] or {}).items(), key=lambda pair: (-pair[1], pair[0]))
    return ConflictMatches(frozenset(row[0]), dict(most_first))


def counts(connection: Connection, source: str, wanted: ConflictFilter) -> dict[str, int]:
    """The number of conflicts for each reason, regardless of the filter's reason; highest first."""
    number = func.count()
    query = select(conflicts.c.reason, number).group_by(conflicts.c.reason)
    narrowed = _narrowed(query, source, replace(wanted, reason="")).order_by(number.desc(), conflicts.c.reason)
    return {row[0]: row[1] for row in connection.execute(narrowed)}


def minutes_of(connection: Connection, source: str, ids: Collection[int]) -> Decimal:
    """The minutes of the bookings of these conflicts."""
    rows = _with_entry(conflicts, source).outerjoin(results, _planned())
    query = select(func.coalesce(func.sum(_minutes()), Decimal(0))).select_from(rows)
    return connection.execute(query.where(conflicts.c.id.in_(ids))).scalar_one()


def groups(
    connection: Connection, source: str, wanted: ConflictFilter, locked_before: date | None
) -> list[ConflictGroup]:
    """The matching conflicts, grouped by what determines the effect of a decision."""
    # Not a constant: in GROUP BY, PostgreSQL takes it for the number of a column.
    closed = (conflicts.c.entry_date < (locked_before or date.min)) | periods.c.id.is_not(None)
    month = func.date_trunc(literal_column("'month'"), conflicts.c.entry_date)
    of_closed_month = (periods.c.month == month) & periods.c.reopened_at.is_(None)
    apart = (
        conflicts.c.reason,
        conflicts.c.status,
        results.c.draft.is_not(None),
        conflicts.c.kimai_id.is_not(None),
        closed,
        conflicts.c.uncertain,
    )
    ids = _narrowed(select(conflicts.c.id), source, wanted).subquery()
    meant = conflicts.join(ids, ids.c.id == conflicts.c.id).outerjoin(periods, of_closed_month)
    joined = _with_entry(meant, source).outerjoin(results, _planned())
    query = select(*apart, func.count(), func.sum(_minutes())).select_from(joined).group_by(*apart)
    return [ConflictGroup(*row) for row in connection.execute(query)]


def cause_facts(connection: Connection, names: ActiveConnectors, wanted: ConflictFilter) -> list[Row[Any]]:
    """The matching conflicts in groups, by day and by everything by which causes differ (`decisions.causes`).

    Agent, type and organization are grouped by where they can be the cause; user, activity and project are those of the
    refused time sheet. Each group has its `ids`, and minutes of the bookings.
    """
    entry, desired = normalized_entries.c, results.c.draft["desired"]
    refused = conflicts.c.reason == Reason.REFUSED_BY_KIMAI

    def of(reason: Reason, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return case(((conflicts.c.reason == reason) | refused, column))

    apart = (
        conflicts.c.reason,
        conflicts.c.entry_date,
        of(Reason.UNMAPPED_USER, entry.agent_id).label("agent_id"),
        of(Reason.UNMAPPED_ACTIVITY, entry.activity_type_id).label("type_id"),
        of(Reason.UNMAPPED_CUSTOMER, entry.organization_id).label("organization_id"),
        *(case((refused, desired[name].as_integer())).label(name) for name in ("user_id", "activity_id", "project_id")),
        case((refused, conflicts.c.text), else_="").label("refusal"),
    )
    shown = {"agent": entry.user_name, "type": entry.activity_name, "organization": entry.organization_name}
    ids = _narrowed(select(conflicts.c.id), names.source, wanted).subquery()
    meant = conflicts.join(ids, ids.c.id == conflicts.c.id)
    query = select(
        *apart,
        func.array_agg(conflicts.c.id).label("ids"),
        func.sum(_minutes()).label("minutes"),
        func.max(conflicts.c.text).label("text"),
        *(func.max(column).label(name) for name, column in shown.items()),
    ).select_from(_with_entry(meant, names.source).outerjoin(results, _planned()))
    return list(connection.execute(query.group_by(*apart)))


def digest(connection: Connection, source: str, wanted: ConflictFilter) -> str:
    """A hash of the matching conflicts and their facts, which changes if the list does."""
    fact = func.concat(conflicts.c.id, ":", conflicts.c.facts_hash)
    facts = func.string_agg(fact, aggregate_order_by(literal(","), conflicts.c.id))
    query = _narrowed(select(func.md5(func.coalesce(facts, ""))), source, wanted)
    return connection.execute(query).scalar_one()


def _minutes() -> ColumnElement[Decimal]:
    """The minutes of the booking; of a correction that fits nothing, those that it would take off, below zero."""
    entry = normalized_entries.c
    found = func.coalesce(results.c.minutes, entry.time_minutes, Decimal(0))
    return (found - func.coalesce(entry.open_minutes, Decimal(0))).label("minutes")


def _planned() -> ColumnElement[bool]:
    """Whether a line of the plan belongs to the conflict."""
    return (
        (results.c.connector == conflicts.c.connector)
        & (results.c.entry_date == conflicts.c.entry_date)
        & (results.c.key == conflicts.c.key)
    )


def _with_entry(rows: FromClause, source: str) -> Any:
    entry = normalized_entries
    return rows.outerjoin(entry, (entry.c.source == source) & (entry.c.source_id == conflicts.c.source_id))


def _narrowed(query: Select[Any], source: str, wanted: ConflictFilter) -> Select[Any]:
    """The query, restricted to the matching conflicts; bookings are joined only if the filter needs them."""
    query = query.select_from(_rows(source, wanted))
    if wanted.status == LEFT_OUT:
        query = query.where(IS_LEFT_OUT)
    elif wanted.status:
        query = query.where(conflicts.c.resolution_status == wanted.status)
    if wanted.reason:
        query = query.where(conflicts.c.reason == wanted.reason)
    if wanted.first is not None:
        query = query.where(conflicts.c.entry_date >= wanted.first)
    if wanted.last is not None:
        query = query.where(conflicts.c.entry_date <= wanted.last)
    if wanted.ids is not None:
        query = query.where(conflicts.c.id.in_(wanted.ids))
    if wanted.search:
        searched = (normalized_entries.c[name] for name in _ENTRY if name != "ticket_id")
        query = query.where(or_(*(column.icontains(wanted.search, autoescape=True) for column in searched)))
    return query


def _rows(source: str, wanted: ConflictFilter) -> FromClause:
    """The conflicts; if the filter is about bookings, only those of matching bookings."""
    entry, rows = normalized_entries.c, conflicts
    named: list[ColumnElement[bool]] = []
    if wanted.agent:
        named.append(is_named(wanted.agent, entry.user_email, entry.user_name))
    if wanted.customer:
        named.append(is_named(wanted.customer, entry.organization_name, entry.customer_name))
    found = bookings_where(source, named)
    if named:
        rows = rows.join(found, found.c.source_id == conflicts.c.source_id)
    return _with_entry(rows, source) if wanted.search else rows


def bookings_where(source: str, conditions: Sequence[ColumnElement[bool]]) -> CTE:
    """The ids of the matching bookings, found before the join: scanning for a page of a rare agent takes long."""
    entry = normalized_entries.c
    found = select(entry.source_id).where(entry.source == source, *conditions).cte("booked")
    return found.prefix_with("MATERIALIZED", dialect="postgresql")


def is_named(name: str, *columns: ColumnElement[str | None]) -> ColumnElement[bool]:
    """Whether one of the columns has this name, ignoring case."""
    return or_(*(func.lower(column) == name.lower() for column in columns))


def has_part(part: str, *columns: ColumnElement[str | None]) -> ColumnElement[bool]:
    """Whether one of the columns of `normalized_entries` contains this, ignoring case."""
    return or_(*(func.lower(column) == any_(func.array(_names_with(part, column))) for column in columns))


def _names_with(part: str, column: ColumnElement[str | None]) -> ScalarSelect[Any]:
    """The different names in a column that contain this, in lower case."""
    return _with_part(part, column).scalar_subquery()


def _with_part(part: str, column: ColumnElement[str | None]) -> Select[Any]:
    names = values_of(func.lower(column), f"seen_{column.key}")
    return select(names.c.value).where(names.c.value.contains(part.lower(), autoescape=True))


# Names to narrow a list by.

MOST_OPTIONS = 8
_PEOPLE = (normalized_entries.c.user_name,)
_CUSTOMERS = (normalized_entries.c.organization_name, normalized_entries.c.customer_name)


@dataclass(frozen=True, slots=True)
class FilterOption:
    """A name, and the number of its bookings, which is counted up to `COUNTED`."""

    name: str
    number: int


def agent_options(runtime: Runtime, part: str) -> tuple[FilterOption, ...]:
    """Names of agents that contain this, those with most bookings first."""
    return _options(runtime, part, _PEOPLE)


def customer_options(runtime: Runtime, part: str) -> tuple[FilterOption, ...]:
    """Names of organizations, and of customers in them, that contain this, those with most bookings first."""
    return _options(runtime, part, _CUSTOMERS)


def _options(runtime: Runtime, part: str, columns: Sequence[ColumnElement[str | None]]) -> tuple[FilterOption, ...]:
    with runtime.database.transaction() as connection:
        of_source = normalized_entries.c.source == active_connectors(connection).source
        found: list[Select[Any]] = []
        for column in columns:
            names = _with_part(part.strip(), column).order_by("value").limit(MOST_OPTIONS).subquery()
            found.append(counted(names, func.lower(column), of_source, shown=column))
        rows = connection.execute(union_all(*found)).all()
    options = {row.shown: FilterOption(row.shown, row.number) for row in rows if row.shown}
    return tuple(sorted(options.values(), key=lambda one: (-one.number, one.name))[:MOST_OPTIONS])


# Lists of plan lines.

_LINE = (
    "entry_date",
    "key",
    "source_id",
    "kimai_id",
    "status",
    "action",
    "reason",
    "text",
    "diff",
    "decided",
    "carried_out",
    "taken_back_by",
    "facts_hash",
    "reconciled_at",
)
_LINE_ENTRY = (
    "ticket_id",
    "ticket_number",
    "ticket_title",
    "user_name",
    "user_email",
    "organization_name",
    "activity_name",
    "time_minutes",
)


class LineSelection(StrEnum):
    """Which lines to show.

    `matches` are in sync, or were synced after planning and not undone since; `missing` have no time sheet; `conflicts`
    wait for a person.
    """

    ALL = "all"
    MATCHES = "matches"
    MISSING = "missing"
    CONFLICTS = "conflicts"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """A filter of lines; empty fields match everything.

    `agent` and `customer` match a part of e-mail or name, ignoring case; `ticket` matches the whole number.
    """

    view: LineSelection = LineSelection.ALL
    status: str = ""
    action: str = ""
    reason: str = ""
    agent: str = ""
    customer: str = ""
    ticket: str = ""
    first: date | None = None
    last: date | None = None


def page(
    connection: Connection, names: ActiveConnectors, wanted: LineFilter, limit: int, offset: int
) -> list[Row[Any]]:
    """One page of lines, newest day first, with booking, time sheet and open conflict."""
    newest_first = (results.c.entry_date.desc(), results.c.key.desc())
    keys = _narrowed_lines(select(results.c.entry_date, results.c.key), names, wanted)
    return list(
        connection.execute(
            _with_details(keys.order_by(*newest_first).limit(limit).offset(offset), names).order_by(*newest_first)
        )
    )


def one(connection: Connection, names: ActiveConnectors, day: date, key: str) -> Row[Any] | None:
    """One line of a day's plan, as in the list; `None` if there is none."""
    keys = select(results.c.entry_date, results.c.key)
    of_line = (results.c.connector == names.target) & (results.c.entry_date == day) & (results.c.key == key)
    return connection.execute(_with_details(keys.where(of_line), names)).first()


def lines_to_write(
    connection: Connection, names: ActiveConnectors, first: date, last: date, limit: int | None = None, offset: int = 0
) -> list[Row[Any]]:
    """The lines of these days that would still write, oldest day first, with all columns and details."""
    oldest_first = (results.c.entry_date, results.c.key)
    keys = select(results.c.entry_date, results.c.key).where(plans.writing(names.target, first, last))
    query = _with_details(keys.order_by(*oldest_first).limit(limit).offset(offset), names, tuple(results.c.keys()))
    return list(connection.execute(query.order_by(*oldest_first)))


def count(connection: Connection, names: ActiveConnectors, wanted: LineFilter) -> int:
    """The number of matching lines."""
    if wanted.view is not LineSelection.MATCHES:
        return connection.execute(_narrowed_lines(select(func.count()), names, wanted)).scalar_one()
    # Nearly all lines match, and what they match by is in no index, so each would be read. Of those that are in sync
    # the index of the status is enough, and the others are few.
    line, every = results.c, _narrowed_lines(select(func.count()), names, replace(wanted, view=LineSelection.ALL))
    in_sync = every.where(line.status == Status.IN_SYNC)
    carried_out = every.where(line.status.in_([one for one in Status if one is not Status.IN_SYNC]), line.carried_out)
    taken_back = every.where((line.status == Status.IN_SYNC) | line.carried_out, line.taken_back_by.is_not(None))
    parts = (query.scalar_subquery() for query in (in_sync, carried_out, taken_back))
    found, more, less = connection.execute(select(*parts)).one()
    return found + more - less


def _with_details(keys: Select[Any], names: ActiveConnectors, columns: Sequence[str] = _LINE) -> Select[Any]:
    """The lines with these keys, joined with booking, time sheet and open conflict by primary key."""
    meant, entry, sheet = keys.subquery(), normalized_entries, timesheets
    of_target = {table: table.c.connector == names.target for table in (kimai_users, activities, projects, customers)}
    joined = (
        results.join(
            meant,
            (results.c.connector == names.target)
            & (results.c.entry_date == meant.c.entry_date)
            & (results.c.key == meant.c.key),
        )
        .outerjoin(entry, (entry.c.source == names.source) & (entry.c.source_id == results.c.source_id))
        .outerjoin(
            sheet,
            (sheet.c.connector == names.target) & (sheet.c.id == results.c.kimai_id) & sheet.c.gone_at.is_(None),
        )
        .outerjoin(kimai_users, of_target[kimai_users] & (kimai_users.c.id == sheet.c.user_id))
        .outerjoin(activities, of_target[activities] & (activities.c.id == sheet.c.activity_id))
        .outerjoin(projects, of_target[projects] & (projects.c.id == sheet.c.project_id))
        .outerjoin(customers, of_target[customers] & (customers.c.id == projects.c.customer_id))
    )
    return select(
        *(results.c[name] for name in columns),
        *(entry.c[name] for name in _LINE_ENTRY),
        entry.c.begin_at.label("entry_begin_at"),
        sheet.c.begin_at.label("sheet_begin_at"),
        sheet.c.duration_seconds,
        sheet.c.exported,
        kimai_users.c.username,
        activities.c.name.label("sheet_activity"),
        projects.c.name.label("sheet_project"),
        customers.c.name.label("sheet_customer"),
        select(func.min(conflicts.c.id)).where(_is_open()).scalar_subquery().label("conflict_id"),
    ).select_from(joined)


def _narrowed_lines(query: Select[Any], names: ActiveConnectors, wanted: LineFilter) -> Select[Any]:
    """The query, restricted to the matching lines; bookings are looked up only if the filter needs them."""
    query = query.select_from(results).where(results.c.connector == names.target, *_of_line(wanted))
    of_entry = _of_entry(wanted)
    if not of_entry:
        return query
    found = select(bookings_where(names.source, of_entry).c.source_id).scalar_subquery()
    # As an array, its lines come from their index; of a join, the planner would read every line.
    return query.where(results.c.source_id == any_(func.array(found)))


def _of_line(wanted: LineFilter) -> list[ColumnElement[bool]]:
    line = results.c
    equal = ((line.status, wanted.status), (line.action, wanted.action), (line.reason, wanted.reason))
    narrowed = [column == value for column, value in equal if value]
    match wanted.view:
        case LineSelection.MATCHES:
            narrowed.append(((line.status == Status.IN_SYNC) | line.carried_out) & line.taken_back_by.is_(None))
        case LineSelection.MISSING:
            narrowed.append((line.status == Status.MISSING) & ~line.carried_out)
        case LineSelection.CONFLICTS:
            narrowed.append(exists().where(_is_open()))
        case LineSelection.ALL:
            pass
    if wanted.first is not None:
        narrowed.append(line.entry_date >= wanted.first)
    if wanted.last is not None:
        narrowed.append(line.entry_date <= wanted.last)
    return narrowed


def _of_entry(wanted: LineFilter) -> list[ColumnElement[bool]]:
    entry = normalized_entries.c
    narrowed: list[ColumnElement[bool]] = []
    if wanted.agent:
        narrowed.append(has_part(wanted.agent, entry.user_email, entry.user_name))
    if wanted.customer:
        narrowed.append(has_part(wanted.customer, entry.organization_name, entry.customer_name))
    if wanted.ticket:
        narrowed.append(entry.ticket_number == f"#{wanted.ticket.removeprefix('#')}")
    return narrowed


def _is_open() -> ColumnElement[bool]:
    """Whether the line has an open conflict."""
    return (
        (conflicts.c.connector == results.c.connector)
        & (conflicts.c.key == results.c.key)
        & (conflicts.c.entry_date == results.c.entry_date)
        & (conflicts.c.resolution_status == "open")
    )
