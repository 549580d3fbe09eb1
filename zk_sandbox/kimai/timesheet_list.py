"""GET /api/timesheets: filters, many of which are silently ignored, order and pages (docs/kimai.md §2)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from zk_sandbox.kimai.access import Caller
from zk_sandbox.kimai.errors import bad_request, forbidden, not_found
from zk_sandbox.kimai.model import Timesheet
from zk_sandbox.kimai.query import Query
from zk_sandbox.kimai.search import parse_term
from zk_sandbox.kimai.tables import Table

DEFAULT_SIZE = 50
LARGEST_SIZE = 500

_UTC = ZoneInfo("UTC")

Keep = Callable[[Timesheet], bool]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list and its X- headers."""

    rows: list[Any]
    number: int
    size: int
    total: int

    def headers(self) -> dict[str, str]:
        """The pagination headers; an empty list has one page."""
        return {
            "X-Page": str(self.number),
            "X-Total-Count": str(self.total),
            "X-Total-Pages": str(_pages(self.total, self.size)),
            "X-Per-Page": str(self.size),
        }


def _pages(total: int, size: int) -> int:
    return max(1, -(-total // size))


def page_of(caller: Caller, query: Query) -> Page:
    """The page of time sheets that a query asks for; 404 for a page past the last."""
    rows = caller.kimai.timesheets.rows
    page = cut(caller, query, _ordered(caller, query, _selected(caller, query)))
    return replace(page, rows=[rows[row_id] for row_id in page.rows])


def cut(caller: Caller, query: Query, rows: Sequence[Any]) -> Page:
    """The page of a list that a query asks for; 404 for a page past the last."""
    number = query.number("page", 1) or 1
    size = query.number("size", DEFAULT_SIZE) or DEFAULT_SIZE
    if caller.kimai.settings.at_least(2, 42):
        size = min(size, LARGEST_SIZE)
    if number > _pages(len(rows), size):
        raise not_found()
    start = (number - 1) * size
    return Page(list(rows[start : start + size]), number, size, len(rows))


def active(caller: Caller) -> list[Timesheet]:
    """The caller's running entries, the latest first."""
    return sorted(caller.kimai.timesheets.running(caller.user.id), key=_by_begin, reverse=True)


def recent(caller: Caller, query: Query) -> list[Timesheet]:
    """The caller's latest finished entry of each project and activity that may still be used."""
    since = query.instant("begin", caller.zone)
    kimai = caller.kimai
    latest: dict[tuple[int, int], Timesheet] = {}
    for row_id in kimai.timesheets.by_begin(frozenset({caller.user.id}), since):
        entry = kimai.timesheets.rows[row_id]
        key = (entry.project, entry.activity)
        usable = kimai.projects.rows[entry.project].visible and kimai.activities.rows[entry.activity].visible
        if usable and entry.end is not None and entry.begin <= kimai.now():
            latest[key] = max(entry, latest.get(key, entry), key=lambda found: found.id)
    return sorted(latest.values(), key=_by_begin, reverse=True)[: query.number("size", 10)]


def _by_begin(entry: Timesheet) -> tuple[int, int]:
    return entry.begin, entry.id


def _selected(caller: Caller, query: Query) -> list[int]:
    """Ids that pass all filters, by begin ascending; the cheap filters go before the search."""
    begin, end = query.instant("begin", caller.zone), query.instant("end", caller.zone)
    table = caller.kimai.timesheets
    ids = table.by_begin(_owners(caller, query), begin, end)
    tests = _filters(caller, query)
    term = query.text("term")
    if not tests and term is None:
        return ids
    entries = [table.rows[row_id] for row_id in ids]
    for keep in tests:
        entries = [entry for entry in entries if keep(entry)]
    if term is not None:
        entries = parse_term(term).keep(entries, table.text, lambda entry: entry.meta)
    return [entry.id for entry in entries]


def _ordered(caller: Caller, query: Query, ids: list[int]) -> list[int]:
    """Ids in the requested order; the id breaks ties in the same direction."""
    column = query.one_of("orderBy", "begin", "id", "end", "rate")
    descending = query.one_of("order", "DESC", "ASC") == "DESC"
    if column == "begin":
        return ids[::-1] if descending else ids
    rows = caller.kimai.timesheets.rows
    keys: dict[str, Callable[[int], Any]] = {
        "id": lambda row_id: row_id,
        "end": lambda row_id: (rows[row_id].end is not None, rows[row_id].end, row_id),
        "rate": lambda row_id: (rows[row_id].rate, row_id),
    }
    return sorted(ids, key=None if column == "id" else keys[column], reverse=descending)


def _owners(caller: Caller, query: Query) -> frozenset[int] | None:
    """Whose entries are listed; None = everybody's.

    Without permission the filter is ignored, and without a known user it is the caller: both silently.
    """
    asked = query.matching("user", "all|[0-9]+")
    wanted = query.ids("users")
    me = frozenset({caller.user.id})
    if not caller.may("view_other_timesheet"):
        return me
    if asked == "all":
        return None if caller.sees_all else me | caller.led_members()
    if asked is not None:
        wanted.append(int(asked))
    known = frozenset(user_id for user_id in wanted if caller.kimai.users.get(user_id) is not None)
    if not all(caller.may_access_user(user_id) for user_id in known):
        raise forbidden()
    return known or me


def _filters(caller: Caller, query: Query) -> list[Keep]:
    filters = [
        *_assignment_filters(caller, query),
        *_flag_filters(query),
        _tag_filter(caller, query),
        _modified_filter(caller, query),
    ]
    if not caller.sees_all and len(caller.kimai.teams):
        filters.append(caller.sees_assignment)
    return [keep for keep in filters if keep is not None]


def _assignment_filters(caller: Caller, query: Query) -> list[Keep | None]:
    kimai = caller.kimai
    customers = _known(query.one_or_more_ids("customer", "customers"), kimai.customers, caller.sees_customer)
    projects = _known(query.one_or_more_ids("project", "projects"), kimai.projects, caller.sees_project)
    activities = _known(query.one_or_more_ids("activity", "activities"), kimai.activities, caller.sees_activity)
    rows = kimai.projects.rows
    return [
        None if not customers else lambda entry: rows[entry.project].customer in customers,
        None if not projects else lambda entry: entry.project in projects,
        None if not activities else lambda entry: entry.activity in activities,
    ]


def _known(ids: list[int], table: Table[Any], visible: Callable[[Any], bool]) -> set[int]:
    """The ids that exist: unknown ones are dropped, so that without any known one nothing is filtered."""
    known = {row_id for row_id in ids if table.get(row_id) is not None}
    if not all(visible(table.rows[row_id]) for row_id in known):
        raise forbidden()
    return known


def _flag_filters(query: Query) -> list[Keep | None]:
    exported, billable = query.flag("exported", "0|1"), query.flag("billable", "0|1")
    running = query.flag("active", "0|1")
    return [
        None if exported is None else lambda entry: entry.exported == exported,
        None if billable is None else lambda entry: entry.billable == billable,
        None if running is None else lambda entry: (entry.end is None) == running,
    ]


def _tag_filter(caller: Caller, query: Query) -> Keep | None:
    """Entries with any of the visible tags; 400 if none of the names is one."""
    names = query.texts("tags")
    if not names:
        return None
    found = [caller.kimai.tag_named(name) for name in names]
    wanted = {tag.id for tag in found if tag is not None and tag.visible}
    if not wanted:
        raise bad_request()
    return lambda entry: not wanted.isdisjoint(entry.tags)


def _modified_filter(caller: Caller, query: Query) -> Keep | None:
    """Entries written since an instant that is given in UTC; an empty value means now."""
    since = caller.kimai.now() if query.is_empty("modified_after") else query.instant("modified_after", _UTC)
    return None if since is None else lambda entry: entry.modified_at >= since
