"""The JSON forms of Zammad's rows: plain, expanded with names, and as assets (docs/zammad.md §2, §5, §6)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from zk_pipeline.sandbox.zammad.desk import Desk
from zk_pipeline.sandbox.zammad.records import (
    SYSTEM_USER,
    Accounting,
    ActivityType,
    Article,
    Organization,
    Ticket,
    User,
    decimal_text,
    iso,
)

STATES = {1: "new", 2: "open", 3: "pending reminder", 4: "closed", 5: "merged"}
PRIORITIES = {1: "1 low", 2: "2 normal", 3: "3 high"}


class Rows:
    """Renders rows of a desk; names of related rows are looked up as they are now."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def accounting(self, row: Accounting, *, expand: bool = False) -> dict[str, Any]:
        """An accounting; expanded with its creator's login and, if typed, the type's name."""
        content = {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "ticket_article_id": row.ticket_article_id,
            "time_unit": decimal_text(row.time_unit),
            "type_id": row.type_id,
            "created_by_id": row.created_by_id,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }
        if expand:
            content["created_by"] = self._login(row.created_by_id)
            if row.type_id is not None:
                content["type"] = self._desk.state.types[row.type_id].name
        return content

    def accounting_assets(self, rows: Iterable[Accounting]) -> dict[str, Any]:
        """Accountings and their creators, keyed by id as texts."""
        rows = list(rows)
        creators = {row.created_by_id for row in rows}
        assets: dict[str, Any] = {
            "TicketTimeAccounting": {str(row.id): self.accounting(row) for row in rows},
            "User": {str(user_id): self.user(self._desk.state.users[user_id]) for user_id in sorted(creators)},
        }
        return {name: content for name, content in assets.items() if content}

    def activity_type(self, row: ActivityType) -> dict[str, Any]:
        """An activity type."""
        return {
            "id": row.id,
            "name": row.name,
            "note": row.note,
            "active": row.active,
            "created_by_id": SYSTEM_USER,
            "updated_by_id": SYSTEM_USER,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def ticket(self, row: Ticket) -> dict[str, Any]:
        """A ticket's own columns."""
        return {
            "id": row.id,
            "group_id": row.group_id,
            "priority_id": row.priority_id,
            "state_id": row.state_id,
            "organization_id": row.organization_id,
            "number": row.number,
            "title": row.title,
            "owner_id": row.owner_id,
            "customer_id": row.customer_id,
            "note": None,
            "first_response_at": None,
            "close_at": iso(row.close_at),
            "last_contact_at": iso(row.created_at),
            "create_article_type_id": 10,
            "create_article_sender_id": 1,
            "article_count": len(self._desk.state.articles_of(row.id)),
            "type": None,
            "time_unit": decimal_text(row.time_unit),
            "preferences": {},
            "updated_by_id": row.updated_by_id,
            "created_by_id": row.created_by_id,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def ticket_with_ids(self, row: Ticket) -> dict[str, Any]:
        """A ticket with the ids of its articles and accountings, the plain search answer from 6.5."""
        return self.ticket(row) | {
            "article_ids": [article.id for article in self._desk.state.articles_of(row.id)],
            "ticket_time_accounting_ids": [entry.id for entry in self._desk.state.accountings.of_ticket(row.id)],
        }

    def ticket_expanded(self, row: Ticket) -> dict[str, Any]:
        """A ticket with names and id lists."""
        state = self._desk.state
        organization = state.organizations.get(row.organization_id or 0)
        content = self.ticket_with_ids(row) | {
            "group": state.groups[row.group_id].name,
            "organization": organization.name if organization else None,
            "customer": self._login(row.customer_id),
            "owner": self._login(row.owner_id),
            "state": STATES[row.state_id],
            "priority": PRIORITIES[row.priority_id],
            "created_by": self._login(row.created_by_id),
            "updated_by": self._login(row.updated_by_id),
            "create_article_type": "note",
            "create_article_sender": "Agent",
            "checklist_id": None,
        }
        if not content["ticket_time_accounting_ids"]:
            content["ticket_time_accounting"] = []
        return content

    def article(self, row: Article) -> dict[str, Any]:
        """An article with the time booked on it, which may be none."""
        booked = self._desk.state.accountings.of_article(row.id)
        author = self._desk.state.users.get(row.created_by_id)
        return {
            "id": row.id,
            "ticket_id": row.ticket_id,
            "from": author.fullname if author else "-",
            "to": None,
            "subject": row.subject,
            "body": row.body,
            "content_type": row.content_type,
            "internal": row.internal,
            "type": row.type,
            "sender": row.sender,
            "attachments": [],
            "time_unit": decimal_text(booked.time_unit) if booked else None,
            "created_by_id": row.created_by_id,
            "created_by": author.login if author else "-",
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def user(self, row: User) -> dict[str, Any]:
        """A user as the directory shows one."""
        return {
            "id": row.id,
            "organization_id": row.organization_id,
            "login": row.login,
            "firstname": row.firstname,
            "lastname": row.lastname,
            "email": row.email,
            "web": "",
            "phone": "",
            "mobile": "",
            "vip": False,
            "verified": False,
            "active": row.active,
            "note": "",
            "role_ids": [2] if "ticket.agent" in row.permissions else [3],
            "organization_ids": [],
            "group_ids": row.group_rights,
            "created_by_id": SYSTEM_USER,
            "updated_by_id": SYSTEM_USER,
            "created_at": iso(row.created_at),
            "updated_at": iso(row.updated_at),
        }

    def organizations(self, rows: Iterable[Organization]) -> list[dict[str, Any]]:
        """Organizations with their members."""
        members: dict[int | None, list[int]] = defaultdict(list)
        for user in self._desk.state.users.values():
            members[user.organization_id].append(user.id)
        return [
            {
                "id": row.id,
                "name": row.name,
                "shared": True,
                "domain": row.domain,
                "domain_assignment": False,
                "active": row.active,
                "vip": False,
                "note": row.note,
                "member_ids": members[row.id],
                "secondary_member_ids": [],
                "created_by_id": SYSTEM_USER,
                "updated_by_id": SYSTEM_USER,
                "created_at": iso(row.created_at),
                "updated_at": iso(row.updated_at),
            }
            for row in rows
        ]

    def _login(self, user_id: int) -> str:
        user = self._desk.state.users.get(user_id)
        return user.login if user else "-"
