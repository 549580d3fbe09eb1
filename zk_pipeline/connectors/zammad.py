"""The Zammad connector: bookings (time accountings), their tickets, and who and what they refer to."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from zk_pipeline.connectors import zammad_rows
from zk_pipeline.connectors.answer import Answer, Row, in_chunks
from zk_pipeline.connectors.base import Changes, Endpoint, Finding, SourceConnector, Sweep, Validation
from zk_pipeline.connectors.errors import NotFoundError
from zk_pipeline.connectors.http_connector import HttpConnector
from zk_pipeline.connectors.zammad_errors import ZammadDialect
from zk_pipeline.connectors.zammad_validation import validate, version_findings
from zk_pipeline.connectors.zammad_window import ACCOUNTINGS, NEEDS, FlatList, WindowSweep
from zk_pipeline.domain.records import (
    AccountingChange,
    AccountingDraft,
    ActivityType,
    Agent,
    Organization,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Window,
)

LIST_SIZE = 1000
CHANGES_SIZE = 100
SMALLEST_LIST_SIZE = 100
"""No list of Zammad has a smaller page: fewer rows are the last (docs/zammad.md §8)."""

TYPES = "/api/v1/time_accounting/types"
ID = re.compile(r"(?:id:)?(\d{1,18})")
FOUND_AT_ONCE = 50
READERS = 4
TICKETS_PER_SEARCH = 200
WESTMOST, EASTMOST = timedelta(hours=-12), timedelta(hours=14)

Month = tuple[int, int]


class ZammadConnector(HttpConnector, SourceConnector):
    """Reads and writes time accountings of Zammad 6.1 or newer (docs/zammad.md §2)."""

    kind = "zammad"

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint, ZammadDialect(), sleep=sleep)
        self._flat = FlatList(self._http)

    def validate(self) -> Validation:
        """Test connection, version, permissions and readable groups (docs/zammad.md §1, §9)."""
        return validate(self._http)

    def version_findings(self) -> tuple[Finding, ...]:
        """What there is to say about the version, in one request."""
        return version_findings(self._http)

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the bookings created within the window, oldest first (docs/zammad.md §13)."""
        return Sweep(lambda: WindowSweep(self._flat, window, hint).run())

    def fetch_changes(self, since: datetime) -> Changes:
        """Read the newest changes page by page until one lies before `since` (docs/zammad.md §2, §13)."""
        changed: dict[int, TimeAccounting] = {}
        number, total = 1, 0
        while True:
            page, total = self._flat.newest_changes(number, CHANGES_SIZE)
            changed |= {row.id: row for row in page if row.updated_at >= since and row.id not in changed}
            if len(page) < CHANGES_SIZE or page[-1].updated_at < since:
                return Changes(tuple(changed.values()), total)
            number += 1

    def fetch_of_ticket(self, ticket_id: int) -> list[TimeAccounting]:
        """Read the bookings on one ticket; `[]` also for one that does not exist (docs/zammad.md §2)."""
        try:
            answer = self._http.get(f"/api/v1/tickets/{ticket_id}/time_accountings", needs=NEEDS)
        except NotFoundError:
            return []
        return zammad_rows.accountings(answer)

    def fetch_types(self) -> list[ActivityType]:
        """Read all activity types (docs/zammad.md §4)."""
        return [zammad_rows.activity_type(row) for row in self._list(TYPES, "activity type", NEEDS)]

    def fetch_agents(self, ids: Collection[int]) -> list[Agent]:
        """Read these users one by one: a list would hold every customer of the help desk (docs/zammad.md §6)."""
        with ThreadPoolExecutor(READERS, thread_name_prefix="agents") as pool:
            return [agent for agent in pool.map(self._agent, sorted(ids)) if agent is not None]

    def find(self, text: str) -> SourceDirectory:
        """Ask Zammad's search, or for the id; without its search engine Zammad finds little (docs/zammad.md §6)."""
        number = ID.fullmatch(text.strip())
        if number:
            agent, organization = self._agent(int(number[1])), self._organization(int(number[1]))
            return SourceDirectory((agent,) if agent else (), (organization,) if organization else (), ())
        wanted = {"query": text, "per_page": FOUND_AT_ONCE}
        users = self._http.get("/api/v1/users/search", wanted, needs=("ticket.agent",)).rows("user")
        organizations = self._http.get("/api/v1/organizations/search", wanted, needs=("ticket.agent",))
        return SourceDirectory(
            tuple(zammad_rows.agent(row) for row in users),
            tuple(zammad_rows.organization(row) for row in organizations.rows("organization")),
            (),
        )

    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the tickets of these bookings; those in groups that the account may not read come from the report.

        A ticket that was deleted meanwhile is not in the list (docs/zammad.md §3, §5).
        """
        bookings: dict[int, list[datetime]] = {}
        for accounting in accountings:
            bookings.setdefault(accounting.ticket_id, []).append(accounting.created_at)
        found: dict[int, Ticket] = {}
        for ids in in_chunks(sorted(bookings), TICKETS_PER_SEARCH):
            found |= {ticket.id: ticket for ticket in self._search_tickets(ids)}
        hidden = {ticket_id: moments for ticket_id, moments in bookings.items() if ticket_id not in found}
        found |= self._reported_tickets(hidden)
        return [found[ticket_id] for ticket_id in sorted(found)]

    def exists(self, accounting_id: int) -> bool:
        """Tell whether a booking still exists; only Zammad's own "not found" for it says no (docs/zammad.md §8)."""
        try:
            answer = self._http.get(f"{ACCOUNTINGS}/{accounting_id}", needs=NEEDS)
        except NotFoundError:
            return False
        if self._accounting(answer).id != accounting_id:
            raise answer.fault(f"Time accounting {accounting_id} was asked for, but another one came.")
        return True

    def create(self, draft: AccountingDraft) -> TimeAccounting:
        """Book time in the name of the token's owner; Zammad sets the moment itself (docs/zammad.md §2)."""
        body: dict[str, Any] = {"time_unit": format(draft.units, "f")}
        if draft.type_id is not None:
            body["type_id"] = draft.type_id
        if draft.article_id is not None:
            body["ticket_article_id"] = draft.article_id
        path = f"/api/v1/tickets/{draft.ticket_id}/time_accountings"
        answer = self._http.write("POST", path, body, needs=NEEDS)
        booked = self._accounting(answer)
        if booked.ticket_id != draft.ticket_id:
            raise answer.fault(f"Ticket {draft.ticket_id} was to be booked, but {booked.ticket_id} was.")
        return booked

    def update(self, accounting_id: int, change: AccountingChange) -> TimeAccounting:
        """Change number or type of a booking; an empty change only reads it (docs/zammad.md §2)."""
        body: dict[str, Any] = {}
        if change.units is not None:
            body["time_unit"] = format(change.units, "f")
        if change.type_id is not None:
            body["type_id"] = change.type_id
        path = f"{ACCOUNTINGS}/{accounting_id}"
        if not body:
            return self._accounting(self._http.get(path, needs=NEEDS))
        return self._accounting(self._http.write("PUT", path, body, repeatable=True, needs=NEEDS))

    def delete(self, accounting_id: int) -> None:
        """Delete a booking; one that is already gone is no error."""
        with suppress(NotFoundError):
            self._http.write("DELETE", f"{ACCOUNTINGS}/{accounting_id}", repeatable=True, needs=NEEDS)

    def _agent(self, user_id: int) -> Agent | None:
        try:
            answer = self._http.get(f"/api/v1/users/{user_id}", needs=("ticket.agent",))
        except NotFoundError:
            return None
        return zammad_rows.agent(answer.row("user"))

    def _organization(self, organization_id: int) -> Organization | None:
        try:
            answer = self._http.get(f"/api/v1/organizations/{organization_id}", needs=("ticket.agent",))
        except NotFoundError:
            return None
        return zammad_rows.organization(answer.row("organization"))

    @staticmethod
    def _accounting(answer: Answer) -> TimeAccounting:
        return zammad_rows.accounting(answer.row("time accounting"))

    def _list(self, path: str, what: str, needs: tuple[str, ...]) -> Iterator[Row]:
        """All rows of a paged list, each once; the page size that counts is the one that came."""
        seen: set[int] = set()
        full = SMALLEST_LIST_SIZE
        number = 0
        while True:
            number += 1
            page = self._http.get(path, {"page": number, "per_page": LIST_SIZE}, needs=needs).rows(what)
            fresh = [row for row in page if row.integer("id") not in seen]
            seen.update(row.integer("id") for row in fresh)
            yield from fresh
            if len(page) < full or not fresh:
                return
            full = len(page)

    def _search_tickets(self, ids: list[int]) -> list[Ticket]:
        condition = {"ticket.id": {"operator": "is", "value": [str(ticket_id) for ticket_id in ids]}}
        body = {"condition": condition, "expand": True, "page": 1, "per_page": TICKETS_PER_SEARCH}
        answer = self._http.search("/api/v1/tickets/search", body, needs=("ticket.agent",))
        tickets = [zammad_rows.ticket(row) for row in answer.rows("ticket")]
        if not {ticket.id for ticket in tickets} <= set(ids):
            raise answer.fault("The search for tickets by id gave others.", "Use Zammad 6.1 or newer.")
        return tickets

    def _reported_tickets(self, hidden: dict[int, list[datetime]]) -> dict[int, Ticket]:
        reports: dict[Month, dict[int, Ticket]] = {}
        found: dict[int, Ticket] = {}
        for ticket_id, moments in hidden.items():
            for month in _months(moments):
                if month not in reports:
                    reports[month] = self._report(month)
                if ticket_id in reports[month]:
                    found[ticket_id] = reports[month][ticket_id]
                    break
        return found

    def _report(self, month: Month) -> dict[int, Ticket]:
        path = f"/api/v1/time_accounting/log/by_activity/{month[0]}/{month[1]}"
        lines = self._http.get(path, needs=NEEDS).rows("line of the activity report")
        tickets = (zammad_rows.reported_ticket(line) for line in lines)
        return {ticket.id: ticket for ticket in tickets}


def _months(moments: list[datetime]) -> list[Month]:
    """The months in whose report these bookings may be, likeliest first.

    Months were cut in UTC up to Zammad 6.4 and are cut in the system's zone since (docs/zammad.md §3).
    """
    shifts = (timedelta(0), WESTMOST, EASTMOST)
    shifted = [moment + shift for shift in shifts for moment in moments]
    return list(dict.fromkeys((moment.year, moment.month) for moment in shifted))
