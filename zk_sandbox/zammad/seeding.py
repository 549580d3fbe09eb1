"""Filling a desk before a test or demo: groups, people, types, tickets and notes (docs/zammad.md §4, §5, §6)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from zk_sandbox.zammad.errors import RefusedError
from zk_sandbox.zammad.records import (
    SYSTEM_USER,
    ActivityType,
    Article,
    Group,
    Organization,
    Ticket,
    Token,
    User,
    stored_instant,
)
from zk_sandbox.zammad.settings import Settings
from zk_sandbox.zammad.state import State

FIRST_TICKET_NUMBER = 71000
LONGEST_TEXT = 250


class Seeding:
    """The data of a simulated Zammad, and new rows of it. Rows are named by id; times are instants with a zone."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = Settings().changed(settings or {})
        self.state = State()
        self.add_user("", firstname="-", login="-", active=False)
        self.add_group("Users")

    def add_group(self, name: str, note: str | None = None) -> int:
        """A new group; agents seeded earlier hold no rights on it."""
        group = Group(self.state.next_id("groups"), name, note)
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
        password: str | None = None,
        user_id: int | None = None,
    ) -> int:
        """A new user, a customer's person unless permissions are given."""
        now = self.settings.clock()
        new_id = self.state.next_id("users", user_id)
        rights = {str(group): list(names) for group, names in (group_rights or {}).items()}
        self.state.users[new_id] = User(
            new_id, email.lower() if login is None else login, email, firstname, lastname, now, now,
            organization_id=organization_id, permissions=list(permissions), group_rights=rights, active=active,
            password=password,
        )  # fmt: skip
        return new_id

    def add_agent(
        self,
        email: str,
        *,
        firstname: str = "",
        lastname: str = "",
        active: bool = True,
        password: str | None = None,
    ) -> int:
        """A new agent with all rights on every group there is now."""
        return self.add_user(
            email,
            firstname=firstname,
            lastname=lastname,
            permissions=["ticket.agent"],
            group_rights={group: ["full"] for group in self.state.groups},
            active=active,
            password=password,
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

    def add_type(
        self,
        name: str,
        *,
        note: str | None = "",
        active: bool = True,
        author_id: int = SYSTEM_USER,
        type_id: int | None = None,
    ) -> int:
        """A new activity type; RefusedError if the name is taken in any case."""
        if any(other.name.lower() == name.lower() for other in self.state.types.values()):
            raise RefusedError("Name has already been taken")
        if not name:
            raise RefusedError("Name can't be blank")
        if len(note or "") > LONGEST_TEXT:
            raise RefusedError(f"Note is too long (maximum is {LONGEST_TEXT} characters)")
        now = self.settings.clock()
        new_id = self.state.next_id("types", type_id)
        self.state.types[new_id] = ActivityType(
            new_id,
            name[:LONGEST_TEXT],
            now,
            now,
            note=note,
            active=active,
            created_by_id=author_id,
            updated_by_id=author_id,
        )
        return new_id

    def add_ticket(
        self,
        title: str,
        *,
        customer_id: int = SYSTEM_USER,
        organization_id: int | None = None,
        group_id: int = 1,
        owner_id: int = SYSTEM_USER,
        author_id: int | None = None,
        state_id: int = 2,
        number: str | None = None,
        at: datetime | None = None,
        ticket_id: int | None = None,
    ) -> int:
        """A new ticket; its number differs from its id, so that mixing them up is noticed."""
        new_id = self.state.next_id("tickets", ticket_id)
        now = self._instant(at)
        author = customer_id if author_id is None else author_id
        self.state.tickets[new_id] = Ticket(
            new_id, number or str(FIRST_TICKET_NUMBER + new_id), title, group_id, customer_id, author,
            author, now, now, organization_id=organization_id, owner_id=owner_id, state_id=state_id,
        )  # fmt: skip
        return new_id

    def add_article(
        self,
        ticket_id: int,
        author_id: int,
        body: str,
        *,
        subject: str | None = "",
        content_type: str = "text/plain",
        internal: bool = False,
        at: datetime | None = None,
    ) -> int:
        """A new note on a ticket, which touches the ticket and leaves its state as it is."""
        now = self._instant(at)
        new_id = self.state.next_id("articles")
        self.state.add_article(
            Article(
                new_id, ticket_id, body, author_id, now, now,
                subject=subject, content_type=content_type, internal=internal,
            )
        )  # fmt: skip
        self._count_articles(ticket_id)
        self._touch(self.state.tickets[ticket_id], author_id, now)
        return new_id

    def _instant(self, at: datetime | None) -> datetime:
        """The instant given, or the present, as the database stores it: UTC, milliseconds."""
        return self.settings.clock() if at is None else stored_instant(at)

    def _count_articles(self, ticket_id: int) -> None:
        self.state.tickets[ticket_id].article_count = len(self.state.articles_of(ticket_id))

    def _touch(self, ticket: Ticket, editor_id: int, now: datetime) -> None:
        ticket.updated_at = max(ticket.updated_at, now)
        ticket.updated_by_id = editor_id
