"""The desk: seeding, and what each change does to other rows, as Zammad does it (docs/zammad.md §5, §11)."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from zk_pipeline.sandbox.zammad.records import (
    SYSTEM_USER,
    Accounting,
    ActivityType,
    Article,
    Group,
    Organization,
    Ticket,
    Token,
    User,
    stored_instant,
)
from zk_pipeline.sandbox.zammad.settings import Settings
from zk_pipeline.sandbox.zammad.state import State

MERGED_STATE = 5
LARGEST = Decimal("9999.99")
"""Bound of Zammad's decimal(6,2), in both directions."""
ARTICLE_LEAD = timedelta(milliseconds=11)
"""An article booked together with time is saved a moment before the accounting."""
FIRST_TICKET_NUMBER = 71000
KEEP: Any = object()
"""Default of `Desk.edit` for what shall stay as it is."""

_LEADING_NUMBER = re.compile(r"\s*[-+]?\d*\.?\d+")


class RefusedError(Exception):
    """A change that Zammad's validation refuses (HTTP 422), with Zammad's sentence."""


class Desk:
    """The data of a simulated Zammad with its rules. Rows are named by id; times are instants with a zone."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = Settings().changed(settings or {})
        self.state = State()
        self.add_user("", firstname="-", login="-", active=False)
        self.add_group("Users")

    # Seeding

    def add_group(self, name: str) -> int:
        """A new group; agents seeded earlier hold no rights on it."""
        group = Group(self.state.next_id("groups"), name)
        self.state.groups[group.id] = group
        return group.id

    def add_organization(self, name: str, *, organization_id: int | None = None, note: str = "") -> int:
        """A new organization; names may repeat here although Zammad's own form refuses that."""
        now = self.settings.clock()
        new_id = self.state.next_id("organizations", organization_id)
        self.state.organizations[new_id] = Organization(new_id, name, now, now, note=note)
        return new_id

    def add_user(
        self,
        email: str,
        *,
        firstname: str = "",
        lastname: str = "",
        login: str | None = None,
        organization_id: int | None = None,
        permissions: Iterable[str] = (),
        group_rights: Mapping[int, Iterable[str]] | None = None,
        active: bool = True,
        user_id: int | None = None,
    ) -> int:
        """A new user, a customer's person unless permissions are given."""
        now = self.settings.clock()
        new_id = self.state.next_id("users", user_id)
        rights = {str(group): list(names) for group, names in (group_rights or {}).items()}
        self.state.users[new_id] = User(
            new_id, email.lower() if login is None else login, email, firstname, lastname, now, now,
            organization_id=organization_id, permissions=list(permissions), group_rights=rights, active=active,
        )  # fmt: skip
        return new_id

    def add_agent(self, email: str, *, firstname: str = "", lastname: str = "", active: bool = True) -> int:
        """A new agent with all rights on every group there is now."""
        return self.add_user(
            email,
            firstname=firstname,
            lastname=lastname,
            permissions=["ticket.agent"],
            group_rights={group: ["full"] for group in self.state.groups},
            active=active,
        )

    def add_token(
        self, user_id: int, value: str, *, permissions: Iterable[str], expires_at: datetime | None = None
    ) -> str:
        """An access token for a user, and its text again."""
        self.state.tokens[value] = Token(value, user_id, list(permissions), expires_at)
        return value

    def add_reader(self, token: str) -> int:
        """A service user with the smallest rights that read everything, and a token (docs/zammad.md §1)."""
        permissions = ["admin.time_accounting", "ticket.agent"]
        user_id = self.add_user(
            "zk-sync@example.net",
            firstname="Time",
            lastname="Sync",
            permissions=permissions,
            group_rights={group: ["read"] for group in self.state.groups},
        )
        self.add_token(user_id, token, permissions=permissions)
        return user_id

    def add_type(self, name: str, *, note: str = "", active: bool = True, type_id: int | None = None) -> int:
        """A new activity type; RefusedError if the name is taken in any case."""
        if any(other.name.lower() == name.lower() for other in self.state.types.values()):
            raise RefusedError("Validation failed: Name has already been taken")
        if not 0 < len(name) <= 250:
            raise RefusedError("Validation failed: Name must have 1 to 250 characters")
        now = self.settings.clock()
        new_id = self.state.next_id("types", type_id)
        self.state.types[new_id] = ActivityType(new_id, name, now, now, note=note, active=active)
        return new_id

    def add_ticket(
        self,
        title: str,
        *,
        customer_id: int = SYSTEM_USER,
        organization_id: int | None = None,
        group_id: int = 1,
        owner_id: int = SYSTEM_USER,
        number: str | None = None,
        at: datetime | None = None,
        ticket_id: int | None = None,
    ) -> int:
        """A new ticket; its number differs from its id, so that the two cannot be mixed up unnoticed."""
        new_id = self.state.next_id("tickets", ticket_id)
        now = self._instant(at)
        self.state.tickets[new_id] = Ticket(
            new_id, number or str(FIRST_TICKET_NUMBER + new_id), title, group_id, customer_id, customer_id,
            customer_id, now, now, organization_id=organization_id, owner_id=owner_id,
        )  # fmt: skip
        return new_id

    def add_article(self, ticket_id: int, author_id: int, body: str, *, at: datetime | None = None) -> int:
        """A new note on a ticket, which touches the ticket."""
        now = self._instant(at)
        new_id = self.state.next_id("articles")
        self.state.add_article(Article(new_id, ticket_id, body, author_id, now, now))
        self._touch(self.state.tickets[ticket_id], author_id, now)
        return new_id

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
            raise RefusedError("Validation failed: Ticket must exist")
        now = self._instant(at)
        number = units_of(units)
        self._check_type(type_id)
        self._check_article(ticket, article)
        self._check_total(ticket, number)
        if isinstance(article, str):
            article = self.add_article(ticket_id, agent_id, article, at=now - ARTICLE_LEAD)
        row = Accounting(
            self.state.next_id("accountings", accounting_id), ticket_id, number, agent_id, now, now,
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
        """Change an accounting; only what really changes moves `updated_at`, of the ticket only its total."""
        row = self.state.accountings.get(accounting_id)
        if row is None:
            raise KeyError(accounting_id)
        wanted = {
            "time_unit": row.time_unit if units is KEEP else units_of(units),
            "type_id": row.type_id if type_id is KEEP else type_id,
            "ticket_article_id": row.ticket_article_id if article_id is KEEP else article_id,
        }
        changes = {column: value for column, value in wanted.items() if value != getattr(row, column)}
        if not changes:
            return
        self._check_type(changes.get("type_id"))
        if changes.get("ticket_article_id") is not None:
            self._check_unbooked(changes["ticket_article_id"])
        ticket = self.state.tickets[row.ticket_id]
        difference = wanted["time_unit"] - row.time_unit
        self._check_total(ticket, difference)
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
        self._touch(self.state.tickets[article.ticket_id], SYSTEM_USER, self._instant(at))

    def delete_ticket(self, ticket_id: int) -> None:
        """Delete a ticket with its articles and accountings; nothing tells of it afterwards."""
        for row in self.state.accountings.of_ticket(ticket_id):
            self.state.accountings.remove(row)
        for article in self.state.articles_of(ticket_id):
            self.state.remove_article(article.id)
        del self.state.tickets[ticket_id]

    def merge(self, source_id: int, target_id: int, at: datetime | None = None) -> None:
        """Merge a ticket into another: articles move, accountings and both totals stay where they are."""
        now = self._instant(at)
        for article in self.state.articles_of(source_id):
            self.state.move_article(article, target_id)
        source = self.state.tickets[source_id]
        source.state_id, source.close_at = MERGED_STATE, now
        self._touch(source, SYSTEM_USER, now)
        self._touch(self.state.tickets[target_id], SYSTEM_USER, now)

    def reassign(
        self,
        ticket_id: int,
        at: datetime | None = None,
        *,
        customer_id: int = KEEP,
        organization_id: int | None = KEEP,
        group_id: int = KEEP,
        owner_id: int = KEEP,
    ) -> None:
        """Give a ticket to another customer, organization, group or owner; its accountings do not change."""
        ticket = self.state.tickets[ticket_id]
        ticket.customer_id = ticket.customer_id if customer_id is KEEP else customer_id
        ticket.organization_id = ticket.organization_id if organization_id is KEEP else organization_id
        ticket.group_id = ticket.group_id if group_id is KEEP else group_id
        ticket.owner_id = ticket.owner_id if owner_id is KEEP else owner_id
        self._touch(ticket, SYSTEM_USER, self._instant(at))

    def delete_agent(self, user_id: int, at: datetime | None = None) -> None:
        """Delete an agent: their accountings become the system user's, and their `updated_at` jumps."""
        now = self._instant(at)
        for row in [row for row in self.state.accountings if row.created_by_id == user_id]:
            self.state.accountings.change(row, created_by_id=SYSTEM_USER, updated_at=now)
        for ticket in self.state.tickets.values():
            ticket.owner_id = SYSTEM_USER if ticket.owner_id == user_id else ticket.owner_id
        for value in [token.value for token in self.state.tokens.values() if token.user_id == user_id]:
            del self.state.tokens[value]
        del self.state.users[user_id]

    def change_type(self, type_id: int, at: datetime | None = None, **values: Any) -> None:
        """Rename, annotate or (de)activate an activity type; accountings do not change."""
        row = self.state.types[type_id]
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at = self._instant(at)

    # Rules

    def _instant(self, at: datetime | None) -> datetime:
        """The instant given, or the present, as the database stores it: UTC, milliseconds."""
        return self.settings.clock() if at is None else stored_instant(at)

    def _check_type(self, type_id: int | None) -> None:
        if type_id is not None and type_id not in self.state.types:
            raise RefusedError("Validation failed: Type must exist")

    def _check_article(self, ticket: Ticket, article: int | str | None) -> None:
        if not isinstance(article, int):
            return
        row = self.state.articles.get(article)
        if row is None or row.ticket_id != ticket.id:
            raise RefusedError("Validation failed: Ticket article does not belong to the ticket")
        self._check_unbooked(article)

    def _check_unbooked(self, article_id: int) -> None:
        if self.state.accountings.of_article(article_id) is not None:
            raise RefusedError("Validation failed: Ticket article has already been taken")

    def _check_total(self, ticket: Ticket, difference: Decimal) -> None:
        if abs((ticket.time_unit or 0) + difference) > LARGEST:
            raise RefusedError("PG::NumericValueOutOfRange: ERROR: numeric field overflow")

    def _change_total(self, ticket: Ticket, difference: Decimal, editor_id: int, now: datetime) -> None:
        if not difference:
            return
        ticket.time_unit = (ticket.time_unit or Decimal(0)) + difference
        self._touch(ticket, editor_id, now)

    def _touch(self, ticket: Ticket, editor_id: int, now: datetime) -> None:
        ticket.updated_at = max(ticket.updated_at, now)
        ticket.updated_by_id = editor_id


def units_of(value: Any) -> Decimal:
    """What Zammad stores for a number sent to it: the leading number of a text, two places, decimal(6,2).

    RefusedError when it is missing or out of range.
    """
    if value is None or value == "":
        raise RefusedError("Validation failed: Time unit can't be blank")
    leading = _LEADING_NUMBER.match(str(value))
    try:
        number = Decimal(leading.group() if leading else 0).quantize(Decimal("0.01"), ROUND_HALF_UP)
    except InvalidOperation:
        number = LARGEST + 1
    if abs(number) > LARGEST:
        raise RefusedError("PG::NumericValueOutOfRange: ERROR: numeric field overflow")
    return number + 0
