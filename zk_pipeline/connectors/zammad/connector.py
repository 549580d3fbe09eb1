"""The Zammad connector: bookings (time accountings), their tickets, and the people and items they refer to."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from zk_pipeline.connectors.answer import RowReader, in_chunks, run_concurrently
from zk_pipeline.connectors.checks import Finding, Validation
from zk_pipeline.connectors.contract import (
    ChangedRows,
    ChangedTicket,
    ChangedTickets,
    Endpoint,
    LastRead,
    RemainingChanges,
    SourceConnector,
    Sweep,
    SweepReport,
)
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError
from zk_pipeline.connectors.http import HttpConnector
from zk_pipeline.connectors.zammad import rows as zammad_rows
from zk_pipeline.connectors.zammad.errors import ZammadDialect
from zk_pipeline.connectors.zammad.validation import validate, version_findings
from zk_pipeline.connectors.zammad.webhooks import ZammadWebhooks
from zk_pipeline.connectors.zammad.window import ACCOUNTINGS, NEEDS, SMALLEST_PAGE, FlatList, WindowSweep
from zk_pipeline.connectors.zammad.write_back import ZammadTicketWriter
from zk_pipeline.domain.attributes import fields_of
from zk_pipeline.domain.records import (
    ActivityType,
    Agent,
    BookingKey,
    Existence,
    Organization,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Unreadable,
    Window,
)
from zk_pipeline.domain.source_ids import source_id_order
from zk_pipeline.domain.vanished import SortedListing

LIST_SIZE = 1000
CHANGES_SIZE = 100
PAGES_AT_ONCE = 10
"""A tick of the sensor has a minute."""

TYPES = "/api/v1/time_accounting/types"
ID = re.compile(r"id:(\d{1,18})", re.ASCII | re.IGNORECASE)
FOUND_AT_ONCE = 50
BOOKS = "ticket.agent"
"""What one may do who books time."""
TICKET_PAGES_AT_ONCE = 5
FOUND_BY_SEARCH = 200
WESTMOST, EASTMOST = timedelta(hours=-12), timedelta(hours=14)

Month = tuple[int, int]
Record = TypeVar("Record", TimeAccounting, Agent, Organization, ActivityType)


class ZammadConnector(HttpConnector, SourceConnector, ZammadTicketWriter):
    """Reads time accountings of Zammad 6.1 or newer (docs/zammad.md §2) and may write tags and notes."""

    kind = "zammad"
    webhooks = ZammadWebhooks()
    attributes = frozenset({"field"})

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint, ZammadDialect(), sleep=sleep)
        self._flat = FlatList(self._http)

    def validate(self) -> Validation:
        """Test connection, version, permissions and readable groups (docs/zammad.md §1, §9)."""
        return validate(self._http)

    def version_findings(self) -> tuple[Finding, ...]:
        """Findings about the version, in one request."""
        return version_findings(self._http)

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the bookings created within the window, oldest first (docs/zammad.md §13)."""
        return Sweep(lambda: WindowSweep(self._flat, window, hint).run())

    def confirm(self, read: LastRead) -> SweepReport | None:
        """Look at the newest changes, the total and the changed tickets (docs/zammad.md §13).

        New bookings outside of the window explain a larger total; deletions and imports make another one.
        """
        if read.total is None:
            return None
        seen = self.fetch_changes(read.since)
        new = sum(row.created_at > read.until for row in seen.rows)
        if seen.rest or any(_may_matter(row, read) for row in seen.rows) or seen.total != read.total + new:
            return None
        changed = self.fetch_changed_tickets(read.since)
        if not changed.complete or any(row.ticket.id in read.tickets for row in changed.rows):
            return None
        return read.confirmed(seen.total)

    def fetch_changes(self, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        """Read the newest changes until one is before `since`, ten thousand at a time (docs/zammad.md §2, §13)."""
        if rest is None:
            page, total = self._flat.newest_changes(CHANGES_SIZE)
            if len(page) < CHANGES_SIZE or page[-1].updated_at < since:
                return ChangedRows(tuple(row for row in _with_id(page) if row.updated_at >= since), total)
            rest = RemainingChanges(page[0].updated_at, 0, LIST_SIZE, total)
        return self._older_changes(since, rest)

    def _older_changes(self, since: datetime, rest: RemainingChanges) -> ChangedRows:
        """Continue where an earlier read left off.

        Changes since then moved to the top and push the others down; deletions let them move up. So the first page to
        read is the one that begins before that place, by the time of change.
        """
        number, size = rest.position // rest.page_size + 1, rest.page_size
        page = self._flat.changes(number, size)
        while number > 1 and (not page or page[0].updated_at < rest.until):
            number -= 1
            page = self._flat.changes(number, size)
        if number == 1 and SMALLEST_PAGE <= len(page) < min(size, rest.total or size):
            size = len(page)  # The server returns fewer rows per page than asked for: its pages count in that size.
        changed: dict[str, TimeAccounting] = {}
        last_number = number + PAGES_AT_ONCE - 1
        while True:
            fresh = [row for row in page if row.updated_at >= since]
            changed |= {row.id: row for row in _with_id(fresh) if rest.position == 0 or row.updated_at <= rest.until}
            if len(page) < size or len(fresh) < len(page):
                return ChangedRows(tuple(changed.values()), rest.total)
            if number >= last_number:
                go_on = RemainingChanges(page[-1].updated_at, number * size, size, rest.total)
                return ChangedRows(tuple(changed.values()), rest.total, go_on)
            number += 1
            page = self._flat.changes(number, size)

    def fetch_changed_tickets(self, since: datetime) -> ChangedTickets:
        """Search tickets by the time of their change, a thousand at a time (docs/zammad.md §5)."""
        moment = since.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        condition = {"ticket.updated_at": {"operator": "after (absolute)", "value": moment}}
        body = {
            "condition": condition,
            "expand": True,
            "sort_by": "updated_at",
            "order_by": "asc",
            "per_page": FOUND_BY_SEARCH,
        }
        found: dict[str, ChangedTicket] = {}
        for number in range(1, TICKET_PAGES_AT_ONCE + 1):
            answer = self._http.search("/api/v1/tickets/search", {**body, "page": number}, needs=("ticket.agent",))
            changed, _ = answer.readable("ticket", zammad_rows.changed_ticket)
            found |= {row.ticket.id: replace(row, ticket=self._asked(row.ticket)) for row in changed}
            if len(answer.items("ticket")) < FOUND_BY_SEARCH:
                return ChangedTickets(tuple(found.values()), complete=True)
        return ChangedTickets(tuple(found.values()), complete=False)

    def listing(self) -> SortedListing[TimeAccounting]:
        """All bookings by creation and id (docs/zammad.md §13)."""
        return self._flat

    def fetch_of_ticket(self, ticket_id: str) -> list[TimeAccounting]:
        """Read all bookings of one ticket; `[]` also for a ticket that does not exist (docs/zammad.md §2)."""
        try:
            path = f"/api/v1/tickets/{ticket_id}/time_accountings"
            found = list(self._list(path, "time accounting", NEEDS, zammad_rows.accounting, []))
        except NotFoundError:
            return []
        return _with_id(found)

    def fetch_types(self) -> SourceDirectory:
        """Read all activity types (docs/zammad.md §4)."""
        unreadable: list[Unreadable] = []
        types = tuple(self._list(TYPES, "activity type", NEEDS, zammad_rows.activity_type, unreadable))
        return SourceDirectory(activity_types=types, unreadable=tuple(unreadable))

    def fetch_agents(self, ids: Collection[str]) -> SourceDirectory:
        """Read these users: by a search for their ids, which Zammad knows from 6.5 on (docs/zammad.md §6).

        Whom it does not find is read alone. The list of users would include every customer of the help desk.
        """
        together = in_chunks(sorted(ids, key=source_id_order), FOUND_BY_SEARCH) if len(ids) > 1 else []
        found = SourceDirectory().joined(*run_concurrently(self._agents, together))
        known = {row.id for row in (*found.agents, *found.unreadable)}
        return found.joined(*run_concurrently(self._agent, sorted(set(ids) - known, key=source_id_order)))

    def find(self, text: str) -> SourceDirectory:
        """Use Zammad's search, or request the id; without its search engine Zammad finds little (docs/zammad.md §6).

        The search is for people who may book: its customers, and mail robots among them, are no agents.
        A bare number may be an id as well as a name.
        """
        wanted = text.strip()
        number = ID.fullmatch(wanted) or ID.fullmatch(f"id:{wanted}")
        by_id = self._of_id(number[1]) if number else SourceDirectory()
        return by_id if number and number[0] == wanted else by_id.joined(self._searched(wanted))

    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the tickets of these bookings; those in groups that the account may not read come from the report.

        A ticket deleted meanwhile is not in the list (docs/zammad.md §3, §5). If one was merged into another, an
        article with which time was booked shows into which, and that one is in the list too (§11).
        """
        bookings: dict[str, list[datetime]] = {}
        articles: dict[str, str] = {}
        for accounting in accountings:
            if "ticket_id" in accounting.faults:
                continue
            bookings.setdefault(accounting.ticket_id, []).append(accounting.created_at)
            if accounting.article_id is not None:
                articles.setdefault(accounting.ticket_id, accounting.article_id)
        found = self._tickets(bookings)
        merged = [row for row in found.values() if row.merged and row.id in articles]
        found |= {row.id: row for row in run_concurrently(lambda row: self._merge(row, articles[row.id]), merged)}
        survivors = {row.merged_into for row in found.values() if row.merged_into is not None}
        found |= self._tickets(survivors - found.keys())
        hidden = {ticket_id: moments for ticket_id, moments in bookings.items() if ticket_id not in found}
        found |= self._reported_tickets(hidden)
        return [self._asked(found[ticket_id]) for ticket_id in sorted(found, key=source_id_order)]

    def _asked(self, ticket: Ticket) -> Ticket:
        """The ticket with the fields of its object that rules read."""
        asked = self.endpoint.attributes
        return replace(ticket, attributes=fields_of(ticket.raw, asked)) if asked and ticket.complete else ticket

    def exists(self, booking: BookingKey) -> Existence:
        """Whether a booking still exists; gone only if Zammad itself answers "not found" (docs/zammad.md §8)."""
        try:
            answer = self._http.get(f"{ACCOUNTINGS}/{booking.id}", needs=NEEDS)
        except NotFoundError:
            return Existence.GONE
        if zammad_rows.accounting(answer.row("time accounting")).id != booking.id:
            raise answer.fault(f"Time accounting {booking.id} was requested, but another one was received.")
        return Existence.THERE

    def _agents(self, ids: Sequence[str]) -> SourceDirectory:
        # An older Zammad takes it for a search for everybody; without a query, it fails.
        body = {"ids": [int(id_) for id_ in ids], "query": "", "page": 1, "per_page": FOUND_BY_SEARCH}
        answer = self._http.search("/api/v1/users/search", body, needs=("ticket.agent",))
        agents, unreadable = answer.readable("user", zammad_rows.agent)
        wanted = set(ids)
        return SourceDirectory(
            tuple(row for row in agents if row.id in wanted),
            unreadable=tuple(row for row in unreadable if row.id in wanted),
        )

    def _agent(self, user_id: str) -> SourceDirectory:
        agents, unreadable = self._one(f"/api/v1/users/{user_id}", "user", zammad_rows.agent)
        return SourceDirectory(tuple(agents), unreadable=unreadable)

    def _of_id(self, number: str) -> SourceDirectory:
        path = f"/api/v1/organizations/{number}"
        organizations, unreadable = self._one(path, "organization", zammad_rows.organization)
        return self._agent(number).joined(SourceDirectory((), tuple(organizations), unreadable=unreadable))

    def _one(
        self, path: str, what: str, read: Callable[[RowReader], Record]
    ) -> tuple[Sequence[Record], tuple[Unreadable, ...]]:
        """The row at a path; empty if it is gone or unreadable."""
        try:
            answer = self._http.get(path, needs=("ticket.agent",))
        except NotFoundError:
            return (), ()
        return answer.readable(what, read, [answer.data])

    def _searched(self, text: str) -> SourceDirectory:
        agents, strange = self._search("users", text, "user", zammad_rows.agent, permissions=BOOKS)
        if not agents and len(words := text.split()) > 1:
            # Without a search engine, Zammad compares first and last name separately.
            longest = max(words, key=len)
            agents, strange = self._search("users", longest, "user", zammad_rows.agent, permissions=BOOKS)
        organizations, unreadable = self._search("organizations", text, "organization", zammad_rows.organization)
        return SourceDirectory(tuple(agents), tuple(organizations), unreadable=(*strange, *unreadable))

    def _search(
        self, list_: str, text: str, what: str, read: Callable[[RowReader], Record], **more: str
    ) -> tuple[Sequence[Record], tuple[Unreadable, ...]]:
        wanted = {"query": text, "per_page": FOUND_AT_ONCE, **more}
        return self._http.get(f"/api/v1/{list_}/search", wanted, needs=("ticket.agent",)).readable(what, read)

    def _list(
        self,
        path: str,
        what: str,
        needs: tuple[str, ...],
        read: Callable[[RowReader], Record],
        unreadable: list[Unreadable],
    ) -> Iterator[Record]:
        """All rows of a paged list, each once; the size of the received page counts.

        Unreadable rows are added to `unreadable`.
        """
        seen: set[str | None] = {None}
        full = SMALLEST_PAGE
        number = 0
        while True:
            number += 1
            answer = self._http.get(path, {"page": number, "per_page": LIST_SIZE}, needs=needs)
            size = len(answer.items(what))
            good, bad = answer.readable(what, read)
            fresh = [row for row in good if row.id not in seen]
            unreadable += [row for row in bad if row.id is None or row.id not in seen]
            before = len(seen)
            seen.update(row.id for row in (*good, *bad))
            yield from fresh
            if size < full or len(seen) == before:
                return
            full = size

    def _tickets(self, ids: Iterable[str]) -> dict[str, Ticket]:
        chunks = in_chunks(sorted(ids, key=source_id_order), FOUND_BY_SEARCH)
        return {ticket.id: ticket for chunk in chunks for ticket in self._search_tickets(chunk)}

    def _merge(self, ticket: Ticket, article_id: str) -> Ticket:
        """The ticket with the one that its article belongs to now; unchanged if that is unreadable."""
        try:
            answer = self._http.get(f"/api/v1/ticket_articles/{article_id}", needs=("ticket.agent",))
        except (NotFoundError, PermissionDeniedError):
            return ticket
        readable, _ = answer.readable("article", zammad_rows.ticket_of_article, [answer.data])
        target = next(iter(readable), ticket.id)
        return ticket if target == ticket.id else replace(ticket, merged_into=target, merged_article_id=article_id)

    def _search_tickets(self, ids: list[str]) -> list[Ticket]:
        condition = {"ticket.id": {"operator": "is", "value": ids}}
        body = {"condition": condition, "expand": True, "page": 1, "per_page": FOUND_BY_SEARCH}
        answer = self._http.search("/api/v1/tickets/search", body, needs=("ticket.agent",))
        tickets, _ = answer.readable("ticket", zammad_rows.ticket)
        if not {ticket.id for ticket in tickets} <= set(ids):
            raise answer.fault("The search for tickets by id gave others.", "Use Zammad 6.1 or newer.")
        return tickets

    def _reported_tickets(self, hidden: dict[str, list[datetime]]) -> dict[str, Ticket]:
        reports: dict[Month, dict[str, Ticket]] = {}
        found: dict[str, Ticket] = {}
        for ticket_id, moments in hidden.items():
            for month in _months(moments):
                if month not in reports:
                    reports[month] = self._report(month)
                if ticket_id in reports[month]:
                    found[ticket_id] = reports[month][ticket_id]
                    break
        return found

    def _report(self, month: Month) -> dict[str, Ticket]:
        path = f"/api/v1/time_accounting/log/by_activity/{month[0]}/{month[1]}"
        answer = self._http.get(path, needs=NEEDS)
        tickets, _ = answer.readable("line of the activity report", zammad_rows.reported_ticket)
        return {ticket.id: ticket for ticket in tickets}


def _may_matter(row: TimeAccounting, read: LastRead) -> bool:
    """Whether a changed booking may be of the window, or may have been counted then."""
    of_window = read.window.start <= row.created_at < read.window.end
    return bool(row.faults) or of_window or read.since <= row.created_at <= read.until


def _with_id(rows: Iterable[TimeAccounting]) -> list[TimeAccounting]:
    """The rows that can be stored."""
    return [row for row in rows if row.id != zammad_rows.NO_ID]


def _months(moments: list[datetime]) -> list[Month]:
    """The months whose report may have these bookings, the most likely first.

    Months are cut in UTC up to Zammad 6.4, and in the system's zone since (docs/zammad.md §3).
    """
    shifts = (timedelta(0), WESTMOST, EASTMOST)
    shifted = [moment + shift for shift in shifts for moment in moments]
    return list(dict.fromkeys((moment.year, moment.month) for moment in shifted))
