"""Where the tickets of time entries are: in the list, in the archive, in the trash, or shown nowhere.

What is known of a ticket decides what its missing entries mean: a ticket in the trash has none, and gets them back.
"""

import logging
import threading
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from zk_pipeline.connectors.answer import ApiResponse, RowReader, run_concurrently
from zk_pipeline.connectors.errors import NotFoundError, ProtocolError
from zk_pipeline.connectors.freshdesk.client import LAST_PAGE, PAGE_SIZE, FreshdeskClient
from zk_pipeline.connectors.freshdesk.rows import FoundTicket, TicketState, state_of

TICKETS = "tickets"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Without `updated_since` the list has only tickets made within 30 days."""

BOOKED_LATER = timedelta(days=1)
"""A ticket was changed before this much ahead of the work booked on it only if booking changes no ticket."""

SECOND = timedelta(seconds=1)
"""Whether the bound is part of what comes is not documented."""

TICKETS_PER_PAGE_WORTH_READING = 10
"""A page of the list is read for so many tickets; others are asked for one by one."""

_log = logging.getLogger(__name__)


class TicketReader:
    """Reads tickets, each once: it belongs to one run. Thread-safe."""

    def __init__(self, api: FreshdeskClient) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._found: dict[str, FoundTicket] = {}
        self._trash: dict[str, TicketState] | None = None
        self._listed_since: datetime | None = None
        self._next_page: int | None = 1

    def of(self, ids: Collection[str], since: datetime | None = None) -> dict[str, FoundTicket]:
        """These tickets. With `since`, those changed after it come from the list, up to a hundred by a request."""
        wanted = set(ids) - self._found.keys()
        if wanted and since is not None:
            self._walk(wanted, since - BOOKED_LATER)
            wanted -= self._found.keys()
        for id_, found in zip(sorted(wanted), run_concurrently(self._one, sorted(wanted)), strict=True):
            self._found[id_] = found
        return {id_: self._found[id_] for id_ in ids}

    def changed(self, since: datetime, pages: int) -> tuple[list[RowReader], bool]:
        """The tickets changed after an instant, the oldest change first, and whether these are all.

        The first page is read again and again from the last change on: page numbers would skip a ticket when one
        before it changes, and end at the 300th page. Only one instant with more tickets than a page has is paged.
        """
        found: dict[str, RowReader] = {}
        border, number, read = since, 1, 0
        while True:
            params = {"updated_since": _utc(border - SECOND), "order_by": "updated_at", "order_type": "asc"}
            answer = self._page(params, number)
            page = answer.rows("ticket")
            read += 1
            found |= {str(row.integer("id")): row for row in page}
            self._found |= {str(row.integer("id")): FoundTicket(TicketState.NORMAL, row) for row in page}
            if not self._api.has_next(answer, number):
                return list(found.values()), True
            last = page[-1].instant("updated_at")
            if last <= border:
                number += 1
                continue
            if read >= pages:
                return list(found.values()), False
            border, number = last, 1

    def is_out_of_sight(self, ticket_id: str) -> TicketState | None:
        """Whether the ticket is in the trash or in spam, by the lists of both; a single answer may not tell."""
        with self._lock:
            if self._trash is None:
                trash = dict(self._listed("deleted", TicketState.TRASH))
                self._trash = trash | dict(self._listed("spam", TicketState.SPAM))
            return self._trash.get(ticket_id)

    def _walk(self, wanted: set[str], since: datetime) -> None:
        """Read on in the list of changed tickets, the newest first, as far as it is worth it.

        A change meanwhile lets a ticket come twice or not at all; then it is asked for alone.
        """
        if self._listed_since is None or since < self._listed_since:
            self._listed_since, self._next_page = since, 1
        params = {"updated_since": _utc(self._listed_since), "order_by": "updated_at", "order_type": "desc"}
        for _ in range(1 + len(wanted) // TICKETS_PER_PAGE_WORTH_READING):
            if self._next_page is None:
                return
            answer = self._page(params, self._next_page)
            for row in answer.rows("ticket"):
                if state_of(row) is TicketState.NORMAL:
                    self._found[str(row.integer("id"))] = FoundTicket(TicketState.NORMAL, row)
            more = self._next_page < LAST_PAGE and self._api.has_next(answer, self._next_page)
            self._next_page = self._next_page + 1 if more else None
            if wanted <= self._found.keys():
                return

    def _page(self, params: dict[str, Any], number: int) -> ApiResponse:
        return self._api.get(TICKETS, {**params, "per_page": PAGE_SIZE, "page": number}, needs=("access to tickets",))

    def _one(self, ticket_id: str) -> FoundTicket:
        answer = self._answer(f"{TICKETS}/{ticket_id}")
        if answer is None:
            archived = self._answer(f"{TICKETS}/archived/{ticket_id}")
            if archived is not None:
                return FoundTicket(TicketState.ARCHIVED, archived.row("ticket"))
            return FoundTicket(self.is_out_of_sight(ticket_id) or TicketState.UNKNOWN)
        row = answer.row("ticket")
        state = state_of(row)
        if state is TicketState.NORMAL:
            state = self.is_out_of_sight(ticket_id) or state
        return FoundTicket(state, row)

    def _answer(self, path: str) -> ApiResponse | None:
        """The ticket at a path; `None` if it is not there, or has moved to the archive."""
        try:
            return self._api.get(path, needs=("access to all tickets",))
        except NotFoundError:
            return None
        except ProtocolError as error:
            if error.status is not None and 300 <= error.status < 400:
                return None
            raise

    def _listed(self, filter_: str, state: TicketState) -> Iterator[tuple[str, TicketState]]:
        params = {"filter": filter_, "updated_since": _utc(LONG_AGO)}
        for item in self._api.rows(TICKETS, "ticket", params):
            number = item.get("id") if isinstance(item, dict) else None
            yield str(number), state


def kept_back(found: Iterable[tuple[str, FoundTicket]], system: str) -> set[str]:
    """The tickets whose entries are left as they are, which is logged."""
    states = {id_: ticket.state for id_, ticket in found if ticket.state in {TicketState.TRASH, TicketState.SPAM}}
    for id_, state in sorted(states.items()):
        _log.warning("%s: ticket %s is %s. Its entries stay as they are.", system, id_, state)
    return set(states)


def _utc(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
