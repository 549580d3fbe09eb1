"""The Freshdesk connector: bookings (time entries), their tickets, and the people and companies they refer to."""

import logging
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property

from zk_pipeline.connectors.answer import RowReader
from zk_pipeline.connectors.checks import Validation
from zk_pipeline.connectors.contract import (
    ChangedRows,
    ChangedTicket,
    ChangedTickets,
    Endpoint,
    RemainingChanges,
    SourceConnector,
    Sweep,
    SweepReport,
    SystemState,
)
from zk_pipeline.connectors.errors import NotFoundError, PermissionDeniedError, ProtocolError
from zk_pipeline.connectors.freshdesk import rows as freshdesk_rows
from zk_pipeline.connectors.freshdesk.client import FreshdeskClient
from zk_pipeline.connectors.freshdesk.directory import DirectoryReader
from zk_pipeline.connectors.freshdesk.errors import FreshdeskDialect
from zk_pipeline.connectors.freshdesk.rows import NO_ID, TicketState
from zk_pipeline.connectors.freshdesk.slices import ENTRIES, SlicedSweep
from zk_pipeline.connectors.freshdesk.tickets import TicketReader, kept_back
from zk_pipeline.connectors.freshdesk.validation import GLOBAL_SCOPE, seen_by, validate
from zk_pipeline.connectors.freshdesk.webhooks import FreshdeskWebhooks
from zk_pipeline.connectors.http import HttpConnector
from zk_pipeline.domain.records import (
    BookingKey,
    Existence,
    SourceDirectory,
    Ticket,
    TimeAccounting,
    Window,
)

POLLED_BACK, POLLED_AHEAD = timedelta(days=3), timedelta(days=1)
"""The work days that each poll compares; older ones show by their tickets, or when their days are run."""

CHANGED_TICKET_PAGES = 5
UNKNOWN_UNITS = Decimal("NaN")
"""A ticket of Freshdesk has no sum of its entries: it differs from every sum, so that they are looked into."""

FORGOTTEN_TIMER = timedelta(hours=24)
ID = re.compile(r"id:(\d{1,18})", re.ASCII | re.IGNORECASE)

_log = logging.getLogger(__name__)


