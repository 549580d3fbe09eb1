"""Queries for lists of the plan: its lines by filter and page, each with what stands on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, select

from zk_pipeline.domain.decision import Status
from zk_pipeline.store import plan_sums
from zk_pipeline.store.addresses import Addresses
from zk_pipeline.store.conflict_lists import booked, is_named
from zk_pipeline.store.raw_tables import activities, customers, kimai_users, projects, timesheets
from zk_pipeline.store.tables import conflicts, normalized_entries
from zk_pipeline.store.tables import reconciliation_results as results

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
_ENTRY = (
    "ticket_id",
    "ticket_number",
    "ticket_title",
    "user_name",
    "user_email",
    "organization_name",
    "activity_name",
    "time_minutes",
)


class View(StrEnum):
    """Which lines somebody wants to look at.

    `matches` are in sync, or were brought there since they were planned; `missing` have no time sheet; `conflicts`
    wait for a person. What an undo took back since it was planned matches no longer.
    """

    ALL = "all"
    MATCHES = "matches"
    MISSING = "missing"
    CONFLICTS = "conflicts"


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are meant; what is empty does not narrow. People, customers and tickets are named in full."""

    view: View = View.ALL
    status: str = ""
    action: str = ""
    reason: str = ""
    agent: str = ""
    customer: str = ""
    ticket: str = ""
    first: date | None = None
    last: date | None = None


def page(connection: Connection, names: Addresses, wanted: LineFilter, limit: int, offset: int) -> list[Row[Any]]:
    """The lines of one page, newest day first, with the booking, the time sheet and the open conflict of each."""
    newest_first = (results.c.entry_date.desc(), results.c.key.desc())
    keys = _narrowed(select(results.c.entry_date, results.c.key), names, wanted)
    return list(
        connection.execute(
            _told(keys.order_by(*newest_first).limit(limit).offset(offset), names).order_by(*newest_first)
        )
    )


def one(connection: Connection, names: Addresses, day: date, key: str) -> Row[Any] | None:
    """One line of a day's plan as it stands in the list, if the plan has it."""
    keys = select(results.c.entry_date, results.c.key)
    of_line = (results.c.connector == names.target) & (results.c.entry_date == day) & (results.c.key == key)
    return connection.execute(_told(keys.where(of_line), names)).first()


def writing(
    connection: Connection, names: Addresses, first: date, last: date, limit: int | None = None, offset: int = 0
) -> list[Row[Any]]:
    """The lines of these days that would still write, oldest day first, whole and with what stands beside each."""
    oldest_first = (results.c.entry_date, results.c.key)
    keys = select(results.c.entry_date, results.c.key).where(plan_sums.writing(names.target, first, last))
    query = _told(keys.order_by(*oldest_first).limit(limit).offset(offset), names, tuple(results.c.keys()))
    return list(connection.execute(query.order_by(*oldest_first)))


def count(connection: Connection, names: Addresses, wanted: LineFilter) -> int:
    """How many lines are meant."""
    return connection.execute(_narrowed(select(func.count()), names, wanted)).scalar_one()


def _told(keys: Select[Any], names: Addresses, columns: Sequence[str] = _LINE) -> Select[Any]:
    """The lines of these keys with everything that stands beside them, each found by its primary key."""
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
        *(entry.c[name] for name in _ENTRY),
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


def _narrowed(query: Select[Any], names: Addresses, wanted: LineFilter) -> Select[Any]:
    """The query over the lines that are meant; the bookings are looked at only where the filter speaks of them."""
    query = query.where(results.c.connector == names.target, *_of_line(wanted))
    of_entry = _of_entry(wanted)
    if not of_entry:
        return query.select_from(results)
    found = booked(names.source, of_entry)
    return query.select_from(results.join(found, found.c.source_id == results.c.source_id))


def _of_line(wanted: LineFilter) -> list[ColumnElement[bool]]:
    line = results.c
    equal = ((line.status, wanted.status), (line.action, wanted.action), (line.reason, wanted.reason))
    narrowed = [column == value for column, value in equal if value]
    match wanted.view:
        case View.MATCHES:
            narrowed.append(((line.status == Status.IN_SYNC) | line.carried_out) & line.taken_back_by.is_(None))
        case View.MISSING:
            narrowed.append((line.status == Status.MISSING) & ~line.carried_out)
        case View.CONFLICTS:
            narrowed.append(exists().where(_is_open()))
        case View.ALL:
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
        narrowed.append(is_named(wanted.agent, entry.user_email, entry.user_name))
    if wanted.customer:
        narrowed.append(is_named(wanted.customer, entry.organization_name, entry.customer_name))
    if wanted.ticket:
        narrowed.append(entry.ticket_number == f"#{wanted.ticket.removeprefix('#')}")
    return narrowed


def _is_open() -> ColumnElement[bool]:
    """That the line waits for a person."""
    return (
        (conflicts.c.connector == results.c.connector)
        & (conflicts.c.key == results.c.key)
        & (conflicts.c.entry_date == results.c.entry_date)
        & (conflicts.c.resolution_status == "open")
    )
