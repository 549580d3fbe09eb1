"""Reading one window of time entries in slices of time that fit on one page each (docs/freshdesk.md).

The list has no total and no documented order, and it changes while it is read: rows of a second page may be skipped or
come twice, and nothing tells. A slice that came as a single page cannot be torn.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from zk_pipeline.connectors.answer import ApiResponse
from zk_pipeline.connectors.contract import SweepReport
from zk_pipeline.connectors.freshdesk import rows as freshdesk_rows
from zk_pipeline.connectors.freshdesk.client import PAGE_SIZE, FreshdeskClient
from zk_pipeline.connectors.http import Params
from zk_pipeline.domain.records import TimeAccounting, Window

ENTRIES = "time_entries"
SECOND = timedelta(seconds=1)
WANTED_ROWS = 75
"""Rows of a slice that leave room for busy hours."""

LARGEST_GROWTH = 4.0
MOST_PASSES = 4
"""Over the pages of one second with more entries than a page has."""


class SlicedSweep:
    """One read of one window; `run` may be called once."""

    def __init__(
        self, api: FreshdeskClient, window: Window, hint: int | None = None, *, may_pause: bool = True
    ) -> None:
        self._api = api
        self._window = window
        self._hint = hint
        self._may_pause = may_pause
        self._pages = 0
        self._seen: set[str] = set()
        self._rows = 0
        self._high_water: datetime | None = None
        self._doubt = ""

    def run(self) -> Iterator[list[TimeAccounting] | SweepReport]:
        """Yield the window's rows slice by slice, oldest first, then the report."""
        at, length = self._window.start, self._first_length()
        shrink = LARGEST_GROWTH
        while at < self._window.end:
            end = min(at + length, self._window.end)
            found = self._slice(at, end)
            if found is None and end - at > SECOND:
                length, shrink = max(SECOND, (end - at) / shrink), 2.0
                continue
            number = len(found) if found is not None else PAGE_SIZE
            taken = self._take(self._crowded(at, end) if found is None else found, at, end)
            if taken:
                yield taken
            length = max(SECOND, (end - at) * min(LARGEST_GROWTH, WANTED_ROWS / max(number, 1)))
            at = end
        yield SweepReport(
            window=self._window,
            pages=self._pages,
            rows=self._rows,
            total_before=None,
            total_after=None,
            high_water=self._high_water,
            complete=not self._doubt,
            reason=self._doubt,
            rows_before=self._rows,  # Our hint: it tells how long the first slice may be.
        )

    def _first_length(self) -> timedelta:
        whole = self._window.end - self._window.start
        if self._hint is None or self._hint <= 0:
            return whole
        return max(SECOND, min(whole, whole * (WANTED_ROWS / self._hint)))

    def _slice(self, start: datetime, end: datetime, agent_id: str = "") -> list[TimeAccounting] | None:
        """The rows around a span; `None` if they do not fit on one page."""
        answer = self._page(start, end, 1, agent_id)
        return None if self._api.has_next(answer, 1) else freshdesk_rows.entries(answer)

    def _page(self, start: datetime, end: datetime, number: int, agent_id: str = "") -> ApiResponse:
        # Whether the bounds are part of the span is not documented: one second more, and the rest is left out here.
        params: Params = {
            "executed_after": _utc(start - SECOND),
            "executed_before": _utc(end + SECOND),
            "per_page": PAGE_SIZE,
            "page": number,
        }
        if self._pages:
            (self._api.pace if self._may_pause else self._api.require_budget)(ENTRIES)
        self._pages += 1
        return self._api.get(ENTRIES, {**params, "agent_id": agent_id} if agent_id else params)

    def _crowded(self, start: datetime, end: datetime) -> list[TimeAccounting]:
        """The rows of a second with more than a page: who books by day alone books them all at one instant.

        Read until two passes agree, and otherwise person by person.
        """
        found: dict[str, TimeAccounting] = {}
        before: list[str] | None = None
        for _ in range(MOST_PASSES):
            rows = self._pass(start, end)
            found |= {row.id: row for row in rows}
            ids = sorted(row.id for row in rows)
            if ids == before and len(set(ids)) == len(ids):
                return rows
            before = ids
        for agent_id in sorted({row.agent_id for row in found.values() if row.agent_id != freshdesk_rows.NO_ID}):
            rows_of_one = self._slice(start, end, agent_id)
            if rows_of_one is None:
                self._doubt = f"more entries of one person at {_utc(start)} than a page has"
                continue
            found = {row.id: row for row in found.values() if row.agent_id != agent_id}
            found |= {row.id: row for row in rows_of_one}
        if {row.id for row in self._pass(start, end)} - found.keys():  # Of somebody who was not known yet.
            self._doubt = self._doubt or f"the entries at {_utc(start)} did not hold still"
        return list(found.values())

    def _pass(self, start: datetime, end: datetime) -> list[TimeAccounting]:
        rows: list[TimeAccounting] = []
        number = 1
        while True:
            answer = self._page(start, end, number)
            rows += freshdesk_rows.entries(answer)
            if not self._api.has_next(answer, number):
                return rows
            number += 1

    def _take(self, rows: Iterable[TimeAccounting], start: datetime, end: datetime) -> list[TimeAccounting]:
        taken: list[TimeAccounting] = []
        for row in sorted(rows, key=lambda row: (row.counts_at, len(row.id), row.id)):
            if row.id == freshdesk_rows.NO_ID:
                self._doubt = self._doubt or "an entry came whose id cannot be read"
            elif start <= row.counts_at < end and row.id not in self._seen:
                self._seen.add(row.id)
                taken.append(row)
                self._high_water = max(self._high_water or row.updated_at, row.updated_at)
        self._rows += len(taken)
        return taken


def _utc(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
