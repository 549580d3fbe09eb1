"""Reading one window from Zammad's flat list, which can be sorted and paged but not filtered (docs/zammad.md §2, §13).

Sorted by creation, the window is one stretch of the list. A binary search over the starts of the pages finds the page
with its first row, so a window costs at most `log2(N) + rows/1000 + 4` requests, whatever is outside of it.
"""

from collections.abc import Iterator
from datetime import datetime

from zk_pipeline.connectors.contract import SweepReport
from zk_pipeline.connectors.http import HttpClient
from zk_pipeline.connectors.zammad import rows as zammad_rows
from zk_pipeline.domain.instants import microseconds
from zk_pipeline.domain.records import TimeAccounting, Window

ACCOUNTINGS = "/api/v1/time_accountings"
PAGE_SIZE = 1000
SMALLEST_PAGE = 100
"""No list of Zammad has a smaller page (docs/zammad.md §8)."""

NEEDS = ("admin.time_accounting",)
NEWEST_CHANGE_FIRST = {"sort_by": "updated_at,id", "order_by": "desc,desc"}


class FlatList:
    """The list of all time accountings, oldest first; positions count from 0, pages from 1."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.gives_full_pages = False
        """True once a page of the full size came, which proves that page numbers count in that size."""

    def total(self) -> int:
        """The number of time accountings."""
        answer = self._http.get(ACCOUNTINGS, {"full": "true", "per_page": 1}, needs=NEEDS)
        return answer.row("count of time accountings").integer("total_count")

    def page(self, number: int, size: int) -> list[TimeAccounting]:
        """One page; Zammad may silently reduce the size."""
        # Directions pair with columns by position: a column without a direction would be dropped.
        params = {"sort_by": "created_at,id", "order_by": "asc,asc", "per_page": size, "page": number}
        rows = zammad_rows.accountings(self._http.get(ACCOUNTINGS, params, needs=NEEDS))
        self.gives_full_pages = self.gives_full_pages or len(rows) == PAGE_SIZE
        return rows

    def newest_changes(self, size: int) -> tuple[list[TimeAccounting], int]:
        """The newest changes, newest first, and the total of the whole list, in one response."""
        params = {**NEWEST_CHANGE_FIRST, "per_page": size, "page": 1, "full": "true"}
        answer = self._http.get(ACCOUNTINGS, params, needs=NEEDS).row("page of changes")
        return zammad_rows.accountings_with_assets(answer), answer.integer("total_count")

    def changes(self, number: int, size: int) -> list[TimeAccounting]:
        """One page by time of change, newest first, without the people and tickets that a total brings along."""
        params = {**NEWEST_CHANGE_FIRST, "per_page": size, "page": number}
        return zammad_rows.accountings(self._http.get(ACCOUNTINGS, params, needs=NEEDS))

    def row_at(self, position: int) -> TimeAccounting | None:
        """The row at a position, oldest first; `None` past the end."""
        return next(iter(self.page(position + 1, 1)), None)

    def rows_from(self, position: int) -> tuple[int, list[TimeAccounting]]:
        """The page with the row at this position, and the position of its first row."""
        number = position // PAGE_SIZE + 1
        rows = self.page(number, PAGE_SIZE)
        if len(rows) == PAGE_SIZE or (number == 1 and position < len(rows)):
            return (number - 1) * PAGE_SIZE, rows
        # The last page, or a server that returns fewer rows than asked for: its pages count in its own size.
        size = SMALLEST_PAGE
        return position // size * size, self.page(position // size + 1, size)

    def key(self, row: TimeAccounting) -> tuple[int, int]:
        """The sort key: creation in microseconds, and the id."""
        return microseconds(row.created_at), int(row.id)

    def created_at(self, position: int) -> datetime | None:
        """When the row at a position was created; `None` past the end."""
        row = self.row_at(position)
        return row.created_at if row and "created_at" not in row.faults else None


class WindowSweep:
    """One read of one window; `run` may be called once."""

    def __init__(self, flat: FlatList, window: Window, hint: int | None) -> None:
        self._flat = flat
        self._window = window
        self._hint = hint
        self._size = PAGE_SIZE
        self._pages = 0
        self._seen: set[str] = set()
        self._rows = 0
        self._before = 0
        self._high_water: datetime | None = None
        self._last: datetime | None = None
        self._doubt = ""

    def run(self) -> Iterator[list[TimeAccounting] | SweepReport]:
        """Yield the window's rows page by page, then the report."""
        total = self._flat.total()
        for page in self._read_on(total) if total else ():
            rows = self._take(page)
            if rows:
                yield rows
        # A single page is one consistent view; several are only if nothing moved meanwhile.
        after = self._flat.total() if self._pages > 1 else total
        if after != total and not self._doubt:
            self._doubt = f"the number of time accountings went from {total} to {after} during the read"
        yield SweepReport(
            window=self._window,
            pages=self._pages,
            rows=self._rows,
            total_before=total,
            total_after=after,
            high_water=self._high_water,
            complete=not self._doubt,
            reason=self._doubt,
            rows_before=self._before,
        )

    def _read_on(self, total: int) -> Iterator[list[TimeAccounting]]:
        number, page = self._first_page(total)
        first = (number - 1) * self._size
        self._before = first + sum(row.created_at < self._window.start for row in page)
        while page and not self._repeats(page):
            yield page
            if page[-1].created_at >= self._window.end or first + len(page) == total:
                return
            number, first = number + 1, first + len(page)
            page = self._read(number)

    def _first_page(self, total: int) -> tuple[int, list[TimeAccounting]]:
        """The page with the window's first row, or a page before it."""
        number, page = self._locate(total)
        while self._is_capped(number, page, total):
            self._size, self._hint = len(page), None
            number, page = self._locate(total)
        return number, page

    def _is_capped(self, number: int, page: list[TimeAccounting], total: int) -> bool:
        """Whether the server returns fewer rows per page than asked for: page numbers then count in its size.

        If only the short last page was read, only the page after it can show this.
        """
        if not page:
            return False
        if len(page) < min(self._size, total - (number - 1) * self._size):
            return True
        proven = number == 1 or self._size < PAGE_SIZE or self._flat.gives_full_pages
        return not proven and bool(self._read(number + 1))

    def _locate(self, total: int) -> tuple[int, list[TimeAccounting]]:
        low, high = 1, -(-total // self._size)
        if self._hint is not None:
            number = min(max(self._hint, 0) // self._size + 1, high)
            page = self._read(number)
            # Only a row before the window proves that no row of the window is missed.
            if number > 1 and not self._starts_before(page):
                high = number - 1
            elif page and number < high and page[-1].created_at < self._window.start:
                low = number + 1
            else:
                return number, page
        number = self._search(low, high)
        page = self._read(number)
        while number > low and not self._starts_before(page):
            number -= 1
            page = self._read(number)
        return number, page

    def _search(self, low: int, high: int) -> int:
        """The last page whose first row was created before the window, else `low`; each step reads one row."""
        while low < high:
            middle = (low + high + 1) // 2
            created_at = self._flat.created_at((middle - 1) * self._size)
            if created_at is not None and created_at < self._window.start:
                low = middle
            else:
                high = middle - 1
        return low

    def _starts_before(self, page: list[TimeAccounting]) -> bool:
        return bool(page) and page[0].created_at < self._window.start

    def _read(self, number: int) -> list[TimeAccounting]:
        self._pages += 1
        return self._flat.page(number, self._size)

    def _repeats(self, page: list[TimeAccounting]) -> bool:
        """Whether a page brings nothing new, which would never end."""
        if any(row.id not in self._seen for row in page if row.id != zammad_rows.NO_ID):
            return False
        self._doubt = "a page came twice"
        return True

    def _take(self, page: list[TimeAccounting]) -> list[TimeAccounting]:
        taken: list[TimeAccounting] = []
        for row in page:
            if self._last is not None and row.created_at < self._last:
                self._doubt = "the rows were not sorted by their creation"
            self._last = row.created_at
            if row.id == zammad_rows.NO_ID:
                self._doubt = self._doubt or "a booking came whose id cannot be read"
                continue
            if row.id in self._seen:
                self._doubt = self._doubt or "rows moved from page to page during the read"
                continue
            self._seen.add(row.id)
            if self._window.start <= row.created_at < self._window.end:
                taken.append(row)
                self._high_water = max(self._high_water or row.updated_at, row.updated_at)
        self._rows += len(taken)
        return taken
