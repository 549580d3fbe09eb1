"""The desk: what each change does to other rows, as Zammad does it (docs/zammad.md §5, §11)."""

import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from zk_sandbox.zammad.errors import DatabaseFaultError, RefusedError
from zk_sandbox.zammad.records import SYSTEM_USER, Accounting, Ticket
from zk_sandbox.zammad.seeding import Seeding

CLOSED_STATE, MERGED_STATE = 4, 5
LARGEST = Decimal("9999.99")
"""Bound of Zammad's decimal(6,2), in both directions."""
ARTICLE_LEAD = timedelta(milliseconds=11)
"""An article booked together with time is saved just before the accounting."""
KEEP: Any = object()
"""Default of `Desk.edit` for unchanged values."""

_LEADING_NUMBER = re.compile(r"\s*[-+]?\d*\.?\d+(e[-+]?\d+)?", re.IGNORECASE)
_OVERFLOW = (
    "PG::NumericValueOutOfRange: ERROR:  numeric field overflow\n"
    "DETAIL:  A field with precision 6, scale 2 must round to an absolute value less than 10^4.\n"
)


class Desk(Seeding):
    """A simulated Zammad with its rules. Rows are named by id; times are instants with a zone."""

    # Time accountings

    def book(
        self,
        ticket_id: int,
        agent_id: int,
        units: Decimal | int | str | None,
        type_id: int | None = None,
        at: datetime | None = None,
        article: int | str | None = None,
        *,
        accounting_id: int | None = None,
    ) -> int:
        """Book time: on the article of that id, with a new note of that text, or without any.

        RefusedError for a missing number, an unknown type, a foreign or
        already booked article, and a number or total out of range.
        """
        ticket = self.state.tickets.get(ticket_id)
        if ticket is None:
            raise RefusedError("Ticket must exist")
        now = self._instant(at)
        number = units_of(units)
        self._check_type(type_id)
        self._check_article(ticket, article)
        _check_range(number)
        row_id = self.state.next_id("accountings", accounting_id)  # A sum that is too large uses up the id.
        _check_range((ticket.time_unit or Decimal(0)) + number)
        if isinstance(article, str):
            article = self.add_article(ticket_id, agent_id, article, at=now - ARTICLE_LEAD)
        row = Accounting(
            row_id, ticket_id, number, agent_id, now, now,
            type_id=type_id, ticket_article_id=article,
        )  # fmt: skip
        self.state.accountings.add(row)
        self._change_total(ticket, number, agent_id, now)
        return row.id

    def edit(
        self,
        accounting_id: int,
        at: datetime | None = None,
        *,
        units: Decimal | int | str = KEEP,
        type_id: int | None = KEEP,
        article_id: int | None = KEEP,
        editor_id: int = SYSTEM_USER,
    ) -> None:
        """Change an accounting; only real changes update `updated_at`, and of the ticket only its total."""
        row = self.state.accountings.get(accounting_id)
        if row is None:
            raise KeyError(accounting_id)
        wanted = {
            "time_unit": row.time_unit if units is KEEP else units_of(units),
            "type_id": row.type_id if type_id is KEEP else type_id,
            "ticket_article_id": row.ticket_article_id if article_id is KEEP else article_id,
        }
        changes = {column: value for column, value in wanted.items() if value != getattr(row, column)}
        if units is KEEP:
            changes.pop("time_unit", None)  # A stored NaN differs from itself.
        if not changes:
            return
        self._check_type(changes.get("type_id"))
        if changes.get("ticket_article_id") is not None:
            self._check_unbooked(changes["ticket_article_id"])
        ticket = self.state.tickets[row.ticket_id]
        difference = wanted["time_unit"] - row.time_unit if "time_unit" in changes else Decimal(0)
        _check_range(wanted["time_unit"])
        _check_range((ticket.time_unit or Decimal(0)) + difference)
        now = self._instant(at)
        self.state.accountings.change(row, **changes, updated_at=now)
        self._change_total(ticket, difference, editor_id, now)

    def delete(self, accounting_id: int, at: datetime | None = None, *, editor_id: int = SYSTEM_USER) -> None:
        """Delete an accounting and take it off the ticket's total."""
        row = self.state.accountings.get(accounting_id)
        if row is None:
            raise KeyError(accounting_id)
        self.state.accountings.remove(row)
        now = self._instant(at)
        self._change_total(self.state.tickets[row.ticket_id], -row.time_unit, editor_id, now)

    # What happens to the rows around them

    def delete_article(self, article_id: int, at: datetime | None = None) -> None:
        """Delete an article and the accounting booked with it."""
        booked = self.state.accountings.of_article(article_id)
        if booked is not None:
            self.delete(booked.id, at)
        article = self.state.remove_article(article_id)
        self._count_articles(article.ticket_id)
        self._touch(self.state.tickets[article.ticket_id], SYSTEM_USER, self._instant(at))

    def delete_ticket(self, ticket_id: int) -> None:
        """Delete a ticket with its articles and accountings; nothing shows it afterwards.

        What was booked with an article is deleted too, even on another ticket: a merge moves the article here but not
        the accounting (docs/zammad.md §11).
        """
        for row in self.state.accountings.of_ticket(ticket_id):
            self.state.accountings.remove(row)
        for article in self.state.articles_of(ticket_id):
            self.delete_article(article.id)
        del self.state.tickets[ticket_id]

    def merge(
        self, source_id: int, target_id: int, at: datetime | None = None, *, editor_id: int = SYSTEM_USER
    ) -> None:
        """Merge a ticket into another: articles move, accountings and both totals stay where they are.

        A note on the source says so.
        """
        now = self._instant(at)
        for article in self.state.articles_of(source_id):
            self.state.move_article(article, target_id)
        source = self.state.tickets[source_id]
        source.state_id = MERGED_STATE
        self.add_article(source_id, editor_id, "merged", internal=True, at=now)
        self._touch(self.state.tickets[target_id], editor_id, now)

    def reassign(
        self,
        ticket_id: int,
        at: datetime | None = None,
        *,
        customer_id: int = KEEP,
        organization_id: int | None = KEEP,
        group_id: int = KEEP,
        owner_id: int = KEEP,
        state_id: int = KEEP,
        editor_id: int = SYSTEM_USER,
    ) -> None:
        """Give a ticket to another customer, organization, group or owner, or close it.

        Its accountings do not change.
        """
        ticket = self.state.tickets[ticket_id]
        now = self._instant(at)
        if state_id is not KEEP:
            ticket.state_id = state_id
            ticket.close_at = ticket.close_at or now if state_id == CLOSED_STATE else ticket.close_at
        ticket.customer_id = ticket.customer_id if customer_id is KEEP else customer_id
        ticket.organization_id = ticket.organization_id if organization_id is KEEP else organization_id
        ticket.group_id = ticket.group_id if group_id is KEEP else group_id
        ticket.owner_id = ticket.owner_id if owner_id is KEEP else owner_id
        self._touch(ticket, editor_id, now)

    def tag(self, ticket_id: int, name: str, *, wanted: bool = True, editor_id: int = SYSTEM_USER) -> None:
        """Add or remove a tag of a ticket; only a change moves the ticket's `updated_at`."""
        ticket = self.state.tickets[ticket_id]
        if (name in ticket.tags) == wanted:
            return
        ticket.tags = [*ticket.tags, name] if wanted else [other for other in ticket.tags if other != name]
        self.state.tag_names.add(name)
        self._touch(ticket, editor_id, self._instant(None))

    def delete_customer(self, user_id: int) -> None:
        """Delete a customer by the privacy function: their tickets go too, with everything booked on them."""
        for ticket in [ticket for ticket in self.state.tickets.values() if ticket.customer_id == user_id]:
            self.delete_ticket(ticket.id)
        del self.state.users[user_id]

    def delete_agent(self, user_id: int, at: datetime | None = None) -> None:
        """Delete an agent: their accountings become the system user's and their `updated_at` jumps, as do tickets."""
        now = self._instant(at)
        for row in [row for row in self.state.accountings if row.created_by_id == user_id]:
            self.state.accountings.change(row, created_by_id=SYSTEM_USER, updated_at=now)
        people = ("owner_id", "created_by_id", "updated_by_id")
        for ticket in self.state.tickets.values():
            lost = [name for name in people if getattr(ticket, name) == user_id]
            for name in lost:
                setattr(ticket, name, SYSTEM_USER)
            if lost:
                self._touch(ticket, ticket.updated_by_id, now)
        for article in self.state.articles.values():
            article.created_by_id = SYSTEM_USER if article.created_by_id == user_id else article.created_by_id
        for value in [token.value for token in self.state.tokens.values() if token.user_id == user_id]:
            del self.state.tokens[value]
        del self.state.users[user_id]

    def change_type(
        self, type_id: int, at: datetime | None = None, *, editor_id: int = SYSTEM_USER, **values: Any
    ) -> None:
        """Rename, annotate or (de)activate an activity type; accountings do not change."""
        row = self.state.types[type_id]
        row.updated_by_id = editor_id
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at = self._instant(at)

    # Rules

    def _check_type(self, type_id: int | None) -> None:
        if type_id is not None and type_id not in self.state.types:
            raise RefusedError("Type must exist")

    def _check_article(self, ticket: Ticket, article: int | str | None) -> None:
        if not isinstance(article, int):
            return
        row = self.state.articles.get(article)
        if row is None or row.ticket_id != ticket.id:
            raise RefusedError("Ticket article This article is not part of the ticket.")
        self._check_unbooked(article)

    def _check_unbooked(self, article_id: int) -> None:
        if self.state.accountings.of_article(article_id) is not None:
            raise RefusedError("Ticket article has already been taken")

    def _change_total(self, ticket: Ticket, difference: Decimal, editor_id: int, now: datetime) -> None:
        if not difference:
            return
        total = (ticket.time_unit or Decimal(0)) + difference
        if total.is_nan():
            total = sum((row.time_unit for row in self.state.accountings.of_ticket(ticket.id)), Decimal(0))
        ticket.time_unit = total
        self._touch(ticket, editor_id, now)


def units_of(value: Any) -> Decimal:
    """What Zammad makes of a number sent to it: the leading number of a text, in two places, or NaN.

    RefusedError when it is missing.
    """
    if value is None or value == "":
        raise RefusedError("Time unit can't be blank")
    if str(value).strip() == "NaN":
        return Decimal("NaN")
    leading = _LEADING_NUMBER.match("1" if value is True else str(value))
    try:
        return Decimal(leading.group().strip() if leading else 0).quantize(Decimal("0.01"), ROUND_HALF_UP) + 0
    except InvalidOperation:
        return LARGEST + 1


def _check_range(number: Decimal) -> None:
    if not number.is_nan() and abs(number) > LARGEST:
        raise DatabaseFaultError(_OVERFLOW)
