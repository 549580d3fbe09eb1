"""Jira's feeds of changed and deleted worklogs, and reading worklogs by id (docs/jira.md).

A feed has a thousand rows a page, oldest change first. It hides the last minute, and its position is an instant, so
that the rows at the border of two pages come twice.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from zk_pipeline.connectors.answer import ApiResponse, RowReader, in_chunks
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.jira import rows as jira_rows
from zk_pipeline.connectors.jira.rows import Worklog

PAGE_SIZE = 1000
LISTED_AT_ONCE = 1000
UPDATED, DELETED = "updated", "deleted"
ISSUE_PAGE = 1000
NEEDS = ("to access Jira",)


@dataclass(frozen=True, slots=True)
class FeedPage:
    """One page: the instant of the newest change of each worklog on it, in milliseconds, and where the next begins."""

    changes: dict[str, int]
    until: int
    is_last: bool


class Worklogs:
    """Reads worklogs of one Jira. `root` is the root of its API."""

    def __init__(self, http: HttpClient, root: str) -> None:
        self._http = http
        self._root = root

    def feed(self, name: str, since: int) -> Iterator[FeedPage]:
        """The pages of a feed from an instant on, which is included.

        The address of the next page that Jira sends is not used: it would take the token to another host. Raises
        `ProtocolError` if a page does not lead on, instead of asking for it for ever.
        """
        while True:
            answer = self._http.get(f"{self._root}/worklog/{name}", {"since": since}, needs=NEEDS)
            page = _page(answer, since)
            yield page
            if page.is_last:
                return
            if page.until <= since:
                raise answer.fault(
                    f"{len(page.changes)} or more worklogs have one and the same instant of change "
                    f"({jira_rows.moment_of(since):%Y-%m-%d %H:%M:%S.%f} UTC); Jira's feed does not lead beyond it.",
                    "They come from an import or a script. Edit some of them, such as their comment, so that they "
                    "change at another instant.",
                )
            since = page.until

    def listed(self, ids: Collection[str]) -> list[Worklog]:
        """These worklogs in the order of their ids. Those that are gone, and those that may not be seen, are left out.

        Raises `ProtocolError` if others come.
        """
        found: dict[str, Worklog] = {}
        for chunk in in_chunks(sorted(set(ids), key=int), LISTED_AT_ONCE):
            answer = self._http.search(
                f"{self._root}/worklog/list", {"ids": [int(each) for each in chunk]}, needs=NEEDS
            )
            seen = {row.booking.id: row for row in jira_rows.worklogs(answer)}
            if not seen.keys() <= {*chunk, jira_rows.NO_ID}:
                raise answer.fault("Worklogs were requested by id, but others were received.")
            found |= {id_: row for id_, row in seen.items() if id_ != jira_rows.NO_ID}
        return list(found.values())

    def of_issue(self, issue_id: str) -> list[Worklog]:
        """All worklogs of an issue by their creation, and each once.

        Raises `ProtocolError` if there are fewer than Jira says, and `NotFoundError` for an issue that is gone or
        hidden.
        """
        found: dict[str, Worklog] = {}
        start = 0
        while True:
            # Without both parameters, Data Center gives the first twenty and says nothing.
            asked = {"startAt": start, "maxResults": ISSUE_PAGE}
            answer = self._http.get(f"{self._root}/issue/{issue_id}/worklog", asked, needs=("BROWSE_PROJECTS",))
            page = answer.row("page of worklogs")
            items, total = _list(answer, page, "worklogs"), page.integer("total")
            found |= {row.booking.id: row for row in jira_rows.worklogs(answer, items)}
            start += len(items)
            if start >= total or not items:
                break
        found.pop(jira_rows.NO_ID, None)
        if start < total:
            raise answer.fault(
                f"The list of worklogs is incomplete: {start} of {total} came.",
                "Try again; if it stays so, look at the worklogs of this issue in Jira.",
            )
        return list(found.values())


def _page(answer: ApiResponse, since: int) -> FeedPage:
    row = answer.row("page of the feed")
    values = _list(answer, row, "values")
    changes: dict[str, int] = {}
    for item in values:
        change = RowReader(answer, item, "row of the feed")
        # The newest change counts, whether a feed has one row for each worklog or for each change.
        id_, moment = jira_rows.number(change, "worklogId"), change.integer("updatedTime")
        changes[id_] = max(moment, changes.get(id_, moment))
    given = row.raw.get("until")
    until = max((*changes.values(), given if isinstance(given, int) else since), default=since)
    said = [row.raw[name] for name in ("lastPage", "isLastPage") if isinstance(row.raw.get(name), bool)]
    is_last = not values or (any(said) if said else len(values) < PAGE_SIZE)
    return FeedPage(changes, until, is_last)


def _list(answer: ApiResponse, row: RowReader, name: str) -> list[object]:
    items = row.raw.get(name)
    if not isinstance(items, list):
        raise answer.fault(f"The list {name!r} is missing.")
    return items