class FreshdeskConnector(HttpConnector, SourceConnector):
    """Reads time entries of Freshdesk's API v2 (docs/freshdesk.md). An instance belongs to one run or poll."""

    kind = "freshdesk"
    webhooks = FreshdeskWebhooks()
    proves_by_absence = True
    tells_edits = False
    attributes = frozenset({"label", "field"})

    def __init__(self, endpoint: Endpoint, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(endpoint, FreshdeskDialect(), sleep=sleep)
        self._api = FreshdeskClient(self._http, endpoint.base_url, sleep)
        self._tickets = TicketReader(self._api)
        self._directory = DirectoryReader(self._api)
        self._met: set[str] = set()
        """The entries that this run has read, under whichever ticket."""

    @property
    def system_state(self) -> SystemState | None:
        """Whether Freshdesk answers; also that it is left alone because few requests are left."""
        return self._api.system_state

    def validate(self) -> Validation:
        """Test the key, its scope, the plan, and what can be read."""
        return validate(self._api, self.endpoint.base_url)

    def fetch(self, window: Window, *, hint: int | None = None) -> Sweep[TimeAccounting]:
        """Read the entries whose work was done within the window, oldest first.

        Raises `PermissionDeniedError` if the key no longer sees all tickets, and `RateLimitedError` if few requests are
        left.
        """
        return Sweep(lambda: self._read(window, hint))

    def fetch_changes(self, since: datetime, rest: RemainingChanges | None = None) -> ChangedRows:
        """Read the entries of the last days, edited or not: Freshdesk has no feed, so they are compared."""
        del rest
        window = Window(since - POLLED_BACK, max(datetime.now(UTC), since) + POLLED_AHEAD)
        rows: list[TimeAccounting] = []
        whole = False
        for part in SlicedSweep(self._api, window, may_pause=False).run():
            if isinstance(part, SweepReport):
                whole = part.complete
            else:
                rows += self._known(part, window.start)
        return ChangedRows(tuple(rows), None, whole=window if whole else None)

    def fetch_of_ticket(self, ticket_id: str) -> list[TimeAccounting]:
        """Read the entries of one ticket; `[]` also for one in the trash, in spam or in the archive."""
        self._api.require_budget(ENTRIES)
        rows = self._of_ticket(ticket_id)
        return self._known(rows) if rows else []

    def fetch_changed_tickets(self, since: datetime) -> ChangedTickets:
        """Read the tickets that changed after `since`, each with a sum that no stored one equals."""
        self._api.require_budget("tickets")
        found, complete = self._tickets.changed(since, CHANGED_TICKET_PAGES)
        return ChangedTickets(tuple(ChangedTicket(row, UNKNOWN_UNITS) for row in self._named(found)), complete)

    def fetch_types(self) -> SourceDirectory:
        """Read the types of tickets and the products: Freshdesk knows no activities of its own."""
        return self._directory.activity_types()

    def fetch_agents(self, ids: Collection[str]) -> SourceDirectory:
        """Read only these people; a deleted agent is a contact now."""
        return self._directory.agents(ids)

    def find(self, text: str) -> SourceDirectory:
        """Search the lists of agents and companies, or request the id; a bare number may be either."""
        wanted = text.strip()
        number = ID.fullmatch(wanted) or ID.fullmatch(f"id:{wanted}")
        by_id = self._directory.of_id(number[1]) if number else SourceDirectory()
        return by_id if number and number[0] == wanted else by_id.joined(self._directory.search(wanted))

    def fetch_tickets(self, accountings: Iterable[TimeAccounting]) -> list[Ticket]:
        """Read the tickets of these entries with their companies; those shown nowhere are left out."""
        rows = [row for row in accountings if "ticket_id" not in row.faults]
        ids = {row.ticket_id for row in rows}
        since = min((row.counts_at for row in rows), default=None)
        found = self._tickets.of(ids, since)
        return self._named([ticket.row for ticket in found.values() if ticket.row is not None])

    def exists(self, booking: BookingKey) -> Existence:
        """Whether an entry still exists: there is no way to ask for it but by its ticket.

        Gone is what a ticket that is neither in the trash, in spam nor archived does not list, to a key that sees all
        tickets. Otherwise it is in doubt, with the reason in the log.
        """
        self._require_scope()
        if booking.id in self._met:
            return Existence.THERE
        found = self._tickets.of([booking.ticket_id])[booking.ticket_id]
        state = self._tickets.is_out_of_sight(booking.ticket_id) or found.state
        if state is TicketState.NORMAL:
            rows = self._of_ticket(booking.ticket_id)
            if rows is not None:
                return Existence.THERE if booking.id in {row.id for row in rows} else Existence.GONE
            state = TicketState.UNKNOWN
        _log.warning(
            "%s: entry %s stays as it is, because its ticket %s is %s.",
            self._http.system,
            booking.id,
            booking.ticket_id,
            state,
        )
        return Existence.DOUBT

    def _read(self, window: Window, hint: int | None) -> Iterator[list[TimeAccounting] | SweepReport]:
        self._require_scope()
        self._api.require_budget(ENTRIES)
        left_out = 0
        for part in SlicedSweep(self._api, window, hint).run():
            if isinstance(part, SweepReport):
                yield replace(part, rows=part.rows - left_out)
                return
            rows = self._known(part, window.start)
            left_out += len(part) - len(rows)
            if rows:
                yield rows

    def _require_scope(self) -> None:
        """Raise `PermissionDeniedError` if the key's agent does not see all tickets: the rest would look deleted."""
        scope = self._me.raw.get("ticket_scope")
        if scope == GLOBAL_SCOPE:
            return
        raise PermissionDeniedError(
            f"The scope of the key's agent changed: it sees only {seen_by(scope)}.",
            system=self._http.system,
            method="GET",
            path="/api/v2/agents/me",
            remedy="Give the agent access to all tickets (global access) in Freshdesk's admin area under Agents.",
        )

    @cached_property
    def _me(self) -> RowReader:
        return self._api.get("agents/me").row("agent")

    def _of_ticket(self, ticket_id: str) -> list[TimeAccounting] | None:
        """All entries of a ticket; `None` if Freshdesk does not show them."""
        found: dict[str, TimeAccounting] = {}
        try:
            for page in self._api.pages(f"tickets/{ticket_id}/{ENTRIES}", "time entry"):
                found |= {row.id: row for row in freshdesk_rows.entries(page) if row.id != NO_ID}
        except NotFoundError:
            return None
        except ProtocolError as error:
            if error.status is not None and 300 <= error.status < 400:
                return None
            raise
        return list(found.values())

    def _known(self, rows: list[TimeAccounting], since: datetime | None = None) -> list[TimeAccounting]:
        """The entries with the activity that their tickets tell, without those of tickets in the trash or in spam."""
        ids = {row.ticket_id for row in rows if "ticket_id" not in row.faults}
        found = self._tickets.of(ids, since)
        hidden = kept_back(found.items(), self._http.system)
        known: list[TimeAccounting] = []
        for row in rows:
            ticket = found.get(row.ticket_id)
            if row.ticket_id in hidden:
                continue
            self._met.add(row.id)
            self._report(row, ticket)
            if ticket is None or ticket.state is not TicketState.UNKNOWN:
                known.append(replace(row, type_id=ticket.activity_id if ticket else None))
            else:
                faults = {**row.faults, "ticket_id": f"ticket {row.ticket_id} is {ticket.state}"}
                known.append(replace(row, faults=faults))
        return known

    def _report(self, row: TimeAccounting, ticket: freshdesk_rows.FoundTicket | None) -> None:
        """Log what a person should look at, although the entry can be used."""
        system = self._http.system
        if (measured := freshdesk_rows.other_duration(row)) is not None:
            _log.warning("%s: entry %s shows %s s and measured %s s.", system, row.id, row.seconds, measured)
        company = ticket.row.raw.get("company_id") if ticket is not None and ticket.row is not None else None
        if company is not None and row.raw.get("company_id") not in {None, company}:
            _log.warning("%s: entry %s names another company than its ticket, which counts.", system, row.id)
        if not row.is_final and datetime.now(UTC) - row.updated_at > FORGOTTEN_TIMER:
            _log.warning("%s: the timer of entry %s has been running for more than a day.", system, row.id)

    def _named(self, rows: Iterable[RowReader]) -> list[Ticket]:
        """The tickets with the names of their companies and groups."""
        listed = list(rows)
        companies = {str(row.raw["company_id"]) for row in listed if row.has("company_id")}
        names = self._directory.company_names(companies) if companies else {}
        groups = self._directory.group_names if any(row.has("group_id") for row in listed) else {}
        asked = self.endpoint.attributes
        found = [
            replace(freshdesk_rows.ticket(row, names, groups), attributes=freshdesk_rows.attributes(row, asked))
            for row in listed
        ]
        return sorted(found, key=lambda row: (len(row.id), row.id))
