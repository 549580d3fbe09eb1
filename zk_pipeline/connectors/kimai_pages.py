"""Reading all pages of Kimai's time sheets, and noticing when rows moved between them (docs/kimai.md §2)."""

from dataclasses import dataclass
from datetime import datetime

from zk_pipeline.connectors import kimai_rows
from zk_pipeline.connectors.answer import http_date
from zk_pipeline.connectors.errors import NotFoundError
from zk_pipeline.connectors.http import HttpClient, Params
from zk_pipeline.connectors.kimai_errors import TIMESHEETS
from zk_pipeline.domain.records import Timesheet

PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass over the pages saw. `doubt` says why it may have missed rows, or is empty."""

    rows: list[Timesheet]
    pages: int
    total_before: int
    total_after: int
    doubt: str


class TimesheetList:
    """The time sheets of all users that pass the filters, by id; places count from 0, pages from 1."""

    def __init__(self, http: HttpClient, filters: Params) -> None:
        self._http = http
        self._filters = filters
        self.total = 0
        """How many there are, as the last answer said."""
        self.answered_at: datetime | None = None
        """When that was, by Kimai's clock."""

    def row_at(self, position: int) -> Timesheet | None:
        """The time sheet at a place, or `None` past the end."""
        return next(iter(self._page(position + 1, 1)), None)

    def rows_from(self, position: int) -> tuple[int, list[Timesheet]]:
        """A page that holds the time sheet at this place, and the place of its first one."""
        number = position // PAGE_SIZE + 1
        return (number - 1) * PAGE_SIZE, self._page(number, PAGE_SIZE)

    def key(self, row: Timesheet) -> tuple[int, int]:
        """What the list is sorted by."""
        return row.id, row.id

    def _page(self, number: int, size: int) -> list[Timesheet]:
        params = {"user": "all", "orderBy": "id", "order": "ASC", "size": size, "page": number, **self._filters}
        try:
            answer = self._http.get(TIMESHEETS, params, needs=("view_other_timesheet",))
        except NotFoundError:  # Past the end (docs/kimai.md §2).
            return []
        self.total = answer.header_number("X-Total-Count")
        self.answered_at = http_date(answer.headers.get("Date", ""))
        return [kimai_rows.timesheet(row) for row in answer.rows("time sheet")]


def read_timesheets(http: HttpClient, filters: Params) -> Reading:
    """Read the time sheets of all users that pass the filters, lowest id first.

    Pages are cut again for each request; when the total moves between them, all are read once more.
    """
    reading = _read_once(http, filters)
    return _read_once(http, filters) if reading.doubt else reading


def _read_once(http: HttpClient, filters: Params) -> Reading:
    # Only `id` orders rows the same way on every page in every version (docs/kimai.md §2).
    params = {"user": "all", "orderBy": "id", "order": "ASC", "size": PAGE_SIZE, **filters}
    rows: dict[int, Timesheet] = {}
    before = after = 0
    number = last = 1
    doubt = ""
    while number <= last and not doubt:
        try:
            answer = http.get(TIMESHEETS, {**params, "page": number}, needs=("view_other_timesheet",))
        except NotFoundError:
            if number == 1:
                raise
            # Kimai answers so past the end: the list became shorter meanwhile.
            doubt = "time sheets disappeared during the read"
            break
        after = answer.header_number("X-Total-Count")
        if number == 1:
            before, last = after, answer.header_number("X-Total-Pages")
        good, unreadable = answer.readable("time sheet", kimai_rows.timesheet)
        rows |= {row.id: row for row in good}
        if unreadable:
            doubt = "a time sheet came whose id cannot be read"
        if after != before:
            doubt = f"the number of time sheets went from {before} to {after} during the read"
        number += 1
    if not doubt and len(rows) != before:
        doubt = f"{before} time sheets were announced, but {len(rows)} came"
    return Reading([rows[key] for key in sorted(rows)], number - 1, before, after, doubt)
