"""The lists without pages: customers, projects, activities, tags and users (docs/kimai.md §7-§9)."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.model import Activity, Customer, Project, Tag, User
from zk_sandbox.kimai.query import Query
from zk_sandbox.kimai.search import fold, parse_term

R = TypeVar("R", Customer, Project, Activity, User)

SHOWN, HIDDEN, BOTH = "1", "2", "3"
_CUSTOMER_DETAILS = ("company", "vatId", "contact", "phone", "email", "address", "invoiceEmail")


def customers(caller: Caller, query: Query) -> list[Customer]:
    """Customers by name; `term` looks at names, numbers and all ways of contact."""
    visible = _visibility(query)
    rows = [
        customer
        for customer in caller.kimai.customers
        if visible in {BOTH, _state(shown=customer.visible)} and caller.sees_customer(customer)
    ]
    found = _searched(
        rows,
        query,
        lambda row: (row.name, row.comment, row.number, *(row.details.get(name) for name in _CUSTOMER_DETAILS)),
    )
    return _sorted(found, query, {"name": lambda row: fold(row.name)})


def projects(caller: Caller, query: Query) -> list[Project]:
    """Projects by name: those running now, unless dates are given or `ignoreDates=1`."""
    kimai, visible = caller.kimai, _visibility(query)
    wanted = {row_id for row_id in query.one_or_more_ids("customer", "customers") if kimai.customers.get(row_id)}
    global_activities = query.flag("globalActivities", "0|1")
    moments = _moments(caller, query)
    rows = [
        project
        for project in kimai.projects
        if _is_listed(visible, shown=project.visible, parent=kimai.customer_of(project).visible)
        and (not wanted or project.customer in wanted)
        and global_activities in {None, project.global_activities}
        and all(project.runs_at(moment) for moment in moments)
        and caller.sees_project(project)
    ]
    found = _searched(rows, query, lambda row: (row.name, row.comment, row.details.get("orderNumber"), row.number))
    keys = {"name": lambda row: fold(row.name), "customer": lambda row: fold(kimai.customer_of(row).name)}
    return _sorted(found, query, keys)


def activities(caller: Caller, query: Query) -> list[Activity]:
    """Activities by name; the project filter adds the global ones unless its only project forbids them."""
    kimai, visible = caller.kimai, _visibility(query)
    ids = {row_id for row_id in query.one_or_more_ids("project", "projects") if kimai.projects.get(row_id)}
    only_globals = query.flag("globals") is True
    with_globals = len(ids) != 1 or kimai.projects.rows[next(iter(ids))].global_activities

    def wanted(activity: Activity) -> bool:
        if activity.project is None:
            return with_globals
        return not only_globals and (not ids or activity.project in ids)

    def parent_shown(activity: Activity) -> bool:
        project = kimai.projects.get(activity.project)
        return project is None or (project.visible and kimai.customer_of(project).visible)

    rows = [
        activity
        for activity in kimai.activities
        if _is_listed(visible, shown=activity.visible, parent=parent_shown(activity))
        and wanted(activity)
        and caller.sees_activity(activity)
    ]
    found = _searched(rows, query, lambda row: (row.name, row.comment, row.number))
    return _sorted(found, query, {"name": lambda row: fold(row.name), "project": _project_key(caller)})


def tags(caller: Caller, name: str | None) -> list[Tag]:
    """Visible tags whose name contains a text, by name."""
    part = fold(name or "")
    return sorted(
        (tag for tag in caller.kimai.tags if tag.visible and part in fold(tag.name)), key=lambda tag: fold(tag.name)
    )


def users(caller: Caller, query: Query) -> list[User]:
    """Users by name; without `view_all_data` only oneself and the members of led teams."""
    caller.require("view_user")
    visible = _visibility(query)
    reachable = {caller.user.id} | caller.led_members()
    rows = [
        user
        for user in caller.kimai.users
        if visible in {BOTH, _state(shown=user.enabled)} and (caller.sees_all or user.id in reachable)
    ]
    found = _searched(rows, query, lambda row: (row.alias, row.title, row.account_number, row.email, row.username))
    keys = {
        "username": lambda row: fold(row.username),
        "alias": lambda row: fold(row.alias or ""),
        "email": lambda row: fold(row.email),
    }
    return _sorted(found, query, keys)


def _visibility(query: Query) -> str:
    return query.one_of("visible", SHOWN, HIDDEN, BOTH)


def _state(*, shown: bool) -> str:
    return SHOWN if shown else HIDDEN


def _is_listed(visible: str, *, shown: bool, parent: bool) -> bool:
    """What belongs to something hidden appears with visible=3 only."""
    return visible == BOTH or (parent and visible == _state(shown=shown))


def _moments(caller: Caller, query: Query) -> list[int]:
    """The moments a project's period must contain."""
    given = [query.day_or_instant(name, caller.zone) for name in ("start", "end")]
    if query.flag("ignoreDates", "0|1"):
        return []
    return [moment for moment in given if moment is not None] or [caller.kimai.now()]


def _searched(rows: list[R], query: Query, columns: Callable[[R], Iterable[str | None]]) -> list[R]:
    term = query.text("term")
    if term is None:
        return rows
    return parse_term(term).keep(rows, lambda row: fold("\n".join(text for text in columns(row) if text)), lambda _: {})


def _sorted(rows: list[R], query: Query, keys: dict[str, Callable[[Any], Any]]) -> list[R]:
    """In the order asked for, by the first key unless another is named; equal rows stay in the order of their ids."""
    default, *others = keys
    column = query.one_of("orderBy", default, *others, "id")
    descending = query.one_of("order", "ASC", "DESC") == "DESC"
    by_id = sorted(rows, key=lambda row: row.id)
    return sorted(by_id, key=keys.get(column, lambda row: row.id), reverse=descending)


def _project_key(caller: Caller) -> Callable[[Activity], tuple[bool, str]]:
    def key(activity: Activity) -> tuple[bool, str]:
        project = caller.kimai.projects.get(activity.project)
        return project is not None, "" if project is None else fold(project.name)

    return key
