"""The little JQL that the simulated Jira understands: conditions joined by AND, and an order that it ignores."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from zk_sandbox.jira.access import Caller
from zk_sandbox.jira.errors import ApiError
from zk_sandbox.jira.records import Issue
from zk_sandbox.jira.site import Site

Test = Callable[[Issue], bool]

_ORDER = re.compile(r"\s+order\s+by\s+.*$", re.IGNORECASE | re.DOTALL)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_LIST = re.compile(r"(id|issue|project)\s+in\s*\(([^)]*)\)", re.IGNORECASE)
_DATE = re.compile(r"(updated|worklogdate)\s*(>=|<=|<|>)\s*\"?([^\"]+?)\"?", re.IGNORECASE)
_IS = re.compile(r"(worklogauthor|project)\s*=\s*\"?([^\"]+?)\"?", re.IGNORECASE)
_AGO = re.compile(r"-(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def found(site: Site, caller: Caller, query: str) -> list[Issue]:
    """The issues that the caller finds, by id. ApiError 400 for a query that Jira or this subset refuses."""
    conditions = _ORDER.sub("", f" {query}").strip()
    if not conditions:
        raise ApiError(400, "Unbounded JQL queries are not allowed here. Add a search restriction to your query.")
    tests = [_test(site, caller, each.strip()) for each in _AND.split(conditions)]
    known = site.settings.index_clock()
    rows = [row for row in site.state.issues.values() if row.created <= known and caller.opens(row)]
    hidden = set(site.settings.index_misses)
    return sorted((r for r in rows if r.id not in hidden and all(test(r) for test in tests)), key=lambda row: row.id)


def _test(site: Site, caller: Caller, condition: str) -> Test:
    if match := _LIST.fullmatch(condition):
        return _in(site, caller, match[1].lower(), [each.strip(" \"'") for each in match[2].split(",")])
    if match := _DATE.fullmatch(condition):
        return _compared(site, caller, match[1].lower(), match[2], match[3])
    if match := _IS.fullmatch(condition):
        if match[1].lower() == "project":
            return _in(site, caller, "project", [match[2]])
        return lambda issue: any(row.author_id == match[2] for row in site.state.worklogs_of(issue.id))
    raise ApiError(400, f"Error in the JQL Query: this simulation does not understand '{condition}'.")


def _in(site: Site, caller: Caller, field: str, wanted: list[str]) -> Test:
    if field == "project":
        return lambda issue: not {str(issue.project_id), site.state.projects[issue.project_id].key}.isdisjoint(wanted)
    issues = {each: site.state.issue(each) for each in wanted}
    for name, issue in issues.items():
        if issue is None or not caller.opens(issue):
            raise ApiError(400, f"An issue with key '{name}' does not exist for field '{field}'.")
    ids = {issue.id for issue in issues.values() if issue}
    return lambda issue: issue.id in ids


def _compared(site: Site, caller: Caller, field: str, sign: str, text: str) -> Test:
    moment = _moment(site, caller, text)
    compare: dict[str, Callable[[datetime], bool]] = {
        ">=": lambda at: at >= moment,
        "<=": lambda at: at <= moment,
        "<": lambda at: at < moment,
        ">": lambda at: at > moment,
    }
    if field == "updated":
        return lambda issue: compare[sign](issue.updated)
    return lambda issue: any(compare[sign](row.started) for row in site.state.worklogs_of(issue.id))


def _moment(site: Site, caller: Caller, text: str) -> datetime:
    """A date of a query: relative, or a midnight or minute in the zone of the account that asks."""
    if match := _AGO.fullmatch(text):
        return site.settings.clock() - timedelta(**{_UNITS[match[2]]: int(match[1])})
    zone = ZoneInfo((caller.user.zone if caller.user else None) or site.settings.zone)
    try:
        return datetime.fromisoformat(text.replace("/", "-")).replace(tzinfo=zone)
    except ValueError as error:
        raise ApiError(400, f"Date value '{text}' is invalid. Valid formats include: 'yyyy-MM-dd', '-5d'.") from error
