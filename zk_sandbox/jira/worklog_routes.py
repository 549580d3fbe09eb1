"""The worklogs of an issue, and the feeds of all worklogs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from zk_sandbox.jira.calls import JiraCall, routes
from zk_sandbox.jira.errors import ApiError, no_issue, no_worklog
from zk_sandbox.jira.records import Issue, Worklog, instant_of, milliseconds
from zk_sandbox.jira.site import KEEP, Site
from zk_sandbox.jira.views import worklog_json, worklogs_page

FEED_PAGE = 1000
LISTED_AT_ONCE = 1000
PAGE_SIZES = {"cloud": 5000, "server": 20}
LARGEST_PAGE = 5000
HIDDEN = timedelta(minutes=1)
"""Feeds leave out what happened within the last minute."""

SHORTEST = 60
NO_TIME_TRACKING = "Time Tracking is not enabled in Jira."


@dataclass(frozen=True, slots=True)
class WorklogRoutes:
    """Handlers of the worklog operations."""

    site: Site

    def routes(self) -> list[Route]:
        """All of them."""
        one, every = "/issue/{issue}/worklog/{worklog}", "/issue/{issue}/worklog"
        table = [
            ("GET", "/worklog/updated", self.updated),
            ("GET", "/worklog/deleted", self.deleted),
            ("POST", "/worklog/list", self.listed),
            ("POST", "/issue/{issue}/worklog/move", self.move),
            ("GET", every, self.of_issue),
            ("POST", every, self.add),
            ("DELETE", every, self.delete_many),
            ("GET", one, self.one),
            ("PUT", one, self.change),
            ("DELETE", one, self.delete),
        ]
        return [each for method, path, handler in table for each in routes(self.site, method, path, handler)]

    # Feeds

    def updated(self, call: JiraCall) -> dict[str, Any]:
        """Created and edited worklogs, oldest change first."""
        self._require_feed(call)
        rows = [(milliseconds(at), row.id) for row in self._in_feed(call) for at in self._changes(row)]
        return self._feed(call, "updated", rows)

    def deleted(self, call: JiraCall) -> dict[str, Any]:
        """Deleted worklogs; nothing is hidden, so ids come that the caller never saw."""
        self._require_feed(call)
        kept = self.site.settings.tombstones_kept_days
        since = self.site.settings.clock() - timedelta(days=kept) if kept is not None else None
        gone = [row for row in self.site.state.tombstones if since is None or row.at >= since]
        return self._feed(call, "deleted", [(milliseconds(row.at), row.id) for row in gone])

    def listed(self, call: JiraCall) -> list[dict[str, Any]]:
        """Worklogs by id; those that are gone or hidden are left out without a word."""
        self._require_feed(call)
        ids = call.wanted("ids", [])
        if not isinstance(ids, list) or len(ids) > LISTED_AT_ONCE:
            raise ApiError(400, f"The number of worklog ids must not exceed {LISTED_AT_ONCE}.")
        found = [self.site.state.worklogs.get(int(each)) for each in dict.fromkeys(map(str, ids))]
        return [worklog_json(self.site, row) for row in found if row and call.caller.reads(row)]

    def _require_feed(self, call: JiraCall) -> None:
        self._require_time_tracking()
        if call.caller.user is None and self.site.settings.feeds_for_strangers == "refused":
            call.caller.require_account()

    def _in_feed(self, call: JiraCall) -> Iterator[Worklog]:
        for row in self.site.state.worklogs.values():
            browses = call.caller.user and self.site.settings.feed_shows_hidden
            if call.caller.reads(row) or (browses and call.caller.is_named_by(row)):
                yield row

    def _changes(self, row: Worklog) -> list[Any]:
        return [row.updated] if self.site.settings.feed_rows == "worklog" else row.changes

    def _feed(self, call: JiraCall, name: str, rows: list[tuple[int, int]]) -> dict[str, Any]:
        since = call.number("since", 0)
        known = milliseconds(self.site.settings.clock() - HIDDEN)
        matching = sorted(row for row in rows if since <= row[0] <= known)
        page = matching[:FEED_PAGE]
        is_last = len(page) == len(matching)
        until = page[-1][0] if page else since
        if self.site.settings.feed_stands_still:
            is_last, until = False, since
        version = 3 if self.site.settings.is_cloud else 2
        here = f"{self.site.settings.base_url}/rest/api/{version}/worklog/{name}"
        answer: dict[str, Any] = {
            "values": [{"worklogId": id_, "updatedTime": at, "properties": []} for at, id_ in page],
            "since": since,
            "until": until,
            "self": f"{here}?since={since}",
            "lastPage" if self.site.settings.is_cloud else "isLastPage": is_last,
        }
        if not is_last:
            host = self.site.settings.next_page_host
            answer["nextPage"] = f"{host or here}?since={until}"
        return answer

    # Worklogs of an issue

    def of_issue(self, call: JiraCall) -> dict[str, Any]:
        """The worklogs of an issue by creation; Data Center shows 20 unless it is asked for more."""
        issue = self._issue(call)
        start, size = call.page(PAGE_SIZES[self.site.settings.deployment], LARGEST_PAGE)
        return worklogs_page(self.site, self._within(call, self._readable(call, issue)), start, size)

    def one(self, call: JiraCall) -> dict[str, Any]:
        """One worklog of an issue."""
        return worklog_json(self.site, self._worklog(call))

    def add(self, call: JiraCall) -> Response | dict[str, Any]:
        """Log work as the account itself: nobody else can be named."""
        author = call.caller.require_account()
        issue = self._issue(call)
        started = _started(call) or self.site.settings.clock()
        new = self.site.log(issue.id, author.id, _seconds(call), started, call.wanted("comment", None))
        return worklog_json(self.site, self.site.state.worklogs[new])

    def change(self, call: JiraCall) -> dict[str, Any]:
        """Change begin, time and comment."""
        editor = call.caller.require_account()
        row = self._worklog(call)
        self.site.edit(
            row.id,
            seconds=_seconds(call) if call.wanted("timeSpentSeconds", None) is not None else KEEP,
            started=_started(call) or KEEP,
            comment=call.wanted("comment", KEEP),
            editor_id=editor.id,
        )
        return worklog_json(self.site, row)

    def delete(self, call: JiraCall) -> Response:
        """Delete one."""
        call.caller.require_account()
        self.site.delete(self._worklog(call).id)
        return Response(status_code=204)

    def delete_many(self, call: JiraCall) -> Response:
        """Delete several at once, without any notice."""
        for row in self._chosen(call):
            self.site.delete(row.id)
        return Response(status_code=204)

    def move(self, call: JiraCall) -> Response:
        """Move several to another issue, without any notice."""
        target = self.site.state.issue(str(call.wanted("issueIdOrKey", "")))
        if target is None or not call.caller.opens(target):
            raise no_issue()
        self.site.move_worklogs([row.id for row in self._chosen(call)], target.id)
        return Response(status_code=204)

    def _chosen(self, call: JiraCall) -> list[Worklog]:
        call.caller.require_account()
        issue = self._issue(call)
        ids = {int(each) for each in call.wanted("ids", [])}
        return [row for row in self._readable(call, issue) if row.id in ids]

    def _issue(self, call: JiraCall) -> Issue:
        self._require_time_tracking()
        issue = self.site.state.issue(call.path["issue"])
        if issue is None or not call.caller.opens(issue):
            raise no_issue()
        return issue

    def _worklog(self, call: JiraCall) -> Worklog:
        issue = self._issue(call)
        worklog_id = call.path["worklog"]
        for row in self._readable(call, issue):
            if str(row.id) == worklog_id:
                return row
        raise no_worklog(worklog_id)

    def _readable(self, call: JiraCall, issue: Issue) -> list[Worklog]:
        if not self.site.settings.is_cloud and not self.site.state.projects[issue.project_id].logs_work:
            return []
        return [row for row in self.site.state.worklogs_of(issue.id) if call.caller.reads(row)]

    def _within(self, call: JiraCall, rows: list[Worklog]) -> list[Worklog]:
        edge = 0 if self.site.settings.inclusive_bounds else 1
        after = call.number("startedAfter", -(2**62)) + edge
        before = call.number("startedBefore", 2**62) - edge
        return [row for row in rows if after <= milliseconds(row.started) <= before]

    def _require_time_tracking(self) -> None:
        if not self.site.settings.time_tracking:
            raise ApiError(400, NO_TIME_TRACKING)


def _seconds(call: JiraCall) -> int:
    seconds = call.wanted("timeSpentSeconds", 0)
    if not isinstance(seconds, int) or seconds < SHORTEST:
        raise ApiError(400, "Worklog must not be null.", field="timeLogged")
    return seconds


def _started(call: JiraCall) -> Any:
    text = call.wanted("started", None)
    if text is None:
        return None
    try:
        return instant_of(text)
    except ValueError as error:
        raise ApiError(400, "Invalid date format. Please use a valid format.", field="started") from error
