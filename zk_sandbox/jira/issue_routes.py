"""Issues: alone, many at once, and found by JQL."""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from starlette.routing import Route

from zk_sandbox.jira import jql
from zk_sandbox.jira.calls import JiraCall, routes
from zk_sandbox.jira.errors import ApiError, no_issue
from zk_sandbox.jira.site import Site
from zk_sandbox.jira.views import issue_json

MANY = 1000
MANY_WITH_LISTS = 100
LISTS = {"worklog", "comment", "attachment", "*all", "*navigable"}
LARGEST_PAGE = {"cloud": 5000, "server": 1000}


@dataclass(frozen=True, slots=True)
class IssueRoutes:
    """Handlers of the issue operations: Cloud and Data Center differ in how issues are found."""

    site: Site

    def routes(self) -> list[Route]:
        """Those of this kind of Jira."""
        table = [("GET", "/issue/{issue}", self.one)]
        if self.site.settings.is_cloud:
            table += [
                ("POST", "/issue/bulkfetch", self.bulk),
                ("GET", "/search/jql", self.search),
                ("POST", "/search/jql", self.search),
                ("POST", "/search/approximate-count", self.count),
            ]
        else:
            table += [("GET", "/search", self.search_by_position), ("POST", "/search", self.search_by_position)]
        return [each for method, path, handler in table for each in routes(self.site, method, path, handler)]

    def one(self, call: JiraCall) -> dict[str, Any]:
        """One issue by id, key or former key."""
        issue = self.site.state.issue(call.path["issue"])
        if issue is None or not call.caller.opens(issue):
            raise no_issue()
        names = call.text("fields")
        return issue_json(self.site, call.caller, issue, names.split(",") if names else None)

    def bulk(self, call: JiraCall) -> dict[str, Any]:
        """Many issues by id, in its order; those that are gone or hidden are left out."""
        wanted, fields = [str(each) for each in call.wanted("issueIdsOrKeys", [])], call.wanted("fields", [])
        most = MANY_WITH_LISTS if not fields or LISTS.intersection(fields) else MANY
        if len(wanted) > most:
            raise ApiError(400, f"The number of issue IDs/keys must not exceed {most}.")
        found = {row.id: row for each in wanted if (row := self.site.state.issue(each)) and call.caller.opens(row)}
        return {
            "issues": [issue_json(self.site, call.caller, found[id_], fields or None) for id_ in sorted(found)],
            "issueErrors": [],
        }

    def search(self, call: JiraCall) -> dict[str, Any]:
        """Find issues page by page with a token; nothing tells how many there are."""
        query, fields, size, token = _asked(call)
        rows = jql.found(self.site, call.caller, query)
        start = _position(token)
        size = min(size, LARGEST_PAGE["cloud"])
        page = rows[start : start + size]
        answer: dict[str, Any] = {
            "issues": [issue_json(self.site, call.caller, row, fields or ["id"]) for row in page],
            "isLast": start + size >= len(rows),
        }
        if self.site.settings.repeats_page_token:
            return {**answer, "isLast": False, "nextPageToken": _token(0)}
        return answer if answer["isLast"] else {**answer, "nextPageToken": _token(start + size)}

    def count(self, call: JiraCall) -> dict[str, Any]:
        """About how many issues a query finds."""
        return {"count": len(jql.found(self.site, call.caller, str(call.wanted("jql", ""))))}

    def search_by_position(self, call: JiraCall) -> dict[str, Any]:
        """Find issues page by page with a position, and their number."""
        query, fields, size, _ = _asked(call)
        start = call.wanted("startAt", call.number("startAt", 0))
        size = min(size, LARGEST_PAGE["server"])
        rows = jql.found(self.site, call.caller, query)
        return {
            "startAt": start,
            "maxResults": size,
            "total": len(rows),
            "issues": [issue_json(self.site, call.caller, row, fields or None) for row in rows[start : start + size]],
        }


def _asked(call: JiraCall) -> tuple[str, list[str], int, str]:
    """Query, fields, size and page token, of the URL or of the body."""
    names = call.wanted("fields", None)
    fields = names if isinstance(names, list) else [each for each in call.text("fields").split(",") if each]
    size = call.wanted("maxResults", call.number("maxResults", 50))
    token = call.wanted("nextPageToken", call.text("nextPageToken"))
    return str(call.wanted("jql", call.text("jql"))), fields, int(size), str(token or "")


def _token(position: int) -> str:
    return base64.b64encode(f"page:{position}".encode()).decode()


def _position(token: str) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token).decode().removeprefix("page:"))
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ApiError(400, "The provided next page token is invalid or expired.") from error
